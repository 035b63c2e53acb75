"""The commands that write: generate, cancel, undo, and what puts an interrupted generation right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pygls.exceptions import JsonRpcInvalidParams

from goalmap.core.naming import COMPONENTS, TEMPLATE_SLOT
from goalmap.files.errors import CommitError
from goalmap.lsp.buffers import after_recovery, before_write
from goalmap.lsp.features import resolve
from goalmap.lsp.features.code_actions import (
    CANCEL,
    CREATE_EMPTY,
    DISCARD,
    FINISH,
    GENERATE,
    GENERATE_ALL,
    described_in_map,
)
from goalmap.lsp.features.diagnostics import Publisher
from goalmap.lsp.features.workspace import recover
from goalmap.lsp.jobs import Jobs
from goalmap.lsp.server import GoalmapServer
from goalmap.lsp.session import OpenLibrary, Session

if TYPE_CHECKING:
    from goalmap.workflows import GenerateRequest

UNDO: Final = "goalmap.undo"
_WARNING: Final = 2
_NAMINGS: Final = ("autogen", "referenced")
_AT_ONCE: Final = 1

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
        CREATE_EMPTY: create_empty,
    }
    for name, command in commands.items():
        server.command(name)(partial(command, jobs))
    resolve.register(server, session)
    server.notification("goalmap/setApiKey")(partial(set_api_key, jobs))
    return jobs


# -- generating --------------------------------------------------------------------------------------------------------
def generate(jobs: Jobs, arguments: list[Any]) -> Json | None:
    """Begin a generation; answer with its job at once, since clients wait ten seconds at most."""
    argument = _first(arguments)
    library = _library(jobs, argument)
    request = _request(library, argument)
    if not _may_generate(jobs) or not _is_described(jobs, request.description):
        return None
    return {"job": jobs.start(library, request)}


def generate_all(jobs: Jobs, arguments: list[Any]) -> Json | None:
    """Begin the generation of all missing components of a goal, or of the map where no goal is named."""
    from goalmap.workflows import GenerateRequest, missing_references

    argument = _first(arguments)
    library = _library(jobs, argument)
    jobs.session.look(library)
    path = _goal(argument) if argument.get("goal") is not None else None
    goals = [goal for goal in library.goal_map.goals if path is None or goal.path == path]
    description = argument.get("description") or ""
    if not isinstance(description, str):
        raise JsonRpcInvalidParams("description must be a string")
    requests = [
        GenerateRequest(
            map_path=library.map_path,
            goal=reference.goal,
            slot=reference.slot,
            index=reference.index,
            file=reference.file,
            description=next(
                (
                    text
                    for goal in goals
                    if goal.path == reference.goal and (text := described_in_map(goal, reference.slot))
                ),
                description,
            ),
            naming=jobs.session.settings.generation.naming,
        )
        for reference in missing_references(goals, library.library)
    ]
    if not requests:
        jobs.session.server.notify("window/showMessage", {"type": 3, "message": "Nothing is missing."})
        return None
    if not _may_generate(jobs) or not all(_is_described(jobs, request.description) for request in requests):
        return None
    return {"job": jobs.start_all(library, requests, _AT_ONCE)}


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
    job = _first(arguments).get("job") if arguments else None
    return jobs.cancel(job if isinstance(job, str) else None)


def set_api_key(jobs: Jobs, params: Json) -> None:
    """Take the key of the editor's secret store; it is kept in memory only."""
    key = params.get("key")
    jobs.api_key = key if isinstance(key, str) and key else None
    jobs.tell_model()


def _recover_soon(jobs: Jobs, library: OpenLibrary) -> None:
    """See whether a save has settled what was thrown away before; costs next to nothing where nothing was."""
    jobs.session.server.protocol.run_in_background(_recover(jobs, library), "recover")


async def _recover(jobs: Jobs, library: OpenLibrary) -> None:
    await recover(jobs.session, library)
    jobs.publisher.publish_changed()


# -- putting things right ----------------------------------------------------------------------------------------------
def undo(jobs: Jobs, arguments: list[Any]) -> Awaitable[bool]:
    """Undo the commit of a job, or the library's last one."""
    argument = _first(arguments)
    job = argument.get("job")
    return jobs.undo(_library(jobs, argument), jobs.tx_of(job) if isinstance(job, str) else None)


def finish(jobs: Jobs, arguments: list[Any]) -> Awaitable[bool]:
    """Commit an interrupted generation on disk."""
    from goalmap.files import recovery

    return _settle(jobs, _first(arguments), recovery.finish)


def discard(jobs: Jobs, arguments: list[Any]) -> Awaitable[bool]:
    """Give up an interrupted generation; its text is parked."""
    from goalmap.files import recovery

    return _settle(jobs, _first(arguments), recovery.discard)


async def _settle(jobs: Jobs, argument: Json, act: Callable[[str, str], Any]) -> bool:
    from goalmap.workflows import describe_recovery

    library = _library(jobs, argument)
    tx = argument.get("tx")
    if not isinstance(tx, str):
        raise JsonRpcInvalidParams("tx must be a string")
    before = before_write(jobs.session, library)
    try:
        report = await asyncio.to_thread(act, library.root, tx)
        after_recovery(jobs.session, library, before, report)
        messages, kind = list(describe_recovery(report)), 3
    except CommitError as error:
        messages, kind = [str(error)], _WARNING
    for message in messages:
        jobs.session.server.notify("window/showMessage", {"type": kind, "message": message})
    _refresh(jobs, library)
    return kind != _WARNING


async def create_empty(jobs: Jobs, arguments: list[Any]) -> bool:
    """Create an empty component."""
    from goalmap.files import plain

    argument = _first(arguments)
    library = _library(jobs, argument)
    path = _component(argument)
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


# -- arguments ---------------------------------------------------------------------------------------------------------
def _first(arguments: list[Any]) -> Json:
    if not arguments or not isinstance(arguments[0], dict):
        raise JsonRpcInvalidParams("the first argument must be an object")
    return arguments[0]


def _library(jobs: Jobs, argument: Json) -> OpenLibrary:
    uri = argument.get("uri")
    library = jobs.session.library_at(uri) if isinstance(uri, str) else None
    if library is None:
        raise JsonRpcInvalidParams("uri must be that of a goal_map.json")
    return library


def _goal(argument: Json) -> tuple[str, ...]:
    goal = argument.get("goal")
    if not isinstance(goal, list) or not goal or not all(isinstance(part, str) for part in goal):
        raise JsonRpcInvalidParams("goal must be a list of names")
    return tuple(goal)


def _component(argument: Json) -> str:
    path = argument.get("path")
    if not isinstance(path, str) or not path.startswith(f"{COMPONENTS}/"):
        raise JsonRpcInvalidParams(f"path must be below {COMPONENTS}/")
    return path


def _request(library: OpenLibrary, argument: Json) -> GenerateRequest:
    from goalmap.workflows import GenerateRequest

    slot, index, file = argument.get("slot"), argument.get("index"), argument.get("file")
    naming, description = argument.get("naming", "autogen"), argument.get("description") or ""
    if not isinstance(slot, str) or slot == TEMPLATE_SLOT:
        raise JsonRpcInvalidParams("slot must be the name of a slot of components")
    if not (index is None or (type(index) is int and index >= 0)):
        raise JsonRpcInvalidParams("index must be a number, or null for a slot that is a string")
    if not isinstance(file, str):
        raise JsonRpcInvalidParams("file must be the name that the map holds now")
    if naming not in _NAMINGS:
        raise JsonRpcInvalidParams("naming must be autogen or referenced")
    if not isinstance(description, str):
        raise JsonRpcInvalidParams("description must be a string")
    return GenerateRequest(library.map_path, _goal(argument), slot, index, file, description, naming)
