"""All that is wrong with one library: gathered here once, so that `goalmap check` and the language server agree.

`inspect` looks at a whole library. The server calls the same parts one by one, for what an edit has touched.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from goalmap.core.check_map import find_problems
from goalmap.core.goal_map import Goal, GoalMap, parse
from goalmap.core.library import Library
from goalmap.core.naming import MAP_NAME, TEMPLATE_SLOT
from goalmap.core.problems import SEVERITIES, Problem, Severity
from goalmap.core.text import Span, split_lines, visible
from goalmap.core.usage import Usage, unused_components, unused_problem, used_components
from goalmap.files.loader import MAX_MAP_BYTES, LibraryLoader, Unreadable, read_bytes, read_component

if TYPE_CHECKING:
    from goalmap.core.assembly import Read
    from goalmap.files.report import Pending

START = Span(0, 0, 0)


class Finding(NamedTuple):
    """A problem and where it stands: a path relative to the library, with `/`, and a place in that file."""

    path: str
    span: Span
    problem: Problem


# -- a whole library -------------------------------------------------------------------------------------------------
def inspect(
    loader: LibraryLoader,
    goal_map: GoalMap,
    read: "Read",
    *,
    severities: Mapping[str, Severity] = SEVERITIES,
    max_tokens: int = 0,
    pending: Iterable["Pending"] = (),
) -> list[Finding]:
    """Return all findings in a library whose severity is not "off": those in the map first, then by path and place.

    `read` gives the text of a component by its path in the library. `max_tokens` of 0 sets prompts no limit.
    """
    library = loader.load()
    usage = Usage(goal_map)
    library = loader.examine(used_components(usage, library))
    found = [Finding(MAP_NAME, span, problem) for span, problem in find_problems(goal_map, library)]
    found += interrupted_findings(goal_map, pending)
    if max_tokens and severities["prompt.over-budget"] != "off":
        found += over_budget_findings(goal_map.goals, library, read, max_tokens)
    if usage.has_templates:
        found += template_findings(goal_map.goals_with(TEMPLATE_SLOT), library, read)
    if severities["component.unused"] != "off":
        found += [unused_finding(path) for path in unused_components(usage, library)]
    return sorted((finding for finding in found if severities[finding.problem.code] != "off"), key=_order)


def _order(finding: Finding) -> tuple[bool, str, Span, str]:
    return finding.path != MAP_NAME, finding.path, finding.span, finding.problem.code


def disk_reader(root: str) -> "Read":
    """Return a `read` that takes components from the disk as they are now; None for what cannot be read."""

    def read(path: str) -> str | None:
        try:
            return read_component(root, path)
        except Unreadable:
            return None

    return read


# -- its parts -------------------------------------------------------------------------------------------------------
def read_map(path: str) -> tuple[GoalMap | None, list[Finding]]:
    """Return the map at `path` as it is on disk, and what keeps it from being read; None where nothing can be.

    Where a byte is not UTF-8 it becomes U+FFFD, and the rest is read.
    """
    try:
        data = read_bytes(path, limit_bytes=MAX_MAP_BYTES)
    except Unreadable as error:
        message = f"{MAP_NAME} {error.reason}"
        return None, [Finding(MAP_NAME, START, Problem("map.structure", 0, 0, message))]
    try:
        return parse(data.decode("utf-8")), []
    except UnicodeDecodeError as error:
        lines = split_lines(data[: error.start].decode("utf-8", "replace"))
        span = Span(len(lines) - 1, len(lines[-1]), len(lines[-1]) + 1)
        message = f"The byte 0x{data[error.start]:02x} is not UTF-8: save the map as UTF-8"
        problem = Problem("map.syntax", span.start, span.end, message)
        return parse(data.decode("utf-8", "replace")), [Finding(MAP_NAME, span, problem)]


def unused_finding(path: str) -> Finding:
    """Return the finding for a component that no goal names."""
    return Finding(path, START, unused_problem(path))


def template_users(goals: Iterable[Goal], library: Library) -> dict[str, list[Goal]]:
    """Return the goals that use each template, by its path."""
    users: dict[str, list[Goal]] = {}
    for goal in goals:
        if goal.template is not None and library.has(TEMPLATE_SLOT, goal.template.file):
            users.setdefault(library.path(TEMPLATE_SLOT, goal.template.file), []).append(goal)
    return users


def template_findings(goals: Iterable[Goal], library: Library, read: "Read") -> Iterator[Finding]:
    """Yield the findings in the templates that `goals` use; each stands in its template."""
    for path, users in template_users(goals, library).items():
        source = read(path)
        if source is None:
            continue  # component.unreadable says so, at the reference
        from goalmap.core.templates import template_problems  # late: most libraries have no template

        for span, problem in template_problems(source, users):
            yield Finding(path, span, problem)


def over_budget_findings(goals: Iterable[Goal], library: Library, read: "Read", max_tokens: int) -> Iterator[Finding]:
    """Yield a finding, at its key, for each goal whose prompt has more than `max_tokens` tokens."""
    from goalmap.core.assembly import assemble  # late, as all that most libraries have no use of
    from goalmap.core.tokens import count_tokens

    for goal in goals:
        text = assemble(goal, library, read).text
        if len(text.encode("utf-8", "surrogatepass")) <= max_tokens:
            continue  # a token is a byte at least
        tokens = count_tokens(text)
        if tokens.number > max_tokens:
            span = goal.key_span
            message = f"The prompt of {visible(goal.name)} has {tokens} tokens, more than {max_tokens}"
            yield Finding(MAP_NAME, span, Problem("prompt.over-budget", span.start, span.end, message))


def interrupted_findings(goal_map: GoalMap, pending: Iterable["Pending"], more: int = 0) -> Iterator[Finding]:
    """Yield a finding for each record that waits in the journal, at the reference that it will change.

    `more` is how many records there are besides; one finding at the start of the map says so.
    """
    for waiting in pending:
        if waiting.has_owner:
            continue  # no interruption: somebody is at work
        from goalmap.core.edits import EditError, reference_at

        reference = None
        goal = goal_map.goal(waiting.goal)
        span = goal.key_span if goal else START
        try:
            reference = reference_at(goal_map, waiting.goal, waiting.slot, waiting.index)
        except EditError:
            pass  # the map has moved on: the goal, or the file, is as near as we can point
        else:
            span = reference.span
        what = f"A component for {visible(waiting.file)}" if waiting.file else "A component"
        message = f"{what} was generated and is not committed: {waiting.reason}. 'goalmap recover' finishes it"
        problem = Problem("generation.interrupted", span.start, span.end, message, reference, waiting.component or None)
        yield Finding(MAP_NAME, span, problem)
    if more:
        message = f"And {more} older records wait in the journal. 'goalmap recover' sees to all of them"
        yield Finding(MAP_NAME, START, Problem("generation.interrupted", 0, 0, message))


def library_root(map_path: str) -> str:
    """Return the folder of the library whose map is at `map_path`."""
    return os.path.dirname(os.path.abspath(map_path))
