"""Assembled prompts as documents that follow every edit, and what else an editor asks about a goal.

`goalmap-prompt:/path/of/goal_map.json?["Technical","DEBUG"]` (percent-encoded) is the prompt of a goal. Clients that
know `workspace/textDocumentContent` (LSP 3.18) show it by themselves; others get the same by `goalmap/prompt`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from goalmap.core.assembly import Prompt
from goalmap.core.goal_map import Goal, GoalPath
from goalmap.core.text import Span, split_lines, to_units, visible
from goalmap.core.tokens import count_tokens
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.positions import to_path, to_uri
from goalmap.lsp.prompts import prompt_of
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.extensions import (
        GoalAt,
        GoalAtParams,
        PromptChangedParams,
        PromptParams,
        PromptResult,
        Segment,
        TextDocumentPositionParams,
    )
    from goalmap.lsp.types import Location, TextDocumentContentParams, TextDocumentContentResult

SCHEME: Final = "goalmap-prompt"
# Clients do not say when such a document is closed; so many are watched for changes.
_MAX_WATCHED: Final = 32


# -- names of documents ------------------------------------------------------------------------------------------------
def is_prompt(uri: str) -> bool:
    """Whether `uri` names an assembled prompt."""
    return uri.startswith(f"{SCHEME}:")


def prompt_uri(map_path: str, goal: GoalPath) -> str:
    """Return the URI of a goal's prompt."""
    path = to_uri(map_path).removeprefix("file://")
    return f"{SCHEME}:{path}?{quote(json.dumps(list(goal), ensure_ascii=False), safe='')}"


def parse_uri(uri: str) -> tuple[str, GoalPath] | None:
    """Return the map's path and the goal that a prompt's URI names; None for one that is malformed.

    The query may also be `{"uri": <the map's>, "goal": [...]}`, for clients whose path is a title.
    """
    try:
        parts = urlsplit(uri)
        query = json.loads(unquote(parts.query))
    except (ValueError, RecursionError):
        return None
    map_uri: Any = f"file://{parts.netloc}{parts.path}"
    if isinstance(query, dict):
        map_uri, query = query.get("uri"), query.get("goal")
    path = to_path(map_uri) if isinstance(map_uri, str) else None
    if path is None or not isinstance(query, list) or not all(isinstance(part, str) for part in query):
        return None
    return path, tuple(query)


def _find(session: Session, map_uri: str, goal: GoalPath) -> tuple[LibraryState, Goal] | None:
    library = session.library_at(map_uri)
    if library is None:
        return None
    named = library.goal_map.goal(goal)
    return (library, named) if named is not None else None


def _named(session: Session, uri: str) -> tuple[LibraryState, Goal] | None:
    parsed = parse_uri(uri)
    return _find(session, to_uri(parsed[0]), parsed[1]) if parsed else None


# -- requests ----------------------------------------------------------------------------------------------------------
def text_document_content(
    session: Session, watch: PromptWatch, params: TextDocumentContentParams
) -> TextDocumentContentResult:
    """Return the text of a prompt document; a sentence where its goal is gone."""
    text = _text(session, params["uri"])
    watch.add(params["uri"], text)
    return {"text": text}


def _text(session: Session, uri: str) -> str:
    parsed = parse_uri(uri)
    if parsed is None:
        return f"This address names no goal of a map: {visible(uri)}\n"
    named = _named(session, uri)
    if named is None:
        return f"There is no goal {visible('/'.join(parsed[1]))} in {visible(parsed[0])} any more.\n"
    return prompt_of(session, *named).text


def prompt(session: Session, params: PromptParams) -> PromptResult | None:
    """Return the prompt of a goal with its size, what it misses, and where each stretch came from; None without goal.

    Offsets count UTF-16 code units, whatever the encoding of positions.
    """
    named = _find(session, params["uri"], tuple(params["goal"]))
    if named is None:
        return None
    library, goal = named
    assembled = prompt_of(session, library, goal)
    tokens = count_tokens(assembled.text)
    return {
        "text": assembled.text,
        "tokens": tokens.number,
        "exact": tokens.exact,
        "missing": [library.snapshot.path(one.slot, one.file).partition("/")[2] for one in assembled.missing],
        "segments": _segments(library, assembled),
        "uri": prompt_uri(library.map_path, goal.path),
        "error": assembled.error.message if assembled.error else None,
    }


def _segments(library: LibraryState, assembled: Prompt) -> list[Segment]:
    segments: list[Segment] = []
    units = offset = 0
    for segment in assembled.segments:
        # Code units are counted from the last boundary on, so that a long prompt is read once.
        start = units + _units(assembled.text, offset, segment.start)
        end = start + _units(assembled.text, segment.start, segment.end)
        units, offset = end, segment.end
        uri = library.uri(segment.path)
        segments.append({"start": start, "end": end, "uri": uri, "path": segment.path, "targetLine": 0})
    return segments


def _units(text: str, start: int, end: int) -> int:
    """Return how many UTF-16 code units lie between two code points; negative where `end` is before `start`."""
    if end < start:
        return -_units(text, end, start)
    return to_units(text[start:end], end - start, "utf-16")


def goal_at(session: Session, params: GoalAtParams) -> GoalAt | None:
    """Return the goal under the cursor and the size of its prompt."""
    cursor = session.cursor(params)
    goal = cursor.goal if cursor is not None else None
    if cursor is None or goal is None:
        return None
    tokens = count_tokens(prompt_of(session, cursor.library, goal).text)
    return {
        "goal": list(goal.path),
        "title": goal.title or goal.name,
        "tokens": tokens.number,
        "estimated": not tokens.exact,
    }


def source(session: Session, params: TextDocumentPositionParams) -> Location | None:
    """Return the place in a component that a position of a prompt document came from."""
    named = _named(session, params["textDocument"]["uri"])
    if named is None:
        return None
    library, goal = named
    assembled = prompt_of(session, library, goal)
    lines = split_lines(assembled.text)
    line, column = session.positions(lines).place(params["position"])
    origin = assembled.source_at(sum(map(len, lines[:line])) + column)
    if origin is None:
        return None
    path, line, column = origin
    component = session.lines_of(library, path)
    if line >= len(component):
        return None
    # The prompt leaves out a byte order mark, which the file has.
    column += line == 0 and component[0].startswith("\ufeff")
    return {"uri": library.uri(path), "range": session.positions(component).range(Span(line, column, column))}


# -- changes -----------------------------------------------------------------------------------------------------------
@dataclass
class PromptWatch:
    """Tells the client which prompts changed: once, when the input is drained."""

    session: Session
    shown: dict[str, str] = field(default_factory=dict)
    pending: dict[str, LibraryState] = field(default_factory=dict)

    def add(self, uri: str, text: str) -> None:
        """Note that the client shows `text` as the document `uri`."""
        self.shown.pop(uri, None)
        self.shown[uri] = text
        if len(self.shown) > _MAX_WATCHED:
            del self.shown[next(iter(self.shown))]

    def changed(self, library: LibraryState) -> None:
        """Note that a map or one of its components changed."""
        self.pending[library.map_path] = library

    def tell(self) -> None:
        """Tell of what changed since the last time."""
        pending, self.pending = self.pending, {}
        server = self.session.server
        if not pending:
            return
        if self.session.client.follows_prompts:
            for library in pending.values():
                params: PromptChangedParams = {"uri": library.map_uri}
                server.notify("goalmap/promptChanged", params)
        if not self.session.client.shows_text_document_content:
            return
        for uri in self.shown:
            parsed = parse_uri(uri)
            if parsed and parsed[0] in pending:
                telling = self.session.disk_access.answering(self._tell_of)(uri)
                if telling is not None:  # its disk is slow
                    server.protocol.run_in_background(telling, "prompts")

    def _tell_of(self, uri: str) -> None:
        text = _text(self.session, uri)
        if self.shown.get(uri, text) != text:
            self.shown[uri] = text
            self.session.server.protocol.send_request("workspace/textDocumentContent/refresh", {"uri": uri})
