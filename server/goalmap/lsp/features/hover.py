"""`textDocument/hover`: the assembled prompt of a goal, the component of a reference, the users of a component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from goalmap.core.goal_map import Goal, Reference
from goalmap.core.text import Span
from goalmap.core.tokens import count_tokens
from goalmap.lsp.enums import MarkupKind
from goalmap.lsp.library_state import Cursor, LibraryState
from goalmap.lsp.markdown import fenced, inline
from goalmap.lsp.prompts import prompt_of
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import Hover, HoverParams, MarkupContent

# Editors cut hovers at about 100 000 characters, in the middle of what keeps our fence closed.
_MAX_SHOWN: Final = 60_000
_MAX_USERS: Final = 12


def hover(session: Session, params: HoverParams) -> Hover | None:
    """Return what stands under the cursor, as it will run."""
    cursor = session.cursor(params)
    if cursor is None:
        return None
    shown = _in_map(session, cursor) if cursor.in_map else _in_component(session, cursor)
    if shown is None:
        return None
    text, span = shown
    markup: MarkupContent = {
        "kind": MarkupKind.MARKDOWN if session.client.shows_markdown else MarkupKind.PLAIN_TEXT,
        "value": text,
    }
    result: Hover = {"contents": markup}
    if span is not None:
        result["range"] = session.positions(cursor.document.lines).range(span)
    return result


def _in_map(session: Session, cursor: Cursor) -> tuple[str, Span | None] | None:
    goal = cursor.goal
    if goal is None:
        return None
    reference = cursor.reference
    if reference is not None:
        return component_text(session, cursor.library, reference), reference.span
    for slot in goal.slots.values():
        if slot.key_span.touches(cursor.line, cursor.column):
            return _slot_text(cursor.library, slot.name), slot.key_span
    on_key = goal.key_span.touches(cursor.line, cursor.column)
    return goal_text(session, cursor.library, goal), goal.key_span if on_key else None


def goal_text(session: Session, library: LibraryState, goal: Goal) -> str:
    """Return a goal's hover: tokens, what is missing, and the prompt, exactly as it will run."""
    prompt = prompt_of(session, library, goal)
    tokens = count_tokens(prompt.text)
    facts = [f"**{tokens}** tokens"]
    if prompt.missing:
        names = ", ".join(inline(_missing_name(library, reference)) for reference in prompt.missing)
        facts.append(f"missing: {names}")
    head = f"{inline(goal.name)} · " + " · ".join(facts)
    if prompt.error:
        template = f"{inline(prompt.error.path)}, line {prompt.error.line + 1}"
        head += f"\n\nThe template cannot be rendered ({template}): {inline(prompt.error.message)}. Below: without it."
    return f"{head}\n\n{_shown(prompt.text)}"


def component_text(session: Session, library: LibraryState, reference: Reference) -> str:
    """Return a reference's hover: the component's path, its users and its text."""
    path = library.snapshot.path(reference.slot, reference.file)
    text = session.read(library, path) if reference.file else None
    if text is None:
        return f"{inline(path)} does not exist yet or cannot be read. The quick fix writes it for you."
    return f"{inline(path)} · {count_tokens(text)} tokens · {_users(library, path)}\n\n{_shown(text.rstrip())}"


def _in_component(session: Session, cursor: Cursor) -> tuple[str, Span | None] | None:
    path = cursor.component
    if path is None:
        return None
    value = _template_value(session, cursor, path)
    if value is not None:
        return value
    return f"{inline(path)} · {_users(cursor.library, path)}", None


def _template_value(session: Session, cursor: Cursor, path: str) -> tuple[str, Span] | None:
    """Return what a template's variable holds, in the first goal that uses the template and has it."""
    from goalmap.core.assembly import component_texts, variables
    from goalmap.core.templates import variable_at

    users = cursor.library.users_of(path)
    found = variable_at(cursor.document.lines[cursor.line], cursor.column)
    if not found or not users or users[0].slot != "template":
        return None
    name, span = found
    for goal in filter(None, (cursor.library.goal_map.goal(user.goal) for user in users)):
        texts, _ = component_texts(goal, cursor.library.snapshot, session.reader(cursor.library))
        values = variables(goal, texts)
        if name in values:
            value = values[name] if isinstance(values[name], str) else ", ".join(values[name])
            shown = f"{inline(name)} in {inline(goal.name)}\n\n{_shown(value)}"
            return shown, Span(cursor.line, span.start, span.end)
    return None


def _slot_text(library: LibraryState, slot: str) -> str:
    path = library.snapshot.folder(slot)
    folder = library.snapshot.folders.get(path)
    count = f"{len(folder.files)} components" if folder else "no such folder yet"
    return f"{inline(path)} · {count}"


def _missing_name(library: LibraryState, reference: Reference) -> str:
    return library.snapshot.path(reference.slot, reference.file or "…").partition("/")[2]


def _users(library: LibraryState, path: str) -> str:
    goals = list(dict.fromkeys("/".join(reference.goal) for reference in library.users_of(path)))
    if not goals:
        return "used by no goal"
    more = f" and {len(goals) - _MAX_USERS} more" if len(goals) > _MAX_USERS else ""
    return "used by " + ", ".join(inline(goal) for goal in goals[:_MAX_USERS]) + more


def _shown(text: str) -> str:
    if len(text) <= _MAX_SHOWN:
        return fenced(text)
    return f"{fenced(text[:_MAX_SHOWN])}\n\n… {len(text) - _MAX_SHOWN} more characters"
