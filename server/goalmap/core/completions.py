"""What may be written at a cursor: files in a slot, keys in a goal, variables in a template.

`slot_place` says what a map expects at a cursor, from what stands open before it, so that a map that is half typed is
as good as a whole one. The candidates come from a snapshot of the library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from goalmap.core.assembly import variable_names
from goalmap.core.edits import inner_json
from goalmap.core.goal_map import DESCRIPTION, TITLE, Goal, GoalMap, GoalPath, is_slot, path_of
from goalmap.core.json_lines import DOCUMENT, Container, Key, Open, Pair, awaited, needs_comma
from goalmap.core.library import Library
from goalmap.core.naming import COMPONENTS, TEMPLATE_SLOT, component_type, folder_of
from goalmap.core.text import Span, without_end

# A list that nobody reads to its end: beyond it, typing narrows it down.
MAX_FILES: Final = 1000

_STRING = re.compile(r'"(?:[^"\\]|\\.)*("|\\?$)')
_BARE_WORD = re.compile(r"[^\s\"{}\[\],:]*\Z")
_FILE_NAME_REST = re.compile(r"[\w.\-/]*")
_FOLLOWS_STRING = re.compile(r"[ \t]*(?:[,:}\]]|\Z)")

Value: TypeAlias = Literal["there", "string", "list"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is to be written, and how.

    `span` is what it replaces, `opening` and `closing` the quotes that it must bring along; `typed` is what stands
    between the start of `span` and the cursor. `goal` is None in a goal that cannot be read yet.
    """

    path: GoalPath
    goal: Goal | None
    span: Span
    typed: str
    opening: str
    closing: str

    def written(self, text: str) -> str:
        """Return `text` as JSON, with the quotes that are not there yet."""
        return f"{self.opening}{inner_json(text)}{self.closing}"


@dataclass(frozen=True, slots=True)
class FilePlace(Place):
    """A reference: a file of `slot` is expected; in a list, it is its element `index`."""

    slot: str
    index: int | None


@dataclass(frozen=True, slots=True)
class KeyPlace(Place):
    """A key of a goal. `has_value` where a colon follows already; `comma` where another key follows without one."""

    is_category: bool
    has_value: bool
    comma: bool


# -- the map ---------------------------------------------------------------------------------------------------------
def slot_place(goal_map: GoalMap, line: int, column: int) -> FilePlace | KeyPlace | None:
    """Return what a goal expects at a cursor; None where there is nothing to offer."""
    text = without_end(goal_map.lines[line])
    stretch = _stretch(text, column)
    if stretch is None:
        return None
    start, end, opening, closing = stretch
    outer = start - 1 if not opening else start
    state = goal_map.state_at(line, outer)
    if opening and needs_comma(state):
        return None
    container = state[0]
    wanted = awaited(state)
    has_colon = text[end + (not closing) :].lstrip(" \t").startswith(":")
    if wanted == "element" and has_colon and container.parent is not None and container.parent.kind == "{":
        container, wanted = container.parent, "key"  # the list above was never closed
    holder, slot, index = container, "", None
    if wanted == "element":
        if container.parent is None or container.parent.kind != "{" or not isinstance(container.key, str):
            return None
        holder, slot, index = container.parent, container.key, int(state[2])
    elif wanted == "value" and has_colon:
        wanted = "key"
    elif wanted == "value":
        slot = str(state[2])
    path = path_of(holder)
    if wanted is None or holder.kind != "{" or not _reached_by_keys(holder):
        return None
    goal = _goal_here(goal_map, path, line, column)
    typed = _decoded(text[start:column])
    common = (path, goal, Span(line, start, end), typed, opening, closing)
    if wanted == "key":
        after = text[end + (not closing) :], goal_map.lines[line + 1 :]
        comma = not has_colon and _next_character(*after) == '"'
        is_category = goal is None and any(path_of(category) == path for category in goal_map.goal_index.categories)
        return KeyPlace(*common, is_category=is_category, has_value=has_colon, comma=comma)
    return FilePlace(*common, slot=slot, index=index) if path and is_slot(slot) else None


def _stretch(text: str, column: int) -> tuple[int, int, str, str] | None:
    """Return the columns of what is written at the cursor, and the quotes that it lacks before and after."""
    for match in _STRING.finditer(text):
        start, closed = match.start() + 1, match[1] == '"'
        end = match.end() - closed
        if not start <= column <= end:
            if column <= match.start():
                break
            continue
        if closed and _FOLLOWS_STRING.match(text, end + 1):
            return start, end, "", ""
        # The quote that is found here begins the next string, or there is none: what is being typed ends nearby.
        rest = _FILE_NAME_REST.match(text, column)
        return start, rest.end() if rest else column, "", '"'
    word = _BARE_WORD.search(text[:column])
    start = word.start() if word else column
    if text[column : column + 1] == '"' or text[start - 1 : start] == '"':
        return None
    rest = _BARE_WORD.match(text, column) if column == len(text) else re.compile(r"[\w.\-/]*").match(text, column)
    return start, rest.end() if rest else column, '"', '"'


def _decoded(raw: str) -> str:
    try:
        return str(json.loads(f'"{raw}"'))
    except ValueError:
        return raw


def _next_character(text: str, further: Sequence[str]) -> str:
    for line in (text, *further):
        stripped = line.strip()
        if stripped:
            return stripped[0]
    return ""


def _reached_by_keys(container: Container) -> bool:
    around: Container | None = container
    while around is not None and around.parent is not None and around.parent is not DOCUMENT:
        if around.kind != "{" or not isinstance(around.key, str):
            return False
        around = around.parent
    return True


def _goal_here(goal_map: GoalMap, path: GoalPath, line: int, column: int) -> Goal | None:
    """Return the goal at the cursor: where its path comes twice, the one that is being edited."""
    here = goal_map.goal_at(line, column)
    return here if here is not None and here.path == path else goal_map.goal(path)


# -- files -----------------------------------------------------------------------------------------------------------
class Candidate(NamedTuple):
    """Something to offer. Lower `rank` first; `path` is a component's, for a preview."""

    text: str
    kind: Literal["file", "folder", "slot", "text", "variable"]
    rank: int
    path: str | None = None
    value: Value = "there"
    note: str = ""


class Candidates(NamedTuple):
    """What to offer; not `complete` where more files match than are worth sending."""

    found: list[Candidate]
    complete: bool = True


_FIRST, _SECOND, _LAST = 1, 2, 9


def files(place: FilePlace, library: Library) -> Candidates:
    """Return the files and subfolders of the slot's folder; those that the list has already come last."""
    folder = library.folders.get(library.folder(place.slot))
    if folder is None:
        return Candidates([])
    slot = place.goal.slots.get(place.slot) if place.goal else None
    there = {found.file for found in slot.references if found.index != place.index} if slot and slot.is_list else set()
    names: Sequence[str] = folder.ordered
    complete = len(names) <= MAX_FILES
    if not complete:
        typed = place.typed.casefold()
        matching = [found for found in folder.searchable if typed in found[0]]
        begin = [name for folded, name in matching if folded.startswith(typed)][:MAX_FILES]
        hold = [name for folded, name in matching if not folded.startswith(typed)] if len(begin) < MAX_FILES else []
        complete, names = len(matching) <= MAX_FILES and not typed, [*begin, *hold][:MAX_FILES]
    found = [
        Candidate(
            name,
            "file",
            _LAST if name in there else _FIRST,
            f"{folder.path}/{name}",
            note="already in this list" if name in there else "",
        )
        for name in names
    ]
    found += [Candidate(name, "folder", _SECOND) for name in _subfolders(names)]
    return Candidates(found, complete)


def _subfolders(names: Iterable[str]) -> list[str]:
    found: set[str] = set()
    for name in names:
        at = name.find("/")
        while at >= 0:
            found.add(name[: at + 1])
            at = name.find("/", at + 1)
    return sorted(found)


# -- keys ------------------------------------------------------------------------------------------------------------
def keys(place: KeyPlace, goal_map: GoalMap, library: Library) -> Candidates:
    """Return the keys that the goal does not have yet: slots, texts about it, and descriptions of its slots."""
    if place.is_category or not place.path:
        # A category holds goals, whose names are the user's own; and a description.
        return Candidates([Candidate(DESCRIPTION, "text", _FIRST, value="string")] if place.path else [])
    has = {key for key, span in _key_spans(place.goal) if span[:2] != place.span[:2]}
    lists = slots_in_use(goal_map, but=place.span)
    found = [
        Candidate(slot, "slot", _FIRST, value=_value(place, lists.get(slot, False)), note=library.folder(slot))
        for slot in sorted(slots_of(lists, library) - has)
    ]
    texts = [TITLE, DESCRIPTION, TEMPLATE_SLOT]
    found += [Candidate(key, "text", _SECOND, value=_value(place)) for key in texts if key not in has]
    described = [f"{slot}${DESCRIPTION}" for slot in has if is_slot(slot) and slot != TEMPLATE_SLOT]
    found += [Candidate(key, "text", _LAST, value=_value(place)) for key in sorted({*described} - has)]
    return Candidates(found)


def _value(place: KeyPlace, is_list: bool = False) -> Value:  # noqa: FBT001, FBT002 - private, one caller says it
    return "there" if place.has_value else "list" if is_list else "string"


def _key_spans(goal: Goal | None) -> Iterator[tuple[str, Span]]:
    if goal is not None:
        yield from ((slot.name, slot.key_span) for slot in goal.slots.values())
        yield from ((key, Span(span.line, -1, -1)) for key, (_, span) in goal.texts.items())


def slots_in_use(goal_map: GoalMap, *, but: Span | None = None) -> dict[str, bool]:
    """Return the slots of all goals, the key at `but` aside, each with whether any goal has a list there."""
    goals = {one.container for one in goal_map.goal_index.ranges}
    found: dict[str, bool] = {}
    typed = but[:2] if but else None
    for line, items in enumerate(goal_map.items):
        for item in items:
            if isinstance(item, (Pair, Key)):
                if item.container in goals and (line, item.start) != typed:
                    found.setdefault(item.name, False)
            elif isinstance(item, Open) and item.container.kind == "[":
                key = item.container.key
                if item.container.parent in goals and key in found:
                    found[str(key)] = True
    return {slot: is_list for slot, is_list in found.items() if slot and is_slot(slot) and slot != TEMPLATE_SLOT}


def slots_of(in_use: Iterable[str], library: Library) -> set[str]:
    """Return the slots in use, and the slot of each folder that none of them leads to: `personas` → `persona`."""
    slots = set(in_use)
    reached = {library.folder(slot) for slot in slots}
    for path in library.folders:
        name = path.removeprefix(f"{COMPONENTS}/")
        slot = component_type(name)
        if path not in reached and slot != TEMPLATE_SLOT and folder_of(slot, library.folders) == path:
            slots.add(slot)
    return slots


# -- templates -------------------------------------------------------------------------------------------------------
_BLOCK_START = re.compile(r"\{\{|\{%")
_BLOCK_END = re.compile(r"\}\}|%\}")
_NAME_TAIL = re.compile(r"[A-Za-z_]\w*\Z|\Z")


def variables(line: str, column: int, users: Sequence[Goal], in_use: Iterable[str]) -> tuple[Span, Candidates] | None:
    """Return what may stand at a cursor inside `{{ … }}` or `{% … %}`, and the columns (line 0) that it replaces.

    `users` are the goals that use the template; without any, every slot `in_use` is offered.
    """
    before = line[:column]
    starts = [match.end() for match in _BLOCK_START.finditer(before)]
    if not starts or _BLOCK_END.search(before, starts[-1]):
        return None
    word = _NAME_TAIL.search(before)
    start = word.start() if word else column
    if start < starts[-1] or before[start - 1 : start].isalnum():
        return None
    rest = re.compile(r"\w*").match(line, column)
    span = Span(0, start, rest.end() if rest else column)
    slots = {slot for goal in users for slot in goal.slots if slot != TEMPLATE_SLOT} if users else set(in_use)
    owner = re.search(r"([A-Za-z_]\w*)\.\Z", before[:start])
    if owner:
        found = _variables(sorted(slots), "the texts of this slot") if owner[1] == "slots" else []
        return span, Candidates(list(found))
    about = {"goal": "the goal's name", "title": "its title", "description": "its description", "slots": "all slots"}
    names = set.union(*(variable_names(goal) for goal in users)) if users else slots | about.keys()
    # A slot named like a text about the goal is hidden by it.
    found = [*_variables(sorted(names & slots - about.keys()), "a slot's text")]
    found += [Candidate(name, "variable", _SECOND, note=note) for name, note in about.items()]
    return span, Candidates(found)


def _variables(names: Iterable[str], note: str) -> Iterator[Candidate]:
    # A slot such as "output-format" is no name in a template: slots["output-format"] is how to reach it.
    return (Candidate(name, "variable", _FIRST, note=note) for name in names if name.isidentifier())
