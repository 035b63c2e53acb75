"""`textDocument/documentLink`: every reference whose file exists leads to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goalmap.core.text import visible
from goalmap.lsp.open_map import open_map
from goalmap.lsp.raw_json import RawJson, raw_json, to_json
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import DocumentLinkParams


def document_links(session: Session, params: DocumentLinkParams) -> RawJson | None:
    """Return the links of a map, in its order; None for any other document."""
    from goalmap.core.symbol_tree import named_files  # late: not needed for the first diagnostics

    library = open_map(session, params, with_disk=True)
    if library is None:
        return None
    positions = session.map_positions(library)
    targets: dict[tuple[str, str], str | None] = {}
    links = []
    for slot, file, span in named_files(library.goal_map):
        key = slot, file
        if key not in targets:
            targets[key] = None
            if library.snapshot.has(slot, file):
                path = library.snapshot.path(slot, file)
                tooltip = f',"tooltip":{to_json(visible(path))}' if session.client.shows_link_tooltips else ""
                targets[key] = f'"target":{to_json(library.uri(path))}{tooltip}'
        target = targets[key]
        if target is not None:
            links.append(f'{{"range":{positions.json_range(span)},{target}}}')
    return raw_json(f"[{','.join(links)}]")
