"""Scan JSON line by line, tolerantly.

A JSON string cannot hold a line break, so a line can be scanned by itself once it is known what stands open before it.
That is a `State`; what the line holds is a tuple of items. An edit therefore scans the lines that it touched, and goes
on only until the state before an old line is what it was. Nothing here knows what a goal is.

Nearly all lines of a map are one of four kinds, and like an earlier line in all but their last string. Those are read
by `_common_line` and remembered; `_LineScanner` reads every other line, right or wrong, and alone finds errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple, TypeAlias


class Container:
    """An object (`kind` is "{") or array ("["); two are never equal.

    `key` is its name in the object around it, its index in an array, None for the document's value or where no key is.
    `parent` is None for `DOCUMENT` alone. `unlike` is the nearest one around it that the other closing bracket ends.
    """

    __slots__ = ("key", "kind", "parent", "unlike")

    def __init__(self, parent: Container | None, kind: str, key: str | int | None) -> None:
        self.parent = parent
        self.kind = kind
        self.key = key
        self.unlike: Container | None = None
        if parent is not None and parent.kind:
            self.unlike = parent.unlike if parent.kind == kind else parent


# -- what a line holds -----------------------------------------------------------------------------------------------
# Columns are code points, and those of a string exclude its quotes.
class Key(NamedTuple):
    """The name of a member, whose value follows as an item of its own."""

    start: int
    end: int
    name: str
    container: Container


class String(NamedTuple):
    """A string that is a value: at `key` of an object, or element number `key` of an array."""

    start: int
    end: int
    value: str
    container: Container
    key: Any


class Pair(NamedTuple):
    """A member whose value is a string on the same line: a `Key` and a `String` at once."""

    start: int
    end: int
    name: str
    container: Container
    value_start: int
    value_end: int
    value: str


class Open(NamedTuple):
    """The bracket that opens `container`."""

    start: int
    end: int
    container: Container


class Close(NamedTuple):
    """The bracket that closes `container`; of no width where it is missing."""

    start: int
    end: int
    container: Container


class Scalar(NamedTuple):
    """A number, true, false or null; or a word that should have been a string."""

    start: int
    end: int
    text: str
    container: Container
    key: Any


class Error(NamedTuple):
    """A place that RFC 8259 does not allow."""

    start: int
    end: int
    message: str


Item: TypeAlias = Key | String | Pair | Open | Close | Scalar | Error
Items: TypeAlias = tuple[Item, ...]


# -- what stands open before a line ----------------------------------------------------------------------------------
# The container, what may come next in it, and the key whose value is awaited (an object) or the elements so far.
State: TypeAlias = tuple[Container, int, Any]

# In an object: a key or its end, a key (after a comma), a colon, a value, a comma or the end …
FIRST_KEY: Final = 0
NEXT_KEY: Final = 1
COLON: Final = 2
VALUE: Final = 3
AFTER_MEMBER: Final = 4
# … in an array …
FIRST_ELEMENT: Final = 5
ELEMENT: Final = 6
AFTER_ELEMENT: Final = 7
# … and around the document's one value.
_DOCUMENT: Final = 8
_END: Final = 9

DOCUMENT: Final = Container(None, "", None)
START: Final[State] = (DOCUMENT, _DOCUMENT, None)

_MISSING_SHOWN: Final = 8


def end_problem(state: State) -> str | None:
    """Return what is wrong with a document that ends in `state`; None where it is whole."""
    container, expected, _ = state
    if expected == _END:
        return None
    if expected == _DOCUMENT:
        return "The map is empty. Start with {} or with a first goal."
    missing: list[str] = []
    around: Container | None = container
    while around is not None and around is not DOCUMENT and len(missing) <= _MISSING_SHOWN:
        missing.append("}" if around.kind == "{" else "]")
        around = around.parent
    shown = " ".join(missing[:_MISSING_SHOWN]) + (" …" if len(missing) > _MISSING_SHOWN else "")
    return f"The map ends too early: expected {shown}"


def awaited(state: State) -> Literal["key", "value", "element"] | None:
    """Return what would be read next in `state`, a forgotten comma or colon aside; None outside of the map's object."""
    _, expected, _ = state
    if expected in (FIRST_KEY, NEXT_KEY, AFTER_MEMBER):
        return "key"
    if expected in (COLON, VALUE):
        return "value"
    return "element" if expected in (FIRST_ELEMENT, ELEMENT, AFTER_ELEMENT) else None


def needs_comma(state: State) -> bool:
    """Whether a comma must come before anything else is read."""
    return state[1] in (AFTER_MEMBER, AFTER_ELEMENT)


def _inside(container: Container) -> State:
    """Return the state behind the bracket that opens `container`."""
    return (container, FIRST_KEY, None) if container.kind == "{" else (container, FIRST_ELEMENT, 0)


def _after_value(container: Container, key: Any) -> State:
    """Return the state after a whole value that stands at `key` of `container`."""
    if container.kind == "{":
        return container, AFTER_MEMBER, None
    if container.kind == "[":
        return container, AFTER_ELEMENT, key + 1
    return container, _END, None


def _after_comma(container: Container, elements: Any) -> State:
    """Return the state after a comma that follows a whole member, or that many `elements`."""
    return (container, NEXT_KEY, None) if container.kind == "{" else (container, ELEMENT, elements)


# -- scanning --------------------------------------------------------------------------------------------------------
def scan_line(line: str, state: State) -> tuple[Items, State]:
    """Return the items of `line` and the state after it, given the state before it. Never raises."""
    items: list[Items] = []
    state = scan_lines((line,), state, items, [], {})
    return items[0], state


def scan_lines(
    lines: Iterable[str],
    state: State,
    items: list[Any],
    states: list[Any],
    layouts: Layouts,
) -> State:
    """Append the items of each line, and the state before it; return the state after the last one. Never raises.

    `layouts` is kept for the lines that follow. To cut a line at its last quotes and look its layout up takes a third
    of the time of a regular expression; the loop is in here since a call for each line would cost as much again.
    """
    # A NamedTuple made by way of `tuple` takes a third of the time, and this is the hot path of the language server.
    new = tuple.__new__
    for line in lines:
        states.append(state)
        parts = line.rsplit('"', 2)
        # A line without a string has nothing that could differ: the whole line is its layout.
        head, text, rest = parts if len(parts) == _PARTS else (None, "", line)
        layout = layouts.get((head, rest))
        # Whatever is printable and no backslash may stand in a string as it is; of the rest, the expression knows.
        if layout is None or not text.isprintable() or "\\" in text:
            layout = _common_line(line)
            if layout is not None:
                layouts[head, rest] = layout
        if layout is not None:
            container, expected, key = state
            kind, start, name, offset, comma = layout
            if kind is Pair:
                if expected <= NEXT_KEY:
                    end, value_end = start + len(name), offset + len(text)
                    items.append((new(Pair, (start, end, name, container, offset, value_end, text)),))
                    if not comma:
                        state = (container, AFTER_MEMBER, None)
                    elif expected != NEXT_KEY:
                        state = (container, NEXT_KEY, None)
                    continue
            elif kind is Open:
                if expected <= NEXT_KEY:
                    end = start + len(text)
                    child = Container(container, name, text)
                    opening = new(Open, (end + offset, end + offset + 1, child))
                    items.append((new(Key, (start, end, text, container)), opening))
                    state = _inside(child)
                    continue
            elif kind is Close:
                if expected in (_ENDS_OBJECT if name == "}" else _ENDS_ARRAY):
                    parent = container.parent
                    assert parent is not None  # noqa: S101 - only the document has none, and nothing ends it
                    if not comma or parent is not DOCUMENT:
                        items.append((new(Close, (start, start + 1, container)),))
                        state = _after_value(parent, container.key)
                        state = _after_comma(parent, state[2]) if comma else state
                        continue
            elif expected in (FIRST_ELEMENT, ELEMENT):
                items.append((new(String, (start, start + len(text), text, container, key)),))
                state = (container, ELEMENT if comma else AFTER_ELEMENT, key + 1)
                continue
        if line.strip(" \t\r\n"):
            scanned, state = _LineScanner(line, state).scan()
            items.append(scanned)
        else:
            items.append(())
    return state


_PARTS: Final = 3  # of a line that is cut at two quotes
_ENDS_OBJECT: Final = (FIRST_KEY, AFTER_MEMBER)
_ENDS_ARRAY: Final = (FIRST_ELEMENT, AFTER_ELEMENT)


class _Layout(NamedTuple):
    """What is the same in common lines that differ in their last string only.

    Of a `Pair`, `name` is its key and `offset` the column where its value starts; of a `Key` with an `Open` (which
    `kind` is then), the bracket and its distance from the key; of a `Close`, `name` is the bracket. `start` is where
    the first item begins.
    """

    kind: type[Pair | Open | Close | String]
    start: int
    name: str
    offset: int
    comma: bool


# By what stands before a line's last string and after it.
Layouts: TypeAlias = dict[tuple[str | None, str], _Layout]

_TEXT = r'"([^"\\\x00-\x1f]*+)"'
_COMMON = re.compile(
    rf"[ \t]*(?:{_TEXT}(?:[ \t]*:[ \t]*(?:{_TEXT}|([{{\[])))?|([}}\]]))[ \t]*(,?)[ \t]*(?:\r\n?|\n)?\Z"
)


def _common_line(line: str) -> _Layout | None:
    """Return the layout of a common line, whose last string (if it has one) may then be any other; else None."""
    match = _COMMON.match(line)
    if match is None:
        return None
    name, value, opener, closer, comma = match.groups()
    if value is not None:
        return _Layout(Pair, match.start(1), name, match.start(2), bool(comma))
    if opener is not None:
        return None if comma else _Layout(Open, match.start(1), opener, match.start(3) - match.end(1), comma=False)
    if closer is not None:
        return _Layout(Close, match.start(4), closer, 0, bool(comma))
    return _Layout(String, match.start(1), "", 0, bool(comma))


# -- any line --------------------------------------------------------------------------------------------------------
# Compiled by `re` at their first use, and kept by it: machine-written maps need none of them.
_LEXEME: Final = (
    r'"[^"\\\r\n]*(?:\\[^\r\n]?[^"\\\r\n]*)*"?|[{}\[\],:]|//[^\r\n]*|/\*[^\r\n]*?\*/|[^\s"{}\[\],:]+|[^ \t\r\n]'
)
_SCALAR: Final = r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)\Z"
_ESCAPE: Final = r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))'
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class _LineScanner:
    """Scans one line of any tokens in any order, right or wrong."""

    def __init__(self, line: str, state: State) -> None:
        self.line = line
        self.container, self.expected, self.key = state
        self.items: list[Item] = []

    def scan(self) -> tuple[Items, State]:
        tokens = [(match.start(), match.end()) for match in re.finditer(_LEXEME, self.line)]
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
        return tuple(self.items), (self.container, self.expected, self.key)

    def error(self, start: int, end: int, message: str) -> None:
        self.items.append(Error(start, end, message))

    def error_before_value(self, start: int, end: int, before: str = "") -> None:
        from json import dumps  # late: most maps are read without it

        self.error(start, end, f"Expected a value for {dumps(self.key, ensure_ascii=False)}{before}")

    def go_on(self, state: State) -> None:
        self.container, self.expected, self.key = state

    # -- strings: keys and values ------------------------------------------------------------------------------------
    def string(self, start: int, end: int, *, is_key: bool) -> None:
        container = self.container
        if is_key and container.kind == "[" and container.parent is not None and container.parent.kind == "{":
            # `"constraints": ["a.txt",` and on the next line `"persona": …`: the list was never closed.
            self.error(start, end, "Expected ] before this key")
            self.go_on((container.parent, NEXT_KEY, None))
        value, inner_end = self.decode(start, end)
        if self.expected in (COLON, VALUE) and is_key:
            self.error_before_value(start, end, " before this key")
            self.expected = NEXT_KEY
        if self.expected in (FIRST_KEY, NEXT_KEY, AFTER_MEMBER):
            if self.expected == AFTER_MEMBER:
                self.error(start, end, "Expected a comma before this key")
            self.items.append(Key(start + 1, inner_end, value, self.container))
            self.expected, self.key = COLON, value
            return
        if self.value_allowed(start, end):
            self.items.append(String(start + 1, inner_end, value, self.container, self.key))
            self.go_on(_after_value(self.container, self.key))

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
        if "\\" not in raw and raw.isprintable():
            return raw, inner_end
        from json import loads  # late: most maps are read without it

        try:
            return loads(f'"{raw}"'), inner_end
        except ValueError:
            pass
        if closed:
            self.error(start, end, "This string has a control character or an escape that JSON does not know")
        return re.sub(_ESCAPE, _unescape, raw), inner_end

    # -- other values ------------------------------------------------------------------------------------------------
    def value_allowed(self, start: int, end: int) -> bool:
        """Whether a value may be taken here, after noting what was left out before it."""
        if self.expected == _END:
            self.error(start, end, "Nothing may follow the map")
            return False
        if self.expected == COLON:
            self.error(start, end, "Expected a colon before this value")
        elif self.expected == AFTER_ELEMENT:
            self.error(start, end, "Expected a comma before this value")
        return True

    def scalar(self, start: int, end: int) -> None:
        text = self.line[start:end]
        is_json = re.match(_SCALAR, text) is not None
        if not is_json:
            self.error(
                start, end, "Expected a value in double quotes" if text.isprintable() else "Unexpected character"
            )
        if self.expected in (FIRST_KEY, NEXT_KEY, AFTER_MEMBER):
            if is_json:
                self.error(start, end, "Expected a key in double quotes")
            return
        if self.value_allowed(start, end):
            self.items.append(Scalar(start, end, text, self.container, self.key))
            self.go_on(_after_value(self.container, self.key))

    def open(self, start: int, end: int, kind: str) -> None:
        key = self.key
        if self.expected in (FIRST_KEY, NEXT_KEY, AFTER_MEMBER):
            self.error(start, end, "Expected a key before this value")
            key = None
        elif not self.value_allowed(start, end):
            key = None
        child = Container(self.container, kind, key)
        self.items.append(Open(start, end, child))
        self.go_on(_inside(child))

    def close(self, start: int, end: int, closer: str) -> None:
        container: Container = self.container
        kind = "{" if closer == "}" else "["
        if container.kind != kind and container.unlike is None:
            self.error(start, end, f"Unexpected {closer}")
            return
        if container.kind != kind:
            self.error(start, end, f"Expected {'}' if container.kind == '{' else ']'} before this {closer}")
            while container.kind != kind:
                self.items.append(Close(start, start, container))
                assert container.parent is not None  # noqa: S101 - one of this kind is open: `unlike`
                container = container.parent
        elif self.expected in (NEXT_KEY, ELEMENT):
            self.error(start, end, "Expected no comma before this end")
        elif self.expected in (COLON, VALUE):
            self.error_before_value(start, end)
        self.items.append(Close(start, end, container))
        assert container.parent is not None  # noqa: S101 - as above
        # One that was opened where none may stand (after the map's end) leaves that state as it was.
        self.go_on(_after_value(container.parent, container.key))

    def colon(self, start: int, end: int) -> None:
        if self.expected == COLON:
            self.expected = VALUE
        else:
            self.error(start, end, "Unexpected colon")

    def comma(self, start: int, end: int) -> None:
        if self.expected in (AFTER_MEMBER, AFTER_ELEMENT):
            self.go_on(_after_comma(self.container, self.key))
        elif self.expected in (COLON, VALUE):
            self.error_before_value(start, end)
            self.go_on((self.container, NEXT_KEY, None))
        else:
            self.error(start, end, "Unexpected comma")


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return _ESCAPES.get(match[1], match[1])
    return chr(int(match[2], 16))
