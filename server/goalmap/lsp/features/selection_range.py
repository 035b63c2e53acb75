"""`textDocument/selectionRange`: from a file's name to its string, its list, its slot, its goal, and the map."""

from __future__ import annotations

from functools import partial
from typing import Any

from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.open_map import open_map
from goalmap.lsp.session import Session

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    capability = {"selectionRangeProvider": True}
    server.request("textDocument/selectionRange", capability)(partial(selection_ranges, session))


def selection_ranges(session: Session, params: Json) -> Any:
    """Return what each position stands in, the innermost first; None for a document that is no map."""
    from goalmap.core.edits import Place
    from goalmap.core.structure import enclosing, tree  # late: not needed for the first diagnostics

    library = open_map(session, params)
    if library is None:
        return None
    positions = session.map_positions(library)
    nodes = list(tree(library.goal_map))
    answer: list[Json] = []
    for position in params["positions"]:
        selection: Json = {}
        for start, end in reversed(enclosing(library.goal_map, nodes, Place(*positions.place(position)))):
            range_ = {"start": positions.position(*start), "end": positions.position(*end)}
            selection = {"range": range_, "parent": selection} if selection else {"range": range_}
        answer.append(selection)
    return answer
