"""Many at once, in short; ten rounds of 200 slots with 50 kills each, and more of servers: `make faults`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from goalmap.files import os_layer
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import Generation
from support.told import begin, recover

from . import crowd as crowds
from .crowd import COUNT, Crowd

if TYPE_CHECKING:
    from collections.abc import Callable

CROWD = Path(__file__).parent / "crowd.py"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "arguments",
    [
        ("--slots", "40", "--kills", "20"),
        ("--slots", "20", "--kills", "20", "--nested"),
        ("--servers", "2", "--slots", "10", "--kills", "3"),
        ("--servers", "2", "--slots", "10", "--kills", "3", "--view", "dirty"),
    ],
    ids=["processes", "in a library and one within it", "two servers and a command line", "with maps open and changed"],
)
def test_nothing_is_lost_among_many(arguments: tuple[str, ...]) -> None:
    """In a process of its own, since it forks: the report is the message of a failure."""
    command = [sys.executable, str(CROWD), "--rounds", "1", "--patience-s", "500", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# -- who looks on must be right itself ---------------------------------------------------------------------------------
class Steps:
    """A stop that the editor waits for, and before which these things happen, one at each of its looks."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = list(steps)

    def wait(self, _: float) -> bool:
        """Do the next thing; True after the last."""
        if not self._steps:
            return True
        self._steps.pop(0)()
        return False


def finished(crowd: Crowd, number: int) -> Generation:
    """Return a generation that has only to be committed."""
    request = GenerateRequest(
        str(crowd.map), (f"GOAL{number}",), "protocol", None, f"todo{number}.txt", f"describe {number}"
    )
    generation = begin(request)
    assert isinstance(generation, Generation)
    generation.finish(crowd.text(number))
    return generation


def nothing() -> None:
    """Only look."""


def test_a_commit_that_is_between_its_two_exchanges_has_lost_no_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The editor saves just before the exchange, and looks between the exchange and the put-back."""
    crowd, generation = Crowd(tmp_path, 1), None
    generation = finished(crowd, 0)
    real, seen = os_layer.LibraryDir.exchange, []

    def exchange(folder: os_layer.LibraryDir, one: str, other: str) -> bool:
        if seen:
            return real(folder, one, other)
        seen.append("")
        monkeypatch.setattr(os_layer.LibraryDir, "exchange", real)
        before = [nothing]  # saves
        window = [lambda: seen.append(_exchange()), nothing, nothing]  # looks, and sees the old count
        crowd.edit(Steps(*before, *window))  # type: ignore[arg-type]
        return True

    def _exchange() -> str:
        (ready,) = (path.name for path in crowd.root.glob(".goal_map.*.tmp"))
        with os_layer.LibraryDir.open(str(crowd.root)) as folder:
            real(folder, "goal_map.json", ready)
        match = COUNT.search(crowd.map.read_bytes())
        assert match is not None
        return match[1].decode()

    monkeypatch.setattr(os_layer.LibraryDir, "exchange", exchange)
    generation.commit()
    assert seen[1:] == ["000000"], "the editor has looked at another moment"
    assert crowd.noted("edits") == ["1"], "the editor has saved over what was on its way"
    assert crowd.check() == []


def test_an_edit_that_never_comes_back_is_lost(tmp_path: Path) -> None:
    """What the editor waits for, the check after the recovery judges."""
    crowd = Crowd(tmp_path, 1)
    finished(crowd, 0).commit()
    old = crowd.map.read_bytes()
    crowd.edit(Steps(nothing, lambda: crowd.map.write_bytes(old), nothing, nothing))  # type: ignore[arg-type]
    (complaint,) = crowd.check()
    assert complaint.startswith("I7 the editor's last edit is lost")


def test_a_count_that_nobody_has_saved_is_wrong(tmp_path: Path) -> None:
    crowd = Crowd(tmp_path, 1)
    finished(crowd, 0).commit()
    new = crowd.map.read_bytes().replace(b'"count": "000000"', b'"count": "000007"')
    crowd.edit(Steps(lambda: crowd.map.write_bytes(new)))  # type: ignore[arg-type]
    assert crowd.noted("wrong")


def test_the_editor_throws_out_no_commit_that_came_between_its_exchanges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One commit after its look, one on top of its own version: all three changes are in the map in the end."""
    crowd = Crowd(tmp_path, 2)
    data = crowd.map.read_bytes()
    new = data.replace(b'"count": "000000"', b'"count": "000001"')
    first, second, real = finished(crowd, 0), finished(crowd, 1), os_layer.rename_with_flag
    first.commit()

    def paused(*arguments: Any) -> None:
        real(*arguments)
        monkeypatch.setattr(os_layer, "rename_with_flag", real)
        second.commit()

    monkeypatch.setattr(os_layer, "rename_with_flag", paused)
    assert crowd._rename(data, new, crowd.map.with_name("editor.tmp"))  # noqa: SLF001 - what is tested
    crowd.note("edits", "1")
    assert crowd.check() == []
    displaced = [line.split()[1] for line in crowd.noted("displaced")]
    assert displaced == ["0", "1"], "for a moment each; both are back"


def test_a_round_that_fails_keeps_all_it_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: without children the round is only what surrounds it."""
    monkeypatch.setenv("GOALMAP_FAILURES", str(tmp_path / "failures"))
    monkeypatch.setenv("XDG_STATE_HOME", "")  # put back afterwards: the round sets it

    def play(those: list[Crowd], *_: object, **__: object) -> None:
        those[0].work([0])
        those[0].note("wrong", "planted")

    monkeypatch.setattr(crowds, "play", play)
    for name in ("os", "rename_with_flag", "try_lock"):
        monkeypatch.setattr(os_layer, name, getattr(os_layer, name))  # a worker taps them
    monkeypatch.setattr(crowds.transaction, "locked", crowds.transaction.locked)
    options = argparse.Namespace(servers=0, nested=False, processes=3, slots=1, kills=2, view="closed", patience_s=9.0)
    result = crowds.play_round(options, 17)
    assert result.wrong[0] == "planted"
    (kept,) = (tmp_path / "failures").iterdir()
    assert str(kept) in result.wrong[-1]
    report = json.loads((kept / "report.json").read_text())
    assert "--seed 17 --slots 1 --kills 2 --processes 3" in report["command"]
    assert report["command"] in result.wrong[-1]
    assert (kept / "library" / "goal_map.json").exists()
    assert (kept / "notes" / "before-recovery").is_dir()
    assert any("paid 0" in path.read_text() for path in (kept / "notes").glob("ledger.*"))
    (log,) = (kept / "logs").glob("*.log")
    assert "rename_with_flag(goal_map.json" in log.read_text()
    assert recover(str(kept / "library")).pending == []
