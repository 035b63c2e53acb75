"""Edits of several maps and files at once, as the client takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goalmap.core.edits import Edit
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.session import Session

Json = dict[str, Any]


def can_rename_files(session: Session) -> bool:
    """Whether the client renames files as a part of an edit."""
    kinds = session.server.client_list("workspace.workspaceEdit.resourceOperations")
    return _takes_versions(session) and isinstance(kinds, list) and "rename" in kinds


def _takes_versions(session: Session) -> bool:
    return bool(session.server.client_capability("workspace.workspaceEdit.documentChanges"))


def workspace_edit(
    session: Session, edits: Mapping[str, list[Edit]], renamed: tuple[str, str] | None = None
) -> Json | None:
    """Return the edit of the maps at these paths, and of a file's URI from one to another; None where there is none.

    Maps come before the file: clients announce the renaming of a file (`workspace/willRenameFiles`), and the answer
    must find the maps done, or they would be edited twice.
    """
    changes: list[Json] = []
    for map_path, map_edits in edits.items():
        if map_edits:
            library = session.libraries[map_path]
            positions = session.map_positions(library)
            changes.append(
                {"textDocument": _identifier(library), "edits": [positions.edit(edit) for edit in map_edits]}
            )
    if not _takes_versions(session):
        plain = {change["textDocument"]["uri"]: change["edits"] for change in changes}
        return {"changes": plain} if plain else None
    if renamed is not None:
        changes.append({"kind": "rename", "oldUri": renamed[0], "newUri": renamed[1]})
    return {"documentChanges": changes} if changes else None


def _identifier(library: OpenLibrary) -> Json:
    version = library.document.version if library.document else None
    return {"uri": library.map_uri, "version": version}
