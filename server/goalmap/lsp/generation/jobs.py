"""Generations under way: from the command to the last message about it."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from pygls.exceptions import JsonRpcException

from goalmap.core.text import visible
from goalmap.lsp.enums import MessageType
from goalmap.lsp.generation.api_key import KeyKeeper
from goalmap.lsp.generation.buffers import belongs_into_buffer
from goalmap.lsp.generation.pending_saves import PendingSaves
from goalmap.lsp.generation.progress import Progress, WordsReporter
from goalmap.lsp.generation.recovery import teller
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.positions import to_uri
from goalmap.lsp.session import Session, SlotPlace

if TYPE_CHECKING:
    from goalmap.generation.local import LocalModel
    from goalmap.generation.model_settings import ModelSettings
    from goalmap.lsp import types
    from goalmap.lsp.extensions import GeneratedParams, ModelChangedParams, ModelInUse
    from goalmap.lsp.types import ShowDocumentParams, ShowMessageRequestParams
    from goalmap.workflows import GenerateRequest, Kind, Outcome, Verdict

log = logging.getLogger(__name__)

_MAX_FOLLOWED: Final = 100
UNDO: Final = "Undo"
COMMIT: Final = "Commit"
DISCARD: Final = "Discard"
_MESSAGE_TYPES: Final[dict[str, types.MessageType]] = {
    "failed": MessageType.ERROR,
    "conflict": MessageType.WARNING,
}
_REVIEWED_CHARACTERS: Final = 600
_OUR_FAULT: Final = "Something went wrong inside of Goalmap: its log says what. What the model wrote is kept."


class Jobs:
    """Runs generations, one task each."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.stored_key = KeyKeeper(session)
        self._tasks: dict[str, asyncio.Future[Any]] = {}
        self.pending_saves = PendingSaves(session)
        self._committed: dict[str, list[str]] = {}  # what can be undone of each job, the newest last
        # One review at a time, and one generation at a time between its look at the map's buffer and what follows its
        # commit there: an edit for a buffer that another edit is on its way to would be for a text that is gone.
        self._reviewing = asyncio.Lock()
        self._local: LocalModel | None = None
        session.settings_listeners.append(self.tell_model)

    # -- starting and stopping ----------------------------------------------------------------------------------------
    def start(self, library: LibraryState, request: GenerateRequest) -> str:
        """Begin a generation and return its job's id; the same id where this one is under way already."""
        running = self._running(request)
        if running is not None:
            return running
        job = self._claim([request])
        self._spawn(job, self._run_one(job, library, replace(request, job=job)))
        return job

    def start_all(self, library: LibraryState, requests: Sequence[GenerateRequest], *, skipped: int) -> str | None:
        """Begin a generation of each component, and return the id of the one job that they are.

        Those that are under way already are left to the job that they belong to; None where all are. `skipped` is how
        many were left out by choice, for the summary.
        """
        left = [request for request in requests if self._running(request) is None]
        if not left:
            return None
        job = self._claim(left)
        left = [replace(request, job=job) for request in left]
        self._spawn(job, self._run_all(job, library, left, skipped + len(requests) - len(left)))
        return job

    def _claim(self, requests: Sequence[GenerateRequest]) -> str:
        job = uuid.uuid4().hex
        self.session.jobs.update((place, job) for request in requests for place in _places(request))
        return job

    def _running(self, request: GenerateRequest) -> str | None:
        """Return the job that generates for one of the request's places; None where none does."""
        return next((job for place in _places(request) if (job := self.session.jobs.get(place))), None)

    def _spawn(self, job: str, work: Coroutine[Any, Any, None]) -> None:
        task = self.session.server.protocol.run_in_background(work, "generation")
        self._tasks[job] = task
        task.add_done_callback(lambda _: self._forget(job))

    def _forget(self, job: str) -> None:
        self._tasks.pop(job, None)
        for place in [place for place, owner in self.session.jobs.items() if owner == job]:
            del self.session.jobs[place]

    def cancel(self, job: str | None = None) -> bool:
        """Cancel a job, or all of them; return whether there was one."""
        tasks = [self._tasks[job]] if job in self._tasks else [] if job else list(self._tasks.values())
        for task in tasks:
            task.cancel()
        return bool(tasks)

    async def end(self) -> None:
        """Cancel everything, wait until it has kept what it has, and stop the embedded model."""
        tasks = list(self._tasks.values())
        self.cancel()
        self.pending_saves.stop_editing()
        if tasks:
            await asyncio.wait(tasks)
        await self.pending_saves.end()
        if self._local is not None:
            await self._local.stop()

    # -- one, and many ------------------------------------------------------------------------------------------------
    async def _run_one(self, job: str, library: LibraryState, request: GenerateRequest) -> None:
        title = f"Generating {visible(request.file) or visible(request.slot)}"
        progress = await self._begin(job, title)
        try:
            outcome = await self._generate(job, library, request, WordsReporter(progress))
        except Exception:
            progress.end(_OUR_FAULT)
            self._notify(job, library, "failed", _OUR_FAULT, None)
            raise
        progress.end(outcome.message)
        self._say_notes(outcome.notes)
        self._notify(job, library, outcome.kind, outcome.message, outcome.component_path)
        # The job is over, however long its user takes to answer.
        self.session.server.protocol.run_in_background(self._afterwards(job, library, outcome), "afterwards")

    async def _begin(self, job: str, title: str) -> Progress:
        """Begin the display of a job. A cancel that comes before it can be seen is for what follows."""
        begun = asyncio.ensure_future(Progress.begin(self.session, title, lambda: self.cancel(job)))
        try:
            return await asyncio.shield(begun)
        except asyncio.CancelledError:
            progress = await begun
            asyncio.get_running_loop().call_soon(self.cancel, job)
            return progress

    async def _run_all(
        self, job: str, library: LibraryState, requests: Sequence[GenerateRequest], skipped: int
    ) -> None:
        from goalmap.workflows import Outcome, generate_all

        total = len(requests)
        progress = await self._begin(job, f"Generating {total} components")
        finished = 0

        async def one(numbered: tuple[int, GenerateRequest]) -> Outcome:
            nonlocal finished
            number, request = numbered
            lead = f"{number} of {total} · {visible(request.file) or visible(request.slot)}: "
            try:
                outcome = await self._generate(job, library, request, WordsReporter(progress, lead))
            except Exception:  # the others are not to suffer from it
                log.exception("Generating %s failed", request.file)
                outcome = Outcome("failed", _OUR_FAULT, 1, request.map_path)
            finished += 1
            for place in _places(request):
                self.session.jobs.pop(place, None)
            progress.report(f"{lead}{outcome.message}", percentage=100 * finished // total)
            if outcome.kind in ("failed", "conflict"):
                self.session.log_message(MessageType.ERROR, f"{lead}{outcome.message}")
            self._say_notes(outcome.notes)
            return outcome

        numbers = {id(request): number for number, request in enumerate(requests, 1)}
        # The small model on this machine has one place to write at: two would take turns.
        at_once = self.session.settings.generation.max_concurrency if self.model_settings().is_configured else 1
        summary = replace(
            await generate_all(requests, lambda request: one((numbers[id(request)], request)), at_once=at_once),
            skipped=skipped,
        )
        progress.end(summary.message)
        message = " ".join([f"{summary.message}.", *summary.reasons])
        self._notify(job, library, summary.kind, message, None)
        if not self.session.client.shows_generated:
            self.session.server.protocol.run_in_background(
                self._say_or_undo(job, library, summary.kind, message), "afterwards"
            )

    async def _generate(
        self, job: str, library: LibraryState, request: GenerateRequest, reporter: WordsReporter
    ) -> Outcome:
        from goalmap.workflows import Neighbours, generate, uncancellable

        session = self.session
        session.refresh(library)
        settings = self.model_settings()
        turn = _Turn(library.writing)

        async def through_buffer() -> bool:
            await turn.take()
            return await belongs_into_buffer(session, library)

        if await belongs_into_buffer(session, library):
            # What the editor has and the disk lacks may be the very reference that was just typed.
            request = replace(request, map_text=library.goal_map.text)
        with turn:
            outcome = await generate(
                request,
                settings=settings,
                local=self.local_model() if not settings.is_configured else None,
                reporter=reporter,
                neighbours=Neighbours(
                    session.expected_map(library), library.snapshot, session.reader_for_threads(library)
                ),
                tell=teller(session, library),
                through_buffer=through_buffer,
                review=partial(self.review, request.file or request.slot)
                if session.settings.generation.review
                else None,
            )
            if outcome.kind == "pending-save":
                # Half of it is done: a cancel now would leave the other half to nobody.
                outcome = await uncancellable(self.pending_saves.place(library, job, request, outcome))
        if outcome.tx is not None and outcome.kind in ("committed", "pending-save"):
            self._committed.setdefault(job, []).append(outcome.tx)
            for old in list(self._committed)[:-_MAX_FOLLOWED]:
                del self._committed[old]
        if outcome.text is not None:
            session.log_message(MessageType.ERROR, outcome.text)
        # At once, without waiting for a watcher: the squiggle goes with the commit.
        session.refresh_and_publish(library)
        return outcome

    async def review(self, name: str, text: str) -> Verdict:
        """Ask whether the text for `name` is to be committed: what the setting `generation.review` is for.

        The question shows how it begins, the log all of it. Who turns away from it, or cannot be asked, is asked later.
        """
        self.session.log_message(MessageType.INFO, text)
        shown = text if len(text) <= _REVIEWED_CHARACTERS else f"{text[:_REVIEWED_CHARACTERS]} …"
        message = f"Commit this text for {visible(name)}?\n\n{shown}"
        verdicts: dict[str | None, Verdict] = {COMMIT: "keep", DISCARD: "discard"}
        async with self._reviewing:
            return verdicts.get(await self._pressed(MessageType.INFO, message, COMMIT, DISCARD), "later")

    async def _pressed(self, kind: types.MessageType, message: str, *buttons: str) -> str | None:
        """Show a message with buttons, and return the one that its user pressed; None for none."""
        params: ShowMessageRequestParams = {
            "type": kind,
            "message": message,
            "actions": [{"title": title} for title in buttons],
        }
        try:
            answer = await self.session.server.ask("window/showMessageRequest", params)
        except JsonRpcException:
            return None
        title = answer.get("title") if isinstance(answer, dict) else None
        return title if isinstance(title, str) else None

    def model_settings(self) -> ModelSettings:
        """Return which model to ask: settings over environment, with the key of the editor's secret store."""
        return self.session.settings.model_settings(os.environ, stored_key=self.stored_key.key)

    def tell_model(self) -> None:
        """Tell a client that shows it which model would be asked now; null where none could."""
        if self.session.client.shows_generated:
            params: ModelChangedParams = {"model": self.model_in_use()["model"]}
            self.session.server.notify("goalmap/modelChanged", params)

    def model_in_use(self) -> ModelInUse:
        """Return which model would be asked now, for people; where none could, null, and what is missing."""
        settings = self.model_settings()
        if settings.is_configured:
            return {"model": settings.name or settings.address, "isLocal": False, "problem": None}
        problem = self.local_model().available()
        return {"model": None if problem else "SmolLM2 on this machine", "isLocal": True, "problem": problem}

    def local_model(self) -> LocalModel:
        """Return the embedded model, which starts when it is first asked."""
        from goalmap.generation.local import LocalModel

        if self._local is None:
            self._local = LocalModel()
        return self._local

    # -- afterwards ---------------------------------------------------------------------------------------------------
    def _notify(self, job: str, library: LibraryState, outcome: str, message: str, component_path: str | None) -> None:
        params: GeneratedParams = {
            "job": job,
            "outcome": outcome,
            "mapUri": library.map_uri,
            "message": message,
            "undoable": job in self._committed,
        }
        if component_path:
            params["componentUri"] = to_uri(component_path)
        self.session.server.notify("goalmap/generated", params)

    async def _afterwards(self, job: str, library: LibraryState, outcome: Outcome) -> None:
        """Open the component and offer to undo, where the client does not do so itself."""
        if self.session.client.shows_generated:
            return
        if (
            outcome.kind in ("committed", "pending-save")
            and outcome.component_path
            and self.session.client.shows_documents
        ):
            shown: ShowDocumentParams = {"uri": to_uri(outcome.component_path), "takeFocus": False}
            self.session.server.protocol.send_request("window/showDocument", shown)
        await self._say_or_undo(job, library, outcome.kind, outcome.message)

    async def _say_or_undo(self, job: str, library: LibraryState, kind: Kind, message: str) -> None:
        """Say how a job ended; where anything of it was committed, offer to take that back."""
        message_type = _MESSAGE_TYPES.get(kind, MessageType.INFO)
        if job not in self._committed:
            self.session.show_message(message_type, message)
        elif not self.session.client.shows_messages_with_buttons:
            self.session.show_message(message_type, f"{message} To undo: goalmap undo")
        elif await self._pressed(message_type, message, UNDO) == UNDO:
            await self.undo(library, job)

    def _say_notes(self, notes: Iterable[str]) -> None:
        for note in notes:
            self.session.show_message(MessageType.INFO, note)

    async def undo(self, library: LibraryState, job: str | None) -> bool:
        """Undo what `job` committed, the last first, on disk and in the buffer; None is the library's newest job.

        Return whether all of it was undone. What somebody has built upon stays, and does not hold up the rest.
        """
        from goalmap import workflows

        session = self.session
        async with library.writing:
            job = job or self.pending_saves.newest_job(library)
            waiting = self.pending_saves.txs_of(library, job) if job else []
            # Of what was found again, or taken over, the receipt has the job that paid for it.
            txs = [tx for tx in self._committed.get(job or "", []) if tx not in waiting]
            taken_back = await self.pending_saves.take_back(library, job) if job else None
            if await session.has_unsaved_changes(library):
                if txs or taken_back is None:
                    session.show_message(MessageType.WARNING, "The map has unsaved changes: save it, then undo again.")
                    return False
                return taken_back
            call = partial(workflows.undo, library.root, tell=teller(session, library), txs=txs, job=job)
            undone = await asyncio.to_thread(call)
        if taken_back is not None and not undone.results:
            return taken_back  # nothing of this job had come to disk
        session.show_message(MessageType.INFO if undone.exit_code == 0 else MessageType.WARNING, undone.message)
        session.refresh_and_publish(library)
        return undone.exit_code == 0 and taken_back is not False


def _places(request: GenerateRequest) -> list[SlotPlace]:
    return [(request.map_path, place.goal, place.slot, place.index) for place in request.places]


class _Turn:
    """A lock that may be acquired inside a `with` block, at whose end it is released."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._is_ours = False

    async def take(self) -> None:
        """Wait until it is our turn."""
        await self._lock.acquire()
        self._is_ours = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            self._lock.release()
