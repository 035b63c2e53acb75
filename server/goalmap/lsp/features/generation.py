"""The commands that write: generate, cancel, undo, and what puts an interrupted generation right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from pygls.exceptions import JsonRpcInvalidParams

from goalmap.core.goal_map import Reference
from goalmap.files.errors import CommitError
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.features import resolve
from goalmap.lsp.features.arguments import (
    component_json,
    component_of,
    component_requests,
    description_of,
    first_of,
    goal_of,
    library_of,
    request_of,
)
from goalmap.lsp.features.code_actions import (
    CANCEL,
    CREATE_EMPTY,
    DISCARD,
    FINISH,
    GENERATE,
    GENERATE_ALL,
    REVIEW,
    described_in_map,
    guess,
    missing_in,
)
from goalmap.lsp.features.diagnostics import Publisher
from goalmap.lsp.features.workspace import recover
from goalmap.lsp.jobs import Jobs
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.session import Session
from goalmap.lsp.telling import teller

UNDO: Final = "goalmap.undo"
_WARNING: Final = 2
_INFO: Final = 3

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session, publisher: Publisher) -> Jobs:
    """Serve these commands."""
    jobs = Jobs(session, publisher)
    session.shutdown_listeners.append(jobs.end)
    session.save_listeners.append(partial(_recover_soon, jobs))
    commands: dict[str, Callable[[Jobs, list[Any]], Any]] = {
        GENERATE: generate,
        GENERATE_ALL: generate_all,
        CANCEL: cancel,
        UNDO: undo,
        FINISH: finish,
        DISCARD: discard,
        REVIEW: review,
        CREATE_EMPTY: create_empty,
    }
    for name, command in commands.items():
        server.command(name)(partial(command, jobs))
    resolve.register(server, session)
    server.notification("goalmap/setApiKey")(partial(set_api_key, jobs))
    server.request("goalmap/model")(lambda _params: jobs.model_in_use())
    return jobs


# -- generating --------------------------------------------------------------------------------------------------------
def generate(jobs: Jobs, arguments: list[Any]) -> Json | None:
    """Begin a generation; answer with its job at once, since clients wait ten seconds at most."""
    argument = first_of(arguments)
    library = library_of(jobs.session, argument)
    request = request_of(library, argument)
    if not _may_generate(jobs) or not _is_described(jobs, request.description):
        return None
    return {"job": jobs.start(library, request)}


def generate_all(jobs: Jobs, arguments: list[Any]) -> Json | None:
    """Begin the generation of `components`; without them, of all that a goal lacks, or the map where none is named."""
    argument = first_of(arguments)
    library = library_of(jobs.session, argument)
    if argument.get("components") is None:
        argument = {**argument, "components": _described(jobs, library, argument)}
    everything = component_requests(jobs.session, library, argument)
    if not everything:
        jobs.session.server.notify("window/showMessage", {"type": _INFO, "message": "Nothing is missing."})
        return None
    if not _may_generate(jobs):
        return None
    requests = [request for request in everything if request.description.strip()]
    if not all(_is_described(jobs, request.description) for request in requests or everything[:1]):
        return None
    skipped = len(everything) - len(requests) + (argument.get("leftOut") or 0)
    job = jobs.start_all(library, requests, skipped=skipped)
    if job is None:
        message = "All of these are being generated already."
        jobs.session.server.notify("window/showMessage", {"type": _INFO, "message": message})
    return None if job is None else {"job": job}


def _described(jobs: Jobs, library: OpenLibrary, argument: Json) -> list[Json]:
    """Return what is missing as the map describes it, else as the argument does, or, where that says so, by a guess."""
    description = description_of(argument)

    def say(reference: Reference) -> str:
        if argument.get("guess") is True:
            return guess(library, reference)
        goal = library.goal_map.goal(reference.goal)
        return (described_in_map(goal, reference.slot) if goal else None) or description

    from goalmap.workflows import shared_references

    found = missing_in(jobs.session, library, goal_of(argument) if argument.get("goal") is not None else None)
    shared = shared_references(found, library.library)
    return [component_json(reference, others, description=say(reference)) for reference, others in shared]


def _is_described(jobs: Jobs, description: str) -> bool:
    from goalmap.generation.prompt import validate_description

    reason = validate_description(description)
    if reason is not None:
        message = f"Nothing was generated. {reason}"
        jobs.session.server.notify("window/showMessage", {"type": _WARNING, "message": message})
    return reason is None


def _may_generate(jobs: Jobs) -> bool:
    """Whether the workspace may spend the user's money: the client says so where it knows about trust."""
    if jobs.session.is_trusted:
        return True
    message = "This workspace is not trusted: no model is asked on its behalf. Trust it first."
    jobs.session.server.notify("window/showMessage", {"type": _WARNING, "message": message})
    return False


def cancel(jobs: Jobs, arguments: list[Any]) -> bool:
    """Cancel the job that is named, or all."""
    return jobs.cancel(first_of(arguments).get("job") if arguments else None)


def set_api_key(jobs: Jobs, params: Json) -> None:
    """Take the key of the editor's secret store; it is kept in memory only.

    It belongs to the origin of the address `origin`, or, where that is "", of the one that is in force where settings
    name none. Without `origin` it belongs to the one in force now.
    """
    jobs.stored_key.take(params.get("key"), params.get("origin"))
    jobs.tell_model()


def _recover_soon(jobs: Jobs, library: OpenLibrary) -> None:
    """See whether a save has settled what was thrown away before; costs next to nothing where nothing was."""
    jobs.session.server.protocol.run_in_background(_recover(jobs, library), "recover")


async def _recover(jobs: Jobs, library: OpenLibrary) -> None:
    await recover(jobs.session, library)
    jobs.publisher.publish_changed()


# -- putting things right ----------------------------------------------------------------------------------------------
def undo(jobs: Jobs, arguments: list[Any]) -> Awaitable[bool]:
    """Undo what a job committed, or the library's newest one."""
    argument = first_of(arguments)
    job = argument.get("job")
    return jobs.undo(library_of(jobs.session, argument), job)


async def finish(jobs: Jobs, arguments: list[Any]) -> bool:
    """Commit an interrupted generation on disk; one that awaits a review is kept by this."""
    from goalmap.files import recovery

    library, tx = _interrupted(jobs, arguments)
    try:
        async with library.writing:
            return await asyncio.to_thread(recovery.finish, library.root, tx, tell=teller(jobs.session, library))
    except CommitError as error:
        jobs.session.server.notify("window/showMessage", {"type": _WARNING, "message": str(error)})
        return False
    finally:
        _refresh(jobs, library)


async def discard(jobs: Jobs, arguments: list[Any]) -> bool:
    """Give up an interrupted generation; its text is parked."""
    library, tx = _interrupted(jobs, arguments)
    async with library.writing:
        done = await jobs.unsaved.discard(library, tx)
    _refresh(jobs, library)
    return done


async def review(jobs: Jobs, arguments: list[Any]) -> bool:
    """Show the text of a generation that awaits its review, and keep or discard it as its user says."""
    from goalmap.files import recovery

    library, tx = _interrupted(jobs, arguments)
    text = await asyncio.to_thread(recovery.text_of, library.root, tx)
    verdict = "later" if text is None else await jobs.review("this reference", text)
    if verdict == "later":
        return False
    return await (finish if verdict == "keep" else discard)(jobs, arguments)


def _interrupted(jobs: Jobs, arguments: list[Any]) -> tuple[OpenLibrary, str]:
    from goalmap.files.journal import is_tx

    argument = first_of(arguments)
    if not is_tx(argument["tx"]):
        raise JsonRpcInvalidParams("tx must be that of a record")
    return library_of(jobs.session, argument), argument["tx"]


async def create_empty(jobs: Jobs, arguments: list[Any]) -> bool:
    """Create an empty component."""
    from goalmap.files import plain

    argument = first_of(arguments)
    library = library_of(jobs.session, argument)
    path = component_of(argument)
    try:
        await asyncio.to_thread(plain.create_empty, library.root, path)
    except CommitError as error:
        jobs.session.server.notify("window/showMessage", {"type": _WARNING, "message": str(error)})
        return False
    _refresh(jobs, library)
    return True


def _refresh(jobs: Jobs, library: OpenLibrary) -> None:
    jobs.session.look(library)
    jobs.session.touch(library)
    jobs.publisher.publish_changed()
