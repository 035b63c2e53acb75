"""Diagnostics: what is wrong with a map at once, what is wrong with files as soon as there is time.

The findings in a map are kept by line, and so are their JSON texts, so that an edit costs what it changed and the bytes
that must be sent. What depends on the content of other files follows when the input has been quiet for a moment.
Clients that pull are answered; the others, and files that are not open, are pushed to, when something changed.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from functools import cache, partial
from typing import Any, Final

from goalmap import inspection
from goalmap.core.naming import MAP_NAME, TEMPLATE_SLOT
from goalmap.core.problems import (
    SHOWN_AS_UNNECESSARY,
    SYNTAX_CODES,
    Problem,
    near_files,
    used_components,
)
from goalmap.core.text import Span
from goalmap.lsp.convert import START_OF_FILE, Positions, to_path, to_uri
from goalmap.lsp.server import GoalmapServer
from goalmap.lsp.session import OpenLibrary, Session

_SEVERITY_NUMBERS: Final = {"error": 1, "warning": 2, "information": 3, "hint": 4}
_UNNECESSARY: Final = 1
# Near names cost a search through a folder each: enough for what a person looks at, not for a broken checkout.
_MAX_NEAR: Final = 20
_QUIET_S: Final = 0.2
_FILES_AT_ONCE: Final = 200


def register(server: GoalmapServer, session: Session) -> Publisher:
    """Serve this feature; return the publisher, which commits tell of what they changed."""
    publisher = Publisher(session)
    options = {"interFileDependencies": True, "workspaceDiagnostics": False, "identifier": "goalmap"}
    pulled = {"diagnosticProvider": options}
    server.request(
        "textDocument/diagnostic",
        lambda client: pulled if (client.get("textDocument") or {}).get("diagnostic") else {},
    )(partial(pull, publisher))
    session.listeners.append(publisher.publish_changed)
    return publisher


def pull(publisher: Publisher, params: dict[str, Any]) -> Any:
    """Answer `textDocument/diagnostic`."""
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
    return b'{"kind":"full","resultId":"%b","items":%b}' % (result_id.encode(), items)


class Publisher:
    """Knows what each file's diagnostics are and what the client was last told."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._sent: dict[str, bytes] = {}
        self._results: dict[str, tuple[int, bytes]] = {}
        self._lines: dict[str, dict[int, tuple[tuple[Problem, ...], str]]] = {}
        # A setting may change how each finding looks, though none of them changes.
        session.settings_listeners.append(self._lines.clear)
        # What other files make of a library: findings in its map, and in its other files by their absolute path.
        self._late: dict[str, list[inspection.Finding]] = {}
        self._others: dict[str, dict[str, list[inspection.Finding]]] = {}
        self._settling: dict[str, asyncio.Future[Any]] = {}

    # -- telling -------------------------------------------------------------------------------------------------------
    @property
    def client_pulls(self) -> bool:
        """Whether the client asks for the diagnostics of open documents."""
        return self.session.server.client_capability("textDocument.diagnostic") is not None

    def publish_changed(self) -> None:
        """Send what changed in the libraries that were touched, and look at the rest of their files soon."""
        session = self.session
        changed, session.changed = session.changed, set()
        for map_path in changed:
            library = session.libraries.get(map_path)
            if library is not None:
                self.push(library, map_path)
                self.settle_soon(library)

    def push(self, library: OpenLibrary, path: str) -> None:
        """Send the diagnostics of one file, unless the client pulls them or has them already."""
        document = self.session.documents.get(path)
        items = b"[]" if document is not None and self.client_pulls else self.items_of(library, path)
        if self._sent.get(path, b"[]") == items:
            return
        self._sent[path] = items
        uri = document.uri if document else to_uri(path)
        version = b',"version":%d' % document.version if document else b""
        self.session.server.protocol.notify_raw(
            "textDocument/publishDiagnostics",
            b'{"uri":%b%b,"diagnostics":%b}' % (json.dumps(uri).encode(), version, items),
        )

    def forget(self, library: OpenLibrary) -> None:
        """Take back all that was said of a library that is no longer part of the workspace."""
        for path in [library.map_path, *self._others.pop(library.map_path, ())]:
            if self._sent.pop(path, b"[]") != b"[]":
                self.session.server.notify("textDocument/publishDiagnostics", {"uri": to_uri(path), "diagnostics": []})

    def result_id(self, path: str, items: bytes) -> str:
        """Return the name of these diagnostics: the same one as long as they are the same."""
        number, known = self._results.get(path, (0, None))
        if known != items:
            number += 1
            self._results[path] = number, items
        return str(number)

    # -- files that take longer ----------------------------------------------------------------------------------------
    def settle_soon(self, library: OpenLibrary) -> None:
        """Look into the library's files once the input has been quiet for a moment."""
        running = self._settling.get(library.map_path)
        if running is not None:
            running.cancel()
        work = self._settle(library)
        self._settling[library.map_path] = self.session.server.protocol.run_in_background(work, "diagnostics")

    async def _settle(self, library: OpenLibrary) -> None:
        await asyncio.sleep(_QUIET_S)
        await self._examine(library)
        self.settle_now(library)

    async def _examine(self, library: OpenLibrary) -> None:
        """Look into every component that the map names, a few at a time so that requests are answered in between."""
        session = self.session
        paths = used_components(library.goal_map, library.library)
        paths = [path for path in paths if library.full(path) not in session.documents]
        for start in range(0, len(paths), _FILES_AT_ONCE):
            library.loader.examine(paths[start : start + _FILES_AT_ONCE])
            await asyncio.sleep(0)

    def settle_now(self, library: OpenLibrary) -> None:
        """Work out and send what the library's other files say, from what is known of them."""
        session = self.session
        session.look(library)
        session.changed.discard(library.map_path)
        settings = session.settings
        severities = settings.severities
        read = session.reader(library)
        late = list(inspection.interrupted_findings(library.goal_map, session.pending(library)))
        if settings.prompt.max_tokens and severities["prompt.over-budget"] != "off":
            maximum = settings.prompt.max_tokens
            late += inspection.over_budget_findings(library.goal_map.goals, library.library, read, maximum)
        templated = library.goal_map.goals_with(TEMPLATE_SLOT)
        others = list(inspection.template_findings(templated, library.library, read))
        if severities["component.unused"] != "off":
            others += inspection.unused_findings(library.goal_map, library.library)
        self._late[library.map_path] = late
        before = self._others.get(library.map_path, {})
        now: dict[str, list[inspection.Finding]] = {}
        for finding in others:
            now.setdefault(library.full(finding.path), []).append(finding)
        self._others[library.map_path] = now
        stale = [path for path in {**before, **now} if before.get(path) != now.get(path)]
        map_items = self._results.get(library.map_path, (0, b""))[1]
        self.push(library, library.map_path)
        for path in sorted(stale):
            self.push(library, path)
        open_and_stale = [path for path in stale if path in session.documents]
        if self.client_pulls and (open_and_stale or self.items_of(library, library.map_path) != map_items):
            self.refresh()

    def refresh(self) -> None:
        """Ask a client that pulls to pull again."""
        if self.session.server.client_capability("workspace.diagnostics.refreshSupport"):
            self.session.server.protocol.send_request("workspace/diagnostic/refresh")

    # -- as JSON -------------------------------------------------------------------------------------------------------
    def items_of(self, library: OpenLibrary, path: str) -> bytes:
        """Return the diagnostics of a file of `library` as a JSON list."""
        if path == library.map_path:
            return self._map_items(library)
        findings = self._others.get(library.map_path, {}).get(path, [])
        lines = self.session.lines_of(library, findings[0].path) if findings else [""]
        texts = [self._one(library, lines, span, problem) for _, span, problem in findings if span.line < len(lines)]
        return f"[{','.join(filter(None, texts))}]".encode()

    def _map_items(self, library: OpenLibrary) -> bytes:
        known = self._lines.setdefault(library.map_path, {})
        fresh: dict[int, tuple[tuple[Problem, ...], str]] = {}
        texts: list[str] = []
        near = _Near(library)
        for line, found in library.problems.lines():
            cached = known.get(line)
            if cached is None or cached[0] is not found:
                cached = found, ",".join(self._line(library, line, found, near))
            fresh[line] = cached
            if cached[1]:
                texts.append(cached[1])
        self._lines[library.map_path] = fresh
        lines = library.goal_map.lines
        for _, span, problem in [*library.findings_of_disk, *self._late.get(library.map_path, ())]:
            if span.line < len(lines):
                text = self._one(library, lines, span, problem)
                if text:
                    texts.append(text)
        return f"[{','.join(texts)}]".encode()

    def _line(self, library: OpenLibrary, line: int, found: tuple[Problem, ...], near: _Near) -> Iterator[str]:
        lines = library.goal_map.lines
        for problem in found:
            text = self._one(library, lines, Span(line, problem.start, problem.end), problem, near)
            if text:
                yield text

    def _one(
        self, library: OpenLibrary, lines: list[str], span: Span, problem: Problem, near: _Near | None = None
    ) -> str:
        """Return one Diagnostic as JSON; empty where a setting turns it off."""
        settings = self.session.settings
        severity = settings.severities[problem.code]
        if severity == "off" or (self.session.syntax_is_shown_elsewhere and problem.code in SYNTAX_CODES):
            return ""
        positions = Positions(lines, self.session.encoding)
        diagnostic: dict[str, Any] = {
            "range": positions.range(span),
            "severity": _SEVERITY_NUMBERS[severity],
            "code": problem.code,
            "codeDescription": {"href": documentation(problem.code)},
            "source": "goalmap",
            "message": problem.message,
        }
        if problem.code in SHOWN_AS_UNNECESSARY:
            diagnostic["tags"] = [_UNNECESSARY]
        related = self._related(library, problem, near)
        if related:
            diagnostic["relatedInformation"] = related
        return json.dumps(diagnostic, separators=(",", ":"))

    def _related(self, library: OpenLibrary, problem: Problem, near: _Near | None) -> list[dict[str, Any]]:
        if not self.session.server.client_capability("textDocument.publishDiagnostics.relatedInformation"):
            return []
        if problem.related is not None:
            span, message = problem.related
            range_ = self.session.map_positions(library).range(span)
            return [{"location": {"uri": library.map_uri, "range": range_}, "message": message}]
        if near is None or problem.code != "component.missing" or problem.reference is None:
            return []
        folder = library.library.folder(problem.reference.slot)
        return [
            {
                "location": {"uri": library.uri(f"{folder}/{file}"), "range": START_OF_FILE},
                "message": f"Did you mean {file}?",
            }
            for file in near.names(problem)
        ]


class _Near:
    """Near names for as many findings as a person looks at."""

    def __init__(self, library: OpenLibrary) -> None:
        self._library = library
        self._left = _MAX_NEAR

    def names(self, problem: Problem) -> list[str]:
        if self._left <= 0:
            return []
        self._left -= 1
        return near_files(problem, self._library.library)


@cache
def _documentation_uri() -> str:
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    packaged = os.path.join(here, "docs", "diagnostics.md")
    in_checkout = os.path.join(os.path.dirname(os.path.dirname(here)), "docs", "diagnostics.md")
    return to_uri(packaged if os.path.exists(packaged) else in_checkout)


def documentation(code: str) -> str:
    """Return where a code is explained: a section of the page that comes with the package."""
    return f"{_documentation_uri()}#{code.replace('.', '')}"


__all__ = ["MAP_NAME", "Publisher", "register"]
