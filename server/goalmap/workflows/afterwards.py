"""After a generation: undo, and what interruptions left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goalmap.core.text import visible
from goalmap.files import errors, recovery
from goalmap.files import undo as undoing
from goalmap.workflows.outcome import CONFLICT, NOT_COMMITTED, path_in_library

if TYPE_CHECKING:
    from goalmap.files.recovery import Pending, RecoveryReport


@dataclass(frozen=True)
class Undone:
    """Whether a commit was undone. `result` says which files it was about."""

    message: str
    exit_code: int
    result: undoing.UndoResult | None = None


def undo(root: str, tx: str | None = None) -> Undone:
    """Undo the commit `tx` of the library at `root`, or its last one. Works on the disk: call it in a thread."""
    try:
        result = undoing.undo(root, tx)
    except errors.CommitError as error:
        return Undone(str(error), error.exit_code)
    path = path_in_library(result.component_path, result.map_path)
    back = "" if result.file == result.restored_file else f"; goal_map.json names {visible(result.restored_file)} again"
    return Undone(f"Removed {path}{back}.", 0, result)


@dataclass(frozen=True)
class Recovered:
    """What recovery did, as messages, and the command line's exit code. `report` is None where it could not work."""

    messages: tuple[str, ...]
    exit_code: int
    report: RecoveryReport | None = None


def recover(root: str, *, finish_buffered: bool = False) -> Recovered:
    """Finish what earlier runs left in the library at `root`. Works on the disk: call it in a thread.

    `finish_buffered` also commits what an editor's unsaved map was to take.
    """
    try:
        report = recovery.recover(root, finish_buffered=finish_buffered)
    except errors.CommitError as error:
        return Recovered((str(error),), error.exit_code)
    conflicts = [parked for parked in report.parked if not parked.path.endswith(".partial.txt")]
    waits = any(not pending.has_owner for pending in report.pending)
    code = NOT_COMMITTED if waits else CONFLICT if conflicts else 0
    return Recovered(tuple(describe_recovery(report)), code, report)


def pending(root: str) -> list[Pending]:
    """Return the interrupted generations of the library at `root`; changes nothing, may wait a second for a lock."""
    return recovery.pending(root)


def describe_recovery(report: RecoveryReport) -> Iterator[str]:
    """Yield a sentence for everything that recovery did, or could not do."""
    for committed in report.finished:
        path = path_in_library(committed.component_path, committed.map_path)
        yield f"Finished an interrupted generation: {path} is committed."
    for place in report.undone:
        yield f"Finished an interrupted undo at {visible(place)}."
    for parked in report.parked:
        place = f"{visible('/'.join(parked.goal))}, {visible(parked.slot)}"
        yield f"The text for {place} is kept in {visible(parked.path)}: {visible(parked.reason)}."
    for waiting in report.pending:
        what = visible(waiting.component or waiting.tx)
        if waiting.has_owner:
            yield f"{what} is being generated right now, by another process."
        else:
            yield f"{what} waits: {visible(waiting.reason)}."
    for warning in report.warnings:
        yield visible(warning)
