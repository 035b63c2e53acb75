"""Edits that go through an editor's buffer, because what it holds is not what is on disk.

An editor's word that it applied an edit is not taken: the edit counts once the buffer, as it comes back through
`didChange`, has it. For one version of a document an edit is sent once and never again; eglot, whose changes arrive
half a second late, has otherwise been seen to make the same edit four times.

What we wrote to disk, an open buffer must come to have, too: by reloading the file, which `goalmap/written` asks for;
or, where somebody typed just then and the editor had not told yet, by an edit of what they typed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from pygls.exceptions import JsonRpcException

from goalmap.core.edits import apply, reference_edit
from goalmap.core.goal_map import GoalMap, Reference, parse
from goalmap.lsp.documents import Document
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.session import Session
from goalmap.lsp.workspace_edits import map_edit

if TYPE_CHECKING:
    from goalmap.files.report import MapChange, Place, Report
    from goalmap.lsp.extensions import WrittenParams
    from goalmap.lsp.types import ApplyWorkspaceEditParams, WorkspaceEdit

log = logging.getLogger(__name__)

_APPLY_TIMEOUT_S: Final = 10.0
_CONFIRM_TIMEOUT_S: Final = 5.0
_MAX_VERSIONS: Final = 8


async def belongs_into_buffer(session: Session, library: LibraryState) -> bool:
    """Whether the map's edit must go through the editor: it has changes of its own, or would not notice ours."""
    if library.document is None:
        return False
    return not _reloads(session) or await session.has_unsaved_changes(library)


def _reloads(session: Session) -> bool:
    return session.client.reloads_clean_files


def find_at(goal_map: GoalMap, place: Place, file: str) -> Reference | None:
    """Return the reference of the place's slot that names `file`: at its index where it is there, else the first."""
    goal = goal_map.goal(place.goal)
    references = goal.slots[place.slot].references if goal and place.slot in goal.slots else ()
    same = [reference for reference in references if reference.file == file]
    at_index = [reference for reference in same if reference.index == place.index]
    return next(iter(at_index or same), None)


def _has(goal_map: GoalMap, change: MapChange) -> bool:
    """Whether the place names the new file. While it names the old one, the new one beside it does not count."""
    new, stale = find_at(goal_map, change.place, change.new), find_at(goal_map, change.place, change.old)
    if new is None:
        return False
    return stale is None or stale.index != change.place.index


async def set_in_buffer(session: Session, library: LibraryState, changes: Sequence[MapChange]) -> bool:
    """Have the editor make `changes`, those that its buffer lacks; return whether the buffer has them then.

    Whoever types meanwhile makes the edit stale, and it is made anew for what they typed. A place that has neither the
    old reference nor the new one is left alone; where that is the first place, the answer is no.
    """
    for _ in range(_MAX_VERSIONS):
        document = library.document
        if document is None:
            return False
        todo = [change for change in changes if not _has(library.goal_map, change)]
        stale = [(change, old) for change in todo if (old := find_at(library.goal_map, change.place, change.old))]
        if not stale:
            return changes[0] not in todo
        version = document.version
        once = {old.span: reference_edit(library.goal_map, old, change.new) for change, old in stale}
        edit = map_edit(session, library, list(once.values()))
        with _watching(session, library) as changed:
            await _apply(session, edit)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONFIRM_TIMEOUT_S):
                    while library.document is document and not all(
                        _has(library.goal_map, change) for change, _ in stale
                    ):
                        changed.clear()
                        if document.version != version and _some_are_stale(library, stale):
                            break  # somebody typed first: the edit was for a text that is gone
                        await changed.wait()
        if all(_has(library.goal_map, change) for change, _ in stale):
            continue  # which looks at all places once more, and ends here
        if library.document is document and document.version == version:
            return False  # refused, or said to be applied and not: never sent twice for one version
    return False


def _some_are_stale(library: LibraryState, stale: Sequence[tuple[MapChange, Reference]]) -> bool:
    return any(find_at(library.goal_map, change.place, change.old) is not None for change, _ in stale)


@contextlib.contextmanager
def _watching(session: Session, library: LibraryState) -> Iterator[asyncio.Event]:
    """Give an event that is set whenever the library's map changes, in the editor or on disk."""
    event = asyncio.Event()
    listener = partial(_set_if, library, event)
    session.change_listeners.append(listener)
    try:
        yield event
    finally:
        session.change_listeners.remove(listener)


def _set_if(library: LibraryState, event: asyncio.Event, changed: LibraryState) -> None:
    if changed is library:
        event.set()


async def _apply(session: Session, edit: WorkspaceEdit) -> None:
    params: ApplyWorkspaceEditParams = {"label": "Name the generated component", "edit": edit}
    try:
        await session.server.ask("workspace/applyEdit", params, timeout_s=_APPLY_TIMEOUT_S)
    except (JsonRpcException, TimeoutError) as error:
        log.warning("The editor did not take the edit: %s", error)


# -- after a write to disk -------------------------------------------------------------------------------------------
def follow_disk(session: Session, library: LibraryState, report: Report) -> None:
    """See to it that the editor's buffer comes to have what changed in the map on disk; returns at once.

    It does not matter who made the change: this generation, one that a recovery finished, an undo, or another process
    whose commit answers this request.
    """
    document = library.document
    missing = [change for change in report.changes if not _has(library.goal_map, change)]
    if document is None or not missing:
        return
    if _reloads(session) and _is_overtaken(session, library, document, report):
        document.version_awaiting_reload = document.version
        params: WrittenParams = {"uri": document.uri}
        session.server.notify("goalmap/written", params)
    for change in missing:
        session.server.protocol.run_in_background(_follow(session, library, change), "following the disk")


def _is_overtaken(session: Session, library: LibraryState, document: Document, report: Report) -> bool:
    """Whether nobody has edited the buffer: it holds what the disk did before these changes."""
    if document.version == document.version_awaiting_reload or document.text == report.map_before:
        return True
    return _is_behind(session, library, document, report.changes)


async def _follow(session: Session, library: LibraryState, change: MapChange) -> None:
    with _watching(session, library) as changed:
        while (document := library.document) is not None and not _has(library.goal_map, change):
            changed.clear()
            is_dirty = await session.has_unsaved_changes(library)
            if library.document is not document or _has(library.goal_map, change):
                continue
            if is_dirty:
                if not (_reloads(session) and _is_behind(session, library, document, [change])):
                    # What was typed is not on disk, and what was written is not in the buffer: now it holds both.
                    async with library.writing:
                        on_disk = await session.on_disk(library, partial(session.disk_text, library.map_path))
                        if _has(parse(on_disk or ""), change):
                            await set_in_buffer(session, library, [change])
                    return
                document.version_awaiting_reload = document.version
            if document.version != document.version_awaiting_reload:
                return  # reloaded, and the disk has it no longer
            await changed.wait()


def _is_behind(session: Session, library: LibraryState, document: Document, changes: Sequence[MapChange]) -> bool:
    """Whether the buffer holds what the disk did before `changes`: an editor that reloads takes them over by itself.

    Where two components are committed in quick succession, the first one's reload comes after the second one's commit.
    """
    on_disk = session.map_on_disk(library) or ""
    goal_map = parse(on_disk)
    edits = {
        new.span: reference_edit(goal_map, new, change.old)
        for change in changes
        if (new := find_at(goal_map, change.place, change.new)) is not None
    }
    return bool(edits) and apply(on_disk, edits.values()) == document.text
