"""Reports of what else happens in a library while its lock is held (I11).

Whoever takes the lock may first have to finish the work of processes that died, and may displace what an editor saves
at the same moment. Neither is part of the caller's request, so neither has a place in its result. Therefore the lock
cannot be taken without a function that gets a `Report`: `store.locked` takes a `Tell`, and calls it before the lock is
released. A record whose text or map was parked is dropped only after that, so that a process that is killed in between
leaves the report to the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias


@dataclass(frozen=True)
class Place:
    """A reference's place in the map; `index` is None in a slot that holds a string."""

    goal: tuple[str, ...]
    slot: str
    index: int | None


@dataclass(frozen=True)
class MapChange:
    """The reference at `place` of the map on disk, which was `old` and is `new`."""

    place: Place
    old: str
    new: str


@dataclass(frozen=True)
class Committed:
    """The result of a commit. `file` is the reference that the map has now: for `naming: referenced`, the old one."""

    tx: str
    goal: tuple[str, ...]
    slot: str
    index: int | None
    file: str
    component_path: str
    map_path: str
    map_changed: bool
    key: str = ""


@dataclass(frozen=True)
class Parked:
    """A text that is kept in the file `path`, and why it was not committed; `is_whole` if it was accepted.

    `earlier` are the files of replies that were rejected before it.
    """

    path: str
    reason: str
    goal: tuple[str, ...]
    slot: str
    index: int | None
    is_whole: bool = False
    earlier: tuple[str, ...] = ()

    @property
    def paths(self) -> str:
        """All of its files, for messages."""
        return " and ".join((self.path, *self.earlier))


@dataclass(frozen=True)
class Pending:
    """A record that is not committed yet, and the reason.

    `file` is the reference that it was generated for, `new_file` the one that the map is to have, `component` the path
    of the component in the library. It waits for an editor to save the map (`is_buffered`), for a user's review
    (`is_reviewed`), or for a process that is still running (`has_owner`). `kind` is that of the record.
    """

    tx: str
    reason: str
    goal: tuple[str, ...] = ()
    slot: str = ""
    index: int | None = None
    file: str = ""
    key: str = ""
    component: str = ""
    new_file: str = ""
    is_buffered: bool = False
    is_reviewed: bool = False
    has_owner: bool = False
    others: tuple[Place, ...] = ()
    kind: str = "generate"

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place of the map that the record is about."""
        return (Place(self.goal, self.slot, self.index), *self.others)


@dataclass
class Report:
    """What happened under one lock, beside the caller's request.

    finished  commits of earlier runs
    undone    undos of earlier runs, as places in the map
    parked    texts of earlier runs that could not be committed
    dropped   names of records that held no text
    pending   records that still wait after recovery
    warnings  further messages for the user, such as about a version of the map that was parked
    changes   references of the map on disk that were changed, by the caller or by recovery
    map_before  the map's text before the first of these changes; None without any
    """

    finished: list[Committed] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    changes: list[MapChange] = field(default_factory=list)
    map_before: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        lists = (self.finished, self.undone, self.parked, self.dropped, self.pending, self.warnings, self.changes)
        return not any(lists)

    def add(self, other: Report) -> None:
        """Add `other`, which happened after this."""
        self.finished += other.finished
        self.undone += other.undone
        self.parked += other.parked
        self.dropped += other.dropped
        self.pending = other.pending or self.pending
        self.warnings += other.warnings
        self.changes += other.changes
        if self.map_before is None:
            self.map_before = other.map_before


# Called in the thread that holds the lock, so it must be quick and must not raise.
Tell: TypeAlias = Callable[[Report], None]


class Interrupted(NamedTuple):
    """The interrupted generations of a library: the newest, and how many more records there are."""

    records: tuple[Pending, ...] = ()
    more: int = 0


NOTHING_INTERRUPTED: Final = Interrupted()
