"""What a generation needs beside its request, and how it ended."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from goalmap.core.assembly import Read
from goalmap.core.exit_codes import FINE
from goalmap.core.goal_map import GoalMap
from goalmap.core.library import Library
from goalmap.core.text import visible

Kind: TypeAlias = Literal["committed", "pending-save", "cancelled", "failed", "conflict"]

# The log has all of them; a message must be short.
_MAX_SHOWN: Final = 3


@dataclass(frozen=True)
class Neighbours:
    """What a component has to fit: the map, its library, and the text of its components.

    The server passes what its editor shows, unsaved changes included; the command line what is on disk. `read` is
    called in the generation's thread.
    """

    goal_map: GoalMap
    library: Library
    read: Read


class Reporter(Protocol):
    """Shows what a model writes. Called on the event loop's thread; if it raises, it is not called again."""

    def chunk(self, text: str) -> None:
        """Show the next piece of text."""

    def restarted(self) -> None:
        """Discard the pieces so far: the model is asked again."""


class PendingSave(Protocol):
    """A component that is published while the map's edit is unsaved in an editor; its record stays until the save."""

    async def settle(self, *, is_in_buffer: bool) -> Outcome | None:
        """Read the map on disk; if it has the new reference, drop the record and return the outcome.

        Return None while it has the old reference, or has neither and the new one `is_in_buffer`. To be called after
        each save of the map, and not again after an outcome.
        """

    def close(self) -> None:
        """Release the record: it stays on disk, is reported as interrupted, and can be finished or discarded.

        Blocks until a `settle` that is under way has ended.
        """


@dataclass(frozen=True)
class Outcome:
    """How a generation ended. `message` is for the user, with the next step; `notes` are further messages.

    `file` is the reference that the map has (committed), or is to have (pending-save); `component_path` is where the
    component is. `text` is set only if it could be saved nowhere: show it. `waiting` is set for pending-save.
    `is_hopeless`: other generations would fail for the same reason.
    """

    kind: Kind
    message: str
    exit_code: int
    map_path: str
    component_path: str | None = None
    file: str | None = None
    tx: str | None = None
    notes: tuple[str, ...] = ()
    text: str | None = None
    waiting: PendingSave | None = field(default=None, compare=False)
    is_hopeless: bool = False


@dataclass(frozen=True)
class Summary:
    """How several generations ended: an outcome for each request, in their order.

    `names` are the references they were for, in the same order; `skipped` is how many more the user left out.
    """

    outcomes: tuple[Outcome, ...]
    names: tuple[str, ...] = ()
    skipped: int = 0

    @property
    def message(self) -> str:
        """How many ended in which way, in words."""
        words = {
            "committed": "committed",
            "pending-save": "waiting for the map to be saved",
            "skipped": "skipped",
            "cancelled": "cancelled",
            "failed": "failed",
            "conflict": "in conflict",
        }
        counts = Counter[str](outcome.kind for outcome in self.outcomes)
        counts["skipped"] += self.skipped  # a client's number: it may be any
        parts = [f"{counts[kind]} {word}" for kind, word in words.items() if counts[kind]]
        noun = "component" if counts.total() == 1 else "components"
        return f"{counts.total()} {noun}: {', '.join(parts)}" if parts else "Nothing is missing"

    @property
    def reasons(self) -> tuple[str, ...]:
        """The messages of what failed: each once, with the names it is about."""
        names_by_message: dict[str, list[str]] = {}
        for name, outcome in zip(self.names, self.outcomes, strict=True):
            if outcome.kind in ("failed", "conflict"):
                names_by_message.setdefault(outcome.message, []).append(visible(name))
        reasons = [f"{', '.join(_first(names))}: {message}" for message, names in names_by_message.items()]
        return tuple(_first(reasons))

    @property
    def kind(self) -> Kind:
        """The most serious of their kinds."""
        kinds = {outcome.kind for outcome in self.outcomes}
        order: tuple[Kind, ...] = ("conflict", "failed", "cancelled", "pending-save")
        return next((kind for kind in order if kind in kinds), "committed")

    @property
    def exit_code(self) -> int:
        """The highest of their exit codes."""
        return max((outcome.exit_code for outcome in self.outcomes), default=FINE)


def _first(texts: list[str]) -> list[str]:
    more = len(texts) - _MAX_SHOWN
    return [*texts[:_MAX_SHOWN], f"and {more} more"] if more > 1 else texts


def path_in_library(path: str, map_path: str) -> str:
    """Return `path` as messages show it: relative to the folder of the map, with `/`."""
    relative = os.path.relpath(path, os.path.dirname(os.path.abspath(map_path)))
    return visible(relative.replace(os.sep, "/"))
