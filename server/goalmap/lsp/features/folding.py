"""`textDocument/foldingRange`: categories, goals and lists of a map."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from goalmap.lsp.open_map import open_map
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import FoldingRange, FoldingRangeParams


def folding_ranges(session: Session, params: FoldingRangeParams) -> list[FoldingRange] | None:
    """Return what can be folded in a map; None for any other document."""
    from goalmap.core.symbol_tree import folds  # late: not needed for the first diagnostics

    library = open_map(session, params)
    if library is None:
        return None
    ranges = sorted(folds(library.goal_map))
    return [{"startLine": first, "endLine": last} for first, last in islice(ranges, session.client.folding_range_limit)]
