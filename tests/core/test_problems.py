"""Findings in a map against a library on paper: `expected` are the codes with the text they stand under."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goalmap.core.check_map import find_problems, find_problems_after
from goalmap.core.goal_map import parse
from goalmap.core.library import Fault, Folder, Library
from goalmap.core.problems import near_files
from goalmap.core.text import split_lines
from support.typed import type_somewhere


def library(*paths: str, faults: dict[str, Fault] | None = None) -> Library:
    folders: dict[str, set[str]] = {}
    for path in paths:
        top, name, file = path.split("/", 2)
        folders.setdefault(f"{top}/{name}", set()).add(file)
    return Library("/library", {path: Folder(path, frozenset(files)) for path, files in folders.items()}, faults or {})


HERE = library(
    "components/personas/a.txt",
    "components/personas/Upper.txt",
    "components/personas/sub/deep.txt",
    "components/constraints/c.txt",
    "components/templates/t.md",
    "components/personas/empty.txt",
    "components/personas/binary.txt",
    "components/personas/link.txt",
    faults={
        "components/personas/empty.txt": Fault("empty", "is empty"),
        "components/personas/binary.txt": Fault("unreadable", "is not UTF-8"),
        "components/personas/link.txt": Fault("outside", "is a link that leaves the library"),
    },
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"A": {"persona": "a.txt", "constraints": ["c.txt"], "template": "t.md"}}', []),
        ('{"A": {"persona": "sub/deep.txt"}}', []),
        ('{"A": {"persona": "b.txt"}}', [("component.missing", "b.txt")]),
        ('{"A": {"constraints": ["c.txt", "d.txt"]}}', [("component.missing", "d.txt")]),
        ('{"A": {"persona": ""}}', [("component.missing", '""')]),
        ('{"A": {"template": "x.md"}}', [("component.missing", "x.md")]),
        ('{"A": {"persona": "upper.txt"}}', [("component.case-mismatch", "upper.txt")]),
        ('{"A": {"persona": "empty.txt"}}', [("component.empty", "empty.txt")]),
        ('{"A": {"persona": "binary.txt"}}', [("component.unreadable", "binary.txt")]),
        ('{"A": {"persona": "link.txt"}}', [("reference.unsafe", "link.txt")]),
        ('{"A": {"persona": "../a.txt"}}', [("reference.unsafe", "../a.txt")]),
        ('{"A": {"persona": "/etc/passwd"}}', [("reference.unsafe", "/etc/passwd")]),
        ('{"A": {"persona": "C:a.txt"}}', [("reference.unsafe", "C:a.txt")]),
        ('{"A": {"persona": "nul.txt"}}', [("reference.unsafe", "nul.txt")]),
        ('{"A": {"persona": "a\\u0000.txt"}}', [("reference.unsafe", "a\\u0000.txt")]),
        ('{"A": {"per/sona": "a.txt"}}', [("reference.unsafe", "per/sona")]),
        ('{"A": {"constraints": ["c.txt", "c.txt"]}}', [("reference.duplicate", "c.txt")]),
        ('{"A": {"persna": "a.txt"}}', [("slot.unknown", "persna"), ("component.missing", "a.txt")]),
        ('{"A": {}}', [("goal.empty", "A")]),
        ('{"A": {"description": "d", "constraints": []}}', [("goal.empty", "A")]),
        ('{"A": {"persona": 3}}', [("map.structure", "3"), ("goal.empty", "A")]),
        ('{"A": {"template": ["t.md"]}}', [("map.structure", "[")]),
        ('{"A": {"persona": "a.txt", "title": ["t"]}}', [("map.structure", "[")]),
        ('{"A": {"persona": "a.txt", "x$y": [1, {}]}}', []),
        ('{"A": {"constraints": ["c.txt", 1, ["x"]]}}', [("map.structure", "1"), ("map.structure", "[")]),
        ('{"T": {"persona": "a.txt", "A": {"persona": "a.txt"}}}', [("map.structure", "a.txt")]),
        ('{"T": {"description": "d", "$x": 1, "A": {"persona": "a.txt"}}}', []),
        ('["a"]', [("map.structure", "[")]),
        ('"a"', [("map.structure", "a")]),
        ('{"A": "a.txt"}', [("map.structure", "a.txt")]),
        ('{"A": {"persona": "x", "persona": "a.txt"}}', [("map.duplicate-key", "persona"), ("component.missing", "x")]),
        ('{"A": {"persona": "x"}, "A": {"persona": "a.txt"}}', [("map.duplicate-key", "A")]),
        ('{"A": {"persona": "a.txt",}}', [("map.syntax", "}")]),
        ('{"A": {"persona": "a.txt"}', [("map.syntax", "}")]),
    ],
)
def test_findings(text: str, expected: list[tuple[str, str]]) -> None:
    lines = split_lines(text)
    found = [(p.code, lines[s.line][s.start : s.end]) for s, p in find_problems(parse(text), HERE)]
    assert sorted(found) == sorted(expected)


def test_a_missing_component_is_named_by_its_path_and_has_near_names() -> None:
    [(_, problem)] = find_problems(parse('{"A": {"persona": "Uper.txt"}}'), HERE)
    assert problem.message == "components/personas/Uper.txt does not exist"
    assert near_files(problem, HERE)[0] == "Upper.txt"


def test_the_folder_of_a_plural_slot() -> None:
    only_double = library("components/notess/n.txt")
    assert list(find_problems(parse('{"A": {"notes": "n.txt"}}'), only_double)) == []


members = st.dictionaries(
    st.sampled_from(["persona", "constraints", "persna", "title"]),
    st.sampled_from(["a.txt", "b.txt", 3]) | st.lists(st.sampled_from(["c.txt", "d.txt"]), max_size=3),
    max_size=3,
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from("ABCD"), members, max_size=4), st.sampled_from([0, 2, None]), st.data())
def test_findings_after_an_edit_are_those_of_the_edited_map(value: Any, indent: Any, data: Any) -> None:
    goal_map = parse(json.dumps(value, indent=indent))
    problems = first = find_problems(goal_map, HERE)
    for _ in range(3):
        goal_map, change = type_somewhere(goal_map, data)
        problems = find_problems_after(problems, goal_map, change, HERE)
        assert list(problems) == list(find_problems(parse(goal_map.text), HERE))
    changed = problems.changed_since(first)
    if changed is not None:
        assert all(problems.at(line) == first.at(line) for line in range(len(goal_map.lines)) if line not in changed)
