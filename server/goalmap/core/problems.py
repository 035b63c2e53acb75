"""What can be wrong with a map and its components, as data.

`Problems` keeps the findings by line, so that an edit replaces those of the lines it touched. How they look in an
editor or on a terminal is decided elsewhere, once for all codes.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from goalmap.core.goal_map import Reference
from goalmap.core.library import Library
from goalmap.core.text import Span

Severity: TypeAlias = Literal["error", "warning", "information", "hint", "off"]

# Each code, its severity unless a setting changes it, and whether to show the place as unnecessary.
SEVERITIES: Final[dict[str, Severity]] = {
    "component.missing": "error",
    "component.empty": "warning",
    "component.unreadable": "error",
    "component.case-mismatch": "warning",
    "component.unused": "hint",
    "reference.unsafe": "error",
    "reference.duplicate": "warning",
    "slot.unknown": "warning",
    "goal.empty": "warning",
    "map.syntax": "error",
    "map.structure": "error",
    "map.duplicate-key": "warning",
    "template.unknown-variable": "error",
    "template.syntax": "error",
    "prompt.over-budget": "warning",
    "generation.interrupted": "information",
}
SHOWN_AS_UNNECESSARY: Final = frozenset({"component.unused"})
SYNTAX_CODES: Final = frozenset({"map.syntax", "map.duplicate-key"})


class Problem(NamedTuple):
    """One finding, at columns `start` to `end` of a line that its holder knows.

    `reference` is there for `component.*` and `reference.*`; `target` is the path, relative to the library, that it is
    about; `related` is another place of the map with what it says there.
    """

    code: str
    start: int
    end: int
    message: str
    reference: Reference | None = None
    target: str | None = None
    related: tuple[Span, str] | None = None


ByLine: TypeAlias = Mapping[int, tuple[Problem, ...]]


class Problems:
    """All findings in one map against one library. `local` depend on their own goal only, `wide` on the whole map.

    `edited` are the lines, from the first to before the second, that were looked at anew, one edit after the other:
    as long as it is the same list, the findings of all other lines are what they were.
    """

    def __init__(self, local: ByLine, wide: ByLine, edited: list[tuple[int, int]] | None = None) -> None:
        self.local = local
        self.wide = wide
        self.edited: list[tuple[int, int]] = [] if edited is None else edited

    def at(self, line: int) -> tuple[Problem, ...]:
        """Return the findings in one line, in order of their columns."""
        found = self.local.get(line, ()) + self.wide.get(line, ())
        return found if len(found) <= 1 else tuple(sorted(found, key=_by_column))

    def lines(self) -> Iterator[tuple[int, tuple[Problem, ...]]]:
        """Yield each line that has findings, in order, with its findings in order of their columns."""
        for line in sorted({*self.local, *self.wide} if self.wide else self.local):
            yield line, self.at(line)

    def between(self, first_line: int, last_line: int) -> Iterator[tuple[Span, Problem]]:
        """Yield the findings on these lines."""
        for line in range(first_line, last_line + 1):
            for problem in self.at(line):
                yield Span(line, problem.start, problem.end), problem

    def __iter__(self) -> Iterator[tuple[Span, Problem]]:
        for line, found in self.lines():
            for problem in found:
                yield Span(line, problem.start, problem.end), problem


def _by_column(problem: Problem) -> tuple[int, int]:
    return problem.start, problem.end


def near_files(problem: Problem, library: Library, *, limit: int = 3) -> list[str]:
    """Return the names of components that a reference may have meant, best first."""
    if problem.reference is None or not problem.reference.file:
        return []
    folder = library.folders.get(library.folder(problem.reference.slot))
    return folder.near.of(problem.reference.file, limit=limit) if folder else []
