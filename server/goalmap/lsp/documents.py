"""Open documents: their lines, kept through incremental changes.

A change costs the lines it touches. Lines end at `\\n`, `\\r\\n` and `\\r` only, whatever else a text holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from goalmap.core.text import Encoding, split_lines
from goalmap.lsp.positions import Positions

if TYPE_CHECKING:
    from goalmap.lsp.types import TextDocumentContentChangeEvent


class Document:
    """A text that an editor has open. `changes` says how it got from one version to the next."""

    def __init__(self, uri: str, path: str | None, version: int, lines: list[str]) -> None:
        self.uri = uri
        self.path = path
        self.version = version
        self.lines = lines
        # The version that was clean when a write of ours replaced the file: it is about to be reloaded.
        self.version_awaiting_reload: int | None = None

    @property
    def text(self) -> str:
        """The full text."""
        return "".join(self.lines)

    def changes(
        self, content_changes: Sequence[TextDocumentContentChangeEvent], encoding: Encoding
    ) -> Iterator[tuple[int, int, list[str]]]:
        """Make the changes one after the other; yield for each the old lines `first` to `end` and what they are now.

        The caller may put another, equal list in `lines` between two steps.
        """
        for change in content_changes:
            first, end, lines = self._replacement(change, encoding)
            yield first, end, lines

    def _replacement(self, change: TextDocumentContentChangeEvent, encoding: Encoding) -> tuple[int, int, list[str]]:
        where = change.get("range")
        if where is None:
            return 0, len(self.lines), split_lines(change["text"])
        lines = self.lines
        positions = Positions(lines, encoding)
        (first, start_column), (last, end_column) = positions.place(where["start"]), positions.place(where["end"])
        if (last, end_column) < (first, start_column):
            (first, start_column), (last, end_column) = (last, end_column), (first, start_column)
        text = lines[first][:start_column] + change["text"] + lines[last][end_column:]
        # A carriage return at the end of the line before, and a line feed that now follows it, are one line end.
        while first > 0 and text.startswith("\n") and lines[first - 1].endswith("\r"):
            first -= 1
            text = lines[first] + text
        fresh = split_lines(text)
        if last + 1 < len(lines) and fresh[-1] == "":
            fresh.pop()  # the next line is there already
        return first, last + 1, fresh
