"""The lines of a map with what each holds, plain goals as one piece; nobody else knows how those are told and kept.

A plain goal is an object with a line for each member, all of them strings without escapes. Most goals of a large map
are plain, and most of their lines nobody ever looks into. So they are not scanned: the text of a map is cut at its
quotes, and what stands between two strings is one of few things, each of which gets a letter. An object is then a word
such as "ocncnce", and a map of 5 MB holds its 25 000 objects in a handful of different words.

What a line of a plain goal holds is worked out when it is asked for (`ScannedLines.items`) and not kept: that takes ten
times the memory of the line, and less time than it takes to make use of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from goalmap.core.json_lines import (
    AFTER_MEMBER,
    DOCUMENT,
    FIRST_KEY,
    NEXT_KEY,
    START,
    Close,
    Container,
    Items,
    Key,
    Layouts,
    Open,
    Pair,
    State,
    scan_lines,
)


class PlainGoal(Container):
    """An object that was found to have `size` members, each on a line of its own; edits may have changed that since."""

    __slots__ = ("size",)
    key: str

    def __init__(self, parent: Container, key: str, size: int) -> None:
        # Not by way of `Container`: there may be 25 000 of them.
        self.parent = parent
        self.kind = "{"
        self.key = key
        self.unlike = parent.unlike
        self.size = size


class PlainMembers(NamedTuple):
    """The members of plain goals, in three lists of one length: on which line each stands, its key and its string."""

    lines: list[int]
    keys: list[str]
    values: list[str]


class Rescan(NamedTuple):
    """What `ScannedLines.replace` scanned: old lines up to `old_end` held `old_items`, and hold `new_items` now."""

    old_end: int
    old_items: list[Items]
    new_items: list[Items]


# Of a plain goal, its first and last line hold the goal itself, and the lines between them None.
_Content: TypeAlias = Items | PlainGoal | None


class ScannedLines:
    """The lines of a map, what each holds, and what stands open before each.

    Mutable: `replace` edits in place, at the cost of the edit. The newest `GoalMap` of a text owns them.
    """

    __slots__ = ("_contents", "_states", "end", "lines")

    def __init__(self, lines: list[str], contents: list[Any], states: list[Any], end: State) -> None:
        """Use `scan`. The lists are parallel; in `states`, a `PlainGoal` stands for any state within it."""
        self.lines = lines
        self._contents: list[_Content] = contents
        self._states: list[State | PlainGoal] = states
        self.end = end

    def copy(self) -> ScannedLines:
        """Return the same, to be edited on its own."""
        return ScannedLines(self.lines.copy(), self._contents.copy(), self._states.copy(), self.end)

    # -- reading -----------------------------------------------------------------------------------------------------
    def items(self, line: int) -> Items:
        """Return the items of one line."""
        content = self._contents[line]
        return content if isinstance(content, tuple) else self._expand_plain_line(line, content)

    def _expand_plain_line(self, line: int, content: PlainGoal | None) -> Items:
        state = self._states[line]
        container = state if isinstance(state, PlainGoal) else state[0]
        text = self.lines[line]
        if content is container:
            start = text.index("}")
            return (Close(start, start + 1, container),)
        before, _, rest = text.partition('"')
        start = len(before) + 1
        if content is not None:
            end = start + rest.index('"')
            brace = text.index("{", end)
            return Key(start, end, content.key, container), Open(brace, brace + 1, content)
        key, colon, value, _ = rest.split('"')
        end = start + len(key)
        value_start = end + len(colon) + 2
        return (Pair(start, end, key, container, value_start, value_start + len(value), value),)

    def state_before(self, line: int) -> State:
        """Return what stands open before a line, and what may come next there."""
        state = self._states[line]
        if isinstance(state, tuple):
            return state
        if '"' not in self.lines[line]:
            return state, AFTER_MEMBER, None
        before = self._states[line - 1]
        # The line before it is a member, too, unless it is the one that opens the object.
        is_first = before is not state and isinstance(before, tuple) and before[0] is not state
        return state, FIRST_KEY if is_first else NEXT_KEY, None

    # -- the shortcut ------------------------------------------------------------------------------------------------
    def plain_goal_at(self, line: int) -> PlainGoal | None:
        """Return the plain goal that begins on `line` and reaches to line `line + size + 1`, untouched by edits."""
        goal = self._contents[line]
        if isinstance(goal, PlainGoal):
            last = line + goal.size + 1
            contents = self._contents
            if last < len(contents) and contents[last] is goal:
                return goal if contents[line + 1 : last].count(None) == goal.size else None
        return None

    def plain_members(self, first: int = 0, end: int | None = None) -> PlainMembers:
        """Return the members on lines `first` to `end` (exclusive) that were not scanned."""
        contents = self._contents if end is None else self._contents[first:end]
        numbers = [line for line, content in enumerate(contents, first) if content is None]
        lines = self.lines
        # Such a line has four quotes, and nothing in it is escaped: one cut does for all of them.
        parts = "".join([lines[line] for line in numbers]).split('"')
        return PlainMembers(numbers, parts[1::4], parts[3::4])

    def scanned_lines(self) -> Iterator[tuple[int, Items]]:
        """Yield every line that was scanned by itself, with its items: all but those of plain goals."""
        for line, content in enumerate(self._contents):
            if isinstance(content, tuple):
                yield line, content

    # -- edits -------------------------------------------------------------------------------------------------------
    def replace(self, first: int, end: int, new_lines: list[str]) -> Rescan:
        """Replace lines `first` to `end` (exclusive), and scan on to the first old line before which all is as ever."""
        lines, states = self.lines, self._states
        state = self.state_before(first) if first < len(states) else self.end
        new_items: list[Items] = []
        new_states: list[State] = []
        layouts: Layouts = {}
        state = scan_lines(new_lines, state, new_items, new_states, layouts)
        old_end = end
        while old_end < len(states) and self.state_before(old_end) != state:
            state = scan_lines((lines[old_end],), state, new_items, new_states, layouts)
            old_end += 1
        old_items = [self.items(line) for line in range(first, min(old_end, len(lines)))]
        if old_end < len(states):
            states[old_end] = state  # said outright: it may have stood in the lines that are replaced
        else:
            self.end = state
        lines[first:end] = new_lines
        self._contents[first:old_end] = new_items
        states[first:old_end] = new_states
        return Rescan(old_end, old_items, new_items)


# -- finding plain goals ---------------------------------------------------------------------------------------------
_CODES: Final = {
    ":": "c",  # between a key and its string
    ",\n": "n",  # on to the next member, a line further
    ":{\n": "o",  # an object opens
    "\n},\n": "e",  # it ends, and another key comes
}
_LAST: Final = ("\n}\n", "\n},\n")  # it ends, and anything may come: "l"
_NO_BLANKS: Final = dict.fromkeys(map(ord, " \t\r"))
_OPENS: Final = ("{\n", "{\r\n")


class _SeparatorCodes(dict[str, str]):
    """Map the text between two strings to its code; "?" where it is none of `_CODES` and `_LAST`."""

    def __missing__(self, separator: str) -> str:
        bare = separator.translate(_NO_BLANKS)
        code = self[separator] = _CODES.get(bare) or ("l" if bare.startswith(_LAST) else "?")
        return code


class _PlainGoalSizes(dict[str, int]):
    """Map a goal's separator codes, from behind its "o" to the next one, to its number of members; 0 if not plain."""

    def __missing__(self, codes: str) -> int:
        body = codes.partition("l")[0] if "l" in codes else codes[:-1] if codes.endswith("e") else "?"
        size = len(body) // 2 + 1
        self[codes] = size if f"n{body}" == "nc" * size else 0
        return self[codes]


def scan(lines: list[str]) -> ScannedLines:
    """Scan a whole map, which takes over `lines`. Never raises."""
    contents: list[_Content] = []
    states: list[State | PlainGoal] = []
    layouts: Layouts = {}
    state, number = START, 0
    if lines[0] in _OPENS:  # as nearly all maps begin
        root = Container(DOCUMENT, "{", None)
        contents.append((Open(0, 1, root),))
        states.append(START)
        state, number = (root, FIRST_KEY, None), 1
    text = "".join(lines)
    # Strings are at odd places, what separates them at even ones.
    parts = _cut_at_quotes(text)
    all_plain = _is_plain(parts[1::2])
    codes = "".join(map(_SeparatorCodes().__getitem__, parts[::2]))
    before_first, *goals = codes.split("o") if _ends_lines_as_usual(text) else [codes]
    sizes = _PlainGoalSizes()
    separator = len(before_first)  # the number of the "o" of a goal, among all separators
    # The line ends in parts[:counted] are those before line `number`, but for `beyond`.
    counted, beyond = 0, -number
    after_plain = -1  # the number of the "o" that follows a plain goal at once
    for goal_codes in goals:
        opens, separator = separator, separator + len(goal_codes) + 1
        size = sizes[goal_codes]
        if not size:
            continue
        closes = opens + 2 * size
        if not all_plain and not _is_plain(parts[2 * opens - 1 : 2 * closes + 1 : 2]):
            continue
        if opens != after_plain:
            # Lines of another kind come first. They say whether a member may begin here.
            first = number
            number += beyond + '"'.join(parts[counted : 2 * opens]).count("\n")
            counted, beyond = 2 * opens, 0
            state = scan_lines(lines[first:number], state, contents, states, layouts)
            if state[1] > NEXT_KEY or not parts[2 * opens - 2].rstrip(" \t").endswith("\n"):
                continue
        parent, expected, _ = state
        goal = PlainGoal(parent, parts[2 * opens - 1], size)
        contents += (goal, *[None] * size, goal)
        states.append(state)
        states += [goal] * (size + 1)
        number += size + 2
        counted = 2 * closes + 1
        if goal_codes[2 * size - 1] == "l":
            after_plain = -1
            last = parts[2 * closes]
            beyond = last.count("\n") - 2
            state = (parent, NEXT_KEY if "," in last.split("\n", 2)[1] else AFTER_MEMBER, None)
        else:
            after_plain = separator
            if expected != NEXT_KEY:
                state = (parent, NEXT_KEY, None)
    state = scan_lines(lines[number:], state, contents, states, layouts)
    return ScannedLines(lines, contents, states, state)


def _cut_at_quotes(text: str) -> list[str]:
    """Cut a text at its quotes, those that are escaped excepted."""
    if "\\" in text:
        # As long as they were, so that nothing moves; and as no string without escapes can be.
        text = text.replace("\\\\", "\\\0").replace('\\"', "\\\0")
    return text.split('"')


def _is_plain(strings: list[str]) -> bool:
    """Whether strings may stand in a map as they are. Of those that `str.isprintable` refuses, some may, too."""
    joined = "".join(strings)
    return joined.isprintable() and "\\" not in joined


def _ends_lines_as_usual(text: str) -> bool:
    return "\r" not in text or text.count("\r") == text.count("\r\n")
