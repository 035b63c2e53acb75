"""Minimal edits: one string changes, and no other character."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goalmap.core.edits import (
    EditError,
    apply,
    insert_member,
    reference_at,
    remove_reference,
)
from goalmap.core.goal_map import parse
from support.map_edits import reference_value, set_reference

names = st.sampled_from(["a.txt", "ü😀.txt", "", 'quo"te.txt', "back\\slash", "\u2028.txt"])
slots = names | st.lists(names, min_size=1, max_size=3)
goals = st.dictionaries(st.sampled_from(["persona", "protocol", "constraints", "ké y"]), slots, min_size=1, max_size=4)
maps = st.dictionaries(st.sampled_from(["A", "B/C", "D"]), goals, min_size=1, max_size=3)
layouts = st.sampled_from([(None, "\n"), (2, "\n"), (1, "\r\n"), ("\t", "\n"), (0, "\r")])


@settings(max_examples=300)
@given(maps, layouts, st.booleans(), st.booleans(), st.data())
def test_a_set_reference_changes_one_string_and_no_other_byte(
    value: dict[str, Any],
    layout: Any,
    ascii_only: bool,
    mark: bool,
    data: Any,
) -> None:
    indent, line_end = layout
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).replace("\n", line_end)
    text = ("\ufeff" if mark else "") + text + line_end
    places = [
        (goal, slot, index)
        for goal, members in value.items()
        for slot, files in members.items()
        for index in ([None] if isinstance(files, str) else range(len(files)))
    ]
    goal, slot, index = data.draw(st.sampled_from(places))
    new = data.draw(names)
    edited = set_reference(text, [goal], slot, index, new)
    if index is None:
        value[goal][slot] = new
    else:
        value[goal][slot][index] = new
    assert json.loads(edited.removeprefix("\ufeff")) == value
    assert reference_value(edited, [goal], slot, index) == new
    span = reference_at(parse(text), [goal], slot, index).span
    before = "".join(parse(text).lines[: span.line]) + parse(text).lines[span.line][: span.start]
    after = parse(text).lines[span.line][span.end :] + "".join(parse(text).lines[span.line + 1 :])
    assert edited.startswith(before)
    assert edited.endswith(after)


@settings(max_examples=300)
@given(maps, layouts, st.data())
def test_a_removed_reference_leaves_valid_json_without_it(value: dict[str, Any], layout: Any, data: Any) -> None:
    indent, line_end = layout
    text = json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", line_end)
    goal_map = parse(text)
    reference = data.draw(st.sampled_from(list(goal_map.references())))
    edited = apply(text, remove_reference(goal_map, reference))
    goal = value[reference.goal[0]]
    if reference.index is None:
        del goal[reference.slot]
    else:
        del goal[reference.slot][reference.index]
    assert json.loads(edited) == value


def test_a_member_is_inserted_as_its_neighbours_stand() -> None:
    text = '{\n  "A": {\r\n\t"p": "x"\n  }, "B": {"q": "y"}\n}'
    goal_map = parse(text)
    a, b = goal_map.goals
    edits = [insert_member(goal_map, a, "p$description", 'say "hi"', before="p"), insert_member(goal_map, b, "t", "u")]
    assert apply(text, edits) == (
        '{\n  "A": {\r\n\t"p$description": "say \\"hi\\"",\n\t"p": "x"\n  }, "B": {"t": "u", "q": "y"}\n}'
    )


def test_a_half_typed_string_gets_its_closing_quote() -> None:
    assert set_reference('{"A": {"p": "x.t', ["A"], "p", None, "y.txt") == '{"A": {"p": "y.txt"'


@pytest.mark.parametrize(
    ("goal", "slot", "index"),
    [(["X"], "p", None), (["A"], "x", None), (["A"], "p", 0), (["A"], "l", 2), ([], "p", None)],
)
def test_a_place_that_is_not_there_is_said(goal: list[str], slot: str, index: int | None) -> None:
    text = '{"A": {"p": "x", "l": ["a", "b"]}}'
    with pytest.raises(EditError):
        set_reference(text, goal, slot, index, "y")
    assert reference_value(text, goal, slot, index) is None


def test_of_two_equal_keys_the_one_that_counts_is_edited() -> None:
    assert set_reference('{"A": {"p": "1", "p": "2"}}', ["A"], "p", None, "3") == '{"A": {"p": "1", "p": "3"}}'
