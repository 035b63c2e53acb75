"""A map as a tree: categories, goals and slots, each with where it begins and ends; and what can be folded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from goalmap.core.edits import Place
from goalmap.core.goal_map import GoalMap, GoalPath, is_slot, place_in
from goalmap.core.items import CLOSE, KEY, OPEN, PAIR, STRING, Frame
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
    goals = {entry.frame for entry in goal_map.outline.entries}
    categories = goal_map.outline.categories
    last = len(goal_map.lines) - 1
    end = Place(last, len(without_end(goal_map.lines[last])))
    top: list[Node] = []
    # What is open: for each frame that is a category or a goal, its node (None for the map's own object), and where the
    # nodes go that stand in it.
    stack: list[_Open] = []
    slot: Node | None = None
    files = 0
    key_span, key = Span(0, 0, 0), ""

    for line, items in enumerate(goal_map.items):
        for item in items:
            tag = item[0]
            if tag == PAIR:
                if item[4] in goals and is_slot(item[3]):
                    _add_slot(stack[-1], item[3], Span(line, item[1], item[2]), Place(line, item[6] + 1), item[7])
            elif tag == KEY:
                key_span, key = Span(line, item[1], item[2]), item[3]
                if item[4] in goals and is_slot(key):
                    slot = _add_slot(stack[-1], key, key_span, Place(line, min(item[2] + 1, _width(goal_map, line))))
                    files = 0
                else:
                    slot = None
            elif tag == OPEN:
                frame: Frame = item[3]
                if frame in categories or frame in goals:
                    node, into = None, top
                    if isinstance(frame.key, str) and stack:
                        _, above, into = stack[-1]
                        path = (*(above.path[:MAX_DEPTH] if above else ()), frame.key)
                        node = Node("goal" if frame in goals else "category", key, path, key_span, end)
                        into.append(node)
                        into = node.children if len(stack) < MAX_DEPTH else into
                    stack.append((frame, node, into))
            elif tag == CLOSE:
                if stack and stack[-1][0] is item[3]:
                    closed = stack.pop()[1]
                    if closed is not None:
                        closed.end = Place(line, item[2])
                    if len(stack) == 1:
                        yield from top
                        top.clear()
                elif slot is not None and item[3].kind == "[":
                    slot.end = Place(line, item[2])
            elif tag == STRING and slot is not None:
                files += 1
                slot.detail = item[3] if files == 1 else f"{files} components"
                slot.end = Place(line, min(item[2] + 1, _width(goal_map, line)))
    yield from top


_Open: TypeAlias = tuple[Frame, Node | None, list[Node]]


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
    for entry in goal_map.outline.entries:
        if entry.frame in goal_map.outline.shadowed:
            continue
        for line, item in goal_map.entry_items(entry):
            tag = item[0]
            if tag == PAIR:
                if item[4] is entry.frame and is_slot(item[3]):
                    yield item[3], item[7], Span(line, item[5], item[6])
            elif tag == STRING:
                slot, _ = place_in(item, entry.frame)
                if slot is not None and is_slot(slot):
                    yield slot, item[3], Span(line, item[1], item[2])


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
            place = Place(line, item[1])
            if item[0] == OPEN and item[3].kind == "[" and slot.start < place < slot.end:
                yield place
                return


def _strings(goal_map: GoalMap, line: int) -> Iterator[tuple[int, int]]:
    """Yield the columns of the names in a line, quotes left out."""
    for item in goal_map.items_at(line):
        if item[0] in (KEY, STRING, PAIR):
            yield item[1], item[2]
        if item[0] == PAIR:
            yield item[5], item[6]


def folds(goal_map: GoalMap) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of each object and list that has lines to hide; the line of its end stays."""
    opened: dict[Frame, int] = {}
    for line, items in enumerate(goal_map.items):
        for item in items:
            if item[0] == OPEN:
                opened[item[3]] = line
            elif item[0] == CLOSE:
                first = opened.pop(item[3], line)
                if line - 1 > first:
                    yield first, line - 1
    last = len(goal_map.lines) - 1
    yield from ((first, last) for first in opened.values() if last > first)
