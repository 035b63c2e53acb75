"""Undo of commits: each is a transaction with a record of its own, so that it is done completely or not at all.

The map first, then the component: in the other order a power cut could leave a map that names a missing component (I2).
Components that were generated together are undone together: a record of kind `undo-job` exists until all of them are,
and sorts after theirs, so that recovery finishes the one that was under way before it goes on with the rest.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goalmap.core.naming import MAP_NAME
from goalmap.core.usage import possible_users_of
from goalmap.files.atomic import MapFile
from goalmap.files.commit import (
    find_reference,
    has_reference,
    let_go,
    place_of,
    read_component,
    remove_component,
    without_reference,
)
from goalmap.files.errors import CommitRefused, MapUnreadable, NotCommitted, SlotChanged, explain
from goalmap.files.journal import Damaged, Header, Record, last_tx, new_tx, peek, receipt_names
from goalmap.files.report import MapChange
from goalmap.files.safe_open import enter
from goalmap.files.store import LOCK_WAIT_S, LockBusy, digest, locked

if TYPE_CHECKING:
    from collections.abc import Collection

    from goalmap.files.journal import Contents
    from goalmap.files.report import Tell
    from goalmap.files.store import Store


@dataclass(frozen=True)
class UndoResult:
    """An undone commit: the reference `file` is `restored_file` again, and the component is removed."""

    tx: str
    goal: tuple[str, ...]
    slot: str
    index: int | None
    file: str
    restored_file: str
    component_path: str
    map_path: str


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
    from goalmap.files.recovery import recover_locked  # which in turn finishes undos

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
            return JobUndone((_undo_one(store, receipts[0], begun),))
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
            undone.append(_undo_one(store, receipt, begun))
        except CommitRefused as error:
            kept.append(str(error))
    if over_all is not None:
        over_all.drop()
    if not undone:
        raise CommitRefused(" ".join([*dict.fromkeys(kept), "Nothing was undone."]))
    return JobUndone(tuple(undone), tuple(dict.fromkeys(kept)))


def finish_undo_job(store: Store, record: Record) -> None:
    """Undo the rest of a job whose undo was interrupted (I10)."""
    if not record.header.job:
        raise Damaged("it is about no job")
    for name in reversed(receipt_names(store.receipts)):
        contents = peek(store.receipts, name)
        if contents is None or contents.header is None or contents.header.job != record.header.job:
            continue
        with contextlib.suppress(CommitRefused):  # changed since, and therefore kept
            undone = _undo_one(store, contents, [])
            store.report.undone.append(_place(undone.goal, undone.slot))
    record.drop()


def _place(goal: tuple[str, ...], slot: str) -> str:
    return f"{'/'.join(goal)}, {slot}"


def _undo_one(store: Store, receipt: Contents, begun: list[Record]) -> UndoResult:
    header = _check(store, receipt)
    record = Record.create(store.journal, header)
    begun.append(record)
    try:
        finish_undo(store, record)
    finally:
        record.close()
    return UndoResult(
        tx=header.receipt,
        goal=header.goal,
        slot=header.slot,
        index=header.index,
        file=header.old,
        restored_file=header.file,
        component_path=os.path.join(store.root_path, header.path_of(header.component)),
        map_path=os.path.join(store.root_path, MAP_NAME),
    )


def _check(store: Store, receipt: Contents) -> Header:
    """Return the header for the undo of a commit; raise CommitRefused where something has changed since."""
    done, file, text = receipt.header, receipt.file, receipt.text or b""
    if done is None:
        raise Damaged("the receipt has no header")
    path, name = os.path.split(done.path_of(file))
    with MapFile(store) as map_file:
        goal_map = map_file.parse(map_file.read().text)
    if not has_reference(goal_map, done, file):
        raise CommitRefused(
            f"{MAP_NAME} no longer has {file!r} at {place_of(done)}: it was changed since, and is kept."
        )
    own = {ref.span for place in done.places if (ref := find_reference(goal_map, place, file)) is not None}
    users = len(possible_users_of(goal_map, done.folder, file))
    if done.naming == "autogen" and users > len(own):
        raise CommitRefused(f"{file} is used {users} times by now. Remove the other references first. It is kept.")
    try:
        with enter(store.root, path) as folder:
            on_disk = read_component(folder, name)
    except FileNotFoundError:
        on_disk = None
    if on_disk != text:
        raise CommitRefused(f"{done.folder}/{file} was changed since, and is kept. Delete it yourself if you want to.")
    return Header(
        tx=new_tx(),
        kind="undo",
        root=done.root,
        goal=done.goal,
        slot=done.slot,
        index=done.index,
        old=file,
        file=done.old,
        folder=done.folder,
        naming=done.naming,
        component=file,
        sha256=digest(text),
        receipt=done.tx,
        others=done.others,
        job=done.job,
    )


def finish_undo(store: Store, record: Record) -> str:
    """Finish the undo of a record, from wherever an earlier run stopped; return the place in the map.

    A reference that somebody has changed meanwhile is kept, and so is a component that is in use.
    """
    header = record.header
    with MapFile(store) as map_file:
        map_file.settle(header.tx)
        if header.naming == "autogen":
            map_file.replace(
                header.tx,
                lambda text: without_reference(map_file.parse(text), header.places, header.old, header.file),
            )
            store.report.changes += [MapChange(place, header.old, header.file) for place in header.places]
        users = possible_users_of(map_file.parse(map_file.read().text), header.folder, header.component)
    is_in_use = header.naming == "autogen" and bool(users)
    remove_component(store, header, header.component, header.sha256, keep=is_in_use)
    # No fsync of its own: a receipt that came back would be refused, since the map no longer has its reference.
    for name in receipt_names(store.receipts):
        if name.endswith(f".{header.receipt}.gmj"):
            store.receipts.unlink(name)
    let_go(store, record)  # last, and durable before "undone" is said (I10)
    return place_of(header)
