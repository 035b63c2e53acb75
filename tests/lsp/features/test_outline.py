"""Symbols, folds and links: what a map looks like from above."""

from collections.abc import Callable
from typing import Any

import pytest

from support.fixtures import ENCODINGS, FULL_CLIENT, Editor

Edit = Callable[..., Editor]

GROUPED = """
-- goal_map.json --
{
  "Technical": {
    "description": "Goals about code.",
    "DEBUG": {
      "title": "Find it",
      "persona": "critic.txt",
      "constraints": [
        "a.txt",
        "b.txt"
      ]
    },
    "EMPTY": {}
  },
  "FLAT": {"persona": "critic.txt"}
}
-- components/personas/critic.txt --
A critic.
-- components/constraints/a.txt --
a
"""


def symbols(editor: Editor, path: str = "goal_map.json") -> Any:
    return editor.request("textDocument/documentSymbol", editor.document(path))


def shape(symbol: Any) -> Any:
    children = [shape(child) for child in symbol.get("children", [])]
    return (symbol["name"], symbol["kind"], children) if children else (symbol["name"], symbol["kind"])


def opened(paper: str, path: str = "goal_map.json") -> str:
    return paper.replace(f"-- {path} --", f"-- {path} (open) --")


def test_categories_goals_and_slots(edit: Edit) -> None:
    found = symbols(edit(opened(GROUPED)))
    assert [shape(symbol) for symbol in found] == [
        ("Technical", 3, [("DEBUG", 5, [("persona", 7), ("constraints", 7)]), ("EMPTY", 5)]),
        ("FLAT", 5, [("persona", 7)]),
    ]
    slots = found[0]["children"][0]["children"]
    assert [slot["detail"] for slot in slots] == ["critic.txt", "2 components"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "text",
    [
        '{"🦊": {"persona": "é.txt", "constraints": ["🦊.txt"]}, "G": {"B": {"x": "y"}}}',
        '{"A": {"persona": "x',
        '{"A": {"persona',
        '{"A": {"constraints": ["x.txt", "y',
        '{"A": {"constraints": ["x.txt",\n"persona": "y"}}',
        '{"A": {"persona": "x", "persona": "y"}, "A": {"z": "w"}}',
        '{"A": {"": ""}, "": {"x": "y"}}',
    ],
)
def test_a_symbols_name_is_inside_it_and_it_inside_its_parent(edit: Edit, text: str, encoding: str) -> None:
    editor = edit(f"-- goal_map.json (open) --\n{text}\n", encoding=encoding)

    def check(symbol: Any, outer: tuple[int, int]) -> None:
        _, start, end = editor.span("goal_map.json", symbol["range"])
        _, name_start, name_end = editor.span("goal_map.json", symbol["selectionRange"])
        assert outer[0] <= start <= name_start <= name_end <= end <= outer[1]
        for child in symbol.get("children", []):
            check(child, (start, end))

    found = symbols(editor)
    assert found
    for symbol in found:
        check(symbol, (0, len(editor.text("goal_map.json"))))


def test_a_slot_ends_with_its_goal_whatever_is_broken_behind_it(edit: Edit) -> None:
    editor = edit('-- goal_map.json (open) --\n{"g": {"t": null}}, [c": {}}\n')
    (goal,) = symbols(editor)[:1]
    (slot,) = goal["children"]
    assert "detail" not in slot
    assert editor.under("goal_map.json", slot["range"]) == '"t"'


def test_a_client_without_trees_gets_a_list(edit: Edit) -> None:
    found = symbols(edit(opened(GROUPED), capabilities={}))
    assert [(one["name"], one["containerName"]) for one in found] == [
        ("Technical", ""),
        ("DEBUG", "Technical"),
        ("persona", "Technical/DEBUG"),
        ("constraints", "Technical/DEBUG"),
        ("EMPTY", "Technical"),
        ("FLAT", ""),
        ("persona", "FLAT"),
    ]


def test_ten_thousand_levels_are_an_outline_too(edit: Edit) -> None:
    deep = '{"a": ' * 10_000 + '{"persona": "x.txt"}' + "}" * 10_000
    found = symbols(edit(f"-- goal_map.json (open) --\n{deep}\n"))
    depth = 0
    while found and "children" in found[0]:
        found = found[0]["children"]
        depth += 1
    assert 32 <= depth <= 80


@pytest.mark.parametrize("method", ["documentSymbol", "foldingRange", "documentLink"])
def test_components_have_no_outline(edit: Edit, method: str) -> None:
    editor = edit(opened(GROUPED, "components/personas/critic.txt"))
    assert editor.request(f"textDocument/{method}", editor.document("components/personas/critic.txt")) is None


# -- folds -------------------------------------------------------------------------------------------------------------
def folds(editor: Editor) -> list[tuple[int, int]]:
    found = editor.request("textDocument/foldingRange", editor.document("goal_map.json"))
    return [(one["startLine"], one["endLine"]) for one in found]


def test_objects_and_lists_fold_up_to_the_line_of_their_end(edit: Edit) -> None:
    assert folds(edit(opened(GROUPED))) == [(0, 13), (1, 11), (3, 9), (6, 8)]


def test_what_is_still_open_folds_to_the_end(edit: Edit) -> None:
    assert folds(edit('-- goal_map.json (open) --\n{\n"A": {\n"persona": "x"\n')) == [(0, 3), (1, 3)]


def test_a_map_on_one_line_has_nothing_to_fold(edit: Edit) -> None:
    assert folds(edit('-- goal_map.json (open) --\n{"A": {"x": ["y"]}}\n')) == []
    assert folds(edit('-- goal_map.json (open) --\n{"A": {"x": ["y"]\n}}\n')) == []


def test_no_more_folds_than_the_client_takes(edit: Edit) -> None:
    editor = edit(opened(GROUPED), capabilities={"textDocument": {"foldingRange": {"rangeLimit": 2}}})
    assert folds(editor) == [(0, 13), (1, 11)]


# -- links -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_reference_that_exists_is_a_link_in_map_order(edit: Edit, encoding: str) -> None:
    editor = edit(
        """
-- goal_map.json (open) --
{"🦊": {"constraints": ["⟦a.txt⟧", "gone.txt", "⟦🦊 b.txt⟧"], "persona": "⟦critic.txt⟧", "title": "a.txt"}}
-- components/personas/critic.txt --
x
-- components/constraints/a.txt --
a
""",
        encoding=encoding,
        capabilities=FULL_CLIENT,
    )
    editor.write("components/constraints/🦊 b.txt", "b")
    editor.session.refresh(next(iter(editor.session.libraries.values())))
    found = editor.request("textDocument/documentLink", editor.document("goal_map.json"))
    assert [editor.span("goal_map.json", link["range"]) for link in found] == editor.paper.ranges
    targets = ["components/constraints/a.txt", "components/constraints/🦊 b.txt", "components/personas/critic.txt"]
    assert [editor.path(link["target"]) for link in found] == targets
    assert [link["tooltip"] for link in found] == targets


# -- the workspace -----------------------------------------------------------------------------------------------------
def search(editor: Editor, query: str) -> list[tuple[str, str]]:
    return [(one["name"], one["containerName"]) for one in editor.request("workspace/symbol", {"query": query})]


def test_a_name_that_no_file_can_have_leads_nowhere_and_keeps_the_others(edit: Edit) -> None:
    text = '{"G": {"constraints": ["a.txt", "$0\\ud83d.txt"]}}'
    editor = edit(f"-- goal_map.json (open) --\n{text}\n-- components/constraints/a.txt --\nA\n")
    links = editor.request("textDocument/documentLink", editor.document("goal_map.json"))
    assert [editor.under("goal_map.json", link["range"]) for link in links] == ["a.txt"]
    params = {**editor.here, "context": {"includeDeclaration": True}}
    assert len(editor.request("textDocument/references", params)) == 1


def test_goals_and_components_of_all_libraries(edit: Edit) -> None:
    editor = edit(
        opened(GROUPED)
        + '-- inner/goal_map.json --\n{"DEBUG_MORE": {"persona": "x.txt"}}\n'
        + "-- inner/components/personas/debugger.txt --\nx\n"
    )
    assert search(editor, "debug") == [
        ("DEBUG", "Technical"),
        ("DEBUG_MORE", ""),
        ("debugger.txt", "components/personas"),
    ]
    assert search(editor, "debgu")[0] == ("DEBUG", "Technical")
    assert search(editor, "zzzzqqq") == []
    assert ("critic.txt", "components/personas") in search(editor, "")


def test_names_that_begin_with_the_query_come_first_and_short_ones_before_long_ones(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"X_FIX": {"a": "b"}, "FIX_ALL": {"a": "b"}, "FIX": {"a": "b"}}\n')
    assert [name for name, _ in search(editor, "fix")] == ["FIX", "FIX_ALL", "X_FIX"]


def test_a_found_goal_stands_where_the_unsaved_map_has_it(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{}\n-- goal_map.json (unsaved) --\n\n\n{"⟦FRESH⟧": {"persona": "x.txt"}}\n')
    (found,) = editor.request("workspace/symbol", {"query": "fresh"})
    assert [editor.span("goal_map.json", found["location"]["range"])] == editor.paper.ranges


def test_not_more_than_a_person_reads(edit: Edit) -> None:
    goals = ", ".join(f'"GOAL_{number}": {{"x": "y"}}' for number in range(500))
    editor = edit(f"-- goal_map.json --\n{{{goals}}}\n")
    assert len(search(editor, "goal")) == len(search(editor, "")) == 128
