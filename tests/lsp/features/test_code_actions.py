"""Quick fixes, each taken and looked at afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.fixtures import FULL_CLIENT, Editor

Edit = Callable[..., Editor]

ASKING = {**FULL_CLIENT, "experimental": {"interactiveResolve": {"inputTypes": ["string"]}}}
LIBRARY = """
-- components/personas/detective.txt --
You are P.
-- components/protocols/drill.txt --
Ask why.
-- components/constraints/c.txt --
No guessing.
"""


def set_naming(editor: Editor, naming: str) -> None:
    settings = {"goalmap": {"generation": {"naming": naming}}}
    editor.notify("workspace/didChangeConfiguration", {"settings": settings})


def actions(editor: Editor, *, only: list[str] | None = None) -> list[Any]:
    here = editor.here
    range_ = {"start": here["position"], "end": here["position"]}
    context = {"diagnostics": [], **({"only": only} if only else {})}
    return editor.request("textDocument/codeAction", {**here, "range": range_, "context": context}) or []


def titled(editor: Editor, start: str, **how: Any) -> Any:
    found = [action for action in actions(editor, **how) if action["title"].startswith(start)]
    assert found, [action["title"] for action in actions(editor)]
    return found[0]


MISSING = '-- goal_map.json --\n{"Tech": {"DEBUG": {"persona": "dete$0ctiv.txt", "protocol": ["x.txt", "drill.txt"]}}}'


def test_the_fixes_for_a_missing_component_in_their_order(edit: Edit) -> None:
    found = actions(edit(MISSING + LIBRARY, capabilities=ASKING))
    assert [action["title"] for action in found] == [
        "Generate missing component detectiv.txt… (new file components/personas/autogen_persona_for_debug.txt)",
        "Generate detectiv.txt under its own name… (components/personas/detectiv.txt)",
        "Use detective.txt instead",
        "Create empty components/personas/detectiv.txt",
        "Remove the reference to detectiv.txt",
        "Generate all 2 missing components of DEBUG…",
    ]
    assert [action.get("isPreferred", False) for action in found] == [True, *[False] * 5]
    assert {action["kind"] for action in found} == {"quickfix"}
    assert found[0]["command"]["command"] == "goalmap.generateComponent"
    [argument] = found[0]["command"]["arguments"]
    assert {key: argument[key] for key in ("goal", "slot", "index", "file", "naming")} == {
        "goal": ["Tech", "DEBUG"], "slot": "persona", "index": None, "file": "detectiv.txt", "naming": "autogen",
    }  # fmt: skip


def test_a_setting_says_which_name_is_preferred(edit: Edit) -> None:
    editor = edit(MISSING + LIBRARY, capabilities=ASKING)
    set_naming(editor, "referenced")
    assert [action.get("isPreferred", False) for action in actions(editor)][:2] == [False, True]


def test_a_client_that_cannot_ask_gets_the_name_of_the_setting(edit: Edit) -> None:
    editor = edit(MISSING + LIBRARY)
    set_naming(editor, "referenced")
    fix = actions(editor)[0]
    assert fix["title"] == "Generate detectiv.txt as «detectiv» (components/personas/detectiv.txt)"
    assert fix["command"]["arguments"][0]["naming"] == "referenced"


def test_the_index_of_a_list_goes_along(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A": {"protocol": ["drill.txt", "x$0.txt"]}}' + LIBRARY, capabilities=ASKING)
    assert titled(editor, "Generate missing")["command"]["arguments"][0]["index"] == 1


def test_a_generated_name_that_is_taken_gets_a_number(edit: Edit) -> None:
    taken = LIBRARY + "-- components/personas/Autogen_persona_for_debug.txt --\nx\n"
    assert "autogen_persona_for_debug_2.txt" in titled(edit(MISSING + taken, capabilities=ASKING), "Generate")["title"]


def test_a_client_that_cannot_ask_gets_two_fixes_that_need_no_question(edit: Edit) -> None:
    editor = edit(MISSING + LIBRARY)
    first, second = actions(editor)[:2]
    assert first["title"].startswith("Generate detectiv.txt as «detectiv»")
    assert first["command"]["arguments"][0]["description"] == "detectiv"
    assert second["title"] == "Describe detectiv.txt in the map first"
    editor.apply(second["edit"])
    debug = json.loads(editor.text("goal_map.json"))["Tech"]["DEBUG"]
    assert list(debug) == ["persona$description", "persona", "protocol"]
    text = editor.text("goal_map.json")
    at = text.index("TODO")
    editor.type("goal_map.json", at, text.index('"', at), "a detective for logs")
    place = editor.at("goal_map.json", editor.text("goal_map.json").index("detectiv.txt"))
    range_ = {"start": place["position"], "end": place["position"]}
    found = editor.request("textDocument/codeAction", {**place, "range": range_, "context": {"diagnostics": []}})
    assert found[0]["title"].startswith("Generate detectiv.txt as «a detective for logs» (from the map")
    assert found[0]["command"]["arguments"][0]["description"] == "a detective for logs"


@pytest.mark.parametrize(
    ("goal", "title", "expected"),
    [
        ('{"persona": "dete$0ctiv.txt"}', "Use detective.txt", {"persona": "detective.txt"}),
        ('{"persona": "dete$0ctiv.txt", "protocol": "drill.txt"}', "Remove", {"protocol": "drill.txt"}),
        ('{"constraints": ["c.txt", "$0x.txt"]}', "Remove", {"constraints": ["c.txt"]}),
        ('{"persona": "Dete$0ctive.txt"}', "Use detective.txt", {"persona": "detective.txt"}),
        ('{"constraints": ["c.txt", "c$0.txt"]}', "Remove", {"constraints": ["c.txt"]}),
        ('{"persona": "../x$0.txt", "protocol": "drill.txt"}', "Remove", {"protocol": "drill.txt"}),
        ('{"protcol$0": "drill.txt"}', "Rename the slot to protocol", {"protocol": "drill.txt"}),
    ],
)
def test_a_fix_that_edits_the_map(goal: str, title: str, expected: Any, edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A": ' + goal + "}" + LIBRARY)
    editor.apply(titled(editor, title)["edit"])
    assert json.loads(editor.text("goal_map.json"))["A"] == expected


def test_one_action_fixes_all_that_is_safe(edit: Edit) -> None:
    goal = '{"persona": "DETECTIVE.txt", "constraints": ["C.txt", "c.txt", "c.txt"], "protocol": "missing$0.txt"}'
    editor = edit('-- goal_map.json --\n{"A": ' + goal + "}" + LIBRARY)
    editor.apply(titled(editor, "Fix all", only=["source.fixAll"])["edit"])
    assert json.loads(editor.text("goal_map.json"))["A"] == {
        "persona": "detective.txt",
        "constraints": ["c.txt", "c.txt"],
        "protocol": "missing.txt",
    }


def test_an_unused_component_can_be_deleted(edit: Edit) -> None:
    paper = '-- goal_map.json --\n{"A": {"persona": "detective.txt"}}' + LIBRARY.replace("Ask why", "Ask $0why")
    action = titled(edit(paper), "Delete components/protocols/drill.txt")
    assert action["edit"]["documentChanges"][0]["kind"] == "delete"


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ('{"persona": "detective.txt"}', {"protocol": "drill.txt", "persona": "detective.txt"}),
        ('{"protocol": ["x.txt"]}', {"protocol": ["x.txt", "drill.txt"]}),
        ('{\n"protocol": [\n  "x.txt"\n]}', {"protocol": ["x.txt", "drill.txt"]}),
    ],
)
def test_an_unused_component_can_be_added_to_a_goal(goal: str, expected: Any, edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A": ' + goal + "}" + LIBRARY.replace("Ask why", "Ask $0why"))
    editor.apply(titled(editor, "Add to A")["edit"])
    assert json.loads(editor.text("goal_map.json"))["A"] == expected


def test_a_goal_whose_slot_is_taken_has_no_room_for_another(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A": {"protocol": "x.txt"}}' + LIBRARY.replace("Ask why", "Ask $0why"))
    assert [action["title"] for action in actions(editor)] == ["Delete components/protocols/drill.txt"]


def test_an_empty_file_is_created_by_the_server_where_the_client_cannot(edit: Edit) -> None:
    editor = edit(MISSING + LIBRARY, capabilities={})
    action = titled(editor, "Create empty")
    assert editor.request("workspace/executeCommand", action["command"]) is True
    assert editor.full("components/personas/detectiv.txt").read_bytes() == b""


def test_a_half_typed_map_has_fixes_too(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A": {"persona": "dete$0ctiv.t' + LIBRARY.replace("-- comp", "-- comp", 1))
    editor.apply(titled(editor, "Use detective.txt")["edit"])
    assert editor.text("goal_map.json").startswith('{"A": {"persona": "detective.txt"')


TEMPLATE = """-- goal_map.json --
{"A": {"persona": "detective.txt", "protocol": "drill.txt", "template": "t.md"},
 "B": {"persona": "detective.txt", "template": "t.md"}}
-- components/templates/t.md --
{{ title }}: {{ per$0sonna }} and {{ protocl }}
"""


def test_a_variable_is_renamed_to_a_near_one_that_all_goals_of_the_template_have(edit: Edit) -> None:
    editor = edit(TEMPLATE + LIBRARY)
    [fix] = actions(editor)
    assert fix["title"] == "Use persona instead"
    assert fix["diagnostics"][0]["code"] == "template.unknown-variable"
    editor.apply(fix["edit"])
    assert editor.text("components/templates/t.md").rstrip() == "{{ title }}: {{ persona }} and {{ protocl }}"


def test_a_name_that_not_all_of_the_goals_have_is_not_offered(edit: Edit) -> None:
    paper = TEMPLATE.replace("$0", "").replace("{{ protocl", "{{ pro$0tocl")
    assert [fix["title"] for fix in actions(edit(paper + LIBRARY))] == []
