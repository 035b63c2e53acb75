"""Generation of one missing component, or of many: ask the model, keep its text, commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeAlias, TypeVar

from goalmap.core.exit_codes import FAILED, FINE, INTERRUPTED
from goalmap.core.text import visible
from goalmap.files import errors, transaction
from goalmap.files.request import GenerateRequest
from goalmap.generation.errors import ModelError
from goalmap.generation.prompt import validate_description
from goalmap.workflows.brief import make_brief
from goalmap.workflows.outcome import Neighbours, Outcome, Reporter, Summary, path_in_library

if TYPE_CHECKING:
    from goalmap.files.report import Committed, Tell
    from goalmap.files.transaction import Generation
    from goalmap.generation.local import LocalModel
    from goalmap.generation.model_settings import ModelSettings

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
# The user's answer to a review; "later" leaves the text in the journal, where it is offered again.
Verdict: TypeAlias = Literal["keep", "discard", "later"]

log = logging.getLogger(__name__)

# Kinds of failure before which the text so far was part of a component: it is parked.
_CUT_SHORT: Final = frozenset({"connection", "tls", "timeout", "closed", "server-error", "rate-limited", "garbage"})
# Kinds of failure that every further request would meet as well.
_HOPELESS: Final = frozenset(
    {
        "not-configured",
        "bad-settings",
        "connection",
        "tls",
        "unauthorized",
        "not-found",
        "rejected",
        "redirected",
        "local",
    }
)


_NOT_PAID_AGAIN: Final = "This was generated before; no model was asked again."


async def _on_disk() -> bool:
    return False


async def generate(
    request: GenerateRequest,
    *,
    settings: ModelSettings,
    local: LocalModel | None,
    reporter: Reporter,
    neighbours: Neighbours,
    tell: Tell,
    through_buffer: Callable[[], Awaitable[bool]] = _on_disk,
    review: Callable[[str], Awaitable[Verdict]] | None = None,
) -> Outcome:
    """Have a model write a missing component, and commit it.

    `tell` gets, in the generation's thread, reports of what else was done in the library, such as the recovery of
    earlier runs, and of which references of the map on disk have changed; see files/report.py.

    `through_buffer` is awaited just before the map is changed, and not cancelled. If it returns true, only the
    component is published. The caller then changes the map: it puts `Outcome.file` into the editor's buffer, and calls
    `Outcome.waiting.settle` after each save.

    `review` gets the text once that is safe in the journal, before anything is committed. A text that is discarded is
    parked. A text that is left for later, or whose review is cancelled or never answered, stays in the journal: it is
    offered as an interrupted generation, and the same request returns it without asking a model again.

    If `reporter` raises, it is not called again; the generation goes on.

    Cancelling the task before the text is complete closes the model's stream at once, and the outcome is "cancelled";
    after that the commit is not cancelled. CancelledError is never raised: the outcome says how the generation ended.
    """
    reason = validate_description(request.description)
    if reason is not None:
        return Outcome("failed", f"Nothing was generated. {reason}", FAILED, request.map_path)
    request = replace(request, reviewed=review is not None)
    worker = _Worker()
    outcome = None
    try:
        run = _Run(request, settings, local, _Safe(reporter), neighbours, tell, through_buffer, review, worker)
        outcome = await run.run()
    finally:
        if outcome is None or outcome.waiting is None:
            worker.end()
    return outcome


async def generate_all(
    requests: Sequence[GenerateRequest],
    run: Callable[[GenerateRequest], Coroutine[Any, Any, Outcome]],
    *,
    at_once: int = 1,
) -> Summary:
    """Run `generate` (as `run`) for each request, at most `at_once` at a time; return how each ended.

    Each is committed on its own, and `run` reads the library anew, so that later ones see the earlier ones. Cancelling
    keeps what is committed and cancels the rest; CancelledError is not raised. After a failure that all others would
    meet too, such as a rejected key, the rest is not begun.
    """
    free = asyncio.Semaphore(at_once)
    stopped: list[str] = []

    async def one(request: GenerateRequest) -> Outcome:
        async with free:
            if stopped:
                return Outcome("failed", stopped[0], FAILED, request.map_path)
            outcome = await run(request)
            if outcome.is_hopeless:
                stopped.append("Not begun, since the same would happen.")
            return outcome

    tasks = [asyncio.ensure_future(one(request)) for request in requests]
    # With return_exceptions a cancel reaches every task and all are waited for; without it the first would end it.
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    return Summary(
        tuple(
            _cancelled(request, None) if task.cancelled() else task.result()
            for request, task in zip(requests, tasks, strict=True)
        ),
        tuple(request.file for request in requests),
    )


# -- one component ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Run:
    request: GenerateRequest
    settings: ModelSettings
    local: LocalModel | None
    reporter: Reporter
    neighbours: Neighbours
    tell: Tell
    through_buffer: Callable[[], Awaitable[bool]]
    review: Callable[[str], Awaitable[Verdict]] | None
    worker: _Worker

    async def run(self) -> Outcome:
        """Begin the record, write the text, review it, commit it; return the outcome."""
        try:
            begun = await self.worker.do(transaction.begin, self.request, tell=self.tell)
        except errors.CommitError as error:
            return _failure(self.request, error)
        if isinstance(begun, transaction.AlreadyDone):
            return replace(_success(begun.result), notes=(_NOT_PAID_AGAIN,))
        text = begun.text
        notes: tuple[str, ...] = (_NOT_PAID_AGAIN,)
        if text is None:
            written = await self.write(begun)
            if isinstance(written, Outcome):
                return written
            text, notes = written
        try:
            if begun.text is None:
                await self.worker.do(begun.finish, text)  # before all else: from here on the text is safe
            outcome = await self.reviewed(begun, text) or await self.commit(begun)
        except errors.CommitError as error:
            outcome = _failure(self.request, error, begun)
        return replace(outcome, notes=(*notes, *outcome.notes))

    async def write(self, generation: Generation) -> Outcome | tuple[str, tuple[str, ...]]:
        """Return the model's text and the notes about it; or the outcome, where there is no text."""
        from goalmap.generation.write_component import write_component

        def on_chunk(text: str) -> None:
            self.worker.put(generation.append, text)
            self.reporter.chunk(text)

        def on_restart() -> None:
            self.worker.put(generation.restart)
            self.reporter.restarted()

        try:
            brief = await self.worker.do(make_brief, self.request, self.neighbours, file=generation.file)
            if self.worker.was_cancelled:
                raise asyncio.CancelledError  # noqa: TRY301 - it came during disk work, which cannot be cancelled
            written = await write_component(
                brief, self.settings, on_chunk=on_chunk, on_restart=on_restart, local=self.local
            )
        except asyncio.CancelledError:
            kept = await self.worker.do(generation.abandon)
            return _cancelled(self.request, kept)
        except ModelError as error:
            kept = await self.worker.do(partial(generation.abandon, **_parking(error)))
            message = f"{error}" + (f" What had been written is kept in {kept}." if kept else "")
            is_hopeless = error.kind in _HOPELESS
            return Outcome("failed", message, FAILED, self.request.map_path, is_hopeless=is_hopeless)
        except BaseException:
            await self.worker.do(generation.abandon)  # our own fault: the text so far is parked all the same
            raise
        return written.text, tuple(written.warnings)

    async def reviewed(self, generation: Generation, text: str) -> Outcome | None:
        """Ask the user about a text that awaits a review; return the outcome if it is not to be committed now."""
        if not generation.awaits_review:
            return None
        verdict = await self.verdict(text)
        if verdict == "keep":
            await self.worker.do(generation.approve)
            return None
        if verdict == "discard":
            kept = await self.worker.do(partial(generation.abandon, reason="it was discarded"))
            message = f"Discarded; the library is as it was. The text is kept in {kept}."
            if kept is None:
                message = "Not discarded yet: another process is at work in the library, and the text still waits."
            return Outcome("cancelled", message, INTERRUPTED, self.request.map_path)
        await self.worker.do(generation.close)
        message = "Not committed: the text waits for your review. Ask for it again, or use the quick fix, to keep it."
        return Outcome("cancelled", message, INTERRUPTED, self.request.map_path)

    async def verdict(self, text: str) -> Verdict:
        """Return the user's answer. A request without a review, for a text that awaits one, is "keep"."""
        if self.review is not None and self.worker.was_cancelled:
            return "later"  # cancelled during disk work
        try:
            return "keep" if self.review is None else await self.review(text)
        except asyncio.CancelledError:
            return "later"

    async def commit(self, generation: Generation) -> Outcome:
        """Commit the text, which is not cancellable. Raises CommitError."""
        # Under its own name the component changes nothing in the map, so nothing has to go through a buffer.
        if self.request.naming == "autogen" and await uncancellable(self.through_buffer()):
            file = await self.worker.do(generation.publish_component)
            return self.pending_save(generation, file)
        return _success(await self.worker.do(generation.commit))

    def pending_save(self, generation: Generation, file: str) -> Outcome:
        """Return the outcome for a component that is published while the map has yet to be saved."""
        map_name = os.path.basename(self.request.map_path)
        return Outcome(
            kind="pending-save",
            message=f"{visible(file)} is written. Save {map_name} to keep the reference to it.",
            exit_code=FINE,
            map_path=self.request.map_path,
            component_path=generation.component_path,
            file=file,
            tx=generation.tx,
            waiting=_PendingSave(generation, self.request, self.worker),
        )


class _PendingSave:
    """A component that is published while the map's edit is unsaved in an editor; its record stays until the save."""

    def __init__(self, generation: Generation, request: GenerateRequest, worker: _Worker) -> None:
        self._generation = generation
        self._request = request
        self._worker = worker

    async def settle(self, *, is_in_buffer: bool) -> Outcome | None:
        """Read the map on disk; if it has the new reference, drop the record and return the outcome.

        Return None while it has the old reference, or has neither and the new one `is_in_buffer`. To be called after
        each save of the map, and not again after an outcome.
        """
        try:
            committed = await self._worker.do(partial(self._generation.settle, is_in_buffer=is_in_buffer))
        except errors.CommitError as error:
            self._worker.end()
            return _failure(self._request, error, self._generation)
        if committed is None:
            return None
        self._worker.end()
        return _success(committed)

    def close(self) -> None:
        """Release the record: it stays on disk, is reported as interrupted, and can be finished or discarded.

        Blocks until a `settle` that is under way has ended.
        """
        self._worker.put(self._generation.close)
        self._worker.end(wait=True)


def _success(committed: Committed) -> Outcome:
    path = path_in_library(committed.component_path, committed.map_path)
    return Outcome(
        kind="committed",
        message=f"Committed {path}" + ("; goal_map.json names it now." if committed.map_changed else "."),
        exit_code=FINE,
        map_path=committed.map_path,
        component_path=committed.component_path,
        file=committed.file,
        tx=committed.tx,
    )


def _failure(request: GenerateRequest, error: errors.CommitError, generation: Generation | None = None) -> Outcome:
    return Outcome(
        kind="conflict" if isinstance(error, errors.Conflict) else "failed",
        message=str(error),
        exit_code=error.exit_code,
        map_path=request.map_path,
        tx=generation.tx if generation else None,
        text=error.text if isinstance(error, errors.SavedElsewhere) and error.path is None else None,
    )


def _cancelled(request: GenerateRequest, kept: str | None) -> Outcome:
    message = "Cancelled; the library is as it was."
    if kept:
        message += f" What had been written is kept in {kept}."
    return Outcome("cancelled", message, INTERRUPTED, request.map_path)


def _parking(error: ModelError) -> dict[str, Any]:
    """Return the options of `Generation.abandon` for a text that ended with `error`."""
    if error.kind == "refused":
        return {"label": "refused", "reason": f"it was refused: {error.message}"}
    return {"park_text": error.kind in _CUT_SHORT, "reason": "the model's answer was cut short"}


async def uncancellable(work: Awaitable[Result]) -> Result:
    """Await `work` and return its result; cancelling the caller meanwhile has no effect."""
    task = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise


class _Safe:
    """Passes everything on to a reporter until that raises, which must not fail the generation."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter: Reporter | None = reporter

    def chunk(self, text: str) -> None:
        """Pass it on."""
        self._pass(lambda reporter: reporter.chunk(text))

    def restarted(self) -> None:
        """Pass it on."""
        self._pass(lambda reporter: reporter.restarted())

    def _pass(self, report: Callable[[Reporter], None]) -> None:
        if self._reporter is not None:
            try:
                report(self._reporter)
            except Exception:
                log.exception("The progress of a generation can no longer be shown")
                self._reporter = None


class _Worker:
    """A thread for one generation's disk work, which is done in the order of the calls."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="goalmap-commit")
        self.was_cancelled = False

    def put(self, call: Callable[Parameters, object], *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        """Start `call` without waiting for it; it must not raise."""
        self._pool.submit(call, *args, **kwargs)

    async def do(
        self, call: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Return what `call` returns. A cancel does not interrupt it, and only sets `was_cancelled`."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **kwargs))
        while True:
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                if future.cancelled():
                    raise
                self.was_cancelled = True

    def end(self, *, wait: bool = False) -> None:
        """End the thread after its work; with `wait`, return only then."""
        self._pool.shutdown(wait=wait)
