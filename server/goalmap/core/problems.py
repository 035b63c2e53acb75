"""What can be wrong with a map and its components, as data.

`Problems` keeps the problems by line, so that an edit replaces those of the lines it touched. How they look in an
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
    """One problem, at columns `start` to `end` of a line that its holder knows.

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
LineRange: TypeAlias = tuple[int, int]

# Then the whole map counts as checked: nobody who follows edits lags so far behind.
_MAX_RECHECKED: Final = 1000


class Problems:
    """All problems in one map against one library; a value.

    Those `by_goal` depend on their own goal only, those of the `whole_map` on more. `check` stands for the check of the
    whole map that they go back to, `rechecked` for the lines (first to before the last) of each edit since.
    """

    def __init__(
        self, by_goal: ByLine, whole_map: ByLine, check: object = None, rechecked: tuple[LineRange, ...] = ()
    ) -> None:
        self.by_goal = by_goal
        self.whole_map = whole_map
        self.check = check or object()
        self.rechecked = rechecked

    def after_recheck(self, by_goal: ByLine, whole_map: ByLine, lines: LineRange) -> "Problems":
        """Return the problems after an edit, where those `by_goal` can differ on these lines only."""
        if len(self.rechecked) >= _MAX_RECHECKED:
            return Problems(by_goal, whole_map)
        others = ((line, line + 1) for line in {*self.whole_map, *whole_map})
        return Problems(by_goal, whole_map, self.check, (*self.rechecked, lines, *others))

    def changed_since(self, earlier: "Problems | None") -> set[int] | None:
        """Return the lines on which they may differ from `earlier` ones of the map; None where that may be all."""
        if earlier is None or earlier.check is not self.check:
            return None
        ranges = self.rechecked[len(earlier.rechecked) :]
        return {line for first, end in ranges for line in range(first, end)}

    def at(self, line: int) -> tuple[Problem, ...]:
        """Return the problems in one line, in order of their columns."""
        problems = self.by_goal.get(line, ()) + self.whole_map.get(line, ())
        return problems if len(problems) <= 1 else tuple(sorted(problems, key=_by_column))

    def lines(self) -> Iterator[tuple[int, tuple[Problem, ...]]]:
        """Yield each line that has problems, in order, with its problems in order of their columns."""
        for line in sorted({*self.by_goal, *self.whole_map} if self.whole_map else self.by_goal):
            yield line, self.at(line)

    def between(self, first_line: int, last_line: int) -> Iterator[tuple[Span, Problem]]:
        """Yield the problems on these lines."""
        for line in range(first_line, last_line + 1):
            for problem in self.at(line):
                yield Span(line, problem.start, problem.end), problem

    def __iter__(self) -> Iterator[tuple[Span, Problem]]:
        for line, problems in self.lines():
            for problem in problems:
                yield Span(line, problem.start, problem.end), problem


def _by_column(problem: Problem) -> tuple[int, int]:
    return problem.start, problem.end


def near_files(problem: Problem, library: Library, *, limit: int = 3) -> list[str]:
    """Return the names of components that a reference may have meant, best first."""
    if problem.reference is None or not problem.reference.file:
        return []
    folder = library.folders.get(library.folder(problem.reference.slot))
    return folder.near.of(problem.reference.file, limit=limit) if folder else []
