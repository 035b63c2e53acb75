"""One missing component, or many: asked for, written, committed."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from goalmap.core.text import visible
from goalmap.files import errors, transaction
from goalmap.files.request import GenerateRequest
from goalmap.generation.failures import ModelError
from goalmap.generation.prompt import validate_description
from goalmap.workflows.afterwards import describe_recovery
from goalmap.workflows.brief import make_brief
from goalmap.workflows.outcome import (
    FAILED,
    INTERRUPTED,
    Neighbours,
    Outcome,
    Reporter,
    Summary,
    path_in_library,
)

if TYPE_CHECKING:
    from goalmap.files.commit import Committed
    from goalmap.files.transaction import Generation
    from goalmap.generation.local import LocalModel
    from goalmap.generation.model import ModelSettings

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Text that came before one of these was on its way to be a component, and is kept. Before the others it was none.
_CUT_SHORT: Final = frozenset({"connection", "tls", "timeout", "closed", "server-error", "rate-limited", "garbage"})
# What every further request would meet as well.
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


async def _on_disk() -> bool:
    return False


async def generate(
    request: GenerateRequest,
    *,
    settings: ModelSettings,
    local: LocalModel | None,
    reporter: Reporter,
    neighbours: Neighbours,
    through_buffer: Callable[[], Awaitable[bool]] = _on_disk,
    review: Callable[[str], Awaitable[bool]] | None = None,
) -> Outcome:
    """Have a model write a missing component, and commit it.

    `through_buffer` is awaited just before the map is changed, to its end: where it says so, the component is published
    and the edit of the map is the caller's, who puts `Outcome.file` into the buffer and calls `Outcome.waiting.settle`
    after each save.

    `review` is given the text before anything is committed, and says whether to; a text that is not taken is parked.

    Cancelling the task before the text is whole closes the model's stream at once, and the outcome is "cancelled";
    after that the commit is carried through. CancelledError is not raised: the outcome says what became of it.
    """
    reason = validate_description(request.description)
    if reason is not None:
        return Outcome("failed", f"Nothing was generated. {reason}", FAILED, request.map_path)
    worker = _Worker()
    outcome = None
    try:
        outcome = await _Run(request, settings, local, reporter, neighbours, through_buffer, review, worker).run()
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
    keeps what is committed, and ends what is under way as cancelled; CancelledError is not raised. After a failure that
    all others would meet too, such as a key that is refused, the rest is not begun.
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
    through_buffer: Callable[[], Awaitable[bool]]
    review: Callable[[str], Awaitable[bool]] | None
    worker: _Worker

    async def run(self) -> Outcome:
        """Begin, write, commit."""
        try:
            begun = await self.worker.do(transaction.begin, self.request)
        except errors.CommitError as error:
            return _failure(self.request, error)
        if isinstance(begun, transaction.AlreadyDone):
            done = _success(begun.result)
            return replace(done, notes=("This was generated before; no model was asked again.", *done.notes))
        notes = tuple(describe_recovery(begun.recovery))
        written = await self.write(begun)
        if isinstance(written, Outcome):
            return replace(written, notes=(*notes, *written.notes))
        text, warnings = written
        if not await self.is_taken(text):
            kept = await self.worker.do(begun.abandon)
            return replace(_cancelled(self.request, kept), notes=notes)
        outcome = await self.commit(begun, text)
        return replace(outcome, notes=(*notes, *warnings, *outcome.notes))

    async def write(self, generation: Generation) -> Outcome | tuple[str, tuple[str, ...]]:
        """Return the model's text and what there is to say about it; or the outcome, where there is no text."""
        from goalmap.generation.write import write_component

        def on_chunk(text: str) -> None:
            self.worker.put(generation.append, text)
            self.reporter.chunk(text)

        def on_restart() -> None:
            self.worker.put(generation.restart)
            self.reporter.restarted()

        try:
            if self.worker.was_cancelled:
                raise asyncio.CancelledError  # noqa: TRY301 - while the journal was opened, which cannot be broken off
            brief = make_brief(self.request, self.neighbours, file=generation.file)
            written = await write_component(
                brief, self.settings, on_chunk=on_chunk, on_restart=on_restart, local=self.local
            )
        except asyncio.CancelledError:
            kept = await self.worker.do(generation.abandon)
            return _cancelled(self.request, kept)
        except ModelError as error:
            kept = await self.worker.do(partial(generation.abandon, park_text=error.kind in _CUT_SHORT))
            message = f"{error}" + (f" What had been written is kept in {kept}." if kept else "")
            is_hopeless = error.kind in _HOPELESS
            return Outcome("failed", message, FAILED, self.request.map_path, is_hopeless=is_hopeless)
        except BaseException:
            await self.worker.do(generation.abandon)  # an error of ours: what was written is kept all the same
            raise
        return written.text, tuple(written.warnings)

    async def is_taken(self, text: str) -> bool:
        """Whether the user wants the text, as far as they want to be asked."""
        try:
            return self.review is None or await self.review(text)
        except asyncio.CancelledError:
            return False

    async def commit(self, generation: Generation, text: str) -> Outcome:
        """Keep the text, and bring it into the library: from here on a cancel changes nothing."""
        try:
            await self.worker.do(generation.finish, text)
            # The component alone is no edit of the map: only a new name has to go through a buffer.
            if self.request.naming == "autogen" and await to_its_end(self.through_buffer()):
                file = await self.worker.do(generation.publish_component)
                return self.pending_save(generation, file)
            return _success(await self.worker.do(generation.commit))
        except errors.CommitError as error:
            return _failure(self.request, error, generation)

    def pending_save(self, generation: Generation, file: str) -> Outcome:
        """Return the outcome of a component that is there while the map is still to be saved."""
        map_name = os.path.basename(self.request.map_path)
        return Outcome(
            kind="pending-save",
            message=f"{visible(file)} is written. Save {map_name} to keep the reference to it.",
            exit_code=0,
            map_path=self.request.map_path,
            component_path=generation.component_path,
            file=file,
            tx=generation.tx,
            waiting=Waiting(generation, self.request, self.worker),
        )


class Waiting:
    """A component that is published while the map's edit waits in an editor's buffer; its record stays until then."""

    def __init__(self, generation: Generation, request: GenerateRequest, worker: _Worker) -> None:
        self._generation = generation
        self._request = request
        self._worker = worker

    async def settle(self) -> Outcome | None:
        """Look at the map on disk: once it has the new reference, drop the record and return the outcome.

        None as long as it has the old one. To be called after each save of the map, and not again after an outcome.
        """
        try:
            committed = await self._worker.do(self._generation.settle)
        except errors.CommitError as error:
            self._worker.end()
            return _failure(self._request, error, self._generation)
        if committed is None:
            return None
        self._worker.end()
        return _success(committed)

    def close(self) -> None:
        """Let go: the record stays on disk, is reported as interrupted, and can be finished or discarded.

        When this returns the record is free. It waits for a `settle` under way, so await that one first.
        """
        self._worker.put(self._generation.close)
        self._worker.end(wait=True)


def _success(committed: Committed) -> Outcome:
    path = path_in_library(committed.component_path, committed.map_path)
    return Outcome(
        kind="committed",
        message=f"Committed {path}" + ("; goal_map.json names it now." if committed.map_changed else "."),
        exit_code=0,
        map_path=committed.map_path,
        component_path=committed.component_path,
        file=committed.file,
        tx=committed.tx,
        notes=tuple(committed.warnings),
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


async def to_its_end(work: Awaitable[Result]) -> Result:
    """Return what `work` returns. It is not broken off; a cancel is forgotten."""
    task = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise


class _Worker:
    """A thread of its own for one generation's disk work, which is done in the order in which it is asked for."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="goalmap-commit")
        self.was_cancelled = False

    def put(self, call: Callable[Parameters, object], *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        """Have `call` done, and do not wait for it; it must not raise."""
        self._pool.submit(call, *args, **kwargs)

    async def do(
        self, call: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Return what `call` returns. It cannot be cancelled half-way: a cancel is noted in `was_cancelled`."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **kwargs))
        while True:
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                if future.cancelled():
                    raise
                self.was_cancelled = True

    def end(self, *, wait: bool = False) -> None:
        """Let the thread end when its work is done; `wait` until then."""
        self._pool.shutdown(wait=wait)
