"""Renaming, by F2 and by moving files: after it, every reference names what it named before."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from support.fixtures import ENCODINGS, Editor
from support.lsp_client import LspError

Edit = Callable[..., Editor]

REQUEST_FAILED = -32803

LIBRARY = """
-- goal_map.json --
{"A": {"persona": "cri$0tic.txt", "constraints": ["a.txt", "sub/b.txt"]},
 "G": {"B": {"persona": ["critic.txt", "x.txt"], "protocol": "critic.txt"}}}
-- components/personas/critic.txt --
A critic.
-- components/constraints/a.txt --
a
-- components/constraints/sub/b.txt --
b
-- inner/goal_map.json --
{"A": {"persona": "critic.txt"}}
-- inner/components/personas/critic.txt --
Another critic.
"""


def rename(editor: Editor, name: str) -> str:
    """Rename what is under the cursor; return the map."""
    edit = editor.request("textDocument/rename", {**editor.here, "newName": name})
    if edit is not None:
        editor.apply(edit)
    return editor.text("goal_map.json").rstrip("\n")


def refused(editor: Editor, name: str) -> str:
    """Return why a renaming is refused, after making sure that it changed nothing."""
    before = {path: path.read_bytes() for path in editor.folder.rglob("*") if path.is_file()}
    with pytest.raises(LspError) as caught:
        rename(editor, name)
    assert caught.value.code == REQUEST_FAILED
    assert {path: path.read_bytes() for path in editor.folder.rglob("*") if path.is_file()} == before
    return caught.value.message


# -- components --------------------------------------------------------------------------------------------------------
def test_a_component_and_all_references_to_it(edit: Edit) -> None:
    editor = edit(LIBRARY)
    text = rename(editor, "judge.txt")
    assert text == editor.paper.on_disk["goal_map.json"].rstrip().replace('critic.txt"', 'judge.txt"').replace(
        '"protocol": "judge.txt"', '"protocol": "critic.txt"'
    )
    assert editor.text("components/personas/judge.txt") == "A critic.\n"
    assert not editor.full("components/personas/critic.txt").exists()
    assert "critic.txt" in editor.text("inner/goal_map.json"), "another library keeps its own component"


def test_into_a_subfolder(edit: Edit) -> None:
    editor = edit(LIBRARY)
    assert '"persona": "harsh/judge.txt"' in rename(editor, "harsh/judge.txt")
    assert editor.full("components/personas/harsh/judge.txt").exists()


def test_the_answer_to_our_own_renaming_is_not_edited_twice(edit: Edit) -> None:
    """Clients announce the renaming of the file, which is a part of the edit, when its text edits are done."""
    editor = edit(LIBRARY)
    found = editor.request("textDocument/rename", {**editor.here, "newName": "judge.txt"})
    texts, file = found["documentChanges"]
    assert file["kind"] == "rename"
    editor.apply({"documentChanges": [texts]})
    files = [{"oldUri": file["oldUri"], "newUri": file["newUri"]}]
    assert editor.request("workspace/willRenameFiles", {"files": files}) is None


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_columns_escapes_and_half_typed_maps(edit: Edit, encoding: str) -> None:
    editor = edit(
        """
-- goal_map.json --
{"🦊": {"persona": "🦊.t$0xt", "constraints": ["🦊", {"x": "🦊.txt"}]}, "B": {"persona": "\\ud83e\\udd8a.txt"},
 "C": {"persona": "🦊.txt
""",
        encoding=encoding,
    )
    editor.write("components/personas/🦊.txt", "x")
    assert rename(editor, "🐺 é.txt") == (
        '{"🦊": {"persona": "🐺 é.txt", "constraints": ["🦊", {"x": "🦊.txt"}]}, "B": {"persona": "🐺 é.txt"},\n'
        ' "C": {"persona": "🐺 é.txt"'
    )


def test_the_map_of_another_library_that_holds_the_file_too(edit: Edit) -> None:
    editor = edit(
        """
-- goal_map.json --
{"A": {"persona": "inner/components/personas/critic.txt"}}
-- components/personas/inner/goal_map.json --
{"B": {"persona": "cri$0tic.txt"}}
-- components/personas/inner/components/personas/critic.txt --
x
"""
    )
    found = editor.request("textDocument/rename", {**editor.here, "newName": "judge.txt"})
    editor.apply(found)
    assert editor.text("goal_map.json") == '{"A": {"persona": "inner/components/personas/judge.txt"}}\n'
    assert editor.text("components/personas/inner/goal_map.json") == '{"B": {"persona": "judge.txt"}}\n'


def test_only_the_references_where_there_is_no_file(edit: Edit) -> None:
    editor = edit(
        '-- goal_map.json --\n{"A": {"persona": "gone$0.txt"}, "B": {"persona": "gone.txt"}}\n', capabilities={}
    )
    assert rename(editor, "here.txt") == '{"A": {"persona": "here.txt"}, "B": {"persona": "here.txt"}}'


def test_only_the_case(edit: Edit) -> None:
    editor = edit(LIBRARY)
    assert "Critic.txt" in rename(editor, "Critic.txt")
    assert os.listdir(editor.full("components/personas")) == ["Critic.txt"]


def test_the_same_name_is_no_edit(edit: Edit) -> None:
    editor = edit(LIBRARY)
    assert editor.request("textDocument/rename", {**editor.here, "newName": "critic.txt"}) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../critic.txt", "leaves its folder"),
        ("/etc/passwd", "absolute"),
        ("", "needed"),
        ("  ", "needed"),
        ("con.txt", "device name"),
        ("a\0b.txt", "NUL"),
        (".hidden.txt", "dot"),
        ("taken.txt", "exists already"),
        ("TAKEN.txt", "exists already"),
    ],
)
def test_names_that_are_refused(edit: Edit, name: str, why: str) -> None:
    assert why in refused(edit(f"{LIBRARY}-- components/personas/taken.txt --\nx\n"), name)


def test_a_client_that_cannot_rename_files_is_told_what_to_do(edit: Edit) -> None:
    message = refused(edit(LIBRARY, capabilities={}), "judge.txt")
    assert "Rename the file to components/personas/judge.txt yourself" in message


def test_a_read_only_map_refuses_before_the_file_moves(edit: Edit) -> None:
    editor = edit(LIBRARY)
    editor.full("goal_map.json").chmod(0o444)
    assert "read-only" in refused(editor, "judge.txt")


@pytest.mark.parametrize("path", ["components/personas/critic.txt", "components/personas"])
def test_a_read_only_component_or_folder_refuses_too(edit: Edit, path: str) -> None:
    editor = edit(LIBRARY)
    mode = editor.full(path).stat().st_mode
    editor.full(path).chmod(mode & 0o555)
    try:
        assert "read-only" in refused(editor, "new/judge.txt")
    finally:
        editor.full(path).chmod(mode)


# -- keys --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ('{"DE$0BUG": {"persona": "x"}}', "FIX", '{"FIX": {"persona": "x"}}'),
        ('{"G": {"A": {"x": "y"}, "B$0": {"x": "y"}}}', "C", '{"G": {"A": {"x": "y"}, "C": {"x": "y"}}}'),
        ('{"G$0": {"A": {"x": "y"}}}', 'Say "hi"', '{"Say \\"hi\\"": {"A": {"x": "y"}}}'),
        ('{"A": {"per$0sona": "x"}, "B": {"persona": "x"}}', "tone", '{"A": {"tone": "x"}, "B": {"persona": "x"}}'),
        (
            '{"A": {"persona$description": "d", "persona$0": "x"}}',
            "tone",
            '{"A": {"tone$description": "d", "tone": "x"}}',
        ),
        ('{"G": {"A": {"x": "y"}}, "A$0": {"x": "y"}}', "B", '{"G": {"A": {"x": "y"}}, "B": {"x": "y"}}'),
        ('{"A": {"x": "1"}, "A$0": {"x": "2"}}', "B", '{"A": {"x": "1"}, "B": {"x": "2"}}'),
        ('{"A$0": {"x": "1', "B", '{"B": {"x": "1'),
    ],
)
def test_goals_categories_and_slots(edit: Edit, before: str, name: str, after: str) -> None:
    assert rename(edit(f"-- goal_map.json --\n{before}\n"), name) == after


@pytest.mark.parametrize(
    ("before", "name", "why"),
    [
        ('{"A$0": {"x": "y"}, "B": {"x": "y"}}', "B", "The map has B already"),
        ('{"G": {"A$0": {"x": "y"}, "B": {"x": "y"}}}', "B", "The category G has B already"),
        ('{"G$0": {"A": {"x": "y"}}, "H": {"x": "y"}}', "H", "already"),
        ('{"A$0": {"x": "y"}}', " ", "needed"),
        ('{"A": {"x$0": "y", "z": "w"}}', "z", "has a slot z already"),
        ('{"A": {"x$0": "y"}}', "description", "does not name a slot"),
        ('{"A": {"x$0": "y"}}', "a$b", "does not name a slot"),
        ('{"A": {"x$0": "y"}}', "../x", "has a slash"),
        ('{"A": {"template$0": "y"}}', "x", "template is no slot"),
        ('{"A": {"title$0": "y"}}', "x", "can be renamed"),
        ("$0", "x", "can be renamed"),
    ],
)
def test_keys_that_are_refused(edit: Edit, before: str, name: str, why: str) -> None:
    assert why in refused(edit(f"-- goal_map.json --\n{before}\n"), name)


# -- prepare -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"⟦A$0⟧": {"persona": "x"}}', "A"),
        ('{"A": {"⟦persona$0⟧": "x"}}', "persona"),
        ('{"A": {"persona": "⟦$0a/b.txt⟧"}}', "a/b.txt"),
        ('{"⟦G$0⟧": {"A": {"persona": "x"}}}', "G"),
        ('{"A": {"persona": "⟦a\\u00e9$0⟧"}}', "aé"),
    ],
)
def test_the_name_that_is_about_to_change(edit: Edit, text: str, name: str) -> None:
    editor = edit(f"-- goal_map.json --\n{text}\n")
    found = editor.request("textDocument/prepareRename", editor.here)
    assert found["placeholder"] == name
    assert [editor.span("goal_map.json", found["range"])] == editor.paper.ranges


@pytest.mark.parametrize(
    "text", ['{"A": {"title$0": "x"}}', '{"A": {"persona": "$0"}}', '{"A": $0{"persona": "x"}}', ""]
)
def test_nothing_to_rename(edit: Edit, text: str) -> None:
    editor = edit(
        f"-- goal_map.json --\n{text}\n{'' if '$0' in text else '-- components/personas/x.txt --' + chr(10) + '$0'}"
    )
    assert editor.request("textDocument/prepareRename", editor.here) is None


def test_prepare_is_advertised_to_those_that_know_it(edit: Edit) -> None:
    assert edit(LIBRARY).advertised["renameProvider"] == {"prepareProvider": True}
    assert edit(LIBRARY, capabilities={}).advertised["renameProvider"] is True


# -- files that move ---------------------------------------------------------------------------------------------------
def move(editor: Editor, *pairs: tuple[str, str]) -> Any:
    """Move files in the editor: announce it, apply what comes back, move, and tell."""
    files = [{"oldUri": editor.uri(old), "newUri": editor.uri(new)} for old, new in pairs]
    found = editor.request("workspace/willRenameFiles", {"files": files})
    if found is not None:
        editor.apply(found)
    for old, new in pairs:
        editor.full(new).parent.mkdir(parents=True, exist_ok=True)
        editor.full(old).rename(editor.full(new))
    editor.notify("workspace/didRenameFiles", {"files": files})
    return found


def problems(editor: Editor) -> set[str]:
    """Return the codes that the server finds in the map now."""
    library = editor.session.libraries[str(editor.full("goal_map.json"))]
    return {problem.code for _, problem in library.problems}


SOUND = LIBRARY.replace(', "x.txt"]', "]").replace(', "protocol": "critic.txt"', "")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("components/personas/critic.txt", "components/personas/judge.txt", '"persona": "judge.txt"'),
        ("components/personas/critic.txt", "components/personas/deep/er/judge.txt", '"persona": "deep/er/judge.txt"'),
        ("components/constraints/sub/b.txt", "components/constraints/b.txt", '["a.txt", "b.txt"]'),
        ("components/constraints/sub", "components/constraints/other", '["a.txt", "other/b.txt"]'),
    ],
)
def test_references_follow_a_file_or_folder(edit: Edit, old: str, new: str, expected: str) -> None:
    editor = edit(SOUND)
    assert problems(editor) == set()
    move(editor, (old, new))
    assert expected in editor.text("goal_map.json")
    assert problems(editor) == set()
    assert editor.received("window/showMessage") == []


def test_several_files_at_once(edit: Edit) -> None:
    editor = edit(SOUND)
    found = move(
        editor,
        ("components/personas/critic.txt", "components/personas/judge.txt"),
        ("components/constraints/a.txt", "components/constraints/sub/a.txt"),
    )
    assert len(found["documentChanges"]) == 1
    assert problems(editor) == set()


def test_a_file_that_the_editor_has_just_created(edit: Edit) -> None:
    editor = edit('-- goal_map.json (open) --\n{"A": {"persona": "new.txt"}}\n-- components/personas/x.txt --\nx\n')
    editor.write("components/personas/new.txt", "New.")
    move(editor, ("components/personas/new.txt", "components/personas/newer.txt"))
    assert editor.text("goal_map.json") == '{"A": {"persona": "newer.txt"}}\n'


def test_a_map_that_is_not_open_is_edited_too(edit: Edit) -> None:
    editor = edit(SOUND.replace("$0", ""), capabilities={})
    found = move(editor, ("components/personas/critic.txt", "components/personas/judge.txt"))
    assert list(found["changes"]) == [editor.uri("goal_map.json")]
    assert problems(editor) == set()


@pytest.mark.parametrize(
    "new", ["components/constraints/critic.txt", "elsewhere/critic.txt", "inner/components/personas/critic2.txt"]
)
def test_what_a_reference_cannot_say_is_said_to_the_user(edit: Edit, new: str) -> None:
    editor = edit(SOUND)
    assert move(editor, ("components/personas/critic.txt", new)) is None
    (message,) = editor.received("window/showMessage")
    assert message["type"] == 2
    assert "A, G/B will miss components/personas/critic.txt" in message["message"]


@pytest.mark.parametrize("name", ["con.txt", ".critic.txt", ".kept/critic.txt"])
def test_a_name_that_no_reference_may_have_is_said_to_the_user(edit: Edit, name: str) -> None:
    editor = edit(SOUND)
    assert move(editor, ("components/personas/critic.txt", f"components/personas/{name}")) is None
    (message,) = editor.received("window/showMessage")
    assert "names that work on every system" in message["message"]


def test_a_read_only_map_is_said_to_the_user(edit: Edit) -> None:
    editor = edit(SOUND)
    editor.full("goal_map.json").chmod(0o444)
    assert move(editor, ("components/personas/critic.txt", "components/personas/judge.txt")) is not None
    (message,) = editor.received("window/showMessage")
    assert "goal_map.json is read-only" in message["message"]


def test_a_slots_whole_folder_cannot_follow(edit: Edit) -> None:
    editor = edit(SOUND)
    assert move(editor, ("components/constraints", "components/rules")) is None
    (message,) = editor.received("window/showMessage")
    assert "A will miss components/constraints/a.txt, components/constraints/sub/b.txt" in message["message"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("components/personas/unused.txt", "components/personas/other.txt"),
        ("notes.txt", "more.txt"),
        ("inner", "outer"),
    ],
)
def test_moves_that_concern_no_map(edit: Edit, old: str, new: str) -> None:
    editor = edit(f"{SOUND}-- components/personas/unused.txt --\nx\n-- notes.txt --\nx\n")
    assert move(editor, (old, new)) is None
    assert editor.received("window/showMessage") == []


def test_files_of_other_schemes_are_left_alone(edit: Edit) -> None:
    files = [{"oldUri": "untitled:components/personas/a", "newUri": "untitled:components/personas/b"}]
    assert edit(SOUND).request("workspace/willRenameFiles", {"files": files}) is None


@pytest.mark.parametrize("method", ["didCreateFiles", "didDeleteFiles"])
def test_files_that_come_and_go_in_the_editor_are_seen_at_once(edit: Edit, method: str) -> None:
    editor = edit(SOUND)
    path = editor.full("components/personas/critic.txt")
    text = path.read_text()
    path.unlink()
    editor.notify("workspace/didDeleteFiles", {"files": [{"uri": editor.uri("components/personas/critic.txt")}]})
    assert problems(editor) == {"component.missing"}
    if method == "didCreateFiles":
        path.write_text(text)
        editor.notify("workspace/didCreateFiles", {"files": [{"uri": editor.uri("components/personas/critic.txt")}]})
        assert problems(editor) == set()


def test_a_move_in_a_library_within_the_components_of_another(edit: Edit) -> None:
    """Nobody has opened it, and no look through the workspace finds it; the disk has its map all the same."""
    inner = "components/nested/"
    nested = LIBRARY.replace("-- inner/", f"-- {inner}")
    editor = edit(nested)
    old, new = (f"{inner}components/personas/{name}.txt" for name in ("critic", "judge"))
    found = editor.request(
        "workspace/willRenameFiles", {"files": [{"oldUri": editor.uri(old), "newUri": editor.uri(new)}]}
    )
    editor.apply(found)
    assert editor.text(f"{inner}goal_map.json").count("judge.txt") == 1
    assert "judge.txt" not in editor.text("goal_map.json")
