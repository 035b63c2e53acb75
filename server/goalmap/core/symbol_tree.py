"""A map as a tree: categories, goals and slots, each with where it begins and ends; and what can be folded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from goalmap.core.edits import Place
from goalmap.core.goal_index import GoalPath, GoalRange
from goalmap.core.goal_map import GoalMap, place_in
from goalmap.core.json_lines import Close, Container, Item, Key, Open, Pair, String
from goalmap.core.naming import is_slot
from goalmap.core.text import Span, without_end

# Deeper than anybody nests, and far from where encoders of nested values give up.
MAX_DEPTH: Final = 64


@dataclass(slots=True)
class Node:
    """A category, goal or slot. It reaches from its key's opening quote to `end`.

    `path` is its own, that of a slot its goal's; below `MAX_DEPTH` levels, parts are left out of it.
    """

    kind: Literal["category", "goal", "slot"]
    name: str
    path: GoalPath
    key_span: Span
    end: Place
    detail: str = ""
    children: list[Node] = field(default_factory=list)

    @property
    def start(self) -> Place:
        """Where its key begins."""
        return Place(self.key_span.line, max(self.key_span.start - 1, 0))


def tree(goal_map: GoalMap) -> Iterator[Node]:
    """Yield the outermost nodes of a map, in its order. Below `MAX_DEPTH` levels, everything is on the last one.

    Each comes as soon as it is complete, so that a large map need not be there as nodes at one time.
    """
    return _TreeBuilder(goal_map).build()


class _TreeBuilder:
    """Makes nodes of a map's items, one after the other; of plain goals, all at once."""

    def __init__(self, goal_map: GoalMap) -> None:
        self.goal_map = goal_map
        self.goals = {one.container: one for one in goal_map.goal_index.ranges}
        self.categories = goal_map.goal_index.categories
        last = len(goal_map.lines) - 1
        self.end = Place(last, _width(goal_map, last))
        self.top: list[Node] = []
        # Each category or goal that is open, its node (None for the map's own object), and where the nodes in it go.
        self.stack: list[tuple[Container, Node | None, list[Node]]] = []
        self.key_span = Span(0, 0, 0)
        self.are_slots: dict[str, bool] = {}
        # The slot whose value is not complete, and how many files it has so far.
        self.slot: Node | None = None
        self.files = 0

    def build(self) -> Iterator[Node]:
        items_at, plain_goal_at = self.goal_map.scanned.items, self.goal_map.scanned.plain_goal_at
        line = 0
        while line < len(self.goal_map.lines):
            goal = plain_goal_at(line)
            if goal is not None and goal in self.goals and self.stack:
                self.add_plain_goal(self.goals[goal])
                line += goal.size + 2
            else:
                for item in items_at(line):
                    self.add(line, item)
                line += 1
            if len(self.stack) <= 1 and self.top:
                yield from self.top
                self.top.clear()
        yield from self.top

    def add_plain_goal(self, goal: GoalRange) -> None:
        node, slots = self.open_node(goal.container, goal.key_span)
        node.end = Place(goal.close_line, self.goal_map.lines[goal.close_line].index("}") + 1)
        path, are_slots, plain_member = node.path, self.are_slots, self.goal_map.scanned.plain_member
        new = tuple.__new__  # half the time, and a map may have 100 000 of these
        for line in range(goal.open_line + 1, goal.close_line):
            start, key, value_start, value = plain_member(line)
            if key not in are_slots:
                are_slots[key] = is_slot(key)
            if are_slots[key]:
                key_span = new(Span, (line, start, start + len(key)))
                end = new(Place, (line, value_start + len(value) + 1))
                slots.append(Node("slot", key, path, key_span, end, value))

    def add(self, line: int, item: Item) -> None:
        if isinstance(item, Pair):
            if item.container in self.goals and is_slot(item.name):
                end = Place(line, item.value_end + 1)
                self.add_slot(item.name, Span(line, item.start, item.end), end, item.value)
        elif isinstance(item, Key):
            self.key_span, self.slot, self.files = Span(line, item.start, item.end), None, 0
            if item.container in self.goals and is_slot(item.name):
                self.slot = self.add_slot(item.name, self.key_span, self.string_end(line, item))
        elif isinstance(item, Open):
            container = item.container
            if container in self.categories or container in self.goals:
                node, children = None, self.top  # the map's own object
                if isinstance(container.key, str) and self.stack:
                    node, children = self.open_node(container, self.key_span)
                self.stack.append((container, node, children))
        elif isinstance(item, Close):
            if self.stack and self.stack[-1][0] is item.container:
                _, closed, _ = self.stack.pop()
                self.slot = None
                if closed is not None:
                    closed.end = Place(line, item.end)
            elif self.slot is not None and item.container.kind == "[":
                self.slot.end = Place(line, item.end)
        elif isinstance(item, String) and self.slot is not None:
            self.files += 1
            self.slot.detail = item.value if self.files == 1 else f"{self.files} components"
            self.slot.end = self.string_end(line, item)

    def open_node(self, container: Container, key_span: Span) -> tuple[Node, list[Node]]:
        """Add the node of a goal or category within the innermost one; return it, and where the nodes in it go."""
        _, above, siblings = self.stack[-1]
        name = str(container.key)
        path = (*(above.path[:MAX_DEPTH] if above else ()), name)
        node = Node("goal" if container in self.goals else "category", name, path, key_span, self.end)
        siblings.append(node)
        return node, node.children if len(self.stack) < MAX_DEPTH else siblings

    def add_slot(self, name: str, key_span: Span, end: Place, detail: str = "") -> Node:
        _, goal, slots = self.stack[-1]
        slots.append(Node("slot", name, goal.path if goal else (), key_span, end, detail))
        return slots[-1]

    def string_end(self, line: int, item: Key | String) -> Place:
        """Return the place behind a string's closing quote, which may still be missing."""
        return Place(line, min(item.end + 1, _width(self.goal_map, line)))


def _width(goal_map: GoalMap, line: int) -> int:
    return len(without_end(goal_map.lines[line]))


def named_files(goal_map: GoalMap) -> Iterator[tuple[str, str, Span]]:
    """Yield the slot, the file name and the place of all references, in map order.

    Other than `GoalMap.references` it makes no goals, and knows nothing of a key that comes twice in its goal.
    """
    shadowed = goal_map.goal_index.shadowed
    for goal in goal_map.goal_index.ranges:
        if goal.container in shadowed:
            continue
        for line, item in goal_map.items_in(goal):
            if isinstance(item, Pair):
                if item.container is goal.container and is_slot(item.name):
                    yield item.name, item.value, Span(line, item.value_start, item.value_end)
            elif isinstance(item, String):
                slot, _ = place_in(item, goal.container)
                if slot is not None and is_slot(slot):
                    yield slot, item.value, Span(line, item.start, item.end)


def walk(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield all nodes in map order."""
    for outermost in nodes:
        pending = [outermost]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children))


def enclosing(goal_map: GoalMap, nodes: list[Node], here: Place) -> list[tuple[Place, Place]]:
    """Return what a place stands in, from the inside out: a name, its string, a list, a slot, a goal, the map.

    Each reaches from the first place to the second, and no two are the same. `nodes` are the `tree` of the map.
    """
    last = len(goal_map.lines) - 1
    around = [(Place(0, 0), Place(last, _width(goal_map, last)))]
    slot = None
    while (node := next((one for one in nodes if one.start <= here <= one.end), None)) is not None:
        around.append((node.start, node.end))
        slot, nodes = node, node.children
    if slot is not None and slot.kind == "slot":
        around += [(start, slot.end) for start in _list_starts(goal_map, slot) if start <= here <= slot.end]
    for first, after in _strings(goal_map, here.line):
        if first <= here.column <= after:
            quotes_end = min(after + 1, _width(goal_map, here.line))
            around.append((Place(here.line, max(first - 1, 0)), Place(here.line, quotes_end)))
            around.append((Place(here.line, first), Place(here.line, after)))
    nested = around[:1]
    for start, end in around[1:]:
        # A half-typed string may reach beyond what it stands in: that is not one around the other.
        if nested[-1][0] <= start and end <= nested[-1][1] and (start, end) != nested[-1]:
            nested.append((start, end))
    return nested[::-1]


def _list_starts(goal_map: GoalMap, slot: Node) -> Iterator[Place]:
    """Yield where the list of a slot begins; nothing for a slot that is a string."""
    for line in range(slot.key_span.line, slot.end.line + 1):
        for item in goal_map.items_at(line):
            place = Place(line, item.start)
            if isinstance(item, Open) and item.container.kind == "[" and slot.start < place < slot.end:
                yield place
                return


def _strings(goal_map: GoalMap, line: int) -> Iterator[tuple[int, int]]:
    """Yield the columns of the names in a line, quotes left out."""
    for item in goal_map.items_at(line):
        if isinstance(item, (Key, String, Pair)):
            yield item.start, item.end
        if isinstance(item, Pair):
            yield item.value_start, item.value_end


def folds(goal_map: GoalMap) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of each object and list that has lines to hide; the line of its end stays."""
    opened: dict[Container, int] = {}
    for line, items in enumerate(goal_map.items):
        for item in items:
            if isinstance(item, Open):
                opened[item.container] = line
            elif isinstance(item, Close):
                first = opened.pop(item.container, line)
                if line - 1 > first:
                    yield first, line - 1
    last = len(goal_map.lines) - 1
    yield from ((first, last) for first in opened.values() if last > first)
