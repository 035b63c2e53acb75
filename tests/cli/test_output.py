"""Who reads what a command prints may go away: the work is done all the same, and paid for once."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from goalmap.cli import console
from support.commands import contents, endpoint, state
from support.openai_endpoint import Reply

TEXT = """\
1. Write down the symptom as it was reported, and who saw it first.
2. Find the last moment at which everything was still in order; note the proof.
3. List what changed between that moment and the symptom, configuration included.
4. Test one change at a time, the cheapest test first, and keep each result.
"""
GENERATE = ("generate", "DEBUG", "protocol", "--description", "root cause analysis")
GENERATED = "components/protocols/autogen_protocol_for_debug.txt"


def in_shell(goalmap: Any, line: str, *arguments: str) -> tuple[int, str]:
    """Run a line of bash with the command for `{}`; return the command's exit code, and what the line printed."""
    script = line.format(shlex.join(goalmap.argv(*arguments))) + "; echo ${PIPESTATUS[0]} >codes"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=goalmap.folder,
        env=goalmap.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    codes = goalmap.folder / "codes"
    code = int(codes.read_text())
    codes.unlink()
    return code, done.stdout + done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "{} <&-",
        "{} >&-",
        "{} 2>&-",
        "{} <&- >&- 2>&-",
        "{} 2>&1 | head -c 1",
        "{} 2> >(head -c 1)",
        "{} > >(true)",
        "{} 2>/dev/full",
        "{} >/dev/full",
        "{} >/dev/full 2>&1",
    ],
)
def test_a_generation_is_committed_whoever_reads_of_it(line: str, goalmap: Any, gap: Path) -> None:
    with endpoint(goalmap, Reply(text=TEXT, chunk_chars=8)) as model:
        code, said = in_shell(goalmap, line, *GENERATE)
        assert len(model.requests()) == 1
    assert code == 0
    assert "Traceback" not in said
    assert "Exception" not in said
    assert (gap / GENERATED).read_text() == TEXT
    assert GENERATED.rpartition("/")[2] in (gap / "goal_map.json").read_text()
    assert (state(gap, "journal"), state(gap, "parked")) == ([], [])


@pytest.mark.usefixtures("gap")
def test_a_full_stdout_is_said_on_stderr(goalmap: Any) -> None:
    with endpoint(goalmap, Reply(text=TEXT)):
        code, said = in_shell(goalmap, "{} >/dev/full", *GENERATE)
    assert code == 0
    assert "warning: the output is lost: No space left on device" in said


@pytest.mark.parametrize("command", [("list",), ("check",), ("show", "DEBUG"), ("schema",), ("list", "--json")])
@pytest.mark.usefixtures("library")
def test_a_listing_that_could_not_be_printed_has_failed(command: tuple[str, ...], goalmap: Any) -> None:
    code, said = in_shell(goalmap, "{} >/dev/full", *command)
    assert code == 1
    assert said == "goalmap: error: the output is incomplete: No space left on device\n"
    assert in_shell(goalmap, "{} >&-", *command) == (0, "")


@pytest.mark.usefixtures("library")
def test_a_listing_whose_reader_has_seen_enough_ends_quietly(goalmap: Any) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as stdout:
        done = subprocess.run(
            goalmap.argv("list"),
            cwd=goalmap.folder,
            env=goalmap.environment(),
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_pipe_that_another_program_made_non_blocking_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "every line of it\n" * 50_000
    received: list[bytes] = []

    def read() -> None:
        with open(reader, "rb") as file:
            received.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    with open(writer, "w", encoding="utf-8") as stream:
        surviving = console._without_errors(stream)  # noqa: SLF001
        surviving.write(text)
        assert console.fault_of(surviving) is None
    thread.join()
    assert b"".join(received).decode() == text


def test_an_impatient_ctrl_c_loses_nothing_and_shows_no_traceback(goalmap: Any, gap: Path) -> None:
    before = contents(gap)
    with endpoint(goalmap, Reply(text=TEXT, pause="half", pause_after=12)) as model:
        process = goalmap.start(*GENERATE)
        model.reached("half")
        seen = ""
        while "everything was" not in seen:
            seen += process.stderr.read(1)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "Exception" not in err
    assert (process.returncode, out) == (130, "")
    assert contents(gap) == before
    assert state(gap, "journal") == []
    (parked,) = state(gap, "parked")
    assert str(parked) in err
    assert TEXT.startswith(parked.read_text())
