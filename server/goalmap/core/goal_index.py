"""Where the goals of a map stand, and the objects that hold them."""

from bisect import bisect_right
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from goalmap.core.json_lines import DOCUMENT, Close, Container, Key, Open, Pair
from goalmap.core.plain_goals import ScannedLines
from goalmap.core.text import Span

GoalPath: TypeAlias = tuple[str, ...]


class GoalRange(NamedTuple):
    """Where a goal stands: its key, and the lines and items of its `{` and `}`."""

    container: Container
    key_span: Span
    open_line: int
    open_item: int
    close_line: int
    close_item: int


class DuplicateKey(NamedTuple):
    """A key that comes again further down in its object, at `last`, which JSON readers take."""

    span: Span
    name: str
    last: Span


class GoalIndex(NamedTuple):
    """The goals of a map in its order, and the objects that hold them, each with the span of its key.

    `shadowed` are goals that a later one of the same path hides; `duplicates` are the keys that make them so.
    """

    ranges: list[GoalRange]
    open_lines: list[int]
    categories: dict[Container, Span | None]
    shadowed: frozenset[Container]
    duplicates: tuple[DuplicateKey, ...]

    def between(self, first_line: int, last_line: int) -> range:
        """Return the numbers of the goals that stand, in part at least, on these lines."""
        start = bisect_right(self.open_lines, first_line)
        # Goals do not nest, so only those that open before first_line and close on or after it can reach into it.
        while start > 0 and self.ranges[start - 1].close_line >= first_line:
            start -= 1
        return range(start, bisect_right(self.open_lines, last_line))


def path_of(container: Container) -> GoalPath:
    """Return the keys that lead to `container` from the map's own object."""
    keys = []
    around: Container | None = container
    while around is not None and around.parent is not None and around.parent is not DOCUMENT:
        keys.append(str(around.key))
        around = around.parent
    return tuple(reversed(keys))


def find_goals(scanned: ScannedLines) -> GoalIndex:
    """Find the goals: objects reached by keys only, none of whose values is an object."""
    finder = _GoalFinder(scanned)
    finder.find()
    ranges, categories, names = list(finder.goals.values()), finder.categories, finder.plain_names
    keys = [
        (item.container, item.name, Span(line, item.start, item.end))
        for line in finder.other_lines
        for item in scanned.items(line)
        if isinstance(item, (Key, Pair)) and item.container in categories
    ]
    for container, name, _ in keys:
        names.setdefault(container, []).append(name)
    shadowed, duplicates = frozenset[Container](), tuple[DuplicateKey, ...]()
    if any(len(set(keys)) < len(keys) for keys in names.values()):
        listed = set(finder.other_lines)
        keys += [
            (one.container.parent, str(one.container.key), one.key_span)
            for one in ranges
            if one.container.parent is not None and one.key_span.line not in listed
        ]
        shadowed, duplicates = _find_duplicates(keys, categories, ranges)
    return GoalIndex(ranges, [one.open_line for one in ranges], categories, shadowed, duplicates)


class _GoalFinder:
    """Finds goals and categories in map order; plain goals at once, all others item by item.

    An object counts as a goal until another object is found in it. `plain_names` are the keys of plain goals by their
    category, `other_lines` all lines but theirs.
    """

    def __init__(self, scanned: ScannedLines) -> None:
        self.scanned = scanned
        self.goals: dict[Container, GoalRange] = {}
        self.categories: dict[Container, Span | None] = {}
        self.plain_names: dict[Container, list[str]] = {}
        self.other_lines: list[int] = []
        last_line = len(scanned.lines) - 1
        self._unclosed = (last_line, len(scanned.items(last_line)))
        self._key_span = Span(0, 0, 0)
        self._root_may_come = True

    def find(self) -> None:
        scanned, goals = self.scanned, self.goals
        plain_goal_at, lines = scanned.plain_goal_at, scanned.lines
        new = tuple.__new__  # half the time of calling a NamedTuple, and there may be 25 000 of them
        category: Container | None = None
        names: list[str] = []
        line = 0
        while line < len(lines):
            goal = plain_goal_at(line)
            if goal is None or goal.parent not in self.categories:
                self._look_at(line)
                line += 1
                continue
            key = goal.key
            start = lines[line].index('"') + 1
            key_span = new(Span, (line, start, start + len(key)))
            close_line = line + goal.size + 1
            goals[goal] = new(GoalRange, (goal, key_span, line, 1, close_line, 0))
            if goal.parent is not category:
                category = goal.parent
                names = self.plain_names.setdefault(category, [])
            names.append(key)
            line = close_line + 1

    def _look_at(self, line: int) -> None:
        items = self.scanned.items(line)
        self.other_lines.append(line)
        if len(items) == 1 and isinstance(items[0], Pair):
            return  # most lines of goals that hold more than names
        for number, item in enumerate(items):
            if isinstance(item, Key):
                self._key_span = Span(line, item.start, item.end)
            elif isinstance(item, Open):
                if item.container.kind == "{":
                    self._open(item.container, line, number)
            elif isinstance(item, Close) and item.container in self.goals:
                one = self.goals[item.container]
                self.goals[item.container] = one._replace(close_line=line, close_item=number)

    def _open(self, container: Container, line: int, number: int) -> None:
        holder = container.parent
        if holder is DOCUMENT:
            if self._root_may_come:
                self._root_may_come = False  # what follows the map's own object is no part of it
                self.categories[container] = None
        elif holder is not None and isinstance(container.key, str):
            if holder in self.goals:
                self.categories[holder] = self.goals.pop(holder).key_span
            if holder in self.categories:
                self.goals[container] = GoalRange(container, self._key_span, line, number, *self._unclosed)


def _find_duplicates(
    keys: list[tuple[Container, str, Span]], categories: dict[Container, Span | None], ranges: list[GoalRange]
) -> tuple[frozenset[Container], tuple[DuplicateKey, ...]]:
    """Find `keys` that come twice in one category, and the goals that are hidden by that."""
    seen: dict[tuple[Container, str], Span] = {}
    duplicates: list[DuplicateKey] = []
    for container, name, span in sorted(keys, key=itemgetter(2)):
        if (container, name) in seen:
            duplicates.append(DuplicateKey(seen[container, name], name, span))
        seen[container, name] = span
    hidden = {duplicate.span for duplicate in duplicates}
    shadowed = {one.container for one in ranges if one.key_span in hidden}
    hidden_categories = {container for container, span in categories.items() if span in hidden}
    for one in ranges:
        around = one.container.parent
        while around is not None and around not in hidden_categories:
            around = around.parent
        if around is not None:
            shadowed.add(one.container)
    return frozenset(shadowed), tuple(duplicates)
