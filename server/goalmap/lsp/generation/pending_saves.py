"""Components that are written while the map that is to name them is not saved.

The reference goes into the editor's buffer, and the record of the commit stays until the disk has it. Whoever throws
the buffer away finds the record again, as an interrupted generation that can be finished or discarded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from goalmap.core.goal_map import parse
from goalmap.core.text import visible
from goalmap.files.errors import CommitError
from goalmap.files.report import MapChange
from goalmap.lsp.enums import MessageType
from goalmap.lsp.generation.buffers import find_at, set_in_buffer
from goalmap.lsp.generation.recovery import teller
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.files.report import Pending, Place
    from goalmap.workflows import GenerateRequest, Outcome, PendingSave


@dataclass(eq=False)
class _Entry:
    """A component that waits. While `is_placing`, its reference is on the way into the buffer."""

    library: LibraryState
    job: str
    outcome: Outcome
    waiting: PendingSave
    places: tuple[Place, ...]
    is_placing: bool = True

    @property
    def is_in_buffer(self) -> bool:
        """Whether a buffer that may yet be saved names the component."""
        file = self.outcome.file or ""
        is_open = self.library.document is not None
        return is_open and any(find_at(self.library.goal_map, place, file) is not None for place in self.places)


class PendingSaves:
    """Keeps what waits for an editor to save its map."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entries: list[_Entry] = []
        self._settling = asyncio.Lock()
        self._edits: set[asyncio.Future[bool]] = set()
        self._is_ending = False
        session.save_listeners.append(self._settle_soon)
        session.change_listeners.append(self._let_go_soon)

    def _of(self, library: LibraryState) -> list[_Entry]:
        return [entry for entry in self._entries if entry.library is library]

    # -- into the buffer ----------------------------------------------------------------------------------------------
    async def place(self, library: LibraryState, job: str, request: GenerateRequest, outcome: Outcome) -> Outcome:
        """Put the reference of an outcome that is pending-save into the editor's buffer; return what became of it."""
        assert outcome.waiting is not None  # noqa: S101 - what pending-save means
        assert outcome.file is not None  # noqa: S101 - as above
        self._session.refresh(
            library
        )  # the component is there: the reference to it must not be marked, not for a moment
        # Before the edit: its user may save sooner than the editor tells of the change.
        entry = _Entry(library, job, outcome, outcome.waiting, request.places)
        self._entries.append(entry)
        changes = [MapChange(place, request.file, outcome.file) for place in request.places]
        done = await self._edit(library, changes)
        if done is None:
            return outcome
        settled = await self._settle(entry)
        if settled is not None:
            return settled
        if not done and library.document is None and await self._take_out(entry):
            return await self._finish_on_disk(library, outcome)
        entry.is_placing = False
        self._let_go_soon(library)
        if done:
            return outcome
        where = f"{visible(request.slot)} of {visible('/'.join(request.goal))}"
        return replace(
            outcome,
            kind="conflict",
            message=f"{visible(outcome.file)} is written, but {where} has changed in the editor, or the editor did not "
            f"take the edit. Write {visible(outcome.file)} there yourself and save, or discard it by the quick fix.",
        )

    async def _edit(self, library: LibraryState, changes: list[MapChange]) -> bool | None:
        """As `set_in_buffer`; None where the session ends meanwhile, and the record waits for the next one."""
        if self._is_ending:
            return None
        edit = asyncio.ensure_future(set_in_buffer(self._session, library, changes))
        self._edits.add(edit)
        edit.add_done_callback(self._edits.discard)
        try:
            return await edit
        except asyncio.CancelledError:
            return None

    def stop_editing(self) -> None:
        """Wait no longer for edits: an editor that shuts the server down tells of no change any more."""
        self._is_ending = True
        for edit in self._edits:
            edit.cancel()

    # -- saved --------------------------------------------------------------------------------------------------------
    def _settle_soon(self, library: LibraryState) -> None:
        """Look whether the disk has by now what a buffer had to be saved for."""
        if self._of(library):
            self._session.server.protocol.run_in_background(self._settle_saved(library), "settle")

    async def _settle_saved(self, library: LibraryState) -> None:
        await self._settle_all(self._of(library))
        self._session.refresh_and_publish(library)

    async def _settle_all(self, entries: list[_Entry]) -> None:
        for entry in entries:
            outcome = await self._settle(entry)
            if outcome is not None and outcome.kind != "committed":
                self._session.show_message(MessageType.WARNING, outcome.message)

    async def _settle(self, entry: _Entry) -> Outcome | None:
        """Return how a commit ended whose map has been saved; None while it waits, or where somebody saw to it."""
        async with self._settling:
            if entry not in self._entries:
                return None
            outcome = await entry.waiting.settle(is_in_buffer=entry.is_in_buffer)
            if outcome is not None:
                self._entries.remove(entry)
            return outcome

    async def _take_out(self, entry: _Entry, *, condition: Callable[[_Entry], bool] = lambda _: True) -> bool:
        """Let go of an entry and its record; False where somebody saw to it, such as a save that has just settled it.

        Within the same lock as `_settle`: a record that is closed while it is being settled would be nobody's.
        """
        async with self._settling:
            if entry not in self._entries or not condition(entry):
                return False
            self._entries.remove(entry)
            await asyncio.to_thread(entry.waiting.close)
            return True

    async def end(self) -> None:
        """Read the disk for the last time: editors that save and quit at once give no other chance."""
        await self._settle_all(list(self._entries))
        for entry in list(self._entries):
            await self._take_out(entry)

    # -- thrown away --------------------------------------------------------------------------------------------------
    def _let_go_soon(self, library: LibraryState) -> None:
        if any(self._is_thrown_away(entry) for entry in self._of(library)):
            self._session.server.protocol.run_in_background(self._let_go(library), "let go")

    def _is_thrown_away(self, entry: _Entry) -> bool:
        """Whether no buffer has changes any more that could come to disk."""
        document = entry.library.document
        return not entry.is_placing and (document is None or not self._session.is_dirty(document))

    async def _let_go(self, library: LibraryState) -> None:
        """Report as interrupted the generations whose edit was discarded."""
        await self._settle_all(self._of(library))
        for entry in self._of(library):
            # Others that let go at the same time, or settle, may have seen to it while this one waited.
            await self._take_out(entry, condition=self._is_thrown_away)
        self._session.refresh_and_publish(library)

    # -- taken back ---------------------------------------------------------------------------------------------------
    def newest_job(self, library: LibraryState) -> str | None:
        """Return the job of what has begun to wait last; None where nothing waits."""
        return next((one.job for one in reversed(self._of(library))), None)

    def txs_of(self, library: LibraryState, job: str) -> list[str]:
        """Return what waits of `job`."""
        return [one.outcome.tx or "" for one in self._of(library) if one.job == job]

    async def take_back(self, library: LibraryState, job: str) -> bool | None:
        """Undo what waits of `job`, the last first: its edit leaves the buffer, and then its component goes.

        Return whether all of that could be done; None where nothing such waits.
        """
        entries = [one for one in reversed(self._of(library)) if one.job == job]
        results = [
            await self.discard(library, entry.outcome.tx or "") for entry in entries if await self._take_out(entry)
        ]
        self._session.refresh_and_publish(library)
        return all(results) if results else None

    async def discard(self, library: LibraryState, tx: str) -> bool:
        """Give up the interrupted generation `tx`; return whether that could be done. What was done is told.

        First the reference in the buffer becomes the old one again: saved as it is, it would name what is removed (I2).
        """
        from goalmap.files import recovery

        try:
            record = await asyncio.to_thread(recovery.pending_one, library.root, tx)
        except CommitError as error:  # nothing is discarded whose place in the buffer nobody knows
            self._session.show_message(MessageType.WARNING, str(error))
            return False
        changes = await self._put_back(library, record)
        if changes is None:
            what, old = visible(record.new_file), visible(record.file)
            message = f"Nothing was discarded: the editor did not take the edit. Write {old} for {what}."
            self._session.show_message(MessageType.WARNING, message)
            return False
        try:
            await asyncio.to_thread(recovery.discard, library.root, tx, tell=teller(self._session, library))
        except CommitError as error:
            self._session.show_message(MessageType.WARNING, str(error))
            await self._take_again(library, changes)
            return False
        return True

    async def _take_again(self, library: LibraryState, changes: list[MapChange]) -> None:
        """Have the buffer name what was not discarded after all, if another process has committed it meanwhile."""
        on_disk = await self._session.on_disk(library, partial(self._session.disk_text, library.map_path))
        goal_map = parse(on_disk or "")
        back = [
            MapChange(change.place, change.new, change.old)
            for change in changes
            if find_at(goal_map, change.place, change.old) is not None
        ]
        if back and library.document is not None:
            await set_in_buffer(self._session, library, back)

    async def _put_back(self, library: LibraryState, record: Pending) -> list[MapChange] | None:
        """Have the buffer name the old references again wherever it names the component; return what changed there.

        None where the editor does not take the edit.
        """
        changes = [
            MapChange(place, record.new_file, record.file)
            for place in record.places
            if record.new_file != record.file and find_at(library.goal_map, place, record.new_file) is not None
        ]
        if library.document is None or not changes:
            return []
        return changes if await set_in_buffer(self._session, library, changes) else None

    async def _finish_on_disk(self, library: LibraryState, outcome: Outcome) -> Outcome:
        """Commit on disk after all: the map was closed before it could take the edit."""
        from goalmap.files import recovery

        try:
            tell = teller(self._session, library, own_tx=outcome.tx or "")
            is_committed = await asyncio.to_thread(recovery.finish, library.root, outcome.tx or "", tell=tell)
        except CommitError as error:
            return replace(outcome, kind="failed", message=str(error), waiting=None)
        if not is_committed:
            message = "The map was closed, and on disk it has no place for the text: it is parked, and not committed."
            return replace(outcome, kind="conflict", message=message, component_path=None, waiting=None)
        return replace(outcome, kind="committed", message=f"Committed {visible(outcome.file or '')}.", waiting=None)
