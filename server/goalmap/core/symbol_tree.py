"""A map as a tree: categories, goals and slots, each with where it begins and ends; and what can be folded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from goalmap.core.edits import Place
from goalmap.core.goal_map import GoalMap, GoalPath, is_slot, place_in
from goalmap.core.json_lines import Close, Container, Key, Open, Pair, String
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
    goals = {one.container for one in goal_map.goal_index.ranges}
    categories = goal_map.goal_index.categories
    last = len(goal_map.lines) - 1
    end = Place(last, len(without_end(goal_map.lines[last])))
    top: list[Node] = []
    # What is open: each category or goal, its node (None for the map's own object), and where the nodes in it go.
    stack: list[_Open] = []
    slot: Node | None = None
    files = 0
    key_span, key = Span(0, 0, 0), ""

    for line, items in enumerate(goal_map.items):
        for item in items:
            if isinstance(item, Pair):
                if item.container in goals and is_slot(item.name):
                    span = Span(line, item.start, item.end)
                    _add_slot(stack[-1], item.name, span, Place(line, item.value_end + 1), item.value)
            elif isinstance(item, Key):
                key_span, key = Span(line, item.start, item.end), item.name
                if item.container in goals and is_slot(key):
                    slot = _add_slot(stack[-1], key, key_span, Place(line, min(item.end + 1, _width(goal_map, line))))
                    files = 0
                else:
                    slot = None
            elif isinstance(item, Open):
                container = item.container
                if container in categories or container in goals:
                    node, into = None, top
                    if isinstance(container.key, str) and stack:
                        _, above, into = stack[-1]
                        path = (*(above.path[:MAX_DEPTH] if above else ()), container.key)
                        node = Node("goal" if container in goals else "category", key, path, key_span, end)
                        into.append(node)
                        into = node.children if len(stack) < MAX_DEPTH else into
                    stack.append((container, node, into))
            elif isinstance(item, Close):
                if stack and stack[-1][0] is item.container:
                    closed = stack.pop()[1]
                    if closed is not None:
                        closed.end = Place(line, item.end)
                    if len(stack) == 1:
                        yield from top
                        top.clear()
                elif slot is not None and item.container.kind == "[":
                    slot.end = Place(line, item.end)
            elif isinstance(item, String) and slot is not None:
                files += 1
                slot.detail = item.value if files == 1 else f"{files} components"
                slot.end = Place(line, min(item.end + 1, _width(goal_map, line)))
    yield from top


_Open: TypeAlias = tuple[Container, Node | None, list[Node]]


def _add_slot(within: _Open, name: str, key_span: Span, end: Place, detail: str = "") -> Node:
    _, goal, into = within
    into.append(Node("slot", name, goal.path if goal else (), key_span, end, detail))
    return into[-1]


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
    found = [(Place(0, 0), Place(last, _width(goal_map, last)))]
    slot = None
    while (node := next((one for one in nodes if one.start <= here <= one.end), None)) is not None:
        found.append((node.start, node.end))
        slot, nodes = node, node.children
    if slot is not None and slot.kind == "slot":
        found += [(start, slot.end) for start in _list_starts(goal_map, slot) if start <= here <= slot.end]
    for first, after in _strings(goal_map, here.line):
        if first <= here.column <= after:
            quotes_end = min(after + 1, _width(goal_map, here.line))
            found.append((Place(here.line, max(first - 1, 0)), Place(here.line, quotes_end)))
            found.append((Place(here.line, first), Place(here.line, after)))
    nested = found[:1]
    for start, end in found[1:]:
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
