"""Diagnostics: what is wrong with a map at once, what is wrong with files as soon as there is time.

The findings in a map are kept by line, and so are their JSON texts (`_MapTexts`), so that an edit costs what it changed
and the bytes that must be sent. What depends on other files follows when the input has been quiet for a moment: only
files that are newly named are looked into, unless something may have changed them all (`LibraryState.examined`).
Clients that pull are answered; the others, and files that are not open, are pushed to, when something changed.
"""

from __future__ import annotations

import asyncio
import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from goalmap import inspection
from goalmap.core.naming import TEMPLATE_SLOT
from goalmap.core.problems import (
    SHOWN_AS_UNNECESSARY,
    SYNTAX_CODES,
    Problem,
    Problems,
    Severity,
    near_files,
)
from goalmap.core.text import Span, split_lines
from goalmap.core.usage import Usage, unused_components, used_components
from goalmap.lsp.enums import DiagnosticSeverity, DiagnosticTag
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.positions import START_OF_FILE, Positions, to_path, to_uri
from goalmap.lsp.raw_json import RawJson, json_string, to_json
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.core.library import Library
    from goalmap.files.loader import LibraryLoader
    from goalmap.lsp.types import (
        DiagnosticRelatedInformation,
        DocumentDiagnosticParams,
        PublishDiagnosticsParams,
        RelatedFullDocumentDiagnosticReport,
        RelatedUnchangedDocumentDiagnosticReport,
    )
    from goalmap.settings import Settings

_SEVERITIES: Final = {
    "error": DiagnosticSeverity.ERROR,
    "warning": DiagnosticSeverity.WARNING,
    "information": DiagnosticSeverity.INFORMATION,
    "hint": DiagnosticSeverity.HINT,
}
# Near names cost a search each, and an index of the folder first: they follow when there is time, for as many findings
# as a person looks at. The quick fixes offer them for every finding.
_MAX_NEAR: Final = 20
_QUIET_S: Final = 0.2
# After so many files, or so long, whoever waits for a file of the library has a turn.
_FILES_AT_ONCE: Final = 25
_AT_ONCE_S: Final = 0.02
# When to look again for interrupted generations where another process is at work in the library.
_BUSY_S: Final = 1.0


def pull(
    publisher: Publisher, params: DocumentDiagnosticParams
) -> RawJson | RelatedFullDocumentDiagnosticReport | RelatedUnchangedDocumentDiagnosticReport:
    """Return the diagnostics of a document, or that they are still those of `previousResultId`."""
    session = publisher.session
    uri = params["textDocument"]["uri"]
    library = session.library_at(uri)
    path = to_path(uri)
    if library is None or path is None:
        return {"kind": "full", "items": []}
    publisher.publish_changed()
    items = publisher.items_of(library, path)
    result_id = publisher.result_id(path, items)
    if params.get("previousResultId") == result_id:
        return {"kind": "unchanged", "resultId": result_id}
    return RawJson(b'{"kind":"full","resultId":"%b","items":%b}' % (result_id.encode(), items))


class Publisher:
    """Knows what each file's diagnostics are and what the client was last told."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._sent: dict[str, bytes] = {}
        self._results: dict[str, tuple[int, bytes]] = {}
        self._maps: dict[str, _MapTexts] = {}
        self._around: dict[str, _Around] = {}
        # When a library's files are to be looked into, unless it is put off again; those for which a task waits, and
        # those that another process is at work in.
        self._quiet_at_s: dict[str, float] = {}
        self._settling: set[str] = set()
        self._busy: set[str] = set()

    # -- publishing ----------------------------------------------------------------------------------------------------
    def publish_changed(self) -> None:
        """Send what changed in the libraries that were touched, and look at the rest of their files soon."""
        session = self.session
        changed, session.changed = session.changed, set()
        for map_path in changed:
            library = session.libraries.get(map_path)
            if library is not None and library.is_listed:
                self.push(library, map_path)
                self.settle_soon(library)

    def push(self, library: LibraryState, path: str) -> None:
        """Send the diagnostics of one file, unless the client pulls them or has them already."""
        document = self.session.documents.get(path)
        items = (
            b"[]" if document is not None and self.session.client.pulls_diagnostics else self.items_of(library, path)
        )
        if self._sent.get(path, b"[]") == items:
            return
        self._sent[path] = items
        uri = document.uri if document else to_uri(path)
        version = b',"version":%d' % document.version if document else b""
        self.session.server.notify(
            "textDocument/publishDiagnostics",
            b'{"uri":%b%b,"diagnostics":%b}' % (to_json(uri).encode(), version, items),
        )

    def forget(self, library: LibraryState) -> None:
        """Take back all that was said of a library that is no longer part of the workspace."""
        self._maps.pop(library.map_path, None)
        around = self._around.pop(library.map_path, _Around())
        for path in [library.map_path, *map(library.full, around.paths())]:
            if self._sent.pop(path, b"[]") != b"[]":
                params: PublishDiagnosticsParams = {"uri": to_uri(path), "diagnostics": []}
                self.session.server.notify("textDocument/publishDiagnostics", params)

    def result_id(self, path: str, items: bytes) -> str:
        """Return the name of these diagnostics: the same one as long as they are the same."""
        number, known = self._results.get(path, (0, None))
        if known != items:
            number += 1
            self._results[path] = number, items
        return str(number)

    # -- files that take longer ----------------------------------------------------------------------------------------
    def settle_soon(self, library: LibraryState) -> None:
        """Look into the library's files once the input has been quiet for a moment."""
        key = library.map_path
        self._quiet_at_s[key] = time.monotonic() + _QUIET_S
        if key not in self._settling:
            self._settling.add(key)
            self.session.server.protocol.run_in_background(self._settle(library), "diagnostics")

    async def _settle(self, library: LibraryState) -> None:
        key = library.map_path
        around = self._around.setdefault(key, _Around())
        try:
            while True:
                await self._until_quiet(key)
                moment = self._quiet_at_s[key]
                await self._examine(library, around)
                await self.session.refresh_fully(library)
                around.follow(library)
                found = None if around.unseen else await self._read_files(library)
                # Else something has happened meanwhile: what was found may stand elsewhere by now.
                if found is not None and moment == self._quiet_at_s[key]:
                    break
        finally:
            self._settling.discard(key)
        if self.session.libraries.get(key) is library:
            self._tell(library, found)

    async def _examine(self, library: LibraryState, around: _Around) -> None:
        """Look into the files that are newly named: which are empty, and which cannot be read."""
        around.follow(library)
        while around.unseen:
            batch = around.unseen[-_FILES_AT_ONCE:]
            closed = [path for path in reversed(batch) if library.full(path) not in self.session.documents]
            done = await self.session.on_disk(library, partial(_look_into, library.loader, closed))
            left = set(closed[done:])
            around.unseen[-len(batch) :] = [path for path in batch if path in left]
            await self._until_quiet(library.map_path)
            around.follow(library)

    async def _until_quiet(self, key: str) -> None:
        while (left_s := self._quiet_at_s[key] - time.monotonic()) > 0:  # noqa: ASYNC110 - time passes, nothing happens
            await asyncio.sleep(left_s)

    async def _read_files(self, library: LibraryState) -> _Late | None:
        """Work out what the text of other files, and the journal, have to say; None where the map changed meanwhile."""
        session, settings = self.session, self.session.settings
        files, goal_map = library.snapshot, library.goal_map
        await self._read_journal(library)
        if library.goal_map is not goal_map:
            return None
        late = list(inspection.interrupted_findings(goal_map, *library.interrupted))
        templates: dict[str, list[inspection.Finding]] = {}
        lines: dict[str, list[str]] = {}
        if library.usage.has_templates:
            templated = goal_map.goals_with(TEMPLATE_SLOT)
            texts = await session.texts(library, inspection.template_users(templated, files))
            for finding in inspection.template_findings(templated, files, texts.get):
                templates.setdefault(finding.path, []).append(finding)
            lines = {path: split_lines(texts[path] or "") for path in templates}
        if settings.prompt.max_tokens and settings.severities["prompt.over-budget"] != "off":
            if library.goal_map is not goal_map:
                return None
            for goal in goal_map.goals:
                texts = await session.texts(library, (files.path(one.slot, one.file) for one in goal.references))
                late += inspection.over_budget_findings([goal], files, texts.get, settings.prompt.max_tokens)
        return _Late(late, templates, lines) if library.goal_map is goal_map and library.snapshot is files else None

    async def _read_journal(self, library: LibraryState) -> None:
        interrupted = await self.session.on_disk(library, library.journal.look)
        if interrupted is not None:
            library.interrupted = interrupted
        elif library.map_path not in self._busy:
            # Another process is at work in the library: what was known stands until it can be told anew.
            self._busy.add(library.map_path)
            asyncio.get_running_loop().call_later(_BUSY_S, self._look_again, library)

    def _look_again(self, library: LibraryState) -> None:
        self._busy.discard(library.map_path)
        self.settle_soon(library)

    def _tell(self, library: LibraryState, found: _Late) -> None:
        """Send what the library's other files say, from what is known of them."""
        session = self.session
        session.changed.discard(library.map_path)
        around = self._around.setdefault(library.map_path, _Around())
        around.late, around.lines = found.in_map, found.lines
        self._find_near(library)
        unused = around.unused if session.settings.severities["component.unused"] != "off" else set[str]()
        stale = around.tell(found.in_templates, unused)
        map_items = self._results.get(library.map_path, (0, b""))[1]
        self.push(library, library.map_path)
        for path in sorted(stale):
            self.push(library, library.full(path))
        open_and_stale = any(library.full(path) in session.documents for path in stale)
        if self.session.client.pulls_diagnostics and (
            open_and_stale or self.items_of(library, library.map_path) != map_items
        ):
            self.refresh()

    def _find_near(self, library: LibraryState) -> None:
        """Work out which names may have been meant where the first components are missing."""
        texts, files = self._maps.setdefault(library.map_path, _MapTexts()), library.snapshot
        known = texts.near if texts.near_in is files else {}
        missing = [(span.line, found) for span, found in library.problems if found.code == "component.missing"]
        first = missing[:_MAX_NEAR] if self.session.client.shows_related_information else []
        near = {found.target: known.get(found.target) or near_files(found, files) for _, found in first}
        news = {path for path in {**texts.near, **near} if texts.near.get(path, []) != near.get(path, [])}
        texts.again |= {line for line, found in missing if found.target in news}
        texts.near, texts.near_in = near, files

    def refresh(self) -> None:
        """Ask a client that pulls to pull again."""
        self.session.server.protocol.send_request("workspace/diagnostic/refresh")

    # -- as JSON -------------------------------------------------------------------------------------------------------
    def items_of(self, library: LibraryState, path: str) -> bytes:
        """Return the diagnostics of a file of `library` as a JSON list."""
        around = self._around.get(library.map_path)
        if path == library.map_path:
            lines, findings = library.goal_map.lines, [*library.findings_of_disk, *(around.late if around else ())]
            texts = self._map_texts(library)
        else:
            relative = library.relative(path)
            findings = around.findings(relative) if around and relative else []
            document = self.session.documents.get(path)
            # Its start is the same place in every file: none needs to be read for that.
            known = around.lines.get(relative, [""]) if around and relative else [""]
            lines = document.lines if document is not None else known
            texts = []
        late = [self._one(library, lines, span, problem) for _, span, problem in findings if span.line < len(lines)]
        return b"[%b]" % b",".join([*texts, *filter(None, late)])

    def _map_texts(self, library: LibraryState) -> list[bytes]:
        known = self._maps.setdefault(library.map_path, _MapTexts())
        lines = library.goal_map.lines
        for line in known.stale(library.problems, self.session.settings):
            found = library.problems.at(line)
            texts = [self._one(library, lines, Span(line, problem.start, problem.end), problem) for problem in found]
            known.put(line, texts[0] if len(texts) == 1 else b",".join(filter(None, texts)))
        return known.texts

    def _one(self, library: LibraryState, lines: list[str], span: Span, problem: Problem) -> bytes:
        """Return one Diagnostic as JSON; empty where a setting turns it off."""
        severity = self.session.settings.severities[problem.code]
        if severity == "off" or (self.session.client.marks_json_syntax and problem.code in SYNTAX_CODES):
            return b""
        range_ = Positions(lines, self.session.encoding).json_range(span)
        related = self._related(library, problem)
        shown = f',"relatedInformation":{to_json(related)}' if related else ""
        text = f'{{"range":{range_},{_about(problem.code, severity)},"message":{json_string(problem.message)}{shown}}}'
        return text.encode("ascii")

    def _related(self, library: LibraryState, problem: Problem) -> list[DiagnosticRelatedInformation]:
        near = self._maps[library.map_path].near.get(problem.target) if library.map_path in self._maps else None
        if (problem.related is None and not near) or not self.session.client.shows_related_information:
            return []
        if problem.related is not None:
            span, message = problem.related
            range_ = self.session.map_positions(library).range(span)
            return [{"location": {"uri": library.map_uri, "range": range_}, "message": message}]
        folder = library.snapshot.folder(problem.reference.slot) if problem.reference else ""
        return [
            {
                "location": {"uri": library.uri(f"{folder}/{file}"), "range": START_OF_FILE},
                "message": f"Did you mean {file}?",
            }
            for file in near or ()
        ]


class _MapTexts:
    """The findings of a map as JSON, line by line: an edit makes only those anew that it touched.

    `texts` are those of the lines that have findings to show, in order. `near` are the names that may have been meant,
    by the path that is missing, as far as known; lines about which that says something new are to be made `again`.
    """

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self._lines: list[int] = []
        self._problems: Problems | None = None
        self._settings: Settings | None = None
        self.near: dict[str | None, list[str]] = {}
        self.near_in: Library | None = None
        self.again: set[int] = set()

    def stale(self, problems: Problems, settings: Settings) -> Iterable[int]:
        """Return the lines that must be `put` now, in order where all must be."""
        again, self.again = self.again, set()
        changed = problems.changed_since(self._problems) if settings is self._settings else None
        self._problems, self._settings = problems, settings
        if changed is not None:
            return sorted(again | changed)
        self.texts.clear()
        self._lines.clear()
        return sorted({*problems.by_goal, *problems.whole_map})

    def put(self, line: int, text: bytes) -> None:
        """Keep the findings of one line; without any, `text` is empty."""
        if text and (not self._lines or self._lines[-1] < line):  # as when all are put, one after the other
            self._lines.append(line)
            self.texts.append(text)
            return
        at = bisect_left(self._lines, line)
        there = slice(at, at + (at < len(self._lines) and self._lines[at] == line))
        self._lines[there] = [line] if text else []
        self.texts[there] = [text] if text else []


def _look_into(loader: LibraryLoader, paths: list[str]) -> int:
    """Look into the first of these files until that has taken a while; return into how many."""
    done = 0
    end_s = time.monotonic() + _AT_ONCE_S

    def first() -> Iterator[str]:
        nonlocal done
        for path in paths:
            done += 1
            yield path
            if time.monotonic() >= end_s:
                return

    loader.examine(first())
    return done


class _Late(NamedTuple):
    """What was found out about a library that takes a look into files: findings, and the lines of their templates."""

    in_map: list[inspection.Finding]
    in_templates: dict[str, list[inspection.Finding]]
    lines: dict[str, list[str]]


class _Around:
    """What a library's files say about each other, and what of that the client was told.

    `unseen` are components to look into, the next ones last. `late` are findings in the map that depend on other files,
    `lines` those of the templates that have findings, `unused` the components that no goal names.
    """

    def __init__(self) -> None:
        self.unseen: list[str] = []
        self.late: list[inspection.Finding] = []
        self.lines: dict[str, list[str]] = {}
        self.unused: set[str] = set()
        self._templates: dict[str, list[inspection.Finding]] = {}
        self._told: set[str] = set()
        self._usage: Usage | None = None
        self._library: Library | None = None
        self._named: set[str] = set()

    def follow(self, library: LibraryState) -> None:
        """Take in what happened since the last time, at the cost of that if it was edits, of the library otherwise."""
        usage, files = library.usage, library.snapshot
        changes = usage.take_usage_changes()
        if not library.examined:
            library.examined = True
            self._usage = None
            self._named = set()
        if usage is not self._usage or files is not self._library:
            named = set(used_components(usage, files))
            self.unseen = [*sorted(named - self._named, reverse=True), *self.unseen]
            self._named |= named
            self.unused = set(unused_components(usage, files))
        else:
            self._flip(usage, files, changes)
        # A map that is broken just now says nothing of what it names: all is worked out when it is whole again.
        self._usage, self._library = (usage if usage.is_whole else None), files

    def _flip(self, usage: Usage, files: Library, changes: set[tuple[str, str]]) -> None:
        for slot, file in changes:
            if not files.has(slot, file):
                continue
            path = files.path(slot, file)
            if usage.names(files.folder(slot), file, files):
                self.unused.discard(path)
                if path not in self._named:
                    self._named.add(path)
                    self.unseen.append(path)
            else:
                self.unused.add(path)
        if not usage.is_whole:
            self.unused.clear()

    def tell(self, templates: dict[str, list[inspection.Finding]], unused: set[str]) -> set[str]:
        """Take over what is to be shown; return the paths of the files about which something else was said before."""
        before, self._templates = self._templates, templates
        stale = {path for path in {**before, **templates} if before.get(path) != templates.get(path)}
        stale |= self._told ^ unused
        self._told = set(unused)
        return stale

    def findings(self, path: str) -> list[inspection.Finding]:
        """Return what was told about a file of the library."""
        found = self._templates.get(path, [])
        return [*found, inspection.unused_finding(path)] if path in self._told else found

    def paths(self) -> set[str]:
        """Return the files about which something was told."""
        return {*self._templates, *self._told}


@cache
def _about(code: str, severity: Severity) -> str:
    """Return those members of a Diagnostic, as JSON, that are the same for all with a code."""
    members: dict[str, object] = {
        "severity": _SEVERITIES[severity],
        "code": code,
        "codeDescription": {"href": documentation(code)},
        "source": "goalmap",
    }
    if code in SHOWN_AS_UNNECESSARY:
        members["tags"] = [DiagnosticTag.UNNECESSARY]
    return to_json(members)[1:-1]


@cache
def _documentation_uri() -> str:
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    packaged = os.path.join(here, "docs", "diagnostics.md")
    in_checkout = os.path.join(os.path.dirname(os.path.dirname(here)), "docs", "diagnostics.md")
    return to_uri(packaged if os.path.exists(packaged) else in_checkout)


def documentation(code: str) -> str:
    """Return where a code is explained: a section of the page that comes with the package."""
    return f"{_documentation_uri()}#{code.replace('.', '')}"
