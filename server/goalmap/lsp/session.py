"""The state of one conversation with an editor, and the only mutable state of the server.

One overlay view of the workspace serves every feature: what an editor has open stands over what is on disk. A library's
reading and its findings follow each edit at the cost of the edit; folders are listed again only when they changed.

The event loop does no disk work for requests and diagnostics. Each library has a thread for that (`lsp.disk`), for
which the loop waits a few milliseconds: a disk that is not slow has answered by then. Where it has not, everything goes
on with the last snapshot, and the next one is taken over, and told of, when it comes. A request that cannot be answered
without what the disk has to say is handled again when that is there: see `Session.answering`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar, cast

from goalmap.core import goal_map as maps
from goalmap.core.find import find_problems, find_problems_after
from goalmap.core.goal_map import Goal, GoalMap, GoalPath, Reference
from goalmap.core.library import Library
from goalmap.core.naming import COMPONENTS, MAP_NAME
from goalmap.core.problems import Problems
from goalmap.core.text import Encoding, split_lines
from goalmap.core.usage import Usage, users_of
from goalmap.files import interrupted
from goalmap.files import loader as disk
from goalmap.inspection import Finding, read_map
from goalmap.lsp.convert import Positions, to_path, to_uri
from goalmap.lsp.disk import Answer, Disk, Late, Patience
from goalmap.lsp.documents import Document
from goalmap.lsp.server import GoalmapServer, Hooks
from goalmap.settings import DEFAULTS, Settings

if TYPE_CHECKING:
    from goalmap.files.report import Pending

log = logging.getLogger(__name__)

# How long a look at the disk is trusted by requests that come with every keystroke.
_LOOK_AGAIN_S: Final = 0.5
# How long the event loop waits for disks in one turn: longer than any that is not slow takes, too short to be felt.
PATIENCE_S: Final = 0.04

T = TypeVar("T")
Stamp: TypeAlias = tuple[int, ...]
SlotPlace: TypeAlias = tuple[str, GoalPath, str, int | None]  # the path of a map; goal, slot and index there


class _Seen(NamedTuple):
    """What a look at the disk found: the stamp of the map where it `read_map`, and its reading where that is new."""

    library: Library
    read_map: bool
    map_stamp: Stamp | None = None
    goal_map: GoalMap | None = None
    findings: list[Finding] | None = None


@dataclass(eq=False)
class _Look:
    """A look at the disk that was begun: the how manyth of its library, and whether it reads the map too.

    It does not where the map is as it was at `known`.
    """

    number: int
    reads_map: bool
    known: Stamp | None
    seen: Answer[_Seen]

    def serves(self, *, reads_map: bool, known: Stamp | None) -> bool:
        """Whether it will see what a look that begins now would see."""
        return not self.seen.has_begun and (not reads_map or (self.reads_map and self.known == known))


class _Request:
    """A request that is being answered: what the disk has said for it, or is going to."""

    def __init__(self) -> None:
        self.asked: dict[Any, Answer[Any]] = {}
        self.looks: dict[str, _Look] = {}
        self.texts: dict[str, str | None] = {}


@dataclass(eq=False)
class OpenLibrary:
    """A library of the workspace: its map as the editor has it or as it is on disk, its folders, and its findings.

    `loader` and `journal` belong to the thread of `disk`. Before the first look at the disk has come to its end,
    `is_listed` is false, and nothing is said about the library.
    """

    map_path: str
    loader: disk.LibraryLoader
    goal_map: GoalMap
    library: Library
    problems: Problems
    document: Document | None = None
    findings_of_disk: list[Finding] = field(default_factory=list)
    disk: Disk = field(default_factory=Disk)
    is_listed: bool = False
    # Whether the map may have been removed: then the next look finds out, and the library is given up.
    may_be_gone: bool = False
    interrupted: interrupted.Interrupted = interrupted.NOTHING
    disk_stamp: Stamp | None = None
    looked_s: float = 0.0
    # Whether what is known of the components' contents can still be true; only new names need a look then.
    examined: bool = False
    # Held by whoever changes the map, on disk or in the buffer, from the look at what is there to the change.
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _usage: Usage | None = None
    _looks: int = 0
    _taken_over: int = 0
    _last_look: _Look | None = None

    def __post_init__(self) -> None:
        self.journal = interrupted.Journal(self.root)

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

    # -- looking at the disk -------------------------------------------------------------------------------------------
    def begin_look(self) -> _Look:
        """Begin a look at the folders, and at the map where no editor has it; one that has yet to begin serves all."""
        reads_map = self.document is None
        last = self._last_look
        if last is not None and last.serves(reads_map=reads_map, known=self.disk_stamp):
            return last
        self._looks += 1
        work = partial(_look_at, self.loader, self.map_path if reads_map else None, self.disk_stamp)
        self._last_look = _Look(self._looks, reads_map, self.disk_stamp, self.disk.submit(work))
        return self._last_look

    def take_over(self, look: _Look) -> bool:
        """Take over what a look that is done has found, unless a later one was faster; return whether that is news."""
        if self._last_look is look:
            self._last_look = None  # it may hold a whole reading of the map
        if look.number <= self._taken_over:
            return False
        self._taken_over = look.number
        seen = look.seen.result()
        before = self.library
        is_first, self.is_listed = not self.is_listed, True
        self.library = seen.library
        map_changed = False
        if seen.read_map and self.document is None:
            self.disk_stamp = seen.map_stamp
            if seen.goal_map is not None and (
                seen.findings != self.findings_of_disk or seen.goal_map.lines != self.goal_map.lines
            ):
                self.findings_of_disk = seen.findings or []
                self.read_anew(seen.goal_map)
                map_changed = True
        if not map_changed and before is not seen.library:
            self.problems = find_problems(self.goal_map, seen.library)
        if is_first or map_changed or before.folders is not seen.library.folders:
            self.examined = False
        return is_first or map_changed or before is not seen.library

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


def _look_at(loader: disk.LibraryLoader, map_path: str | None, known: Stamp | None) -> _Seen:
    """Look at a library's folders, and read the map at `map_path` unless it is as it was."""
    library = loader.load()
    if map_path is None:
        return _Seen(library, read_map=False)
    try:
        status = os.stat(map_path)
        stamp: Stamp | None = (status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError:
        stamp = None
    racy = stamp is not None and time.time_ns() - stamp[0] < disk.RACY_NS
    if stamp is not None and stamp == known and not racy:
        return _Seen(library, read_map=True, map_stamp=stamp)
    goal_map, findings = read_map(map_path)
    return _Seen(library, True, stamp, goal_map or maps.parse(""), findings)


def _read(root: str, path: str) -> str | None:
    try:
        return disk.read_component(root, path)
    except disk.Unreadable:
        return None


def _read_all(root: str, paths: Iterable[str]) -> dict[str, str | None]:
    return {path: _read(root, path) for path in paths}


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
        self.gone_listeners: list[Callable[[OpenLibrary], Any]] = []
        self.initialized_listeners: list[Callable[[], Awaitable[Any]]] = []
        self.settings_listeners: list[Callable[[], Any]] = []
        self.shutdown_listeners: list[Callable[[], Awaitable[Any]]] = []
        self.is_trusted = True
        self.jobs: dict[SlotPlace, str] = {}
        self.settings: Settings = DEFAULTS
        self.syntax_is_shown_elsewhere = False
        self.patience = Patience(PATIENCE_S, self._soon)
        self._loop: asyncio.AbstractEventLoop
        self._request: _Request | None = None
        # For files that belong to no library that is known, by their folder.
        self._elsewhere: dict[str, Disk] = {}
        self._finding: dict[str, Answer[str | None]] = {}

    @property
    def encoding(self) -> Encoding:
        """The encoding of positions that was agreed."""
        return cast("Encoding", self.server.position_encoding)

    # -- the workspace -------------------------------------------------------------------------------------------------
    def on_initialize(self, params: dict[str, Any]) -> None:
        """Meet the client: its folders, and what it shows by itself."""
        self._loop = asyncio.get_running_loop()
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

    async def discover(self, take: Callable[[OpenLibrary], Awaitable[Any]]) -> None:
        """Take in the libraries of the workspace, and `take` each that is new; none waits for a slow one's disk."""
        await asyncio.gather(*(self._discover_below(top, take) for top in self.folders))

    async def _discover_below(self, top: str, take: Callable[[OpenLibrary], Awaitable[Any]]) -> None:
        async def list_and_take(library: OpenLibrary) -> None:
            await self.looked(library)
            self.touch(library)
            await take(library)

        beside = Disk()
        found = disk.find_maps(top)
        taken = []
        while (map_path := await self._done(beside.submit(partial(next, found, None)))) is not None:
            if map_path not in self.libraries:
                taken.append(asyncio.ensure_future(list_and_take(self._add(map_path))))
        await asyncio.gather(*taken)

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
        """Take in a library that nobody has looked at yet."""
        loader = disk.LibraryLoader(os.path.dirname(map_path))
        goal_map = maps.parse_lines(document.lines if document else [""])
        opened = OpenLibrary(map_path, loader, goal_map, Library(loader.root), Problems({}, {}), document)
        self.libraries[map_path] = opened
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
        if known is not None and (path == known.map_path or known.relative(path) in known.library.files):
            return known
        found = self._map_of(path)
        if found is None or found in self.libraries:
            return self.libraries.get(found or "", known)
        library = self._add(found)
        self.look(library)
        return library

    def _map_of(self, path: str) -> str | None:
        """Return the map whose library holds a file of no library that is known; None as long as the disk is silent."""
        folder = os.path.dirname(path)
        beside = self._elsewhere.setdefault(folder, Disk())
        work = partial(disk.map_of, path)
        if self._request is not None:
            return self.ask(beside, ("map of", path), work)
        answer = self._finding.get(path)
        if answer is None:
            answer = beside.submit(work)
            if not self.patience.wait(beside, answer):
                self._finding[path] = answer
                self._when_done(answer, partial(self._found_late, path))
        return answer.result() if answer.is_done else None

    def _found_late(self, path: str, answer: Answer[str | None]) -> None:
        self._finding.pop(path, None)
        found = answer.result()
        if found is not None and found not in self.libraries:
            library = self._add(found)
            self.look(library)
            self.touch(library)
            self.on_idle()

    def look(self, library: OpenLibrary, *, if_older_than_s: float = 0.0) -> bool:
        """Look at the disk, and follow what changed there. It costs one `stat` for each folder of the library.

        Return whether it is seen as it is now. Where the disk is slow it is not: then what changed is followed, and
        told of, as soon as it is known.
        """
        now = time.monotonic()
        if if_older_than_s and now - library.looked_s < if_older_than_s:
            return True
        library.looked_s = now
        look = library.begin_look()
        if self.patience.wait(library.disk, look.seen):
            self._looked(library, look)
            return True
        self._when_done(look.seen, lambda _: self._looked_late(library, look))
        return False

    async def looked(self, library: OpenLibrary) -> None:
        """As `look`, and return when the library is seen as it is now, however long that takes."""
        library.looked_s = time.monotonic()
        look = library.begin_look()
        await self._done(look.seen)
        self._looked(library, look)

    def see(self, library: OpenLibrary) -> None:
        """As `look`, for a request that is not to be answered before the library is seen as it is now."""
        if self._request is None:
            self.look(library)
            return
        look = self._request.looks.get(library.map_path)
        if look is None:
            look = self._request.looks[library.map_path] = library.begin_look()
        if not self.patience.wait(library.disk, look.seen):
            raise Late(look.seen)
        self._looked(library, look)

    def _looked(self, library: OpenLibrary, look: _Look) -> bool:
        is_news = library.take_over(look)
        may_be_gone, library.may_be_gone = library.may_be_gone, False
        if may_be_gone and library.document is None and library.disk_stamp is None:
            if self.libraries.pop(library.map_path, None) is library:
                for listener in self.gone_listeners:
                    listener(library)
        elif is_news:
            self._map_changed(library)
        return is_news

    def _looked_late(self, library: OpenLibrary, look: _Look) -> None:
        if self._looked(library, look):
            self.on_idle()

    def glance(self, library: OpenLibrary) -> None:
        """Look at the disk unless that was done just now: for requests that come with every keystroke."""
        self.look(library, if_older_than_s=_LOOK_AGAIN_S)

    # -- answering when the disk has answered --------------------------------------------------------------------------
    def answering(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return `handler` as a request's handler that waits for slow disks without holding up others.

        Within it, what the disk must be asked for (`read`, `ask`, `see`) raises `Late` where it does not answer at
        once; then `handler` is called again, with the same arguments, when the answer is there. So it must change
        nothing that may not be changed twice.
        """

        def answer(*arguments: Any) -> Any:
            request = _Request()
            try:
                return self._handle(request, handler, arguments)
            except Late as late:
                return self._handle_later(request, handler, arguments, late)

        return answer

    def _handle(self, request: _Request, handler: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        outer, self._request = self._request, request
        try:
            return handler(*arguments)
        finally:
            self._request = outer

    async def _handle_later(
        self, request: _Request, handler: Callable[..., Any], arguments: tuple[Any, ...], late: Late
    ) -> Any:
        while True:
            await self._until_done(late.answer)
            try:
                return self._handle(request, handler, arguments)
            except Late as again:
                late = again

    def ask(self, where: Disk, key: Any, work: Callable[[], T]) -> T:
        """Return what `work`, done once for a request and known to it by `key`, says of the disk; see `answering`."""
        if self._request is None:
            return work()  # there is nobody to come back to with the answer
        answer = self._request.asked.get(key)
        if answer is None:
            answer = self._request.asked[key] = where.submit(work)
        if not self.patience.wait(where, answer):
            raise Late(answer)
        return cast("T", answer.result())

    async def on_disk(self, library: OpenLibrary, work: Callable[[], T]) -> T:
        """Return what `work` says, done by the library's own thread, in turn with all other looks at its files."""
        return await self._done(library.disk.submit(work))

    async def _done(self, answer: Answer[T]) -> T:
        await self._until_done(answer)
        return answer.result()

    async def _until_done(self, answer: Answer[Any]) -> None:
        # Not asyncio.wrap_future: who gives up waiting must not take away what others wait for too.
        done = asyncio.Event()
        self._when_done(answer, lambda _: done.set())
        await done.wait()

    def _soon(self, call: Callable[[], Any]) -> None:
        self._loop.call_soon(call)

    def _when_done(self, answer: Answer[T], call: Callable[[Answer[T]], Any]) -> None:
        """Call `call`, on the event loop, when `answer` is done; never, where the server ends before."""

        def tell(done: Answer[T]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(call, done)

        answer.when_done(tell)

    # -- reading -------------------------------------------------------------------------------------------------------
    def read(self, library: OpenLibrary, path: str) -> str | None:
        """Return a component's text as the editor has it, else as it is on disk; None where it cannot be read."""
        document = self.documents.get(library.full(path))
        if document is not None:
            return disk.component_text(document.text)
        if self._request is None:
            return _read(library.root, path)
        self.read_ahead(library, (path,))
        return self._request.texts[library.full(path)]

    def reader(self, library: OpenLibrary) -> Callable[[str], str | None]:
        """Return `read` for one library."""
        return lambda path: self.read(library, path)

    def read_ahead(self, library: OpenLibrary, paths: Iterable[str]) -> None:
        """Have the components at `paths` read at once, for a request that is about to `read` them all."""
        request = self._request
        if request is None:
            return
        wanted = tuple(
            path
            for path in dict.fromkeys(paths)
            if (full := library.full(path)) not in request.texts and full not in self.documents
        )
        if wanted:
            texts = self.ask(library.disk, (library.root, wanted), partial(_read_all, library.root, wanted))
            request.texts.update((library.full(path), text) for path, text in texts.items())

    async def texts(self, library: OpenLibrary, paths: Iterable[str]) -> dict[str, str | None]:
        """Return what `read` would for each of `paths`, however long the disk takes."""
        wanted = list(dict.fromkeys(paths))
        on_disk = [path for path in wanted if library.full(path) not in self.documents]
        texts = await self.on_disk(library, partial(_read_all, library.root, on_disk)) if on_disk else {}
        for path in wanted:
            document = self.documents.get(library.full(path))
            if document is not None:
                texts[path] = disk.component_text(document.text)
        return texts

    def pending(self, library: OpenLibrary) -> Sequence[Pending]:
        """Return the generations of a library that were interrupted and wait to be finished, as far as known."""
        return library.interrupted.records

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
            if not library.is_listed:
                self.see(library)  # nothing is known of it: any answer would be wrong
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
        full = library.full(path)
        document = self.documents.get(full)
        if document is not None:
            return document.lines
        return split_lines(self.ask(library.disk, ("lines", full), partial(self.disk_text, full)) or "")
