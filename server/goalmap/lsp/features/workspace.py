"""The workspace: finding its libraries, watching their files, and following its folders and settings."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Final

from pygls.exceptions import JsonRpcException

from goalmap.core.naming import COMPONENTS, MAP_NAME
from goalmap.files import recovery
from goalmap.files.errors import CommitError
from goalmap.files.store import has_records
from goalmap.lsp.convert import to_path
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.features.diagnostics import Publisher
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.session import Session
from goalmap.lsp.telling import teller

log = logging.getLogger(__name__)

_WATCHED: Final = (f"**/{MAP_NAME}", f"**/{COMPONENTS}/**", f"**/{COMPONENTS}")

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session, publisher: Publisher) -> None:
    """Serve these features."""
    server.notification("workspace/didChangeWatchedFiles")(partial(files_changed, session))
    server.notification("workspace/didChangeWorkspaceFolders")(partial(folders_changed, session, publisher))
    server.notification("workspace/didChangeConfiguration")(partial(configuration_changed, session))
    session.initialized_listeners.append(partial(_begin, session, publisher))


async def _begin(session: Session, publisher: Publisher) -> None:
    """Once the handshake is over: ask for the settings and for news of files, and look for libraries."""
    await _watch(session)
    await fetch_settings(session)
    await discover(session, publisher)
    for listener in session.settings_listeners:
        listener()


async def _watch(session: Session) -> None:
    if not session.server.client_capability("workspace.didChangeWatchedFiles.dynamicRegistration"):
        return
    options = {"watchers": [{"globPattern": pattern} for pattern in _WATCHED]}
    registration = {"id": "goalmap-files", "method": "workspace/didChangeWatchedFiles", "registerOptions": options}
    session.server.protocol.send_request("client/registerCapability", {"registrations": [registration]})


async def discover(session: Session, publisher: Publisher) -> None:
    """Take in the libraries of the workspace, and finish what an earlier run left in them."""
    taken = set()

    async def take(library: OpenLibrary) -> None:
        taken.add(library)
        publisher.publish_changed()
        await recover(session, library)
        publisher.publish_changed()

    await session.discover(take)
    for library in [one for one in session.libraries.values() if one not in taken]:
        await recover(session, library)
    publisher.publish_changed()


async def recover(session: Session, library: OpenLibrary) -> None:
    """Finish what an earlier run left in a library; costs next to nothing where it left nothing."""
    if not await session.on_disk(library, partial(has_records, library.root)):
        return
    async with library.writing:
        try:
            await asyncio.to_thread(recovery.recover, library.root, tell=teller(session, library))
        except CommitError as error:
            session.server.notify("window/logMessage", {"type": 2, "message": str(error)})


def files_changed(session: Session, params: Json) -> None:
    """Follow files that changed outside of the editor."""
    paths = filter(None, (to_path(change["uri"]) for change in params["changes"]))
    found = (session.libraries.get(path) or session.library_of(path) for path in paths)
    for library in dict.fromkeys(filter(None, found)):
        library.may_be_gone = True
        library.examined = False
        session.look(library)
        if library.map_path in session.libraries:
            session.touch(library)
            for listener in session.save_listeners:
                listener(library)


def folders_changed(session: Session, publisher: Publisher, params: Json) -> Any:
    """Follow the workspace's folders."""
    event = params["event"]
    for removed in filter(None, (to_path(folder["uri"]) for folder in event.get("removed") or [])):
        session.folders = [folder for folder in session.folders if folder != removed]
        for library in session.forget(removed):
            publisher.forget(library)
    session.folders += filter(None, (to_path(folder["uri"]) for folder in event.get("added") or []))
    return discover(session, publisher)


# -- settings ----------------------------------------------------------------------------------------------------------
async def fetch_settings(session: Session) -> None:
    """Ask the client for the settings under `goalmap`, where it can be asked."""
    if not session.server.client_capability("workspace.configuration"):
        return
    try:
        answer = await session.server.ask("workspace/configuration", {"items": [{"section": "goalmap"}]}, timeout_s=10)
    except (JsonRpcException, TimeoutError) as error:
        log.warning("No settings: %s", error)  # the libraries are to be found all the same
        return
    apply_settings(session, answer[0] if isinstance(answer, list) and answer else None)


def configuration_changed(session: Session, params: Json) -> Any:
    """Follow the settings: those that came with the message, or the client's answer."""
    if session.server.client_capability("workspace.configuration"):
        return fetch_settings(session)
    sent = params.get("settings")
    apply_settings(session, sent.get("goalmap", sent) if isinstance(sent, dict) else None)
    return None


def apply_settings(session: Session, values: Any) -> None:
    """Take over settings; what is wrong with one is said with its name, and the others count."""
    if not values:
        return
    from goalmap.settings import read_settings  # late: pydantic

    session.settings, complaints = read_settings(values)
    for complaint in complaints:
        session.server.notify("window/showMessage", {"type": 2, "message": complaint})
    session.settings_changed()
