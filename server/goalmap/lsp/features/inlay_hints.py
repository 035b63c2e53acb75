"""`textDocument/inlayHint`: after each reference, about how many tokens its component adds to a prompt.

They are estimates, so that a screen full of them costs a few small reads; hovers and lenses count exactly where they
can. Editors have a switch of their own for hints: there is no second one here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goalmap.core.goal_map import Reference
from goalmap.core.tokens import estimate_tokens
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.open_map import open_map
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import InlayHint, InlayHintParams


def inlay_hints(session: Session, params: InlayHintParams) -> list[InlayHint] | None:
    """Return the hints within a range of a map; None for any other document."""
    library = open_map(session, params, with_disk=True)
    if library is None:
        return None
    goal_map = library.goal_map
    positions = session.map_positions(library)
    first, last = positions.place(params["range"]["start"]), positions.place(params["range"]["end"])
    shown = [
        reference
        for number in goal_map.goal_index.between(first[0], last[0])
        for reference in goal_map.goal_of(goal_map.goal_index.ranges[number]).references
        if first <= (reference.span.line, reference.span.end) <= last
        and library.snapshot.has(reference.slot, reference.file)
    ]
    session.read_ahead(library, [library.snapshot.path(one.slot, one.file) for one in shown])
    hints: list[InlayHint] = []
    labels: dict[tuple[str, str], str | None] = {}
    for reference in shown:
        span = reference.span
        key = reference.slot, reference.file
        if key not in labels:
            labels[key] = _label(session, library, reference)
        label = labels[key]
        if label is not None:
            closed = goal_map.lines[span.line][span.end : span.end + 1] == '"'
            place = positions.position(span.line, span.end + closed)
            hints.append({"position": place, "label": label, "paddingLeft": True})
    return hints


def _label(session: Session, library: LibraryState, reference: Reference) -> str | None:
    text = session.read(library, library.snapshot.path(reference.slot, reference.file))
    if text is None:
        return None
    tokens = estimate_tokens(text.rstrip())
    return f"{tokens} token" if tokens.number == 1 else f"{tokens} tokens"
