"""What the lines of a map consist of, and what stands open between them.

Items are tuples, told apart by their first element. Columns are code points; of a string they exclude its quotes:

    (KEY,    start, end, name, frame)                a key of the object `frame`
    (STRING, start, end, value, frame, key)          a string; `key` is its name in an object, its index in an array
    (PAIR,   start, end, name, frame, value_start, value_end, value)      both at once
    (OPEN,   start, end, frame)                      `frame` begins
    (CLOSE,  start, end, frame)                      `frame` ends
    (SCALAR, start, end, text, frame, key)           a number, true, false or null
    (ERROR,  start, end, message)                    what RFC 8259 does not allow here
"""

from __future__ import annotations

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
END: Final = 9


class Frame:
    """An open object or array. Identity is what counts: two frames are never equal.

    `key` is its name in the object around it, its index in an array, or None for the document's value. `members` is how
    many lines the scan passed over in it, 0 for all other frames; edits may have changed them since.
    """

    __slots__ = ("key", "kind", "members", "other", "parent", "state_after", "state_first", "state_key")

    other: Frame | None
    state_after: State
    state_first: State
    state_key: State

    def __init__(self, parent: Frame | None, kind: str, key: str | int | None, members: int = 0) -> None:
        self.parent = parent
        self.kind = kind
        self.key = key
        self.members = members

    def __getattr__(self, name: str) -> Any:
        """Make what most frames are never asked for."""
        if name not in Frame.__slots__:
            raise AttributeError(name)
        kind, parent = self.kind, self.parent
        # The nearest one around it that the other closing bracket would end.
        self.other = parent and (parent.other if parent.kind == kind else parent if parent.kind else None)
        self.state_first = (self, FIRST_KEY if kind == "{" else FIRST_ELEMENT, None if kind == "{" else 0)
        self.state_key = (self, NEXT_KEY, None)
        self.state_after = (self, AFTER_MEMBER, None)
        return getattr(self, name)


# What a scan of a whole document says of a line. Of an object with a line for each member, all of them strings without
# escapes, it gives the frame for its first line and for its last one, and None for those in between: most lines of a
# large map nobody ever looks into.
Scanned: TypeAlias = Items | Frame | None

# The frame, what may come next in it, and the key whose value is awaited (an object) or the elements so far (an array).
State: TypeAlias = tuple[Frame, int, Any]

DOCUMENT: Final = Frame(None, "", None)
START: Final[State] = (DOCUMENT, _DOCUMENT, None)


def finish(state: State) -> str | None:
    """Return what is wrong with a document that ends in `state`; None where it is whole."""
    frame, expected, _ = state
    if expected == END:
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
    if expected in (FIRST_KEY, NEXT_KEY, AFTER_MEMBER):
        return "key"
    if expected in (COLON, VALUE):
        return "value"
    return "element" if expected in (FIRST_ELEMENT, ELEMENT, AFTER_ELEMENT) else None


def needs_comma(state: State) -> bool:
    """Whether a comma must come before anything else is read."""
    return state[1] in (AFTER_MEMBER, AFTER_ELEMENT)


def after_value(frame: Frame, key: Any) -> State:
    """Return the state after a whole value that stands at `key` of `frame`."""
    if frame.kind == "{":
        return frame.state_after
    if frame.kind == "[":
        return (frame, AFTER_ELEMENT, key + 1)
    return (frame, END, None)


def after_comma(state: State) -> State:
    """Return the state after the comma that follows a whole member or element."""
    frame, _, count = state
    return frame.state_key if frame.kind == "{" else (frame, ELEMENT, count)
