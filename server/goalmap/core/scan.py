"""Scan a map line by line, tolerantly.

A JSON string cannot hold a line break, so each line can be read by itself once it is known what stands open before it.
That *state* is an immutable tuple, and what a line yields is a tuple of *items*. An edit therefore rescans the lines it
touched, and goes on only until the state before an old line is the state that it had (`GoalMap.replace_lines`).

This is the hot path of the language server, hence tuples and not classes, a regular expression for the lines that
nearly all maps consist of (`_COMMON`), and one for objects of nothing but such lines (`_FLAT`), whose members are not
even looked at until somebody asks for them. Nothing here knows what a goal is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
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


# An object with a line for each member, all of them strings without escapes, and nothing out of order.
_UNESCAPED = r'[^"\\\x00-\x1f]*+'
_BLANKS = r"[ \t]*+"
_MEMBER = rf'{_BLANKS}"{_UNESCAPED}"{_BLANKS}:{_BLANKS}"{_UNESCAPED}"{_BLANKS}'
_FLAT = re.compile(
    rf'{_BLANKS}"({_UNESCAPED})"{_BLANKS}:{_BLANKS}\{{{_BLANKS}\r?\n'
    rf"(?:{_MEMBER},{_BLANKS}\r?\n)*+{_MEMBER}\r?\n"
    rf"{_BLANKS}\}}{_BLANKS}(,?){_BLANKS}\r?\n"
)
_ENDS_OBJECT: Final = (FIRST_KEY, AFTER_MEMBER)
_ENDS_ARRAY: Final = (FIRST_ELEMENT, AFTER_ELEMENT)


def scan_document(lines: list[str]) -> tuple[list[Scanned], list[State], State]:
    """Return what each line holds, the state before each, and the one after the last. Never raises.

    An object that `_FLAT` matches costs one match, however many members it has.
    """
    text = "".join(lines)
    ends = list(accumulate(map(len, lines)))
    scanned: list[Scanned] = []
    states: list[State] = []
    shapes: Shapes = {}
    state, number = START, 0
    if lines[0] in _OPENS:  # as nearly all maps begin
        root = Frame(DOCUMENT, "{", None)
        scanned.append(((OPEN, 0, 1, root),))
        states.append(START)
        state, number = root.state_first, 1
    while number < len(lines):
        parent, expected, _ = state
        match = _FLAT.match(text, ends[number - 1]) if expected <= NEXT_KEY else None
        if match is None:
            first, number = number, number + 1
            while number < len(lines) and not lines[number].endswith(_OPENS):
                number += 1
            state = scan_lines(lines[first:number], state, scanned, states, shapes)
            continue
        name, comma = match.groups()
        last = bisect_left(ends, match.end(), number)
        members = last - number - 1
        frame = Frame(parent, "{", name, members)
        scanned.append(frame)
        scanned += [None] * members
        scanned.append(frame)
        states += (state, frame.state_first)
        states += [frame.state_key] * (members - 1)
        states.append(frame.state_after)
        state = parent.state_key if comma else parent.state_after
        number = last + 1
    return scanned, states, state


_OPENS: Final = ("{\n", "{\r\n")


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
    states: list[State],
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
