"""What happens in a library while its lock is held, and has to be told to somebody who can act on it (I11).

Whoever takes the lock may first have to finish what others left, and may displace what an editor saves at that very
moment. Neither is part of what was asked for, so neither has a place in its result. The lock therefore cannot be taken
without a function that is told: `store.locked` asks for a `Tell`, and calls it before the lock is released. A record
whose text or map was parked goes only after that, so a process that is killed in between leaves it to the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias


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
    """What a commit did. `file` is the reference that the map has now; for `naming: referenced` it is the old one."""

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
    """A text that is kept in the file `path`, and why it is not in the library; `is_whole` where it was accepted.

    `earlier` are the files of attempts that were refused before it.
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
    """A record that waits.

    `file` is the reference that it was generated for, `new_file` the one that the map is to have, `component` the path
    of the component in the library. `is_buffered`: it waits for the editor's map to be saved. `is_reviewed`: for its
    user, who has not said yet whether to keep it. `has_owner`: for a process that lives. `kind` is that of the record.
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
    """What happened under one lock, beside what was asked for.

    finished  commits of earlier runs
    undone    undos of earlier runs, as places in the map
    parked    texts of earlier runs that found no place in the library
    dropped   names of records that held nothing
    pending   records that wait, as recovery left them
    warnings  sentences about what else its user must know, such as a version of the map that was parked
    changes   references of the map on disk that have changed, by us or by the earlier run that recovery finished
    map_before  the map's text before our first change of it; None where we did not change it
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
        """Take in what happened after this."""
        self.finished += other.finished
        self.undone += other.undone
        self.parked += other.parked
        self.dropped += other.dropped
        self.pending = other.pending or self.pending
        self.warnings += other.warnings
        self.changes += other.changes
        if self.map_before is None:
            self.map_before = other.map_before


# Called in the thread that holds the lock, so it must be quick; what it raises is lost to whoever holds the lock.
Tell: TypeAlias = Callable[[Report], None]
