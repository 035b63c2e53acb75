"""`goalmap check`: every kind of finding, every form of report, and maps that nobody meant to write."""

from __future__ import annotations

import json
import os
import random
import stat
from pathlib import Path
from typing import Any

import pytest

from goalmap.cli.main import main

MiB = 1 << 20


def _map(goal: str) -> str:
    """Return a map of one goal; its members stand in line 2, from column 13."""
    return '{\n  "DEBUG": {' + goal + "}\n}\n"


A = {"components/personas/a.txt": "You are A."}


# -- the form of reports ---------------------------------------------------------------------------------------------
def test_text(goalmap: Any, library: Path) -> None:
    (library / "components/personas/detective.txt").rename(library / "components/personas/detectiv.txt")
    done = goalmap("check")
    assert done.lines == [
        "goal_map.json:6:19: error component.missing: components/personas/detective.txt does not exist",
        "  help: did you mean detectiv.txt?",
        "goal_map.json:14:19: error component.missing: components/personas/detective.txt does not exist",
        "  help: did you mean detectiv.txt?",
        "components/personas/detectiv.txt:1:1: hint component.unused: No goal names components/personas/detectiv.txt",
        "2 errors, 1 hint in 2 goals and 4 components",
    ]
    assert done.err == ""


@pytest.mark.usefixtures("library")
def test_text_of_a_whole_library(goalmap: Any) -> None:
    done = goalmap("check")
    assert (done.code, done.out, done.err) == (0, "No problems in 2 goals and 4 components\n", "")


def test_paths_are_relative_to_where_one_stands(goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    goalmap.folder = library.parent
    assert goalmap("check", "library").lines[0].startswith("library/goal_map.json:7:20: error component.missing:")
    goalmap.folder = library / "components"
    assert goalmap("check").lines[0].startswith(f"{library}/goal_map.json:7:20: error")


def test_control_and_bidi_characters_are_shown_escaped(goalmap: Any, write: Any) -> None:
    write({"goal_map.json": _map('"persona": "\u202etxt.\x1b[31m"').replace("\x1b", "\\u001b")})
    done = goalmap("check")
    assert "\\u202e" in done.out
    assert not {"\x1b", "\u202e"} & set(done.out)


def test_help_for_near_names_is_capped(goalmap: Any, write: Any) -> None:
    write(
        {
            "goal_map.json": {"G": {"personas": [f"a{number}x.txt" for number in range(60)]}},
            **{f"components/personas/a{number}.txt": "x" for number in range(60)},
        }
    )
    done = goalmap("check")
    assert done.out.count("component.missing") == 60
    assert done.out.count("did you mean") == 20


def test_sarif(goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    log = goalmap("check", "--format", "sarif").json
    (run,) = log["runs"]
    (result,) = run["results"]
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "component.missing"
    assert result["level"] == "error"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "goal_map.json", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 7, "startColumn": 20, "endLine": 7, "endColumn": 29}


def test_github(goalmap: Any, write: Any) -> None:
    write({"goal_map.json": _map('"persona": "50%,a:b.txt"'), "components/personas/.keep": ""})
    (line,) = goalmap("check", "--format", "github").lines
    head, _, message = line.removeprefix("::").partition("::")
    assert head == "error file=goal_map.json,line=2,col=25,endColumn=36,title=reference.unsafe"
    assert message.startswith("50%25,a:b.txt ")


@pytest.mark.usefixtures("library")
def test_github_is_silent_where_all_is_well(goalmap: Any) -> None:
    assert goalmap("check", "--format", "github").out == ""


# -- severities ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "code", "shown"),
    [
        ([], 1, "error"),
        (["--severity", "component.missing=hint"], 0, "hint"),
        (["--severity", "component.missing=hint", "--fail-on", "hint"], 1, "hint"),
        (["--severity", "component.missing=off"], 0, None),
        (["--severity", "component.missing=information"], 0, "information"),
        (["--fail-on", "never"], 0, "error"),
        (["--severity", "component.missing=warning", "--fail-on", "error"], 0, "warning"),
    ],
)
def test_severity(options: list[str], code: int, shown: str | None, goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    done = goalmap("check", *options)
    assert done.code == code
    assert (f": {shown} component.missing:" in done.out) if shown else ("component.missing" not in done.out)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("component.mising=off", "did you mean component.missing?"),
        ("component.missing=loud", "error, warning, information, hint, off"),
        ("component.missing", "CODE=LEVEL"),
    ],
)
@pytest.mark.usefixtures("library")
def test_severity_of_nonsense(value: str, says: str, goalmap: Any) -> None:
    done = goalmap("check", "--severity", value)
    assert done.code == 2
    assert says in done.err
    assert done.out == ""


# -- which libraries -------------------------------------------------------------------------------------------------
def test_a_tree_with_several_libraries_nested_ones_too(goalmap: Any, write: Any) -> None:
    broken = {"DEBUG": {"persona": "gone.txt"}}
    write(
        {
            "one/goal_map.json": broken,
            "one/components/personas/.keep": "",
            "one/inner/goal_map.json": broken,
            "one/inner/components/personas/.keep": "",
            "two/goal_map.json": {},
            ".git/goal_map.json": broken,
            "node_modules/x/goal_map.json": broken,
        }
    )
    done = goalmap("check")
    assert [line.split(":")[0] for line in done.lines[:-1]] == ["one/goal_map.json", "one/inner/goal_map.json"]
    assert done.lines[-1] == "2 errors in 2 goals and 0 components of 3 libraries"


@pytest.mark.usefixtures("library")
def test_path_is_a_map_or_a_folder_in_a_library(goalmap: Any) -> None:
    assert goalmap("check", "goal_map.json").code == 0
    assert goalmap("check", "components/personas").code == 0
    assert goalmap("check", "components/personas/detective.txt").code == 0


@pytest.mark.usefixtures("folder")
def test_no_library_here(goalmap: Any) -> None:
    done = goalmap("check")
    assert done.code == 1
    assert done.out == ""
    assert "there is no goal_map.json in the current folder" in done.err
    assert "goalmap init" in done.err


@pytest.mark.usefixtures("folder")
def test_no_such_path(goalmap: Any) -> None:
    done = goalmap("check", "nowhere")
    assert done.code == 1
    assert done.err == "goalmap: error: nowhere does not exist\n"


# -- bad input -------------------------------------------------------------------------------------------------------
READING_COMMANDS = (("check",), ("list",), ("show", "DEBUG"), ("generate", "DEBUG", "persona", "--description", "x"))


@pytest.mark.parametrize("command", READING_COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "is a folder"), (b"\x00" * 100, ""), (bytes(range(256)) * 100, ""), (b"x" * (64 * MiB + 1), "larger than")],
    ids=["folder", "NUL", "binary", "huge"],
)
def test_a_map_that_is_none(
    content: bytes | None, says: str, command: tuple[str, ...], goalmap: Any, write: Any
) -> None:
    write({"goal_map.json": content})
    done = goalmap(*command)
    assert done.code == (0 if command == ("list",) and not says else 1)
    assert says in done.out + done.err


@pytest.mark.parametrize("command", READING_COMMANDS, ids=lambda command: command[0])
def test_a_map_that_is_a_fifo_does_not_hang(command: tuple[str, ...], goalmap: Any, folder: Path) -> None:
    os.mkfifo(folder / "goal_map.json")
    done = goalmap(*command)
    assert done.code == 1
    assert "is not a regular file" in done.out + done.err


def test_a_map_that_is_a_broken_link(goalmap: Any, folder: Path) -> None:
    (folder / "goal_map.json").symlink_to("gone.json")
    assert "does not exist" in goalmap("check").out


def test_a_map_that_may_not_be_read(goalmap: Any, library: Path) -> None:
    (library / "goal_map.json").chmod(0)
    for command in READING_COMMANDS:
        done = goalmap.without_privileges(*command)
        assert done.code == 1
        assert "may not be read" in done.out + done.err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "map.syntax"),
        (" \n\n", "map.syntax"),
        ("null", "map.structure"),
        ("[]", "map.structure"),
        ('["a.txt"]', "map.structure"),
        ("3", "map.structure"),
        ('"text"', "map.structure"),
        ("{}\n{}", "map.syntax"),
        ("// comment\n{}", "map.syntax"),
    ],
)
def test_a_map_of_something_else(text: str, code: str, goalmap: Any, write: Any) -> None:
    write({"goal_map.json": text})
    done = goalmap("check", "--format", "json")
    assert done.code == 1
    assert code in {finding["code"] for finding in done.json["findings"]}


def test_an_empty_map_is_fine(goalmap: Any, write: Any) -> None:
    write({"goal_map.json": "\ufeff{}\r\n"})
    assert goalmap("check").out == "No problems in 0 goals and 0 components\n"


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"a":[', '{"a":\n'])
def test_ten_thousand_levels(opening: str, goalmap: Any, write: Any) -> None:
    write({"goal_map.json": opening * 10_000})
    for command in READING_COMMANDS:
        assert goalmap(*command).code in (0, 1)


def test_a_map_of_five_megabytes(goalmap: Any, write: Any) -> None:
    goals = {f"GOAL_{number}": {"persona": "a.txt", "protocol": "b" * 40 + ".txt"} for number in range(50_000)}
    write({"goal_map.json": goals, **A, f"components/protocols/{'b' * 40}.txt": "B"})
    assert os.path.getsize(goalmap.folder / "goal_map.json") > 5 * MiB
    assert goalmap("check").out == "No problems in 50000 goals and 2 components\n"


def test_a_long_map_on_one_line_takes_no_longer_than_one_of_many(goalmap: Any, write: Any) -> None:
    goals = {f"GOAL_{number}": {"persona": "gone.txt"} for number in range(30_000)}
    write({"goal_map.json": json.dumps(goals), "components/personas/.keep": ""})
    done = goalmap("check", "--format", "github")
    assert len(done.lines) == 30_000
    assert done.code == 1


def test_truncated_at_every_byte(folder: Path, write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = '{"Ä": {"A": {"persona": "a.txt"}, "B": {"constraints": ["ü.txt", "c.txt"]}}, "C": {"persona": "a.txt"}}\n'
    data = text.encode()
    read: list[list[str]] = []
    for length in range(len(data) + 1):
        write({"goal_map.json": data[:length], **A})
        code = main(["check", str(folder), "--format", "json"])
        codes = {finding["code"] for finding in json.loads(capsys.readouterr().out)["findings"]}
        assert code == 1
        assert ("map.syntax" in codes) == (length < len(data.rstrip()))
        assert main(["list", str(folder), "--json"]) == 0
        read.append([goal["name"] for goal in json.loads(capsys.readouterr().out)])
    # What was readable stays: each goal appears once its object begins, and never goes.
    assert [len(names) for names in read] == sorted(len(names) for names in read)
    assert read[-1] == ["A", "B", "C"]


def test_random_bytes(goalmap: Any, library: Path) -> None:
    source = random.Random(7)
    data = bytearray((library / "goal_map.json").read_bytes())
    for _ in range(20):
        for _ in range(5):
            data[source.randrange(len(data))] = source.randrange(256)
        (library / "goal_map.json").write_bytes(data)
        assert goalmap("check").code in (0, 1)


# -- the terminal ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)]
)
def test_colours_on_a_terminal(env: dict[str, str], coloured: bool, goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    done = goalmap.on_terminal("check", env=env)
    assert done.code == 1
    assert ("\x1b[1;31merror\x1b[0m component.missing" in done.out) == coloured
    assert ("\x1b" in done.out) == coloured
    assert "\x1b" not in goalmap("check", env=env).out


def test_a_closed_pipe_is_quiet(goalmap: Any, write: Any) -> None:
    write(
        {
            "goal_map.json": {f"GOAL_{number}": {"persona": "gone.txt"} for number in range(5_000)},
            "components/personas/.keep": "",
        }
    )
    process = goalmap.start("check", "--severity", "component.missing=warning")
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 1
    process.stderr.close()


def test_nothing_is_written(goalmap: Any, library: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in library.rglob("*")}
    for mode in (0o755, 0o555):
        library.chmod(mode)
        assert stat.S_IMODE(library.stat().st_mode) == mode
        assert goalmap("check").code == 0
        assert goalmap("list").code == 0
        assert goalmap("show", "DEBUG").code == 0
    library.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in library.rglob("*")} == before
