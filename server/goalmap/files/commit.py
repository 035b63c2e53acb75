"""Steps 5 to 8 of a commit (transaction.py): idempotent, and used alike by the owner of a record and by recovery."""

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
    """Return the reference of the place's slot that names `file`; None where there is none.

    In a list it may have moved: somebody inserted a line above it. Among equal ones only the same index will do.
    """
    goal = goal_map.goal(place.goal)
    slot = goal.slots.get(place.slot) if goal else None
    same = [reference for reference in slot.references if reference.file == file] if slot else []
    at_index = [reference for reference in same if reference.index == place.index]
    if at_index:
        return at_index[0]
    return same[0] if len(same) == 1 else None


def has_reference(goal_map: GoalMap, header: Header, file: str) -> bool:
    """Whether the place that decides for the header's transaction names `file`."""
    return find_reference(goal_map, header.places[0], file) is not None


def _slot_changed(header: Header) -> SlotChanged:
    return SlotChanged(f"{MAP_NAME} no longer has {header.old!r} at {place_of(header)}")


def commit_record(store: Store, record: Record, *, thorough: bool) -> Committed:
    """Bring the record's text into the library and its name into the map; let go of the record.

    `thorough`: an earlier run may have died before one of its fsyncs, so they are all made up for.
    Raises SlotChanged, MapUnreadable or OSError; the record is then as it was.
    """
    header = record.header
    with MapFile(store) as map_file:
        publish_component(store, record, map_file, thorough=thorough)
        if header.naming == "autogen":
            map_file.replace(header.tx, lambda text: with_reference(map_file.parse(text), header, record.contents.file))
    committed = result_of(store, header, record.contents.file)
    store.report.changes += changes_of(header, record.contents.file)
    # The record goes last: until then every step can be repeated, after it nothing needs to be.
    is_elsewhere = record.folder is not store.journal
    if is_elsewhere:
        # On another disk, perhaps, from where it cannot be renamed. Without room for a copy there is no undo.
        with contextlib.suppress(OSError):
            write_whole(store.receipts, next_receipt_name(store.receipts, header.tx), record.data())
    let_go(store, record, receipts=None if is_elsewhere else store.receipts)
    _forget_old_receipts(store, header)
    return committed


def let_go(store: Store, record: Record, *, receipts: LibraryDir | None = None) -> None:
    """Tell what the record's transaction parked, and then drop the record.

    In this order: as long as the record is there, whoever recovers from a death tells it again (I7, I11).
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
        with contextlib.suppress(OSError):  # then it is told again
            for name in names:
                record.mark_told(name)  # for the case that the record cannot go now, and is met again
    record.drop(receipts=receipts)


def settle_record(store: Store, record: Record, *, is_in_buffer: bool) -> Committed | None:
    """Let go of the record of a commit whose map edit went through an editor, once the map on disk has it.

    Return None until then. Raises SlotChanged where the map has neither the old reference nor the new one, unless the
    old one was unsaved too, or the new one `is_in_buffer`: an editor may yet save that, and the component must be there
    then (I2).
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
        old_file=header.old,
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
    """Return the map's text with `new` for the header's old references; None where it is there; raise SlotChanged.

    The first place decides. The others follow where they still have the old reference.
    """
    first, *others = header.places
    if find_reference(goal_map, first, new):
        return None
    reference = find_reference(goal_map, first, header.old)
    if reference is None:
        raise _slot_changed(header)
    found = {reference.span: reference}
    found |= {
        follower.span: follower
        for place in others
        if (follower := find_reference(goal_map, place, header.old)) is not None
    }
    return apply(goal_map.text, [reference_edit(goal_map, one, new) for one in found.values()])


def without_reference(goal_map: GoalMap, places: Sequence[Place], new: str, old: str) -> str | None:
    """Return the map's text with `old` again wherever the places name `new`; None where none does.

    The new name is looked for, not the old one: a list may hold that twice.
    """
    found = {ref.span: ref for place in places if (ref := find_reference(goal_map, place, new)) is not None}
    return apply(goal_map.text, [reference_edit(goal_map, ref, old) for ref in found.values()]) if found else None


# -- the component
def publish_component(store: Store, record: Record, map_file: MapFile, *, thorough: bool) -> None:
    """Bring the component into its folder, whole and durably (I2), never over another (I9).

    The map must have the old or the new reference, unless that is in an editor's unsaved map. Otherwise, or where a
    file of the same name has another text, SlotChanged is raised.
    """
    header, text = record.header, record.contents.text or b""
    map_file.settle(header.tx)  # first: what the map seems to say may be half of an exchange
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
    """Give the text its name in the folder; False where something else has it (for the `careful`: or its like)."""
    temporary = _temporary(tx)
    there = _what_is_there(folder, name, text, careful=careful)
    if there == "nothing":
        write_whole(folder, temporary, text, mode=0o666)
        if not folder.move_new(temporary, name):
            there = _what_is_there(folder, name, text, careful=careful)
    folder.unlink(temporary)  # of this run, or of one that was killed
    if there == "other":
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
    """Return a test of names for a new component: taken by a file, by its like on another system, or by a reference."""
    return lambda name: (
        same_for_some_systems(name) in taken
        or (_may_hold(goal_map.text, name) and bool(possible_users_of(goal_map, folder, name)))
    )


def _may_hold(text: str, name: str) -> bool:
    """Whether JSON may hold this plain name: as it is, or escaped. Tells most new names at once, under the lock."""
    return name in text or "\\u" in text


def remove_component(store: Store, header: Header, file: str, sha256: str, *, keep: bool = False) -> None:
    """Remove a component, durably, if it still is the text we wrote.

    It is renamed before it is looked at, so that what an editor writes at that moment is seen and put back. `keep` only
    puts it back, where an earlier run died in between.
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
            folder.replace(away, store.parked, f"{header.tx}.{name}")  # and somebody made another one by now
            store.parked.sync()  # what an editor wrote into our component is in no other place
        folder.sync()  # else a power cut brings back what was said to be gone (I3)


def read_component(folder: LibraryDir, name: str) -> bytes | None:
    """Return the bytes of a component; None where there is none: nothing, or a link, a folder, a FIFO, or far too much.

    Raises OSError where the disk does not answer: taking that for an answer would leave an orphan behind.
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
                return  # a job is undone as one; what follows is of the same job, or was committed in between
        store.receipts.unlink(name)  # no fsync: one too many does no harm
