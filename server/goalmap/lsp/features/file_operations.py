"""`workspace/willRenameFiles` and what comes after files were renamed, created or deleted in the editor.

A component, or a folder of them, may move within the folder of its slot: every reference follows. A reference cannot
name a file in the folder of another slot; then the user is told which goals miss it now.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from goalmap.core.naming import COMPONENTS
from goalmap.core.text import visible
from goalmap.lsp.convert import to_path
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.features.rename import Stranded, edits_of_moved, is_read_only
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.session import Session
from goalmap.lsp.workspace_edits import workspace_edit

Json = dict[str, Any]

_FILTERS: Final = {"filters": [{"scheme": "file", "pattern": {"glob": f"**/{COMPONENTS}/**"}}]}
_WARNING: Final = 2
_MAX_GOALS: Final = 5


def register(server: GoalmapServer, session: Session) -> None:
    """Serve these features."""

    def capability(name: str) -> Json:
        return {"workspace": {"fileOperations": {name: _FILTERS}}}

    server.request("workspace/willRenameFiles", capability("willRename"))(
        session.answering(partial(will_rename, session))
    )
    for name in ("didRename", "didCreate", "didDelete"):
        server.notification(f"workspace/{name}Files", capability(name))(partial(files_changed, session))


def will_rename(session: Session, params: Json) -> Any:
    """Return the edit of all maps that follows the files which are about to move; None where none is needed."""
    from goalmap.core.renames import moved_files  # late: not needed for the first diagnostics

    moved: dict[str, str] = {}
    for file in params["files"]:
        old, new = to_path(file["oldUri"]), to_path(file["newUri"])
        if old is None or new is None:
            continue
        for library in _libraries_with(session, old):
            session.see(library)
            relative = library.relative(old)
            if relative is not None:
                for path in moved_files(library.library, relative, relative):
                    moved[library.full(path)] = new + library.full(path)[len(old) :]
    edits, stranded = edits_of_moved(session, moved)
    read_only = [path for path, found in edits.items() if found and _is_read_only(session, path)]
    _warn(session, stranded)
    for map_path in read_only:
        message = f"{visible(map_path)} is read-only and names what is moved: make it writable, then save it"
        session.server.notify("window/showMessage", {"type": _WARNING, "message": message})
    return workspace_edit(session, edits)


def _is_read_only(session: Session, map_path: str) -> bool:
    return session.ask(session.libraries[map_path].disk, ("read-only", map_path), partial(is_read_only, map_path))


def _libraries_with(session: Session, path: str) -> list[OpenLibrary]:
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
            sorted({visible(library.library.path(one.slot, one.file)) for one in references})[:_MAX_GOALS]
        )
        message = (
            "A slot finds its components in its own folder only, by names that work on every system. "
            f"After this move, {named} will miss {files}: undo it, or change those goals"
        )
        session.server.notify("window/showMessage", {"type": _WARNING, "message": message})


def files_changed(session: Session, params: Json) -> None:
    """Look at the disk again: files were renamed, created or deleted."""
    for file in params["files"]:
        for uri in (file.get("uri"), file.get("oldUri"), file.get("newUri")):
            path = to_path(uri) if uri else None
            library = session.library_of(path) if path else None
            if library is not None:
                library.may_be_gone = True
                library.examined = False
                session.look(library)
                session.touch(library)
