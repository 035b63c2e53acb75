"""Convert between the core's places, in lines and code points, and the protocol's positions, ranges and URIs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from goalmap.core.edits import Edit
from goalmap.core.text import Encoding, Span, from_units, to_units

if TYPE_CHECKING:
    from goalmap.lsp.types import Position, Range, TextEdit

_DRIVE = re.compile(r"/[A-Za-z]:")


def to_path(uri: str) -> str | None:
    """Return the path of a `file:` URI, normalised; None for any other scheme."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme != "file":
        return None
    path = unquote(parts.path)
    # Names that no file can have; the file system's own calls would raise.
    if "\0" in path or not _is_encodable(path):
        return None
    if sys.platform == "win32":
        path = f"//{parts.netloc}{path}" if parts.netloc else path[1:] if _DRIVE.match(path) else path
        path = path[:1].lower() + path[1:]  # clients differ in the case of the drive
    return os.path.normpath(path)


def _is_encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def to_uri(path: str) -> str:
    """Return the `file:` URI of an absolute path."""
    if sys.platform == "win32":
        path = "/" + path.replace("\\", "/")
    return "file://" + quote(path, safe="/~!$&'()*+,;=@-._")


class Positions:
    """Converts places of one document, whose lines it is given, in the encoding that was agreed."""

    __slots__ = ("encoding", "lines")

    def __init__(self, lines: Sequence[str], encoding: Encoding) -> None:
        self.lines = lines
        self.encoding = encoding

    def column(self, line: int, units: int) -> int:
        """Return the code point column of a protocol column; past the line's end it is the end."""
        return from_units(self.lines[line], units, self.encoding)

    def place(self, position: Position) -> tuple[int, int]:
        """Return the line and code point column of a protocol position; past the document's end it is the end."""
        line = position["line"]
        if line >= len(self.lines):
            return len(self.lines) - 1, len(self.lines[-1])
        return line, self.column(line, position["character"])

    def units(self, line: int, column: int) -> int:
        """Return the protocol column of a code point column."""
        return to_units(self.lines[line], column, self.encoding)

    def are_columns(self, line: int, other_line: int) -> bool:
        """Whether protocol columns are code point columns on both lines."""
        return (self.lines[line].isascii() and self.lines[other_line].isascii()) or self.encoding == "utf-32"

    def position(self, line: int, column: int) -> Position:
        """Return the protocol's position of a line and a code point column."""
        return {"line": line, "character": to_units(self.lines[line], column, self.encoding)}

    def range(self, span: Span) -> Range:
        """Return the protocol's range of a span."""
        return {"start": self.position(span.line, span.start), "end": self.position(span.line, span.end)}

    def json_range(self, span: Span) -> str:
        """Return `range` as JSON, for answers that hold thousands of them."""
        return self.json_between(span.line, span.start, span.line, span.end)

    def json_between(self, start_line: int, start: int, end_line: int, end: int) -> str:
        """Return the range between two lines and code point columns as JSON."""
        lines, encoding = self.lines, self.encoding
        start, end = to_units(lines[start_line], start, encoding), to_units(lines[end_line], end, encoding)
        return f'{{"start":{{"line":{start_line},"character":{start}}},"end":{{"line":{end_line},"character":{end}}}}}'

    def text_edit(self, edit: Edit) -> TextEdit:
        """Return the protocol's TextEdit."""
        start, end = self.position(*edit.start), self.position(*edit.end)
        return {"range": {"start": start, "end": end}, "newText": edit.text}


START_OF_FILE: Final[Range] = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
