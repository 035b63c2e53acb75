"""The commit of a generated component: two files changed as one, and nothing that was paid for lost.

Whatever happens (a kill, a full disk, a power cut, another editor, a git checkout), these hold:

I1   The map on disk is byte for byte an old or a new whole version. Never torn, never missing.
I2   The map never names a generated component that is not on disk in full.
I3   After recovery nothing of ours is left behind: no orphan, no temporary file, no record.
I4   Once the model's text has arrived it is in the library after recovery, or readable where the message said. A text
     that was cut short is parked as partial.
I5   One request per description: a retry, a second click, a restart after a crash find the record, and do not call the
     model again.
I6   Mode, owner and link of the map survive; the edit changes one string and no other byte.
I7   No update is lost: commits at the same time, and what editors and git write between our read and our rename,
     survive in the map, or (never silently) among the parked files.
I8   "Committed" is said only after the last fsync; what was said to be committed survives a power cut.
I9   A component of the user's is never overwritten, nor a file outside the library written.
I10  Recovery is idempotent and may be killed anywhere; it never redoes what the user has undone.
I11  What a recovery, an undo or somebody else's commit did is told to someone who can act on it, exactly once. What it
     parked is told at least once where the teller dies in between; what it finished shows in the map. A request is
     judged by the map on disk, the receipts and the buffer before anyone pays.

What is on disk, step by step. Recovery goes on from any of these states, and what it does is on the right:

    (nothing)
      | begin:   1 lock, recover   2 refuse while it is free   3 record, fsync; journal/, fsync; unlock
      v
    EMPTY record  ------------------------------------------------------------------------->  dropped
      | append, restart:   4 pieces, as the model writes
      v
    PARTIAL record  ----------------------------------------------------------------------->  parked as partial
      | finish:  the accepted text in one write, fsync                          (from here I4)
      v
    COMPLETE record, to be reviewed  ------------------------------------------------------->  waits, and is offered
      | approve: its user keeps it                         (or discards it: parked)
      v
    COMPLETE record  <-- commit starts here, under the lock, and so does recovery -->  committed, or (conflict) parked
      | commit:  5 the map is read again: the reference must be the old one, or already ours
      |          6 component: temporary file, fsync; its name, never over another; folder, fsync
      |          7 map: temporary file, fsync; compared, exchanged, looked at; folder, fsync   (THE COMMIT POINT)
      |          8 what was displaced is told (I11); record to receipts/; journal/, fsync    (from here I8)
      v
    COMMITTED, with a receipt  ---- undo ---->  the same backwards, with a record of its own (undo.py)

In an editor whose map is not saved, `publish_component` does 5 and 6 and marks the record BUFFERED; the editor's buffer
takes the edit, and `settle` does 8 once the map on disk has it. Until then recovery leaves the record, and offers it.
Asked again for what waits, `begin` takes the record over, text and all, and no model is asked.

Nobody gets the lock without a function that is told what happens under it (store.py, report.py).

What a killed process has written may be in memory only, so recovery makes a record durable before it acts on it; and
what that process had begun is cleaned up whichever way recovery ends, since the map may have changed in between.

Eight fsyncs in all, each justified where it is called: record, journal/; record; component, its folder; map, its
folder; journal/ (and one more for an approval). After an fsync has failed it is not repeated (the kernel may have
dropped the bytes and say yes the second time), and "committed" is not said.

Steps 5 to 8 are in commit.py, what files must survive in atomic.py, what each system can do in os_layer.py.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goalmap.core.naming import MAP_NAME
from goalmap.files import safe_open
from goalmap.files.atomic import MapFile
from goalmap.files.commit import (
    changes_of,
    commit_record,
    has_reference,
    publish_component,
    result_of,
    settle_record,
)
from goalmap.files.errors import (
    CommitRefused,
    Conflict,
    MapUnreadable,
    NotCommitted,
    SavedElsewhere,
    SlotChanged,
    explain,
)
from goalmap.files.journal import Damaged, Header, Record, peek, receipt_names, record_names
from goalmap.files.plan import plan
from goalmap.files.recovery import park, recover_locked
from goalmap.files.report import Committed
from goalmap.files.store import LOCK_WAIT_S, LockBusy, Store, locked, open_fallback

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal

    from goalmap.core.goal_map import GoalMap
    from goalmap.files.report import Pending, Tell
    from goalmap.files.request import GenerateRequest


@dataclass(frozen=True)
class AlreadyDone:
    """The same request was paid for by an earlier run, and is committed: by that run or by recovery."""

    result: Committed


def begin(request: GenerateRequest, *, tell: Tell, lock_timeout_s: float = LOCK_WAIT_S) -> Generation | AlreadyDone:
    """Do steps 1 to 3; raise CommitRefused, before a model is paid, if the text could not be committed.

    Where an earlier run was paid for the same request, and its text waits for a review or an editor, the Generation
    has that text already. NotCommitted is raised where such a text is kept, but cannot be committed now.

    `tell` gets reports of what recovery does first, and of what happens in later steps of the Generation; also, as
    changes of the map, what of this request is in the map already.
    """
    try:
        if os.path.basename(request.map_path) != MAP_NAME:
            raise CommitRefused(f"A map is called {MAP_NAME}; this is {request.map_path!r}.")
        with locked(request.root, timeout_s=lock_timeout_s, tell=tell) as store:
            waiting = recover_locked(store)
            # Before the buffer is read: it may be older than a commit of the same request (I5).
            done = _done_before(store, request)
            if done is not None:
                return done
            kept = _kept_before(store, request, waiting)
            if kept is not None:
                return Generation(request, kept, tell)
            header = plan(store, request)
            _refuse_if_under_way(request, header, waiting)
            return Generation(request, Record.create(store.journal, header), tell)
    except (LockBusy, SlotChanged, MapUnreadable) as error:
        raise CommitRefused(f"Nothing was generated: {error}.") from error
    except OSError as error:
        raise CommitRefused(f"Nothing was generated: {explain(error)}.") from error


def _done_before(store: Store, request: GenerateRequest) -> AlreadyDone | None:
    """Return the commit of the same request, by any process, if there was one and the library still has it."""
    for committed in store.finished:
        if committed.key == request.key:
            return AlreadyDone(committed)
    for receipt in reversed(receipt_names(store.receipts)):
        contents = peek(store.receipts, receipt)
        if contents is None or contents.header is None or contents.header.key != request.key:
            continue
        header, file = contents.header, contents.file
        path, name = os.path.split(header.path_of(file))
        with contextlib.suppress(OSError, SlotChanged, MapUnreadable), MapFile(store) as map_file:
            on_disk = map_file.read().text
            is_named = has_reference(map_file.parse(on_disk), header, file)
            seen = on_disk if request.map_text is None else request.map_text
            if is_named and _is_another(map_file.parse(seen), request, file):
                continue
            with safe_open.enter(store.root, path) as folder:
                if is_named and folder.lstat(name) is not None:
                    store.report.changes += changes_of(header, file)  # the editor may not have seen them
                    return AlreadyDone(result_of(store, header, file))
    return None


def _is_another(goal_map: GoalMap, request: GenerateRequest, file: str) -> bool:
    """Whether a list holds `file`, and at the request's place the old name once more, as a second reference."""
    goal = goal_map.goal(request.goal)
    references = goal.slots[request.slot].references if goal and request.slot in goal.slots else ()
    if file == request.file:
        return False  # generated under its own name: nothing is missing any more
    at_place = [one.file for one in references if one.index == request.index]
    return request.file in at_place and any(one.file == file for one in references)


def _kept_before(store: Store, request: GenerateRequest, waiting: Sequence[Pending]) -> Record | None:
    """Return the record of the same request whose text waits; raise NotCommitted if it cannot be continued now."""
    for pending in waiting:
        if pending.key != request.key or pending.has_owner:
            continue
        if f"{pending.tx}.gmj" in record_names(store.journal):
            with contextlib.suppress(Damaged):
                record = Record.load(store.journal, f"{pending.tx}.gmj")
                if record is not None and record.contents.text is not None:
                    return record
                if record is not None:
                    record.close()
        raise NotCommitted(
            f"The answer to this request is kept, and not paid for again, but not committed: {pending.reason}. "
            "Save the map or see to the reason, then run `goalmap recover`."
        )
    return None


def _refuse_if_under_way(request: GenerateRequest, header: Header, waiting: Sequence[Pending]) -> None:
    target = f"{header.folder}/{header.file}"
    for pending in waiting:
        if not set(pending.places) & set(request.places) and pending.component != target:
            continue
        if pending.has_owner:
            raise CommitRefused("This component is being generated right now. Wait for it to end, or cancel it.")
        raise CommitRefused(
            f"An earlier answer for this reference waits to be committed ({pending.reason}). "
            "Finish or discard it first: `goalmap recover`."
        )


class Generation:
    """A generation that has begun: its text is kept as it arrives, and committed at the end.

    All methods are synchronous, and to be called from one thread at a time. The library's lock is held only in
    `commit`, `publish_component`, `settle` and `abandon`.
    """

    def __init__(self, request: GenerateRequest, record: Record, tell: Tell) -> None:
        self.request = request
        self.tx = record.header.tx
        self._record = record
        self._tell = tell

    @property
    def text(self) -> str | None:
        """The accepted text, once it is kept; from the beginning where an earlier run was paid for it."""
        text = self._record.contents.text
        return None if text is None else text.decode("utf-8", "replace")

    @property
    def awaits_review(self) -> bool:
        """Whether the user has yet to review the text."""
        return self._record.contents.awaits_review

    @property
    def file(self) -> str:
        """The reference that the map is to have. If a commit finds the name taken, it changes."""
        return self._record.contents.file

    @property
    def component_path(self) -> str:
        """Where the component is to be."""
        return os.path.join(self.request.root, self._record.header.path_of(self.file))

    # -- step 4
    def append(self, chunk: str) -> None:
        """Keep a piece of the reply. An error of the disk is ignored here, since `finish` writes the whole text."""
        with contextlib.suppress(OSError):
            self._record.append(chunk.encode("utf-8", "replace"))

    def restart(self) -> None:
        """Note that the pieces so far are a reply that was rejected: the model is asked again."""
        with contextlib.suppress(OSError):
            self._record.restart()

    def finish(self, text: str) -> None:
        """Keep the accepted text, durably: from here on it is safe. After SavedElsewhere the generation is over."""
        data = text.encode("utf-8", "replace")
        try:
            self._record.finish(data)
        except OSError as error:
            self._save_elsewhere(data, text, error)

    def _save_elsewhere(self, data: bytes, text: str, reason: OSError) -> None:
        try:
            with open_fallback(self.request.root) as folder:
                saved = Record.create(folder, self._record.header)
                with contextlib.closing(saved):
                    saved.finish(data)
        except OSError as error:
            # The record may hold the text in spite of the error, so it stays for recovery to look at.
            self._record.close()
            raise SavedElsewhere(
                f"The text could be saved nowhere ({explain(reason)}; {explain(error)}). It follows; keep it.",
                text=text,
                path=None,
            ) from error
        # Two records of one text would do no harm, but recovery would report the text twice.
        with (
            contextlib.suppress(OSError, LockBusy),
            locked(self.request.root, timeout_s=LOCK_WAIT_S, tell=self._tell) as store,
        ):
            self._record.folder = store.journal
            self._record.drop()
        self._record.close()
        raise SavedElsewhere(
            f"The text is saved in {saved.path}, since the library could not take it: {explain(reason)}. "
            "Then run `goalmap recover`.",
            text=text,
            path=saved.path,
        ) from reason

    def approve(self) -> None:
        """Note, durably, that the user keeps the text: from here on recovery commits it. Raises NotCommitted."""
        if self.awaits_review:
            try:
                self._record.approve()
            except OSError as error:
                self._record.close()
                raise self._not_committed(explain(error)) from error

    # -- steps 5 to 8
    def commit(self, *, lock_timeout_s: float = LOCK_WAIT_S) -> Committed:
        """Commit what `finish` kept. Raises NotCommitted (the record stays for recovery) or Conflict (parked)."""
        with self._committing(lock_timeout_s) as (store, thorough):
            try:
                return commit_record(store, self._record, thorough=thorough)
            except SlotChanged as error:
                raise self._conflict(store, error) from error

    def publish_component(self, *, lock_timeout_s: float = LOCK_WAIT_S) -> str:
        """Publish the component alone, durably, for a map whose edit goes through an editor; return its reference.

        The record stays until `settle`. Errors as for `commit`.
        """
        with self._committing(lock_timeout_s, keep_open=True) as (store, thorough):
            try:
                with MapFile(store) as map_file:
                    self._record.mark_buffered()
                    publish_component(store, self._record, map_file, thorough=thorough)
            except SlotChanged as error:
                raise self._conflict(store, error) from error
        return self.file

    def settle(self, *, is_in_buffer: bool = False, lock_timeout_s: float = LOCK_WAIT_S) -> Committed | None:
        """If the map on disk has the new reference, drop the record and return the commit; else return None.

        `is_in_buffer`: a running editor has the new reference in its buffer, whatever is on disk.
        """
        with self._committing(lock_timeout_s, keep_open=True) as (store, _):
            try:
                return settle_record(store, self._record, is_in_buffer=is_in_buffer)
            except SlotChanged as error:
                raise self._conflict(store, error) from error

    def close(self) -> None:
        """Release the record without dropping it: recovery, or the user's quick fix, will finish it."""
        self._record.close()

    @contextlib.contextmanager
    def _committing(self, lock_timeout_s: float, *, keep_open: bool = False) -> Iterator[tuple[Store, bool]]:
        keep = False
        try:
            with locked(self.request.root, timeout_s=lock_timeout_s, tell=self._tell) as store:
                self._record.folder = store.journal  # the one that is open now
                # Processes that died may have made folders that are not durable yet. Unless recovery finished their
                # records, this commit syncs them.
                waiting = [one for one in recover_locked(store, own_tx=self.tx) if not one.has_owner]
                yield store, bool(waiting)
                keep = keep_open
        except (LockBusy, MapUnreadable, SlotChanged, Damaged) as error:
            raise self._not_committed(str(error)) from error
        except OSError as error:
            raise self._not_committed(explain(error)) from error
        finally:
            if not keep:
                self._record.close()

    def _not_committed(self, reason: str) -> NotCommitted:
        return NotCommitted(
            f"The text is safe in {self._record.path}, but not committed: {reason}. Then run `goalmap recover`."
        )

    def _conflict(self, store: Store, error: SlotChanged) -> Conflict:
        parked = park(store, self._record, str(error))
        return Conflict(f"{error}. Nothing was committed; the text is kept in {parked.path}.", parked=parked.path)

    def abandon(
        self,
        *,
        reason: str = "it was cancelled",
        label: Literal["", "partial", "refused"] = "",
        park_text: bool = True,
        lock_timeout_s: float = LOCK_WAIT_S,
    ) -> str | None:
        """End a generation that was cancelled, rejected or failed; return the files where its text is kept, if any.

        Raises nothing: a record that cannot be removed now is left to recovery.
        """
        contents = self._record.contents
        try:
            with locked(self.request.root, timeout_s=lock_timeout_s, tell=self._tell) as store:
                self._record.folder = store.journal
                # Rejected replies are parked, too, however the last one ended.
                if contents.refused or (park_text and (contents.raw or contents.text is not None)):
                    return park(store, self._record, reason, label=label).paths
                self._record.drop()
        except (LockBusy, MapUnreadable, SlotChanged, Damaged, OSError):
            return None
        finally:
            self._record.close()
        return None
