"""`textDocument/references` and `textDocument/documentHighlight`: who names a component."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from goalmap.lsp.convert import START_OF_FILE
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.features.definition import users
from goalmap.lsp.open_library import Cursor
from goalmap.lsp.session import Session

Json = dict[str, Any]

_READ: Final = 2  # DocumentHighlightKind


def register(server: GoalmapServer, session: Session) -> None:
    """Serve these features."""
    server.request("textDocument/references", {"referencesProvider": True})(
        session.answering(partial(references, session))
    )
    server.request("textDocument/documentHighlight", {"documentHighlightProvider": True})(
        session.answering(partial(highlight, session))
    )


def references(session: Session, params: Json) -> Any:
    """Return all references of the library to the component under the cursor, or around it.

    Its declaration is the file. A goal is named by nobody: there it is the key, if that is asked for.
    """
    cursor = session.cursor(params)
    if cursor is None:
        return None
    library = cursor.library
    declaration = bool((params.get("context") or {}).get("includeDeclaration"))
    path = _component(cursor)
    if path is not None:
        found = users(session, library, path)
        if declaration and path in library.library.files:
            found = [(library.uri(path), START_OF_FILE), *found]
        return [{"uri": uri, "range": range_} for uri, range_ in found]
    goal = cursor.goal
    if goal is None or not goal.key_span.touches(cursor.line, cursor.column):
        return None
    key = {"uri": library.map_uri, "range": session.map_positions(library).range(goal.key_span)}
    return [key] if declaration else []


def _component(cursor: Cursor) -> str | None:
    """Return the path of the component that the cursor is about."""
    if not cursor.in_map:
        return cursor.component
    reference = cursor.reference
    return cursor.library.library.path(reference.slot, reference.file) if reference and reference.file else None


def highlight(session: Session, params: Json) -> Any:
    """Return all references of the map to the component under the cursor."""
    cursor = session.cursor(params)
    path = _component(cursor) if cursor is not None and cursor.in_map else None
    if cursor is None or path is None:
        return None
    return [{"range": range_, "kind": _READ} for _, range_ in users(session, cursor.library, path)]
