"""Publish diagnostics: of a map at once, of a library's other files as soon as the input has been quiet for a moment.

What depends on other files follows when there is time: only components that are newly named are examined, unless
something may have changed them all (`LibraryState.examined`). Clients that pull are answered; the others, and files
that are not open, are pushed to, when something changed.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from goalmap import inspection
from goalmap.core.naming import TEMPLATE_SLOT
from goalmap.core.text import Span, split_lines
from goalmap.lsp.diagnostics.as_json import MapDiagnostics, diagnostic_json
from goalmap.lsp.diagnostics.components import ComponentDiagnostics, FileProblems, examine_some
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.positions import to_uri
from goalmap.lsp.raw_json import to_json
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import PublishDiagnosticsParams

# Near names cost a search each, and an index of the folder first: they follow when there is time, for as many problems
# as a person looks at. The quick fixes offer them for every problem.
_MAX_NEAR: Final = 20
_QUIET_S: Final = 0.2
# So many components are examined before whoever waits for a file of the library has a turn.
_FILES_AT_ONCE: Final = 25
# When to look again for interrupted generations where another process is at work in the library.
_BUSY_S: Final = 1.0


class Publisher:
    """Knows what each file's diagnostics are and what the client was last told."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._sent: dict[str, bytes] = {}
        self._results: dict[str, tuple[int, bytes]] = {}
        self._maps: dict[str, MapDiagnostics] = {}
        self._components: dict[str, ComponentDiagnostics] = {}
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
        components = self._components.pop(library.map_path, ComponentDiagnostics())
        for path in [library.map_path, *map(library.full, components.paths())]:
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
        components = self._components.setdefault(key, ComponentDiagnostics())
        try:
            while True:
                await self._until_quiet(key)
                moment = self._quiet_at_s[key]
                await self._examine(library, components)
                await self.session.refresh_fully(library)
                components.follow(library)
                problems = None if components.unexamined else await self._read_files(library)
                # Else something has happened meanwhile: what was found may stand elsewhere by now.
                if problems is not None and moment == self._quiet_at_s[key]:
                    break
        finally:
            self._settling.discard(key)
        if self.session.libraries.get(key) is library:
            self._publish_file_problems(library, problems)

    async def _examine(self, library: LibraryState, components: ComponentDiagnostics) -> None:
        """Look into the files that are newly named: which are empty, and which cannot be read."""
        components.follow(library)
        while components.unexamined:
            batch = components.unexamined[-_FILES_AT_ONCE:]
            closed = [path for path in reversed(batch) if library.full(path) not in self.session.documents]
            done = await self.session.on_disk(library, partial(examine_some, library.loader, closed))
            left = set(closed[done:])
            components.unexamined[-len(batch) :] = [path for path in batch if path in left]
            await self._until_quiet(library.map_path)
            components.follow(library)

    async def _until_quiet(self, key: str) -> None:
        while (left_s := self._quiet_at_s[key] - time.monotonic()) > 0:  # noqa: ASYNC110 - time passes, nothing happens
            await asyncio.sleep(left_s)

    async def _read_files(self, library: LibraryState) -> FileProblems | None:
        """Work out what the text of other files, and the journal, have to say; None where the map changed meanwhile."""
        session, settings = self.session, self.session.settings
        files, goal_map = library.snapshot, library.goal_map
        await self._read_journal(library)
        if library.goal_map is not goal_map:
            return None
        in_map = list(inspection.interrupted_problems(goal_map, *library.interrupted))
        templates: dict[str, list[inspection.LocatedProblem]] = {}
        lines: dict[str, list[str]] = {}
        if library.usage.has_templates:
            templated = goal_map.goals_with(TEMPLATE_SLOT)
            texts = await session.texts(library, inspection.template_users(templated, files))
            for problem in inspection.problems_in_templates(templated, files, texts.get):
                templates.setdefault(problem.path, []).append(problem)
            lines = {path: split_lines(texts[path] or "") for path in templates}
        if settings.prompt.max_tokens and settings.severities["prompt.over-budget"] != "off":
            if library.goal_map is not goal_map:
                return None
            for goal in goal_map.goals:
                texts = await session.texts(library, (files.path(one.slot, one.file) for one in goal.references))
                in_map += inspection.over_budget_problems([goal], files, texts.get, settings.prompt.max_tokens)
        return (
            FileProblems(in_map, templates, lines)
            if library.goal_map is goal_map and library.snapshot is files
            else None
        )

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

    def _publish_file_problems(self, library: LibraryState, problems: FileProblems) -> None:
        """Send what the library's other files say, from what is known of them."""
        session = self.session
        session.changed.discard(library.map_path)
        components = self._components.setdefault(library.map_path, ComponentDiagnostics())
        components.in_map, components.lines = problems.in_map, problems.lines
        limit = _MAX_NEAR if session.client.shows_related_information else 0
        self._maps.setdefault(library.map_path, MapDiagnostics()).find_near(library, limit=limit)
        unused = components.unused if session.settings.severities["component.unused"] != "off" else set[str]()
        stale = components.publish(problems.in_templates, unused)
        map_items = self._results.get(library.map_path, (0, b""))[1]
        self.push(library, library.map_path)
        for path in sorted(stale):
            self.push(library, library.full(path))
        open_and_stale = any(library.full(path) in session.documents for path in stale)
        if self.session.client.pulls_diagnostics and (
            open_and_stale or self.items_of(library, library.map_path) != map_items
        ):
            self.ask_to_pull()

    def ask_to_pull(self) -> None:
        """Ask a client that pulls to pull again."""
        self.session.server.protocol.send_request("workspace/diagnostic/refresh")

    # -- as JSON -------------------------------------------------------------------------------------------------------
    def items_of(self, library: LibraryState, path: str) -> bytes:
        """Return the diagnostics of a file of `library` as a JSON list."""
        components = self._components.get(library.map_path)
        if path == library.map_path:
            lines, problems = (
                library.goal_map.lines,
                [*library.map_file_problems, *(components.in_map if components else ())],
            )
            texts = self._map_texts(library)
        else:
            relative = library.relative(path)
            problems = components.published(relative) if components and relative else []
            document = self.session.documents.get(path)
            # Its start is the same place in every file: none needs to be read for that.
            known = components.lines.get(relative, [""]) if components and relative else [""]
            lines = document.lines if document is not None else known
            texts = []
        others = [
            diagnostic_json(self.session, library, lines, span, problem, [])
            for _, span, problem in problems
            if span.line < len(lines)
        ]
        return b"[%b]" % b",".join([*texts, *filter(None, others)])

    def _map_texts(self, library: LibraryState) -> list[bytes]:
        known = self._maps.setdefault(library.map_path, MapDiagnostics())
        lines = library.goal_map.lines
        for line in known.stale(library.problems, self.session.settings):
            texts = [
                diagnostic_json(
                    self.session,
                    library,
                    lines,
                    Span(line, problem.start, problem.end),
                    problem,
                    known.near(problem.target),
                )
                for problem in library.problems.at(line)
            ]
            known.put(line, texts[0] if len(texts) == 1 else b",".join(filter(None, texts)))
        return known.texts
