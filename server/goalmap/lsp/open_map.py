"""The map that a request is about, for features that answer for maps alone."""

from __future__ import annotations

from typing import Any

from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.session import Session


def open_map(session: Session, params: dict[str, Any], *, with_disk: bool = False) -> OpenLibrary | None:
    """Return the library whose open map is the request's `textDocument`; None for any other document.

    `with_disk` has a look at the disk first: for answers that say which components there are.
    """
    uri = params["textDocument"]["uri"]
    document = session.document(uri)
    if document is None:
        return None
    library = session.library_at(uri) if with_disk else session.libraries.get(document.path or "")
    return library if library is not None and library.document is document else None
