"""The workspace: finding its libraries, watching their files, and following its folders and settings."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from pygls.exceptions import JsonRpcException

from goalmap.core.naming import COMPONENTS, MAP_NAME
from goalmap.lsp.enums import MessageType
from goalmap.lsp.generation.recovery import recover
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.positions import to_path
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import (
        ConfigurationParams,
        DidChangeConfigurationParams,
        DidChangeWatchedFilesParams,
        DidChangeWorkspaceFoldersParams,
        RegistrationParams,
    )

log = logging.getLogger(__name__)

_WATCHED: Final = (f"**/{MAP_NAME}", f"**/{COMPONENTS}/**", f"**/{COMPONENTS}")


async def begin(session: Session) -> None:
    """Once the handshake is over: ask for the settings and for news of files, and look for libraries."""
    _watch(session)
    await fetch_settings(session)
    if session.server.is_shutting_down:
        return
    await discover(session)
    for listener in session.settings_listeners:
        listener()


def _watch(session: Session) -> None:
    if not session.client.watches_files:
        return
    options = {"watchers": [{"globPattern": pattern} for pattern in _WATCHED]}
    params: RegistrationParams = {
        "registrations": [
            {"id": "goalmap-files", "method": "workspace/didChangeWatchedFiles", "registerOptions": options}
        ]
    }
    session.server.protocol.send_request("client/registerCapability", params)


async def discover(session: Session) -> None:
    """Take in the libraries of the workspace, and finish what an earlier run left in them."""
    taken: set[LibraryState] = set()

    async def take(library: LibraryState) -> None:
        taken.add(library)
        session.on_idle()
        await recover(session, library)
        session.on_idle()

    await session.discover(take)
    for library in [one for one in session.libraries.values() if one not in taken]:
        await recover(session, library)
    session.on_idle()


def files_changed(session: Session, params: DidChangeWatchedFilesParams) -> None:
    """Follow files that changed outside of the editor."""
    paths = filter(None, (to_path(change["uri"]) for change in params["changes"]))
    libraries = (session.libraries.get(path) or session.library_of(path) for path in paths)
    for library in dict.fromkeys(filter(None, libraries)):
        session.follow_files(library)
        if library.map_path in session.libraries:
            for listener in session.save_listeners:
                listener(library)


def folders_changed(session: Session, params: DidChangeWorkspaceFoldersParams) -> Awaitable[None]:
    """Follow the workspace's folders."""
    event = params["event"]
    for removed in filter(None, (to_path(folder["uri"]) for folder in event.get("removed") or ())):
        session.forget(removed)
    session.folders += filter(None, (to_path(folder["uri"]) for folder in event.get("added") or ()))
    return discover(session)


# -- settings ----------------------------------------------------------------------------------------------------------
def configuration_changed(session: Session, params: DidChangeConfigurationParams) -> Awaitable[None] | None:
    """Follow the settings: those that came with the message, or the client's answer."""
    if session.client.has_configuration:
        return fetch_settings(session)
    sent = params.get("settings")
    apply_settings(session, sent.get("goalmap", sent) if isinstance(sent, dict) else None)
    return None


async def fetch_settings(session: Session) -> None:
    """Ask the client for the settings under `goalmap`, where it can be asked."""
    if not session.client.has_configuration:
        return
    params: ConfigurationParams = {"items": [{"section": "goalmap"}]}
    try:
        answer = await session.server.ask("workspace/configuration", params, timeout_s=10)
    except (JsonRpcException, TimeoutError) as error:
        log.warning("No settings: %s", error)  # the libraries are to be found all the same
        return
    apply_settings(session, answer[0] if isinstance(answer, list) and answer else None)


def apply_settings(session: Session, values: Any) -> None:
    """Take over settings; what is wrong with one is said with its name, and the others count."""
    if not values:
        return
    from goalmap.settings import read_settings  # late: pydantic

    session.settings, complaints = read_settings(values)
    for complaint in complaints:
        session.show_message(MessageType.WARNING, complaint)
    session.settings_changed()
