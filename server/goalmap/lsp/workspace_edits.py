"""Build the protocol's WorkspaceEdits: the only code that does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from goalmap.core.edits import Edit
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import RenameFile, TextDocumentEdit, TextEdit, WorkspaceEdit


def document_edit(session: Session, uri: str, version: int | None, edits: list[TextEdit]) -> WorkspaceEdit:
    """Return an edit of one document, for the version that it was made for where the client knows versions."""
    return _edit(session, [_DocumentEdit(uri, version, edits)], None)


def map_edit(session: Session, library: LibraryState, edits: list[Edit]) -> WorkspaceEdit:
    """Return an edit of a library's map."""
    return _edit(session, [_map_edit(session, library, edits)], None)


def workspace_edit(
    session: Session, edits: Mapping[str, list[Edit]], renamed: tuple[str, str] | None = None
) -> WorkspaceEdit | None:
    """Return the edit of the maps at these paths, and of a file's URI from one to another; None where there is none.

    Maps come before the file: clients announce the renaming of a file (`workspace/willRenameFiles`), and the answer
    must find the maps done, or they would be edited twice.
    """
    changes = [_map_edit(session, session.libraries[path], map_edits) for path, map_edits in edits.items() if map_edits]
    return _edit(session, changes, renamed) if changes or renamed is not None else None


class _DocumentEdit(NamedTuple):
    uri: str
    version: int | None
    edits: list[TextEdit]


def _map_edit(session: Session, library: LibraryState, edits: list[Edit]) -> _DocumentEdit:
    positions = session.map_positions(library)
    version = library.document.version if library.document else None
    return _DocumentEdit(library.map_uri, version, [positions.text_edit(edit) for edit in edits])


def _edit(session: Session, changes: list[_DocumentEdit], renamed: tuple[str, str] | None) -> WorkspaceEdit:
    if not session.client.takes_versioned_edits:
        return {"changes": {change.uri: change.edits for change in changes}}
    edits: list[TextDocumentEdit] = [
        {"textDocument": {"uri": change.uri, "version": change.version}, "edits": change.edits} for change in changes
    ]
    if renamed is None:
        return {"documentChanges": edits}
    rename: RenameFile = {"kind": "rename", "oldUri": renamed[0], "newUri": renamed[1]}
    return {"documentChanges": [*edits, rename]}
