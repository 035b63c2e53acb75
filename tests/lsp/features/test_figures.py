"""Code lenses and inlay hints: the figures beside goals, references and components."""

from collections.abc import Callable
from typing import Any

import pytest

from support.fixtures import ENCODINGS, FULL_CLIENT, Editor

Edit = Callable[..., Editor]

LIBRARY = """
-- goal_map.json --
{"$0⟦A⟧": {"persona": "critic.txt", "constraints": ["a.txt", "gone.txt", "b.txt"], "template": "t.txt"},
 "G": {"⟦B⟧": {"persona": "critic.txt"}}}
-- components/personas/critic.txt --
A critic of everything.
-- components/constraints/a.txt --
Cite.
-- components/constraints/b.txt --
Do not guess.
-- components/templates/t.txt --
{{ persona }}
-- components/constraints/unused.txt --
x
"""


def lenses(editor: Editor, path: str = "goal_map.json") -> list[Any]:
    found = editor.request("textDocument/codeLens", editor.document(path))
    return [editor.request("codeLens/resolve", lens) for lens in found or []]


def titles(editor: Editor, path: str = "goal_map.json") -> list[str]:
    return [lens["command"]["title"] for lens in lenses(editor, path)]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_lens_at_each_goal(edit: Edit, encoding: str) -> None:
    editor = edit(LIBRARY.replace("⟦B⟧", "⟦🦊⟧"), encoding=encoding)
    assert [editor.span("goal_map.json", lens["range"]) for lens in lenses(editor)] == editor.paper.ranges
    first, second = titles(editor)
    assert first.startswith("assembled prompt · 3 of 4 components · ")
    assert second.startswith("assembled prompt · 1 component · ")
    assert second.endswith(" tokens")


def test_tokens_are_those_of_the_prompt_that_the_preview_shows(edit: Edit) -> None:
    editor = edit(LIBRARY)
    shown = editor.request("goalmap/prompt", {"uri": editor.uri("goal_map.json"), "goal": ["G", "B"]})
    assert titles(editor)[1].replace("≈ ", "").endswith(f" · {shown['tokens']} tokens")


def test_lenses_follow_unsaved_components(edit: Edit) -> None:
    editor = edit(LIBRARY + "-- components/personas/critic.txt (unsaved) --\n" + "many words " * 900)
    assert int(titles(editor)[1].split()[-2]) > 1000


def test_a_component_says_who_uses_it(edit: Edit) -> None:
    editor = edit(LIBRARY)
    for path in ("components/personas/critic.txt", "components/constraints/a.txt", "components/constraints/unused.txt"):
        editor.open(path)
    assert titles(editor, "components/personas/critic.txt") == ["used by 2 goals"]
    assert titles(editor, "components/constraints/a.txt") == ["used by 1 goal"]
    assert titles(editor, "components/constraints/unused.txt") == ["used by no goal"]


def test_without_commands_of_the_clients_a_lens_only_says_something(edit: Edit) -> None:
    assert {lens["command"]["command"] for lens in lenses(edit(LIBRARY))} == {""}


@pytest.mark.parametrize(
    "how",
    [
        {"options": {"previewCommand": True}},
        {"capabilities": {**FULL_CLIENT, "experimental": {"goalmap": {"commands": ["goalmap.previewPrompt"]}}}},
    ],
)
def test_a_lens_opens_the_preview_where_the_client_has_one(edit: Edit, how: Any) -> None:
    editor = edit(LIBRARY, **how)
    command = lenses(editor)[1]["command"]
    assert command["command"] == "goalmap.previewPrompt"
    assert command["arguments"] == [{"uri": editor.uri("goal_map.json"), "goal": ["G", "B"]}]


def test_a_lens_shows_the_references_where_the_client_can(edit: Edit) -> None:
    declared = {**FULL_CLIENT, "experimental": {"goalmap": {"commands": ["goalmap.showReferences"]}}}
    editor = edit(LIBRARY, capabilities=declared)
    editor.open("components/personas/critic.txt")
    (lens,) = lenses(editor, "components/personas/critic.txt")
    uri, position, locations = lens["command"]["arguments"]
    assert (editor.path(uri), position) == ("components/personas/critic.txt", {"line": 0, "character": 0})
    assert [editor.under("goal_map.json", one["range"]) for one in locations] == ["critic.txt", "critic.txt"]


def test_a_lens_of_an_older_text_says_nothing_wrong(edit: Edit) -> None:
    editor = edit(LIBRARY)
    old = editor.request("textDocument/codeLens", editor.document("goal_map.json"))
    editor.type("goal_map.json", 0, len(editor.text("goal_map.json")), '{"C": {"persona": "critic.txt"}}')
    assert [editor.request("codeLens/resolve", lens)["command"]["title"] for lens in old] == ["…", "…"]
    uri = old[0]["data"]["uri"]
    strange = [None, {"uri": uri}, {"uri": uri, "number": 9}, {"uri": uri, "path": "p"}, {"uri": "x:", "path": "p"}]
    for data in strange:
        assert editor.request("codeLens/resolve", {"range": old[0]["range"], "data": data})["command"]["title"] == "…"


def test_lenses_are_asked_for_again_after_changes_elsewhere(edit: Edit) -> None:
    """After an edit of the map the client asks by itself."""
    editor = edit(LIBRARY)
    editor.open("components/personas/critic.txt")
    editor.received("workspace/codeLens/refresh")
    editor.received("workspace/inlayHint/refresh")
    editor.type("goal_map.json", 0, 0, " ")
    assert editor.received("workspace/codeLens/refresh") == []
    editor.type("components/personas/critic.txt", 0, 0, "x")
    assert len(editor.received("workspace/codeLens/refresh")) == 1
    assert len(editor.received("workspace/inlayHint/refresh")) == 1


# -- hints -------------------------------------------------------------------------------------------------------------
def hints(editor: Editor, start: int = 0, end: int | None = None) -> list[tuple[str, str]]:
    """Return the hints in a range: what each stands behind, and what it says."""
    text = editor.text("goal_map.json")
    range_ = {
        "start": editor.position(text, start),
        "end": editor.position(text, len(text) if end is None else end),
    }
    found = editor.request("textDocument/inlayHint", {**editor.document("goal_map.json"), "range": range_})
    return [(text[: editor.offset(text, one["position"])].rsplit('"', 2)[-2], one["label"]) for one in found or []]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_hint_behind_each_component_that_is_there(edit: Edit, encoding: str) -> None:
    assert hints(edit(LIBRARY.replace('"A⟧', '"🦊A⟧'), encoding=encoding)) == [
        ("critic.txt", "≈ 5 tokens"),
        ("a.txt", "≈ 1 token"),
        ("b.txt", "≈ 3 tokens"),
        ("t.txt", "≈ 3 tokens"),
        ("critic.txt", "≈ 5 tokens"),
    ]


def test_no_hints_outside_of_the_range(edit: Edit) -> None:
    editor = edit(LIBRARY)
    text = editor.text("goal_map.json")
    assert [name for name, _ in hints(editor, text.index("constraints"), text.index("template"))] == ["a.txt", "b.txt"]


def test_no_hints_in_components(edit: Edit) -> None:
    editor = edit(LIBRARY)
    editor.open("components/personas/critic.txt")
    range_ = {"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}}
    params = {**editor.document("components/personas/critic.txt"), "range": range_}
    assert editor.request("textDocument/inlayHint", params) is None


def test_a_half_typed_reference_has_its_hint_at_its_end(edit: Edit) -> None:
    editor = edit(
        '-- goal_map.json (open) --\n{"A": {"persona": "critic.txt\n-- components/personas/critic.txt --\nA critic.\n'
    )
    range_ = {"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}}
    (found,) = editor.request("textDocument/inlayHint", {**editor.document("goal_map.json"), "range": range_})
    assert found["position"] == editor.position(editor.text("goal_map.json"), len('{"A": {"persona": "critic.txt'))
