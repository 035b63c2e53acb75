"""What comes in the way of `goalmap generate`: endpoints that fail, Ctrl-C, kills, and other people's edits."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from goalmap.files.journal import parse
from support.commands import contents, endpoint, state
from support.openai_endpoint import EndpointProcess, Reply

TEXT = """\
1. Write down the symptom as it was reported, and who saw it first.
2. Find the last moment at which everything was still in order; note the proof.
3. List what changed between that moment and the symptom, configuration included.
4. Test one change at a time, the cheapest test first, and keep each result.
5. Stop when a single change switches the symptom on and off; name it as the cause.
"""
ASKED = ("--description", "root cause analysis")


# -- endpoints that fail ---------------------------------------------------------------------------------------------
FAULTS: dict[str, tuple[list[Reply], str]] = {
    "401": ([Reply(status=401)], "Check GOALMAP_API_KEY"),
    "404": ([Reply(status=404)], "GOALMAP_MODEL_NAME"),
    "429 with a long Retry-After": ([Reply(status=429, headers={"Retry-After": "3600"})], "Run it again in 60 minutes"),
    "500 again and again": ([Reply(status=500, repeat=True)], "Run it again"),
    "a redirect": ([Reply(status=307, headers={"Location": "http://127.0.0.1:9/v1"})], "final address"),
    "a web page": ([Reply(raw="<html>hello</html>", content_type="text/html")], "ends in /v1"),
    "garbage": ([Reply(raw="data: {{{{\n\ndata: \x00\n\n")], "ends in /v1"),
    "torn in the middle": ([Reply(text=TEXT, ending="abort")], "Run it again"),
    "ends without an end": ([Reply(text=TEXT, ending="silence")], "Run it again"),
    "empty": ([Reply(text="", repeat=True)], "Run it again"),
    "a refusal": ([Reply(text="I'm sorry, but I can't help with that.", repeat=True)], "in other words"),
    "endless repetition": ([Reply(text="and so on " * 2000, repeat=True)], "Run it again"),
    "cut off by length": ([Reply(text=TEXT, finish_reason="length", repeat=True)], ""),
}


@pytest.mark.parametrize("name", FAULTS)
def test_endpoint_fault(name: str, goalmap: Any, gap: Path) -> None:
    script, says = FAULTS[name]
    before = contents(gap)
    with endpoint(goalmap, *script):
        done = goalmap("generate", "DEBUG", "protocol", *ASKED)
    assert done.code == 1
    assert says in done.err
    assert done.out == ""
    assert contents(gap) == before
    assert state(gap, "journal") == []
    for path in state(gap, "parked"):
        assert str(path) in done.err


def test_nothing_answers(goalmap: Any, gap: Path) -> None:
    with endpoint(goalmap):
        pass  # gone again: its port is free
    before = contents(gap)
    done = goalmap("generate", "DEBUG", "protocol", *ASKED)
    assert done.code == 1
    assert "Nothing answers at http://127.0.0.1" in done.err
    assert contents(gap) == before


# -- interruptions ---------------------------------------------------------------------------------------------------
def kept(record: Path) -> bytes:
    return parse(record.read_bytes()).raw


@contextmanager
def half_way(goalmap: Any, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], EndpointProcess]]:
    """Start a generation whose model has written half of its text and waits."""
    with endpoint(goalmap, Reply(text=TEXT, pause="half", pause_after=12)) as model:
        process = goalmap.start("generate", "DEBUG", "protocol", *ASKED, *arguments)
        model.reached("half")
        seen = ""
        while "everything was" not in seen:
            seen += process.stderr.read(1)
        while not any(b"everything was" in kept(record) for record in state(goalmap.folder, "journal")):
            assert process.poll() is None  # what is shown is kept a moment later, by a thread of its own
        yield process, model
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_ctrl_c_loses_nothing(goalmap: Any, gap: Path) -> None:
    before = contents(gap)
    with half_way(goalmap) as (process, model):
        process.send_signal(signal.SIGINT)
        code, out, err = ended(process)
        assert model.requests()[0]["hung_up"]
    assert (code, out) == (130, "")
    assert "Cancelled; the library is as it was." in err
    assert contents(gap) == before
    assert state(gap, "journal") == []
    (parked,) = state(gap, "parked")
    assert str(parked) in err
    assert TEXT.startswith(parked.read_text())
    assert len(parked.read_text()) > 100


def test_killed_while_the_model_writes(goalmap: Any, gap: Path) -> None:
    before = contents(gap)
    with half_way(goalmap) as (process, _):
        process.kill()
        process.communicate()
    found = goalmap("check", "--format", "json").json["findings"]
    assert [(finding["code"], finding["line"]) for finding in found] == [
        ("component.missing", 7),
        ("generation.interrupted", 7),
    ]
    assert "goalmap recover" in found[1]["message"]
    done = goalmap("recover")
    (parked,) = state(gap, "parked")
    assert done.code == 0
    assert str(parked) in done.out
    assert TEXT.startswith(parked.read_text())
    assert contents(gap) == before
    assert goalmap("recover").out == "Nothing was left to recover.\n"


def test_the_reference_changes_while_the_model_writes(goalmap: Any, gap: Path) -> None:
    with half_way(goalmap) as (process, model):
        text = (gap / "goal_map.json").read_text().replace("drill.txt", "mine.txt")
        (gap / "goal_map.json").write_text(text)
        model.open("half")
        code, out, err = ended(process)
    assert (code, out) == (76, "")
    (parked,) = state(gap, "parked")
    assert str(parked) in err
    assert parked.read_text() == TEXT
    assert (gap / "goal_map.json").read_text() == text
    assert state(gap, "journal") == []


def test_the_map_breaks_while_the_model_writes(goalmap: Any, gap: Path) -> None:
    whole = (gap / "goal_map.json").read_bytes()
    with half_way(goalmap) as (process, model):
        (gap / "goal_map.json").write_bytes(whole[:50])
        model.open("half")
        code, _, err = ended(process)
    assert code == 75
    assert "goalmap recover" in err
    waiting = goalmap("recover")
    assert waiting.code == 75
    (gap / "goal_map.json").write_bytes(whole)
    done = goalmap("recover")
    assert done.code == 0
    assert "components/protocols/autogen_protocol_for_debug.txt is committed" in done.out
    assert goalmap("check").code == 0


def test_the_journal_vanishes_while_the_model_writes(goalmap: Any, gap: Path) -> None:
    with half_way(goalmap) as (process, model):
        for record in state(gap, "journal"):
            record.unlink()
        model.open("half")
        code, _, err = ended(process)
    assert code == 74
    saved = [path for path in goalmap.home.rglob("*.gmj") if TEXT.encode() in path.read_bytes()]
    assert len(saved) == 1
    assert str(saved[0]) in err
    assert goalmap("recover").code == 0
    assert goalmap("check").code == 0


@pytest.mark.usefixtures("gap")
def test_another_generation_of_the_same_component_is_refused(goalmap: Any) -> None:
    with half_way(goalmap) as (process, model):
        done = goalmap("generate", "DEBUG", "protocol", *ASKED)
        assert done.code == 1
        assert "is being generated right now" in done.err
        assert len(model.requests()) == 1
        model.open("half")
        assert ended(process)[0] == 0


def test_a_second_reply_after_a_first_that_will_not_do(goalmap: Any, gap: Path) -> None:
    with endpoint(goalmap, Reply(text="Too short."), Reply(text=TEXT)):
        done = goalmap("generate", "DEBUG", "protocol", *ASKED)
    assert done.code == 0
    assert "Reply rejected; asking once more" in done.err
    assert (gap / "components/protocols/autogen_protocol_for_debug.txt").read_text() == TEXT


@pytest.mark.usefixtures("gap")
def test_the_reply_cannot_steer_the_terminal(goalmap: Any) -> None:
    with endpoint(goalmap, Reply(text=f"\x1b]0;owned\x07\x1b[2J\u202e{TEXT}")):
        done = goalmap("generate", "DEBUG", "protocol", *ASKED)
    assert done.code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(done.err + done.out)
