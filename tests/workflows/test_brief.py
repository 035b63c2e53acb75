"""What a model is told: the goal, its other components, and its nearest relatives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from goalmap.core.goal_map import parse
from goalmap.workflows import make_brief, planned_file


def test_siblings_and_the_nearest_examples(bench: Any) -> None:
    brief = make_brief(bench.request, bench.neighbours(), file="new.txt")
    assert (brief.component_type, brief.goal, brief.file) == ("protocol", ("Technical", "DEBUG"), "new.txt")
    assert brief.siblings == (("persona", "You find causes."), ("constraints", "Cite evidence."))
    # REVIEW is of the same category; DRAFT is the nearer one of the others.
    assert brief.examples == (("passes.txt", "Read it three times."), ("scene.txt", "Want, obstacle, turn."))


def test_an_editors_unsaved_texts_are_told(bench: Any) -> None:
    neighbours = bench.neighbours()
    text = bench.map_text.replace('"persona"', '"title": "Find it", "description": "At last.", "persona"', 1)
    told = replace(neighbours, goal_map=parse(text), read=lambda path: f"unsaved {path}")
    brief = make_brief(bench.request, told, file="new.txt")
    assert (brief.goal_title, brief.goal_description) == ("Find it", "At last.")
    assert brief.siblings[0] == ("persona", "unsaved components/personas/detective.txt")


def test_what_cannot_be_read_is_left_out(bench: Any) -> None:
    (bench.root / "components/personas/detective.txt").write_bytes(b"\xff")
    (bench.root / "components/constraints/evidence.txt").write_text(" \n")
    (bench.root / "components/protocols/passes.txt").unlink()
    brief = make_brief(bench.request, bench.neighbours(), file="new.txt")
    assert brief.siblings == ()
    assert [file for file, _ in brief.examples] == ["scene.txt", "line_edit.txt"]


@pytest.mark.parametrize(
    ("there", "named", "planned"),
    [
        ([], [], "autogen_protocol_for_debug.txt"),
        (["autogen_protocol_for_debug.txt"], [], "autogen_protocol_for_debug_2.txt"),
        (["Autogen_Protocol_for_debug.TXT"], [], "autogen_protocol_for_debug_2.txt"),
        (["autogen_protocol_for_debug.txt"], ["autogen_protocol_for_debug_2.txt"], "autogen_protocol_for_debug_3.txt"),
    ],
)
async def test_the_planned_name_is_a_free_one(there: list[str], named: list[str], planned: str, bench: Any) -> None:
    for name in there:
        (bench.root / "components/protocols" / name).write_text("x")
    for name in named:
        (bench.root / "goal_map.json").write_text(bench.map_text.replace("scene.txt", name))
    assert planned_file(bench.request, bench.neighbours()) == planned
    assert planned_file(replace(bench.request, naming="referenced"), bench.neighbours()) == "drill.txt"
