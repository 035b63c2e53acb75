"""The workspace as one editor sees it: its documents, its libraries, its settings.

What the editor has open stands over what is on disk, for every feature alike. A library's reading and its problems
follow each edit at the cost of the edit; folders are listed again only when they changed.

The event loop does no disk work for requests and diagnostics (`lsp.disk_access`). Where a disk is slow, everything goes
on with the last snapshot, and the next one is taken over, and published, when it comes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from goalmap.core import goal_map as maps
from goalmap.core.goal_map import GoalMap, GoalPath, Reference
from goalmap.core.library import Library
from goalmap.core.naming import MAP_NAME
from goalmap.core.problems import Problems
from goalmap.core.text import Encoding, split_lines
from goalmap.files import loader as disk
from goalmap.lsp.client import Client
from goalmap.lsp.disk import Answer, Disk
from goalmap.lsp.disk_access import DiskAccess
from goalmap.lsp.documents import Document
from goalmap.lsp.endpoint import GoalmapServer, Hooks
from goalmap.lsp.library_state import Cursor, LibraryState, Refresh
from goalmap.lsp.positions import Positions, to_path
from goalmap.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    from goalmap.files.report import Pending
    from goalmap.lsp.extensions import TextDocumentPositionParams
    from goalmap.lsp.types import (
        InitializeParams,
        LogMessageParams,
        MessageType,
        ShowMessageParams,
        TextDocumentContentChangeEvent,
    )

log = logging.getLogger(__name__)

# How long a refresh is trusted by requests that come with every keystroke.
_STALE_AFTER_S: Final = 0.5
T = TypeVar("T")
SlotPlace: TypeAlias = tuple[str, GoalPath, str, int | None]  # the path of a map; goal, slot and index there


def _read(root: str, path: str) -> str | None:
    try:
        return disk.read_component(root, path)
    except disk.Unreadable:
        return None


def _read_all(root: str, paths: Iterable[str]) -> dict[str, str | None]:
    return {path: _read(root, path) for path in paths}


class Session(Hooks):
    """What the server knows. Handlers read it; the hooks of the document sync, and commits, change it."""

    def __init__(self, server: GoalmapServer) -> None:
        self.server = server
        self.client = Client()
        self.documents: dict[str, Document] = {}
        self.libraries: dict[str, LibraryState] = {}
        self.folders: list[str] = []
        self.changed: set[str] = set()
        self.idle_listeners: list[Callable[[], Any]] = []
        self.change_listeners: list[Callable[[LibraryState], Any]] = []
        self.save_listeners: list[Callable[[LibraryState], Any]] = []
        self.gone_listeners: list[Callable[[LibraryState], Any]] = []
        self.initialized_listeners: list[Callable[[], Awaitable[Any]]] = []
        self.settings_listeners: list[Callable[[], Any]] = []
        self.shutdown_listeners: list[Callable[[], Awaitable[Any]]] = []
        self.jobs: dict[SlotPlace, str] = {}
        self.settings: Settings = DEFAULTS
        self.disk_access = DiskAccess()
        # For files that belong to no library that is known, by their folder.
        self._elsewhere: dict[str, Disk] = {}
        self._finding: dict[str, Answer[str | None]] = {}

    @property
    def encoding(self) -> Encoding:
        """The encoding of positions that was agreed."""
        return cast("Encoding", self.server.position_encoding)

    # -- the workspace -------------------------------------------------------------------------------------------------
    def on_initialize(self, params: InitializeParams) -> None:
        """Meet the client: what it can do, and its folders."""
        self.disk_access.start()
        self.client = Client.of(params)
        folders = params.get("workspaceFolders") or []
        uris = [folder["uri"] for folder in folders] or [params.get("rootUri") or ""]
        self.folders = [path for path in map(to_path, uris) if path]

    async def on_initialized(self) -> None:
        """Do what had to wait for the handshake."""
        for listener in self.initialized_listeners:
            await listener()

    async def on_shutdown(self) -> None:
        """End what is under way, keeping what it has."""
        for listener in self.shutdown_listeners:
            await listener()

    def show_message(self, kind: MessageType, message: str) -> None:
        """Show the user a message."""
        params: ShowMessageParams = {"type": kind, "message": message}
        self.server.notify("window/showMessage", params)

    def log_message(self, kind: MessageType, message: str) -> None:
        """Write a message into the editor's log."""
        params: LogMessageParams = {"type": kind, "message": message}
        self.server.notify("window/logMessage", params)

    def settings_changed(self) -> None:
        """Publish everything anew: severities and limits may differ now."""
        for library in self.libraries.values():
            self._map_changed(library)
        for listener in self.settings_listeners:
            listener()
        self.on_idle()

    async def discover(self, take: Callable[[LibraryState], Awaitable[Any]]) -> None:
        """Take in the libraries of the workspace, and `take` each that is new; none waits for a slow one's disk."""
        await asyncio.gather(*(self._discover_below(top, take) for top in self.folders))

    async def _discover_below(self, top: str, take: Callable[[LibraryState], Awaitable[Any]]) -> None:
        async def list_and_take(library: LibraryState) -> None:
            await self.refresh_fully(library)
            self.mark_changed(library)
            await take(library)

        beside = Disk()
        found = disk.find_maps(top)
        taken = []
        while (map_path := await self.disk_access.done(beside.submit(partial(next, found, None)))) is not None:
            if map_path not in self.libraries:
                taken.append(asyncio.ensure_future(list_and_take(self._add(map_path))))
        await asyncio.gather(*taken)

    # -- documents -----------------------------------------------------------------------------------------------------
    def on_open(self, uri: str, language_id: str, version: int, text: str) -> None:  # noqa: ARG002 - the name says it
        """Put a document over what is on disk."""
        path = to_path(uri)
        library = self.libraries.get(path or "")
        # What was read from disk a moment ago need not be cut into lines again.
        lines = library.goal_map.lines if library and library.goal_map.text == text else split_lines(text)
        document = Document(uri, path, version, lines)
        self.documents[path or uri] = document
        if path is None:
            return
        if os.path.basename(path) == MAP_NAME:
            self._take_over(library or self._add(path, document), document)
        elif (owner := self.library_of(path)) is not None:
            self.refresh(owner)
            self._component_changed(owner)

    def on_change(self, uri: str, version: int, content_changes: Sequence[TextDocumentContentChangeEvent]) -> None:
        """Follow an edit."""
        document = self.document(uri)
        if document is None:
            log.warning("A change of %s, which is not open", uri)
            return
        document.version = version
        library = self.libraries.get(document.path or "")
        if library is None or library.document is not document:
            for first, end, lines in document.changes(content_changes, self.encoding):
                document.lines[first:end] = lines
            if document.path and (owner := self.library_of(document.path)) is not None:
                self._component_changed(owner)
            return
        for first, end, lines in document.changes(content_changes, self.encoding):
            library.replace_lines(first, end, lines)
            document.lines = library.goal_map.lines
        self._map_changed(library)

    def on_close(self, uri: str) -> None:
        """Fall back to the file on disk."""
        document = self.document(uri)
        if document is None:
            return
        del self.documents[document.path or uri]
        library = self.libraries.get(document.path or "")
        if library is not None:
            library.document = None
            library.disk_stamp = None
            self.refresh(library)
            self._map_changed(library)
        elif document.path and (owner := self.library_of(document.path)) is not None:
            self._component_changed(owner)

    def on_save(self, uri: str, text: str | None) -> None:  # noqa: ARG002 - the buffer is what was saved
        """Refresh the library: a save is when other files are likely to have changed too."""
        document = self.document(uri)
        if document is None or document.path is None:
            return
        library = self.libraries.get(document.path) or self.library_of(document.path)
        if library is not None:
            self.refresh(library)
            library.examined = False
            self.mark_changed(library)
            for listener in self.save_listeners:
                listener(library)

    def on_idle(self) -> None:
        """Publish what changed since the input was last drained."""
        for listener in self.idle_listeners:
            listener()

    def document(self, uri: str) -> Document | None:
        """Return the open document at `uri`, however the client spells it today."""
        return self.documents.get(to_path(uri) or uri)

    def _take_over(self, library: LibraryState, document: Document) -> None:
        if library.document is not document or library.goal_map.lines is not document.lines:
            library.document = document
            library.map_file_problems = []
            if library.goal_map.lines != document.lines:
                library.read_anew(maps.parse_lines(document.lines))
            document.lines = library.goal_map.lines
        self.refresh(library)
        self._map_changed(library)

    def _map_changed(self, library: LibraryState) -> None:
        self.mark_changed(library)
        for listener in self.change_listeners:
            listener(library)

    def _component_changed(self, library: LibraryState) -> None:
        library.examined = False
        self._map_changed(library)

    def mark_changed(self, library: LibraryState) -> None:
        """Note that what is known of `library` has changed since it was last published."""
        self.changed.add(library.map_path)

    def follow_files(self, library: LibraryState) -> None:
        """Take over what changed on disk where files of the library were written, moved or removed; it may be gone."""
        library.may_be_gone = True
        library.examined = False
        self.refresh(library)
        if library.map_path in self.libraries:
            self.mark_changed(library)

    def refresh_and_publish(self, library: LibraryState) -> None:
        """Take over what the disk has now, and publish it at once: for whoever has just changed it."""
        self.refresh(library)
        self.mark_changed(library)
        self.on_idle()

    # -- libraries -----------------------------------------------------------------------------------------------------
    def _add(self, map_path: str, document: Document | None = None) -> LibraryState:
        """Take in a library that nobody has looked at yet."""
        loader = disk.LibraryLoader(os.path.dirname(map_path))
        goal_map = maps.parse_lines(document.lines if document else [""])
        opened = LibraryState(map_path, loader, goal_map, Library(loader.root), Problems({}, {}), document)
        self.libraries[map_path] = opened
        return opened

    def forget(self, top: str) -> None:
        """Drop a folder that left the workspace, and the libraries below it but for those whose map is open."""
        self.folders = [folder for folder in self.folders if folder != top]
        gone = [
            library
            for path, library in self.libraries.items()
            if path.startswith(top.rstrip(os.sep) + os.sep) and library.document is None
        ]
        for library in gone:
            del self.libraries[library.map_path]
            for listener in self.gone_listeners:
                listener(library)

    def library_of(self, path: str) -> LibraryState | None:
        """Return the library that a file belongs to: that of its map, or of the nearest map above it.

        The disk is asked, too, where a library is known: one within it may be as yet unknown. It need not be asked
        about files that the known one has, since its listing leaves out what belongs to another.
        """
        folder, known = os.path.dirname(path), None
        while known is None:
            known = self.libraries.get(os.path.join(folder, MAP_NAME))
            parent = os.path.dirname(folder)
            if parent == folder:
                break
            folder = parent
        if known is not None and (path == known.map_path or known.relative(path) in known.snapshot.files):
            return known
        found = self._map_of(path)
        if found is None or found in self.libraries:
            return self.libraries.get(found or "", known)
        library = self._add(found)
        self.refresh(library)
        return library

    def _map_of(self, path: str) -> str | None:
        """Return the map whose library holds a file of no library that is known; None as long as the disk is silent."""
        folder = os.path.dirname(path)
        beside = self._elsewhere.setdefault(folder, Disk())
        work = partial(disk.map_of, path)
        if self.disk_access.request is not None:
            return self.disk_access.ask(beside, ("map of", path), work)
        answer = self._finding.get(path)
        if answer is None:
            answer = beside.submit(work)
            if not self.disk_access.wait(beside, answer):
                self._finding[path] = answer
                self.disk_access.when_done(answer, partial(self._found_late, path))
        return answer.result() if answer.is_done else None

    def _found_late(self, path: str, answer: Answer[str | None]) -> None:
        self._finding.pop(path, None)
        found = answer.result()
        if found is not None and found not in self.libraries:
            library = self._add(found)
            self.refresh(library)
            self.mark_changed(library)
            self.on_idle()

    def refresh(self, library: LibraryState, *, if_older_than_s: float = 0.0) -> bool:
        """Take over what changed on disk. It costs one `stat` for each folder of the library.

        Return whether the library is known as it is now. Where the disk is slow it is not: then what changed is taken
        over, and published, as soon as it is known.
        """
        now_s = time.monotonic()
        if if_older_than_s and now_s - library.refreshed_s < if_older_than_s:
            return True
        library.refreshed_s = now_s
        refresh = library.begin_refresh()
        if self.disk_access.wait(library.disk, refresh.answer):
            self._take_over_refresh(library, refresh)
            return True
        self.disk_access.when_done(refresh.answer, lambda _: self._refreshed_late(library, refresh))
        return False

    def refresh_if_stale(self, library: LibraryState) -> None:
        """As `refresh`, unless that was done just now: for requests that come with every keystroke."""
        self.refresh(library, if_older_than_s=_STALE_AFTER_S)

    async def refresh_fully(self, library: LibraryState) -> None:
        """As `refresh`, and return when the library is known as it is now, however long that takes."""
        library.refreshed_s = time.monotonic()
        refresh = library.begin_refresh()
        await self.disk_access.done(refresh.answer)
        self._take_over_refresh(library, refresh)

    def require_fresh(self, library: LibraryState) -> None:
        """As `refresh`, for a request that is not to be answered before the library is known as it is now."""
        request = self.disk_access.request
        if request is None:
            self.refresh(library)
            return
        refresh = request.refreshes.get(library.map_path)
        if refresh is None:
            refresh = request.refreshes[library.map_path] = library.begin_refresh()
        self.disk_access.require(library.disk, refresh.answer)
        self._take_over_refresh(library, refresh)

    def _take_over_refresh(self, library: LibraryState, refresh: Refresh) -> bool:
        is_news = library.take_over(refresh)
        may_be_gone, library.may_be_gone = library.may_be_gone, False
        if may_be_gone and library.document is None and library.disk_stamp is None:
            if self.libraries.pop(library.map_path, None) is library:
                for listener in self.gone_listeners:
                    listener(library)
        elif is_news:
            self._map_changed(library)
        return is_news

    def _refreshed_late(self, library: LibraryState, refresh: Refresh) -> None:
        if self._take_over_refresh(library, refresh):
            self.on_idle()

    async def on_disk(self, library: LibraryState, work: Callable[[], T]) -> T:
        """Return what `work` says, done by the library's own thread, in turn with all other looks at its files."""
        return await self.disk_access.done(library.disk.submit(work))

    # -- reading -------------------------------------------------------------------------------------------------------
    def read(self, library: LibraryState, path: str) -> str | None:
        """Return a component's text as the editor has it, else as it is on disk; None where it cannot be read."""
        document = self.documents.get(library.full(path))
        if document is not None:
            return disk.component_text(document.text)
        request = self.disk_access.request
        if request is None:
            return _read(library.root, path)
        self.read_ahead(library, (path,))
        return request.texts[library.full(path)]

    def reader(self, library: LibraryState) -> Callable[[str], str | None]:
        """Return `read` for one library."""
        return lambda path: self.read(library, path)

    def reader_for_threads(self, library: LibraryState) -> Callable[[str], str | None]:
        """Return what reads the components of one library, as they are open now or on disk, in any thread."""
        opened = [(library.relative(path), document.text) for path, document in self.documents.items()]
        texts = {path: disk.component_text(text) for path, text in opened if path is not None}
        return lambda path: texts[path] if path in texts else _read(library.root, path)

    def read_ahead(self, library: LibraryState, paths: Iterable[str]) -> None:
        """Have the components at `paths` read at once, for a request that is about to `read` them all."""
        request = self.disk_access.request
        if request is None:
            return
        wanted = tuple(
            path
            for path in dict.fromkeys(paths)
            if (full := library.full(path)) not in request.texts and full not in self.documents
        )
        if wanted:
            work = partial(_read_all, library.root, wanted)
            texts = self.disk_access.ask(library.disk, (library.root, wanted), work)
            request.texts.update((library.full(path), text) for path, text in texts.items())

    async def texts(self, library: LibraryState, paths: Iterable[str]) -> dict[str, str | None]:
        """Return what `read` would for each of `paths`, however long the disk takes."""
        wanted = list(dict.fromkeys(paths))
        on_disk = [path for path in wanted if library.full(path) not in self.documents]
        texts = await self.on_disk(library, partial(_read_all, library.root, on_disk)) if on_disk else {}
        for path in wanted:
            document = self.documents.get(library.full(path))
            if document is not None:
                texts[path] = disk.component_text(document.text)
        return texts

    def pending(self, library: LibraryState) -> Sequence[Pending]:
        """Return the generations of a library that were interrupted and wait to be finished, as far as known."""
        return library.interrupted.records

    def job_for(self, library: LibraryState, reference: Reference) -> str | None:
        """Return the id of the generation that is under way for a reference; None where there is none."""
        return self.jobs.get((library.map_path, reference.goal, reference.slot, reference.index))

    def disk_text(self, path: str) -> str | None:
        """Return what a file holds on disk; None where it cannot be read."""
        try:
            return disk.decode(disk.read_bytes(path, limit_bytes=disk.MAX_MAP_BYTES), path)
        except disk.Unreadable:
            return None

    def map_on_disk(self, library: LibraryState) -> str | None:
        """Return what a map holds on disk; None where it cannot be read, or not within the loop's patience."""
        answer = library.disk.submit(partial(self.disk_text, library.map_path))
        return answer.result() if self.disk_access.wait(library.disk, answer) else None

    def is_dirty(self, document: Document) -> bool:
        """Whether the map's buffer holds anything else than the disk, or than what a write of ours has just replaced.

        Where the disk is silent, it is taken to: an edit then goes through the buffer, which loses nothing.
        """
        library = self.libraries.get(document.path or "")
        if library is None or document.version == document.version_awaiting_reload:
            return False
        return self.map_on_disk(library) != document.text

    async def has_unsaved_changes(self, library: LibraryState) -> bool:
        """Return what `is_dirty` says of the library's open map, however long the disk takes; False if none is open."""
        on_disk = await self.on_disk(library, partial(self.disk_text, library.map_path))
        document = library.document
        if document is None or document.version == document.version_awaiting_reload:
            return False
        return document.text != on_disk

    def expected_map(self, library: LibraryState) -> GoalMap:
        """Return the map as the editor has it, or is about to have it where it has yet to reload what we wrote."""
        document = library.document
        if document is not None and document.version == document.version_awaiting_reload:
            text = self.map_on_disk(library)
            if text is not None:
                return maps.parse(text)
        return library.goal_map.snapshot()

    # -- requests ------------------------------------------------------------------------------------------------------
    def library_at(self, uri: str) -> LibraryState | None:
        """Return the library of a document, open or not, with a fresh look at the disk."""
        path = to_path(uri)
        if path is None:
            return None
        library = self.libraries.get(path) or self.library_of(path)
        if library is not None:
            self.refresh_if_stale(library)
            if not library.is_listed:
                self.require_fresh(library)  # nothing is known of it: any answer would be wrong
        return library

    def cursor(self, params: TextDocumentPositionParams) -> Cursor | None:
        """Return where a request points; None outside of every library."""
        document = self.document(params["textDocument"]["uri"])
        library = self.library_at(params["textDocument"]["uri"]) if document is not None else None
        if document is None or library is None:
            return None
        line, column = self.positions(document.lines).place(params["position"])
        return Cursor(document, library, line, column)

    def positions(self, lines: list[str]) -> Positions:
        """Return the converter for a document's places."""
        return Positions(lines, self.encoding)

    def map_positions(self, library: LibraryState) -> Positions:
        """Return the converter for places in a library's map."""
        return Positions(library.goal_map.lines, self.encoding)

    def lines_of(self, library: LibraryState, path: str) -> list[str]:
        """Return the lines of a component as the editor or the disk has them; one empty line where there is none."""
        full = library.full(path)
        document = self.documents.get(full)
        if document is not None:
            return document.lines
        text = self.disk_access.ask(library.disk, ("lines", full), partial(self.disk_text, full))
        return split_lines(text or "")
