"""Reading maps: valid and broken, whole and half-typed, and following edits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goalmap.core.goal_map import GoalMap, parse
from goalmap.core.text import Span, split_lines

BOTH_SHAPES = """{
  "$schema": "./goal_map.schema.json",
  "Technical": {
    "description": "Work on programs",
    "DEBUG": {
      "title": "Debugging",
      "description": "Find the cause.",
      "persona": "digital_detective.txt",
      "constraints": ["cite_evidence.txt", "no_guessing.txt"],
      "template": "steps.md",
      "protocol$description": "walk the trust boundaries"
    }
  },
  "REVIEW": {"persona": "reviewer.txt"}
}
"""


def references(goal_map: GoalMap) -> list[tuple[str, str, int | None, str]]:
    return [("/".join(r.goal), r.slot, r.index, r.file) for r in goal_map.references()]


def test_both_shapes_are_read() -> None:
    goal_map = parse(BOTH_SHAPES)
    assert references(goal_map) == [
        ("Technical/DEBUG", "persona", None, "digital_detective.txt"),
        ("Technical/DEBUG", "constraints", 0, "cite_evidence.txt"),
        ("Technical/DEBUG", "constraints", 1, "no_guessing.txt"),
        ("Technical/DEBUG", "template", None, "steps.md"),
        ("REVIEW", "persona", None, "reviewer.txt"),
    ]
    debug = goal_map.goal(("Technical", "DEBUG"))
    assert debug is not None
    assert (debug.title, debug.description) == ("Debugging", "Find the cause.")
    assert debug.template is not None
    assert debug.template.file == "steps.md"
    assert list(goal_map.syntax_problems()) == []


def test_spans_are_of_the_string_without_its_quotes() -> None:
    goal_map = parse(BOTH_SHAPES)
    lines = split_lines(BOTH_SHAPES)
    for reference in goal_map.references():
        line, start, end = reference.span
        assert lines[line][start:end] == reference.file


def test_a_name_finds_goals_by_the_end_of_their_path() -> None:
    goal_map = parse('{"A": {"X": {"p": "1"}}, "B": {"X": {"p": "2"}}, "Y": {"p": "3"}}')
    assert [goal.path for goal in goal_map.named("X")] == [("A", "X"), ("B", "X")]
    assert [goal.path for goal in goal_map.named("B/X")] == [("B", "X")]
    assert [goal.path for goal in goal_map.named("Y")] == [("Y",)]
    assert goal_map.named("Z") == []


def test_of_keys_that_come_twice_the_last_one_counts() -> None:
    goal_map = parse('{"A": {"p": "1", "p": "2"}, "A": {"q": ["3"], "q": ["4", "5"]}}')
    assert references(goal_map) == [("A", "q", 0, "4"), ("A", "q", 1, "5")]
    assert references(parse('{"A": {"p": "1", "p": "2"}}')) == [("A", "p", None, "2")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"A": {"p": "x.txt"', [("A", "p", None, "x.txt")]),
        ('{"A": {"p": "x.t', [("A", "p", None, "x.t")]),
        ('{"A": {"p": "x.txt" "q": "y.txt"}}', [("A", "p", None, "x.txt"), ("A", "q", None, "y.txt")]),
        ('{"A": {"p": ,"q": "y.txt"}}', [("A", "q", None, "y.txt")]),
        ('{"A": {"p":\n"q": "y.txt"}}', [("A", "q", None, "y.txt")]),
        ('{"A": {"p": "half,\n"q": "y.txt"}}', [("A", "p", None, "half"), ("A", "q", None, "y.txt")]),
        ('{"A": {"p": ["a", "b"\n"q": "y.txt"}}', [("A", "p", 0, "a"), ("A", "p", 1, "b"), ("A", "q", None, "y.txt")]),
        ('{"A": {"p": "x.txt",}, "B": {"q": ["y.txt",]},}', [("A", "p", None, "x.txt"), ("B", "q", 0, "y.txt")]),
        ('{"A": {"p": "x.txt"}} trailing', [("A", "p", None, "x.txt")]),
        ('{"A": {"p": "x.txt"}\n"B": {"p": "y.txt"}}', [("A", "p", None, "x.txt"), ("B", "p", None, "y.txt")]),
        ('{"A": {"p": "x.txt"]}', [("A", "p", None, "x.txt")]),
        ('// comment\n{"A": {"p": "x.txt"}}', [("A", "p", None, "x.txt")]),
        ('\ufeff{"A":\r\n{"p":\r"x.txt"}}', [("A", "p", None, "x.txt")]),
    ],
)
def test_a_broken_map_yields_what_can_be_read(text: str, expected: list[tuple[str, str, int | None, str]]) -> None:
    assert references(parse(text)) == expected


@pytest.mark.parametrize(
    "text", ["", " \n", "null", "[]", "3", '"text"', "{", "}", "]", '{"A": 1}', "{}", ",", ":", '"']
)
def test_what_is_no_map_has_no_goals(text: str) -> None:
    assert parse(text).goals == []


def test_every_beginning_of_a_map_is_read_and_keeps_its_whole_references() -> None:
    for end in range(len(BOTH_SHAPES)):
        found = references(parse(BOTH_SHAPES[:end]))
        whole = [r for r in references(parse(BOTH_SHAPES)) if f'"{r[3]}"' in BOTH_SHAPES[:end]]
        assert [r for r in found if r in whole] == whole, BOTH_SHAPES[:end]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_nesting_of_ten_thousand_neither_crashes_nor_hangs(opening: str, closing: str) -> None:
    depth = 10_000
    goal_map = parse(opening * depth + '"x"' + closing * depth)
    assert list(goal_map.syntax_problems()) == []
    assert list(parse(opening * depth + "}" * depth + "]" * depth).references()) == []


def test_line_separators_of_unicode_do_not_end_lines() -> None:
    goal_map = parse('{"A": {"p": "a\u2028b\u0085.txt",\n"q": "y.txt"}}')
    assert [r.span.line for r in goal_map.references()] == [0, 1]


# -- agreement with the standard library
def is_strict_json(text: str) -> bool:
    def refuse(name: str) -> Any:
        raise ValueError(name)

    try:
        json.loads(text.removeprefix("\ufeff"), parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
layouts = st.sampled_from([None, 0, 2, "\t"])


@given(values, layouts, st.booleans())
def test_valid_json_has_no_syntax_problem(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert list(parse(text).syntax_problems()) == []


@settings(max_examples=400)
@given(values, layouts, st.data())
def test_a_damaged_text_has_a_syntax_problem_exactly_when_json_says_so(value: Any, indent: Any, data: Any) -> None:
    text = json.dumps(value, indent=indent)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    new = data.draw(st.text(alphabet='{}[]",:\\ \n\tax1-.e\u2028\x00', max_size=3))
    text = text[:at] + new + text[at + cut :]
    assert (next(parse(text).syntax_problems(), None) is None) == is_strict_json(text), text


@given(st.text(alphabet='{}[]",:\\ \r\n\tab1\ufeff\U0001f600', max_size=60))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    goal_map = parse(text)
    assert goal_map.text == text
    _ = goal_map.goals
    for span, _ in goal_map.syntax_problems():
        assert span.line < len(goal_map.lines)


def maps() -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["a.txt", "b.txt", "ü😀.txt", "", "con.txt"])
    slot = names | st.lists(names, max_size=3)
    goal = st.dictionaries(st.sampled_from(["persona", "protocol", "constraints", "title"]), slot, max_size=4)
    return st.dictionaries(
        st.sampled_from(["A", "B", "C"]),
        goal | st.dictionaries(st.sampled_from(["D", "E"]), goal, max_size=2),
        max_size=3,
    )


def walk(value: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, str, int | None, str]]:
    """Find the references of a decoded map in the plainest way there is."""
    if path and not any(isinstance(member, dict) for member in value.values()):
        found: list[tuple[str, str, int | None, str]] = []
        for key, member in value.items():
            if key == "title":
                continue
            if isinstance(member, str):
                found.append(("/".join(path), key, None, member))
            else:
                found += [("/".join(path), key, number, file) for number, file in enumerate(member)]
        return found
    return [r for key, member in value.items() if isinstance(member, dict) for r in walk(member, (*path, key))]


@given(maps(), layouts)
def test_references_are_those_of_the_decoded_map(value: dict[str, Any], indent: Any) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    assert references(parse(text)) == walk(value)


# -- edits -------------------------------------------------------------------------------------------------------------
@settings(max_examples=300)
@given(maps(), st.sampled_from([0, 2]), st.data())
def test_following_edits_gives_what_reading_anew_would(value: dict[str, Any], indent: int, data: Any) -> None:
    goal_map = parse(json.dumps(value, indent=indent, ensure_ascii=False))
    _ = goal_map.goal_index
    for _ in range(data.draw(st.integers(1, 4))):
        first = data.draw(st.integers(0, len(goal_map.lines) - 1))
        end = data.draw(st.integers(first, len(goal_map.lines)))
        text = data.draw(st.text(alphabet='{}[]",:\n ab', max_size=12))
        new = split_lines(text)
        if end < len(goal_map.lines):
            new = new[:-1] if new[-1] == "" else [*new[:-1], new[-1] + "\n"]
        elif first == end == len(goal_map.lines):
            continue
        goal_map, _ = goal_map.replace_lines(first, end, new or ([""] if end == len(goal_map.lines) else []))
        again = parse(goal_map.text)
        if goal_map.lines != again.lines:
            break  # the edit left a last line without its empty successor, which no editor sends
        assert list(goal_map.syntax_problems()) == list(again.syntax_problems())
        assert goal_map.goals == again.goals


def test_a_reading_that_was_edited_is_spent_and_a_snapshot_is_not() -> None:
    goal_map = parse(BOTH_SHAPES)
    snapshot = goal_map.snapshot()
    edited, _ = goal_map.replace_lines(1, 2, [])
    with pytest.raises(AttributeError):
        goal_map.items_at(0)
    assert (snapshot.text, edited.text) == (BOTH_SHAPES, "".join([*snapshot.lines[:1], *snapshot.lines[2:]]))


def test_an_edit_of_a_value_scans_its_line_only() -> None:
    goal_map = parse(BOTH_SHAPES)
    _ = goal_map.goal_index
    line = 7
    edited, change = goal_map.replace_lines(line, line + 1, [goal_map.lines[line].replace("digital", "analog")])
    assert (change.first, change.old_end, change.end, change.index_kept) == (line, line + 1, line + 1, True)
    assert edited.goals[0].slots["persona"].references[0].file == "analog_detective.txt"


def test_a_goal_is_found_at_every_place_of_it() -> None:
    goal_map = parse('{"A": {"p": "x"}, "B":\n {"q": "y"}}')
    names = [goal.name if (goal := goal_map.goal_at(0, column)) else None for column in range(22)]
    assert names == [None] + ["A"] * 16 + [None] * 2 + ["B"] * 2 + [None]
    goal = goal_map.goal_at(1, 5)
    assert goal is not None
    assert goal.name == "B"
    assert goal.slots["q"].key_span == Span(1, 3, 4)
