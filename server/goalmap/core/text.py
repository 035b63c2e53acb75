"""Lines, spans and columns.

A document is a list of lines, each with its line end. Only ``\\n``, ``\\r\\n`` and ``\\r`` end a line (LSP 3.17, "Text
Documents"); ``str.splitlines`` also breaks at form feeds, U+0085 and U+2028, which may stand inside a JSON string.

Columns count code points. A protocol's UTF-8 or UTF-16 columns exist only at the border, through `to_units` and
`from_units`.
"""

import re
from typing import Literal, NamedTuple, TypeAlias

Encoding: TypeAlias = Literal["utf-8", "utf-16", "utf-32"]

# Characters at which str.splitlines breaks a line and the Language Server Protocol does not.
_NOT_LINE_ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"

# -- characters that are not seen, as parts of a regular expression's set
CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"  # but for the tab and the line feed
LINE_BREAKS = "\r\v\f\x1c-\x1e\x85\u2028\u2029"  # what some programs take for a line end, but for the line feed
DIRECTION_OVERRIDES = "\u202a-\u202e\u2066-\u2069"  # they reorder what a reader sees
DIRECTION_MARKS = "\u061c\u200e\u200f"  # Arabic and Hebrew need them
# Joiners (U+200C, U+200D) are not among these: emoji and Persian need them.
WITHOUT_WIDTH = "\xad\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"
SURROGATES = "\ud800-\udfff"

# Marks that any letter takes, and as many of them as a letter has in any language, with room to spare; more of them
# are there to cover the lines above and below.
_MARKS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
TOO_MANY_MARKS = f"(?<={_MARKS}{{8}}){_MARKS}+"
_LINE = r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+"

_FIRST_ASTRAL = 0x10000
_FIRST_TWO_BYTES = 0x80
_FIRST_THREE_BYTES = 0x800


class Span(NamedTuple):
    """A stretch of one line: a line number and two code point columns, the second one exclusive; all from 0."""

    line: int
    start: int
    end: int

    def touches(self, line: int, column: int) -> bool:
        """Whether a cursor at `line` and `column` stands in this span or at either end of it."""
        return self.line == line and self.start <= column <= self.end


def split_lines(text: str) -> list[str]:
    """Return the lines of `text`, line ends included; joined they are `text` again.

    There is always at least one line, and a text that ends with a line end has an empty last one.
    """
    if any(character in text for character in _NOT_LINE_ENDS):
        lines = re.findall(_LINE, text)
    else:
        lines = text.splitlines(keepends=True)
    if not lines or lines[-1][-1] in "\r\n":
        lines.append("")
    return lines


def without_end(line: str) -> str:
    """Return `line` without its line end."""
    return line.rstrip("\r\n")


def to_units(line: str, column: int, encoding: Encoding) -> int:
    """Return the column of `encoding`'s code units that stands before code point `column` of `line`."""
    if encoding == "utf-32" or line.isascii():
        return column
    before = line[:column]
    if encoding == "utf-16":
        return column + sum(character >= "\U00010000" for character in before)
    return len(before.encode("utf-8", "surrogatepass"))


def from_units(line: str, units: int, encoding: Encoding) -> int:
    """Return the code point column for `units` code units of `encoding`.

    Past the end of the line it is the end before the line break, as the protocol asks; within a character, its start.
    """
    end = len(without_end(line))
    units = max(units, 0)
    if encoding == "utf-32" or line.isascii():
        return min(units, end)
    column = seen = 0
    for character in line[:end]:
        point = ord(character)
        if encoding == "utf-16":
            width = 2 if point >= _FIRST_ASTRAL else 1
        else:
            width = (
                1
                if point < _FIRST_TWO_BYTES
                else 2
                if point < _FIRST_THREE_BYTES
                else 3
                if point < _FIRST_ASTRAL
                else 4
            )
        if seen + width > units:
            break
        seen += width
        column += 1
    return column


def visible(text: str) -> str:
    """Return `text` fit for messages and terminals: with escapes for control and direction-changing characters.

    So are the marks of a letter that has more than eight of them.
    """
    if text.isascii() and text.isprintable():
        return text
    text = re.sub(TOO_MANY_MARKS, lambda match: escaped(match[0]), text)
    return "".join(character if character.isprintable() else escaped(character) for character in text)


def has_invisible(text: str) -> bool:
    """Whether `text` has control, format or surrogate characters, as Unicode knows them."""
    import unicodedata  # late: most texts that are asked about are ASCII

    return any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in text)


def escaped(text: str) -> str:
    """Return every character of `text` as an escape."""
    return "".join(
        f"\\x{point:02x}" if point <= 0xFF else f"\\u{point:04x}" if point < _FIRST_ASTRAL else f"\\U{point:08x}"  # noqa: PLR2004
        for point in map(ord, text)
    )
