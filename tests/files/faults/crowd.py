"""Many at once: processes that commit to one map and are killed at random, an editor, and a reader that looks on.

    python tests/files/faults/crowd.py [--rounds N] [--seed N] [--slots N] [--kills N]
                                       [--processes N [--nested] | --servers N [--view VIEW]]

With --servers they are language servers and a command line in place of bare processes; VIEW says how the editors of the
servers have the map: closed, clean, or dirty. With --nested there is a second library in a folder of the first one's
components, and every other process works there. The first round has the seed that is given, each further one the next.

Nothing may be lost, orphaned or dangling, nothing paid for twice that was safe, and the reader may never see a torn
map. A round that fails keeps all that it left, below $GOALMAP_FAILURES or the folder of temporary files, and says how
to play it again: the seed gives the same kills after the same delays, not the same order of processes.
"""

# ruff: noqa: T201 - it reports on standard output

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import re
import select
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

if __package__ in (None, ""):  # run as a program: make the relative imports below work
    sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (3, 2)]
    __package__ = "tests.files.faults"
    import tests.files.faults  # noqa: F401

from goalmap.files import os_layer, transaction
from goalmap.files.errors import CommitError
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import AlreadyDone
from support.told import begin, recover

from .tap import Tap, changes_disk

COUNT = re.compile(rb'"count": "(\d{6})"')
GENERATED = re.compile(rb'"autogen_protocol_for_goal(\d+)')
PACE_S = 0.05  # of the editor
MISLED_S = 10.0  # how long after a displaced commit a request may come that was misled by it
STOPPING_S = 30.0


@dataclass
class Result:
    """What a round came to."""

    seconds: float = 0.0
    kills: int = 0
    edits: int = 0
    reads: int = 0
    paid: int = 0
    parked: int = 0  # maps: somebody wrote over ours before theirs was put back
    displaced: int = 0  # by the editors of this test
    waits_s: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)  # of the servers' generations
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = [
            f"{self.seconds:.1f} s, {self.kills} kills, {self.edits} edits, {self.reads} reads, {self.paid} paid for"
        ]
        if waits := sorted(self.waits_s):
            p50_ms, p99_ms = (waits[int((len(waits) - 1) * part)] * 1000 for part in (0.5, 0.99))
            said.append(f"lock wait p50 {p50_ms:.0f} p99 {p99_ms:.0f} ms")
        said += [f"{number} {outcome}" for outcome, number in self.outcomes.items()]
        said += [f"{self.parked} maps parked"] if self.parked else []
        said += [f"{self.displaced} commits displaced for a moment by the test's editors"] if self.displaced else []
        return ", ".join([*said, f"{len(self.wrong)} violations"])


class Crowd:
    """One library, and everybody around it."""

    def __init__(
        self, base: Path, slots: int, *, texts: frozenset[str] = frozenset(), root: Path | None = None
    ) -> None:
        self.root = root or base / "library"
        self.map = self.root / "goal_map.json"
        self.notes = base / "notes"
        self.logs = base / "logs"
        self.slots = slots
        self._texts = texts
        (self.root / "components" / "protocols").mkdir(parents=True)
        self.notes.mkdir(parents=True)
        self.logs.mkdir()
        goals: dict[str, object] = {f"GOAL{n}": {"protocol": f"todo{n}.txt"} for n in range(slots)}
        by_hand = dict.fromkeys(("count", "note0", "note1", "note2", "note3"), "000000")
        self.map.write_text(json.dumps({"EDITOR": {"description": "x", **by_hand}, **goals}, indent=3))
        os.environ["XDG_STATE_HOME"] = str(base / "state")

    def note(self, kind: str, line: str) -> None:
        """Append a line to the notes of this process, and to its log, in one write each."""
        _append(self.notes / f"{kind}.{os.getpid()}", line)
        self.log(f"{kind}: {line}")

    def noted(self, kind: str) -> list[str]:
        """Return what all processes noted."""
        return [line for path in self.notes.glob(f"{kind}.*") for line in path.read_text().splitlines()]

    def log(self, line: str) -> None:
        """Append a line with the time to the log of this process; all processes have the same clock."""
        _append(self.logs / f"{os.getpid()}.log", f"{time.monotonic():.6f} {line}")

    def was_displaced(self, number: int, at_s: float) -> bool:
        """Whether an editor of this test had displaced the commit of this slot just before a request of that time."""
        times = [float(line.split()[0]) for line in self.noted("displaced") if line.endswith(f" {number}")]
        return any(-1 < at_s - time_s < MISLED_S for time_s in times)

    def parked(self, pattern: re.Pattern[bytes]) -> set[int]:
        """Return the numbers that this pattern finds in the maps that are parked."""
        found = (pattern.search(path.read_bytes()) for path in self.parked_maps())
        return {int(match[1]) for match in found if match}

    def parked_maps(self) -> list[Path]:
        """Return the maps that were parked, since somebody wrote over ours before theirs was put back."""
        return list((self.root / ".goalmap" / "parked").glob("goal_map.*.json"))

    # -- who is there
    def work(self, numbers: list[int]) -> None:
        """Commit these slots, each until it is done."""
        self.log(f"worker: {numbers}")
        tap = Tap(before=lambda number, _: changes_disk(tap.calls[number - 1]) and self.log(tap.calls[number - 1]))
        tap.install()
        real = transaction.locked

        @contextmanager
        def timed(root: str, *, timeout_s: float) -> Iterator[object]:
            start_s = time.monotonic()
            with real(root, timeout_s=timeout_s) as store:
                self.note("waits", f"{time.monotonic() - start_s:.4f}")
                yield store

        transaction.locked = timed  # type: ignore[assignment]
        for number in numbers:
            while not self._commit(number):
                pass

    def _commit(self, number: int) -> bool:
        goal, old = f"GOAL{number}", f"todo{number}.txt"
        try:
            generation = begin(GenerateRequest(str(self.map), (goal,), "protocol", None, old, f"describe {number}"))
            if isinstance(generation, AlreadyDone):
                return True
            self.note("ledger", f"{time.monotonic_ns()} paid {number}")
            generation.append(f"half of {number}, ")
            generation.append("and the rest.\n")
            generation.finish(self.text(number))
            self.note("ledger", f"{time.monotonic_ns()} safe {number}")
            generation.commit()
        except CommitError as error:
            self.log(f"{goal}: {error!r}")
            # Somebody else's recovery may have finished it; anything else is tried again.
            return f'"{old}"'.encode() not in self.map.read_bytes() and error.exit_code == 1
        return True

    @staticmethod
    def text(number: int) -> str:
        """Return the text of a slot, as `work` writes it."""
        return f"half of {number}, and the rest.\n"

    def edit(self, stop: Stop) -> None:
        """Count up by hand, in place and by rename in turn, if the file is still the same.

        Between the exchange of a commit and the look at what came out, the map rightly is what the commit had read,
        with its reference; a save of that instant then waits in a temporary file, until its owner or a recovery has put
        it back. So a count that is lower than what was saved is no loss yet: `check` judges that, after the recovery.
        """
        self.log("editor")
        saved = settled = 0  # what was saved last; what the map has, unless that save is on its way back
        while not stop.wait(PACE_S):
            with self._alone():
                data = self.map.read_bytes()
            match = COUNT.search(data)
            found = int(match[1]) if match else -1
            if match is None or found > saved:
                self.note("wrong", f"I7 the editor had counted to {saved}, and the map has {found}")
                return
            if found == saved:
                settled = saved
            elif found != settled:
                self.log(f"editor: saved {saved}, sees {found}")
                if saved in self.parked(COUNT):
                    settled = found
                continue
            new = data[: match.start(1)] + b"%06d" % (saved + 1) + data[match.end(1) :]
            if (
                self._save_in_place(data, new, match.start(1))
                if saved % 2
                else self.save_by_rename(data, new, "editor.tmp")
            ):
                saved = settled = saved + 1
                self.note("edits", str(saved))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the other editors away: whether they lose something to one another is none of Goalmap's business."""
        with (self.notes / "editors").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _save_in_place(self, data: bytes, new: bytes, offset: int) -> bool:
        with self._alone():
            return self._write_in_place(data, new, offset)

    def _write_in_place(self, data: bytes, new: bytes, offset: int) -> bool:
        fd = os.open(self.map, os.O_RDWR)
        try:
            if os.pread(fd, len(data) + 1, 0) != data or not os.path.samestat(os.fstat(fd), self.map.stat()):
                return False
            os.pwrite(fd, new[offset : offset + 6], offset)
            return True
        finally:
            os.close(fd)

    def save_by_rename(self, data: bytes, new: bytes, name: str) -> bool:
        """Save `new` if the map is `data`, by way of the file `name`; return whether it was."""
        with self._alone():
            return self.map.read_bytes() == data and self._rename(data, new, self.map.with_name(name))

    def _rename(self, expected: bytes, new: bytes, fresh: Path) -> bool:
        """Exchange the map for `new`, and go on until all that was displaced on the way is in it.

        A plain rename over the map would lose whatever came since the look, ours or anybody's, and the test could not
        tell whose fault it was. To put back what was displaced would throw out, in the same way, what has been
        committed on top of ours meanwhile. So what was displaced is joined with what is there now.
        """
        folder = os.open(self.root, os.O_RDONLY)
        try:
            while True:
                fresh.unlink(missing_ok=True)  # it may be what a reader still has open as the map
                fresh.write_bytes(new)
                os_layer.rename_with_flag(folder, fresh.name, self.map.name, os_layer.PLATFORM.exchange_flag)
                displaced = fresh.read_bytes()
                if displaced == expected:
                    return True
                for number in GENERATED.findall(displaced):
                    if number not in GENERATED.findall(new):
                        self.note("displaced", f"{time.monotonic()} {number.decode()}")
                expected, new = new, joined(new, displaced)
                if expected == new:
                    return True
        finally:
            os.close(folder)

    def read(self, stop: Stop) -> None:
        """Read the map without pause."""
        self.log("reader")
        reads = 0
        while not stop.wait(0):
            data = self.map.read_bytes()
            reads += 1
            try:
                json.loads(data)
            except ValueError:
                self.note("wrong", f"I1 the reader saw a torn map of {len(data)} bytes")
                (self.notes / f"torn-{reads}.{os.getpid()}").write_bytes(data)
        self.note("reads", str(reads))

    # -- the end
    def check(self) -> list[str]:
        """Recover, and return what is wrong."""
        shutil.copytree(self.root, self.notes / "before-recovery")
        self.log(f"recovery: {recover(str(self.root))}")
        wrong = self.noted("wrong")
        final = json.loads(self.map.read_bytes())
        named = set()
        for number in range(self.slots):
            file = final[f"GOAL{number}"]["protocol"]
            named.add(file)
            path = self.root / "components" / "protocols" / file
            if not file.startswith("autogen"):
                wrong.append(f"I7 GOAL{number} is lost")
            elif not path.exists() or path.read_text() not in (self._texts or {self.text(number)}):
                wrong.append(f"I2 GOAL{number} is dangling")
        wrong += [f"I3 orphan {n}" for n in os.listdir(self.root / "components" / "protocols") if n not in named]
        left = set(os.listdir(self.root)) - {"components", "goal_map.json", ".goalmap"}
        wrong += [f"I3 left behind {name}" for name in left if not name.startswith("editor")]
        wrong += [f"I3 record {name}" for name in os.listdir(self.root / ".goalmap" / "journal")]
        safe: set[str] = set()
        for line in sorted(self.noted("ledger"), key=lambda line: int(line.split()[0])):
            at_ns, what, number = line.split()
            if what == "paid" and number in safe and not self.was_displaced(int(number), int(at_ns) / 1e9):
                wrong.append(f"I5 paid again for GOAL{number}, whose text was safe")
            safe |= {number} if what == "safe" else set()
        counted, there = max((int(line) for line in self.noted("edits")), default=0), int(final["EDITOR"]["count"])
        if there != counted and counted not in self.parked(COUNT):
            wrong.append(f"I7 the editor's last edit is lost: it had counted to {counted}, and the map has {there}")
        return wrong


def _append(path: Path, line: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)


def joined(one: bytes, other: bytes) -> bytes:
    """Return a map with what either has beyond the other: in a crowd counts only grow, and references only come."""
    pairs = zip(one.split(b"\n"), other.split(b"\n"), strict=True)
    return b"\n".join(max(pair, key=lambda line: (b'"todo' not in line, line)) for pair in pairs)


class Stop:
    """A word from one process to others, which they can wait for; its death says it too."""

    def __init__(self) -> None:
        self._heard, self._said = os.pipe()

    def say(self) -> None:
        """Have all who wait go on."""
        os.close(self._said)

    def follow(self) -> None:
        """Be one of the others: to be called in a process that was forked off."""
        os.close(self._said)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the word; return whether it was said."""
        return bool(select.select([self._heard], [], [], timeout_s)[0])

    def close(self) -> None:
        """Let go of it, once it was said."""
        os.close(self._heard)


@dataclass(frozen=True)
class Child:
    """A process that was forked off. Its end of the pipe closes when it ends, which a wait can see."""

    pid: int
    ended_fd: int

    def reap(self) -> int:
        """Wait for its end, and return its exit code, negative for a signal."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.ended_fd)
        return os.waitstatus_to_exitcode(status)


def first_ended(children: Iterable[Child], timeout_s: float) -> Child | None:
    """Wait until one of them has ended, and return it, unreaped; None after `timeout_s`."""
    by_fd = {child.ended_fd: child for child in children}
    ended = select.select(list(by_fd), [], [], max(timeout_s, 0))[0]
    return by_fd[ended[0]] if ended else None


def start_process(act: Callable[[], None], crowd: Crowd, stop: Stop) -> Child:
    """Fork a process that does this."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write_fd)
        return Child(pid, read_fd)
    code = 1
    try:
        os.close(read_fd)
        stop.follow()
        act()
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it is
        crowd.log(traceback.format_exc())
        print(traceback.format_exc(), file=sys.stderr)
    finally:
        os._exit(code)


class Onlookers:
    """The editor and the reader of each library: they are asked to end, so that none is stopped within a save."""

    def __init__(self, crowds: list[Crowd]) -> None:
        self._stop = Stop()
        self.children = [
            start_process(lambda: act(self._stop), crowd, self._stop)  # noqa: B023 - at once
            for crowd in crowds
            for act in (crowd.edit, crowd.read)
        ]

    @property
    def stop(self) -> Stop:
        """What ends them, and would end with this process."""
        return self._stop

    def end(self) -> list[str]:
        """End them; return what is wrong."""
        self._stop.say()
        wrong, end_s = [], time.monotonic() + STOPPING_S
        for child in self.children:
            if first_ended([child], end_s - time.monotonic()) is None:
                os.kill(child.pid, signal.SIGKILL)
                wrong.append(f"the editor or the reader did not end in {STOPPING_S:.0f} s")
            if (code := child.reap()) not in (0, -signal.SIGKILL):
                wrong.append(f"the editor or the reader ended with {code}: see logs/{child.pid}.log")
        self._stop.close()
        return wrong


def play(crowds: list[Crowd], result: Result, *, processes: int, kills: int, seed: int, patience_s: float) -> None:
    """Play one round, in all these libraries at once."""
    rng, crowd = random.Random(seed), crowds[0]
    onlookers = Onlookers(crowds)

    def start(share: int) -> Child:
        number, at = divmod(share, len(crowds))
        slots = list(range(number, crowd.slots, processes // len(crowds)))
        return start_process(lambda: crowds[at].work(slots), crowds[at], onlookers.stop)

    try:
        start_s = time.monotonic()
        shares = {start(share): share for share in range(processes)}
        next_kill_s = start_s + PACE_S
        while shares:
            until_s = next_kill_s if result.kills < kills else start_s + patience_s
            ended = first_ended(shares, until_s - time.monotonic())
            if ended is not None:
                share, code = shares.pop(ended), ended.reap()
                if code == -signal.SIGKILL:
                    shares[start(share)] = share
                elif code:
                    result.wrong.append(f"a process ended with {code}: see logs/{ended.pid}.log")
            elif time.monotonic() >= start_s + patience_s:
                result.wrong.append(f"the round did not end in {patience_s:.0f} s")
                for child in shares:
                    os.kill(child.pid, signal.SIGKILL)
                    child.reap()
                break
            else:
                victim = rng.choice(list(shares))
                crowd.log(f"kill {victim.pid}")
                os.kill(victim.pid, signal.SIGKILL)
                result.kills += 1
                next_kill_s = time.monotonic() + rng.uniform(0.002, 0.06)
        result.seconds = time.monotonic() - start_s
    finally:
        result.wrong += onlookers.end()
    result.paid = sum(" paid " in line for one in crowds for line in one.noted("ledger"))


def play_round(options: argparse.Namespace, seed: int) -> Result:
    """Play one round, and keep what it leaves if it fails."""
    result, base = Result(), Path(tempfile.mkdtemp(prefix="goalmap-crowd-"))
    judge: Callable[[], list[str]]
    try:
        if options.servers:
            from .servers import play_servers, texts_for  # late: half of Goalmap comes with it

            texts = texts_for(options.slots, options.kills, seed)
            crowds = [Crowd(base, options.slots, texts=frozenset(texts))]
            judge = play_servers(
                crowds[0],
                result,
                texts,
                servers=options.servers,
                view=options.view,
                kills=options.kills,
                seed=seed,
                patience_s=options.patience_s,
            )
        else:
            crowds, judge = [Crowd(base, options.slots)], list
            if options.nested:
                crowds.append(Crowd(base / "nested", options.slots, root=crowds[0].root / "components" / "nested"))
            play(
                crowds,
                result,
                processes=options.processes,
                kills=options.kills,
                seed=seed,
                patience_s=options.patience_s,
            )
        for crowd in crowds:
            result.wrong += crowd.check()
            result.edits += len(crowd.noted("edits"))
            result.reads += sum(map(int, crowd.noted("reads")))
            result.waits_s += [float(line) for line in crowd.noted("waits")]
            result.parked += len(crowd.parked_maps())
            result.displaced += len(crowd.noted("displaced"))
        result.wrong += judge()
    except Exception:  # noqa: BLE001 - whatever it is, the round has failed, and what it leaves is kept
        result.wrong.append(traceback.format_exc())
    if result.wrong:
        _keep(base, result, options, seed)
    shutil.rmtree(base)
    return result


def _keep(base: Path, result: Result, options: argparse.Namespace, seed: int) -> None:
    """Keep all that a round left, and say where, and how to play it again."""
    home = Path(os.environ.get("GOALMAP_FAILURES") or Path(tempfile.gettempdir()) / "goalmap-failures")
    kept = home / f"crowd-{seed}-{base.name.rpartition('-')[2]}"
    shutil.copytree(base, kept, symlinks=True)
    who = ["--servers", str(options.servers), "--view", options.view] if options.servers else []
    who = who or ["--processes", str(options.processes), *(["--nested"] if options.nested else [])]
    again = [sys.executable, __file__, "--rounds", "1", "--seed", str(seed), "--slots", str(options.slots)]
    command = shlex.join([*again, "--kills", str(options.kills), *who])
    report = {"command": command, "seed": seed, "options": vars(options), "result": str(result), "wrong": result.wrong}
    (kept / "report.json").write_text(json.dumps(report, indent=2))
    result.wrong.append(f"all of it is kept in {kept}; to play it again: {command}")


def main() -> int:
    """Play the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--nested", action="store_true", help="in two libraries, one within the other")
    parser.add_argument("--slots", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50, help="in each round")
    parser.add_argument("--servers", type=int, default=0, help="language servers, in place of the processes")
    parser.add_argument(
        "--view", choices=["closed", "clean", "dirty"], default="closed", help="of the servers' editors"
    )
    parser.add_argument("--patience-s", type=float, default=1200.0, help="for a round")
    options = parser.parse_args()
    failed = 0
    for number in range(options.rounds):
        result = play_round(options, options.seed + number)
        shown = [*result.wrong[:8], *result.wrong[8:][-1:]]  # the last one says where all is kept
        print(f"round {number + 1}, seed {options.seed + number}: {result}", *shown, sep="\n    ", flush=True)
        failed += bool(result.wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
