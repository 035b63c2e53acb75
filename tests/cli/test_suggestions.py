"""Commands that Goalmap suggests are run as they are printed: by a real shell, from where one stands."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from goalmap.cli.console import command, with_root
from goalmap.cli.library_report import print_reports
from goalmap.files.report import Report
from support.commands import endpoint, state, write_files
from support.openai_endpoint import Reply

TEXT = """\
You repair clocks that other people have given up on, and you keep a note of every one.
When a customer is in a hurry, you tell them which part can be rushed, and which cannot.
You say what you do not know, and where you would look for it first.
"""
CATEGORY, GOAL = "Technical & Execution", """DIAGNOSE "ROOT" $HOME's `cause`; #1"""
ROOT = "my lib & $HOME's"


@pytest.fixture
def odd(folder: Path) -> Path:
    """Make a library of one goal, whose persona is missing, with names that a shell would take apart."""
    goal = {"persona": "clock repairer.txt", "persona$description": "repairs clocks", "protocol": "drill.txt"}
    write_files(
        folder / ROOT,
        {"goal_map.json": {CATEGORY: {GOAL: goal}}, "components/protocols/drill.txt": "1. Ask.\n"},
    )
    return folder / ROOT


def suggested(text: str, first: str = "goalmap") -> str:
    """Return the command that the last line with one suggests: to the end of the line, or of its quotation."""
    line = next(line for line in reversed(text.splitlines()) if f"{first} " in line)
    before, _, after = line.partition(f"{first} ")
    return f"{first} " + (after.rpartition("`")[0] if before.endswith("`") else after).rstrip()


def in_bash(goalmap: Any, line: str) -> subprocess.CompletedProcess[str]:
    environment = goalmap.environment()
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-c", line],
        cwd=goalmap.folder,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_show_suggests_the_generation_of_what_is_missing_and_that_its_undoing(goalmap: Any, odd: Path) -> None:
    before = (odd / "goal_map.json").read_bytes()
    lacking = goalmap("show", GOAL, "--root", ROOT)
    line = suggested(lacking.err)
    assert shlex.split(line) == ["goalmap", "generate", f"{CATEGORY}/{GOAL}", "persona", "--root", ROOT]
    with endpoint(goalmap, Reply(text=TEXT)):
        done = in_bash(goalmap, line)
    assert (done.returncode, "Committed" in done.stdout) == (0, True), done.stderr
    line = suggested(done.stderr)
    assert shlex.split(line) == ["goalmap", "undo", "--root", ROOT]
    assert in_bash(goalmap, line).returncode == 0
    assert (odd / "goal_map.json").read_bytes() == before


def test_in_the_library_no_root_is_repeated(goalmap: Any, odd: Path) -> None:
    goalmap.folder = odd
    line = suggested(goalmap("show", GOAL).err)
    assert shlex.split(line) == ["goalmap", "generate", f"{CATEGORY}/{GOAL}", "persona"]


def test_a_list_needs_its_index(goalmap: Any, folder: Path) -> None:
    write_files(folder, {"goal_map.json": {"G": {"constraints": ["a.txt"]}}, "components/constraints/b.txt": "B"})
    assert suggested(goalmap("show", "G").err) == "goalmap generate G constraints --index 0"


def test_init_suggests_what_to_try(goalmap: Any, folder: Path) -> None:
    line = suggested(goalmap("init", ROOT).out)
    assert shlex.split(line) == ["goalmap", "show", "SUMMARIZE", "--root", ROOT]
    assert in_bash(goalmap, line).stdout.startswith("# Summarize a document")
    line = suggested(goalmap("init", ROOT).err)
    assert shlex.split(line) == ["goalmap", "check", ROOT]
    assert in_bash(goalmap, line).returncode == 0
    shutil.rmtree(folder / ROOT)
    (folder / ROOT).mkdir()
    line = suggested(goalmap("show", "X", "--root", ROOT).err)
    assert shlex.split(line) == ["goalmap", "init", ROOT]
    assert in_bash(goalmap, line).returncode == 0


@pytest.mark.usefixtures("odd")
def test_the_goals_are_listed_by_the_suggested_command(goalmap: Any) -> None:
    line = suggested(goalmap("show", "nothing like it", "--root", ROOT).err)
    assert shlex.split(line) == ["goalmap", "list", ROOT]
    assert GOAL in in_bash(goalmap, line).stdout


def test_an_example_of_a_description_is_quoted(goalmap: Any, odd: Path) -> None:
    text = json.loads((odd / "goal_map.json").read_text())
    del text[CATEGORY][GOAL]["persona$description"]
    (odd / "goal_map.json").write_text(json.dumps(text))
    done = goalmap("generate", GOAL, "persona", "--root", ROOT)
    assert "give one: --description 'clock repairer', or" in done.err


@pytest.mark.parametrize("told_by", ["check", "doctor"])
def test_an_interrupted_generation_is_recovered_by_the_suggested_command(told_by: str, goalmap: Any, odd: Path) -> None:
    with endpoint(goalmap, Reply(text=TEXT, pause="half", pause_after=12)) as model:
        process = goalmap.start("generate", GOAL, "persona", "--root", ROOT)
        model.reached("half")
        process.kill()
        process.communicate()
    arguments = ("check", ROOT) if told_by == "check" else ("doctor", "--root", ROOT)
    line = suggested(goalmap(*arguments).out, "goalmap recover")
    words = shlex.split(line.removesuffix(" finishes it"))
    assert words[:3] == ["goalmap", "recover", "--root"]
    assert os.path.samefile(goalmap.folder / words[3], odd)
    assert in_bash(goalmap, line).returncode == 0
    assert state(odd, "journal") == []


def test_messages_of_the_library_name_the_root_too() -> None:
    said = "Not undone: busy; then run `goalmap recover`."
    assert with_root(said, ".") == said
    assert with_root(said, ROOT) == f"Not undone: busy; then run `{command('recover', root=ROOT)}`."
    assert shlex.split(command("recover", root=ROOT)) == ["goalmap", "recover", "--root", ROOT]


def test_on_windows_commands_are_quoted_for_its_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "name", "nt")
    assert command("show", 'A "B"', root="my lib") == 'goalmap show "A \\"B\\"" --root "my lib"'


def test_what_is_reported_of_a_library_names_the_root_too(capsys: pytest.CaptureFixture[str]) -> None:
    print_reports(ROOT)(Report(warnings=["The record waits: run `goalmap recover`"]))
    line = suggested(capsys.readouterr().err, "goalmap recover")
    assert shlex.split(line)[:4] == ["goalmap", "recover", "--root", ROOT]
