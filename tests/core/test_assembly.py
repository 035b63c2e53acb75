"""Assembled prompts, and where their characters come from."""

from __future__ import annotations

import pytest

from goalmap.core.assembly import assemble, build_pair
from goalmap.core.goal_map import parse
from goalmap.core.library import Folder, Library
from goalmap.core.templates import template_problems

FILES = {
    "components/personas/p.txt": "You are P.\n\n",
    "components/constraints/c.txt": "No {{ guessing }}.\n",
    "components/constraints/d.txt": "Cite.\nTwice.\n",
    "components/templates/t.md": (
        "{# head #}{{ title }}: {{ persona }}\n{% for c in slots.constraints %}- {{ c }}\n{% endfor %}\n"
    ),
    "components/templates/bad.md": "{{ persona }}\n{{ nobody }}\n",
    "components/templates/broken.md": "a\n{% for %}\n",
}


def library() -> Library:
    folders: dict[str, set[str]] = {}
    for path in FILES:
        folder, _, file = path.rpartition("/")
        folders.setdefault(folder, set()).add(file)
    return Library("/", {path: Folder(path, frozenset(files)) for path, files in folders.items()})


def test_the_default_prompt() -> None:
    text = '{"A": {"description": "d", "persona": "p.txt", "constraints": ["c.txt", "x.txt", "d.txt"], "e": []}}'
    prompt = assemble(parse(text).goals[0], library(), FILES.get)
    assert prompt.text == (
        "# A\n\n## PERSONA\n\nYou are P.\n\n## CONSTRAINTS\n\nNo {{ guessing }}.\n\n---\n\n"
        "⟨missing: constraints/x.txt⟩\n\n---\n\nCite.\nTwice."
    )
    assert [reference.file for reference in prompt.missing] == ["x.txt"]


def test_every_character_of_a_component_is_traced_to_it() -> None:
    text = '{"A": {"title": "T", "output_format": [], "persona": "p.txt", "constraints": ["d.txt", "c.txt"]}}'
    prompt = assemble(parse(text).goals[0], library(), FILES.get)
    traced = {}
    for offset, character in enumerate(prompt.text):
        source = prompt.source_at(offset)
        if source:
            path, line, column = source
            source_line = FILES[path].split("\n")[line]
            assert (source_line[column : column + 1] or "\n")[0] == character or column == len(source_line)
            traced[path] = traced.get(path, 0) + 1
    assert set(traced) == {"components/personas/p.txt", "components/constraints/d.txt", "components/constraints/c.txt"}
    assert prompt.source_at(0) is None


def test_a_template_gives_the_whole_prompt() -> None:
    text = '{"A": {"title": "T", "template": "t.md", "persona": "p.txt", "constraints": ["c.txt", "d.txt"]}}'
    prompt = assemble(parse(text).goals[0], library(), FILES.get)
    assert prompt.text == "T: You are P.\n- No {{ guessing }}.\n- Cite.\nTwice."
    assert [segment.path.rpartition("/")[2] for segment in prompt.segments] == ["p.txt", "c.txt", "d.txt"]


@pytest.mark.parametrize(
    ("source", "line", "part"),
    [
        ("{{ persona }}\n{{ nobody }}", 1, "nobody"),
        ("a\n\n{% for %}", 2, "expression"),
        ("{{ slots.x.y.z }}", 0, "no attribute"),
        ("{{ ''.__class__.__mro__ }}", 0, "unsafe"),
        ("{{ slots.update({}) }}", 0, "unsafe"),
        ("{{ 'a' * 1000000000 }}", 0, "whole numbers"),
        ("{% for i in range(100000000) %}{% endfor %}", 0, "range"),
        ("{% include '/etc/passwd' %}", 0, "loader"),
        ("{% for i in range(9999) %}{{ persona * 1 }}{% endfor %}", 0, "whole"),
        ("{% for i in range(9999) %}{{ 'x'.center(999) }}{% endfor %}", 0, "MiB"),
        ("{{ 1 / 0 }}", 0, "ZeroDivision"),
    ],
)
def test_a_template_that_cannot_be_rendered_says_why(source: str, line: int, part: str) -> None:
    files = {**FILES, "components/templates/t.md": source}
    prompt = assemble(parse('{"A": {"template": "t.md", "persona": "p.txt"}}').goals[0], library(), files.get)
    assert prompt.error is not None
    assert (prompt.error.line, part in prompt.error.message) == (line, True), prompt.error
    assert prompt.text == "# A\n\n## PERSONA\n\nYou are P."


def test_findings_in_a_template_stand_at_the_name() -> None:
    goals = parse('{"A": {"template": "bad.md", "persona": "p.txt"}}').goals
    [(span, problem)] = template_problems(FILES["components/templates/bad.md"], goals)
    assert (problem.code, span) == ("template.unknown-variable", (1, 3, 9))
    [(span, problem)] = template_problems(FILES["components/templates/broken.md"], goals)
    assert (problem.code, span.line) == ("template.syntax", 1)
    assert (
        list(
            template_problems(
                FILES["components/templates/t.md"], parse('{"A": {"persona": "p.txt", "constraints": []}}').goals
            )
        )
        == []
    )


def test_the_pair_of_files() -> None:
    goal = parse('{"A": {"persona": "p.txt", "constraints": ["d.txt"]}}').goals[0]
    persona, rest, _ = build_pair(goal, library(), FILES.get, title="My T")
    assert persona == "# Persona: My T\n\nYou are P.\n"
    assert rest == "# My T\n\n## CONSTRAINTS\n\nCite.\nTwice.\n\n[INSERT YOUR SPECIFIC REQUEST HERE]\n"
