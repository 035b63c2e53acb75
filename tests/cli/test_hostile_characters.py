"""Whatever a library holds and whoever typed it: a terminal is not steered, and a pipe gets every byte."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from goalmap.files.loader import component_text
from support.hostile import FILE, GOAL, IN_NAMES, MARKS, MOST_MARKS, TEXT, unfit, write_library

if TYPE_CHECKING:
    from support.commands import Command

COMMANDS: Final = {
    "show": ["show", "WHOLE"],
    "show --tokens": ["show", "WHOLE", "--tokens"],
    "show what lacks something": ["show", GOAL.partition("\0")[0]],
    "show what cannot be read": ["show", "NUL"],
    "show an unknown goal": ["show", f"G{IN_NAMES}"],
    "list": ["list"],
    "list --json": ["list", "--json"],
    "check": ["check"],
    "check as JSON": ["check", "--format", "json"],
    "check as SARIF": ["check", "--format", "sarif"],
    "check for GitHub": ["check", "--format", "github"],
    "check elsewhere": ["check", f"x{IN_NAMES}"],
    "build": ["build", "WHOLE", "--out", f"out{IN_NAMES}"],
    "generate an unknown slot": ["generate", "GAP", f"s{IN_NAMES}"],
    "generate without a model": ["generate", "GAP", "protocol", "--description", f"d{IN_NAMES}"],
    "recover elsewhere": ["recover", "--root", f"x{IN_NAMES}"],
    "undo elsewhere": ["undo", "--root", f"x{IN_NAMES}"],
    "init": ["init", f"new{IN_NAMES}"],
    "no command": [f"c{IN_NAMES}"],
    "no option": ["show", "WHOLE", f"--o{IN_NAMES}"],
    "no format": ["check", "--format", f"f{IN_NAMES}"],
    "doctor": ["doctor"],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_terminal_is_not_steered(arguments: list[str], goalmap: Command, folder: Path) -> None:
    """Without colours, which are Goalmap's own escapes."""
    write_library(folder)
    done = goalmap.on_terminal(*arguments, env={"NO_COLOR": "1"})
    assert done.out.strip()
    assert "Traceback" not in done.out
    assert unfit(done.out) == ""


def test_with_colours_the_only_escapes_are_colours(goalmap: Command, folder: Path) -> None:
    write_library(folder)
    screen = goalmap.on_terminal("check").out
    assert "\x1b[" in screen
    for style in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[36m", "\x1b[32m"):
        screen = screen.replace(style, "")
    assert unfit(screen) == ""


def test_marks_without_end_stay_on_their_line(goalmap: Command, folder: Path) -> None:
    """As many as any language has are shown, and the rest as escapes, so that the text can still be read."""
    write_library(folder)
    screen = goalmap.on_terminal("show", "WHOLE").out
    assert "e" + MARKS[:MOST_MARKS] + "\\u0301" * (len(MARKS) - MOST_MARKS) in screen


def test_a_pipe_gets_every_byte(goalmap: Command, folder: Path) -> None:
    """But for line ends, which are those of the prompt."""
    write_library(folder)
    argv, environment = goalmap.argv("show", "WHOLE"), goalmap.environment()
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, check=True)
    assert done.stdout == f"# WHOLE\n\n## PERSONA\n\n{component_text(TEXT)}".encode().rstrip(b"\n") + b"\n"
    assert done.stderr == b""


def test_a_reference_that_no_file_can_have_is_missing(goalmap: Command, folder: Path) -> None:
    write_library(folder)
    done = goalmap("show", "NUL")
    assert done.code == 1
    assert "components/personas/n\\x00.txt" in done.err


def test_a_build_writes_every_byte(goalmap: Command, folder: Path) -> None:
    write_library(folder)
    assert goalmap("build", "WHOLE", "--out", "out").code == 0
    written = b"".join(path.read_bytes() for path in (folder / "out").iterdir())
    assert component_text(TEXT).rstrip().encode() in written
    assert FILE.encode() not in written
