"""Edits that go through an editor's buffer, because what it holds is not what is on disk.

An editor's word that it applied an edit is not taken: the edit counts once the buffer, as it comes back through
`didChange`, has it. For one version of a document an edit is sent once and never again; eglot, whose changes arrive
half a second late, has otherwise been seen to make the same edit four times.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Final

from pygls.exceptions import JsonRpcException

from goalmap.core.edits import EditError, find_reference, reference_edit
from goalmap.core.goal_map import GoalPath, Reference
from goalmap.lsp.session import OpenLibrary, Session

log = logging.getLogger(__name__)

_APPLY_TIMEOUT_S: Final = 10.0
_CONFIRM_TIMEOUT_S: Final = 5.0
_MAX_VERSIONS: Final = 8


def belongs_into_buffer(session: Session, library: OpenLibrary) -> bool:
    """Whether the map's edit must go through the editor: it has changes of its own, or would not notice ours."""
    if library.document is None:
        return False
    reloads = session.server.client_capability("experimental.goalmap.reloadsCleanFiles") is True
    return not reloads or session.is_dirty(library.document)


def find_in_buffer(library: OpenLibrary, goal: GoalPath, slot: str, index: int | None, file: str) -> Reference | None:
    """Return the reference of a slot that names `file`: at `index` where it is there, else the first one that does."""
    try:
        found = find_reference(library.goal_map, goal, slot, index)
        if found.file == file:
            return found
    except EditError:
        pass
    there = library.goal_map.goal(goal)
    references = there.slots[slot].references if there and slot in there.slots else ()
    return next((reference for reference in references if reference.file == file), None)


async def set_in_buffer(session: Session, library: OpenLibrary, reference: Reference, file: str) -> bool:
    """Have the editor make `reference` name `file`; return whether its buffer does.

    Whoever types meanwhile makes the edit stale, and it is made anew for what they typed.
    """
    place = reference.goal, reference.slot, reference.index
    for _ in range(_MAX_VERSIONS):
        document = library.document
        if document is None:
            return False
        current = find_in_buffer(library, *place, reference.file)
        if current is None:
            return find_in_buffer(library, *place, file) is not None
        version = document.version
        positions = session.map_positions(library)
        change = positions.edit(reference_edit(library.goal_map, current, file))
        changed = asyncio.Event()
        listener = partial(_set_if, library, changed)
        session.change_listeners.append(listener)
        try:
            await _apply(session, document.uri, version, change)
            try:
                async with asyncio.timeout(_CONFIRM_TIMEOUT_S):
                    while library.document is document and find_in_buffer(library, *place, file) is None:
                        changed.clear()
                        if document.version != version and find_in_buffer(library, *place, reference.file):
                            break  # somebody typed first: the edit was for a text that is gone
                        await changed.wait()
            except TimeoutError:
                pass
        finally:
            session.change_listeners.remove(listener)
        if find_in_buffer(library, *place, file) is not None:
            return True
        if library.document is document and document.version == version:
            return False  # refused, or said to be applied and not: never sent twice for one version
    return False


def _set_if(library: OpenLibrary, event: asyncio.Event, changed: OpenLibrary) -> None:
    if changed is library:
        event.set()


async def _apply(session: Session, uri: str, version: int, change: dict[str, Any]) -> None:
    if session.server.client_capability("workspace.workspaceEdit.documentChanges"):
        edit: dict[str, Any] = {
            "documentChanges": [{"textDocument": {"uri": uri, "version": version}, "edits": [change]}]
        }
    else:
        edit = {"changes": {uri: [change]}}
    try:
        params = {"label": "Name the generated component", "edit": edit}
        await session.server.ask("workspace/applyEdit", params, timeout_s=_APPLY_TIMEOUT_S)
    except (JsonRpcException, TimeoutError) as error:
        log.warning("The editor did not take the edit: %s", error)
