"""Which components a map names, counted at once and followed through edits."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from goalmap.core.goal_map import parse
from goalmap.core.library import Folder, Library
from goalmap.core.usage import Usage, unused_components, used_components

FILES = ("a.txt", "b.txt", "ab.txt", "c.txt")
LIBRARY = Library(
    "/library",
    {f"components/{name}": Folder(f"components/{name}", frozenset(FILES)) for name in ("personas", "constraints")},
)


def test_used_and_unused_components() -> None:
    usage = Usage(parse('{"A": {"persona": ["a.txt", "b.txt"], "constraints": "c.txt"}}'))
    assert used_components(usage, LIBRARY) == [
        "components/constraints/c.txt",
        "components/personas/a.txt",
        "components/personas/b.txt",
    ]
    assert unused_components(usage, LIBRARY) == [
        "components/constraints/a.txt",
        "components/constraints/ab.txt",
        "components/constraints/b.txt",
        "components/personas/ab.txt",
        "components/personas/c.txt",
    ]


def test_a_broken_map_calls_nothing_unused() -> None:
    text = '{"A": {"persona": "a.txt"}}'
    assert unused_components(Usage(parse(text)), LIBRARY)
    assert unused_components(Usage(parse(text[:-1])), LIBRARY) == []
    assert unused_components(Usage(parse(text.replace(":", "", 1))), LIBRARY) == []


def test_of_goals_with_one_path_the_last_one_counts() -> None:
    usage = Usage(parse('{"A": {"persona": "a.txt"},\n"A": {"persona": "b.txt"}}'))
    assert used_components(usage, LIBRARY) == ["components/personas/b.txt"]


def test_two_slots_may_name_a_file_of_one_folder() -> None:
    goal_map = parse('{\n"A": {\n"constraint": "a.txt",\n"constraints": "a.txt"\n}\n}')
    usage = Usage(goal_map)
    goal_map, change = goal_map.replace_lines(2, 3, ['"constraint": "b.txt",\n'])
    # Nobody has asked where the goals stand yet, so that nothing can tell that it stayed as it was.
    assert not usage.follow(goal_map, change) or usage.names("components/constraints", "a.txt", LIBRARY)


values = st.sampled_from([*FILES, 3]) | st.lists(st.sampled_from(FILES), max_size=3)
members = st.dictionaries(st.sampled_from(["persona", "constraint", "constraints", "title"]), values, max_size=3)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from("ABC"), members, max_size=4), st.sampled_from([0, None]), st.data())
def test_following_edits_gives_what_counting_anew_would(value: Any, indent: Any, data: Any) -> None:
    goal_map = parse(json.dumps(value, indent=indent))
    usage = Usage(goal_map)
    used = set(used_components(usage, LIBRARY))
    for _ in range(3):
        line = data.draw(st.integers(0, len(goal_map.lines) - 1))
        text = goal_map.lines[line]
        column = data.draw(st.integers(0, len(text.rstrip("\n"))))
        new = text[:column] + data.draw(st.sampled_from(["a", "b", '"', ",", ""])) + text[column:]
        goal_map, change = goal_map.replace_lines(line, line + 1, [new])
        usage.take_usage_changes()
        if not usage.follow(goal_map, change):
            usage = Usage(goal_map)
            used = set(used_components(usage, LIBRARY))
        anew = Usage(parse(goal_map.text))
        assert used_components(usage, LIBRARY) == used_components(anew, LIBRARY)
        assert unused_components(usage, LIBRARY) == unused_components(anew, LIBRARY)
        assert usage.has_templates == anew.has_templates
        # What changed is exactly what is said to have.
        now = set(used_components(usage, LIBRARY))
        flipped = {LIBRARY.path(slot, file) for slot, file in usage.take_usage_changes() if LIBRARY.has(slot, file)}
        assert used ^ now <= flipped
        used = now
