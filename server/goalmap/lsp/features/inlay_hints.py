"""`textDocument/inlayHint`: after each reference, about how many tokens its component adds to a prompt.

They are estimates, so that a screen full of them costs a few small reads; hovers and lenses count exactly where they
can. Editors have a switch of their own for hints: there is no second one here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from goalmap.core.goal_map import Reference
from goalmap.core.tokens import estimate_tokens
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.open_map import open_map
from goalmap.lsp.session import Session

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    server.request("textDocument/inlayHint", {"inlayHintProvider": True})(
        session.answering(partial(inlay_hints, session))
    )


def inlay_hints(session: Session, params: Json) -> Any:
    """Return the hints within a range of a map; None for any other document."""
    library = open_map(session, params, with_disk=True)
    if library is None:
        return None
    goal_map = library.goal_map
    positions = session.map_positions(library)
    first, last = positions.place(params["range"]["start"]), positions.place(params["range"]["end"])
    shown = [
        reference
        for number in goal_map.outline.between(first[0], last[0])
        for reference in goal_map.goal_of(goal_map.outline.entries[number]).references
        if first <= (reference.span.line, reference.span.end) <= last
        and library.library.has(reference.slot, reference.file)
    ]
    session.read_ahead(library, [library.library.path(one.slot, one.file) for one in shown])
    hints = []
    texts: dict[tuple[str, str], str | None] = {}
    for reference in shown:
        span = reference.span
        key = reference.slot, reference.file
        if key not in texts:
            texts[key] = _label(session, library, reference)
        if texts[key]:
            closed = goal_map.lines[span.line][span.end : span.end + 1] == '"'
            place = positions.position(span.line, span.end + closed)
            hints.append({"position": place, "label": texts[key], "paddingLeft": True})
    return hints


def _label(session: Session, library: OpenLibrary, reference: Reference) -> str | None:
    text = session.read(library, library.library.path(reference.slot, reference.file))
    if text is None:
        return None
    tokens = estimate_tokens(text.rstrip())
    return f"{tokens} token" if tokens.number == 1 else f"{tokens} tokens"
