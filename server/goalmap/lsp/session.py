"""The state of one conversation with an editor, and the only mutable state of the server.

One overlay view of the workspace serves every feature: what an editor has open stands over what is on disk. A library's
reading and its findings follow each edit at the cost of the edit; folders are listed again only when they changed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from goalmap.core import goal_map as maps
from goalmap.core.find import find_problems, find_problems_after
from goalmap.core.goal_map import Goal, GoalMap, GoalPath, Reference
from goalmap.core.library import Library
from goalmap.core.naming import COMPONENTS, MAP_NAME
from goalmap.core.problems import Problems
from goalmap.core.text import Encoding, split_lines
from goalmap.core.usage import Usage, users_of
from goalmap.files import loader as disk
from goalmap.files import recovery
from goalmap.inspection import Finding, read_map
from goalmap.lsp.convert import Positions, to_path, to_uri
from goalmap.lsp.documents import Document
from goalmap.lsp.server import GoalmapServer, Hooks
from goalmap.settings import DEFAULTS, Settings

log = logging.getLogger(__name__)

# How long a look at the disk is trusted by requests that come with every keystroke.
_LOOK_AGAIN_S: Final = 0.5

SlotPlace: TypeAlias = tuple[str, GoalPath, str, int | None]  # the path of a map; goal, slot and index there


@dataclass(eq=False)
class OpenLibrary:
    """A library of the workspace: its map as the editor has it or as it is on disk, its folders, and its findings."""

    map_path: str
    loader: disk.LibraryLoader
    goal_map: GoalMap
    library: Library
    problems: Problems
    document: Document | None = None
    findings_of_disk: list[Finding] = field(default_factory=list)
    disk_stamp: tuple[int, ...] | None = None
    looked_s: float = 0.0
    # Whether what is known of the components' contents can still be true; only new names need a look then.
    examined: bool = False
    # Held by whoever changes the map, on disk or in the buffer, from the look at what is there to the change.
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _usage: Usage | None = None

    def read_anew(self, goal_map: GoalMap) -> None:
        """Take over another reading of the map, and find its problems."""
        self.goal_map = goal_map
        self.problems = find_problems(goal_map, self.library)
        self._usage = None

    def replace_lines(self, first: int, end: int, lines: list[str]) -> None:
        """Follow an edit of the map, at the cost of the edit."""
        self.goal_map, change = self.goal_map.replace_lines(first, end, lines)
        self.problems = find_problems_after(self.problems, self.goal_map, change, self.library)
        if self._usage is not None and not self._usage.follow(self.goal_map, change):
            self._usage = None

    @property
    def usage(self) -> Usage:
        """Which components the map names; counted when it is first asked for, and again after changes of structure."""
        if self._usage is None:
            self._usage = Usage(self.goal_map)
        return self._usage

    @property
    def root(self) -> str:
        """Its folder."""
        return self.loader.root

    @property
    def map_uri(self) -> str:
        """The URI of its map, as the client spells it."""
        return self.document.uri if self.document else to_uri(self.map_path)

    def users_of(self, path: str) -> list[Reference]:
        """Return the references that name the component at `path`, which is the library's own name for it."""
        return users_of(self.goal_map, self.library, path)

    def relative(self, path: str) -> str | None:
        """Return the library's own name for an absolute path; None where it is not below its components folder."""
        prefix = os.path.join(self.root, COMPONENTS) + os.sep
        return path[len(self.root) + 1 :].replace(os.sep, "/") if path.startswith(prefix) else None

    def full(self, path: str) -> str:
        """Return the absolute path of a path of the library."""
        return os.path.join(self.root, *path.split("/"))

    def uri(self, path: str) -> str:
        """Return the URI of a path of the library."""
        return to_uri(self.full(path))


@dataclass(frozen=True)
class Cursor:
    """Where a request points: a document's library, and a line and code point column."""

    document: Document
    library: OpenLibrary
    line: int
    column: int

    @property
    def in_map(self) -> bool:
        """Whether it stands in the library's map."""
        return self.library.document is self.document

    @property
    def goal(self) -> Goal | None:
        """The goal around it."""
        return self.library.goal_map.goal_at(self.line, self.column) if self.in_map else None

    @property
    def reference(self) -> Reference | None:
        """The reference on it."""
        goal = self.goal
        if goal is None:
            return None
        return next((found for found in goal.references if found.span.touches(self.line, self.column)), None)

    @property
    def component(self) -> str | None:
        """The path, in the library, of the component or template that it stands in."""
        return self.library.relative(self.document.path or "")


class Session(Hooks):
    """What the server knows. Handlers read it; the hooks of the document sync, and commits, change it."""

    def __init__(self, server: GoalmapServer) -> None:
        self.server = server
        self.documents: dict[str, Document] = {}
        self.libraries: dict[str, OpenLibrary] = {}
        self.folders: list[str] = []
        self.changed: set[str] = set()
        self.listeners: list[Callable[[], Any]] = []
        self.change_listeners: list[Callable[[OpenLibrary], Any]] = []
        self.save_listeners: list[Callable[[OpenLibrary], Any]] = []
        self.initialized_listeners: list[Callable[[], Awaitable[Any]]] = []
        self.settings_listeners: list[Callable[[], Any]] = []
        self.shutdown_listeners: list[Callable[[], Awaitable[Any]]] = []
        self.is_trusted = True
        self.jobs: dict[SlotPlace, str] = {}
        self.settings: Settings = DEFAULTS
        self.syntax_is_shown_elsewhere = False

    @property
    def encoding(self) -> Encoding:
        """The encoding of positions that was agreed."""
        return cast("Encoding", self.server.position_encoding)

    # -- the workspace -------------------------------------------------------------------------------------------------
    def on_initialize(self, params: dict[str, Any]) -> None:
        """Meet the client: its folders, and what it shows by itself."""
        options = params.get("initializationOptions")
        options = options if isinstance(options, dict) else {}
        # An editor whose own JSON service marks syntax errors and duplicate keys must not show each of them twice.
        self.syntax_is_shown_elsewhere = options.get("jsonService") is True
        self.is_trusted = options.get("trusted") is not False
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

    def settings_changed(self) -> None:
        """Tell everybody anew: severities and limits may differ now."""
        for library in self.libraries.values():
            self._map_changed(library)
        for listener in self.settings_listeners:
            listener()
        self.on_idle()

    def discover_some(self) -> Iterator[None]:
        """Take in the libraries of the workspace, one at each step, so that requests are answered in between."""
        for top in self.folders:
            for map_path in disk.find_maps(top):
                if map_path not in self.libraries:
                    self.touch(self._add(map_path))
                    yield

    # -- documents -----------------------------------------------------------------------------------------------------
    def on_open(self, uri: str, language_id: str, version: int, text: str) -> None:
        """Put a document over what is on disk."""
        path = to_path(uri)
        library = self.libraries.get(path or "")
        # What was read from disk a moment ago need not be cut into lines again.
        lines = library.goal_map.lines if library and library.goal_map.text == text else split_lines(text)
        document = Document(uri, path, version, lines, language_id)
        self.documents[path or uri] = document
        if path is None:
            return
        if os.path.basename(path) == MAP_NAME:
            self._take_over(library or self._add(path, document), document)
        elif (owner := self.library_of(path)) is not None:
            self.look(owner)
            self._component_changed(owner)

    def on_change(self, uri: str, version: int, content_changes: list[dict[str, Any]]) -> None:
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
        """Let the disk count again."""
        document = self.document(uri)
        if document is None:
            return
        del self.documents[document.path or uri]
        library = self.libraries.get(document.path or "")
        if library is not None:
            library.document = None
            library.disk_stamp = None
            self.look(library)
            self._map_changed(library)
        elif document.path and (owner := self.library_of(document.path)) is not None:
            self._component_changed(owner)

    def on_save(self, uri: str, text: str | None) -> None:  # noqa: ARG002 - the buffer is what was saved
        """Look at the disk: a save is when other files are likely to have changed too."""
        document = self.document(uri)
        if document is None or document.path is None:
            return
        library = self.libraries.get(document.path) or self.library_of(document.path)
        if library is not None:
            self.look(library)
            library.examined = False
            self.touch(library)
            for listener in self.save_listeners:
                listener(library)

    def on_idle(self) -> None:
        """Tell everybody what changed since the input was last drained."""
        for listener in self.listeners:
            listener()

    def document(self, uri: str) -> Document | None:
        """Return the open document at `uri`, however the client spells it today."""
        return self.documents.get(to_path(uri) or uri)

    def _take_over(self, library: OpenLibrary, document: Document) -> None:
        if library.document is not document or library.goal_map.lines is not document.lines:
            library.document = document
            library.findings_of_disk = []
            if library.goal_map.lines != document.lines:
                library.read_anew(maps.parse_lines(document.lines))
            document.lines = library.goal_map.lines
        self.look(library)
        self._map_changed(library)

    def _map_changed(self, library: OpenLibrary) -> None:
        self.touch(library)
        for listener in self.change_listeners:
            listener(library)

    def _component_changed(self, library: OpenLibrary) -> None:
        library.examined = False
        self._map_changed(library)

    def touch(self, library: OpenLibrary) -> None:
        """Note that what is known of `library` has changed and is to be told."""
        self.changed.add(library.map_path)

    # -- libraries -----------------------------------------------------------------------------------------------------
    def _add(self, map_path: str, document: Document | None = None) -> OpenLibrary:
        loader = disk.LibraryLoader(os.path.dirname(map_path))
        goal_map = maps.parse_lines(document.lines if document else [""])
        library = loader.load()
        opened = OpenLibrary(map_path, loader, goal_map, library, find_problems(goal_map, library))
        opened.looked_s = time.monotonic()
        self.libraries[map_path] = opened
        if document is None:
            self._read_map(opened)
        return opened

    def forget(self, top: str) -> list[OpenLibrary]:
        """Drop the libraries below a folder that left the workspace, those with an open map excepted; return them."""
        gone = [
            library
            for path, library in self.libraries.items()
            if path.startswith(top.rstrip(os.sep) + os.sep) and library.document is None
        ]
        for library in gone:
            del self.libraries[library.map_path]
        return gone

    def library_of(self, path: str) -> OpenLibrary | None:
        """Return the library that a file belongs to: that of its map, or of the nearest map above it.

        A library within another may be as yet unknown, so the disk is asked at each step, and not only at the end.
        """
        folder = os.path.dirname(path)
        while True:
            map_path = os.path.join(folder, MAP_NAME)
            known = self.libraries.get(map_path)
            if known is not None:
                return known
            if os.path.lexists(map_path):
                return self._add(map_path)
            parent = os.path.dirname(folder)
            if parent == folder:
                return None
            folder = parent

    def look(self, library: OpenLibrary, *, if_older_than_s: float = 0.0) -> None:
        """Look at the disk, and follow what changed there. It costs one `stat` for each folder of the library."""
        now = time.monotonic()
        if if_older_than_s and now - library.looked_s < if_older_than_s:
            return
        library.looked_s = now
        current = library.loader.load()
        map_changed = library.document is None and self._read_map(library)
        if current is not library.library or map_changed:
            library.library = current
            library.problems = find_problems(library.goal_map, current)
            library.examined = False
            self._map_changed(library)

    def glance(self, library: OpenLibrary) -> None:
        """Look at the disk unless that was done just now: for requests that come with every keystroke."""
        self.look(library, if_older_than_s=_LOOK_AGAIN_S)

    def _read_map(self, library: OpenLibrary) -> bool:
        """Read a map that is not open; return whether it changed."""
        try:
            status = os.stat(library.map_path)
            stamp: tuple[int, ...] | None = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            stamp = None
        racy = stamp is not None and time.time_ns() - stamp[0] < disk.RACY_NS
        if stamp is not None and stamp == library.disk_stamp and not racy:
            return False
        library.disk_stamp = stamp
        goal_map, findings = read_map(library.map_path)
        goal_map = goal_map or maps.parse("")
        if findings == library.findings_of_disk and goal_map.lines == library.goal_map.lines:
            return False
        library.findings_of_disk = findings
        library.read_anew(goal_map)
        return True

    # -- reading -------------------------------------------------------------------------------------------------------
    def read(self, library: OpenLibrary, path: str) -> str | None:
        """Return a component's text as the editor has it, else as it is on disk; None where it cannot be read."""
        document = self.documents.get(library.full(path))
        if document is not None:
            return disk.component_text(document.text)
        try:
            return disk.read_component(library.root, path)
        except disk.Unreadable:
            return None

    def reader(self, library: OpenLibrary) -> Callable[[str], str | None]:
        """Return `read` for one library."""
        return lambda path: self.read(library, path)

    def pending(self, library: OpenLibrary) -> list[recovery.Pending]:
        """Return the generations of a library that were interrupted and wait to be finished."""
        return recovery.pending(library.root)

    def job_for(self, library: OpenLibrary, reference: Reference) -> str | None:
        """Return the id of the generation that is under way for a reference; None where there is none."""
        return self.jobs.get((library.map_path, reference.goal, reference.slot, reference.index))

    def disk_text(self, path: str) -> str | None:
        """Return what a file holds on disk; None where it cannot be read."""
        try:
            return disk.decode(disk.read_bytes(path, limit_bytes=disk.MAX_MAP_BYTES), path)
        except disk.Unreadable:
            return None

    def is_dirty(self, document: Document) -> bool:
        """Whether the buffer holds anything else than the disk, or than what a write of ours has just replaced."""
        if document.path is None or document.version == document.overtaken_version:
            return False
        return self.disk_text(document.path) != document.text

    def map_to_be(self, library: OpenLibrary) -> GoalMap:
        """Return the map as the editor has it, or is about to have it where it has yet to reload what we wrote."""
        document = library.document
        if document is not None and document.version == document.overtaken_version:
            text = self.disk_text(library.map_path)
            if text is not None:
                return maps.parse(text)
        return library.goal_map.snapshot()

    # -- requests ------------------------------------------------------------------------------------------------------
    def library_at(self, uri: str) -> OpenLibrary | None:
        """Return the library of a document, open or not, with a fresh look at the disk."""
        path = to_path(uri)
        if path is None:
            return None
        library = self.libraries.get(path) or self.library_of(path)
        if library is not None:
            self.glance(library)
        return library

    def cursor(self, params: dict[str, Any]) -> Cursor | None:
        """Return where a request's `textDocument` and `position` point; None outside of every library."""
        document = self.document(params["textDocument"]["uri"])
        library = self.library_at(params["textDocument"]["uri"]) if document is not None else None
        if document is None or library is None:
            return None
        line, column = self.positions(document.lines).place(params["position"])
        return Cursor(document, library, line, column)

    def positions(self, lines: list[str]) -> Positions:
        """Return the converter for a document's places."""
        return Positions(lines, self.encoding)

    def map_positions(self, library: OpenLibrary) -> Positions:
        """Return the converter for places in a library's map."""
        return Positions(library.goal_map.lines, self.encoding)

    def lines_of(self, library: OpenLibrary, path: str) -> list[str]:
        """Return the lines of a component as the editor or the disk has them; one empty line where there is none."""
        document = self.documents.get(library.full(path))
        if document is not None:
            return document.lines
        return split_lines(self.disk_text(library.full(path)) or "")
