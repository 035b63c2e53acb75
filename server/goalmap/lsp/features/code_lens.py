"""`textDocument/codeLens`: above each goal its prompt in figures, in each component how many goals use it.

What a lens says is worked out when the client shows it (`codeLens/resolve`): a map has many goals, a screen few. A
click needs a command of the client's own: those that it lists in `experimental.goalmap.commands` are used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from goalmap.core.goal_map import GoalMap
from goalmap.core.naming import TEMPLATE_SLOT
from goalmap.core.tokens import count_tokens
from goalmap.lsp.client_commands import PREVIEW, SHOW_REFERENCES, has_command
from goalmap.lsp.convert import START_OF_FILE, to_json
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.features.definition import users
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.prompts import prompt_of
from goalmap.lsp.session import Session

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    refresh = _Refresh(session)
    session.change_listeners.append(refresh.changed)
    session.listeners.append(refresh.tell)
    options = {"codeLensProvider": {"resolveProvider": True}}
    server.request("textDocument/codeLens", options)(session.answering(partial(code_lens, session)))
    server.request("codeLens/resolve")(session.answering(partial(resolve, session)))


def code_lens(session: Session, params: Json) -> Any:
    """Return where there are lenses: at each goal of a map, or at the top of a component."""
    document = session.document(params["textDocument"]["uri"])
    library = session.library_at(params["textDocument"]["uri"]) if document is not None else None
    if document is None or library is None:
        return None
    if library.document is not document:
        path = library.relative(document.path or "")
        if path not in library.library.files:
            return None
        return [{"range": START_OF_FILE, "data": {"uri": library.map_uri, "path": path}}]
    positions = session.map_positions(library)
    shadowed = library.goal_map.outline.shadowed
    uri = to_json(library.map_uri)
    # As JSON at once: a map has thousands of goals.
    lenses = [
        f'{{"range":{positions.json_range(entry.key_span)},'
        f'"data":{{"uri":{uri},"number":{number},"name":{to_json(entry.frame.key)}}}}}'
        for number, entry in enumerate(library.goal_map.outline.entries)
        if entry.frame not in shadowed
    ]
    return f"[{','.join(lenses)}]".encode("ascii")


def resolve(session: Session, lens: Json) -> Json:
    """Return the lens with what it says."""
    data = lens.get("data") or {}
    library = session.library_at(data["uri"]) if data else None
    command = None
    if library is not None and data.get("path") in library.library.files:
        command = _of_component(session, library, data["path"])
    elif library is not None and data.get("number") is not None:
        command = _of_goal(session, library, data["number"], data.get("name"))
    # The map changed since, and the client is about to ask for its lenses again.
    return {**lens, "command": command or {"title": "…", "command": ""}}


def _of_goal(session: Session, library: OpenLibrary, number: int, name: Any) -> Json | None:
    entries = library.goal_map.outline.entries
    if not 0 <= number < len(entries) or entries[number].frame.key != name:
        return None
    goal = library.goal_map.goal_of(entries[number])
    assembled = prompt_of(session, library, goal)
    total = sum(reference.slot != TEMPLATE_SLOT for reference in goal.references)
    there = total - sum(reference.slot != TEMPLATE_SLOT for reference in assembled.missing)
    count = f"{total} component{'' if total == 1 else 's'}" if there == total else f"{there} of {total} components"
    title = f"assembled prompt · {count} · {count_tokens(assembled.text)} tokens"
    arguments = [{"uri": library.map_uri, "goal": list(goal.path)}]
    return _command(session, title, PREVIEW, arguments)


def _of_component(session: Session, library: OpenLibrary, path: str) -> Json:
    goals = len({reference.goal for reference in library.users_of(path)})
    title = f"used by {goals} goal{'' if goals == 1 else 's'}" if goals else "used by no goal"
    locations = [{"uri": uri, "range": range_} for uri, range_ in users(session, library, path)]
    if not goals:
        return {"title": title, "command": ""}
    return _command(session, title, SHOW_REFERENCES, [library.uri(path), START_OF_FILE["start"], locations])


def _command(session: Session, title: str, command: str, arguments: list[Any]) -> Json:
    """Return a command of the client; where it has no such command, the title alone."""
    if has_command(session, command):
        return {"title": title, "command": command, "arguments": arguments}
    return {"title": title, "command": ""}


@dataclass
class _Refresh:
    """Asks the client to ask again, for lenses and hints, when something else than the map itself changed.

    After an edit of a map the client asks by itself.
    """

    session: Session
    seen: dict[str, GoalMap] = field(default_factory=dict)
    due: bool = False

    def changed(self, library: OpenLibrary) -> None:
        """Note a change of a map, of its folders or of a component."""
        self.due = self.due or self.seen.get(library.map_path) is library.goal_map
        self.seen[library.map_path] = library.goal_map

    def tell(self) -> None:
        """Ask for lenses and hints, once for all that changed since the last time."""
        if not self.due:
            return
        self.due = False
        for feature in ("codeLens", "inlayHint"):
            if self.session.server.client_capability(f"workspace.{feature}.refreshSupport"):
                self.session.server.protocol.send_request(f"workspace/{feature}/refresh")
