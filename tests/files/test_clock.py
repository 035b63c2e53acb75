"""The clock steps by an hour, either way, between any two steps: what came last is no clock's to say."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from goalmap.files.os_layer import LibraryDir
from goalmap.files.request import GenerateRequest
from goalmap.files.store import RECEIPTS
from goalmap.files.transaction import AlreadyDone, Generation
from support.told import begin, recover, undo

HOUR_NS = 3600 * 10**9
STEPS = pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])


class Clock:
    """The time of day, for this process and for the file times that tell when a receipt was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset_ns = 0
        real_ns, real_lstat, real_replace = time.time_ns, LibraryDir.lstat, LibraryDir.replace
        kept_ns: dict[str, int] = {}

        def now_ns() -> int:
            return real_ns() + self.offset_ns

        def replace(folder: LibraryDir, name: str, target: LibraryDir, new_name: str) -> None:
            real_replace(folder, name, target, new_name)
            kept_ns[new_name] = now_ns()

        def lstat(folder: LibraryDir, name: str) -> os.stat_result | None:
            status = real_lstat(folder, name)
            if status is None or os.path.basename(folder.path) != RECEIPTS or name not in kept_ns:
                return status
            return _Status(status, kept_ns[name])  # type: ignore[return-value]

        monkeypatch.setattr(time, "time_ns", now_ns)
        monkeypatch.setattr(time, "time", lambda: now_ns() / 10**9)
        monkeypatch.setattr(LibraryDir, "replace", replace)
        monkeypatch.setattr(LibraryDir, "lstat", lstat)

    def step(self, hours: float) -> None:
        """Jump."""
        self.offset_ns += int(hours * HOUR_NS)


class _Status:
    """What a file is, with other times."""

    def __init__(self, status: os.stat_result, time_ns: int) -> None:
        self._status = status
        self.st_mtime_ns = self.st_ctime_ns = time_ns
        self.st_mtime = self.st_ctime = time_ns / 10**9

    def __getattr__(self, name: str) -> Any:
        return getattr(self._status, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Slots:
    """A library of many goals, each without its protocol."""

    def __init__(self, root: Path, count: int) -> None:
        self.map = root / "goal_map.json"
        self.root = str(root)
        root.mkdir()
        (root / "components").mkdir()
        goals = {f"G{number}": {"protocol": f"todo{number}.txt"} for number in range(count)}
        self.map.write_text(json.dumps(goals, indent=1))

    def begin(self, number: int) -> Generation | AlreadyDone:
        """Begin one."""
        old = f"todo{number}.txt"
        return begin(GenerateRequest(str(self.map), (f"G{number}",), "protocol", None, old, f"describe {number}"))

    def started(self, number: int) -> Generation:
        """Begin one that nobody has begun before."""
        generation = self.begin(number)
        assert isinstance(generation, Generation)
        return generation

    def commit(self, number: int) -> None:
        """Generate one."""
        generation = self.started(number)
        generation.finish(f"text of {number}\n")
        generation.commit()

    def committed(self) -> set[int]:
        """Return which of them are in the map, with their texts in the library."""
        goals = json.loads(self.map.read_text())
        there = {number for number in range(len(goals)) if "todo" not in goals[f"G{number}"]["protocol"]}
        texts = {path.read_text() for path in Path(self.root).glob("components/protocols/*")}
        assert texts == {f"text of {number}\n" for number in there}
        return there


@STEPS
@pytest.mark.parametrize("at", range(4))
def test_undo_takes_back_the_newest_commit_and_then_the_one_before(
    tmp_path: Path, clock: Clock, hours: int, at: int
) -> None:
    """The clock steps before one of three commits, or before the first undo."""
    slots = Slots(tmp_path / "library", 3)
    for number in range(3):
        clock.step(hours if at == number else 0)
        slots.commit(number)
    clock.step(hours if at == 3 else 0)
    for left in ({0, 1}, {0}, set()):
        undo(slots.root)
        assert slots.committed() == left


@STEPS
def test_undo_takes_back_the_newest_of_more_commits_than_are_kept(tmp_path: Path, clock: Clock, hours: int) -> None:
    """The receipt that is forgotten to make room is the oldest, not the one that was made just now."""
    slots = Slots(tmp_path / "library", 24)
    for number in range(24):
        clock.step(hours if number == 22 else 0)
        slots.commit(number)
    for newest in (23, 22, 21):
        undo(slots.root)
        assert slots.committed() == set(range(newest))


@STEPS
def test_undo_takes_back_what_was_committed_last_not_what_was_begun_last(
    tmp_path: Path, clock: Clock, hours: int
) -> None:
    slots = Slots(tmp_path / "library", 2)
    first = slots.started(0)
    clock.step(hours)
    second = slots.started(1)
    for number, generation in ((1, second), (0, first)):
        clock.step(-hours)
        generation.finish(f"text of {number}\n")
        generation.commit()
    undo(slots.root)
    assert slots.committed() == {1}


@STEPS
@pytest.mark.parametrize("at", ["begin", "append", "finish", "recover"])
def test_recovery_after_a_step_finishes_and_undo_takes_it_back_first(
    tmp_path: Path, clock: Clock, hours: int, at: str
) -> None:
    """A commit, and then one whose owner dies when its text is whole; the clock steps before one of its steps."""
    slots = Slots(tmp_path / "library", 2)
    slots.commit(0)
    clock.step(hours if at == "begin" else 0)
    generation = slots.started(1)
    clock.step(hours if at == "append" else 0)
    generation.append("text of ")
    clock.step(hours if at == "finish" else 0)
    generation.finish("text of 1\n")
    generation.close()  # its owner is dead
    clock.step(hours if at == "recover" else 0)
    report = recover(slots.root)
    assert [done.goal for done in report.finished] == [("G1",)]
    assert slots.committed() == {0, 1}
    assert isinstance(slots.begin(1), AlreadyDone), "and it is not paid for again"
    undo(slots.root)
    assert slots.committed() == {0}


@STEPS
def test_an_undo_that_was_interrupted_before_a_step_is_finished(
    tmp_path: Path, clock: Clock, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Slots(tmp_path / "library", 2)
    slots.commit(0)
    slots.commit(1)
    with monkeypatch.context() as broken:
        broken.setattr("goalmap.files.undo_step.finish_undo", _dies)
        with pytest.raises(_Dead):
            undo(slots.root)
    clock.step(hours)
    assert recover(slots.root).undone == ["G1, protocol"]
    assert slots.committed() == {0}
    undo(slots.root)
    assert slots.committed() == set()


class _Dead(BaseException):
    pass


def _dies(_: object, record: Any) -> str:
    record.close()
    raise _Dead
