"""`textDocument/definition`, in both directions.

From a reference to its component, and from a component to the goals that name it; from a template's variable to the
slot; from any character of an assembled prompt to the component that it came from.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from goalmap.core.goal_map import Goal
from goalmap.core.naming import TEMPLATE_SLOT
from goalmap.core.text import Span
from goalmap.lsp.convert import START_OF_FILE
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.features.prompt_document import is_prompt, source
from goalmap.lsp.open_library import Cursor, OpenLibrary
from goalmap.lsp.session import Session

Json = dict[str, Any]
# The origin of a link, where it is not the word that the client finds by itself, and the places that it leads to.
Found = tuple[Span | None, list[tuple[str, Json]]]

_NOTHING: Final[Found] = (None, [])


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    server.request("textDocument/definition", {"definitionProvider": True})(
        session.answering(partial(definition, session))
    )


def definition(session: Session, params: Json) -> Any:
    """Return where what stands under the cursor is defined; None where that is nowhere."""
    if is_prompt(params["textDocument"]["uri"]):
        place = source(session, params)
        return _links(session, None, [place]) if place else None
    cursor = session.cursor(params)
    if cursor is None:
        return None
    span, places = _from_map(session, cursor) if cursor.in_map else _from_component(session, cursor)
    origin = session.positions(cursor.document.lines).range(span) if span else None
    return _links(session, origin, places) if places else None


def _links(session: Session, origin: Json | None, places: list[tuple[str, Json]]) -> list[Json]:
    if not session.server.client_capability("textDocument.definition.linkSupport"):
        return [{"uri": uri, "range": range_} for uri, range_ in places]
    links = [{"targetUri": uri, "targetRange": range_, "targetSelectionRange": range_} for uri, range_ in places]
    return [{"originSelectionRange": origin, **link} for link in links] if origin else links


def _from_map(session: Session, cursor: Cursor) -> Found:
    library, goal, reference = cursor.library, cursor.goal, cursor.reference
    if reference is not None:
        if not library.library.has(reference.slot, reference.file):
            return _NOTHING
        path = library.library.path(reference.slot, reference.file)
        return reference.span, [(library.uri(path), START_OF_FILE)]
    if goal is not None and goal.key_span.touches(cursor.line, cursor.column):
        return goal.key_span, [(library.map_uri, session.map_positions(library).range(goal.key_span))]
    return _NOTHING


def _from_component(session: Session, cursor: Cursor) -> Found:
    library, path = cursor.library, cursor.component
    if path is None:
        return _NOTHING
    references = library.users_of(path)
    positions = session.map_positions(library)
    if any(reference.slot == TEMPLATE_SLOT for reference in references):
        from goalmap.core.templates import variable_at

        found = variable_at(cursor.document.lines[cursor.line], cursor.column)
        goals = [library.goal_map.goal(reference.goal) for reference in references]
        spans = [span for goal in goals if goal and found for span in _named(goal, found[0])]
        if found and spans:
            origin = Span(cursor.line, found[1].start, found[1].end)
            return origin, [(library.map_uri, positions.range(span)) for span in spans]
    return None, users(session, library, path)


def _named(goal: Goal, name: str) -> list[Span]:
    """Return where the map holds what a template calls `name`."""
    if name == "goal":
        return [goal.key_span]
    if name in goal.texts:
        return [goal.texts[name][1]]
    return [goal.slots[name].key_span] if name in goal.slots else []


def users(session: Session, library: OpenLibrary, path: str) -> list[tuple[str, Json]]:
    """Return each reference to a component, as its map's URI and the range."""
    positions = session.map_positions(library)
    return [(library.map_uri, positions.range(reference.span)) for reference in library.users_of(path)]
