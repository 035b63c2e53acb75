"""The undo of one commit, and what recovery does with one that was interrupted.

The map first, then the component: in the other order a power cut could leave a map that names a missing component (I2).
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
from goalmap.files.errors import CommitRefused
from goalmap.files.journal import Damaged, Header, Record, new_tx, peek, receipt_names
from goalmap.files.report import MapChange
from goalmap.files.safe_open import enter
from goalmap.files.store import digest

if TYPE_CHECKING:
    from goalmap.files.journal import Contents
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


def finish_undo_job(store: Store, record: Record) -> None:
    """Undo the rest of a job whose undo was interrupted (I10)."""
    if not record.header.job:
        raise Damaged("it is about no job")
    for name in reversed(receipt_names(store.receipts)):
        contents = peek(store.receipts, name)
        if contents is None or contents.header is None or contents.header.job != record.header.job:
            continue
        with contextlib.suppress(CommitRefused):  # changed since, and therefore kept
            undone = undo_one(store, contents, [])
            store.report.undone.append(_place(undone.goal, undone.slot))
    record.drop()


def _place(goal: tuple[str, ...], slot: str) -> str:
    return f"{'/'.join(goal)}, {slot}"


def undo_one(store: Store, receipt: Contents, begun: list[Record]) -> UndoResult:
    """Undo the commit of a receipt; its record joins `begun`. Raise CommitRefused where something has changed since."""
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
