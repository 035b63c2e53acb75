"""The kinds of fault: each gives its points for a scene, and tries one.

A point is a plain value, so that processes can share it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goalmap.files import os_layer

from .checks import after_fault, after_foreign, in_child
from .foreign import FOREIGN, Foreign
from .power import Disk, Effect, Recorder, disk_with, fingerprint, left_after, write_disk
from .scenes import (
    BUFFERED,
    CONFLICT,
    NO_EXCHANGE,
    POWER_SCENES,
    SCENES,
    UNDO,
    Place,
    Scene,
    Told,
    is_not_ours,
    run_recovery,
)
from .tap import KILLED, NEVER_FAILS, Killed, Tap, changes_disk

SCRATCH = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())  # noqa: S108 - a parent folder
ERRNOS = (errno.EIO, errno.ENOSPC, errno.EACCES)
BY_NAME = {scene.name: scene for scene in SCENES + POWER_SCENES}


@dataclass(frozen=True)
class Point:
    """One try: which kind of fault, in which scene, at which call, and what else the kind needs."""

    kind: str
    scene: str
    call: int
    label: str
    extra: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}, {self.scene}: call {self.call} {self.label} {' '.join(map(str, self.extra))}".rstrip()


class Scratch:
    """A scratch folder that is gone afterwards."""

    def __enter__(self) -> Place:
        self._path = Path(tempfile.mkdtemp(prefix="goalmap-faults-", dir=SCRATCH))
        return Place(self._path / "place")

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def calls_of(place: Place, act: Callable[[], None], scene: Scene) -> list[str]:
    """Return the calls that `act` makes when nothing disturbs it."""
    tap, note = Tap(), place.base / "calls"

    def run() -> None:
        act()
        note.write_text(json.dumps(tap.calls))

    code = in_child(run, tap, scene.platform)
    assert code == 0, f"undisturbed, the scene ended with {code}"
    calls: list[str] = json.loads(note.read_text())
    note.unlink()
    return calls


def calls_of_scene(scene: Scene) -> list[str]:
    """Return the calls of the whole scene."""
    with Scratch() as place:
        place.build(scene)
        calls = calls_of(place, lambda: scene.act(place, place.told), scene)
        assert any(place.told.has(word) for word in ("committed", "undone", "edited", "conflict")), place.told.words
        return calls


# -- kill
def kill_points(scene: Scene) -> Iterator[Point]:
    """Yield a point before every call, and one in the middle of every write."""
    for number, label in enumerate(calls_of_scene(scene), 1):
        yield Point("kill", scene.name, number, label)
        if label.startswith("write"):
            yield Point("kill", scene.name, number, label, ("midway",))


def try_kill(point: Point) -> list[str]:
    """Kill the process there, and look."""
    scene = BY_NAME[point.scene]
    with Scratch() as place:
        place.build(scene)
        tap = Tap(kill_at=point.call, kill_mid_write="midway" in point.extra)
        code = in_child(lambda: scene.act(place, place.told), tap, scene.platform)
        is_generation = scene not in (UNDO, BUFFERED, CONFLICT)
        return after_fault(scene, place, code, lived=False, asks_first=is_generation and point.call % 2 == 1)


# -- kill, and kill the recovery
def nested_points(scene: Scene, *, every: int = 1) -> Iterator[Point]:
    """Yield, for each state that a kill leaves, a point before each call of its recovery that changes the disk.

    `every` takes each n-th kill only.
    """
    seen: set[str] = set()
    changing = [(n, label) for n, label in enumerate(calls_of_scene(scene), 1) if changes_disk(label)]
    for number, label in changing[every // 2 :: every]:
        with Scratch() as place:
            place.build(scene)
            in_child(lambda: scene.act(place, place.told), Tap(kill_at=number), scene.platform)
            state = place.digest()
            if state in seen or is_not_ours(scene, place):
                continue
            seen.add(state)
            for inner, name in enumerate(calls_of(place, lambda: run_recovery(place), scene), 1):
                if changes_disk(name):
                    yield Point("nested", scene.name, number, f"{label}, then", (inner, name))


def try_nested(point: Point) -> list[str]:
    """Kill the process there, then its recovery, and look."""
    scene = BY_NAME[point.scene]
    with Scratch() as place:
        place.build(scene)
        in_child(lambda: scene.act(place, place.told), Tap(kill_at=point.call), scene.platform)
        code = in_child(lambda: run_recovery(place), Tap(kill_at=point.extra[0]), scene.platform)
        return after_fault(scene, place, code, lived=False)


# -- errors
def error_points(scene: Scene, errnos: tuple[int, ...] = ERRNOS) -> Iterator[Point]:
    """Yield each call that can fail with each error: once, from there on, and once after having taken effect."""
    for number, label in enumerate(calls_of_scene(scene), 1):
        if label.partition("(")[0] in NEVER_FAILS:
            continue
        for code in errnos:
            yield Point("error", scene.name, number, label, (errno.errorcode[code], "once"))
            yield Point("error", scene.name, number, label, (errno.errorcode[code], "lasting"))
        if changes_disk(label) and label[:5] not in ("creat", "write", "fsync"):
            yield Point("error", scene.name, number, label, ("EIO", "after"))


def try_error(point: Point) -> list[str]:
    """Let the call fail, and look."""
    scene = BY_NAME[point.scene]
    name, how = point.extra
    with Scratch() as place:
        place.build(scene)
        tap = Tap(
            fail_at=point.call,
            fail_with=getattr(errno, name),
            fail_for_good=how == "lasting",
            fail_after=how == "after",
        )
        code = in_child(lambda: scene.act(place, place.told), tap, scene.platform)
        failed_call = point.label if how == "once" else ""
        return after_fault(scene, place, code, lived=True, failed_call=failed_call)


# -- power cuts
@dataclass
class _PowerCut:
    """A disk that a power cut may leave, and what had been said by then."""

    disk: Disk
    root: int
    words: tuple[str, ...]
    map_before: bytes


# Filled before the processes that try them are forked: too many and too large to be sent to them.
_power_cuts: list[_PowerCut] = []


class _RecordedTold(Told):
    """Tells the recorder too: what was said is an effect that no power cut takes back."""

    def __init__(self, path: Path, recorder: Recorder) -> None:
        super().__init__(path)
        self._recorder = recorder

    def say(self, word: str) -> None:
        super().say(word)
        self._recorder.said(word)


def power_points(scene: Scene, *, cap: int = 3000, recovery_of: int = 0) -> Iterator[Point]:
    """Yield every different disk that a power cut may leave; at most about `cap` for each moment.

    `recovery_of`: not while the scene runs, but while the recovery does, after a kill before that call. What the killed
    process had not made durable is not durable then, either.
    """
    with Scratch() as place:
        place.build(scene)
        before = place.map.read_bytes()
        at_start, root, effects, at_kill = _recorded(scene, place, recovery_of)
    seen: set[object] = set()
    rng = random.Random(7)
    for upto in range(at_kill, len(effects) + 1):
        if 0 < upto < len(effects) and 0 < effects[upto].group == effects[upto - 1].group:
            continue  # in the middle of one call
        words = tuple(effect.args[0] for effect in effects[:upto] if effect.kind == "said")
        for left in left_after(effects[:upto], cap, rng):
            disk = disk_with(at_start, left)
            key = (fingerprint(disk, root), words)
            if key in seen:
                continue
            seen.add(key)
            _power_cuts.append(_PowerCut(disk, root, words, before))
            last = effects[upto - 1].kind if upto else "nothing"
            label = f"after effect {upto} ({last})" + (f" of the recovery of call {recovery_of}" if recovery_of else "")
            yield Point("power", scene.name, recovery_of, label, (len(_power_cuts) - 1,))


def _recorded(scene: Scene, place: Place, recovery_of: int) -> tuple[Disk, int, list[Effect], int]:
    """Return the disk before, its root, what was done to it, and how much of that a process did that was then killed.

    All of it, where the kill leaves what is none of our business: then there is nothing to try.
    """
    note = place.base / "effects"

    def run() -> None:
        at_kill = 0
        with contextlib.suppress(Killed):
            scene.act(place, _RecordedTold(place.told.path, recorder))
        if recovery_of:
            at_kill = len(recorder.effects)
            os.closerange(3, 256)  # with all the locks
            tap.is_dead = False
            if is_not_ours(scene, place):
                at_kill += 1
            else:
                run_recovery(place)
        different = recorder.differences()
        assert not different, f"the model differs from the disk at {different}"
        note.write_bytes(pickle.dumps((recorder.at_start, recorder.root, recorder.effects, at_kill)))

    recorder = Recorder(place.root, scene.platform or os_layer.PLATFORM)
    tap = Tap(after=recorder.after, die_at=recovery_of)
    code = in_child(run, tap, scene.platform)
    assert code == 0
    loaded: tuple[Disk, int, list[Effect], int] = pickle.loads(note.read_bytes())  # noqa: S301 - written above
    return loaded


def try_power(point: Point) -> list[str]:
    """Have that disk, and look."""
    scene, cut = BY_NAME[point.scene], _power_cuts[point.extra[0]]
    with Scratch() as place:
        place.base.mkdir(parents=True)
        place.enter()
        write_disk(cut.disk, cut.root, place.root)
        (place.base / "before_map").write_bytes(cut.map_before)
        for word in cut.words:
            place.told.say(word)
        return after_fault(scene, place, KILLED, lived=False, keeps_pieces=False)


# -- other writers
CALLS_FROM_LOOK_TO_RENAME = 3  # for who holds the map open; a write that is done is seen until the rename itself
LONGEST_SAVE_CALLS = 12  # from where an editor opens the map to where it has written it
_WAIT_S = 0.25  # for another process of ours: it may have to wait for the lock that the stopped one holds


def foreign_points(scene: Scene, *, every: int = 1) -> Iterator[Point]:
    """Yield each writer at each call; and an editor that saves in place, slowly, from each call to some calls later."""
    calls = list(enumerate(calls_of_scene(scene), 1))
    if scene is NO_EXCHANGE:
        # Without an exchange nothing can see what is written between the last look and the rename: a hole that the
        # documentation names. Everything around it must be tight.
        rename = next(n for n, label in calls if label.startswith("replace(.goal_map.") and "goal_map.json)" in label)
        calls = [(n, label) for n, label in calls if not rename - CALLS_FROM_LOOK_TO_RENAME < n <= rename]
    for number, label in calls[::every]:
        for foreign in FOREIGN:
            yield Point("foreign", scene.name, number, label, (foreign.name,))
        for later in range(1, LONGEST_SAVE_CALLS + 1):
            yield Point("foreign", scene.name, number, label, ("slow save", later))
            yield Point("foreign", scene.name, number, label, ("held open", later))


def try_foreign(point: Point) -> list[str]:
    """Stop there, have the writer run to its end, go on, and look."""
    scene = BY_NAME[point.scene]
    if point.extra[0] in ("slow save", "held open"):
        foreign, interrupt = (
            FOREIGN[0],
            _slow_save(point.call, point.extra[1], begun=50 if "slow" in point.extra[0] else 0),
        )
    else:
        foreign = next(writer for writer in FOREIGN if writer.name == point.extra[0])
        interrupt = _at_call(point.call, foreign)
    with Scratch() as place:
        place.build(scene)
        foreign.prepare(place)

        def run() -> None:
            try:
                scene.act(place, place.told)
            finally:
                interrupt.end()

        tap = Tap(before=lambda number, _: interrupt.before(number, tap, place))
        code = in_child(run, tap, scene.platform)
        return after_foreign(scene, place, foreign, code)


class _at_call:  # noqa: N801 - reads as what it is
    """Run a writer in a process of its own before one call."""

    def __init__(self, call: int, foreign: Foreign) -> None:
        self.call, self.foreign, self.child = call, foreign, 0

    def before(self, number: int, tap: Tap, place: Place) -> None:
        if number != self.call:
            return
        self.child = os.fork()
        if not self.child:
            code = 1
            try:
                os.closerange(3, 256)  # else it would hold the locks of the process it was forked from
                tap.remove()
                self.foreign.write(place)
                code = 0
            except BaseException:  # noqa: BLE001 - the process ends here, whatever it is
                traceback.print_exc()
            finally:
                os._exit(code)
        end_s = time.monotonic() + (_WAIT_S if self.foreign.is_ours else 60)
        while time.monotonic() < end_s:
            if self._is_done(os.WNOHANG):
                return
            time.sleep(0.002)

    def _is_done(self, flags: int) -> bool:
        child, status = os.waitpid(self.child, flags)
        if child:
            assert status == 0, f"the other writer ended with {status}"
            self.child = 0
        return bool(child)

    def end(self) -> None:
        if self.child:
            self._is_done(0)


class _slow_save:  # noqa: N801 - reads as what it is
    """Save the map in place as editors do: open it and write the first bytes at one call, and the rest at another."""

    def __init__(self, call: int, later: int, *, begun: int) -> None:
        self.call, self.last, self.begun = call, call + later, begun
        self.fd, self.rest = -1, b""

    def before(self, number: int, _: Tap, place: Place) -> None:
        if number == self.call:
            self.fd = os.open(place.map, os.O_WRONLY)
            data = place.map.read_bytes().replace(b'"todo.txt"', b'"hand.txt"')
            self.rest = data[self.begun :]
            if self.begun:
                os.truncate(place.map, 0)
                os.write(self.fd, data[: self.begun])
        elif number == self.last:
            self.end()

    def end(self) -> None:
        if self.fd >= 0:
            os.write(self.fd, self.rest)
            os.ftruncate(self.fd, self.begun + len(self.rest))
            os.close(self.fd)
            self.fd = -1


TRY: dict[str, Callable[[Point], list[str]]] = {
    "kill": try_kill,
    "nested": try_nested,
    "error": try_error,
    "power": try_power,
    "foreign": try_foreign,
}
