"""A missing component, from the request to the commit: what the language server and the command line share.

`generate` joins the three layers below: the record of the journal is there before a model is asked, each piece of its
answer goes into the record, and the commit is carried through once the answer is whole. What the disk may hold up runs
in a thread of its own, never on the event loop. Nothing here raises what a user can do something about: it is in the
`Outcome`, with the next step and the command line's exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

from goalmap.core.assembly import Read
from goalmap.core.goal_map import Goal, GoalMap, GoalPath, Reference
from goalmap.core.library import Library
from goalmap.core.naming import TEMPLATE_SLOT, autogen_file, component_type
from goalmap.core.text import visible
from goalmap.files import errors, recovery, transaction
from goalmap.files import undo as undoing
from goalmap.files.commit import name_taker
from goalmap.generation.failures import ModelError
from goalmap.generation.prompt import Brief, validate_description

if TYPE_CHECKING:
    from goalmap.files.commit import Committed
    from goalmap.files.recovery import Pending, RecoveryReport
    from goalmap.files.transaction import Generation
    from goalmap.generation.local import LocalModel
    from goalmap.generation.model import ModelSettings

Kind: TypeAlias = Literal["committed", "pending-save", "cancelled", "failed", "conflict"]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_MAX_EXAMPLES: Final = 2
_FAILED: Final = 1
_NOT_COMMITTED: Final = 75
_CONFLICT: Final = 76
_INTERRUPTED: Final = 130

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


# -- what goes in ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class GenerateRequest:
    """A missing component. `file` is what the map holds now at `goal`, `slot` and `index` (None for a string slot).

    `naming`: `autogen` makes a new file and has the map name it; `referenced` makes the file that the map names.
    """

    map_path: str
    goal: GoalPath
    slot: str
    index: int | None
    file: str
    description: str
    naming: Literal["autogen", "referenced"] = "autogen"


@dataclass(frozen=True)
class Neighbours:
    """What a component is written to fit: the map, its library, and the text of its components.

    The server gives what its editor shows, unsaved changes included; the command line gives the disk.
    """

    goal_map: GoalMap
    library: Library
    read: Read


class Reporter(Protocol):
    """Who watches a model write. Called on the event loop's thread; must not raise."""

    def chunk(self, text: str) -> None:
        """Take the next piece of text."""

    def restarted(self) -> None:
        """Forget the pieces so far: the model starts over."""


# -- what comes out --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Outcome:
    """How a generation ended. `message` is for the user, with the next step; `notes` are what else happened on the way.

    `file` is the reference that the map has (committed), or is to have (pending-save); `component_path` is where the
    component is. `text` is there only where it could be kept nowhere else: show it. `waiting` belongs to pending-save.
    """

    kind: Kind
    message: str
    exit_code: int
    map_path: str
    component_path: str | None = None
    file: str | None = None
    tx: str | None = None
    notes: tuple[str, ...] = ()
    text: str | None = None
    waiting: Waiting | None = field(default=None, compare=False)
    is_hopeless: bool = False


class Waiting:
    """A component that is published while the map's edit waits in an editor's buffer; its record stays until then."""

    def __init__(self, generation: Generation, request: GenerateRequest, worker: _Worker) -> None:
        self._generation = generation
        self._request = request
        self._worker = worker

    async def settle(self) -> Outcome | None:
        """Look at the map on disk: once it has the new reference, drop the record and return the outcome.

        None as long as it has the old one. To be called after each save of the map.
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
        """Let go: the record stays on disk, is reported as interrupted, and can be finished or discarded."""
        self._worker.put(self._generation.close)
        self._worker.end()


@dataclass(frozen=True)
class Summary:
    """How several generations ended: an outcome for each request, in their order."""

    outcomes: tuple[Outcome, ...]

    @property
    def message(self) -> str:
        """How many ended how."""
        words = {
            "committed": "committed",
            "pending-save": "waiting for the map to be saved",
            "cancelled": "cancelled",
            "failed": "failed",
            "conflict": "in conflict",
        }
        kinds = [outcome.kind for outcome in self.outcomes]
        said = [f"{kinds.count(kind)} {word}" for kind, word in words.items() if kind in kinds]
        return f"{len(kinds)} components: {', '.join(said)}" if said else "Nothing is missing"

    @property
    def exit_code(self) -> int:
        """The gravest of their exit codes."""
        return max((outcome.exit_code for outcome in self.outcomes), default=0)


# -- one component ---------------------------------------------------------------------------------------------------
async def generate(
    request: GenerateRequest,
    *,
    settings: ModelSettings,
    local: LocalModel | None,
    reporter: Reporter,
    neighbours: Neighbours,
    through_buffer: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Have a model write a missing component, and commit it.

    `through_buffer` is asked just before the commit: where it says so, the component is published, and the map's edit is
    the caller's, who puts `Outcome.file` into the buffer and calls `Outcome.waiting.settle` after each save.

    Cancelling the task before the text is whole closes the model's stream at once, and the outcome is "cancelled";
    after that the commit is carried through. CancelledError is not raised: the outcome says what became of it.
    """
    reason = validate_description(request.description)
    if reason is not None:
        return Outcome("failed", f"Nothing was generated. {reason}", _FAILED, request.map_path)
    worker = _Worker()
    outcome = None
    try:
        outcome = await _generate(request, settings, local, reporter, neighbours, through_buffer, worker)
    finally:
        if outcome is None or outcome.waiting is None:
            worker.end()
    return outcome


async def _generate(
    request: GenerateRequest,
    settings: ModelSettings,
    local: LocalModel | None,
    reporter: Reporter,
    neighbours: Neighbours,
    through_buffer: Callable[[], bool],
    worker: _Worker,
) -> Outcome:
    try:
        # What the editor has and the disk lacks may be the very reference that was just typed.
        unsaved = neighbours.goal_map.text if through_buffer() else None
        begun = await worker.do(transaction.begin, replace(_slot_request(request), map_text=unsaved))
    except errors.CommitError as error:
        return _failure(request, error)
    if isinstance(begun, transaction.AlreadyDone):
        done = _success(begun.result)
        return replace(done, notes=("This was generated before; no model was asked again.", *done.notes))
    notes = tuple(describe_recovery(begun.recovery))
    if worker.was_cancelled:
        await worker.do(begun.abandon)
        return replace(_cancelled(request, None), notes=notes)
    written = await _write(request, settings, local, reporter, neighbours, worker, begun)
    if isinstance(written, Outcome):
        return replace(written, notes=(*notes, *written.notes))
    text, warnings = written
    outcome = await _commit(request, text, through_buffer, worker, begun)
    return replace(outcome, notes=(*notes, *warnings, *outcome.notes))


async def _write(
    request: GenerateRequest,
    settings: ModelSettings,
    local: LocalModel | None,
    reporter: Reporter,
    neighbours: Neighbours,
    worker: _Worker,
    generation: Generation,
) -> Outcome | tuple[str, tuple[str, ...]]:
    """Return the model's text and what there is to say about it; or the outcome, where there is no text."""
    from goalmap.generation.write import write_component

    def on_chunk(text: str) -> None:
        worker.put(generation.append, text)
        reporter.chunk(text)

    def on_restart() -> None:
        worker.put(generation.restart)
        reporter.restarted()

    brief = make_brief(request, neighbours, file=generation.file)
    try:
        written = await write_component(brief, settings, on_chunk=on_chunk, on_restart=on_restart, local=local)
    except asyncio.CancelledError:
        kept = await worker.do(generation.abandon)
        return _cancelled(request, kept)
    except ModelError as error:
        kept = await worker.do(partial(generation.abandon, park_text=error.kind in _CUT_SHORT))
        what = f"{error}" + (f" What had been written is kept in {kept}." if kept else "")
        return Outcome("failed", what, _FAILED, request.map_path, is_hopeless=error.kind in _HOPELESS)
    except BaseException:
        await worker.do(generation.abandon)  # an error of ours: the text is kept all the same
        raise
    return written.text, tuple(written.warnings)


async def _commit(
    request: GenerateRequest, text: str, through_buffer: Callable[[], bool], worker: _Worker, generation: Generation
) -> Outcome:
    try:
        await worker.do(generation.finish, text)
        # A file that the map names already is no edit of the map.
        if request.naming == "autogen" and through_buffer():
            file = await worker.do(generation.publish_component)
            return Outcome(
                kind="pending-save",
                message=f"{visible(file)} is written. Save {os.path.basename(request.map_path)} to keep the reference.",
                exit_code=0,
                map_path=request.map_path,
                component_path=generation.component_path,
                file=file,
                tx=generation.tx,
                waiting=Waiting(generation, request, worker),
            )
        return _success(await worker.do(generation.commit))
    except errors.CommitError as error:
        return _failure(request, error, generation)


def _slot_request(request: GenerateRequest) -> transaction.SlotRequest:
    return transaction.SlotRequest(
        map_path=request.map_path,
        goal=request.goal,
        slot=request.slot,
        index=request.index,
        file=request.file,
        description=request.description.strip(),
        naming=request.naming,
    )


def _success(committed: Committed) -> Outcome:
    path = _shown(committed.component_path, committed.map_path)
    message = f"Committed {path}" + ("; goal_map.json names it now." if committed.map_changed else ".")
    return Outcome(
        kind="committed",
        message=message,
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
    return Outcome("cancelled", message, _INTERRUPTED, request.map_path)


def _shown(path: str, map_path: str) -> str:
    relative = os.path.relpath(path, os.path.dirname(os.path.abspath(map_path)))
    return visible(relative.replace(os.sep, "/"))


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

    def end(self) -> None:
        """Let the thread end when its work is done."""
        self._pool.shutdown(wait=False)


# -- what the model is told ------------------------------------------------------------------------------------------
def make_brief(request: GenerateRequest, neighbours: Neighbours, *, file: str) -> Brief:
    """Return what a model is told about a component that will be called `file`."""
    goal = neighbours.goal_map.goal(request.goal)
    siblings = list(_siblings(request, goal, neighbours)) if goal else []
    return Brief(
        component_type=component_type(request.slot),
        goal=request.goal,
        goal_title=(goal.title if goal else None) or "",
        goal_description=(goal.description if goal else None) or "",
        description=request.description.strip(),
        file=file,
        siblings=tuple((slot, text) for slot, _, text in siblings),
        examples=tuple(_examples(request, neighbours, {path for _, path, _ in siblings})),
    )


def _siblings(request: GenerateRequest, goal: Goal, neighbours: Neighbours) -> Iterator[tuple[str, str, str]]:
    """Yield slot, path and text of the goal's other components."""
    for reference in goal.references:
        if reference.slot == TEMPLATE_SLOT or (reference.slot, reference.index) == (request.slot, request.index):
            continue
        path = neighbours.library.path(reference.slot, reference.file)
        text = neighbours.read(path) if neighbours.library.has(reference.slot, reference.file) else None
        if text and text.strip():
            yield reference.slot, path, text


def _examples(request: GenerateRequest, neighbours: Neighbours, used: set[str]) -> Iterator[tuple[str, str]]:
    """Yield file name and text of components of the same type: those of the nearest goals first."""
    goals = neighbours.goal_map.goals
    here = next((number for number, goal in enumerate(goals) if goal.path == request.goal), 0)
    nearest = sorted(
        range(len(goals)), key=lambda number: (goals[number].path[:-1] != request.goal[:-1], abs(number - here))
    )
    found = 0
    for number in nearest:
        slot = goals[number].slots.get(request.slot)
        for reference in slot.references if slot else ():
            path = neighbours.library.path(reference.slot, reference.file)
            if path in used or not neighbours.library.has(reference.slot, reference.file):
                continue
            used.add(path)
            text = neighbours.read(path)
            if text and text.strip():
                yield reference.file, text
                found += 1
                if found == _MAX_EXAMPLES:
                    return


def planned_file(request: GenerateRequest, neighbours: Neighbours) -> str:
    """Return what the component will be called, unless somebody takes that name before the commit."""
    if request.naming == "referenced":
        return request.file
    folder = neighbours.library.folder(request.slot)
    there = neighbours.library.folders.get(folder)
    is_taken = name_taker(set(there.folded) if there else set(), neighbours.goal_map, folder)
    return autogen_file(request.slot, request.goal[-1], is_taken)


# -- many components -------------------------------------------------------------------------------------------------
def missing_references(goals: Sequence[Goal], library: Library) -> list[Reference]:
    """Return the references of `goals` that name a file which does not exist, in map order; templates are left out."""
    return [
        reference
        for goal in goals
        for reference in goal.references
        if reference.slot != TEMPLATE_SLOT and reference.file and not library.has(reference.slot, reference.file)
    ]


async def generate_all(
    requests: Sequence[GenerateRequest],
    run: Callable[[GenerateRequest], Coroutine[Any, Any, Outcome]],
    *,
    at_once: int = 1,
) -> Summary:
    """Run `generate` (as `run`) for each request, at most `at_once` at a time; return how each ended.

    Each is committed on its own, and `run` reads the library anew, so that later ones see the earlier ones. Cancelling
    keeps what is committed, and ends what is under way as cancelled. After a failure that all others would meet too,
    such as a key that is refused, the rest is not begun.
    """
    free = asyncio.Semaphore(at_once)
    stopped: list[str] = []

    async def one(request: GenerateRequest) -> Outcome:
        async with free:
            if stopped:
                return Outcome("failed", stopped[0], _FAILED, request.map_path)
            outcome = await run(request)
            if outcome.is_hopeless:
                stopped.append(f"Not begun, since an earlier one failed: {outcome.message}")
            return outcome

    tasks = [asyncio.ensure_future(one(request)) for request in requests]
    # With return_exceptions a cancel reaches every task and all are waited for; without it the first would end it.
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    return Summary(
        tuple(
            _cancelled(request, None) if task.cancelled() else task.result()
            for request, task in zip(requests, tasks, strict=True)
        )
    )


# -- afterwards ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Undone:
    """Whether a commit was undone. `result` says which files it was about."""

    message: str
    exit_code: int
    result: undoing.UndoResult | None = None


def undo(root: str, tx: str | None = None) -> Undone:
    """Undo the commit `tx` of the library at `root`, or its last one. Works on the disk: call it in a thread."""
    try:
        result = undoing.undo(root, tx)
    except errors.CommitError as error:
        return Undone(str(error), error.exit_code)
    path = _shown(result.component_path, result.map_path)
    back = "" if result.file == result.restored_file else f"; goal_map.json names {visible(result.restored_file)} again"
    return Undone(f"Removed {path}{back}.", 0, result)


@dataclass(frozen=True)
class Recovered:
    """What recovery did, as messages, and the command line's exit code. `report` is None where it could not work."""

    messages: tuple[str, ...]
    exit_code: int
    report: RecoveryReport | None = None


def recover(root: str, *, finish_buffered: bool = False) -> Recovered:
    """Finish what earlier runs left in the library at `root`. Works on the disk: call it in a thread.

    `finish_buffered` also commits what an editor's unsaved map was to take.
    """
    try:
        report = recovery.recover(root, finish_buffered=finish_buffered)
    except errors.CommitError as error:
        return Recovered((str(error),), error.exit_code)
    conflicts = [parked for parked in report.parked if not parked.path.endswith(".partial.txt")]
    waits = any(not pending.has_owner for pending in report.pending)
    code = _NOT_COMMITTED if waits else _CONFLICT if conflicts else 0
    return Recovered(tuple(describe_recovery(report)), code, report)


def pending(root: str) -> list[Pending]:
    """Return the interrupted generations of the library at `root`; changes nothing, and may wait a second for a lock."""
    return recovery.pending(root)


def describe_recovery(report: RecoveryReport) -> Iterator[str]:
    """Yield a sentence for everything that recovery did, or could not do."""
    for committed in report.finished:
        path = _shown(committed.component_path, committed.map_path)
        yield f"Finished an interrupted generation: {path} is committed."
    for place in report.undone:
        yield f"Finished an interrupted undo at {visible(place)}."
    for parked in report.parked:
        place = f"{visible('/'.join(parked.goal))}, {visible(parked.slot)}"
        yield f"The text for {place} is kept in {visible(parked.path)}: {visible(parked.reason)}."
    for waiting in report.pending:
        what = visible(waiting.component or waiting.tx)
        if waiting.has_owner:
            yield f"{what} is being generated right now, by another process."
        else:
            yield f"{what} waits: {visible(waiting.reason)}."
    for warning in report.warnings:
        yield visible(warning)
