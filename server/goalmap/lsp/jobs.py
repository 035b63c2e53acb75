"""Generations under way: from the command to the last message about it."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pygls.exceptions import JsonRpcException

from goalmap.core.text import visible
from goalmap.lsp.buffers import Buffer, Written, after_write, before_write, belongs_into_buffer
from goalmap.lsp.convert import to_uri
from goalmap.lsp.progress import Progress
from goalmap.lsp.session import OpenLibrary, Session
from goalmap.lsp.unsaved import Unsaved

if TYPE_CHECKING:
    from goalmap.generation.local import LocalModel
    from goalmap.generation.model import ModelSettings
    from goalmap.lsp.features.diagnostics import Publisher
    from goalmap.workflows import GenerateRequest, Outcome, Summary

log = logging.getLogger(__name__)

_ERROR: Final = 1
_WARNING: Final = 2
_INFO: Final = 3
_SHOWN_CHARACTERS: Final = 90
_MAX_FOLLOWED: Final = 100
UNDO: Final = "Undo"
COMMIT: Final = "Commit"
DISCARD: Final = "Discard"
_REVIEWED_CHARACTERS: Final = 600
_OUR_FAULT: Final = "Something went wrong inside of Goalmap: its log says what. What the model wrote is kept."

Json = dict[str, Any]


class Jobs:
    """Runs generations, one task each."""

    def __init__(self, session: Session, publisher: Publisher) -> None:
        self.session = session
        self.publisher = publisher
        self.api_key: str | None = None
        self._tasks: dict[str, asyncio.Future[Any]] = {}
        self._unsaved = Unsaved(session, publisher, self._message)
        self._committed: dict[str, str] = {}
        self._local: LocalModel | None = None
        session.settings_listeners.append(self.tell_model)

    # -- starting and stopping ----------------------------------------------------------------------------------------
    def start(self, library: OpenLibrary, request: GenerateRequest) -> str:
        """Begin a generation and return its job's id; the same id where this one is under way already."""
        place = library.map_path, request.goal, request.slot, request.index
        running = next((job for job, where in self.session.jobs.items() if where == place), None)
        if running is not None:
            return running
        job = uuid.uuid4().hex
        self.session.jobs[job] = place
        self._spawn(job, self._run_one(job, library, request))
        return job

    def start_all(self, library: OpenLibrary, requests: list[GenerateRequest], at_once: int) -> str:
        """Begin a generation of each component, and return the id of the one job that they are."""
        job = uuid.uuid4().hex
        self._spawn(job, self._run_all(job, library, requests, at_once))
        return job

    def _spawn(self, job: str, work: Coroutine[Any, Any, None]) -> None:
        task = self.session.server.protocol.run_in_background(work, "generation")
        self._tasks[job] = task
        task.add_done_callback(lambda _: self._forget(job))

    def _forget(self, job: str) -> None:
        self._tasks.pop(job, None)
        self.session.jobs.pop(job, None)

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
        if tasks:
            await asyncio.wait(tasks)
        await self._unsaved.end()
        if self._local is not None:
            await self._local.stop()

    # -- one, and many ------------------------------------------------------------------------------------------------
    async def _run_one(self, job: str, library: OpenLibrary, request: GenerateRequest) -> None:
        title = f"Generating {visible(request.file) or visible(request.slot)}"
        progress = await self._begin(job, title)
        try:
            outcome = await self._generate(job, library, request, _Reporter(progress))
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
        begun = asyncio.ensure_future(Progress.begin(self.session.server, title, lambda: self.cancel(job)))
        try:
            return await asyncio.shield(begun)
        except asyncio.CancelledError:
            progress = await begun
            asyncio.get_running_loop().call_soon(self.cancel, job)
            return progress

    async def _run_all(self, job: str, library: OpenLibrary, requests: list[GenerateRequest], at_once: int) -> None:
        from goalmap.workflows import generate_all

        title = f"Generating {len(requests)} components"
        progress = await self._begin(job, title)
        finished = 0

        async def one(request: GenerateRequest) -> Outcome:
            nonlocal finished
            name = visible(request.file) or visible(request.slot)
            reporter = _Reporter(progress, f"{finished + 1} of {len(requests)} · {name}: ")
            outcome = await self._generate(job, library, request, reporter)
            finished += 1
            self._say_notes(outcome.notes)
            return outcome

        try:
            summary: Summary = await generate_all(requests, one, at_once=at_once)
        except Exception:
            progress.end(_OUR_FAULT)
            self._notify(job, library, "failed", _OUR_FAULT, None)
            raise
        progress.end(summary.message)
        kinds = [outcome.kind for outcome in summary.outcomes]
        worst = next(
            (kind for kind in ("conflict", "failed", "cancelled", "pending-save") if kind in kinds), "committed"
        )
        reasons = dict.fromkeys(
            outcome.message for outcome in summary.outcomes if outcome.kind in ("failed", "conflict")
        )
        self._notify(job, library, worst, " ".join([f"{summary.message}.", *reasons]), None)
        if not self._client_shows:
            self._message(_INFO if worst in ("committed", "pending-save") else _WARNING, f"{summary.message}.")

    async def _generate(self, job: str, library: OpenLibrary, request: GenerateRequest, reporter: _Reporter) -> Outcome:
        from goalmap.workflows import Neighbours, generate

        session = self.session
        session.look(library)
        settings = self.model_settings()
        before = Buffer(None)

        def through_buffer() -> bool:
            nonlocal before
            before = before_write(session, library)
            return belongs_into_buffer(session, library)

        if belongs_into_buffer(session, library):
            # What the editor has and the disk lacks may be the very reference that was just typed.
            request = replace(request, map_text=library.goal_map.text)
        outcome = await generate(
            request,
            settings=settings,
            local=self.local_model() if not settings.is_configured else None,
            reporter=reporter,
            neighbours=Neighbours(session.map_to_be(library), library.library, session.reader(library)),
            through_buffer=through_buffer,
            review=partial(self._review, request) if session.settings.generation.review else None,
        )
        if outcome.kind == "pending-save":
            # Half of it is done: a cancel now would leave the other half to nobody.
            outcome = await _to_its_end(self._unsaved.place(library, request, outcome))
        elif outcome.kind == "committed" and outcome.file not in (None, request.file):
            written = Written(request.goal, request.slot, request.index, request.file, outcome.file)
            after_write(session, library, before, written)
        if outcome.tx is not None and outcome.kind in ("committed", "pending-save"):
            self._committed[job] = outcome.tx
            for old in list(self._committed)[:-_MAX_FOLLOWED]:
                del self._committed[old]
        if outcome.text is not None:
            session.server.notify("window/logMessage", {"type": _ERROR, "message": outcome.text})
        # At once, without waiting for a watcher: the squiggle goes with the commit.
        session.look(library)
        session.touch(library)
        self.publisher.publish_changed()
        return outcome

    async def _review(self, request: GenerateRequest, text: str) -> bool:
        """Ask whether a text is to be committed: what the setting `generation.review` is for.

        The question shows how it begins, the log all of it. A client that cannot be asked has not said yes.
        """
        server = self.session.server
        server.notify("window/logMessage", {"type": _INFO, "message": text})
        shown = text if len(text) <= _REVIEWED_CHARACTERS else f"{text[:_REVIEWED_CHARACTERS]} …"
        message = f"Commit this text for {visible(request.file) or visible(request.slot)}?\n\n{shown}"
        params = {"type": _INFO, "message": message, "actions": [{"title": COMMIT}, {"title": DISCARD}]}
        try:
            answer = await server.ask("window/showMessageRequest", params)
        except JsonRpcException:
            return False
        return isinstance(answer, dict) and answer.get("title") == COMMIT

    def model_settings(self) -> ModelSettings:
        """Return which model to ask: settings over environment, with the key of the editor's secret store."""
        return self.session.settings.model_settings(os.environ, stored_key=self.api_key)

    def tell_model(self) -> None:
        """Tell a client that shows it which model would be asked now; null where none could."""
        if self._client_shows:
            settings = self.model_settings()
            name: str | None = settings.name or settings.address
            if not settings.is_configured:
                name = None if self.local_model().available() else "SmolLM2 on this machine"
            self.session.server.notify("goalmap/modelChanged", {"model": name})

    def local_model(self) -> LocalModel:
        """Return the embedded model, which starts when it is first asked."""
        from goalmap.generation.local import LocalModel

        if self._local is None:
            self._local = LocalModel()
        return self._local

    # -- afterwards ---------------------------------------------------------------------------------------------------
    @property
    def _client_shows(self) -> bool:
        """Whether the client opens the component and offers Undo by itself, when told with `goalmap/generated`."""
        return self.session.server.client_capability("experimental.goalmap.showsGenerated") is True

    def _notify(self, job: str, library: OpenLibrary, outcome: str, message: str, component_path: str | None) -> None:
        params: Json = {"job": job, "outcome": outcome, "mapUri": library.map_uri, "message": message}
        if component_path:
            params["componentUri"] = to_uri(component_path)
        self.session.server.notify("goalmap/generated", params)

    async def _afterwards(self, job: str, library: OpenLibrary, outcome: Outcome) -> None:
        """Open the component and offer to undo, where the client does not do so itself."""
        if self._client_shows:
            return
        if outcome.kind in ("failed", "conflict", "cancelled"):
            kind = {"failed": _ERROR, "conflict": _WARNING}.get(outcome.kind, _INFO)
            self._message(kind, outcome.message)
            return
        server = self.session.server
        if outcome.component_path and server.client_capability("window.showDocument.support"):
            shown = {"uri": to_uri(outcome.component_path), "takeFocus": False}
            server.protocol.send_request("window/showDocument", shown)
        if server.client_capability("window.showMessage") is None:
            self._message(_INFO, f"{outcome.message} To undo: goalmap undo")
            return
        try:
            params = {"type": _INFO, "message": outcome.message, "actions": [{"title": UNDO}]}
            answer = await server.ask("window/showMessageRequest", params)
        except JsonRpcException:
            return
        if isinstance(answer, dict) and answer.get("title") == UNDO:
            await self.undo(library, self._committed.get(job))

    def _message(self, kind: int, message: str) -> None:
        self.session.server.notify("window/showMessage", {"type": kind, "message": message})

    def _say_notes(self, notes: Iterable[str]) -> None:
        for note in notes:
            self._message(_INFO, note)

    def tx_of(self, job: str) -> str | None:
        """Return the transaction of a job that was committed."""
        return self._committed.get(job)

    async def undo(self, library: OpenLibrary, tx: str | None) -> bool:
        """Undo a commit, on disk and in the buffer; return whether it was undone."""
        from goalmap import workflows

        taken_back = await self._unsaved.take_back(library, tx)
        if taken_back is not None:
            return taken_back
        if library.document is not None and self.session.is_dirty(library.document):
            self._message(_WARNING, "The map has unsaved changes: save it, then undo again.")
            return False
        before = before_write(self.session, library)
        undone = await asyncio.to_thread(workflows.undo, library.root, tx)
        self._message(_INFO if undone.exit_code == 0 else _WARNING, undone.message)
        if (back := undone.result) is not None and back.file != back.restored_file:
            written = Written(back.goal, back.slot, back.index, back.file, back.restored_file)
            after_write(self.session, library, before, written)
        self.session.look(library)
        self.session.touch(library)
        self.publisher.publish_changed()
        return undone.exit_code == 0


async def _to_its_end(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Return what `work` returns. It is not broken off; a cancel is forgotten."""
    task = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise


class _Reporter:
    """Shows the end of what the model has written so far."""

    def __init__(self, progress: Progress, lead: str = "") -> None:
        self._progress = progress
        self._lead = lead
        self._text = ""
        self._words = 0

    def chunk(self, text: str) -> None:
        """Show more."""
        self._text += text
        self._words = len(self._text.split())
        tail = visible(" ".join(self._text[-2 * _SHOWN_CHARACTERS :].split()))[-_SHOWN_CHARACTERS:]
        self._progress.report(f"{self._lead}{self._words} {'word' if self._words == 1 else 'words'} · …{tail}")

    def restarted(self) -> None:
        """Start over."""
        self._text = ""
        self._progress.report(f"{self._lead}once more, with another seed")
