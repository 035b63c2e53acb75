"""`textDocument/documentLink`: every reference whose file exists leads to it."""

from __future__ import annotations

from functools import partial
from typing import Any

from goalmap.core.text import visible
from goalmap.lsp.convert import to_json
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.open_map import open_map
from goalmap.lsp.session import Session

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    options = {"documentLinkProvider": {"resolveProvider": False}}
    server.request("textDocument/documentLink", options)(session.answering(partial(document_links, session)))


def document_links(session: Session, params: Json) -> Any:
    """Return the links of a map, in its order; None for any other document."""
    from goalmap.core.structure import named_files  # late: not needed for the first diagnostics

    library = open_map(session, params, with_disk=True)
    if library is None:
        return None
    positions = session.map_positions(library)
    # As JSON at once: a map has thousands of links.
    targets: dict[tuple[str, str], str | None] = {}
    links = []
    for slot, file, span in named_files(library.goal_map):
        key = slot, file
        if key not in targets:
            path = library.library.path(slot, file)
            found = f'"target":{to_json(library.uri(path))},"tooltip":{to_json(visible(path))}'
            targets[key] = found if library.library.has(slot, file) else None
        target = targets[key]
        if target is not None:
            links.append(f'{{"range":{positions.json_range(span)},{target}}}')
    return f"[{','.join(links)}]".encode("ascii")
