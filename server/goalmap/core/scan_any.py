"""Scan a line of a map that may hold anything, right or wrong: the general case, and the only one that finds errors."""

from __future__ import annotations

import json
import re
from typing import Final

from goalmap.core.items import (
    AFTER_ELEMENT,
    AFTER_MEMBER,
    CLOSE,
    COLON,
    ELEMENT,
    END,
    ERROR,
    FIRST_KEY,
    KEY,
    NEXT_KEY,
    OPEN,
    SCALAR,
    START,
    STRING,
    VALUE,
    Frame,
    Item,
    Items,
    State,
    after_comma,
    after_value,
)

_TOKEN = re.compile(
    r'"[^"\\\r\n]*(?:\\[^\r\n]?[^"\\\r\n]*)*"?|[{}\[\],:]|//[^\r\n]*|/\*[^\r\n]*?\*/|[^\s"{}\[\],:]+|[^ \t\r\n]'
)
_SCALAR = re.compile(r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)\Z")
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))')
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def scan_any(line: str, state: State) -> tuple[Items, State]:
    """Return the items of `line` and the state after it, given the state before it. Never raises."""
    return _Scanner(line, state).scan()


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
            elif first == "\ufeff" and end - start == 1 and self.expected == START[1] and start == 0:
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
            self.to(after_value(self.frame.parent, self.frame.key))
            self.expected = NEXT_KEY
        value, inner_end = self.decode(start, end)
        if self.expected in (COLON, VALUE) and is_key:
            self.error(start, end, f"Expected a value for {json.dumps(self.key, ensure_ascii=False)} before this key")
            self.expected = NEXT_KEY
        if self.expected in (FIRST_KEY, NEXT_KEY, AFTER_MEMBER):
            if self.expected == AFTER_MEMBER:
                self.error(start, end, "Expected a comma before this key")
            self.items.append((KEY, start + 1, inner_end, value, self.frame))
            self.expected, self.key = COLON, value
            return
        if self.value_allowed(start, end):
            self.items.append((STRING, start + 1, inner_end, value, self.frame, self.key))
            self.to(after_value(self.frame, self.key))

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
        if self.expected == END:
            self.error(start, end, "Nothing may follow the map")
            return False
        if self.expected == COLON:
            self.error(start, end, "Expected a colon before this value")
        elif self.expected == AFTER_ELEMENT:
            self.error(start, end, "Expected a comma before this value")
        return True

    def scalar(self, start: int, end: int) -> None:
        text = self.line[start:end]
        if not _SCALAR.match(text):
            self.error(
                start, end, "Expected a value in double quotes" if text.isprintable() else "Unexpected character"
            )
        if self.expected in (FIRST_KEY, NEXT_KEY, AFTER_MEMBER):
            if _SCALAR.match(text):
                self.error(start, end, "Expected a key in double quotes")
            return
        if self.value_allowed(start, end):
            self.items.append((SCALAR, start, end, text, self.frame, self.key))
            self.to(after_value(self.frame, self.key))

    def open(self, start: int, end: int, kind: str) -> None:
        key = self.key
        if self.expected in (FIRST_KEY, NEXT_KEY, AFTER_MEMBER):
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
        if frame.kind != kind and frame.other is None:
            self.error(start, end, f"Unexpected {closer}")
            return
        if frame.kind != kind:
            self.error(start, end, f"Expected {'}' if frame.kind == '{' else ']'} before this {closer}")
            while frame.kind != kind:
                self.items.append((CLOSE, start, start, frame))
                assert frame.parent is not None  # noqa: S101 - a frame of this kind is open: counted above
                frame = frame.parent
        elif self.expected in (NEXT_KEY, ELEMENT):
            self.error(start, end, "Expected no comma before this end")
        elif self.expected in (COLON, VALUE):
            self.error(start, end, f"Expected a value for {json.dumps(self.key, ensure_ascii=False)}")
        self.items.append((CLOSE, start, end, frame))
        assert frame.parent is not None  # noqa: S101 - as above
        # A frame that was opened where none may stand (after the map's end) leaves that state as it was.
        self.to(after_value(frame.parent, frame.key))

    def colon(self, start: int, end: int) -> None:
        if self.expected == COLON:
            self.expected = VALUE
        else:
            self.error(start, end, "Unexpected colon")

    def comma(self, start: int, end: int) -> None:
        if self.expected in (AFTER_MEMBER, AFTER_ELEMENT):
            self.to(after_comma((self.frame, self.expected, self.key)))
        elif self.expected in (COLON, VALUE):
            self.error(start, end, f"Expected a value for {json.dumps(self.key, ensure_ascii=False)}")
            self.to(self.frame.state_key)
        else:
            self.error(start, end, "Unexpected comma")


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return _ESCAPES.get(match[1], match[1])
    return chr(int(match[2], 16))
