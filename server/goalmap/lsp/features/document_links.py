"""`textDocument/documentLink`: every reference whose file exists leads to it."""

from __future__ import annotations

from functools import partial
from typing import Any

from goalmap.core.text import visible
from goalmap.lsp.server import GoalmapServer
from goalmap.lsp.session import Session

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    options = {"documentLinkProvider": {"resolveProvider": False}}
    server.request("textDocument/documentLink", options)(partial(document_links, session))


def document_links(session: Session, params: Json) -> Any:
    """Return the links of a map, in its order; None for any other document."""
    document = session.document(params["textDocument"]["uri"])
    library = session.library_at(params["textDocument"]["uri"]) if document is not None else None
    if library is None or library.document is not document:
        return None
    positions = session.map_positions(library)
    targets: dict[tuple[str, str], tuple[str, str] | None] = {}
    links = []
    for reference in library.goal_map.references():
        key = reference.slot, reference.file
        if key not in targets:
            path = library.library.path(*key)
            targets[key] = (library.uri(path), visible(path)) if library.library.has(*key) else None
        target = targets[key]
        if target is not None:
            links.append({"range": positions.range(reference.span), "target": target[0], "tooltip": target[1]})
    return links
