"""`textDocument/selectionRange`: from a file's name to its string, its list, its slot, its goal, and the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goalmap.lsp.open_map import open_map
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import Range, SelectionRange, SelectionRangeParams


def selection_ranges(session: Session, params: SelectionRangeParams) -> list[SelectionRange] | None:
    """Return what each position stands in, the innermost first; None for a document that is no map."""
    from goalmap.core.edits import Place
    from goalmap.core.symbol_tree import enclosing, tree  # late: not needed for the first diagnostics

    library = open_map(session, params)
    if library is None:
        return None
    positions = session.map_positions(library)
    nodes = list(tree(library.goal_map))
    selections: list[SelectionRange] = []
    for position in params["positions"]:
        selection: SelectionRange | None = None
        for start, end in reversed(enclosing(library.goal_map, nodes, Place(*positions.place(position)))):
            range_: Range = {"start": positions.position(*start), "end": positions.position(*end)}
            selection = {"range": range_, "parent": selection} if selection else {"range": range_}
        selections.append(selection or {"range": {"start": position, "end": position}})
    return selections
