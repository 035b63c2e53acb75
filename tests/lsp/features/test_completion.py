"""Completion: each case is a map with a cursor, an item to take, and the map that comes out."""

from collections.abc import Callable
from typing import Any

import pytest

from support.fixtures import ENCODINGS, FULL_CLIENT, Editor

Edit = Callable[..., Editor]

FILES = """
-- components/personas/critic.txt --
A critic.
-- components/personas/detective.txt --
A detective.
-- components/constraints/cite.txt --
Cite.
-- components/constraints/guess.txt --
Do not guess.
-- components/protocols/security/owasp.txt --
Ten risks.
-- components/protocols/drill.txt --
Ask why.
-- components/output_formats/table.txt --
A table.
-- components/templates/plain.txt --
{{ persona }}
"""


def complete(editor: Editor) -> list[Any]:
    found = editor.request("textDocument/completion", editor.here)
    return sorted(found["items"], key=lambda item: item["sortText"]) if found else []


def labels(editor: Editor) -> list[str]:
    return [item["label"] for item in complete(editor)]


def take(editor: Editor, label: str) -> str:
    """Return the document after taking an item, as a client does it."""
    path, cursor = editor.paper.cursor
    item = next(item for item in complete(editor) if item["label"] == label)
    _, start, end = editor.span(path, item["textEdit"]["range"])
    assert start <= cursor <= end, "the range must hold the cursor"
    text = editor.text(path)
    assert "\n" not in text[start:end], "the range must be on one line"
    assert item["filterText"][0] != '"', "the client compares it with what stands between the quotes"
    return text[:start] + item["textEdit"]["newText"] + text[end:]


def a_map(text: str) -> str:
    return f"-- goal_map.json --\n{text}{FILES}"


@pytest.mark.parametrize(
    ("before", "label", "after"),
    [
        ('{"A": {"persona": "$0"}}', "critic.txt", '{"A": {"persona": "critic.txt"}}'),
        ('{"A": {"persona": "cr$0"}}', "critic.txt", '{"A": {"persona": "critic.txt"}}'),
        ('{"A": {"persona": "cr$0itic.txt"}}', "detective.txt", '{"A": {"persona": "detective.txt"}}'),
        ('{"A": {"persona": $0}}', "critic.txt", '{"A": {"persona": "critic.txt"}}'),
        ('{"A": {"persona": cr$0}}', "critic.txt", '{"A": {"persona": "critic.txt"}}'),
        (
            '{"A": {"constraints": ["cite.txt", "$0"]}}',
            "guess.txt",
            '{"A": {"constraints": ["cite.txt", "guess.txt"]}}',
        ),
        ('{"A": {"constraints": [$0]}}', "cite.txt", '{"A": {"constraints": ["cite.txt"]}}'),
        ('{"A": {"constraints": ["cite.txt", $0]}}', "guess.txt", '{"A": {"constraints": ["cite.txt", "guess.txt"]}}'),
        ('{"A": {"output_format": "$0"}}', "table.txt", '{"A": {"output_format": "table.txt"}}'),
        ('{"A": {"template": "$0"}}', "plain.txt", '{"A": {"template": "plain.txt"}}'),
        ('{"A": {"protocol": "$0"}}', "security/", '{"A": {"protocol": "security/"}}'),
        ('{"A": {"protocol": "security/$0"}}', "security/owasp.txt", '{"A": {"protocol": "security/owasp.txt"}}'),
    ],
)
def test_files_of_the_slots_folder(edit: Edit, before: str, label: str, after: str) -> None:
    assert take(edit(a_map(before)), label).rstrip("\n") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"A": {"persona": "$0', '{"A": {"persona": "critic.txt"'),
        ('{"A": {"persona": "cr$0}}', '{"A": {"persona": "critic.txt"}}'),
        (
            '{"A": {"persona": "cr$0, "protocol": "drill.txt"}}',
            '{"A": {"persona": "critic.txt", "protocol": "drill.txt"}}',
        ),
        ('{"A": {\n  "persona": "$0\n  "protocol": "x"}}', '{"A": {\n  "persona": "critic.txt"\n  "protocol": "x"}}'),
        ('{"A": {\n  "persona": "$0,\n  "protocol": "x"}}', '{"A": {\n  "persona": "critic.txt",\n  "protocol": "x"}}'),
        ('{"A": {"persona": ["$0', '{"A": {"persona": ["critic.txt"'),
        ('{"A": {\n"persona": ["$0\n],\n"x": "y"}}', '{"A": {\n"persona": ["critic.txt"\n],\n"x": "y"}}'),
        ('{"A": {"persona" "$0"}}', '{"A": {"persona" "critic.txt"}}'),
        ('{"G": {"A": {"persona": "$0', '{"G": {"A": {"persona": "critic.txt"'),
    ],
)
def test_a_half_typed_map_is_as_good_as_a_whole_one(edit: Edit, before: str, after: str) -> None:
    text = take(edit(a_map(before)), "critic.txt")
    assert text.rstrip("\n") == after


def test_what_the_list_has_already_comes_last(edit: Edit) -> None:
    editor = edit(a_map('{"A": {"constraints": ["cite.txt", "$0"]}}'))
    assert labels(editor) == ["guess.txt", "cite.txt"]
    assert complete(editor)[-1]["detail"] == "already in this list"


def test_the_element_under_the_cursor_is_not_taken_for_used(edit: Edit) -> None:
    assert labels(edit(a_map('{"A": {"constraints": ["cite$0.txt"]}}'))) == ["cite.txt", "guess.txt"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_columns_behind_characters_outside_the_basic_plane(edit: Edit, encoding: str) -> None:
    text = take(edit(a_map('{"🦊🦊": {"persona": "cr$0 é🦊.txt"}}'), encoding=encoding), "critic.txt")
    assert text.rstrip() == '{"🦊🦊": {"persona": "critic.txt"}}'


def test_names_with_quotes_are_escaped(edit: Edit, tmp_path: Any) -> None:
    (tmp_path / "components" / "personas").mkdir(parents=True)
    (tmp_path / "components" / "personas" / 'a"b\\c.txt').write_text("x")
    editor = edit(a_map('{"A": {"persona": "a$0"}}'))
    assert take(editor, 'a"b\\c.txt').rstrip() == '{"A": {"persona": "a\\"b\\\\c.txt"}}'


@pytest.mark.parametrize(
    "before",
    [
        '{"A": {"description": "$0"}}',
        '{"A": {"title": $0}}',
        '{"A": {"persona$description": "$0"}}',
        '{"$schema": "$0"}',
        '{"A": {"persona": "critic.txt"$0}}',
        '{"A": {"persona": "critic.txt" $0}}',
        '{"A": {"constraints": ["cite.txt" $0]}}',
        '{"A": {"persona": $0"critic.txt"}}',
        '{"A$0": {"persona": "critic.txt"}}',
        '{"A": [{"persona": "$0"}]}',
        '{"A": {"persona": [["$0"]]}}',
        "$0",
        '["$0"]',
    ],
)
def test_where_nothing_fits_nothing_is_offered(edit: Edit, before: str) -> None:
    assert labels(edit(a_map(before))) == []


def test_an_unknown_folder_has_no_files(edit: Edit) -> None:
    assert labels(edit(a_map('{"A": {"mystery": "$0"}}'))) == []


# -- keys --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "label", "after"),
    [
        ('{"A": {"$0"}}', "persona", '{"A": {"persona": "$1"}}'),
        ('{"A": {$0}}', "persona", '{"A": {"persona": "$1"}}'),
        ('{"A": {per$0}}', "persona", '{"A": {"persona": "$1"}}'),
        ('{"A": {"per$0', "persona", '{"A": {"persona": "$1"'),
        ('{"A": {"x": "y", "$0"}}', "persona", '{"A": {"x": "y", "persona": "$1"}}'),
        ('{"A": {\n "$0"\n "x": "y"}}', "persona", '{"A": {\n "persona": "$1",\n "x": "y"}}'),
        ('{"A": {"$0": "x.txt"}}', "persona", '{"A": {"persona": "x.txt"}}'),
        ('{"A": {"per$0sona": "x.txt"}}', "protocol", '{"A": {"protocol": "x.txt"}}'),
        ('{"B": {"rules": ["x"]}, "A": {"$0"}}', "rules", '{"B": {"rules": ["x"]}, "A": {"rules": ["$1"]}}'),
        ('{"A": {"x": "y", "$0"}}', "x$description", '{"A": {"x": "y", "x\\$description": "$1"}}'),
        ('{"A": {"$0"}}', "title", '{"A": {"title": "$1"}}'),
        ('{"A": {"$0"}}', "template", '{"A": {"template": "$1"}}'),
        ('{"G": {"$0", "A": {"persona": "x"}}}', "description", '{"G": {"description": "$1", "A": {"persona": "x"}}}'),
    ],
)  # fmt: skip
def test_keys_come_with_the_value_that_they_need(edit: Edit, before: str, label: str, after: str) -> None:
    assert take(edit(a_map(before)), label).rstrip("\n") == after


def test_a_client_without_snippets_gets_plain_text(edit: Edit) -> None:
    editor = edit(a_map('{"A": {"persona": "x", "$0"}}'), capabilities={})
    assert take(editor, "persona$description").rstrip() == '{"A": {"persona": "x", "persona$description": ""}}'
    assert not any("insertTextFormat" in item for item in complete(editor))


def test_what_is_not_finished_goes_on_with_the_next_offer_where_the_client_can(edit: Edit) -> None:
    knows = {**FULL_CLIENT, "experimental": {"goalmap": {"commands": ["editor.action.triggerSuggest"]}}}
    for text, finished, unfinished in (
        ('{"A": {"protocol": "$0"}}', "drill.txt", "security/"),
        ('{"A": {"$0"}}', "title", "persona"),
    ):
        items = {item["label"]: item for item in complete(edit(a_map(text), capabilities=knows))}
        assert items[unfinished]["command"]["command"] == "editor.action.triggerSuggest"
        assert "command" not in items[finished]
        assert not any("command" in item for item in complete(edit(a_map(text))))


def test_folders_become_slots_and_what_is_there_is_not_offered(edit: Edit) -> None:
    editor = edit(a_map('{"A": {"persona": "critic.txt", "$0"}, "B": {"style": "x", "constraints": []}}'))
    found = labels(editor)
    assert found[:5] == ["constraints", "output_format", "protocol", "style", "description"]
    assert "persona" not in found
    assert "templates" not in found


def test_a_folder_that_no_goal_uses_gives_the_singular(edit: Edit) -> None:
    assert "constraint" in labels(edit(a_map('{"A": {"$0"}}')))


def test_the_key_that_is_being_typed_is_not_in_use_by_itself(edit: Edit) -> None:
    assert "perso" not in labels(edit(a_map('{"A": {"perso$0"}}')))


def test_unsaved_edits_count(edit: Edit) -> None:
    editor = edit(
        """
-- goal_map.json --
{}
-- goal_map.json (unsaved) --
{"B": {"tone": "x.txt"}, "A": {"$0"}}
-- components/tones/calm.txt --
Calm.
"""
    )
    assert "tone" in labels(editor)


def test_a_file_that_was_just_created_is_offered(edit: Edit) -> None:
    editor = edit(a_map('{"A": {"persona": "$0"}}'))
    editor.write("components/personas/new.txt", "New.")
    editor.session.libraries[str(editor.full("goal_map.json"))].refreshed_s = 0.0
    assert "new.txt" in labels(editor)


def test_a_nested_library_has_its_own_files(edit: Edit) -> None:
    editor = edit(
        """
-- goal_map.json --
{}
-- components/personas/outer.txt --
x
-- inner/goal_map.json --
{"A": {"persona": "$0"}}
-- inner/components/personas/inner.txt --
x
"""
    )
    assert labels(editor) == ["inner.txt"]


def test_very_many_files_are_narrowed_by_what_is_typed(edit: Edit, tmp_path: Any) -> None:
    folder = tmp_path / "components" / "personas"
    folder.mkdir(parents=True)
    for number in range(1201):
        (folder / f"persona_{number}.txt").write_text("x")
    editor = edit('-- goal_map.json --\n{"A": {"persona": "$0"}}\n')
    whole = editor.request("textDocument/completion", editor.here)
    assert whole["isIncomplete"]
    assert len(whole["items"]) == 1000
    path, offset = editor.paper.cursor
    editor.type(path, offset, offset, "a_1200")
    narrowed = editor.request("textDocument/completion", editor.at(path, offset + 6))
    assert narrowed["isIncomplete"]
    assert [item["label"] for item in narrowed["items"]] == ["persona_1200.txt"]


# -- one item ----------------------------------------------------------------------------------------------------------
def test_an_item_shows_its_components_unsaved_text(edit: Edit) -> None:
    editor = edit(
        a_map('{"A": {"persona": "$0"}, "B": {"persona": "critic.txt"}}')
        + "-- components/personas/critic.txt (unsaved) --\nA fierce [critic](http://x).\n"
    )
    item = editor.request("completionItem/resolve", complete(editor)[0])
    assert item["documentation"] == {"kind": "plaintext", "value": "A fierce [critic](http://x)."}
    assert item["detail"] == "used by 1 goal · ≈ 7 tokens"


def test_a_long_component_is_cut(edit: Edit) -> None:
    editor = edit(
        a_map('{"A": {"persona": "cr$0"}}') + "-- components/personas/critic.txt (unsaved) --\n" + "line\n" * 99
    )
    text = editor.request("completionItem/resolve", complete(editor)[0])["documentation"]["value"]
    assert text.endswith("line\n…")
    assert text.count("\n") == 24


def test_an_item_whose_file_went_away_stays_as_it_is(edit: Edit) -> None:
    editor = edit(a_map('{"A": {"persona": "cr$0"}}'))
    item = complete(editor)[0]
    editor.full("components/personas/critic.txt").unlink()
    editor.session.libraries[str(editor.full("goal_map.json"))].refreshed_s = 0.0
    assert editor.request("completionItem/resolve", item) == item
    for odd in ({"label": "x"}, {"label": "x", "data": {"uri": "x:", "path": "components/x"}}):
        assert editor.request("completionItem/resolve", odd) == odd


# -- templates ---------------------------------------------------------------------------------------------------------
def a_template(text: str, goal: str = '"persona": "critic.txt", "output-format": "x"') -> str:
    map_text = f'{{"A": {{"template": "t.txt", {goal}}}, "B": {{"protocol": "drill.txt"}}}}'
    return f"-- goal_map.json --\n{map_text}\n-- components/templates/t.txt --\n{text}\n{FILES}"


@pytest.mark.parametrize(
    ("before", "label", "after"),
    [
        ("{{ $0 }}", "persona", "{{ persona }}"),
        ("{{ per$0 }}", "persona", "{{ persona }}"),
        ("{{ per$0", "persona", "{{ persona"),
        ("{% if ti$0 %}", "title", "{% if title %}"),
        ("x {{ goal }} {{ de$0scription }}", "description", "x {{ goal }} {{ description }}"),
        ("{% for one in slots.$0 %}", "persona", "{% for one in slots.persona %}"),
    ],
)
def test_variables_of_the_goals_that_use_a_template(edit: Edit, before: str, label: str, after: str) -> None:
    assert take(edit(a_template(before)), label).rstrip() == after


def test_slots_of_other_goals_and_names_that_are_none_are_left_out(edit: Edit) -> None:
    assert labels(edit(a_template("{{ $0 }}"))) == ["persona", "description", "goal", "slots", "title"]


def test_a_template_that_no_goal_uses_may_have_every_slot(edit: Edit) -> None:
    editor = edit(a_map('{"B": {"protocol": "drill.txt"}}').replace("{{ persona }}", "{{ $0 }}"))
    assert "protocol" in labels(editor)


@pytest.mark.parametrize("text", ["per$0", "{{ persona }} $0", "{{ other.$0 }}", "{{ 1a$0 }}"])
def test_no_variable_outside_of_a_block(edit: Edit, text: str) -> None:
    assert labels(edit(a_template(text))) == []


def test_nothing_in_a_plain_component(edit: Edit) -> None:
    assert labels(edit(a_map("{}").replace("A critic.", "{{ $0 }}"))) == []
