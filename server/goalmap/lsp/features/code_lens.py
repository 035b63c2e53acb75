"""`textDocument/codeLens`: above each goal its prompt in figures, in each component how many goals use it.

What a lens says is worked out when the client shows it (`codeLens/resolve`): a map has many goals, a screen few. A
click needs a command of the client's own: those that it lists in `experimental.goalmap.commands` are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from goalmap.core.goal_map import GoalMap
from goalmap.core.naming import TEMPLATE_SLOT
from goalmap.core.tokens import count_tokens
from goalmap.lsp.client import PREVIEW, SHOW_REFERENCES
from goalmap.lsp.features.definition import users
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.positions import START_OF_FILE
from goalmap.lsp.prompts import prompt_of
from goalmap.lsp.raw_json import RawJson, raw_json, to_json
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.extensions import LensData, PreviewPrompt, ShowReferences
    from goalmap.lsp.types import CodeLens, CodeLensParams, Command


def code_lenses(session: Session, params: CodeLensParams) -> RawJson | list[CodeLens] | None:
    """Return where there are lenses: at each goal of a map, or at the top of a component."""
    document = session.document(params["textDocument"]["uri"])
    library = session.library_at(params["textDocument"]["uri"]) if document is not None else None
    if document is None or library is None:
        return None
    if library.document is not document:
        path = library.relative(document.path or "")
        if path not in library.snapshot.files:
            return None
        return [{"range": START_OF_FILE, "data": {"uri": library.map_uri, "path": path}}]
    positions = session.map_positions(library)
    shadowed = library.goal_map.goal_index.shadowed
    uri = to_json(library.map_uri)
    lenses = [
        f'{{"range":{positions.json_range(goal.key_span)},'
        f'"data":{{"uri":{uri},"number":{number},"name":{to_json(goal.container.key)}}}}}'
        for number, goal in enumerate(library.goal_map.goal_index.ranges)
        if goal.container not in shadowed
    ]
    return raw_json(f"[{','.join(lenses)}]")


def resolve(session: Session, lens: CodeLens) -> CodeLens:
    """Return the lens with what it says."""
    data: LensData | None = lens.get("data")
    library = session.library_at(data["uri"]) if data else None
    command = None
    if data is not None and library is not None:
        path, number = data.get("path"), data.get("number")
        if path is not None and path in library.snapshot.files:
            command = _of_component(session, library, path)
        elif number is not None:
            command = _of_goal(session, library, number, data.get("name"))
    # The map changed since, and the client is about to ask for its lenses again.
    return {**lens, "command": command or {"title": "…", "command": ""}}


def _of_goal(session: Session, library: LibraryState, number: int, name: str | None) -> Command | None:
    ranges = library.goal_map.goal_index.ranges
    if not 0 <= number < len(ranges) or ranges[number].container.key != name:
        return None
    goal = library.goal_map.goal_of(ranges[number])
    assembled = prompt_of(session, library, goal)
    total = sum(reference.slot != TEMPLATE_SLOT for reference in goal.references)
    missing = sum(reference.slot != TEMPLATE_SLOT for reference in assembled.missing)
    count = f"{total - missing} of {total} components" if missing else f"{total} component{'' if total == 1 else 's'}"
    title = f"assembled prompt · {count} · {count_tokens(assembled.text)} tokens"
    argument: PreviewPrompt = {"uri": library.map_uri, "goal": list(goal.path)}
    return _command(session, title, PREVIEW, [argument])


def _of_component(session: Session, library: LibraryState, path: str) -> Command:
    goals = len({reference.goal for reference in library.users_of(path)})
    title = f"used by {goals} goal{'' if goals == 1 else 's'}" if goals else "used by no goal"
    if not goals:
        return {"title": title, "command": ""}
    arguments: ShowReferences = (library.uri(path), START_OF_FILE["start"], users(session, library, path))
    return _command(session, title, SHOW_REFERENCES, arguments)


def _command(session: Session, title: str, command: str, arguments: Sequence[Any]) -> Command:
    """Return a command of the client; where it has no such command, the title alone."""
    if command in session.client.commands:
        return {"title": title, "command": command, "arguments": arguments}
    return {"title": title, "command": ""}


@dataclass
class LensRefresh:
    """Asks the client to ask again, for lenses and hints, when something else than the map itself changed.

    After an edit of a map the client asks by itself.
    """

    session: Session
    seen: dict[str, GoalMap] = field(default_factory=dict)
    due: bool = False

    def changed(self, library: LibraryState) -> None:
        """Note a change of a map, of its folders or of a component."""
        self.due = self.due or self.seen.get(library.map_path) is library.goal_map
        self.seen[library.map_path] = library.goal_map

    def tell(self) -> None:
        """Ask for lenses and hints, once for all that changed since the last time."""
        if not self.due:
            return
        self.due = False
        client, protocol = self.session.client, self.session.server.protocol
        if client.refreshes_code_lenses:
            protocol.send_request("workspace/codeLens/refresh")
        if client.refreshes_inlay_hints:
            protocol.send_request("workspace/inlayHint/refresh")
