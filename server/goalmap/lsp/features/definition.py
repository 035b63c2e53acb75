"""`textDocument/definition`, in both directions.

From a reference to its component, and from a component to the goals that name it; from a template's variable to the
slot; from any character of an assembled prompt to the component that it came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from goalmap.core.goal_map import Goal
from goalmap.core.naming import TEMPLATE_SLOT
from goalmap.core.text import Span
from goalmap.lsp.features.prompt_document import is_prompt, source
from goalmap.lsp.library_state import Cursor, LibraryState
from goalmap.lsp.positions import START_OF_FILE
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import DefinitionParams, Location, LocationLink, Range


class _Target(NamedTuple):
    """Where a link leads; its `origin`, where that is not the word that the client finds by itself."""

    origin: Span | None
    locations: list[Location]


_NOWHERE: Final = _Target(None, [])


def definition(session: Session, params: DefinitionParams) -> list[Location] | list[LocationLink] | None:
    """Return where what stands under the cursor is defined; None where that is nowhere."""
    if is_prompt(params["textDocument"]["uri"]):
        location = source(session, params)
        return _links(session, None, [location]) if location else None
    cursor = session.cursor(params)
    if cursor is None:
        return None
    target = _from_map(session, cursor) if cursor.in_map else _from_component(session, cursor)
    origin = session.positions(cursor.document.lines).range(target.origin) if target.origin else None
    return _links(session, origin, target.locations) if target.locations else None


def _links(session: Session, origin: Range | None, locations: list[Location]) -> list[Location] | list[LocationLink]:
    if not session.client.shows_definition_links:
        return locations
    links: list[LocationLink] = [
        {"targetUri": one["uri"], "targetRange": one["range"], "targetSelectionRange": one["range"]}
        for one in locations
    ]
    if origin is not None:
        for link in links:
            link["originSelectionRange"] = origin
    return links


def _from_map(session: Session, cursor: Cursor) -> _Target:
    library, goal, reference = cursor.library, cursor.goal, cursor.reference
    if reference is not None:
        if not library.snapshot.has(reference.slot, reference.file):
            return _NOWHERE
        path = library.snapshot.path(reference.slot, reference.file)
        return _Target(reference.span, [{"uri": library.uri(path), "range": START_OF_FILE}])
    if goal is not None and goal.key_span.touches(cursor.line, cursor.column):
        return _Target(goal.key_span, _in_map(session, library, [goal.key_span]))
    return _NOWHERE


def _from_component(session: Session, cursor: Cursor) -> _Target:
    library, path = cursor.library, cursor.component
    if path is None:
        return _NOWHERE
    references = library.users_of(path)
    if any(reference.slot == TEMPLATE_SLOT for reference in references):
        from goalmap.core.templates import variable_at

        variable = variable_at(cursor.document.lines[cursor.line], cursor.column)
        goals = [library.goal_map.goal(reference.goal) for reference in references]
        spans = [span for goal in goals if goal and variable for span in _named(goal, variable[0])]
        if variable and spans:
            origin = Span(cursor.line, variable[1].start, variable[1].end)
            return _Target(origin, _in_map(session, library, spans))
    return _Target(None, users(session, library, path))


def _named(goal: Goal, name: str) -> list[Span]:
    """Return where the map holds what a template calls `name`."""
    if name == "goal":
        return [goal.key_span]
    if name in goal.texts:
        return [goal.texts[name][1]]
    return [goal.slots[name].key_span] if name in goal.slots else []


def users(session: Session, library: LibraryState, path: str) -> list[Location]:
    """Return where the map names a component."""
    return _in_map(session, library, [reference.span for reference in library.users_of(path)])


def _in_map(session: Session, library: LibraryState, spans: list[Span]) -> list[Location]:
    positions = session.map_positions(library)
    return [{"uri": library.map_uri, "range": positions.range(span)} for span in spans]
