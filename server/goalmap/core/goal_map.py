"""The map: goals, their slots and references, with where each stands in the text.

`GoalMap` is a reading of a text. Broken JSON still gives every goal that can be read; what is wrong is data, never an
exception. `GoalMap.replace_lines` gives the reading after an edit, at the cost of the edit.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from goalmap.core import scan
from goalmap.core.items import CLOSE, ERROR, KEY, OPEN, PAIR, STRING, Frame, Item, Items, Scanned, State, finish
from goalmap.core.naming import TEMPLATE_SLOT
from goalmap.core.outline import Entry, GoalPath, Outline, find_outline, path_of
from goalmap.core.text import Span, split_lines

_STRETCH: Final = 512

# What belongs to a map is found here, although where its goals stand is worked out in a module of its own.
__all__ = [
    "DESCRIPTION",
    "TITLE",
    "Change",
    "Entry",
    "Goal",
    "GoalMap",
    "GoalPath",
    "Outline",
    "Reference",
    "Slot",
    "is_slot",
    "parse",
    "parse_lines",
    "path_of",
    "place_in",
]

# Keys of a goal that hold no references. So does every key with a `$`, such as "$schema" or "persona$description".
DESCRIPTION: Final = "description"
TITLE: Final = "title"


def is_slot(key: str) -> bool:
    """Whether `key` of a goal holds references."""
    return key not in (DESCRIPTION, TITLE) and "$" not in key


class Reference(NamedTuple):
    """One file name in a slot. `index` is its place in a list, None where the slot is a string."""

    goal: GoalPath
    slot: str
    index: int | None  # type: ignore[assignment] # hides a method of tuples that nobody calls here
    file: str
    span: Span


class Slot(NamedTuple):
    """A key of a goal that holds references."""

    name: str
    key_span: Span
    references: tuple[Reference, ...]
    is_list: bool


class Goal(NamedTuple):
    """An object of the map none of whose values is an object. `span` reaches from its first line to its last."""

    path: GoalPath
    key_span: Span
    first_line: int
    last_line: int
    slots: dict[str, Slot]
    texts: dict[str, tuple[str, Span]]

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path[-1]

    def text(self, key: str) -> str | None:
        """Return the string at `key`, such as `title`, which is not a slot."""
        found = self.texts.get(key)
        return found[0] if found else None

    @property
    def title(self) -> str | None:
        """The heading of its prompt, where the map gives one."""
        return self.text(TITLE)

    @property
    def description(self) -> str | None:
        """What the map says the goal is for."""
        return self.text(DESCRIPTION)

    @property
    def template(self) -> Reference | None:
        """The reference to its template, where it has one."""
        slot = self.slots.get(TEMPLATE_SLOT)
        return slot.references[0] if slot and slot.references else None

    @property
    def references(self) -> Iterator[Reference]:
        """All its references in map order, that to its template included."""
        for slot in self.slots.values():
            yield from slot.references


class Change(NamedTuple):
    """What `replace_lines` did: it scanned old lines `first` to `old_end` anew, and they are now `first` to `end`."""

    first: int
    old_end: int
    end: int
    outline_kept: bool
    old_items: list[Items]


class GoalMap:
    """A reading of a map, good until `replace_lines` makes the next one of it. Compare by identity."""

    def __init__(self, lines: list[str], scanned: list[Scanned], states: list[State | Frame], end: State) -> None:
        """Use `parse`; the arguments are parallel lists: lines, what they hold, and the state before each."""
        self.lines = lines
        self.scanned = scanned
        self._states = states
        self._end = end

    # -- reading -----------------------------------------------------------------------------------------------------
    @property
    def text(self) -> str:
        """The text it was read from."""
        return "".join(self.lines)

    def items_at(self, line: int) -> Items:
        """Return the items of one line."""
        items = self.scanned[line]
        if isinstance(items, tuple):
            return items
        # Not kept: they take ten times the memory of their line, and less time than it takes to make use of them.
        return scan.scan_further(self.lines[line], items, self._state_before(line))

    @property
    def items(self) -> Iterator[Items]:
        """The items of all lines, one line after the other."""
        return map(self.items_at, range(len(self.lines)))

    def looked_into(self) -> Iterator[tuple[int, Items]]:
        """Yield the lines that `pairs` does not tell of, each with its items, but for the ends of plain objects."""
        for line, items in enumerate(self.scanned):
            if isinstance(items, tuple):
                yield line, items

    def pairs(self, first: int = 0, end: int | None = None) -> tuple[list[int], list[str], list[str]]:
        """Return the lines of plain objects between two lines, and the key and the string on each."""
        stretch = enumerate(self.scanned if end is None else self.scanned[first:end], first)
        numbers = [line for line, items in stretch if items is None]
        lines = self.lines
        return numbers, *scan.pairs_of([lines[line] for line in numbers])

    def lines_with(self, text: str) -> list[int]:
        """Return the lines that may hold a string `text`, as a key or a value, in order."""
        # Not line by line but through joined stretches: few of them hold it. A string that is being typed has no end.
        begin = f'"{text}'
        found: list[int] = []
        for first in range(0, len(self.lines), _STRETCH):
            lines = self.lines[first : first + _STRETCH]
            stretch = "".join(lines)
            if begin in stretch or "\\" in stretch:
                found += [
                    number
                    for number, line in enumerate(lines, first)
                    if begin in line or ("\\" in line and any(text in item for item in self.items_at(number)))
                ]
        return found

    @cached_property
    def outline(self) -> Outline:
        """Its goals, as places."""
        return find_outline(self)

    @cached_property
    def goals(self) -> list[Goal]:
        """All goals in map order that JSON readers would see."""
        shadowed = self.outline.shadowed
        return [self.goal_of(entry) for entry in self.outline.entries if entry.frame not in shadowed]

    @cached_property
    def _by_path(self) -> dict[GoalPath, Entry]:
        return {path_of(entry.frame): entry for entry in self.outline.entries}

    def goal(self, path: Sequence[str]) -> Goal | None:
        """Return the goal at `path`; where it is there twice, the last one."""
        entry = self._by_path.get(tuple(path))
        return self.goal_of(entry) if entry else None

    def named(self, name: str) -> list[Goal]:
        """Return the goals that `name` can mean: a whole path joined by `/`, or the end of one."""
        exact = [path for path in self._by_path if "/".join(path) == name]
        ends = exact or [path for path in self._by_path if path[-1] == name or "/".join(path).endswith(f"/{name}")]
        return [self.goal_of(self._by_path[path]) for path in ends]

    def goal_at(self, line: int, column: int | None = None) -> Goal | None:
        """Return the goal on whose key or between whose braces `line` and `column` stand."""
        found = None
        for number in self.outline.between(line, line):
            entry = self.outline.entries[number]
            if column is None or self._holds(entry, line, column):
                found = entry
        if found is None and column is not None:
            # A goal whose `{` stands on a line below its key.
            number = bisect_right(self.outline.open_lines, line)
            if number < len(self.outline.entries) and self.outline.entries[number].key_span.touches(line, column):
                found = self.outline.entries[number]
        return self.goal_of(found) if found else None

    def _holds(self, entry: Entry, line: int, column: int) -> bool:
        after_start = line > entry.key_span.line or column >= entry.key_span.start - 1
        if not after_start or line > entry.close_line:
            return False
        if line < entry.close_line or entry.close_item >= len(self.items_at(line)):
            return True
        return column <= int(self.items_at(line)[entry.close_item][2])

    def entry_items(self, entry: Entry) -> Iterator[tuple[int, Item]]:
        """Yield the items between a goal's braces, each with its line."""
        for line in range(entry.open_line, entry.close_line + 1):
            items = self.items_at(line)
            start = entry.open_item + 1 if line == entry.open_line else 0
            end = entry.close_item if line == entry.close_line else len(items)
            for item in items if end - start == len(items) else items[start:end]:
                yield line, item

    def goal_of(self, entry: Entry) -> Goal:
        """Return the goal at `entry`. A key that comes twice counts where it comes last, as JSON readers do."""
        path = path_of(entry.frame)
        slots: dict[str, Slot] = {}
        texts: dict[str, tuple[str, Span]] = {}
        spans: dict[str, Span] = {}

        def put(key: str, index: int | None, value: str, span: Span) -> None:
            if not is_slot(key):
                texts[key] = (value, span)
                return
            reference = Reference(path, key, index, value, span)
            if index is not None and key in slots:
                slots[key] = slots[key]._replace(references=(*slots[key].references, reference))
            else:
                slots[key] = Slot(key, spans[key], (reference,), index is not None)

        for line, item in self.entry_items(entry):
            tag = item[0]
            if tag == PAIR and item[4] is entry.frame:
                spans[item[3]] = Span(line, item[1], item[2])
                slots.pop(item[3], None)
                put(item[3], None, item[7], Span(line, item[5], item[6]))
            elif tag == KEY and item[4] is entry.frame:
                spans[item[3]] = Span(line, item[1], item[2])
                slots.pop(item[3], None)
                if is_slot(item[3]):
                    slots[item[3]] = Slot(item[3], spans[item[3]], (), is_list=False)
            elif tag == OPEN and item[3].parent is entry.frame and item[3].key in slots:
                slots[item[3].key] = slots[item[3].key]._replace(is_list=True)
            elif tag == STRING:
                key, index = place_in(item, entry.frame)
                if key is not None:
                    put(key, index, item[3], Span(line, item[1], item[2]))
        return Goal(path, entry.key_span, entry.key_span.line, entry.close_line, slots, texts)

    def goals_with(self, key: str) -> list[Goal]:
        """Return the goals that have a member `key`, without looking closer at the others."""
        entries, shadowed = self.outline.entries, self.outline.shadowed
        numbers = dict.fromkeys(number for line in self.lines_with(key) for number in self.outline.between(line, line))
        goals = [self.goal_of(entries[number]) for number in numbers if entries[number].frame not in shadowed]
        return [goal for goal in goals if key in goal.slots or key in goal.texts]

    def references(self) -> Iterator[Reference]:
        """Yield all references in map order."""
        for goal in self.goals:
            yield from goal.references

    # -- what is wrong with its JSON ---------------------------------------------------------------------------------
    @property
    def end_problem(self) -> str | None:
        """What its end lacks; None where it is whole."""
        return finish(self._end)

    def syntax_problems(self) -> Iterator[tuple[Span, str]]:
        """Yield each place that RFC 8259 does not allow, with a message; for valid JSON, and only then, none."""
        for line, items in self.looked_into():
            for item in items:
                if item[0] == ERROR:
                    yield Span(line, item[1], item[2]), item[3]
        if self.end_problem:
            yield self.end_span, self.end_problem

    @property
    def end_span(self) -> Span:
        """The last character that is not white space, where a missing end is shown."""
        for line in range(len(self.lines) - 1, -1, -1):
            stripped = self.lines[line].rstrip()
            if stripped:
                return Span(line, len(stripped) - 1, len(stripped))
        return Span(0, 0, 0)

    def state_at(self, line: int, column: int) -> State:
        """Return what stands open before `column` of `line`, and what may come next there."""
        return scan.scan_line(self.lines[line][:column], self._state_before(line))[1]

    def _state_before(self, line: int) -> State:
        return scan.state_before(line, self.lines, self._states)

    def snapshot(self) -> "GoalMap":
        """Return a reading of the same text that no edit will spend."""
        return GoalMap(self.lines.copy(), self.scanned.copy(), self._states.copy(), self._end)

    # -- edits -------------------------------------------------------------------------------------------------------
    def replace_lines(self, first: int, end: int, new_lines: list[str]) -> tuple["GoalMap", Change]:
        """Return the map with lines `first` to `end` (exclusive) replaced, and what was scanned anew.

        Scanning stops at the first old line before which the same is open as ever, so it costs what changed. The new
        reading takes the lists of this one over, which is spent: copying them would cost more than all the rest. Who
        keeps a reading while others may edit takes a `snapshot`.
        """
        lines, items, states = self.lines, self.scanned, self._states
        if end - first == len(lines):
            return parse_lines(new_lines), Change(0, end, len(new_lines), outline_kept=False, old_items=[])
        state = self._state_before(first) if first < len(states) else self._end
        fresh_items: list[Items] = []
        fresh_states: list[State | Frame] = []
        shapes: scan.Shapes = {}
        state = scan.scan_lines(new_lines, state, fresh_items, fresh_states, shapes)
        old_end = end
        while old_end < len(states) and self._state_before(old_end) != state:
            state = scan.scan_lines((lines[old_end],), state, fresh_items, fresh_states, shapes)
            old_end += 1
        old_items = [self.items_at(line) for line in range(first, min(old_end, len(lines)))]
        document_end = self._end if old_end < len(states) else state
        if old_end < len(states):
            states[old_end] = state  # said outright: it may have stood in the lines that are replaced
        lines[first:end] = new_lines
        items[first:old_end] = fresh_items
        states[first:old_end] = fresh_states
        changed = GoalMap(lines, items, states, document_end)
        outline = self.__dict__.get("outline")
        kept = outline is not None and _same_structure(old_items, fresh_items)
        if kept:
            changed.__dict__["outline"] = outline
        self.__dict__.clear()
        return changed, Change(first, old_end, first + len(fresh_items), kept, old_items)


def parse(text: str) -> GoalMap:
    """Read a map. Never raises: what is wrong is in `syntax_problems`, what can be read is there."""
    return parse_lines(split_lines(text))


def parse_lines(lines: list[str]) -> GoalMap:
    """Read a map that is split into lines already, line ends included."""
    return GoalMap(lines, *scan.scan_document(lines))


def place_in(item: Item, goal: Frame) -> tuple[str | None, int | None]:
    """Return the slot and index of a STRING item of `goal`; (None, None) where it is in neither a slot nor its list."""
    frame: Frame = item[4]
    if frame is goal:
        return item[5], None
    if frame.parent is goal and frame.kind == "[":
        return (None, None) if frame.key is None else (str(frame.key), item[5])
    return None, None


def _same_structure(old: list[Items], new: list[Items]) -> bool:
    """Whether only values and keys of goals' own members changed in kind-by-kind equal lines, so that no goal moved."""
    if len(old) != len(new):
        return False
    for before, after in zip(old, new, strict=True):
        if len(before) != len(after):
            return False
        for one, other in zip(before, after, strict=True):
            tag = one[0]
            if tag != other[0]:
                return False
            if tag in (OPEN, CLOSE) and one is not other:
                return False
            if tag in (KEY, PAIR) and one[1:5] != other[1:5]:
                return False  # another key, or one elsewhere on its line
    return True
