"""Scan a map line by line, tolerantly.

A JSON string cannot hold a line break, so each line can be read by itself once it is known what stands open before it.
That *state* is an immutable tuple, and what a line yields is a tuple of *items*. An edit therefore rescans the lines it
touched, and goes on only until the state before an old line is the state that it had (`GoalMap.replace_lines`).

This is the hot path of the language server, hence tuples and not classes, and a regular expression for the lines that
nearly all maps consist of (`_COMMON`). Nothing here knows what a goal is.

Items, by their first element; columns are code points, of a string they exclude its quotes:

    (KEY,    start, end, name, frame)                a key of the object `frame`
    (STRING, start, end, value, frame, key)          a string; `key` is its name in an object, its index in an array
    (PAIR,   start, end, name, frame, value_start, value_end, value)      both at once
    (OPEN,   start, end, frame)                      `frame` begins
    (CLOSE,  start, end, frame)                      `frame` ends
    (SCALAR, start, end, text, frame, key)           a number, true, false or null
    (ERROR,  start, end, message)                    what RFC 8259 does not allow here
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

KEY: Final = 0
STRING: Final = 1
PAIR: Final = 2
OPEN: Final = 3
CLOSE: Final = 4
SCALAR: Final = 5
ERROR: Final = 6

Item: TypeAlias = tuple[Any, ...]
Items: TypeAlias = tuple[Item, ...]

# What may come next. In an object: a key or its end, a key (after a comma), a colon, a value, a comma or the end …
_FIRST_KEY: Final = 0
_KEY: Final = 1
_COLON: Final = 2
_VALUE: Final = 3
_AFTER_MEMBER: Final = 4
# … in an array …
_FIRST_ELEMENT: Final = 5
_ELEMENT: Final = 6
_AFTER_ELEMENT: Final = 7
# … and around the document's one value.
_DOCUMENT: Final = 8
_END: Final = 9
_ENDS_OBJECT: Final = (_FIRST_KEY, _AFTER_MEMBER)
_ENDS_ARRAY: Final = (_FIRST_ELEMENT, _AFTER_ELEMENT)


class Frame:
    """An open object or array. Identity is what counts: two frames are never equal.

    `key` is its name in the object around it, its index in an array, or None for the document's value.
    """

    __slots__ = ("arrays", "key", "kind", "objects", "parent", "state_after", "state_first", "state_key")

    def __init__(self, parent: Frame | None, kind: str, key: str | int | None) -> None:
        self.parent = parent
        self.kind = kind
        self.key = key
        # How many objects and arrays are open, this one included: tells whether a closing bracket has a partner.
        self.objects: int = (parent.objects if parent else 0) + (kind == "{")
        self.arrays: int = (parent.arrays if parent else 0) + (kind == "[")
        self.state_first: State = (self, _FIRST_KEY if kind == "{" else _FIRST_ELEMENT, None if kind == "{" else 0)
        self.state_key: State = (self, _KEY, None)
        self.state_after: State = (self, _AFTER_MEMBER, None)


# The frame, what may come next in it, and the key whose value is awaited (an object) or the elements so far (an array).
State: TypeAlias = tuple[Frame, int, Any]

DOCUMENT: Final = Frame(None, "", None)
START: Final[State] = (DOCUMENT, _DOCUMENT, None)

_TEXT = r'"([^"\\\x00-\x1f]*)"'
_COMMON = re.compile(
    rf"[ \t]*(?:{_TEXT}(?:[ \t]*:[ \t]*(?:{_TEXT}|([{{\[])))?|([}}\]]))[ \t]*(,?)[ \t]*(?:\r\n?|\n)?\Z"
)
_TOKEN = re.compile(
    r'"[^"\\\r\n]*(?:\\[^\r\n]?[^"\\\r\n]*)*"?|[{}\[\],:]|//[^\r\n]*|/\*[^\r\n]*?\*/|[^\s"{}\[\],:]+|[^ \t\r\n]'
)
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)\Z")
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))')
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def scan_line(line: str, state: State) -> tuple[Items, State]:
    """Return the items of `line` and the state after it, given the state before it. Never raises."""
    items: list[Items] = []
    state = scan_lines((line,), state, items, [])
    return items[0], state


def scan_lines(lines: Iterable[str], state: State, items: list[Items], states: list[State]) -> State:
    """Append the items of each line, and the state before it; return the state after the last one. Never raises.

    Most lines of a map differ from an earlier one in their last string only, so what the regular expression found in
    that one holds for them too: cutting a line at its last quotes costs a third of matching it. The loop is in here
    since a call for each line would cost as much again.
    """
    shapes: dict[tuple[str | None, str], Shape] = {}
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
                if expected <= _KEY:
                    items.append(((PAIR, start, start + len(name), name, frame, at, at + len(text), text),))
                    state = frame.state_key if comma else frame.state_after
                    continue
            elif tag == OPEN:
                if expected <= _KEY:
                    end = start + len(text)
                    child = Frame(frame, name, text)
                    items.append(((KEY, start, end, text, frame), (OPEN, end + at, end + at + 1, child)))
                    state = child.state_first
                    continue
            elif tag == CLOSE:
                if expected in (_ENDS_OBJECT if name == "}" else _ENDS_ARRAY):
                    # Only the document has no parent, and nothing ends it.
                    parent: Frame = frame.parent  # type: ignore[assignment]
                    closed = _after_value(parent, frame.key)
                    if not comma or closed[1] != _END:
                        items.append(((CLOSE, start, start + 1, frame),))
                        state = _after_comma(closed) if comma else closed
                        continue
            elif expected in (_FIRST_ELEMENT, _ELEMENT):
                items.append(((STRING, start, start + len(text), text, frame, key),))
                state = (frame, _ELEMENT if comma else _AFTER_ELEMENT, key + 1)
                continue
        found, state = _Scanner(line, state).scan()
        items.append(found)
    return state


# The parts of a line that is cut at two quotes.
_IN_THREE: Final = 3

# What a common line consists of: a PAIR with its key and where its value begins; a KEY and an OPEN with the bracket and
# its distance from the key; a CLOSE with its bracket; or a STRING. In front stand the tag (of KEY and OPEN: OPEN) and
# where it begins; last, whether a comma follows.
Shape: TypeAlias = tuple[int, int, str, int, bool]


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


def finish(state: State) -> str | None:
    """Return what is wrong with a document that ends in `state`; None where it is whole."""
    frame, expected, _ = state
    if expected == _END:
        return None
    if expected == _DOCUMENT:
        return "The map is empty. Start with {} or with a first goal."
    missing: list[str] = []
    at: Frame | None = frame
    while at is not None and at is not DOCUMENT and len(missing) <= _MISSING_SHOWN:
        missing.append("}" if at.kind == "{" else "]")
        at = at.parent
    shown = " ".join(missing[:_MISSING_SHOWN]) + (" …" if len(missing) > _MISSING_SHOWN else "")
    return f"The map ends too early: expected {shown}"


_MISSING_SHOWN: Final = 8


def awaited(state: State) -> Literal["key", "value", "element"] | None:
    """Return what would be read next in `state`, a forgotten comma or colon aside; None outside of the map's object."""
    _, expected, _ = state
    if expected in (_FIRST_KEY, _KEY, _AFTER_MEMBER):
        return "key"
    if expected in (_COLON, _VALUE):
        return "value"
    return "element" if expected in (_FIRST_ELEMENT, _ELEMENT, _AFTER_ELEMENT) else None


def needs_comma(state: State) -> bool:
    """Whether a comma must come before anything else is read."""
    return state[1] in (_AFTER_MEMBER, _AFTER_ELEMENT)


def _after_value(frame: Frame, key: Any) -> State:
    """Return the state after a whole value that stands at `key` of `frame`."""
    if frame.kind == "{":
        return frame.state_after
    if frame.kind == "[":
        return (frame, _AFTER_ELEMENT, key + 1)
    return (frame, _END, None)


def _after_comma(state: State) -> State:
    frame, _, count = state
    return frame.state_key if frame.kind == "{" else (frame, _ELEMENT, count)


class _Scanner:
    """The general case: any tokens on one line, in any order, right or wrong."""

    def __init__(self, line: str, state: State) -> None:
        self.line = line
        self.frame, self.expected, self.key = state
        self.items: list[Item] = []

    def scan(self) -> tuple[Items, State]:
        tokens = [(match.start(), match.end()) for match in _TOKEN.finditer(self.line)]
        for number, (start, end) in enumerate(tokens):
            first = self.line[start]
            if first == '"':
                following = tokens[number + 1][0] if number + 1 < len(tokens) else -1
                self.string(start, end, is_key=following >= 0 and self.line[following] == ":")
            elif first in "{[":
                self.open(start, end, first)
            elif first in "}]":
                self.close(start, end, first)
            elif first == ":":
                self.colon(start, end)
            elif first == ",":
                self.comma(start, end)
            elif first == "\ufeff" and end - start == 1 and self.expected == _DOCUMENT and start == 0:
                continue  # A byte order mark: RFC 8259, section 8.1, lets readers ignore it.
            elif self.line.startswith(("//", "/*"), start):
                self.error(start, end, "JSON has no comments")
            else:
                self.scalar(start, end)
        return tuple(self.items), (self.frame, self.expected, self.key)

    def error(self, start: int, end: int, message: str) -> None:
        self.items.append((ERROR, start, end, message))

    def to(self, state: State) -> None:
        self.frame, self.expected, self.key = state

    # -- strings: keys and values ------------------------------------------------------------------------------------
    def string(self, start: int, end: int, *, is_key: bool) -> None:
        if is_key and self.frame.kind == "[" and self.frame.parent is not None and self.frame.parent.kind == "{":
            # `"constraints": ["a.txt",` and on the next line `"persona": …`: the list was never closed.
            self.error(start, end, "Expected ] before this key")
            self.to(_after_value(self.frame.parent, self.frame.key))
            self.expected = _KEY
        value, inner_end = self.decode(start, end)
        if self.expected in (_COLON, _VALUE) and is_key:
            self.error(start, end, f"Expected a value for {json.dumps(self.key, ensure_ascii=False)} before this key")
            self.expected = _KEY
        if self.expected in (_FIRST_KEY, _KEY, _AFTER_MEMBER):
            if self.expected == _AFTER_MEMBER:
                self.error(start, end, "Expected a comma before this key")
            self.items.append((KEY, start + 1, inner_end, value, self.frame))
            self.expected, self.key = _COLON, value
            return
        if self.value_allowed(start, end):
            self.items.append((STRING, start + 1, inner_end, value, self.frame, self.key))
            self.to(_after_value(self.frame, self.key))

    def decode(self, start: int, end: int) -> tuple[str, int]:
        """Return the string's value and the column where its content ends; note what is wrong with it."""
        raw = self.line[start + 1 : end]
        closed = raw.endswith('"') and (len(raw) - 1 - len(raw[:-1].rstrip("\\"))) % 2 == 0
        if closed:
            raw = raw[:-1]
        else:
            # What someone is typing: the comma and the blanks at the line's end are not part of the name.
            raw = raw.rstrip(" \t").removesuffix(",").rstrip(" \t")
            self.error(start, start + 1 + len(raw), 'Expected " at the end of this string')
        inner_end = start + 1 + len(raw)
        try:
            return json.loads(f'"{raw}"'), inner_end
        except ValueError:
            pass
        if closed:
            self.error(start, end, "This string has a control character or an escape that JSON does not know")
        return _ESCAPE.sub(_unescape, raw), inner_end

    # -- other values ------------------------------------------------------------------------------------------------
    def value_allowed(self, start: int, end: int) -> bool:
        """Whether a value may be taken here, after noting what was left out before it."""
        if self.expected == _END:
            self.error(start, end, "Nothing may follow the map")
            return False
        if self.expected == _COLON:
            self.error(start, end, "Expected a colon before this value")
        elif self.expected == _AFTER_ELEMENT:
            self.error(start, end, "Expected a comma before this value")
        return True

    def scalar(self, start: int, end: int) -> None:
        text = self.line[start:end]
        if not _SCALAR.match(text):
            self.error(
                start, end, "Expected a value in double quotes" if text.isprintable() else "Unexpected character"
            )
        if self.expected in (_FIRST_KEY, _KEY, _AFTER_MEMBER):
            if _SCALAR.match(text):
                self.error(start, end, "Expected a key in double quotes")
            return
        if self.value_allowed(start, end):
            self.items.append((SCALAR, start, end, text, self.frame, self.key))
            self.to(_after_value(self.frame, self.key))

    def open(self, start: int, end: int, kind: str) -> None:
        key = self.key
        if self.expected in (_FIRST_KEY, _KEY, _AFTER_MEMBER):
            self.error(start, end, "Expected a key before this value")
            key = None
        elif not self.value_allowed(start, end):
            key = None
        child = Frame(self.frame, kind, key)
        self.items.append((OPEN, start, end, child))
        self.to(child.state_first)

    def close(self, start: int, end: int, closer: str) -> None:
        frame: Frame = self.frame
        kind = "{" if closer == "}" else "["
        if (frame.objects if kind == "{" else frame.arrays) == 0:
            self.error(start, end, f"Unexpected {closer}")
            return
        if frame.kind != kind:
            self.error(start, end, f"Expected {'}' if frame.kind == '{' else ']'} before this {closer}")
            while frame.kind != kind:
                self.items.append((CLOSE, start, start, frame))
                assert frame.parent is not None  # noqa: S101 - a frame of this kind is open: counted above
                frame = frame.parent
        elif self.expected in (_KEY, _ELEMENT):
            self.error(start, end, "Expected no comma before this end")
        elif self.expected in (_COLON, _VALUE):
            self.error(start, end, f"Expected a value for {json.dumps(self.key, ensure_ascii=False)}")
        self.items.append((CLOSE, start, end, frame))
        assert frame.parent is not None  # noqa: S101 - as above
        # A frame that was opened where none may stand (after the map's end) leaves that state as it was.
        self.to(_after_value(frame.parent, frame.key))

    def colon(self, start: int, end: int) -> None:
        if self.expected == _COLON:
            self.expected = _VALUE
        else:
            self.error(start, end, "Unexpected colon")

    def comma(self, start: int, end: int) -> None:
        if self.expected in (_AFTER_MEMBER, _AFTER_ELEMENT):
            self.to(_after_comma((self.frame, self.expected, self.key)))
        elif self.expected in (_COLON, _VALUE):
            self.error(start, end, f"Expected a value for {json.dumps(self.key, ensure_ascii=False)}")
            self.to(self.frame.state_key)
        else:
            self.error(start, end, "Unexpected comma")


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return _ESCAPES.get(match[1], match[1])
    return chr(int(match[2], 16))
