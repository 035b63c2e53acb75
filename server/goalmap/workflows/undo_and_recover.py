"""Undo of what was generated, and recovery of what was interrupted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goalmap.core.exit_codes import CONFLICT, FAILED, FINE, NOT_COMMITTED
from goalmap.core.text import visible
from goalmap.files import errors, recovery
from goalmap.files import undo as undoing
from goalmap.files.report import Report
from goalmap.files.undo_step import UndoResult
from goalmap.workflows.outcome import path_in_library

if TYPE_CHECKING:
    from goalmap.files.report import Tell


@dataclass(frozen=True)
class Undone:
    """How an undo ended. `results` are the commits that were undone."""

    message: str
    exit_code: int
    results: tuple[UndoResult, ...] = ()


def undo(root: str, *, tell: Tell, txs: Collection[str] = (), job: str | None = None) -> Undone:
    """Undo the commits `txs` and those of `job`, or the newest one of the library at `root` with all of its job.

    Works on the disk: call it in a thread. `tell` gets a report of what else was done in the library first.
    """
    try:
        done = undoing.undo(root, tell=tell, txs=txs, job=job)
    except errors.CommitError as error:
        return Undone(str(error), error.exit_code)
    if len(done.undone) == 1:
        result = done.undone[0]
        path = path_in_library(result.component_path, result.map_path)
        renamed = result.file != result.restored_file
        back = f"; goal_map.json names {visible(result.restored_file)} again" if renamed else ""
        message = f"Removed {path}{back}."
    else:
        message = f"Removed {len(done.undone)} components that were generated together."
    return Undone(" ".join([message, *done.kept]), FAILED if done.kept else FINE, done.undone)


@dataclass(frozen=True)
class Recovered:
    """How a recovery ended: the command line's exit code, and why it could not work, if so."""

    exit_code: int
    error: str = ""


def recover(root: str, *, tell: Tell, finish_buffered: bool = False) -> Recovered:
    """Finish what earlier runs left in the library at `root`; `tell` gets reports of what was done.

    Works on the disk: call it in a thread. `finish_buffered` also commits what waits for an editor to save the map.
    """
    total = Report()

    def add_and_tell(report: Report) -> None:
        total.add(report)
        tell(report)

    try:
        recovery.recover(root, tell=add_and_tell, finish_buffered=finish_buffered)
    except errors.CommitError as error:
        return Recovered(error.exit_code, str(error))
    conflicts = [parked for parked in total.parked if parked.is_whole]
    waits = any(not pending.has_owner for pending in total.pending)
    return Recovered(NOT_COMMITTED if waits else CONFLICT if conflicts else FINE)


def describe(report: Report, *, waiting: bool = False) -> Iterator[str]:
    """Yield a sentence for everything that was done; with `waiting` also for everything that is still to be done."""
    for committed in report.finished:
        path = path_in_library(committed.component_path, committed.map_path)
        yield f"Finished an interrupted generation: {path} is committed."
    for place in report.undone:
        yield f"Finished an interrupted undo at {visible(place)}."
    for parked in report.parked:
        place = f"{visible('/'.join(parked.goal))}, {visible(parked.slot)}"
        yield f"The text for {place} is kept in {visible(parked.paths)}: {visible(parked.reason)}."
    for pending_one in report.pending if waiting else ():
        what = visible(pending_one.component or pending_one.tx)
        if pending_one.has_owner:
            yield f"{what} is being generated right now, by another process."
        else:
            yield f"{what} waits: {visible(pending_one.reason)}."
    for warning in report.warnings:
        yield visible(warning)
