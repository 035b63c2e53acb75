"""Steps 5 to 8 of a commit (transaction.py): idempotent; both the owner of a record and recovery run them."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Literal

from goalmap.core.edits import apply, reference_edit
from goalmap.core.naming import MAP_NAME, autogen_file, same_for_some_systems
from goalmap.core.usage import possible_users_of
from goalmap.files.atomic import MapFile, write_whole
from goalmap.files.errors import SlotChanged
from goalmap.files.journal import next_receipt_name, peek, receipt_names
from goalmap.files.loader import MAX_COMPONENT_BYTES
from goalmap.files.report import Committed, MapChange, Place
from goalmap.files.safe_open import enter, read_regular
from goalmap.files.store import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from goalmap.core.goal_map import GoalMap, Reference
    from goalmap.files.journal import Header, Record
    from goalmap.files.os_layer import LibraryDir
    from goalmap.files.store import Store

RECEIPTS_KEPT = 100  # and those of the newest job, however many that are


def place_of(header: Header) -> str:
    """Return where in the map a transaction works, for messages."""
    index = "" if header.index is None else f" (element {header.index})"
    return f"{'/'.join(header.goal)}, {header.slot}{index}"


def find_reference(goal_map: GoalMap, place: Place, file: str) -> Reference | None:
    """Return the reference in the place's slot that names `file`; None where there is none.

    In a list it may have another index by now, since lines may be inserted above it; among several references to
    `file`, only the one with the same index counts.
    """
    goal = goal_map.goal(place.goal)
    slot = goal.slots.get(place.slot) if goal else None
    same = [reference for reference in slot.references if reference.file == file] if slot else []
    at_index = [reference for reference in same if reference.index == place.index]
    if at_index:
        return at_index[0]
    return same[0] if len(same) == 1 else None


def has_reference(goal_map: GoalMap, header: Header, file: str) -> bool:
    """Whether the first place of the header's transaction, which decides, names `file`."""
    return find_reference(goal_map, header.places[0], file) is not None


def _slot_changed(header: Header) -> SlotChanged:
    return SlotChanged(f"{MAP_NAME} no longer has {header.old!r} at {place_of(header)}")


def commit_record(store: Store, record: Record, *, thorough: bool) -> Committed:
    """Publish the record's component, change the map to name it, and drop the record.

    `thorough`: an earlier run may have died before one of its fsyncs, so all of them are made again.
    Raises SlotChanged, MapUnreadable or OSError; the record is then as it was.
    """
    header = record.header
    with MapFile(store) as map_file:
        publish_component(store, record, map_file, thorough=thorough)
        if header.naming == "autogen":
            map_file.replace(header.tx, lambda text: with_reference(map_file.parse(text), header, record.contents.file))
    committed = result_of(store, header, record.contents.file)
    store.report.changes += changes_of(header, record.contents.file)
    # The record is dropped last: until then every step can be repeated, and afterwards none has to be.
    is_elsewhere = record.folder is not store.journal
    if is_elsewhere:
        # It may be on another disk, from where it cannot be renamed. Without room for a copy there is no undo.
        with contextlib.suppress(OSError):
            write_whole(store.receipts, next_receipt_name(store.receipts, header.tx), record.data())
    let_go(store, record, receipts=None if is_elsewhere else store.receipts)
    _forget_old_receipts(store, header)
    return committed


def let_go(store: Store, record: Record, *, receipts: LibraryDir | None = None) -> None:
    """Report what the record's transaction parked, and then drop the record.

    In this order: if the process dies in between, the record is still there, and recovery reports it again (I7, I11).
    """
    prefix = f"goal_map.{record.header.tx}."
    names = [name for name in store.parked.names() if name.startswith(prefix) and name not in record.contents.told]
    store.report.warnings += [
        f"Somebody changed {MAP_NAME} at the same moment. Their version is kept in "
        f"{os.path.join(store.parked.path, name)}; compare it with the map."
        for name in names
    ]
    if names or store.report.parked:
        names += [os.path.basename(parked.path) for parked in store.report.parked]
        store.tell()
        with contextlib.suppress(OSError):  # then it is reported again
            for name in names:
                record.mark_told(name)  # in case the record cannot be dropped now, and is recovered later
    record.drop(receipts=receipts)


def settle_record(store: Store, record: Record, *, is_in_buffer: bool) -> Committed | None:
    """Drop the record of a commit whose map edit went through an editor, once the map on disk has that edit.

    Return None until then. Raises SlotChanged where the map has neither the old reference nor the new one, unless the
    old one was unsaved too, or the new one `is_in_buffer`: an editor may yet save that, and then the component must be
    there (I2).
    """
    header = record.header
    with MapFile(store) as map_file:
        goal_map = map_file.parse(map_file.read().text)
    if header.naming == "autogen" and not has_reference(goal_map, header, record.contents.file):
        if not is_in_buffer and not header.unsaved and not has_reference(goal_map, header, header.old):
            raise _slot_changed(header)
        return None
    return commit_record(store, record, thorough=False)


def result_of(store: Store, header: Header, file: str) -> Committed:
    """Return what the commit of the component `file` did."""
    return Committed(
        tx=header.tx,
        goal=header.goal,
        slot=header.slot,
        index=header.index,
        file=file,
        component_path=os.path.join(store.root_path, header.path_of(file)),
        map_path=os.path.join(store.root_path, MAP_NAME),
        map_changed=header.naming == "autogen",
        key=header.key,
    )


def changes_of(header: Header, file: str) -> list[MapChange]:
    """Return which references the commit of the component `file` changed in the map on disk."""
    changed = header.places if header.naming == "autogen" and header.old != file else ()
    return [MapChange(place, header.old, file) for place in changed]


def with_reference(goal_map: GoalMap, header: Header, new: str) -> str | None:
    """Return the map's text with the header's old references replaced by `new`; None if the map has `new` already.

    Raises SlotChanged where the first place has neither; the other places follow if they still have the old reference.
    """
    first, *others = header.places
    if find_reference(goal_map, first, new):
        return None
    reference = find_reference(goal_map, first, header.old)
    if reference is None:
        raise _slot_changed(header)
    by_span = {reference.span: reference}
    by_span |= {
        follower.span: follower
        for place in others
        if (follower := find_reference(goal_map, place, header.old)) is not None
    }
    return apply(goal_map.text, [reference_edit(goal_map, one, new) for one in by_span.values()])


def without_reference(goal_map: GoalMap, places: Sequence[Place], new: str, old: str) -> str | None:
    """Return the map's text with `new` replaced by `old` in all `places`; None where none of them names `new`.

    The new name identifies the reference; the old one may occur twice in a list.
    """
    by_span = {ref.span: ref for place in places if (ref := find_reference(goal_map, place, new)) is not None}
    return apply(goal_map.text, [reference_edit(goal_map, ref, old) for ref in by_span.values()]) if by_span else None


# -- the component
def publish_component(store: Store, record: Record, map_file: MapFile, *, thorough: bool) -> None:
    """Publish the component in its folder, complete and durable (I2), never over another file (I9).

    Raises SlotChanged where the map has neither the old nor the new reference, unless the old one is in an editor's
    unsaved map; and where a file of the same name has another text.
    """
    header, text = record.header, record.contents.text or b""
    map_file.settle(header.tx)  # first: the map may be in the middle of an exchange
    goal_map = map_file.parse(map_file.read().text)
    is_named = header.naming == "autogen" and has_reference(goal_map, header, record.contents.file)
    if not is_named and not header.unsaved and not has_reference(goal_map, header, header.old):
        raise _slot_changed(header)
    may_rename = header.naming == "autogen" and not is_named
    while True:
        path, name = os.path.split(header.path_of(record.contents.file))
        with enter(store.root, path, make=True, thorough=thorough) as folder:
            if _publish(folder, name, header.tx, text, careful=may_rename):
                return
            if not may_rename:
                raise SlotChanged(f"{header.folder}/{record.contents.file} exists by now, with another text")
            taken = _taken_names(folder)
        record.take_name(autogen_file(header.slot, header.goal[-1], name_taker(taken, goal_map, header.folder)))


def _publish(folder: LibraryDir, name: str, tx: str, text: bytes, *, careful: bool) -> bool:
    """Write `text` as the file `name`; return False where that name is taken by another text.

    `careful`: also where a name is taken that some systems treat as identical.
    """
    temporary = _temporary(tx)
    present = _what_is_there(folder, name, text, careful=careful)
    if present == "nothing":
        write_whole(folder, temporary, text, mode=0o666)
        if not folder.move_new(temporary, name):
            present = _what_is_there(folder, name, text, careful=careful)
    folder.unlink(temporary)  # of this run, or of one that was killed
    if present == "other":
        return False
    folder.sync()  # the component's name must be durable before the map has it (I2)
    return True


def _temporary(tx: str) -> str:
    return f".goalmap.{tx}.tmp"


def _what_is_there(folder: LibraryDir, name: str, text: bytes, *, careful: bool) -> Literal["nothing", "same", "other"]:
    if folder.lstat(name) is not None:
        return "same" if read_component(folder, name) == text else "other"
    if careful and same_for_some_systems(name) in _taken_names(folder):
        return "other"
    return "nothing"


def _taken_names(folder: LibraryDir) -> set[str]:
    return {same_for_some_systems(name) for name in folder.names()}


def name_taker(taken: set[str], goal_map: GoalMap, folder: str) -> Callable[[str], bool]:
    """Return a function that tells whether a name is taken: by a file, also in another case, or by a reference."""
    return lambda name: (
        same_for_some_systems(name) in taken
        or (_may_hold(goal_map.text, name) and bool(possible_users_of(goal_map, folder, name)))
    )


def _may_hold(text: str, name: str) -> bool:
    """Whether JSON may hold this name, plain or escaped: a fast check that rules out most new names."""
    return name in text or "\\u" in text


def remove_component(store: Store, header: Header, file: str, sha256: str, *, keep: bool = False) -> None:
    """Remove a component, durably, if it still has the text that was generated.

    It is renamed before it is read, so that a text that an editor saves at that moment is seen and put back. `keep`
    only puts it back, where an earlier run died in between.
    """
    path, name = os.path.split(header.path_of(file))
    away = f".goalmap.{header.tx}.away.tmp"
    try:
        folder = enter(store.root, path)
    except FileNotFoundError:
        return
    with folder:
        folder.unlink(_temporary(header.tx))  # of a run that was killed before it published
        if folder.lstat(away) is None:
            data = read_component(folder, name)
            if keep or data is None or digest(data) != sha256:
                folder.sync()  # an earlier run may have removed it, and been killed before this (I3)
                return
            folder.replace(name, folder, away)
        data = read_component(folder, away)
        if not keep and data is not None and digest(data) == sha256:
            folder.unlink(away)
        elif not folder.move_new(away, name):
            folder.replace(away, store.parked, f"{header.tx}.{name}")  # and the name is taken again by now
            store.parked.sync()  # the text that an editor wrote into our component is nowhere else
        folder.sync()  # else a power cut brings back what was said to be gone (I3)


def read_component(folder: LibraryDir, name: str) -> bytes | None:
    """Return the bytes of a component; None where there is no regular file below the size limit.

    Raises OSError for an error of the disk: treated as None it would leave an orphan behind.
    """
    status = folder.lstat(name)
    if status is None or not stat.S_ISREG(status.st_mode) or status.st_size > MAX_COMPONENT_BYTES:
        return None
    return read_regular(folder, name, cap_bytes=MAX_COMPONENT_BYTES)


def _forget_old_receipts(store: Store, newest: Header) -> None:
    for name in receipt_names(store.receipts)[:-RECEIPTS_KEPT]:
        if newest.job:
            contents = peek(store.receipts, name)
            if contents is not None and contents.header is not None and contents.header.job == newest.job:
                return  # a job is undone as one, so all of its receipts are kept, and those in between
        store.receipts.unlink(name)  # no fsync: a receipt too many does no harm
