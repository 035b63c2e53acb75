"""`goalmap list`, `show` and `build`: what a library holds, and the prompts that it makes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from goalmap.cli.main import COMMANDS

PROMPT = """\
# Find the cause

## PERSONA

You find causes.

## PROTOCOL

1. Ask why.
2. Ask again.

## CONSTRAINTS

Cite evidence.

---

Do not guess.
"""


# -- list ------------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("library")
def test_list(goalmap: Any) -> None:
    done = goalmap("list")
    assert (done.code, done.err) == (0, "")
    assert done.out == "Technical/DEBUG   4 components  Find the cause\nTechnical/REVIEW  2 components\n"


def test_list_says_what_is_missing(goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    assert goalmap("list").lines[0] == "Technical/DEBUG   4 components, 1 missing  Find the cause"


@pytest.mark.usefixtures("library")
def test_list_as_json(goalmap: Any) -> None:
    debug, review = goalmap("list", "--json").json
    assert debug["path"] == ["Technical", "DEBUG"]
    assert (debug["name"], debug["title"], debug["line"], debug["missing"]) == ("DEBUG", "Find the cause", 3, [])
    assert list(debug["slots"]) == ["persona", "protocol", "constraints"]
    assert (review["title"], review["description"]) == (None, None)


def test_list_of_a_broken_map_shows_what_can_be_read(goalmap: Any, library: Path) -> None:
    text = (library / "goal_map.json").read_text()
    (library / "goal_map.json").write_text(text.replace('"REVIEW": {', '"REVIEW" {'))
    done = goalmap("list")
    assert done.lines[0].startswith("Technical/DEBUG")
    assert "goal_map.json:13:14: warning: Expected a colon" in done.err
    assert "(to see all: goalmap check)\n" in done.err


def test_list_escapes_what_steers_a_terminal(goalmap: Any, write: Any) -> None:
    write({"goal_map.json": {"A\x1b[2J": {"title": "\u202eB", "persona": "a.txt"}}})
    assert not {"\x1b", "\u202e"} & set(goalmap("list").out)


def test_list_of_lone_surrogates(goalmap: Any, write: Any) -> None:
    write({"goal_map.json": '{"A\\ud800": {"persona": "\\udfff.txt"}}'})
    assert goalmap("list").code == goalmap("list", "--json").code == 0
    assert goalmap("check").code == 1
    assert goalmap("check", "--format", "sarif").code == 1


# -- show ------------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["DEBUG", "Technical/DEBUG"])
def test_show(name: str, goalmap: Any) -> None:
    done = goalmap("show", name)
    assert (done.code, done.out, done.err) == (0, PROMPT, "")


@pytest.mark.usefixtures("library")
def test_show_tokens_go_to_stderr(goalmap: Any) -> None:
    done = goalmap("show", "DEBUG", "--tokens")
    assert done.out == PROMPT
    assert done.err.rstrip().endswith("tokens")


def test_show_a_prompt_that_lacks_something(goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    (library / "components/constraints/evidence.txt").write_bytes(b"\xff")
    done = goalmap("show", "DEBUG")
    assert (done.code, done.out) == (1, "")
    assert "lacks 2 of 4 components" in done.err
    assert "components/protocols/drill.txt does not exist" in done.err
    assert "components/constraints/evidence.txt is not UTF-8" in done.err
    assert "goalmap generate Technical/DEBUG protocol" in done.err


def test_show_an_ambiguous_goal(goalmap: Any, write: Any) -> None:
    write({"goal_map.json": {"A": {"X": {"p": "a.txt"}}, "B": {"X": {"p": "a.txt"}}}, "components/ps/a.txt": "A"})
    done = goalmap("show", "X")
    assert done.code == 1
    assert "X is ambiguous: 2 goals match" in done.err
    assert "A/X, B/X" in done.err
    assert goalmap("show", "B/X").code == 0


@pytest.mark.usefixtures("library")
def test_show_an_unknown_goal(goalmap: Any) -> None:
    done = goalmap("show", "DEBUGG")
    assert (done.code, done.out) == (1, "")
    assert "did you mean Technical/DEBUG?" in done.err


def test_show_through_a_template(goalmap: Any, write: Any) -> None:
    write(
        {
            "goal_map.json": {"G": {"persona": "a.txt", "template": "t.md"}},
            "components/personas/a.txt": "I am A. {{ goal }}",
            "components/templates/t.md": "{{ title }}: {{ persona }}",
        }
    )
    # What a component holds is text, never a template.
    assert goalmap("show", "G").out == "G: I am A. {{ goal }}\n"


@pytest.mark.parametrize("template", ["{{ gone }}", "{% if %}", "{{ ''.__class__.__mro__ }}", "{{ 'x' * 9999999999 }}"])
def test_show_through_a_template_that_fails(template: str, goalmap: Any, write: Any) -> None:
    write(
        {
            "goal_map.json": {"G": {"persona": "a.txt", "template": "t.md"}},
            "components/personas/a.txt": "A",
            "components/templates/t.md": template,
        }
    )
    done = goalmap("show", "G")
    assert (done.code, done.out) == (1, "")
    assert "components/templates/t.md:1" in done.err


def test_show_bytes_as_they_are_in_a_pipe_but_not_on_a_terminal(goalmap: Any, library: Path) -> None:
    text = "red \x1b[31m and \u202e round"
    (library / "components/personas/detective.txt").write_text(text)
    assert text in goalmap("show", "DEBUG").out
    done = goalmap.on_terminal("show", "DEBUG")
    assert done.code == 0
    assert "\\x1b[31m" in done.out
    assert "\\u202e" in done.out
    assert not {"\x1b", "\u202e"} & set(done.out)


# -- build -----------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("library")
def test_build(goalmap: Any, tmp_path: Path) -> None:
    done = goalmap("build", "DEBUG", "--out", tmp_path / "out/deep")
    assert done.code == 0
    assert (tmp_path / "out/deep/00_PERSONA.md").read_text() == "# Persona: Find the cause\n\nYou find causes.\n"
    rest = (tmp_path / "out/deep/01_PROMPT_TEMPLATE.md").read_text()
    assert rest.startswith("# Find the cause\n\n## PROTOCOL\n\n1. Ask why.")
    assert rest.endswith("\n\n[INSERT YOUR SPECIFIC REQUEST HERE]\n")
    assert done.lines == [str(tmp_path / "out/deep" / name) for name in ("00_PERSONA.md", "01_PROMPT_TEMPLATE.md")]


@pytest.mark.usefixtures("library")
def test_build_with_a_title_over_an_earlier_one(goalmap: Any, folder: Path) -> None:
    for title in ("First", "Second"):
        assert goalmap("build", "DEBUG", "--out", "out", "--title", title).code == 0
    assert (folder / "out/00_PERSONA.md").read_text().startswith("# Persona: Second\n")
    assert (folder / "out/01_PROMPT_TEMPLATE.md").read_text().startswith("# Second\n")


def test_build_nothing_where_something_is_missing(goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    done = goalmap("build", "DEBUG", "--out", "out")
    assert (done.code, done.out) == (1, "")
    assert not (library / "out").exists()


def test_build_where_nothing_can_be_written(goalmap: Any, library: Path) -> None:
    (library / "out").write_text("in the way")
    done = goalmap("build", "DEBUG", "--out", "out/here")
    assert done.code == 1
    assert "cannot write the prompt" in done.err


# -- anything --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["show"], ["check", "--format", "xml"], ["list", "a", "b"]])
def test_usage(arguments: list[str], goalmap: Any) -> None:
    done = goalmap(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: goalmap")


def test_version(goalmap: Any) -> None:
    done = goalmap("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.split()[0] == "goalmap"


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, goalmap: Any) -> None:
    done = goalmap(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: goalmap {command}")
    assert command in goalmap("--help").out


def test_any_locale(goalmap: Any, write: Any) -> None:
    write({"goal_map.json": {"ÄGYPTEN": {"persona": "ä.txt"}}, "components/personas/ä.txt": "Grüße ⟨🜁⟩"})
    done = goalmap("show", "ÄGYPTEN", env={"LC_ALL": "C", "PYTHONIOENCODING": "latin-1"})
    assert done.out == "# ÄGYPTEN\n\n## PERSONA\n\nGrüße ⟨🜁⟩\n"
    assert json.loads(goalmap("list", "--json", env={"LC_ALL": "C"}).out)[0]["name"] == "ÄGYPTEN"


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("command", "module"), [("check", "openai"), ("check", "pydantic"), ("list", "jinja2"), ("show", "asyncio")]
)
def test_a_command_loads_only_what_it_needs(command: str, module: str, goalmap: Any) -> None:
    arguments = ["show", "DEBUG"] if command == "show" else [command]
    told = subprocess.run(
        [*goalmap.argv(*arguments)[:1], "-X", "importtime", "-m", "goalmap", *arguments],
        cwd=goalmap.folder,
        env=goalmap.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    loaded = {line.rpartition("|")[2].strip() for line in told.splitlines()}
    assert "goalmap.core.goal_map" in loaded
    assert module not in loaded
