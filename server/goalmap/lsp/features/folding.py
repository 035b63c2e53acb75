"""`textDocument/foldingRange`: categories, goals and lists of a map."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.open_map import open_map
from goalmap.lsp.session import Session

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    server.request("textDocument/foldingRange", {"foldingRangeProvider": True})(partial(folding, session))


def folding(session: Session, params: Json) -> Any:
    """Return what can be folded in a map; None for any other document."""
    from goalmap.core.structure import folds  # late: not needed for the first diagnostics

    library = open_map(session, params)
    if library is None:
        return None
    limit = session.server.client_capability("textDocument.foldingRange.rangeLimit")
    found = sorted(folds(library.goal_map))
    return [
        {"startLine": first, "endLine": last}
        for first, last in islice(found, limit if isinstance(limit, int) and limit >= 0 else None)
    ]
