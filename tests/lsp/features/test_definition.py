"""Definition, references and highlights: from a place marked $0 to the ranges marked ⟦…⟧."""

from collections.abc import Callable
from typing import Any

import pytest

from support.fixtures import ENCODINGS, FULL_CLIENT, Editor

Edit = Callable[..., Editor]


def definition(editor: Editor, params: Any = None) -> list[tuple[str, int, int]]:
    found = editor.request("textDocument/definition", params or editor.here)
    return [editor.span(editor.path(link["targetUri"]), link["targetSelectionRange"]) for link in found or []]


def references(editor: Editor, *, declaration: bool = False) -> list[tuple[str, int, int]]:
    params = {**editor.here, "context": {"includeDeclaration": declaration}}
    found = editor.request("textDocument/references", params)
    return [editor.span(editor.path(place["uri"]), place["range"]) for place in found or []]


COMPONENTS = """
-- components/personas/critic.txt --
⟦⟧A critic.
-- components/constraints/a.txt --
a
-- components/constraints/b/c.txt --
c
"""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_reference_leads_to_its_component(edit: Edit, encoding: str) -> None:
    editor = edit(f'-- goal_map.json --\n{{"🦊": {{"persona": "$0critic.txt"}}}}{COMPONENTS}', encoding=encoding)
    (link,) = editor.request("textDocument/definition", editor.here)
    assert editor.path(link["targetUri"]) == "components/personas/critic.txt"
    assert editor.under("goal_map.json", link["originSelectionRange"]) == "critic.txt"
    assert definition(editor) == editor.paper.ranges


def test_a_client_without_links_gets_locations(edit: Edit) -> None:
    editor = edit(f'-- goal_map.json --\n{{"A": {{"persona": "critic$0.txt"}}}}{COMPONENTS}', capabilities={})
    (found,) = editor.request("textDocument/definition", editor.here)
    assert found.keys() == {"uri", "range"}
    assert editor.path(found["uri"]) == "components/personas/critic.txt"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ('{"A": {"constraints": ["a.txt", "b/$0c.txt"]}}', "components/constraints/b/c.txt"),
        ('{"A": {"persona": "critic.txt$0', "components/personas/critic.txt"),
        ('{"G": {"A": {"persona": "critic.txt$0,\n"x": "y"}}', "components/personas/critic.txt"),
    ],
)
def test_lists_subfolders_and_half_typed_maps(edit: Edit, text: str, target: str) -> None:
    assert definition(edit(f"-- goal_map.json --\n{text}{COMPONENTS}")) == [(target, 0, 0)]


@pytest.mark.parametrize(
    "text",
    [
        '{"A": {"persona": "gone$0.txt"}}',
        '{"A": {"persona": "$0"}}',
        '{"A": {"per$0sona": "critic.txt"}}',
        '{"A": {"description": "crit$0ic.txt"}}',
        '{"A": {"persona": "critic.txt"}} $0',
        "$0",
        '{"A": {"persona": "../../goal_map$0.json"}}',
    ],
)
def test_nothing_to_lead_to(edit: Edit, text: str) -> None:
    editor = edit(f"-- goal_map.json --\n{text}{COMPONENTS}")
    assert editor.request("textDocument/definition", editor.here) is None


def test_a_goals_key_leads_to_itself(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"G": {"⟦DE$0BUG⟧": {"persona": "critic.txt"}}}\n')
    assert definition(editor) == editor.paper.ranges


def test_a_component_leads_to_the_goals_that_name_it(edit: Edit) -> None:
    editor = edit(
        """
-- goal_map.json --
{"A": {"persona": "⟦critic.txt⟧"}, "B": {"persona": ["x.txt", "⟦critic.txt⟧"], "protocol": "critic.txt"}}
-- components/personas/critic.txt --
A cri$0tic.
"""
    )
    assert definition(editor) == editor.paper.ranges


def test_the_unsaved_map_counts(edit: Edit) -> None:
    editor = edit(
        """
-- goal_map.json --
{"A": {"persona": "critic.txt"}}
-- goal_map.json (unsaved) --
{"A": {"persona": "x.txt"},
 "B": {"persona": "⟦critic.txt⟧"}}
-- components/personas/critic.txt --
A cri$0tic.
"""
    )
    assert definition(editor) == editor.paper.ranges


# -- templates ---------------------------------------------------------------------------------------------------------
def a_template(text: str) -> str:
    return (
        '-- goal_map.json --\n{"⟦A⟧": {"title": "⟦Alpha⟧", "⟦persona⟧": "critic.txt", "template": "⟦t.txt⟧"}}'
        f"{COMPONENTS}-- components/templates/t.txt --\n{text}\n"
    )


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("{{ per$0sona }}", "persona"),
        ("{% if title$0 %}", "Alpha"),
        ("{{ goal$0 }}", "A"),
        ("plain te$0xt", "t.txt"),
        ("{{ mystery$0 }}", "t.txt"),
    ],
)
def test_a_templates_variable_leads_to_what_the_map_has_for_it(edit: Edit, text: str, marked: str) -> None:
    editor = edit(a_template(text))
    assert [editor.text(path)[start:end] for path, start, end in definition(editor)] == [marked]
    assert set(definition(editor)) <= set(editor.paper.ranges)


def test_a_variable_leads_to_every_goal_that_uses_the_template(edit: Edit) -> None:
    editor = edit(
        """
-- goal_map.json --
{"A": {"⟦persona⟧": "x.txt", "template": "t.txt"}, "B": {"⟦persona⟧": "y.txt", "template": "t.txt"},
 "C": {"persona": "x.txt"}}
-- components/templates/t.txt --
{{ $0persona }}
"""
    )
    assert definition(editor) == editor.paper.ranges


# -- several libraries -------------------------------------------------------------------------------------------------
TWO_ROOTS = """
-- one/goal_map.json --
{"A": {"persona": "cri$0tic.txt"}}
-- one/components/personas/critic.txt --
The first critic.
-- two/goal_map.json --
{"B": {"persona": "critic.txt"}}
-- two/components/personas/critic.txt --
The second critic.
-- outside/goal_map.json --
{"C": {"persona": "critic.txt"}}
"""


def test_each_folder_of_a_workspace_has_its_own_library(edit: Edit) -> None:
    editor = edit(TWO_ROOTS, roots=("one", "two"))
    assert definition(editor) == [("one/components/personas/critic.txt", 0, 0)]
    found = editor.request("textDocument/rename", {**editor.here, "newName": "judge.txt"})
    editor.apply(found)
    assert editor.text("one/goal_map.json") == '{"A": {"persona": "judge.txt"}}\n'
    assert editor.text("two/goal_map.json") == '{"B": {"persona": "critic.txt"}}\n'
    goals = [one["name"] for one in editor.request("workspace/symbol", {"query": ""}) if one["kind"] == 5]
    assert sorted(goals) == ["A", "B"]


def test_a_library_outside_of_the_workspace_is_taken_in_when_it_is_opened(edit: Edit) -> None:
    editor = edit(TWO_ROOTS, roots=("one",))
    editor.open("two/components/personas/critic.txt")
    at = editor.at("two/components/personas/critic.txt", 3)
    (link,) = editor.request("textDocument/definition", at)
    assert editor.under("two/goal_map.json", link["targetRange"]) == "critic.txt"


# -- references --------------------------------------------------------------------------------------------------------
MANY = """
-- goal_map.json --
{"A": {"persona": "⟦cri$0tic.txt⟧"},
 "G": {"description": "critic.txt", "B": {"persona": ["⟦critic.txt⟧", "x.txt"]}},
 "C": {"protocol": "critic.txt"}}
-- components/personas/critic.txt --
⟦⟧A critic.
-- inner/goal_map.json --
{"A": {"persona": "critic.txt"}}
-- inner/components/personas/critic.txt --
Another critic.
"""


def test_all_references_of_the_library_and_of_no_other(edit: Edit) -> None:
    editor = edit(MANY)
    assert references(editor) == [place for place in editor.paper.ranges if place[0] == "goal_map.json"]
    assert sorted(references(editor, declaration=True)) == sorted(editor.paper.ranges)


def test_references_from_within_the_component(edit: Edit) -> None:
    editor = edit(MANY.replace("cri$0tic", "critic").replace("⟦⟧A critic.", "⟦⟧A cr$0itic."))
    assert references(editor) == [place for place in editor.paper.ranges if place[0] == "goal_map.json"]


def test_a_missing_component_has_references_and_no_declaration(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A": {"persona": "⟦gone$0.txt⟧"}, "B": {"persona": "⟦gone.txt⟧"}}\n')
    assert references(editor, declaration=True) == editor.paper.ranges


def test_a_goal_is_named_by_nothing_but_itself(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"⟦A$0⟧": {"persona": "x.txt"}}\n')
    assert references(editor) == []
    assert references(editor, declaration=True) == editor.paper.ranges


def test_a_component_that_nobody_names(edit: Edit) -> None:
    editor = edit("-- goal_map.json --\n{}\n-- components/personas/critic.txt --\nA$0\n")
    assert references(editor) == []


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_highlights_are_the_references_within_the_map(edit: Edit, encoding: str) -> None:
    editor = edit(MANY.replace('"A": {', '"🦊": {'), encoding=encoding)
    found = editor.request("textDocument/documentHighlight", editor.here)
    spans = [editor.span("goal_map.json", one["range"]) for one in found]
    assert spans == [place for place in editor.paper.ranges if place[0] == "goal_map.json"]


@pytest.mark.parametrize("text", ['{"A$0": {"persona": "critic.txt"}}', '{"A": {"persona": "$0"}}'])
def test_nothing_to_highlight(edit: Edit, text: str) -> None:
    editor = edit(f"-- goal_map.json --\n{text}{COMPONENTS}", capabilities=FULL_CLIENT)
    assert editor.request("textDocument/documentHighlight", editor.here) is None


def test_a_document_of_no_library_has_no_answers(edit: Edit) -> None:
    editor = edit("-- notes.txt --\nno$0\n")
    for method in ("definition", "completion", "documentHighlight", "hover", "prepareRename"):
        assert editor.request(f"textDocument/{method}", editor.here) is None
    assert references(editor) == []
