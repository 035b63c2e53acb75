"""A library of the workspace as the editor and the disk have it, and a place in one of its documents."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeAlias

from goalmap.core import goal_map as maps
from goalmap.core.check_map import find_problems, find_problems_after
from goalmap.core.goal_map import Goal, GoalMap, Reference
from goalmap.core.library import Library
from goalmap.core.naming import COMPONENTS
from goalmap.core.problems import Problems
from goalmap.core.usage import Usage, users_of
from goalmap.files import loader as disk
from goalmap.files.interrupted import Journal
from goalmap.files.report import NOTHING_INTERRUPTED, Interrupted
from goalmap.inspection import LocatedProblem, read_map
from goalmap.lsp.disk import Answer, Disk
from goalmap.lsp.documents import Document
from goalmap.lsp.positions import to_uri

Stamp: TypeAlias = tuple[int, ...]


class OnDisk(NamedTuple):
    """What a refresh found: the stamp of the map where it `read_map`, and its reading where that is new."""

    snapshot: Library
    read_map: bool
    map_stamp: Stamp | None = None
    goal_map: GoalMap | None = None
    problems: list[LocatedProblem] | None = None


@dataclass(eq=False)
class Refresh:
    """A reading of the disk that was begun: the how manyth of its library, and whether it reads the map too.

    It does not where the map is as it was at `known`.
    """

    number: int
    reads_map: bool
    known: Stamp | None
    answer: Answer[OnDisk]

    def serves(self, *, reads_map: bool, known: Stamp | None) -> bool:
        """Whether it will find what a refresh that begins now would find."""
        return not self.answer.has_begun and (not reads_map or (self.reads_map and self.known == known))


@dataclass(eq=False)
class LibraryState:
    """A library of the workspace: its map as the editor has it or as it is on disk, its folders, and its problems.

    `snapshot` is what its folders held at the last refresh. `loader` and `journal` belong to the thread of `disk`.
    Before the first refresh has come to its end, `is_listed` is false, and nothing is said about the library.
    """

    map_path: str
    loader: disk.LibraryLoader
    goal_map: GoalMap
    snapshot: Library
    problems: Problems
    document: Document | None = None
    map_file_problems: list[LocatedProblem] = field(default_factory=list)
    disk: Disk = field(default_factory=Disk)
    is_listed: bool = False
    # Whether the map may have been removed: then the next refresh finds out, and the library is given up.
    may_be_gone: bool = False
    interrupted: Interrupted = NOTHING_INTERRUPTED
    disk_stamp: Stamp | None = None
    refreshed_s: float = 0.0
    # Whether what is known of the components' contents can still be true; only new names need a look then.
    examined: bool = False
    # Held by whoever changes the map, on disk or in the buffer, from the look at what is there to the change.
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _usage: Usage | None = None
    _refreshes: int = 0
    _taken_over: int = 0
    _last_refresh: Refresh | None = None

    def __post_init__(self) -> None:
        self.journal = Journal(self.root)

    def read_anew(self, goal_map: GoalMap) -> None:
        """Take over another reading of the map, and find its problems."""
        self.goal_map = goal_map
        self.problems = find_problems(goal_map, self.snapshot)
        self._usage = None

    def replace_lines(self, first: int, end: int, lines: list[str]) -> None:
        """Follow an edit of the map, at the cost of the edit."""
        self.goal_map, change = self.goal_map.replace_lines(first, end, lines)
        self.problems = find_problems_after(self.problems, self.goal_map, change, self.snapshot)
        if self._usage is not None and not self._usage.follow(self.goal_map, change):
            self._usage = None

    # -- refreshing ----------------------------------------------------------------------------------------------------
    def begin_refresh(self) -> Refresh:
        """Begin to read the folders, and the map where no editor has it; one that has yet to begin serves all."""
        reads_map = self.document is None
        last = self._last_refresh
        if last is not None and last.serves(reads_map=reads_map, known=self.disk_stamp):
            return last
        self._refreshes += 1
        work = partial(_read_disk, self.loader, self.map_path if reads_map else None, self.disk_stamp)
        self._last_refresh = Refresh(self._refreshes, reads_map, self.disk_stamp, self.disk.submit(work))
        return self._last_refresh

    def take_over(self, refresh: Refresh) -> bool:
        """Take over what a refresh that is done has found, unless a later one was faster; return whether it is news."""
        if self._last_refresh is refresh:
            self._last_refresh = None  # it may hold a whole reading of the map
        if refresh.number <= self._taken_over:
            return False
        self._taken_over = refresh.number
        on_disk = refresh.answer.result()
        before = self.snapshot
        is_first, self.is_listed = not self.is_listed, True
        self.snapshot = on_disk.snapshot
        map_changed = False
        if on_disk.read_map and self.document is None:
            self.disk_stamp = on_disk.map_stamp
            if on_disk.goal_map is not None and (
                on_disk.problems != self.map_file_problems or on_disk.goal_map.lines != self.goal_map.lines
            ):
                self.map_file_problems = on_disk.problems or []
                self.read_anew(on_disk.goal_map)
                map_changed = True
        if not map_changed and before is not on_disk.snapshot:
            self.problems = find_problems(self.goal_map, on_disk.snapshot)
        if is_first or map_changed or before.folders is not on_disk.snapshot.folders:
            self.examined = False
        return is_first or map_changed or before is not on_disk.snapshot

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
        return users_of(self.goal_map, self.snapshot, path)

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


def _read_disk(loader: disk.LibraryLoader, map_path: str | None, known: Stamp | None) -> OnDisk:
    """Read a library's folders, and the map at `map_path` unless it is as it was."""
    snapshot = loader.load()
    if map_path is None:
        return OnDisk(snapshot, read_map=False)
    try:
        status = os.stat(map_path)
        stamp: Stamp | None = (status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError:
        stamp = None
    racy = stamp is not None and time.time_ns() - stamp[0] < disk.RACY_NS
    if stamp is not None and stamp == known and not racy:
        return OnDisk(snapshot, read_map=True, map_stamp=stamp)
    goal_map, problems = read_map(map_path)
    return OnDisk(snapshot, True, stamp, goal_map or maps.parse(""), problems)


@dataclass(frozen=True)
class Cursor:
    """Where a request points: a document's library, and a line and code point column."""

    document: Document
    library: LibraryState
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
