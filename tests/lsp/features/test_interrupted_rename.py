"""A rename that is cut short. The server writes nothing of it: it gives edits, which the editor makes and saves.

So there is nothing of the server's to kill at a call. What can be cut short is the editor's work, between any two of
its steps; whoever comes next must see all that is missing, and the rest of the rename must still lead to its end.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.fixtures import Editor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBRARIES = """
-- one/goal_map.json --
{"A": {"persona": "critic.txt", "constraints": ["critic.txt"]},
 "B": {"persona": ["critic.txt", "x.txt"]}}
-- one/components/personas/critic.txt --
A critic.
-- one/components/personas/x.txt --
x
-- one/components/constraints/critic.txt --
Another.
-- two/goal_map.json --
{"A": {"persona": "critic.txt"}}
-- two/components/personas/critic.txt --
The critic of another library.
-- two/inner/goal_map.json --
{"A": {"persona": "critic.txt"}}
-- two/inner/components/personas/critic.txt --
The critic of a library in a library.
"""
MAPS = ("one/goal_map.json", "two/goal_map.json", "two/inner/goal_map.json")
FOLDERS = [path.removesuffix("goal_map.json") + "components/personas" for path in MAPS]


class Watch:
    """Notes what this process does to the disk. A hook cannot be taken out again, so there is one for all tests."""

    def __init__(self) -> None:
        self.is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event == "open":
            path, mode, flags = arguments
            if not (isinstance(mode, str) and set("wax+") & set(mode)) and not (flags or 0) & 0o103:  # write or create
                return
            self.seen.append(f"open {path}")
        elif event in {f"os.{name}" for name in ("rename", "remove", "mkdir", "rmdir", "link", "symlink", "truncate")}:
            self.seen.append(f"{event} {arguments}")


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


def everything(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return all that is on disk, so that a write of the same bytes shows, too."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def moved(editor: Editor) -> dict[str, Any]:
    """Return what a client says that moves the critics of all libraries at once."""
    pairs = [(f"{folder}/critic.txt", f"{folder}/judge.txt") for folder in FOLDERS]
    return {"files": [{"oldUri": editor.uri(old), "newUri": editor.uri(new)} for old, new in pairs]}


@pytest.mark.parametrize("is_open", [False, True], ids=["maps closed", "maps open"])
def test_the_server_writes_nothing_of_a_rename(edit: Callable[..., Editor], watch: Watch, is_open: bool) -> None:
    editor = edit(LIBRARIES)
    for path in MAPS if is_open else MAPS[:1]:
        editor.open(path)
    before = everything(editor.folder)
    watch.seen, watch.is_on = [], True
    try:
        text = editor.text(MAPS[0])
        for name in ("critic.txt", "B", "persona"):
            place = editor.at(MAPS[0], text.index(f'"{name}"') + 1)
            assert editor.request("textDocument/prepareRename", place)
            assert editor.request("textDocument/rename", {**place, "newName": f"new_{name}"})
        assert editor.request("workspace/willRenameFiles", moved(editor))
        editor.notify("workspace/didRenameFiles", moved(editor))
        editor.let_settle()
    finally:
        watch.is_on = False
    assert watch.seen == []
    assert everything(editor.folder) == before


def test_the_watch_sees_what_is_written(tmp_path: Path, watch: Watch) -> None:
    watch.seen, watch.is_on = [], True
    try:
        (tmp_path / "a").write_text("x")
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "b").read_text()
        (tmp_path / "b").unlink()
    finally:
        watch.is_on = False
    assert [entry.partition(" ")[0] for entry in watch.seen] == ["open", "os.rename", "os.remove"]


# -- the editor dies between its steps ---------------------------------------------------------------------------------
def steps_of_a_move(editor: Editor) -> list[Callable[[Editor], None]]:
    """Return the steps of an editor that moves three files: the maps' edits, each saved, and the files."""
    edit = editor.request("workspace/willRenameFiles", moved(editor))
    changes = {editor.path(change["textDocument"]["uri"]): change["edits"] for change in edit["documentChanges"]}
    assert set(changes) == set(MAPS)
    edited = [partial(Editor.apply_to, path=path, edits=edits) for path, edits in changes.items()]
    return [*edited, *(partial(_move, folder=folder) for folder in FOLDERS)]


def _move(editor: Editor, folder: str) -> None:
    editor.full(f"{folder}/critic.txt").rename(editor.full(f"{folder}/judge.txt"))


def missing(editor: Editor, path: str) -> list[str]:
    """Return the references of a map that its diagnostics call missing."""
    report = editor.request("textDocument/diagnostic", editor.document(path))
    return sorted(
        editor.under(path, one["range"]).strip('"') for one in report["items"] if one["code"] == "component.missing"
    )


def dangling(editor: Editor, path: str) -> list[str]:
    """Return the same by the disk."""
    folder, goals = editor.full(path).parent / "components", json.loads(editor.text(path))
    return sorted(
        file
        for goal in goals.values()
        for slot, value in goal.items()
        for file in ([value] if isinstance(value, str) else value)
        if not (folder / (slot if slot.endswith("s") else f"{slot}s") / file).exists()
    )


def subsets(count: int) -> Iterator[tuple[int, ...]]:
    """Give every set of steps: a client may take them in any order."""
    for size in range(count + 1):
        yield from combinations(range(count), size)


def test_whatever_an_editor_had_done_of_a_move_the_next_server_tells_what_is_missing(tmp_path: Path) -> None:
    """Every subset of the six steps; then the rest of them, and nothing is missing any more."""
    for number, done in enumerate(subsets(6)):
        folder = tmp_path / str(number)
        with Editor(folder, LIBRARIES) as first:
            steps = steps_of_a_move(first)
            for step in done:
                steps[step](first)
        with Editor(folder, "-- notes.txt --\n") as second:
            for path in MAPS:
                second.open(path)
                assert missing(second, path) == dangling(second, path), (done, path)
            second.notify("workspace/didRenameFiles", moved(second))  # of which this server had not been told before
            for step in sorted({*range(6)} - {*done}):
                steps[step](second)
            second.notify("workspace/didRenameFiles", moved(second))
            for path in MAPS:
                assert missing(second, path) == dangling(second, path) == [], (done, path)
            assert second.text(MAPS[0]).count("judge.txt") == 2
            assert second.text(MAPS[0]).count("critic.txt") == 1, "that of another slot stays"


@pytest.mark.parametrize("unsaved", list(product([False, True], repeat=3)), ids=str)
def test_a_server_that_dies_between_question_and_answer_of_a_move(tmp_path: Path, unsaved: tuple[bool, ...]) -> None:
    """The files have moved, some maps' edits are in buffers only; the next server goes by the buffers and the disk."""
    with Editor(tmp_path, LIBRARIES) as first:
        old = {path: first.text(path) for path in MAPS}
        for step in steps_of_a_move(first):
            step(first)
        new = {path: first.text(path) for path in MAPS}
    with Editor(tmp_path, "-- notes.txt --\n") as second:
        for path, is_unsaved in zip(MAPS, unsaved, strict=True):
            second.write(path, old[path] if is_unsaved else new[path])
            second.open(path, new[path])
        second.notify("workspace/didRenameFiles", moved(second))
        for path in MAPS:
            assert missing(second, path) == []
        for path, is_unsaved in zip(MAPS, unsaved, strict=True):  # thrown away
            second.notify("textDocument/didClose", second.document(path))
            del second.texts[path]
            second.open(path)
            assert missing(second, path) == dangling(second, path)
            assert bool(missing(second, path)) is is_unsaved


def test_a_move_that_has_happened_can_be_asked_about_again(edit: Callable[..., Editor]) -> None:
    """An editor that comes back may ask once more: there is nothing left to edit."""
    editor = edit(LIBRARIES)
    for step in steps_of_a_move(editor):
        step(editor)
    editor.notify("workspace/didRenameFiles", moved(editor))
    assert editor.request("workspace/willRenameFiles", moved(editor)) is None


def test_what_is_missing_after_half_a_rename_has_a_quick_fix(edit: Callable[..., Editor]) -> None:
    """The file has its new name, the map does not."""
    editor = edit(LIBRARIES.replace("critic.txt", "critic_one.txt"))
    editor.full("one/components/personas/critic_one.txt").rename(editor.full("one/components/personas/critic_two.txt"))
    editor.open(MAPS[0])
    diagnostics = editor.request("textDocument/diagnostic", editor.document(MAPS[0]))["items"]
    assert len(diagnostics) == 2
    for one in diagnostics:
        asked = {"range": one["range"], "context": {"diagnostics": [one]}}
        titles = [
            fix["title"] for fix in editor.request("textDocument/codeAction", {**editor.document(MAPS[0]), **asked})
        ]
        assert "Use critic_two.txt instead" in titles
