"""The map: goals, their slots and references, with where each stands in the text.

`GoalMap` is a reading of a text. Broken JSON still gives every goal that can be read; what is wrong is data, never an
exception. `GoalMap.replace_lines` gives the reading after an edit, at the cost of the edit.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from goalmap.core.goal_index import GoalIndex, GoalPath, GoalRange, find_goals, path_of
from goalmap.core.json_lines import (
    Close,
    Container,
    Error,
    Item,
    Items,
    Key,
    Open,
    Pair,
    State,
    String,
    end_problem,
    scan_line,
)
from goalmap.core.naming import DESCRIPTION, TEMPLATE_SLOT, TITLE, is_slot
from goalmap.core.plain_goals import PlainMembers, ScannedLines, scan
from goalmap.core.text import Span, split_lines

_STRETCH: Final = 512

# What belongs to a map is found here, although where its goals stand is worked out in a module of its own.
__all__ = [
    "DESCRIPTION",
    "TITLE",
    "Change",
    "Goal",
    "GoalIndex",
    "GoalMap",
    "GoalPath",
    "GoalRange",
    "Reference",
    "Slot",
    "is_slot",
    "parse",
    "parse_lines",
    "path_of",
    "place_in",
]


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
    """What an edit did: old lines `first` to `old_end` were scanned anew, and are lines `first` to `end` now.

    `index_kept` says that no goal moved, `old_items` what those lines held before.
    """

    first: int
    old_end: int
    end: int
    index_kept: bool
    old_items: list[Items]


class GoalMap:
    """A reading of a map. `replace_lines` spends it: the next reading takes its lines over. Compare by identity."""

    def __init__(self, scanned: ScannedLines) -> None:
        """Use `parse`; the reading owns what it is given."""
        self.scanned = scanned
        self.lines = scanned.lines

    # -- reading -----------------------------------------------------------------------------------------------------
    @property
    def text(self) -> str:
        """The text it was read from."""
        return "".join(self.lines)

    def items_at(self, line: int) -> Items:
        """Return the items of one line."""
        return self.scanned.items(line)

    @property
    def items(self) -> Iterator[Items]:
        """The items of all lines, one line after the other."""
        return map(self.scanned.items, range(len(self.lines)))

    def scanned_lines(self) -> Iterator[tuple[int, Items]]:
        """Yield every line that was scanned by itself, with its items: all but those of plain goals."""
        return self.scanned.scanned_lines()

    def plain_members(self) -> PlainMembers:
        """Return the members of plain goals, all of which are strings without escapes."""
        return self.scanned.plain_members()

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
    def goal_index(self) -> GoalIndex:
        """Where its goals stand."""
        return find_goals(self.scanned)

    @cached_property
    def goals(self) -> list[Goal]:
        """All goals in map order that JSON readers would see."""
        shadowed = self.goal_index.shadowed
        return [self.goal_of(one) for one in self.goal_index.ranges if one.container not in shadowed]

    @cached_property
    def _by_path(self) -> dict[GoalPath, GoalRange]:
        return {path_of(one.container): one for one in self.goal_index.ranges}

    def goal(self, path: Sequence[str]) -> Goal | None:
        """Return the goal at `path`; where it is there twice, the last one."""
        goal_range = self._by_path.get(tuple(path))
        return self.goal_of(goal_range) if goal_range else None

    def named(self, name: str) -> list[Goal]:
        """Return the goals that `name` can mean: a whole path joined by `/`, or the end of one."""
        exact = [path for path in self._by_path if "/".join(path) == name]
        ends = exact or [path for path in self._by_path if path[-1] == name or "/".join(path).endswith(f"/{name}")]
        return [self.goal_of(self._by_path[path]) for path in ends]

    def goal_at(self, line: int, column: int | None = None) -> Goal | None:
        """Return the goal on whose key or between whose braces `line` and `column` stand."""
        ranges = self.goal_index.ranges
        around = None
        for number in self.goal_index.between(line, line):
            if column is None or self._holds(ranges[number], line, column):
                around = ranges[number]
        if around is None and column is not None:
            # A goal whose `{` stands on a line below its key.
            number = bisect_right(self.goal_index.open_lines, line)
            if number < len(ranges) and ranges[number].key_span.touches(line, column):
                around = ranges[number]
        return self.goal_of(around) if around else None

    def _holds(self, goal: GoalRange, line: int, column: int) -> bool:
        after_start = line > goal.key_span.line or column >= goal.key_span.start - 1
        if not after_start or line > goal.close_line:
            return False
        if line < goal.close_line or goal.close_item >= len(self.items_at(line)):
            return True
        return column <= self.items_at(line)[goal.close_item].end

    def items_in(self, goal: GoalRange) -> Iterator[tuple[int, Item]]:
        """Yield the items between a goal's braces, each with its line."""
        for line in range(goal.open_line, goal.close_line + 1):
            items = self.items_at(line)
            start = goal.open_item + 1 if line == goal.open_line else 0
            end = goal.close_item if line == goal.close_line else len(items)
            for item in items if end - start == len(items) else items[start:end]:
                yield line, item

    def goal_of(self, goal_range: GoalRange) -> Goal:
        """Return the goal at `goal_range`. A key that comes twice counts where it comes last, as JSON readers do."""
        goal = goal_range.container
        path = path_of(goal)
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

        for line, item in self.items_in(goal_range):
            if isinstance(item, (Pair, Key)):
                if item.container is not goal:
                    continue
                name = item.name
                spans[name] = Span(line, item.start, item.end)
                slots.pop(name, None)
                if isinstance(item, Pair):
                    put(name, None, item.value, Span(line, item.value_start, item.value_end))
                elif is_slot(name):
                    slots[name] = Slot(name, spans[name], (), is_list=False)
            elif isinstance(item, Open):
                if item.container.parent is goal and item.container.key in slots:
                    name = str(item.container.key)
                    slots[name] = slots[name]._replace(is_list=True)
            elif isinstance(item, String):
                key, index = place_in(item, goal)
                if key is not None:
                    put(key, index, item.value, Span(line, item.start, item.end))
        return Goal(path, goal_range.key_span, goal_range.key_span.line, goal_range.close_line, slots, texts)

    def ranges_with(self, text: str) -> list[GoalRange]:
        """Return the goals on whose lines a string `text` may stand, but for those that a later one hides."""
        index = self.goal_index
        lines = dict.fromkeys(self.lines_with(text))
        numbers = dict.fromkeys(number for line in lines for number in index.between(line, line))
        ranges = [index.ranges[number] for number in numbers]
        return [one for one in ranges if one.container not in index.shadowed]

    def goals_with(self, key: str) -> list[Goal]:
        """Return the goals that have a member `key`, without looking closer at the others."""
        goals = [self.goal_of(one) for one in self.ranges_with(key)]
        return [goal for goal in goals if key in goal.slots or key in goal.texts]

    def references(self) -> Iterator[Reference]:
        """Yield all references in map order."""
        for goal in self.goals:
            yield from goal.references

    # -- what is wrong with its JSON ---------------------------------------------------------------------------------
    @property
    def end_problem(self) -> str | None:
        """What its end lacks; None where it is whole."""
        return end_problem(self.scanned.end)

    def syntax_problems(self) -> Iterator[tuple[Span, str]]:
        """Yield each place that RFC 8259 does not allow, with a message; for valid JSON, and only then, none."""
        for line, items in self.scanned_lines():
            for item in items:
                if isinstance(item, Error):
                    yield Span(line, item.start, item.end), item.message
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
        return scan_line(self.lines[line][:column], self.scanned.state_before(line))[1]

    def snapshot(self) -> "GoalMap":
        """Return a reading of the same text that no edit will spend."""
        return GoalMap(self.scanned.copy())

    # -- edits -------------------------------------------------------------------------------------------------------
    def replace_lines(self, first: int, end: int, new_lines: list[str]) -> tuple["GoalMap", Change]:
        """Return the map with lines `first` to `end` (exclusive) replaced, and what was scanned anew.

        It costs what changed. This reading is spent then, and asking it for lines raises AttributeError: the next one
        has them, since to copy them would cost more than all the rest. Who keeps a reading while others may edit takes
        a `snapshot`.
        """
        if end - first == len(self.lines):
            return parse_lines(new_lines), Change(0, end, len(new_lines), index_kept=False, old_items=[])
        scanned = self.scanned
        del self.scanned, self.lines
        rescan = scanned.replace(first, end, new_lines)
        after = GoalMap(scanned)
        index_kept = "goal_index" in self.__dict__ and _same_structure(rescan.old_items, rescan.new_items)
        if index_kept:
            after.goal_index = self.goal_index
        return after, Change(first, rescan.old_end, first + len(rescan.new_items), index_kept, rescan.old_items)


def parse(text: str) -> GoalMap:
    """Read a map. Never raises: what is wrong is in `syntax_problems`, what can be read is there."""
    return parse_lines(split_lines(text))


def parse_lines(lines: list[str]) -> GoalMap:
    """Read a map that is split into lines already, line ends included."""
    return GoalMap(scan(lines))


def place_in(item: String, goal: Container) -> tuple[str | None, int | None]:
    """Return the slot and index of a string of `goal`; (None, None) where it is in neither a slot nor its list."""
    container = item.container
    if container is goal:
        return item.key, None
    if container.parent is goal and container.kind == "[":
        return (None, None) if container.key is None else (str(container.key), item.key)
    return None, None


def _same_structure(old: list[Items], new: list[Items]) -> bool:
    """Whether lines hold the same keys and brackets at the same places, so that no goal moved."""
    return len(old) == len(new) and all(map(_same_items, old, new))


def _same_items(old: Items, new: Items) -> bool:
    if len(old) != len(new):
        return False
    for before, after in zip(old, new, strict=True):
        if type(before) is not type(after):
            return False
        if isinstance(before, (Open, Close)):
            if before is not after:
                return False
        elif isinstance(before, (Key, Pair)) and before[:4] != after[:4]:
            return False  # another key, or one elsewhere on its line
    return True
