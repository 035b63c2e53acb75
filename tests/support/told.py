"""The calls of the commit protocol, with what they tell: returned, or unheard where a test is about something else."""

from __future__ import annotations

from typing import Any

from goalmap.files import recovery, transaction
from goalmap.files import undo as undoing
from goalmap.files.report import Report
from goalmap.files.request import GenerateRequest


def unheard(report: Report) -> None:
    """Be told, by a test that is about something else."""


def begin(request: GenerateRequest, **options: Any) -> transaction.Generation | transaction.AlreadyDone:
    """Begin a generation."""
    return transaction.begin(request, **{"tell": unheard, **options})


def recover(root: str, **options: Any) -> Report:
    """Recover, and return all that was told."""
    total = Report()
    recovery.recover(root, tell=total.add, **options)
    return total


def finish(root: str, tx: str) -> Report:
    """Finish an interrupted generation, and return all that was told."""
    total = Report()
    recovery.finish(root, tx, tell=total.add)
    return total


def discard(root: str, tx: str) -> Report:
    """Discard an interrupted generation, and return all that was told."""
    total = Report()
    recovery.discard(root, tx, tell=total.add)
    return total


def undo(root: str, tx: str | None = None, **options: Any) -> undoing.UndoResult:
    """Undo one commit."""
    return undoing.undo(root, txs=[tx] if tx else (), **{"tell": unheard, **options}).undone[0]
