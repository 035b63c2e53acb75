"""The event loop never waits for a slow folder, a slow file or a lock that another process holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from goalmap.files.journal import Header, Record, new_tx
from goalmap.files.loader import LibraryLoader
from goalmap.files.store import locked
from goalmap.lsp import disk
from goalmap.lsp.diagnostics import components
from goalmap.lsp.disk import Answer, Disk, Patience
from support.locks import lock_held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from support.fixtures import Editor
    from support.slow_disk import SlowDisk

    Edit = Callable[..., Editor]

PAPER = """
-- goal_map.json --
{
  "DEBUG": {
    "persona": "detective.txt",
    "protocol": "dr$0ill.txt",
    "constraint": "later.txt"
  }
}
-- components/personas/detective.txt --
You are a detective.
-- components/protocols/drill.txt --
Ask why, five times.
-- components/constraints/other.txt --
Cite evidence.
""".lstrip()
MAP = "goal_map.json"
PATIENCE_S = 0.01


def opened(edit: Edit, paper: str = PAPER, **how: Any) -> Editor:
    """Return an editor that has been told all there is to tell, and that looks at the disk at the next request."""
    editor = edit(paper, patience_s=PATIENCE_S, **how)
    editor.let_settle()
    look_again(editor)
    return editor


def look_again(editor: Editor) -> None:
    for library in editor.session.libraries.values():
        library.refreshed_s = 0.0


def type_at(editor: Editor, old: str, new: str) -> None:
    start = editor.text(MAP).index(old)
    editor.type(MAP, start, start + len(old), new)


def codes(params: Any) -> list[str]:
    return [item["code"] for item in params["diagnostics"]]


def labels(completion: Any) -> set[str]:
    return {item["label"] for item in completion["items"]}


def fixes(editor: Editor) -> list[str]:
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
    params = {**editor.document(MAP), "range": everything, "context": {"diagnostics": []}}
    return [action["title"] for action in editor.request("textDocument/codeAction", params)]


def test_edits_and_requests_are_answered_from_the_last_snapshot_while_folders_hang(
    edit: Edit, slow_disk: SlowDisk
) -> None:
    editor = opened(edit)
    editor.received("textDocument/publishDiagnostics")
    editor.write("components/constraints/later.txt", "Say what is certain.\n")
    with slow_disk.hanging():
        assert labels(editor.request("textDocument/completion", editor.here)) == {"drill.txt"}
        assert slow_disk.reached.wait(10), "nobody looked at the disk"
        assert any(title.startswith("Generate later.txt") for title in fixes(editor))
        type_at(editor, "detective.txt", "detective2.txt")
        told = editor.received("textDocument/publishDiagnostics")
        assert codes(told[-1]) == ["component.missing", "component.missing"]
        assert editor.request("textDocument/definition", editor.here)
        assert editor.request("textDocument/documentSymbol", editor.document(MAP))
    editor.hear("textDocument/publishDiagnostics", lambda told: codes(told) == ["component.missing"])


def test_only_the_answer_that_needs_a_file_waits_for_it(edit: Edit, slow_disk: SlowDisk) -> None:
    editor = opened(edit)
    with slow_disk.hanging("components/protocols/drill.txt"):
        late = editor.begin("textDocument/hover", editor.here)
        assert slow_disk.reached.wait(10), "nobody read the component"
        assert editor.request("textDocument/completion", editor.here)
        type_at(editor, "DEBUG", "DEBUGGING")
        at_name = editor.at(MAP, editor.text(MAP).index("persona"))
        assert "personas" in editor.request("textDocument/hover", at_name)["contents"]["value"]
        assert not editor.is_answered(late)
    assert "Ask why, five times." in editor.result(late)["contents"]["value"]


def test_a_prompt_waits_for_its_components_and_nothing_else_does(edit: Edit, slow_disk: SlowDisk) -> None:
    editor = opened(edit)
    asked = {"uri": editor.uri(MAP), "goal": ["DEBUG"]}
    with slow_disk.hanging("components/personas"):
        late = [
            editor.begin("goalmap/prompt", asked),
            editor.begin("textDocument/inlayHint", {**editor.document(MAP), "range": whole(editor)}),
        ]
        assert slow_disk.reached.wait(10)
        assert editor.request("textDocument/documentSymbol", editor.document(MAP))
        assert not any(map(editor.is_answered, late))
    assert "You are a detective." in editor.result(late[0])["text"]
    assert len(editor.result(late[1])) == 2


def whole(editor: Editor) -> Any:
    text = editor.text(MAP)
    return {"start": editor.position(text, 0), "end": editor.position(text, len(text))}


def test_a_request_that_waits_for_the_disk_can_be_cancelled(edit: Edit, slow_disk: SlowDisk) -> None:
    from support.lsp_client import LspError

    editor = opened(edit)
    with slow_disk.hanging("components/protocols/drill.txt"):
        late = editor.begin("textDocument/hover", editor.here)
        editor.notify("$/cancelRequest", {"id": late})
        with pytest.raises(LspError, match=r"(?i)cancel"):
            editor.result(late)


def test_a_rename_is_judged_by_the_disk_as_it_is_now_however_slow(edit: Edit, slow_disk: SlowDisk) -> None:
    from support.lsp_client import LspError

    editor = opened(edit)
    editor.write("components/protocols/taken.txt", "Somebody else's.\n")
    with slow_disk.hanging():
        late = editor.begin("textDocument/rename", {**editor.here, "newName": "taken.txt"})
        assert editor.request("textDocument/documentSymbol", editor.document(MAP))
        assert not editor.is_answered(late)
    with pytest.raises(LspError, match="exists already"):
        editor.result(late)


def test_nothing_is_said_about_a_library_before_its_folders_have_been_listed(edit: Edit, slow_disk: SlowDisk) -> None:
    editor = opened(edit, PAPER.replace("-- components/", "-- other/components/").replace("$0", ""))
    nested = PAPER.split("-- components")[0].removeprefix(f"-- {MAP} --\n").replace("$0", "")
    editor.write(f"other/{MAP}", nested)
    with slow_disk.hanging("other"):
        editor.open(f"other/{MAP}", nested)
        late = editor.begin("textDocument/completion", editor.at(f"other/{MAP}", nested.index("ill.txt")))
        editor.type(f"other/{MAP}", nested.index("DEBUG"), nested.index("DEBUG"), "X")
        assert editor.request("textDocument/documentSymbol", editor.document(f"other/{MAP}"))
        told = editor.received("textDocument/publishDiagnostics")
        assert not [one for one in told if one["uri"] == editor.uri(f"other/{MAP}")]
        assert not editor.is_answered(late)
    assert labels(editor.result(late)) == {"drill.txt"}
    editor.let_settle()
    told = [
        one for one in editor.received("textDocument/publishDiagnostics") if one["uri"] == editor.uri(f"other/{MAP}")
    ]
    assert told
    assert all("slot.unknown" not in codes(one) for one in told)


def test_a_folder_that_hangs_keeps_no_other_library_from_being_found(edit: Edit, slow_disk: SlowDisk) -> None:
    editor = opened(edit)
    for name in ("hangs", "answers"):
        editor.write(f"{name}/{MAP}", '{"A": {"persona": "gone.txt"}}')
        editor.full(f"{name}/components/personas").mkdir(parents=True)
    added = [{"uri": editor.uri(name), "name": name} for name in ("hangs", "answers")]
    found = editor.uri(f"answers/{MAP}")
    with slow_disk.hanging("hangs"):
        editor.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": added, "removed": []}})
        editor.hear("textDocument/publishDiagnostics", lambda told: told["uri"] == found and codes(told) != [])
    found = editor.uri(f"hangs/{MAP}")
    editor.hear("textDocument/publishDiagnostics", lambda told: told["uri"] == found and codes(told) != [])


def test_news_of_files_is_taken_in_without_waiting_for_a_slow_disk(edit: Edit, slow_disk: SlowDisk) -> None:
    editor = opened(edit, PAPER.replace("dr$0ill", "drill"))
    with slow_disk.hanging():
        changes = [{"uri": editor.uri(MAP), "type": 3}, {"uri": editor.uri("components/personas/x.txt"), "type": 1}]
        editor.notify("workspace/didChangeWatchedFiles", {"changes": changes})
        editor.notify("workspace/didCreateFiles", {"files": [{"uri": editor.uri("components/personas/x.txt")}]})
        assert editor.request("workspace/symbol", {"query": "DEBUG"})
    editor.let_settle()


def test_slow_files_are_looked_into_one_by_one_so_that_whoever_waits_for_one_has_a_turn(
    edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components, "_AT_ONCE_S", 0.0)
    turns: list[int] = []
    examine = LibraryLoader.examine

    def counted(loader: LibraryLoader, paths: Iterable[str]) -> Any:
        taken = list(paths)
        turns.append(len(taken))
        return examine(loader, taken)

    monkeypatch.setattr(LibraryLoader, "examine", counted)
    editor = opened(edit, PAPER.replace("You are a detective.", "").replace("Ask why, five times.", ""))
    assert turns[:2] == [1, 1]
    told = editor.hear("textDocument/publishDiagnostics", lambda told: codes(told).count("component.empty") == 2)
    assert told["uri"] == editor.uri(MAP)


def test_an_edit_asks_nothing_of_the_disk(edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = opened(edit)
    asked: list[Any] = []
    submit = Disk.submit
    monkeypatch.setattr(Disk, "submit", lambda self, work: asked.append(work) or submit(self, work))
    for letter in "abc":
        type_at(editor, "detective", f"detective{letter}")
    assert asked == []


def test_the_loop_waits_for_a_disk_that_hangs_once_and_then_no_more() -> None:
    begun: list[float] = []
    waits = Patience(0.5, lambda _: None)
    hangs, answer = Disk(), Answer(int)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(Answer, "wait", lambda _, timeout_s: begun.append(timeout_s))
        assert not waits.wait(hangs, answer)
        begun.clear()
        assert not waits.wait(hangs, answer)
        assert begun == [], "it waited again for a disk that had not answered in time"
    over = Patience(0.0, lambda _: None)
    assert not over.wait(Disk(), answer)


def test_a_disk_that_hangs_keeps_no_process_from_ending() -> None:
    program = "import threading; from goalmap.lsp.disk import Disk; Disk().submit(threading.Event().wait)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_thread_that_ended_for_want_of_work_is_missed_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_IDLE_S", 0.0)  # it ends between any two pieces of work, or just before one
    library = Disk()
    answers = [library.submit(partial(int, number)) for number in range(500)]
    assert all(answer.wait(20) for answer in answers)
    assert [answer.result() for answer in answers] == list(range(500))


def test_what_the_work_raises_is_raised_where_the_answer_is_asked_for() -> None:
    answer = Disk().submit(lambda: 1 // 0)
    assert answer.wait(20)
    with pytest.raises(ZeroDivisionError):
        answer.result()


# -- interrupted generations -----------------------------------------------------------------------------------------
def leave_record(root: Path) -> str:
    """Leave the record of a generation whose text is whole and whose owner is gone; return its name."""
    tx = new_tx()
    header = Header(
        tx,
        "generate",
        str(root),
        ("DEBUG",),
        "constraint",
        None,
        "later.txt",
        "autogen_x.txt",
        "components/constraints",
    )
    with locked(str(root), timeout_s=10, tell=lambda _: None) as store:
        record = Record.create(store.journal, header)
        record.finish(b"Cite your sources.\n")
        record.mark_buffered()
        record.close()
    return tx


def interrupted(params: Any) -> int:
    return codes(params).count("generation.interrupted")


def test_a_lock_that_another_process_holds_delays_neither_edits_nor_requests(
    edit: Edit, slow_disk: SlowDisk, tmp_path: Path
) -> None:
    tmp_path.joinpath("components").mkdir()
    leave_record(tmp_path)
    editor = opened(edit)
    editor.hear("textDocument/publishDiagnostics", lambda told: interrupted(told) == 1)
    with lock_held(tmp_path):
        with slow_disk.hanging():
            for number in range(3):
                type_at(editor, "DEBUG", f"DEBUG{number}")
                look_again(editor)
                assert editor.request("textDocument/documentSymbol", editor.document(MAP))
                assert any(title.startswith("Finish the interrupted generation") for title in fixes(editor))
        type_at(editor, "DEBUG210", "DEBUG")
        type_at(editor, "detective", "detectives")
        editor.let_settle()
        told = [one for one in editor.received("textDocument/publishDiagnostics") if one["uri"] == editor.uri(MAP)]
        assert interrupted(told[-1]) == 1, "what was known before the lock was taken is forgotten"


def test_what_was_interrupted_meanwhile_is_shown_when_the_lock_is_free_again(edit: Edit, tmp_path: Path) -> None:
    tmp_path.joinpath("components").mkdir()
    leave_record(tmp_path)
    editor = opened(edit)
    editor.hear("textDocument/publishDiagnostics", lambda told: interrupted(told) == 1)
    leave_record(tmp_path)
    with lock_held(tmp_path):
        type_at(editor, "detective", "detectives")
        editor.let_settle()
    # By itself: nobody types, and nothing tells of the lock.
    editor.hear("textDocument/publishDiagnostics", lambda told: interrupted(told) == 2)


def test_ten_thousand_records_are_counted_and_the_newest_of_them_shown(
    edit: Edit, slow_disk: SlowDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath("components").mkdir()
    leave_record(tmp_path)
    journal = tmp_path / ".goalmap" / "journal"
    for number in range(10_000):
        (journal / f"{number:024x}.gmj").write_bytes(b"\nGOALMAP JOURNAL 9\n")
    read: list[str] = []
    load = Record.load.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Record, "load", classmethod(lambda cls, *of: read.append(of[1]) or load(cls, *of)))
    editor = opened(edit)
    told = editor.hear("textDocument/publishDiagnostics", lambda told: interrupted(told) > 0)
    messages = [item["message"] for item in told["diagnostics"] if item["code"] == "generation.interrupted"]
    assert len(messages) == 51
    assert messages[-1].startswith("And 9951 older records wait")
    assert len(read) == 50
    os.utime(journal, ns=(time.time_ns() - 10**11,) * 2)  # long ago, so that its time stamp can be trusted
    type_at(editor, "detective", "detectives")
    editor.let_settle()
    read.clear()
    with slow_disk.hanging():
        type_at(editor, "detectives", "detective")
        assert any(title.startswith("Finish the interrupted generation of DEBUG") for title in fixes(editor))
    editor.let_settle()
    assert read == [], "records are read again although nothing has changed"


def test_a_map_is_not_taken_for_changed_because_its_disk_is_slow(edit: Edit, slow_disk: SlowDisk) -> None:
    editor = opened(edit)
    with slow_disk.hanging(MAP):
        undo = {"command": "goalmap.undo", "arguments": [{"uri": editor.uri(MAP)}]}
        late = editor.begin("workspace/executeCommand", undo)
        assert slow_disk.reached.wait(10), "nobody read the map"
        assert editor.request("textDocument/documentSymbol", editor.document(MAP))
        assert not editor.is_answered(late)
    assert editor.result(late) is False
    (said,) = editor.received("window/showMessage")
    assert "unsaved changes" not in said["message"]
