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
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pygls.exceptions import JsonRpcException

from goalmap.core.edits import EditError, apply, find_reference, reference_edit
from goalmap.core.goal_map import GoalMap, GoalPath, Reference, parse
from goalmap.lsp.documents import Document
from goalmap.lsp.session import OpenLibrary, Session

if TYPE_CHECKING:
    from goalmap.files.recovery import RecoveryReport

log = logging.getLogger(__name__)

_APPLY_TIMEOUT_S: Final = 10.0
_CONFIRM_TIMEOUT_S: Final = 5.0
_MAX_VERSIONS: Final = 8


def belongs_into_buffer(session: Session, library: OpenLibrary) -> bool:
    """Whether the map's edit must go through the editor: it has changes of its own, or would not notice ours."""
    if library.document is None:
        return False
    return not _reloads(session) or session.is_dirty(library.document)


def _reloads(session: Session) -> bool:
    return session.server.client_capability("experimental.goalmap.reloadsCleanFiles") is True


def find_in_buffer(library: OpenLibrary, goal: GoalPath, slot: str, index: int | None, file: str) -> Reference | None:
    """Return the reference of a slot that names `file`: at `index` where it is there, else the first one that does."""
    return _find(library.goal_map, goal, slot, index, file)


def _find(goal_map: GoalMap, goal: GoalPath, slot: str, index: int | None, file: str) -> Reference | None:
    try:
        found = find_reference(goal_map, goal, slot, index)
        if found.file == file:
            return found
    except EditError:
        pass
    there = goal_map.goal(goal)
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
        with _watching(session, library) as changed:
            await _apply(session, document.uri, version, change)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONFIRM_TIMEOUT_S):
                    while library.document is document and find_in_buffer(library, *place, file) is None:
                        changed.clear()
                        if document.version != version and find_in_buffer(library, *place, reference.file):
                            break  # somebody typed first: the edit was for a text that is gone
                        await changed.wait()
        if find_in_buffer(library, *place, file) is not None:
            return True
        if library.document is document and document.version == version:
            return False  # refused, or said to be applied and not: never sent twice for one version
    return False


@contextlib.contextmanager
def _watching(session: Session, library: OpenLibrary) -> Iterator[asyncio.Event]:
    """Give an event that is set whenever the library's map changes, in the editor or on disk."""
    event = asyncio.Event()
    listener = partial(_set_if, library, event)
    session.change_listeners.append(listener)
    try:
        yield event
    finally:
        session.change_listeners.remove(listener)


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


# -- after a write to disk -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Written:
    """The place `goal`, `slot`, `index` of a map, whose reference `old` a write of ours to disk made `new`."""

    goal: GoalPath
    slot: str
    index: int | None
    old: str
    new: str


@dataclass(frozen=True)
class Buffer:
    """What an editor had open just before a write of ours to disk."""

    document: Document | None
    version: int = 0
    is_clean: bool = False


def before_write(session: Session, library: OpenLibrary) -> Buffer:
    """Return the map's buffer as it is before a write of ours; `after_write` is told what became of it."""
    document = library.document
    return Buffer(document, document.version, not session.is_dirty(document)) if document else Buffer(None)


def after_write(session: Session, library: OpenLibrary, before: Buffer, written: Written) -> None:
    """See to it that the editor's buffer comes to have what was written to disk; returns at once."""
    document = before.document
    if document is None or library.document is not document:
        return
    if find_in_buffer(library, written.goal, written.slot, written.index, written.new) is not None:
        return
    if before.is_clean and _reloads(session):
        is_behind = document.version != before.version and _is_behind(session, library, document, written)
        document.overtaken_version = document.version if is_behind else before.version
        session.server.notify("goalmap/written", {"uri": document.uri})
    session.server.protocol.run_in_background(_follow(session, library, written), "following the disk")


def after_recovery(session: Session, library: OpenLibrary, before: Buffer, report: RecoveryReport) -> None:
    """As `after_write`, for all that a recovery committed."""
    for done in report.finished:
        if done.map_changed:
            written = Written(done.goal, done.slot, done.index, done.old_file, done.file)
            after_write(session, library, before, written)


async def _follow(session: Session, library: OpenLibrary, written: Written) -> None:
    place = written.goal, written.slot, written.index
    with _watching(session, library) as changed:
        while (document := library.document) is not None and not find_in_buffer(library, *place, written.new):
            if session.is_dirty(document):
                if not _is_behind(session, library, document, written):
                    # What was typed is not on disk, and what was written is not in the buffer: now it holds both.
                    async with library.writing:
                        on_disk = parse(session.disk_text(library.map_path) or "")
                        old = find_in_buffer(library, *place, written.old)
                        if old is not None and _find(on_disk, *place, written.new) is not None:
                            await set_in_buffer(session, library, old, written.new)
                    return
                document.overtaken_version = document.version
            if document.version != document.overtaken_version:
                return  # reloaded, and the disk has it no longer
            changed.clear()
            await changed.wait()


def _is_behind(session: Session, library: OpenLibrary, document: Document, written: Written) -> bool:
    """Whether a buffer that reloads holds what the disk did before `written`: it took over an earlier write of ours.

    Where two components are committed in quick succession, the first one's reload comes after the second one's commit.
    """
    if document.overtaken_version is None or not _reloads(session):
        return False
    on_disk = session.disk_text(library.map_path) or ""
    new = _find(parse(on_disk), written.goal, written.slot, written.index, written.new)
    return new is not None and apply(on_disk, [reference_edit(parse(on_disk), new, written.old)]) == document.text
