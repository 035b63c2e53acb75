"""`textDocument/rename` and `textDocument/prepareRename`: components, goals, categories, and the slots of one goal.

Renaming a component renames its file and every reference to it, in every map of the workspace, as one edit. Whatever
speaks against it is said before anything moves.
"""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from goalmap.core.edits import Edit
from goalmap.core.goal_map import Reference
from goalmap.core.text import visible
from goalmap.lsp.endpoint import RequestFailed
from goalmap.lsp.library_state import Cursor, LibraryState
from goalmap.lsp.session import Session
from goalmap.lsp.workspace_edits import workspace_edit

if TYPE_CHECKING:
    from goalmap.lsp.types import PrepareRenameParams, PrepareRenamePlaceholder, RenameParams, WorkspaceEdit


def prepare_rename(session: Session, params: PrepareRenameParams) -> PrepareRenamePlaceholder | None:
    """Return the range of the name under the cursor, and the name; None where nothing can be renamed."""
    from goalmap.core.renames import target_at  # late: not needed for the first diagnostics

    cursor = session.cursor(params)
    if cursor is None or not cursor.in_map:
        return None
    target = target_at(cursor.library.goal_map, cursor.line, cursor.column)
    if target is None:
        return None
    return {"range": session.map_positions(cursor.library).range(target.span), "placeholder": target.name}


def rename(session: Session, params: RenameParams) -> WorkspaceEdit | None:
    """Return the edit that renames what is under the cursor to `newName`."""
    from goalmap.core.renames import RenameRefused, rename_key_edits, target_at

    cursor = session.cursor(params)
    target = target_at(cursor.library.goal_map, cursor.line, cursor.column) if cursor and cursor.in_map else None
    if cursor is None or target is None:
        raise RequestFailed("Only goals, categories, slots and components can be renamed: put the cursor on one")
    try:
        if target.reference is not None:
            return _rename_component(session, cursor, target.reference, params["newName"])
        edits = rename_key_edits(cursor.library.goal_map, target, params["newName"])
        library = cursor.library
        check = partial(_check_writable, [library.map_path])
        session.disk_access.ask(library.disk, ("writable", library.map_path), check)
    except RenameRefused as refused:
        raise RequestFailed(str(refused)) from None
    return workspace_edit(session, {cursor.library.map_path: edits})


def _rename_component(session: Session, cursor: Cursor, reference: Reference, name: str) -> WorkspaceEdit | None:
    from goalmap.core.renames import RenameRefused, check_file_name

    library = cursor.library
    session.require_fresh(library)  # what is refused or not depends on the disk as it is now
    check_file_name(library.snapshot, reference, name)
    if name == reference.file:
        return None
    old = library.full(library.snapshot.path(reference.slot, reference.file))
    new = library.full(library.snapshot.path(reference.slot, name))
    exists = library.snapshot.has(reference.slot, reference.file)
    if exists and not session.client.renames_files:
        shown = visible(library.snapshot.path(reference.slot, name))
        raise RenameRefused(
            f"This editor does not let the server rename files. Rename the file to {shown} yourself, then use the "
            "quick fix at the references"
        )
    if exists:
        session.disk_access.ask(library.disk, ("taken", new), partial(_check_free, old, new))
    edits = edits_of_moved(session, {old: new})[0]
    written = [path for path, map_edits in edits.items() if map_edits]
    check = partial(_check_writable, written, moved=(old, new) if exists else None)
    session.disk_access.ask(library.disk, ("writable", *written), check)
    if not exists:
        return workspace_edit(session, edits)
    document = session.documents.get(old)
    old_uri = document.uri if document else library.uri(library.snapshot.path(reference.slot, reference.file))
    return workspace_edit(session, edits, (old_uri, library.uri(library.snapshot.path(reference.slot, name))))


Stranded = list[tuple[LibraryState, list[Reference]]]


def edits_of_moved(session: Session, moved: dict[str, str]) -> tuple[dict[str, list[Edit]], Stranded]:
    """Return the edits of each map of the workspace when files move, and the references that cannot follow.

    `moved` gives the new absolute path of each old one.
    """
    from goalmap.core.renames import move_edits

    edits: dict[str, list[Edit]] = {}
    stranded: Stranded = []
    for library in list(session.libraries.values()):
        moves = {library.relative(old): library.relative(new) for old, new in moved.items()}
        moves.pop(None, None)
        if moves:
            move = move_edits(library.goal_map, library.snapshot, {old: new for old, new in moves.items() if old})
            edits[library.map_path] = move.edits
            if move.stranded:
                stranded.append((library, move.stranded))
    return edits, stranded


def _nearest_folder(path: str) -> str:
    """Return the folder of a file, or, where it is yet to be made, the one that it will be made in."""
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _check_free(old: str, new: str) -> None:
    """Raise `RenameRefused` where another file has the new name."""
    from goalmap.core.renames import RenameRefused

    if os.path.lexists(new) and not os.path.samefile(old, new):
        raise RenameRefused(f"{visible(new)} exists already: choose another name")


def _check_writable(paths: list[str], *, moved: tuple[str, str] | None = None) -> None:
    """Raise `RenameRefused` where a file to be written, or a file or folder that a move changes, is read-only."""
    from goalmap.core.renames import RenameRefused

    if moved is not None:
        old, new = moved
        paths = [*paths, old, os.path.dirname(old), _nearest_folder(new)]
    for path in paths:
        if is_read_only(path):
            raise RenameRefused(f"{visible(path)} is read-only: make it writable first. Nothing was renamed")


def is_read_only(path: str) -> bool:
    """Whether a file or folder must not be written; root may write everything, but what is without `w` means it."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False  # never saved: the buffer is all there is
    return not os.access(path, os.W_OK) or not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
