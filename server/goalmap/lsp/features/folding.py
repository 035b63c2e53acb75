"""`textDocument/foldingRange`: categories, goals and lists of a map."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from goalmap.lsp.server import GoalmapServer
from goalmap.lsp.session import Session

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    server.request("textDocument/foldingRange", {"foldingRangeProvider": True})(partial(folding, session))


def folding(session: Session, params: Json) -> Any:
    """Return what can be folded in a map; None for any other document."""
    from goalmap.core.structure import folds  # late: not needed for the first diagnostics

    document = session.document(params["textDocument"]["uri"])
    library = session.libraries.get(document.path or "") if document is not None else None
    if library is None or library.document is not document:
        return None
    limit = session.server.client_capability("textDocument.foldingRange.rangeLimit")
    found = sorted(folds(library.goal_map))
    return [
        {"startLine": first, "endLine": last}
        for first, last in islice(found, limit if isinstance(limit, int) and limit >= 0 else None)
    ]
