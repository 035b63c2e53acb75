"""`textDocument/completion`: files in slots, keys in goals, variables in templates.

The text that documents an item, and how many goals use it, are read when somebody looks at the item
(`completionItem/resolve`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from goalmap.core.edits import inner_json
from goalmap.core.naming import COMPONENTS, TEMPLATE_SLOT
from goalmap.core.text import Span, visible
from goalmap.core.tokens import estimate_tokens
from goalmap.lsp.client_commands import SUGGEST, has_command
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.open_library import Cursor
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.core.completions import Candidate, Candidates, KeyPlace

Json = dict[str, Any]

_TRIGGERS: Final = ['"', "/", "{", "$", "."]
# CompletionItemKind: Variable, Property, File, Folder, and Text for what is about a goal.
_KINDS: Final = {"variable": 6, "slot": 10, "file": 17, "folder": 19, "text": 1}
_SNIPPET: Final = 2
# After a folder or a key, its files are offered at once.
_GO_ON: Final = {"title": "Suggest", "command": SUGGEST}
_PREVIEW_LINES: Final = 24
_PREVIEW_CHARACTERS: Final = 1600
_TEMPLATES: Final = f"{COMPONENTS}/{TEMPLATE_SLOT}s/"


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    options = {"triggerCharacters": _TRIGGERS, "resolveProvider": True}
    server.request("textDocument/completion", {"completionProvider": options})(
        session.answering(partial(completion, session))
    )
    server.request("completionItem/resolve")(session.answering(partial(resolve, session)))


def completion(session: Session, params: Json) -> Any:
    """Return what may be written at the cursor; None where nothing is to be offered."""
    from goalmap.core import completions  # late: nobody completes before the first diagnostics

    cursor = session.cursor(params)
    if cursor is None:
        return None
    if not cursor.in_map:
        return _in_template(session, cursor)
    library = cursor.library
    place = completions.slot_place(library.goal_map, cursor.line, cursor.column)
    if isinstance(place, completions.FilePlace):
        return _list(session, cursor, place.span, completions.files(place, library.library), place.written)
    if isinstance(place, completions.KeyPlace):
        found = completions.keys(place, library.goal_map, library.library)
        return _keys(session, cursor, place, found)
    return None


def _in_template(session: Session, cursor: Cursor) -> Json | None:
    from goalmap.core import completions

    path = cursor.component
    if path is None or not path.startswith(_TEMPLATES):
        return None
    library = cursor.library
    users = [library.goal_map.goal(reference.goal) for reference in library.users_of(path)]
    in_use = completions.slots_in_use(library.goal_map)
    line = cursor.document.lines[cursor.line]
    found = completions.variables(line, cursor.column, [goal for goal in users if goal], in_use)
    if found is None:
        return None
    span, candidates = found
    return _list(session, cursor, Span(cursor.line, span.start, span.end), candidates, str)


def _list(session: Session, cursor: Cursor, span: Span, candidates: Candidates, written: Any) -> Json:
    range_ = session.positions(cursor.document.lines).range(span)
    map_uri = cursor.library.map_uri
    can_go_on = has_command(session, SUGGEST)
    items = []
    for candidate in candidates.found:
        text = written(candidate.text)
        item = _item(candidate, {"range": range_, "newText": text})
        if candidate.path:
            item["data"] = {"uri": map_uri, "path": candidate.path}
        elif candidate.kind == "folder" and can_go_on:
            item["command"] = _GO_ON
        items.append(item)
    return {"isIncomplete": not candidates.complete, "items": items}


def _item(candidate: Candidate, edit: Json) -> Json:
    item = {
        "label": visible(candidate.text),
        "kind": _KINDS[candidate.kind],
        "sortText": f"{candidate.rank}{candidate.text}",
        # What stands in the document is compared with this: JSON, without the quotes.
        "filterText": inner_json(candidate.text),
        "textEdit": edit,
    }
    return {**item, "detail": visible(candidate.note)} if candidate.note else item


def _keys(session: Session, cursor: Cursor, place: KeyPlace, candidates: Candidates) -> Json:
    """Return keys with the colon and the value that they still need; the cursor ends up in the value."""
    snippets = bool(session.server.client_capability("textDocument.completion.completionItem.snippetSupport"))
    positions = session.positions(cursor.document.lines)
    can_go_on = has_command(session, SUGGEST)
    span = place.span
    bring_value = not place.has_value
    if bring_value and not place.closing:
        span = Span(span.line, span.start, span.end + 1)  # the key's closing quote, so that a value can follow it
    range_ = positions.range(span)
    items = []
    for candidate in candidates.found:
        text = place.written(candidate.text)
        new = text
        if bring_value:
            head = text if place.closing else f'{text}"'
            value = '["$1"]' if candidate.value == "list" else '"$1"'
            tail = "," if place.comma else ""
            new = f"{_snippet_text(head)}: {value}{tail}" if snippets else f"{head}: {value.replace('$1', '')}{tail}"
        item = _item(candidate, {"range": range_, "newText": new})
        if bring_value and snippets:
            item["insertTextFormat"] = _SNIPPET
            if candidate.kind == "slot" and can_go_on:
                item["command"] = _GO_ON
        items.append(item)
    return {"isIncomplete": False, "items": items}


def _snippet_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("$", "\\$").replace("}", "\\}")


# -- one item --------------------------------------------------------------------------------------------------------
def resolve(session: Session, item: Json) -> Json:
    """Return the item with the start of its component's text, its size and its users."""
    data = item.get("data") or {}
    library = session.library_at(data["uri"]) if data else None
    if library is None or data["path"] not in library.library.files:
        return item
    path = data["path"]
    text = session.read(library, path)
    if text is None:
        return {**item, "documentation": {"kind": "plaintext", "value": "This file cannot be read."}}
    goals = len({reference.goal for reference in library.users_of(path)})
    used = f"used by {goals} goal{'' if goals == 1 else 's'}"
    facts = [item.get("detail"), used, f"{estimate_tokens(text)} tokens"]
    # Plain text: what a component holds must not become a link, an image or a command.
    documentation = {"kind": "plaintext", "value": preview(text)}
    return {**item, "detail": " · ".join(filter(None, facts)), "documentation": documentation}


def preview(text: str) -> str:
    """Return the first lines of a component's text, as they are but for control characters."""
    lines = text.rstrip()[:_PREVIEW_CHARACTERS].split("\n")
    shown = "\n".join(visible(line.replace("\t", "    ")) for line in lines[:_PREVIEW_LINES])
    whole = len(text.rstrip()) <= _PREVIEW_CHARACTERS and len(lines) <= _PREVIEW_LINES
    return shown if whole else f"{shown}\n…"
