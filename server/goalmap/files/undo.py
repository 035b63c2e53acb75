"""Undo of commits: each is a transaction with a record of its own, so that it is done completely or not at all.

Components that were generated together are undone together: a record of kind `undo-job` exists until all of them are,
and sorts after theirs, so that recovery finishes the one that was under way before it goes on with the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goalmap.files.errors import CommitRefused, MapUnreadable, NotCommitted, SlotChanged, explain
from goalmap.files.journal import Damaged, Header, Record, last_tx, peek, receipt_names
from goalmap.files.recovery import recover_locked
from goalmap.files.store import LOCK_WAIT_S, LockBusy, locked
from goalmap.files.undo_step import UndoResult, undo_one

if TYPE_CHECKING:
    from collections.abc import Collection

    from goalmap.files.journal import Contents
    from goalmap.files.report import Tell
    from goalmap.files.store import Store


@dataclass(frozen=True)
class JobUndone:
    """The undone commits of a job, the last one first, and the reasons for which others were kept."""

    undone: tuple[UndoResult, ...]
    kept: tuple[str, ...] = ()


def undo(
    root: str,
    *,
    tell: Tell,
    txs: Collection[str] = (),
    job: str | None = None,
    lock_timeout_s: float = LOCK_WAIT_S,
) -> JobUndone:
    """Undo the commits `txs` and those of `job`, or (with neither) the newest commit and all of its job.

    A commit whose reference or component has changed since is kept. Raises CommitRefused where nothing was undone, or
    NotCommitted where an undo is begun and recovery will finish it. Without `txs` and `job` CommitRefused also says
    that an earlier run had first to be finished: its user cannot have meant a commit that they have not seen.
    """
    begun: list[Record] = []
    try:
        with locked(root, timeout_s=lock_timeout_s, tell=tell) as store:
            recover_locked(store)
            if not txs and not job and (store.finished or store.undone):
                raise CommitRefused(
                    "Nothing was undone: an interrupted run had to be finished first. Look at what it did, and undo "
                    "again if you still want to."
                )
            receipts = _receipts(store, txs, job)
            try:
                return _undo_all(store, receipts, begun)
            finally:
                for record in begun:
                    record.close()
    except (LockBusy, SlotChanged, MapUnreadable, Damaged) as error:
        raise _failure(begun)(f"Not undone: {error}.") from error
    except OSError as error:
        raise _failure(begun)(f"Not undone: {explain(error)}; then run `goalmap recover`.") from error


def _failure(begun: list[Record]) -> type[CommitRefused | NotCommitted]:
    return NotCommitted if begun else CommitRefused


def _receipts(store: Store, txs: Collection[str], job: str | None) -> list[Contents]:
    """Return the receipts that are meant, the newest first; raise CommitRefused where there are none."""
    found: list[Contents] = []
    for name in reversed(receipt_names(store.receipts)):
        contents = peek(store.receipts, name)
        if contents is None or contents.header is None or contents.text is None:
            continue
        if not txs and not job:
            job = contents.header.job
            if not job:
                return [contents]
        if contents.header.tx in txs or (job and contents.header.job == job):
            found.append(contents)
    if not found:
        raise CommitRefused("There is nothing to undo: Goalmap has committed nothing here. Use git, or edit the map.")
    return found


def _undo_all(store: Store, receipts: list[Contents], begun: list[Record]) -> JobUndone:
    if len(receipts) == 1:
        try:
            return JobUndone((undo_one(store, receipts[0], begun),))
        except CommitRefused as error:
            raise CommitRefused(f"{error} Nothing was undone.") from error
    over_all = None
    jobs = {receipt.header.job for receipt in receipts if receipt.header}
    if len(jobs) == 1 and all(jobs):  # else they were requested separately, and each is undone by itself
        header = Header(tx=last_tx(), kind="undo-job", root=store.root_path, job=jobs.pop())
        over_all = Record.create(store.journal, header)
        begun.append(over_all)
    undone, kept = [], []
    for receipt in receipts:
        try:
            undone.append(undo_one(store, receipt, begun))
        except CommitRefused as error:
            kept.append(str(error))
    if over_all is not None:
        over_all.drop()
    if not undone:
        raise CommitRefused(" ".join([*dict.fromkeys(kept), "Nothing was undone."]))
    return JobUndone(tuple(undone), tuple(dict.fromkeys(kept)))
