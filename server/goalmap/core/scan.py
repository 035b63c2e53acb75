"""Scan a map line by line, tolerantly.

A JSON string cannot hold a line break, so each line can be read by itself once it is known what stands open before it.
That *state* is an immutable tuple, and what a line yields is a tuple of *items*. An edit therefore rescans the lines it
touched, and goes on only until the state before an old line is the state that it had (`GoalMap.replace_lines`).

This is the hot path of the language server, hence tuples and not classes, a regular expression for the lines that
nearly all maps consist of (`_COMMON`), and objects of nothing but such lines told by what stands between their strings
(`_LETTERS`): their members are not even looked at until somebody asks for them. Nothing here knows what a goal is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from goalmap.core.items import (
    AFTER_ELEMENT,
    AFTER_MEMBER,
    CLOSE,
    DOCUMENT,
    ELEMENT,
    END,
    FIRST_ELEMENT,
    FIRST_KEY,
    KEY,
    NEXT_KEY,
    OPEN,
    PAIR,
    START,
    STRING,
    Frame,
    Items,
    Scanned,
    State,
    after_comma,
    after_value,
)

_TEXT = r'"([^"\\\x00-\x1f]*+)"'
_COMMON = re.compile(
    rf"[ \t]*(?:{_TEXT}(?:[ \t]*:[ \t]*(?:{_TEXT}|([{{\[])))?|([}}\]]))[ \t]*(,?)[ \t]*(?:\r\n?|\n)?\Z"
)


# What stands between two strings of a map, as a letter, blanks and carriage returns aside. An object is then a word,
# such as "ocncnce", and a map of 5 MB holds its 25 000 objects in a handful of different words.
_LETTERS: Final = {
    ":": "c",  # between a key and its string
    ",\n": "n",  # on to the next member, a line further
    ":{\n": "o",  # an object opens
    "\n},\n": "e",  # it ends, and another key comes
}
_LAST: Final = ("\n}\n", "\n},\n")  # it ends, and anything may come


class _Letters(dict[str, str]):
    """By what stands between two strings, its letter: "l" where it begins with `_LAST`, "?" where it is another."""

    def __missing__(self, between: str) -> str:
        bare = between.translate(_NO_BLANKS)
        letter = self[between] = _LETTERS.get(bare) or ("l" if bare.startswith(_LAST) else "?")
        return letter


_NO_BLANKS: Final = dict.fromkeys(map(ord, " \t\r"))


class _Members(dict[str, int]):
    """By the letters from behind an "o" to the next one, the members of the object; 0 unless each has its line."""

    def __missing__(self, word: str) -> int:
        body = word.partition("l")[0] if "l" in word else word[:-1] if word.endswith("e") else "?"
        members = len(body) // 2 + 1
        self[word] = members if f"n{body}" == "nc" * members else 0
        return self[word]


_ENDS_OBJECT: Final = (FIRST_KEY, AFTER_MEMBER)
_ENDS_ARRAY: Final = (FIRST_ELEMENT, AFTER_ELEMENT)


def scan_document(lines: list[str]) -> tuple[list[Scanned], list[State | Frame], State]:
    """Return what each line holds, the state before each (see `state_before`), and that after the last. Never raises.

    An object that is a line for each of its members, all of them strings without escapes, is passed over as a whole.
    """
    scanned: list[Scanned] = []
    states: list[State | Frame] = []
    shapes: Shapes = {}
    state, number = START, 0
    if lines[0] in _OPENS:  # as nearly all maps begin
        root = Frame(DOCUMENT, "{", None)
        scanned.append(((OPEN, 0, 1, root),))
        states.append(START)
        state, number = root.state_first, 1
    text = "".join(lines)
    parts = _at_quotes(text)
    all_plain = "\\" not in text and "".join(parts[1::2]).isprintable()
    letters = "".join(map(_Letters().__getitem__, parts[::2]))
    # Of the parts that were counted, all line ends are before line `number`, but for `beyond`.
    after, counted, beyond = -1, 0, -number
    first_word, *words = letters.split("o")
    at, sizes = len(first_word), _Members()
    for word in words if _ends_lines_as_usual(text) else ():
        opens, at = at, at + len(word) + 1
        members = sizes[word]
        if not members:
            continue
        end = opens + 2 * members + 1
        if not all_plain and not _are_plain(parts[2 * opens - 1 : 2 * end - 1 : 2]):
            continue
        if opens != after:
            # Lines of another kind come first. They say whether a member may begin here.
            first = number
            number += beyond + '"'.join(parts[counted : 2 * opens]).count("\n")
            counted, beyond = 2 * opens, 0
            if first < number:
                state = scan_lines(lines[first:number], state, scanned, states, shapes)
            if state[1] > NEXT_KEY or not parts[2 * opens - 2].rstrip(" \t").endswith("\n"):
                continue
        parent = state[0]
        frame = Frame(parent, "{", parts[2 * opens - 1], members)
        scanned += (frame, *[None] * members, frame)
        states.append(state)
        states += [frame] * (members + 1)
        number += members + 2
        counted = 2 * end - 1
        after = end
        state = parent.state_key
        if word[2 * members - 1] == "l":
            last = parts[2 * end - 2]
            after, beyond = -1, last.count("\n") - 2
            if "," not in last.split("\n", 2)[1]:
                state = parent.state_after
    return scanned, states, scan_lines(lines[number:], state, scanned, states, shapes)


_OPENS: Final = ("{\n", "{\r\n")


def _at_quotes(text: str) -> list[str]:
    """Cut a text at its quotes, those that are escaped excepted: strings are at odd places, what is between at even."""
    if "\\" in text:
        # As long as they were, so that nothing moves; and as no string without escapes can be.
        text = text.replace("\\\\", "\\\0").replace('\\"', "\\\0")
    return text.split('"')


def _are_plain(strings: list[str]) -> bool:
    """Whether strings may stand in a map as they are. Of those that `str.isprintable` refuses, some may, too."""
    joined = "".join(strings)
    return joined.isprintable() and "\\" not in joined


def _ends_lines_as_usual(text: str) -> bool:
    return "\r" not in text or text.count("\r") == text.count("\r\n")


def state_before(line: int, lines: list[str], states: Sequence[State | Frame]) -> State:
    """Return the state before a line. Of an object that the scan passed over, `states` gives the frame, and no more."""
    state = states[line]
    if isinstance(state, tuple):
        return state
    if '"' not in lines[line]:
        return state.state_after
    before = states[line - 1]
    # The line before it is a member, too, unless it is the one that opens the object.
    return state.state_key if before is state or before[0] is state else state.state_first  # type: ignore[index]


def scan_further(line: str, scanned: Frame | None, state: State) -> Items:
    """Return the items of a line of which the scan of the document said no more than `scanned`."""
    before, _, rest = line.partition('"')
    start = len(before) + 1
    if scanned is None:
        key, colon, value, _ = rest.split('"')
        end = start + len(key)
        at = end + len(colon) + 2
        return ((PAIR, start, end, key, state[0], at, at + len(value), value),)
    if scanned is state[0]:
        start = line.index("}")
        return ((CLOSE, start, start + 1, scanned),)
    end = start + rest.index('"')
    brace = line.index("{", end)
    return (KEY, start, end, scanned.key, scanned.parent), (OPEN, brace, brace + 1, scanned)


def pairs_of(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the keys and the values of lines of which the scan of the document said None."""
    # Such a line has four quotes, and nothing in it is escaped: one cut does for all of them.
    parts = "".join(lines).split('"')
    return parts[1::4], parts[3::4]


def scan_line(line: str, state: State) -> tuple[Items, State]:
    """Return the items of `line` and the state after it, given the state before it. Never raises."""
    items: list[Items] = []
    state = scan_lines((line,), state, items, [], {})
    return items[0], state


def scan_lines(
    lines: Iterable[str],
    state: State,
    items: list[Scanned] | list[Items],
    states: list[State | Frame],
    shapes: Shapes,
) -> State:
    """Append the items of each line, and the state before it; return the state after the last one. Never raises.

    Most lines of a map differ from an earlier one in their last string only, so what the regular expression found in
    that one holds for them too: cutting a line at its last quotes costs a third of matching it. The loop is in here
    since a call for each line would cost as much again.
    """
    for line in lines:
        states.append(state)
        parts = line.rsplit('"', 2)
        # A bracket alone, as most lines without quotes are, has nothing that could differ: the whole line is its shape.
        head, text, after = parts if len(parts) == _IN_THREE else (None, "", line)
        shape = shapes.get((head, after))
        # Whatever is printable and no backslash may stand in a string as it is; of the rest, the expression knows.
        if shape is None or not text.isprintable() or "\\" in text:
            shape = _shape(line)
            if shape is not None:
                shapes[head, after] = shape
        if shape is not None:
            frame, expected, key = state
            tag, start, name, at, comma = shape
            if tag == PAIR:
                if expected <= NEXT_KEY:
                    items.append(((PAIR, start, start + len(name), name, frame, at, at + len(text), text),))
                    state = frame.state_key if comma else frame.state_after
                    continue
            elif tag == OPEN:
                if expected <= NEXT_KEY:
                    end = start + len(text)
                    child = Frame(frame, name, text)
                    items.append(((KEY, start, end, text, frame), (OPEN, end + at, end + at + 1, child)))
                    state = child.state_first
                    continue
            elif tag == CLOSE:
                if expected in (_ENDS_OBJECT if name == "}" else _ENDS_ARRAY):
                    # Only the document has no parent, and nothing ends it.
                    parent: Frame = frame.parent  # type: ignore[assignment]
                    closed = after_value(parent, frame.key)
                    if not comma or closed[1] != END:
                        items.append(((CLOSE, start, start + 1, frame),))
                        state = after_comma(closed) if comma else closed
                        continue
            elif expected in (FIRST_ELEMENT, ELEMENT):
                items.append(((STRING, start, start + len(text), text, frame, key),))
                state = (frame, ELEMENT if comma else AFTER_ELEMENT, key + 1)
                continue
        if not line.strip(" \t\r\n"):
            items.append(())
            continue
        from goalmap.core.scan_any import scan_any  # late: machine-written maps never need it

        found, state = scan_any(line, state)
        items.append(found)
    return state


# The parts of a line that is cut at two quotes.
_IN_THREE: Final = 3

# What a common line consists of: a PAIR with its key and where its value begins; a KEY and an OPEN with the bracket and
# its distance from the key; a CLOSE with its bracket; or a STRING. In front stand the tag (of KEY and OPEN: OPEN) and
# where it begins; last, whether a comma follows.
Shape: TypeAlias = tuple[int, int, str, int, bool]
# By what stands before a line's last string and after it.
Shapes: TypeAlias = dict[tuple[str | None, str], Shape]


def _shape(line: str) -> Shape | None:
    """Return the shape of a common line, whose last string (if it has one) may then be any other; else None."""
    match = _COMMON.match(line)
    if match is None:
        return None
    name, value, opener, closer, comma = match.groups()
    if value is not None:
        return PAIR, match.start(1), name, match.start(2), bool(comma)
    if opener is not None:
        return None if comma else (OPEN, match.start(1), opener, match.start(3) - match.end(1), False)
    if closer is not None:
        return CLOSE, match.start(4), closer, 0, bool(comma)
    return STRING, match.start(1), "", 0, bool(comma)
