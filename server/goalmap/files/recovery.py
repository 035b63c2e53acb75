"""Recovery of what earlier runs left: finish, park, drop, or keep for later. Idempotent; may be killed anywhere (I10).

A record is acted on only when its owner's lock is free. One whose text is whole is committed as its owner would have
committed it, unless the user has yet to review it: then it waits for `finish` or `discard`. A text that was cut short
is parked; a record without text is dropped. A record that cannot be finished now stays, with the reason.

What was done is in the store's report, which the caller gets before the lock is released (report.py).
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from goalmap.core.usage import possible_users_of
from goalmap.files import undo_step
from goalmap.files.atomic import MapFile, write_whole
from goalmap.files.commit import (
    commit_record,
    has_reference,
    let_go,
    remove_component,
    without_reference,
)
from goalmap.files.errors import CommitRefused, MapUnreadable, NotCommitted, SlotChanged, explain
from goalmap.files.journal import Damaged, Header, Record, peek, record_names
from goalmap.files.os_layer import LibraryDir
from goalmap.files.report import NOTHING_INTERRUPTED, Interrupted, MapChange, Parked, Pending
from goalmap.files.store import (
    JOURNAL,
    LOCK_WAIT_S,
    STATE,
    LockBusy,
    Store,
    digest,
    fallback_folder,
    has_records,
    locked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from goalmap.files.journal import Contents
    from goalmap.files.report import Tell

AWAITS_REVIEW: Final = "it waits for your review"
Result = TypeVar("Result")

_DYING_S: Final = 2.0
_PAUSE_S: Final = 0.005


def recover(root: str, *, tell: Tell, finish_buffered: bool = False, lock_timeout_s: float = LOCK_WAIT_S) -> None:
    """Finish what earlier runs left in the library at `root`; `tell` gets a report of what was done.

    `finish_buffered` also commits on disk what waits for an editor to save the map: only for a user who asks for it.
    Raises CommitRefused where the library cannot be locked or written.
    """
    if not has_records(root):
        return
    try:
        with locked(root, timeout_s=lock_timeout_s, tell=tell) as store:
            recover_locked(store, finish_buffered=finish_buffered)
    except LockBusy as error:
        raise CommitRefused(f"Not recovered: {error}.") from error
    except OSError as error:
        raise CommitRefused(f"Not recovered: {explain(error)}; then run `goalmap recover`.") from error


def recover_locked(store: Store, *, finish_buffered: bool = False, own_tx: str = "") -> list[Pending]:
    """As `recover`, within the lock; return the records that still wait, those of living owners included.

    `own_tx` is a record that the caller itself holds, and is skipped.
    """
    waiting: list[Pending] = []
    for folder in _record_folders(store):
        for name in record_names(folder):
            if name != f"{own_tx}.gmj":
                waiting += _recover_one(store, folder, name, finish_buffered=finish_buffered)
    store.report.pending += waiting
    return waiting


def _record_folders(store: Store) -> Iterator[LibraryDir]:
    """Yield the journal, and the folder for texts that could not be saved in it."""
    yield store.journal
    with contextlib.suppress(OSError):
        yield store.enter(LibraryDir.open(fallback_folder(store.root_path)))


def _recover_one(store: Store, folder: LibraryDir, name: str, *, finish_buffered: bool) -> list[Pending]:
    tx = name.removesuffix(".gmj")
    contents: Contents | None = None
    try:
        record = _load(store, folder, name)
        if record is None:
            return [pending_of(tx, peek(folder, name), "it is being written right now", has_owner=True)]
        contents = record.contents
        try:
            reason = _finish(store, record, finish_buffered=finish_buffered)
        finally:
            record.close()
    except (Damaged, MapUnreadable, SlotChanged) as error:
        reason = str(error)
    except OSError as error:
        reason = explain(error)
    return [pending_of(tx, contents, reason)] if reason else []


def _load(store: Store, folder: LibraryDir, name: str) -> Record | None:
    """Open a record; None while its owner is alive.

    The system closes a dead process's descriptors one by one, and may release the library's lock before the record's.
    While we hold the library's lock, a living owner is never in the middle of an exchange of the map. An owner that is
    must be dying, and is waited for: otherwise the version of the map that it displaced could not be put back, once we
    have written a new one.
    """
    end_s = time.monotonic() + _DYING_S
    while True:
        record = Record.load(folder, name)
        if record is not None or time.monotonic() > end_s or not _is_half_done(store, name.removesuffix(".gmj")):
            return record
        time.sleep(_PAUSE_S)


def _is_half_done(store: Store, tx: str) -> bool:
    with contextlib.suppress(SlotChanged, MapUnreadable, OSError), MapFile(store) as map_file:
        return any(name.startswith(f".goal_map.{tx}.") for name in map_file.folder.names())
    return False


def pending_of(tx: str, contents: Contents | None, reason: str, *, has_owner: bool = False) -> Pending:
    """Return the description of a record that waits."""
    header = contents.header if contents else None
    if contents is None or header is None:
        return Pending(tx, reason, has_owner=has_owner, kind="")
    return Pending(
        tx=tx,
        reason=reason,
        goal=header.goal,
        slot=header.slot,
        index=header.index,
        file=header.old,
        key=header.key,
        component=f"{header.folder}/{contents.file}",
        new_file=contents.file,
        is_buffered=contents.is_buffered,
        is_reviewed=contents.awaits_review,
        has_owner=has_owner,
        others=header.others,
        kind=header.kind,
    )


def _finish(store: Store, record: Record, *, finish_buffered: bool) -> str:
    """Finish a record; return the reason if it has to wait, else an empty string."""
    contents, header = record.contents, record.contents.header
    record.make_durable()
    if header is None and not contents.has_lost_text:
        record.drop()  # its maker died while making it: nothing was paid for
        store.report.dropped.append(record.name)
    elif header is None:
        raise Damaged(f"its beginning is damaged; what it holds can be read in {record.path}")
    elif header.kind == "undo":
        place = undo_step.finish_undo(store, record)  # it may replace `store.report`
        store.report.undone.append(place)
    elif header.kind == "undo-job":
        undo_step.finish_undo_job(store, record)
    elif contents.text is None and not contents.raw and not contents.refused and not contents.has_lost_text:
        record.drop()
        store.report.dropped.append(record.name)
    elif contents.text is None:
        park(store, record, "the model's answer was cut short", is_told=True)
    elif contents.awaits_review:
        return AWAITS_REVIEW
    elif contents.is_buffered and not finish_buffered and not _is_saved(store, header, contents.file):
        return "the map with its reference was not saved in the editor"
    else:
        _commit(store, record)
    return ""


def _commit(store: Store, record: Record) -> None:
    temporary = _parking(record.header.tx)
    if store.parked.lstat(temporary) is not None:  # killed while it parked, and the map is the old one again
        store.parked.unlink(temporary)
        store.parked.sync()  # before the record goes, which alone tells whose it is (I3)
    try:
        committed = commit_record(store, record, thorough=True)
    except SlotChanged as error:
        park(store, record, str(error), is_told=True)
    else:
        store.report.finished.append(committed)


def _is_saved(store: Store, header: Header, file: str) -> bool:
    """Whether the map on disk has the reference that went through an editor's buffer, which may still be unsaved."""
    with MapFile(store) as map_file:
        goal_map = map_file.parse(map_file.read().text)
    return header.naming == "autogen" and has_reference(goal_map, header, file)


def _parking(tx: str) -> str:
    return f".{tx}.tmp"


def park(
    store: Store, record: Record, reason: str, *, label: Literal["", "partial", "refused"] = "", is_told: bool = False
) -> Parked:
    """Keep the record's text in `parked/`, durably, and then remove everything else of it (I3, I4).

    `label` is part of the file's name for a text that was not accepted; empty means `partial`. Replies that were
    rejected before the model was asked again are kept beside it. `is_told`: add it to the report, for a caller that
    does not return it.
    """
    header, contents = record.header, record.contents
    is_whole = contents.text is not None
    kept: list[tuple[str, bytes]] = []
    if not is_whole:
        attempts = [attempt for attempt in contents.refused if attempt]
        kept = [(f".refused-{number}", attempt) for number, attempt in enumerate(attempts, 1)]
    if contents.has_lost_text and not contents.raw and not is_whole:
        kept.append((".damaged", record.data(whole=True)))  # all that can be read of the record
    elif contents.raw or is_whole or not kept:
        last = contents.raw if contents.text is None else contents.text
        kept.append(("" if is_whole else f".{label or 'partial'}", last))
    names = [_park_one(store, record, name_end, data) for name_end, data in kept]
    store.parked.sync()  # before the record and the component are removed: one copy must survive a power cut
    if is_whole:
        _remove_published(store, record)
    *earlier, path = (os.path.join(store.parked.path, name) for name in names)
    parked = Parked(path, reason, header.goal, header.slot, header.index, is_whole, tuple(earlier))
    if is_told and names[-1] not in contents.told:
        store.report.parked.append(parked)
    let_go(store, record)
    return parked


def _park_one(store: Store, record: Record, name_end: str, data: bytes) -> str:
    tx, temporary = record.header.tx, _parking(record.header.tx)
    stem = os.path.splitext(os.path.basename(record.contents.file))[0].encode()[:150].decode("utf-8", "ignore")
    name = f"{stem}.{tx}{name_end}.txt"
    write_whole(store.parked, temporary, data)
    store.parked.replace(temporary, store.parked, name)
    return name


def _remove_published(store: Store, record: Record) -> None:
    """Remove the published component of a text that is now parked, unless the map names it or somebody changed it."""
    header, contents = record.header, record.contents
    try:
        with MapFile(store) as map_file:
            map_file.settle(header.tx)
            map_file.folder.sync()  # before the record goes, which alone tells whose the temporary files are (I3)
            goal_map = map_file.parse(map_file.read().text)
        if not possible_users_of(goal_map, header.folder, contents.file):
            remove_component(store, header, contents.file, digest(contents.text or b""))
    except (SlotChanged, MapUnreadable):
        return  # a link leaves the library, so nothing of ours is there; or the map cannot be read


# -- for the diagnostic `generation.interrupted`
def pending(root: str, *, lock_timeout_s: float = 1.0) -> list[Pending]:
    """Return the records that wait in the library at `root` and whose owners are dead; changes nothing.

    Empty where another process holds the lock for longer than `lock_timeout_s`.
    """
    found = _look_at_records(root, lock_timeout_s, None)
    return [one for one in found.records if not one.has_owner] if found else []


def newest_pending(root: str, *, at_most: int) -> Interrupted | None:
    """As `pending`, but only the newest records, those of living owners included, and without waiting for the lock.

    None while another process holds it.
    """
    return _look_at_records(root, 0.0, at_most)


def _look_at_records(root: str, lock_timeout_s: float, at_most: int | None) -> Interrupted | None:
    """Read the records within the library's lock: reading locks each, and recovery would think that its owner lives."""
    if not has_records(root):
        return NOTHING_INTERRUPTED
    found: list[Pending] = []
    more = 0
    try:
        with locked(root, timeout_s=lock_timeout_s, tell=_nothing) as store:
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
                    reason = AWAITS_REVIEW if record.contents.awaits_review else "it was interrupted"
                    found.append(pending_of(tx, record.contents, reason))
                    record.close()
    except LockBusy:
        return None
    except OSError:
        pass  # a library that cannot be locked cannot be recovered either: return what could be read
    return Interrupted(tuple(found), more)


def _nothing(_: object) -> None:
    """Ignore the report of a time under the lock in which nothing was changed."""


def text_of(root: str, tx: str) -> str | None:
    """Return the complete text of the record `tx`, for a review; None where there is none."""
    for path in (os.path.join(root, STATE, JOURNAL), fallback_folder(root)):
        with contextlib.suppress(OSError), LibraryDir.open(path) as folder:
            contents = peek(folder, f"{tx}.gmj")
            if contents is not None and contents.text is not None:
                return contents.text.decode("utf-8", "replace")
    return None


def pending_one(root: str, tx: str, *, lock_timeout_s: float = LOCK_WAIT_S) -> Pending:
    """Return the record `tx` that waits. Raises NotCommitted if it cannot be read now, CommitRefused if it is gone."""
    return _with_record(root, tx, _nothing, lock_timeout_s, lambda _, record: pending_of(tx, record.contents, ""))


def finish(root: str, tx: str, *, tell: Tell, lock_timeout_s: float = LOCK_WAIT_S) -> bool:
    """Commit the interrupted generation `tx` on disk, whether or not an editor was to save it or a user to review it.

    Return False where the reference is gone and the text was parked, which is reported. Raises NotCommitted, or
    CommitRefused where there is no such record.
    """
    return _with_record(root, tx, tell, lock_timeout_s, _finish_now)


def _finish_now(store: Store, record: Record) -> bool:
    if record.contents.awaits_review:
        record.approve()  # before the commit: if this process dies in it, recovery goes on without a review
    _finish(store, record, finish_buffered=True)
    return not any(record.name.removesuffix(".gmj") in parked.path for parked in store.texts_parked)


def discard(root: str, tx: str, *, tell: Tell, lock_timeout_s: float = LOCK_WAIT_S) -> None:
    """Give up the interrupted generation `tx` and park its text, which was paid for. Raises the errors of `finish`.

    Where its reference is in an editor's buffer, the caller must remove it there first: else the user could save a map
    that names a missing component (I2).
    """
    _with_record(root, tx, tell, lock_timeout_s, _discard)


def _discard(store: Store, record: Record) -> None:
    contents, header = record.contents, record.contents.header
    if header is None and contents.has_lost_text:
        raise CommitRefused(
            f"It is damaged, and was not discarded. What it holds can be read in {record.path}: remove that."
        )
    if header is not None and header.kind != "generate":
        raise CommitRefused("This is an interrupted change of the map, and no text: `goalmap recover` finishes it.")
    record.make_durable()
    if header is not None and contents.text is not None and header.naming == "autogen":
        # The map on disk may have the reference: saved by the editor, or written by the process that died.
        with MapFile(store) as map_file:
            map_file.settle(header.tx)
            if has_reference(map_file.parse(map_file.read().text), header, contents.file):
                map_file.replace(
                    header.tx,
                    lambda text: without_reference(map_file.parse(text), header.places, contents.file, header.old),
                )
                store.report.changes += [MapChange(place, contents.file, header.old) for place in header.places]
    if header is not None and (contents.raw or contents.refused or contents.text is not None):
        park(store, record, "it was discarded", is_told=True)
    else:
        record.drop()
        store.report.dropped.append(record.name)


def _with_record(
    root: str, tx: str, tell: Tell, lock_timeout_s: float, act: Callable[[Store, Record], Result]
) -> Result:
    try:
        with locked(root, timeout_s=lock_timeout_s, tell=tell) as store:
            for folder in _record_folders(store):
                if f"{tx}.gmj" not in record_names(folder):
                    continue
                record = _load(store, folder, f"{tx}.gmj")
                if record is None:
                    raise NotCommitted("This generation is still running. Cancel it, or wait for it to end.")
                with contextlib.closing(record):
                    return act(store, record)
    except LockBusy as error:
        raise NotCommitted(f"Not finished: {error}.") from error
    except OSError as error:
        raise NotCommitted(f"Not finished: {explain(error)}; then try again.") from error
    except (Damaged, MapUnreadable, SlotChanged) as error:
        raise NotCommitted(f"Not finished: {error}; then try again.") from error
    raise CommitRefused("There is no such interrupted generation any more.")
