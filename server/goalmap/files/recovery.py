"""What earlier runs left: finished, parked, dropped, or kept for later. Idempotent; may be killed anywhere (I10).

A record is acted on only when its owner's lock is free. One whose text is whole is committed as its owner would have
committed it; a text that was cut short is parked; a record without text is dropped. What cannot be done now stays, with
the reason.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from goalmap.files import undo as undoing
from goalmap.files.atomic import MapFile, write_whole
from goalmap.files.commit import Committed, commit_record, find_reference, remove_component, users_of
from goalmap.files.errors import NotCommitted, Refused, SlotChanged, Unreadable, explain
from goalmap.files.interrupted import NOTHING, Interrupted
from goalmap.files.journal import Damaged, Header, Record, peek, record_names
from goalmap.files.os_layer import Folder
from goalmap.files.store import LOCK_WAIT_S, LockBusy, Store, digest, fallback_folder, has_records, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from goalmap.files.journal import Contents


@dataclass(frozen=True)
class Parked:
    """A text that is kept in the file `path`, and why it is not in the library."""

    path: str
    reason: str
    goal: tuple[str, ...]
    slot: str
    index: int | None


@dataclass(frozen=True)
class Pending:
    """A record that waits. `is_buffered`: for the editor's map to be saved. `has_owner`: for a process that lives."""

    tx: str
    reason: str
    goal: tuple[str, ...] = ()
    slot: str = ""
    index: int | None = None
    file: str = ""
    key: str = ""
    component: str = ""
    is_buffered: bool = False
    has_owner: bool = False


@dataclass
class RecoveryReport:
    """What recovery did: commits and undos it finished, texts it parked, empty records it dropped, what still waits."""

    finished: list[Committed] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def recover(root: str, *, finish_buffered: bool = False, lock_timeout_s: float = LOCK_WAIT_S) -> RecoveryReport:
    """Finish what earlier runs left in the library at `root`.

    `finish_buffered` also commits on disk what an editor's unsaved map was to take: for a user who asks for it. An
    empty journal costs two looks at the disk. Raises Refused where the library cannot be worked in.
    """
    if not has_records(root):
        return RecoveryReport()
    try:
        with locked(root, timeout_s=lock_timeout_s) as store:
            return recover_locked(store, finish_buffered=finish_buffered)
    except LockBusy as error:
        raise Refused(f"Not recovered: {error}.") from error
    except OSError as error:
        raise Refused(f"Not recovered: {explain(error)}; then run `goalmap recover`.") from error


def recover_locked(store: Store, *, finish_buffered: bool = False) -> RecoveryReport:
    """As `recover`, within the lock. Records with living owners are listed as pending, and left alone."""
    report = RecoveryReport()
    for folder in _record_folders(store):
        for name in record_names(folder):
            _recover_one(store, folder, name, report, finish_buffered=finish_buffered)
    return report


def _record_folders(store: Store) -> Iterator[Folder]:
    """Give the journal, and the folder of the user's where texts are saved that no journal could take."""
    yield store.journal
    with contextlib.suppress(OSError):
        yield store.enter(Folder.open(fallback_folder(store.root_path)))


def _recover_one(store: Store, folder: Folder, name: str, report: RecoveryReport, *, finish_buffered: bool) -> None:
    tx = name.removesuffix(".gmj")
    contents: Contents | None = None
    try:
        record = Record.load(folder, name)
        if record is None:
            contents = peek(folder, name)
            report.pending.append(_pending(tx, contents, "it is being written right now", has_owner=True))
            return
        contents = record.contents
        try:
            _finish(store, record, report, finish_buffered=finish_buffered)
        finally:
            record.close()
    except (Damaged, Unreadable, SlotChanged) as error:
        report.pending.append(_pending(tx, contents, str(error)))
    except OSError as error:
        report.pending.append(_pending(tx, contents, explain(error)))


def _pending(tx: str, contents: Contents | None, reason: str, *, has_owner: bool = False) -> Pending:
    header = contents.header if contents else None
    if contents is None or header is None:
        return Pending(tx, reason, has_owner=has_owner)
    return Pending(
        tx=tx,
        reason=reason,
        goal=header.goal,
        slot=header.slot,
        index=header.index,
        file=header.old,
        key=header.key,
        component=f"{header.folder}/{contents.file}",
        is_buffered=contents.is_buffered,
        has_owner=has_owner,
    )


def _finish(store: Store, record: Record, report: RecoveryReport, *, finish_buffered: bool) -> None:
    contents, header = record.contents, record.contents.header
    record.make_durable()
    if header is None and not contents.has_lost_text:
        record.drop()  # its maker died while making it: nothing was paid for
        report.dropped.append(record.name)
    elif header is None:
        raise Damaged(f"its beginning is damaged; what it holds can be read in {record.path}")
    elif header.kind == "edit":
        with MapFile(store) as map_file:
            map_file.settle(header.tx)
            map_file.folder.sync()  # before the record goes, which alone tells whose the temporary files are (I3)
            report.warnings += map_file.warnings
        record.drop()
    elif header.kind == "undo":
        report.undone.append(undoing.finish_undo(store, record))
    elif contents.text is None and not contents.raw and not contents.has_lost_text:
        record.drop()
        report.dropped.append(record.name)
    elif contents.text is None:
        report.parked.append(park(store, record, "the model's answer was cut short"))
    elif contents.is_buffered and not finish_buffered and _waits_for_editor(store, header, contents.file):
        report.pending.append(_pending(header.tx, contents, "the map with its reference was not saved in the editor"))
    else:
        _commit(store, record, report)


def _commit(store: Store, record: Record, report: RecoveryReport) -> None:
    temporary = _parking(record.header.tx)
    if store.parked.lstat(temporary) is not None:  # killed while it parked, and the map is the old one again
        store.parked.unlink(temporary)
        store.parked.sync()  # before the record goes, which alone tells whose it is (I3)
    try:
        committed = commit_record(store, record, thorough=True)
    except SlotChanged as error:
        report.parked.append(park(store, record, str(error)))
    else:
        report.finished.append(committed)
        report.warnings += committed.warnings


def _waits_for_editor(store: Store, header: Header, file: str) -> bool:
    with MapFile(store) as map_file:
        goal_map = map_file.parse(map_file.read().text)
    named = header.naming == "autogen" and find_reference(goal_map, header, file)
    return not named and (header.unsaved or find_reference(goal_map, header, header.old) is not None)


def _parking(tx: str) -> str:
    return f".{tx}.tmp"


def park(store: Store, record: Record, reason: str) -> Parked:
    """Keep the record's text among the parked ones, durably, and then remove everything else of it (I3, I4)."""
    header, contents = record.header, record.contents
    data = contents.raw if contents.text is None else contents.text
    stem = os.path.splitext(os.path.basename(contents.file))[0][:80]
    name = f"{stem}.{header.tx}{'.partial' if contents.text is None else ''}.txt"
    temporary = _parking(header.tx)
    write_whole(store.parked, temporary, data)
    store.parked.replace(temporary, store.parked, name)
    store.parked.sync()  # before the record and the component go: one of them must be there after a power cut
    if contents.text is not None:
        _remove_published(store, record)
    record.drop()
    return Parked(os.path.join(store.parked.path, name), reason, header.goal, header.slot, header.index)


def _remove_published(store: Store, record: Record) -> None:
    """Remove what an earlier run published of a text that is parked, unless somebody changed it or the map names it."""
    header, contents = record.header, record.contents
    try:
        with MapFile(store) as map_file:
            map_file.settle(header.tx)
            map_file.folder.sync()  # as for an edit
            goal_map = map_file.parse(map_file.read().text)
        if not users_of(goal_map, header.folder, contents.file):
            remove_component(store, header, contents.file, digest(contents.text or b""))
    except (SlotChanged, Unreadable):
        return  # led out of the library, where nothing of ours can be; or nobody can tell whether the map names it


# -- for the diagnostic `generation.interrupted`
def pending(root: str, *, lock_timeout_s: float = 1.0) -> list[Pending]:
    """Return the records that wait in the library at `root` and whose owners are gone; changes nothing.

    Where another process keeps the lock for longer than `lock_timeout_s` the answer is empty: ask again at the next
    change.
    """
    found = _look_at_records(root, lock_timeout_s, None)
    return [one for one in found.records if not one.has_owner] if found else []


def newest_pending(root: str, *, at_most: int) -> Interrupted | None:
    """As `pending`, but of the newest records only, those whose owners live among them, and without waiting.

    None while another process is at work in the library.
    """
    return _look_at_records(root, 0.0, at_most)


def _look_at_records(root: str, lock_timeout_s: float, at_most: int | None) -> Interrupted | None:
    """Look at records within the lock: recovery would take a record that is looked at for one whose owner lives."""
    if not has_records(root):
        return NOTHING
    found: list[Pending] = []
    more = 0
    try:
        with locked(root, timeout_s=lock_timeout_s) as store:
            names = [(name, folder) for folder in _record_folders(store) for name in record_names(folder)]
            if at_most is not None and len(names) > at_most:
                more = len(names) - at_most
                names = sorted(names, key=lambda named: named[0])[-at_most:]
            for name, folder in names:
                tx = name.removesuffix(".gmj")
                try:
                    record = Record.load(folder, name)
                except (Damaged, OSError) as error:
                    found.append(Pending(tx, explain(error) if isinstance(error, OSError) else str(error)))
                    continue
                if record is None:
                    found.append(Pending(tx, "it is being written right now", has_owner=True))
                else:
                    found.append(_pending(tx, record.contents, "it was interrupted"))
                    record.close()
    except LockBusy:
        return None
    except OSError:
        pass  # a library that cannot be locked cannot be recovered either: what could be read is all there is to say
    return Interrupted(tuple(found), more)


def finish(root: str, tx: str, *, lock_timeout_s: float = LOCK_WAIT_S) -> RecoveryReport:
    """Commit the interrupted generation `tx` on disk, whatever an editor was to do with it. Raises NotCommitted."""
    return _with_record(
        root, tx, lock_timeout_s, lambda store, record, report: _finish(store, record, report, finish_buffered=True)
    )


def discard(root: str, tx: str, *, lock_timeout_s: float = LOCK_WAIT_S) -> RecoveryReport:
    """Give up the interrupted generation `tx`; its text is parked, since it was paid for. Raises NotCommitted."""
    return _with_record(root, tx, lock_timeout_s, _discard)


def _discard(store: Store, record: Record, report: RecoveryReport) -> None:
    record.make_durable()
    if record.contents.header is not None and (record.contents.raw or record.contents.text is not None):
        report.parked.append(park(store, record, "it was discarded"))
    else:
        record.drop()
        report.dropped.append(record.name)


def _with_record(
    root: str, tx: str, lock_timeout_s: float, act: Callable[[Store, Record, RecoveryReport], None]
) -> RecoveryReport:
    report = RecoveryReport()
    try:
        with locked(root, timeout_s=lock_timeout_s) as store:
            for folder in _record_folders(store):
                if f"{tx}.gmj" not in record_names(folder):
                    continue
                record = Record.load(folder, f"{tx}.gmj")
                if record is None:
                    raise NotCommitted("This generation is still running. Cancel it, or wait for it to end.")
                with contextlib.closing(record):
                    act(store, record, report)
                return report
    except LockBusy as error:
        raise NotCommitted(f"Not finished: {error}.") from error
    except OSError as error:
        raise NotCommitted(f"Not finished: {explain(error)}; then try again.") from error
    except (Damaged, Unreadable, SlotChanged) as error:
        raise NotCommitted(f"Not finished: {error}; then try again.") from error
    raise Refused("There is no such interrupted generation any more.")
