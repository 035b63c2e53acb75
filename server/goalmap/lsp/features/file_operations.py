"""`workspace/willRenameFiles` and what comes after files were renamed, created or deleted in the editor.

A component, or a folder of them, may move within the folder of its slot: every reference follows. A reference cannot
name a file in the folder of another slot; then the user is told which goals miss it now.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from goalmap.core.naming import COMPONENTS
from goalmap.core.text import visible
from goalmap.lsp.enums import MessageType
from goalmap.lsp.features.rename import Stranded, edits_of_moved, is_read_only
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.positions import to_path
from goalmap.lsp.session import Session
from goalmap.lsp.workspace_edits import workspace_edit

if TYPE_CHECKING:
    from goalmap.lsp.types import CreateFilesParams, DeleteFilesParams, RenameFilesParams, WorkspaceEdit

FILTERS: Final = {"filters": [{"scheme": "file", "pattern": {"glob": f"**/{COMPONENTS}/**"}}]}
_MAX_GOALS: Final = 5


def will_rename(session: Session, params: RenameFilesParams) -> WorkspaceEdit | None:
    """Return the edit of all maps that follows the files which are about to move; None where none is needed."""
    from goalmap.core.renames import moved_files  # late: not needed for the first diagnostics

    moved: dict[str, str] = {}
    for file in params["files"]:
        old, new = to_path(file["oldUri"]), to_path(file["newUri"])
        if old is None or new is None:
            continue
        for library in _libraries_with(session, old):
            session.require_fresh(library)
            relative = library.relative(old)
            if relative is not None:
                for path in moved_files(library.snapshot, relative, relative):
                    moved[library.full(path)] = new + library.full(path)[len(old) :]
    edits, stranded = edits_of_moved(session, moved)
    read_only = [path for path, map_edits in edits.items() if map_edits and _is_read_only(session, path)]
    _warn(session, stranded)
    for map_path in read_only:
        message = f"{visible(map_path)} is read-only and names what is moved: make it writable, then save it"
        session.show_message(MessageType.WARNING, message)
    return workspace_edit(session, edits)


def _is_read_only(session: Session, map_path: str) -> bool:
    disk = session.libraries[map_path].disk
    return session.disk_access.ask(disk, ("read-only", map_path), partial(is_read_only, map_path))


def _libraries_with(session: Session, path: str) -> list[LibraryState]:
    """Return the libraries that may have a component at `path`, after taking in the one that it belongs to."""
    session.library_of(path)
    return [library for library in session.libraries.values() if library.relative(path) is not None]


def _warn(session: Session, stranded: Stranded) -> None:
    from goalmap.core.renames import goals_of

    for library, references in stranded:
        goals = [visible("/".join(goal)) for goal in goals_of(references)]
        named = ", ".join(goals[:_MAX_GOALS]) + (
            f" and {len(goals) - _MAX_GOALS} more" if len(goals) > _MAX_GOALS else ""
        )
        files = ", ".join(
            sorted({visible(library.snapshot.path(one.slot, one.file)) for one in references})[:_MAX_GOALS]
        )
        message = (
            "A slot finds its components in its own folder only, by names that work on every system. "
            f"After this move, {named} will miss {files}: undo it, or change those goals"
        )
        session.show_message(MessageType.WARNING, message)


def did_create_or_delete(session: Session, params: CreateFilesParams | DeleteFilesParams) -> None:
    """Refresh the libraries in which files were created or deleted."""
    for file in params["files"]:
        _refresh_library_of(session, file["uri"])


def did_rename(session: Session, params: RenameFilesParams) -> None:
    """Refresh the libraries in which files were renamed."""
    for file in params["files"]:
        _refresh_library_of(session, file["oldUri"])
        _refresh_library_of(session, file["newUri"])


def _refresh_library_of(session: Session, uri: str) -> None:
    path = to_path(uri)
    library = session.library_of(path) if path else None
    if library is not None:
        session.follow_files(library)
