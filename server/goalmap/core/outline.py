"""Where the goals of a map stand, and the objects that hold them."""

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from goalmap.core.items import CLOSE, DOCUMENT, KEY, OPEN, PAIR, Frame, Scanned
from goalmap.core.text import Span

if TYPE_CHECKING:
    from goalmap.core.goal_map import GoalMap

GoalPath: TypeAlias = tuple[str, ...]


class Entry(NamedTuple):
    """A goal in the outline: its frame, and the lines and items where its key, its `{` and its `}` stand."""

    frame: Frame
    key_span: Span
    open_line: int
    open_item: int
    close_line: int
    close_item: int


class Outline(NamedTuple):
    """The goals of a map in its order, and the objects that hold them.

    `shadowed` are goals whose path comes again further down: JSON readers take the last one. `duplicates` are the spans
    of those keys, with the span of the one that counts.
    """

    entries: list[Entry]
    open_lines: list[int]
    categories: dict[Frame, Span | None]
    shadowed: frozenset[Frame]
    duplicates: tuple[tuple[Span, str, Span], ...]

    def between(self, first_line: int, last_line: int) -> range:
        """Return the numbers of the entries that stand, in part at least, on these lines."""
        start = bisect_right(self.open_lines, first_line)
        # Goals do not nest, so only those that open before first_line and close on or after it can reach into it.
        while start > 0 and self.entries[start - 1].close_line >= first_line:
            start -= 1
        return range(start, bisect_right(self.open_lines, last_line))


def path_of(frame: Frame) -> GoalPath:
    """Return the keys that lead to `frame` from the map's own object."""
    keys = []
    at: Frame | None = frame
    while at is not None and at.parent is not None and at.parent is not DOCUMENT:
        keys.append(str(at.key))
        at = at.parent
    return tuple(reversed(keys))


def find_outline(goal_map: "GoalMap") -> Outline:
    """Find the goals: objects reached by keys only, none of whose values is an object."""
    candidates: _Candidates = {}
    categories: dict[Frame, Span | None] = {}
    names: dict[Frame, list[str]] = {}
    loose = _find_candidates(goal_map, candidates, categories, names)
    last_line = len(goal_map.lines) - 1
    unclosed = (last_line, len(goal_map.items_at(last_line)))
    entries = [
        place if isinstance(place, Entry) else Entry._make((*place, *unclosed)[: len(Entry._fields)])
        for place in candidates.values()
    ]
    keyed = [
        (item[4], item[3], Span(line, item[1], item[2]))
        for line in loose
        for item in goal_map.items_at(line)
        if item[0] in _WITH_KEY and item[4] in categories
    ]
    for frame, key, _ in keyed:
        names.setdefault(frame, []).append(key)
    shadowed, duplicates = frozenset[Frame](), tuple[tuple[Span, str, Span], ...]()
    if any(len(set(keys)) < len(keys) for keys in names.values()):
        keyed += [(one.parent, one.key, place[1]) for one, place in candidates.items() if isinstance(place, Entry)]
        shadowed, duplicates = _duplicates(keyed, categories, entries)
    return Outline(entries, [entry.open_line for entry in entries], categories, shadowed, duplicates)


# For each goal, in map order, an Entry, or what an Entry says in parts; until its end is found, without that.
_Candidates: TypeAlias = dict[Frame, tuple[Any, ...]]


def _find_candidates(
    goal_map: "GoalMap", candidates: _Candidates, categories: dict[Frame, Span | None], names: dict[Frame, list[str]]
) -> list[int]:
    """Find goals, categories, and the names of those goals that become an Entry at once; return all other lines."""
    scanned, lines, new = goal_map.scanned, goal_map.lines, tuple.__new__
    loose: list[int] = []
    parent: Frame | None = None
    keys: list[str] = []
    key_line = key_start = key_end = 0
    root_may_come = True
    line = -1
    while (line := line + 1) < len(scanned):
        found = scanned[line]
        if isinstance(found, Frame) and found.parent in categories:
            close_line = line + found.members + 1
            if _is_untouched(scanned, found, line, close_line):
                key: str = found.key  # type: ignore[assignment] # it is in an object
                start = lines[line].index('"') + 1
                # By way of `tuple`: half the time, and there may be 25 000 of them.
                span = new(Span, (line, start, start + len(key)))
                candidates[found] = new(Entry, (found, span, line, 1, close_line, 0))
                if found.parent is not parent:
                    parent = found.parent
                    keys = names.setdefault(parent, [])
                keys.append(key)
                line = close_line
                continue
        items = goal_map.items_at(line)
        loose.append(line)
        if len(items) == 1 and items[0][0] == PAIR:
            continue  # most lines of goals that hold more than names
        for number, item in enumerate(items):
            tag = item[0]
            if tag == KEY:
                key_line, key_start, key_end = line, item[1], item[2]
            elif tag == OPEN:
                frame: Frame = item[3]
                if frame.kind != "{":
                    continue
                holder: Frame = frame.parent  # type: ignore[assignment] # only the document has none
                if holder in categories or holder in candidates:
                    if isinstance(frame.key, str):
                        if holder not in categories:
                            categories[holder] = candidates.pop(holder)[1]
                        candidates[frame] = (frame, Span(key_line, key_start, key_end), line, number)
                elif holder is DOCUMENT and root_may_come:
                    root_may_come = False  # what follows the map's own object is no part of it
                    categories[frame] = None
            elif tag == CLOSE and item[3] in candidates:
                candidates[item[3]] += (line, number)
    return loose


def _is_untouched(scanned: Sequence[Scanned], frame: Frame, open_line: int, close_line: int) -> bool:
    """Whether an object is still as the scan of the document found it."""
    return (
        close_line < len(scanned)
        and scanned[close_line] is frame
        and scanned[open_line + 1 : close_line].count(None) == frame.members
    )


def _duplicates(
    keyed: list[tuple[Any, ...]], categories: dict[Frame, Span | None], entries: list[Entry]
) -> tuple[frozenset[Frame], tuple[tuple[Span, str, Span], ...]]:
    """Find keys that come twice in one category: the goals that are hidden by them, and where the keys stand."""
    last: dict[tuple[Frame, str], Span] = {}
    found: list[tuple[Span, str, Span]] = []
    for frame, key, span in sorted(keyed, key=itemgetter(2)):
        if (frame, key) in last:
            found.append((last[frame, key], key, span))
        last[frame, key] = span
    hidden = {span for span, _, _ in found}
    shadowed = {entry.frame for entry in entries if entry.key_span in hidden}
    dark = {frame for frame, span in categories.items() if span in hidden}
    for entry in entries:
        at = entry.frame.parent
        while at is not None and at not in dark:
            at = at.parent
        if at is not None:
            shadowed.add(entry.frame)
    return frozenset(shadowed), tuple(found)


_WITH_KEY: Final = (KEY, PAIR)
