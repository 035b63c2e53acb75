"""`textDocument/references` and `textDocument/documentHighlight`: who names a component."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goalmap.lsp.enums import DocumentHighlightKind
from goalmap.lsp.features.definition import users
from goalmap.lsp.library_state import Cursor
from goalmap.lsp.positions import START_OF_FILE
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import DocumentHighlight, DocumentHighlightParams, Location, ReferenceParams


def references(session: Session, params: ReferenceParams) -> list[Location] | None:
    """Return all references of the library to the component under the cursor, or around it.

    Its declaration is the file. A goal is named by nobody: there it is the key, if that is asked for.
    """
    cursor = session.cursor(params)
    if cursor is None:
        return None
    library = cursor.library
    context = params.get("context")
    with_declaration = bool(context and context.get("includeDeclaration"))
    path = _component(cursor)
    if path is not None:
        locations = users(session, library, path)
        if with_declaration and path in library.snapshot.files:
            locations.insert(0, {"uri": library.uri(path), "range": START_OF_FILE})
        return locations
    goal = cursor.goal
    if goal is None or not goal.key_span.touches(cursor.line, cursor.column):
        return None
    key: Location = {"uri": library.map_uri, "range": session.map_positions(library).range(goal.key_span)}
    return [key] if with_declaration else []


def _component(cursor: Cursor) -> str | None:
    """Return the path of the component that the cursor is about."""
    if not cursor.in_map:
        return cursor.component
    reference = cursor.reference
    return cursor.library.snapshot.path(reference.slot, reference.file) if reference and reference.file else None


def document_highlights(session: Session, params: DocumentHighlightParams) -> list[DocumentHighlight] | None:
    """Return all references of the map to the component under the cursor."""
    cursor = session.cursor(params)
    path = _component(cursor) if cursor is not None and cursor.in_map else None
    if cursor is None or path is None:
        return None
    return [
        {"range": user["range"], "kind": DocumentHighlightKind.READ} for user in users(session, cursor.library, path)
    ]
