"""The map that a request is about, for features that answer for maps alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.extensions import TextDocumentParams


def open_map(session: Session, params: TextDocumentParams, *, with_disk: bool = False) -> LibraryState | None:
    """Return the library whose open map is the request's `textDocument`; None for any other document.

    `with_disk` refreshes it first: for answers that say which components there are.
    """
    uri = params["textDocument"]["uri"]
    document = session.document(uri)
    if document is None:
        return None
    library = session.library_at(uri) if with_disk else session.libraries.get(document.path or "")
    return library if library is not None and library.document is document else None
