"""`textDocument/completion`: files in slots, keys in goals, variables in templates.

The text that documents an item, and how many goals use it, are read when somebody looks at the item
(`completionItem/resolve`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from goalmap.core.edits import inner_json
from goalmap.core.naming import COMPONENTS, TEMPLATE_SLOT
from goalmap.core.text import Span, visible
from goalmap.core.tokens import estimate_tokens
from goalmap.lsp.client import SUGGEST
from goalmap.lsp.enums import CompletionItemKind, InsertTextFormat, MarkupKind
from goalmap.lsp.library_state import Cursor
from goalmap.lsp.raw_json import RawJson, json_string, raw_json, to_json
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.core.completions import Candidate, Candidates, KeyPlace
    from goalmap.lsp.extensions import CompletionData
    from goalmap.lsp.types import Command, CompletionItem, CompletionList, CompletionParams, MarkupContent, TextEdit

TRIGGER_CHARACTERS: Final = ['"', "/", "{", "$", "."]
_KINDS: Final = {
    "variable": CompletionItemKind.VARIABLE,
    "slot": CompletionItemKind.PROPERTY,
    "file": CompletionItemKind.FILE,
    "folder": CompletionItemKind.FOLDER,
    "text": CompletionItemKind.TEXT,  # a description, and what else is about a goal
}
# After a folder or a key, its files are offered at once.
_GO_ON: Final[Command] = {"title": "Suggest", "command": SUGGEST}
_PREVIEW_LINES: Final = 24
_PREVIEW_CHARACTERS: Final = 1600
_TEMPLATES: Final = f"{COMPONENTS}/{TEMPLATE_SLOT}s/"


def completion(session: Session, params: CompletionParams) -> RawJson | CompletionList | None:
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
        return _list(session, cursor, place.span, completions.files(place, library.snapshot), place.written)
    if isinstance(place, completions.KeyPlace):
        return _keys(session, cursor, place, completions.keys(place, library.goal_map, library.snapshot))
    return None


def _in_template(session: Session, cursor: Cursor) -> RawJson | None:
    from goalmap.core import completions

    path = cursor.component
    if path is None or not path.startswith(_TEMPLATES):
        return None
    library = cursor.library
    users = [library.goal_map.goal(reference.goal) for reference in library.users_of(path)]
    in_use = completions.slots_in_use(library.goal_map)
    line = cursor.document.lines[cursor.line]
    offered = completions.variables(line, cursor.column, [goal for goal in users if goal], in_use)
    if offered is None:
        return None
    span, candidates = offered
    return _list(session, cursor, Span(cursor.line, span.start, span.end), candidates, str)


def _list(
    session: Session, cursor: Cursor, span: Span, candidates: Candidates, written: Callable[[str], str]
) -> RawJson:
    """Return the CompletionList of files, folders or variables as JSON at once: a folder may have hundreds of them."""
    range_ = session.positions(cursor.document.lines).json_range(span)
    map_uri = json_string(cursor.library.map_uri)
    go_on = f',"command":{to_json(_GO_ON)}' if SUGGEST in session.client.commands else ""
    items = []
    for text, kind, rank, path, _, note in candidates.items:
        more = f',"detail":{json_string(visible(note))}' if note else ""
        if path:
            more += f',"data":{{"uri":{map_uri},"path":{json_string(path)}}}'
        elif kind == "folder":
            more += go_on
        items.append(
            f'{{"label":{json_string(visible(text))},"kind":{_KINDS[kind]},"sortText":{json_string(f"{rank}{text}")},'
            f'"filterText":{json_string(inner_json(text))},'
            f'"textEdit":{{"range":{range_},"newText":{json_string(written(text))}}}{more}}}'
        )
    return raw_json(f'{{"isIncomplete":{to_json(not candidates.complete)},"items":[{",".join(items)}]}}')


def _keys(session: Session, cursor: Cursor, place: KeyPlace, candidates: Candidates) -> CompletionList:
    """Return keys with the colon and the value that they still need; the cursor ends up in the value."""
    snippets = session.client.inserts_snippets
    positions = session.positions(cursor.document.lines)
    can_go_on = SUGGEST in session.client.commands
    span = place.span
    bring_value = not place.has_value
    if bring_value and not place.closing:
        span = Span(span.line, span.start, span.end + 1)  # the key's closing quote, so that a value can follow it
    range_ = positions.range(span)
    items: list[CompletionItem] = []
    for candidate in candidates.items:
        text = place.written(candidate.text)
        new = text
        if bring_value:
            head = text if place.closing else f'{text}"'
            value = '["$1"]' if candidate.value == "list" else '"$1"'
            tail = "," if place.comma else ""
            new = f"{_snippet_text(head)}: {value}{tail}" if snippets else f"{head}: {value.replace('$1', '')}{tail}"
        item = _item(candidate, {"range": range_, "newText": new})
        if bring_value and snippets:
            item["insertTextFormat"] = InsertTextFormat.SNIPPET
            if candidate.kind == "slot" and can_go_on:
                item["command"] = _GO_ON
        items.append(item)
    return {"isIncomplete": False, "items": items}


def _item(candidate: Candidate, edit: TextEdit) -> CompletionItem:
    item: CompletionItem = {
        "label": visible(candidate.text),
        "kind": _KINDS[candidate.kind],
        "sortText": f"{candidate.rank}{candidate.text}",
        # What stands in the document is compared with this: JSON, without the quotes.
        "filterText": inner_json(candidate.text),
        "textEdit": edit,
    }
    if candidate.note:
        item["detail"] = visible(candidate.note)
    return item


def _snippet_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("$", "\\$").replace("}", "\\}")


# -- one item --------------------------------------------------------------------------------------------------------
def resolve(session: Session, item: CompletionItem) -> CompletionItem:
    """Return the item with the start of its component's text, its size and its users."""
    data: CompletionData | None = item.get("data")
    library = session.library_at(data["uri"]) if data else None
    if data is None or library is None or data["path"] not in library.snapshot.files:
        return item
    path = data["path"]
    text = session.read(library, path)
    if text is None:
        return {**item, "documentation": _plain("This file cannot be read.")}
    goals = len({reference.goal for reference in library.users_of(path)})
    used = f"used by {goals} goal{'' if goals == 1 else 's'}"
    facts = [item.get("detail"), used, f"{estimate_tokens(text)} tokens"]
    return {**item, "detail": " · ".join(filter(None, facts)), "documentation": _plain(preview(text))}


def _plain(text: str) -> MarkupContent:
    """Return plain text: what a component holds must not become a link, an image or a command."""
    return {"kind": MarkupKind.PLAIN_TEXT, "value": text}


def preview(text: str) -> str:
    """Return the first lines of a component's text, as they are but for control characters."""
    lines = text.rstrip()[:_PREVIEW_CHARACTERS].split("\n")
    shown = "\n".join(visible(line.replace("\t", "    ")) for line in lines[:_PREVIEW_LINES])
    whole = len(text.rstrip()) <= _PREVIEW_CHARACTERS and len(lines) <= _PREVIEW_LINES
    return shown if whole else f"{shown}\n…"
