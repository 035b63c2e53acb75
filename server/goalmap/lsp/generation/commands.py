"""The commands that write: generate, cancel, undo, and what becomes of an interrupted generation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from pygls.exceptions import JsonRpcInvalidParams

from goalmap.files.errors import CommitError
from goalmap.lsp.enums import MessageType
from goalmap.lsp.generation.arguments import (
    component_path,
    generate_request,
    generate_requests,
    goal_path,
    library_of,
    missing_component,
)
from goalmap.lsp.generation.jobs import Jobs
from goalmap.lsp.generation.missing import described_in_map, guess, missing_references
from goalmap.lsp.generation.recovery import recover, teller
from goalmap.lsp.library_state import LibraryState

if TYPE_CHECKING:
    from goalmap.core.goal_map import Reference
    from goalmap.lsp.extensions import (
        CancelGeneration,
        CreateEmpty,
        GenerateAll,
        GenerateComponent,
        InterruptedGeneration,
        MissingComponent,
        ModelInUse,
        ModelParams,
        SetApiKeyParams,
        StartedJob,
        Undo,
    )


# -- generating --------------------------------------------------------------------------------------------------------
def generate(jobs: Jobs, argument: GenerateComponent) -> StartedJob | None:
    """Begin a generation; answer with its job at once, since clients wait ten seconds at most."""
    library = library_of(jobs.session, argument["uri"])
    request = generate_request(library, argument, argument.get("naming") or "autogen")
    if not _may_generate(jobs) or not _is_described(jobs, request.description):
        return None
    return {"job": jobs.start(library, request)}


def generate_all(jobs: Jobs, argument: GenerateAll) -> StartedJob | None:
    """Begin the generation of `components`; without them, of all that a goal lacks, or the map where none is named."""
    session = jobs.session
    library = library_of(session, argument["uri"])
    components = argument.get("components")
    if components is None:
        components = _described(jobs, library, argument)
    requests = generate_requests(session, library, argument, components)
    if not requests:
        session.show_message(MessageType.INFO, "Nothing is missing.")
        return None
    if not _may_generate(jobs):
        return None
    described = [request for request in requests if request.description.strip()]
    if not all(_is_described(jobs, request.description) for request in described or requests[:1]):
        return None
    skipped = len(requests) - len(described) + (argument.get("leftOut") or 0)
    job = jobs.start_all(library, described, skipped=skipped)
    if job is None:
        session.show_message(MessageType.INFO, "All of these are being generated already.")
        return None
    return {"job": job}


def _described(jobs: Jobs, library: LibraryState, argument: GenerateAll) -> list[MissingComponent]:
    """Return what is missing as the map describes it, else as the argument does, or, where that says so, by a guess."""
    from goalmap.workflows import shared_references

    def description(reference: Reference) -> str:
        if argument.get("guess") is True:
            return guess(library, reference)
        return described_in_map(library, reference) or argument.get("description") or ""

    goal = argument.get("goal")
    missing = missing_references(jobs.session, library, goal_path(goal) if goal is not None else None)
    shared = shared_references(missing, library.snapshot)
    return [missing_component(one, others, description=description(one)) for one, others in shared]


def _is_described(jobs: Jobs, description: str) -> bool:
    from goalmap.generation.prompt import validate_description

    reason = validate_description(description)
    if reason is not None:
        jobs.session.show_message(MessageType.WARNING, f"Nothing was generated. {reason}")
    return reason is None


def _may_generate(jobs: Jobs) -> bool:
    """Whether the workspace may spend the user's money: the client says so where it knows about trust."""
    if jobs.session.client.is_trusted:
        return True
    message = "This workspace is not trusted: no model is asked on its behalf. Trust it first."
    jobs.session.show_message(MessageType.WARNING, message)
    return False


def cancel(jobs: Jobs, argument: CancelGeneration | None) -> bool:
    """Cancel the job that is named, or all."""
    return jobs.cancel(argument.get("job") if argument else None)


# -- the model ---------------------------------------------------------------------------------------------------------
def model(jobs: Jobs, _params: ModelParams) -> ModelInUse:
    """Return which model would be asked now."""
    return jobs.model_in_use()


def set_api_key(jobs: Jobs, params: SetApiKeyParams) -> None:
    """Take the key of the editor's secret store; it is kept in memory only.

    It belongs to the origin of the address `origin`, or, where that is "", of the one that is in force where settings
    name none. Without `origin` it belongs to the one in force now.
    """
    jobs.stored_key.take(params.get("key"), params.get("origin"))
    jobs.tell_model()


# -- interrupted generations -------------------------------------------------------------------------------------------
def recover_soon(jobs: Jobs, library: LibraryState) -> None:
    """See whether a save has settled what was thrown away before; costs next to nothing where nothing was."""
    jobs.session.server.protocol.run_in_background(_recover(jobs, library), "recover")


async def _recover(jobs: Jobs, library: LibraryState) -> None:
    await recover(jobs.session, library)
    jobs.session.on_idle()


def undo(jobs: Jobs, argument: Undo) -> Awaitable[bool]:
    """Undo what a job committed, or the library's newest one."""
    return jobs.undo(library_of(jobs.session, argument["uri"]), argument.get("job"))


async def finish(jobs: Jobs, argument: InterruptedGeneration) -> bool:
    """Commit an interrupted generation on disk; one that awaits a review is kept by this."""
    from goalmap.files import recovery

    library, tx = _interrupted(jobs, argument)
    try:
        async with library.writing:
            return await asyncio.to_thread(recovery.finish, library.root, tx, tell=teller(jobs.session, library))
    except CommitError as error:
        jobs.session.show_message(MessageType.WARNING, str(error))
        return False
    finally:
        jobs.session.refresh_and_publish(library)


async def discard(jobs: Jobs, argument: InterruptedGeneration) -> bool:
    """Give up an interrupted generation; its text is parked."""
    library, tx = _interrupted(jobs, argument)
    async with library.writing:
        is_discarded = await jobs.pending_saves.discard(library, tx)
    jobs.session.refresh_and_publish(library)
    return is_discarded


async def review(jobs: Jobs, argument: InterruptedGeneration) -> bool:
    """Show the text of a generation that awaits its review, and keep or discard it as its user says."""
    from goalmap.files import recovery

    library, tx = _interrupted(jobs, argument)
    text = await asyncio.to_thread(recovery.text_of, library.root, tx)
    verdict = "later" if text is None else await jobs.review("this reference", text)
    if verdict == "later":
        return False
    return await (finish if verdict == "keep" else discard)(jobs, argument)


def _interrupted(jobs: Jobs, argument: InterruptedGeneration) -> tuple[LibraryState, str]:
    from goalmap.files.journal import is_tx

    if not is_tx(argument["tx"]):
        raise JsonRpcInvalidParams("tx must be that of a record")
    return library_of(jobs.session, argument["uri"]), argument["tx"]


# -- without a model ---------------------------------------------------------------------------------------------------
async def create_empty(jobs: Jobs, argument: CreateEmpty) -> bool:
    """Create an empty component."""
    from goalmap.files import empty_component

    library = library_of(jobs.session, argument["uri"])
    path = component_path(argument["path"])
    try:
        await asyncio.to_thread(empty_component.create_empty, library.root, path)
    except CommitError as error:
        jobs.session.show_message(MessageType.WARNING, str(error))
        return False
    jobs.session.refresh_and_publish(library)
    return True
