"""What is wrong with a template, and what may stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from goalmap.core.assembly import environment, variable_names
from goalmap.core.goal_map import Goal
from goalmap.core.problems import Problem
from goalmap.core.text import Span, split_lines, visible, without_end


def template_problems(source: str, goals: Sequence[Goal]) -> Iterator[tuple[Span, Problem]]:
    """Yield the problems in a template that `goals` use, each with its place in the template."""
    from jinja2 import TemplateSyntaxError, meta, nodes

    lines = split_lines(source)
    sandbox = environment()
    try:
        tree = sandbox.parse(source)
    except TemplateSyntaxError as error:
        line = min(max((error.lineno or 1) - 1, 0), len(lines) - 1)
        text = without_end(lines[line])
        start = len(text) - len(text.lstrip())
        yield Span(line, start, len(text)), Problem("template.syntax", start, len(text), str(error.message))
        return
    free = meta.find_undeclared_variables(tree) - set(sandbox.globals)
    for goal in goals:
        unknown = free - variable_names(goal)
        seen: set[Span] = set()
        for node in tree.find_all(nodes.Name):
            if node.name in unknown:
                for span in _places(lines, node.lineno - 1, node.name):
                    if span not in seen:
                        seen.add(span)
                        message = f"{visible(goal.name)} has no slot or text {visible(node.name)}"
                        yield span, Problem("template.unknown-variable", span.start, span.end, message)


def _places(lines: list[str], line: int, name: str) -> Iterator[Span]:
    """Yield where `name` stands on a line as a variable: Jinja's nodes know their line only."""
    for match in re.finditer(rf"(?<![\w.'\"]){re.escape(name)}(?![\w'\"])", without_end(lines[line])):
        yield Span(line, match.start(), match.end())


def variable_at(source_line: str, column: int) -> tuple[str, Span] | None:
    """Return the name under a cursor inside `{{ … }}` or `{% … %}` of a line, with its columns (line 0)."""
    for block in re.finditer(r"\{\{.*?(?:\}\}|$)|\{%.*?(?:%\}|$)", source_line):
        if block.start() <= column <= block.end():
            for match in re.finditer(r"[A-Za-z_]\w*", block[0]):
                span = Span(0, block.start() + match.start(), block.start() + match.end())
                if span.start <= column <= span.end:
                    return match[0], span
    return None
