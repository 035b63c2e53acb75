"""Undo of a commit: a transaction of its own, with a record of its own, so that it too is done whole or not at all.

The map first, then the component: in the other order a power cut would leave a map that names nothing (I2).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goalmap.core.edits import apply, reference_edit
from goalmap.core.naming import MAP_NAME
from goalmap.files.atomic import MapFile
from goalmap.files.commit import find_reference, place_of, read_component, remove_component, users_of
from goalmap.files.errors import NotCommitted, Refused, SlotChanged, Unreadable, explain
from goalmap.files.journal import Damaged, Header, Record, new_tx, peek, record_names
from goalmap.files.safe_open import enter
from goalmap.files.store import LOCK_WAIT_S, LockBusy, digest, locked

if TYPE_CHECKING:
    from goalmap.core.goal_map import GoalMap
    from goalmap.files.store import Store


@dataclass(frozen=True)
class UndoResult:
    """What was undone: the reference `file` is `restored_file` again, and the component is gone."""

    goal: tuple[str, ...]
    slot: str
    index: int | None
    file: str
    restored_file: str
    component_path: str
    map_path: str


def undo(root: str, tx: str | None = None, *, lock_timeout_s: float = LOCK_WAIT_S) -> UndoResult:
    """Undo the commit `tx`, or the last one, if neither the reference nor the component has changed since.

    Raises Refused, having changed nothing, or NotCommitted where it is begun and recovery will finish it.
    """
    from goalmap.files.recovery import recover_locked  # which in turn finishes undos

    record: Record | None = None
    try:
        with locked(root, timeout_s=lock_timeout_s) as store:
            recover_locked(store)
            header = _check(store, *_receipt(store, tx))
            record = Record.create(store.journal, header)
            finish_undo(store, record)
    except (LockBusy, SlotChanged, Unreadable, Damaged) as error:
        raise _failure(record)(f"Not undone: {error}.") from error
    except OSError as error:
        raise _failure(record)(f"Not undone: {explain(error)}; then run `goalmap recover`.") from error
    finally:
        if record is not None:
            record.close()
    return UndoResult(
        goal=header.goal,
        slot=header.slot,
        index=header.index,
        file=header.old,
        restored_file=header.file,
        component_path=os.path.join(root, header.path_of(header.component)),
        map_path=os.path.join(root, MAP_NAME),
    )


def _failure(record: Record | None) -> type[Refused | NotCommitted]:
    return Refused if record is None else NotCommitted


def _receipt(store: Store, tx: str | None) -> tuple[Header, str, bytes]:
    """Return what was committed: its header, the component and its text."""
    names = [f"{tx}.gmj"] if tx else record_names(store.receipts)
    # When it was renamed into this folder, which may be long after its text was written; Windows does not note that.
    done_ns = {
        name: max(status.st_mtime_ns, status.st_ctime_ns) for name in names if (status := store.receipts.lstat(name))
    }
    contents = peek(store.receipts, max(done_ns, key=done_ns.__getitem__)) if done_ns else None
    if contents is None or contents.header is None or contents.text is None:
        raise Refused("There is nothing to undo: no commit of Goalmap's is on record here. Use git, or edit the map.")
    return contents.header, contents.file, contents.text


def _check(store: Store, done: Header, file: str, text: bytes) -> Header:
    """Return the header of the undo; raise Refused where something has changed since."""
    path, name = os.path.split(done.path_of(file))
    with MapFile(store) as map_file:
        goal_map = map_file.parse(map_file.read().text)
    if find_reference(goal_map, done, file) is None:
        raise Refused(
            f"{MAP_NAME} no longer has {file!r} at {place_of(done)}: it was changed since. Nothing was undone."
        )
    users = len(users_of(goal_map, done.folder, file))
    if done.naming == "autogen" and users > 1:
        raise Refused(f"{file} is used {users} times by now. Remove the other references first. Nothing was undone.")
    try:
        with enter(store.root, path) as folder:
            there = read_component(folder, name)
    except FileNotFoundError:
        there = None
    if there != text:
        raise Refused(f"{done.folder}/{file} was changed since. Nothing was undone; delete it yourself if you want to.")
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
    )


def finish_undo(store: Store, record: Record) -> str:
    """Do what the record of an undo says, from wherever an earlier run stopped; return the place in the map.

    If somebody has changed the reference meanwhile, theirs stays, and a component that is in use stays too.
    """
    header = record.header
    with MapFile(store) as map_file:
        map_file.settle(header.tx)
        if header.naming == "autogen":
            map_file.replace(header.tx, lambda text: _without_reference(map_file.parse(text), header))
        users = users_of(map_file.parse(map_file.read().text), header.folder, header.component)
    is_in_use = header.naming == "autogen" and bool(users)
    remove_component(store, header, header.component, header.sha256, keep=is_in_use)
    # No fsync of its own: a receipt that came back would be refused, since the map no longer has its reference.
    store.receipts.unlink(f"{header.receipt}.gmj")
    record.drop()  # last, and durable before "undone" is said (I10)
    return place_of(header)


def _without_reference(goal_map: GoalMap, header: Header) -> str | None:
    # The generated name is looked for, not the restored one: a list may hold that twice.
    reference = find_reference(goal_map, header, header.old)
    return apply(goal_map.text, [reference_edit(goal_map, reference, header.file)]) if reference else None
