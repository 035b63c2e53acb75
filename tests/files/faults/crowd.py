"""Many at once: processes that commit to one map and are killed at random, an editor, and a reader that looks on.

    python tests/files/faults/crowd.py [--rounds N] [--processes N] [--slots N] [--kills N] [--servers N [--view VIEW]]

With --servers they are language servers and a command line in place of bare processes; VIEW says how the editors of the
servers have the map: closed, clean, or dirty.

Nothing may be lost, orphaned or dangling, nothing paid for twice that was safe, and the reader may never see a torn
map.
"""

# ruff: noqa: T201 - it reports on standard output

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if __package__ in (None, ""):  # run as a program: make the relative imports below work
    sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (3, 2)]
    __package__ = "tests.files.faults"
    import tests.files.faults  # noqa: F401

from goalmap.files import os_layer, transaction
from goalmap.files.errors import CommitError
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import AlreadyDone
from support.told import begin, recover

COUNT = re.compile(rb'"count": "(\d{6})"')


@dataclass
class Result:
    """What a round came to."""

    seconds: float = 0.0
    kills: int = 0
    edits: int = 0
    reads: int = 0
    paid: int = 0
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
        return ", ".join([*said, f"{len(self.wrong)} violations"])


class Crowd:
    """One library, and everybody around it."""

    def __init__(self, base: Path, slots: int, *, texts: frozenset[str] = frozenset()) -> None:
        self.root = base / "library"
        self.map = self.root / "goal_map.json"
        self.notes = base / "notes"
        self.slots = slots
        self._texts = texts
        (self.root / "components" / "protocols").mkdir(parents=True)
        self.notes.mkdir()
        goals: dict[str, object] = {f"GOAL{n}": {"protocol": f"todo{n}.txt"} for n in range(slots)}
        by_hand = dict.fromkeys(("count", "note0", "note1", "note2", "note3"), "000000")
        self.map.write_text(json.dumps({"EDITOR": {"description": "x", **by_hand}, **goals}, indent=3))
        os.environ["XDG_STATE_HOME"] = str(base / "state")

    def note(self, kind: str, line: str) -> None:
        """Append a line to the notes of this process, in one write."""
        fd = os.open(self.notes / f"{kind}.{os.getpid()}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{line}\n".encode())
        os.close(fd)

    def noted(self, kind: str) -> list[str]:
        """Return what all processes noted."""
        return [line for path in self.notes.glob(f"{kind}.*") for line in path.read_text().splitlines()]

    # -- who is there
    def work(self, numbers: list[int]) -> None:
        """Commit these slots, each until it is done."""
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
            # Somebody else's recovery may have finished it; anything else is tried again.
            return f'"{old}"'.encode() not in self.map.read_bytes() and error.exit_code == 1
        return True

    @staticmethod
    def text(number: int) -> str:
        """Return the text of a slot, as `work` writes it."""
        return f"half of {number}, and the rest.\n"

    def edit(self) -> None:
        """Count up by hand, in place and by rename in turn, if the file is still the same."""
        count = 0
        while True:
            with self._alone():
                data = self.map.read_bytes()
            found = COUNT.search(data)
            if found is None or int(found[1]) != count:
                self.note("wrong", f"I7 the editor had counted to {count}, and the map has {found and found[1]!r}")
                count = int(found[1]) if found else 0
                continue
            new = data[: found.start(1)] + b"%06d" % (count + 1) + data[found.end(1) :]
            if (
                self._save_in_place(data, new, found.start(1))
                if count % 2
                else self.save_by_rename(data, new, "editor.tmp")
            ):
                count += 1
                self.note("edits", str(count))
            time.sleep(0.05)

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

    def _rename(self, data: bytes, new: bytes, fresh: Path) -> bool:
        fresh.unlink(missing_ok=True)  # it may be what a reader still has open as the map
        fresh.write_bytes(new)
        folder = os.open(self.root, os.O_RDONLY)
        try:
            # A plain rename over the map would lose whatever came since the look, ours or anybody's, and the test could
            # not tell whose fault it was; so this editor looks at what it displaced, too.
            os_layer.rename_with_flag(folder, fresh.name, self.map.name, os_layer.PLATFORM.exchange_flag)
            if fresh.read_bytes() == data:
                return True
            os_layer.rename_with_flag(folder, fresh.name, self.map.name, os_layer.PLATFORM.exchange_flag)
            return False
        finally:
            os.close(folder)

    def read(self) -> None:
        """Read the map without pause."""
        while True:
            data = self.map.read_bytes()
            try:
                json.loads(data)
            except ValueError:
                self.note("wrong", f"I1 the reader saw a torn map of {len(data)} bytes")
            self.note("reads", "1")

    # -- the end
    def check(self) -> list[str]:
        """Recover, and return what is wrong."""
        recover(str(self.root))
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
            _, what, number = line.split()
            if what == "paid" and number in safe:
                wrong.append(f"I5 paid again for GOAL{number}, whose text was safe")
            safe |= {number} if what == "safe" else set()
        counted = max((int(line) for line in self.noted("edits")), default=0)
        if int(final["EDITOR"]["count"]) < counted:
            wrong.append("I7 the editor's last edit is lost")
        return wrong


def start_process(act: Callable[[], None]) -> int:
    """Fork a process that does this; return its id."""
    child = os.fork()
    if not child:
        code = 1
        try:
            act()
            code = 0
        except BaseException as error:  # noqa: BLE001 - the process ends here, whatever it is
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(code)
    return child


def play(*, processes: int, slots: int, kills: int, seed: int) -> Result:
    """Play one round."""
    result, rng = Result(), random.Random(seed)
    base = Path(tempfile.mkdtemp(prefix="goalmap-crowd-"))
    crowd = Crowd(base, slots)
    start_s = time.monotonic()
    others = [start_process(crowd.edit), start_process(crowd.read)]
    shares = {start_process(lambda n=n: crowd.work(list(range(n, slots, processes)))): n for n in range(processes)}  # type: ignore[misc]
    next_kill_s = time.monotonic() + 0.05
    while shares:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child in shares:
            share = shares.pop(child)
            if status == signal.SIGKILL:
                shares[start_process(lambda: crowd.work(list(range(share, slots, processes))))] = share  # noqa: B023 - at once
            elif status:
                result.wrong.append(f"a process ended with {status}")
        elif child in others:
            result.wrong.append("the editor or the reader died")
        elif time.monotonic() >= next_kill_s and result.kills < kills:
            os.kill(rng.choice(list(shares)), signal.SIGKILL)
            result.kills += 1
            next_kill_s = time.monotonic() + rng.uniform(0.002, 0.06)
        else:
            time.sleep(0.001)
    result.seconds = time.monotonic() - start_s
    for child in others:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    result.wrong += crowd.check()
    result.edits, result.reads = len(crowd.noted("edits")), len(crowd.noted("reads"))
    result.paid = sum(" paid " in line for line in crowd.noted("ledger"))
    result.waits_s = [float(line) for line in crowd.noted("waits")]
    shutil.rmtree(base)
    return result


def main() -> int:
    """Play the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--slots", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50, help="in each round")
    parser.add_argument("--servers", type=int, default=0, help="language servers, in place of the processes")
    parser.add_argument(
        "--view", choices=["closed", "clean", "dirty"], default="closed", help="of the servers' editors"
    )
    arguments = parser.parse_args()
    wrong = 0
    for number in range(arguments.rounds):
        if arguments.servers:
            from .servers import play_servers  # late: half of Goalmap comes with it

            result = play_servers(
                servers=arguments.servers,
                view=arguments.view,
                slots=arguments.slots,
                kills=arguments.kills,
                seed=number,
            )
        else:
            result = play(processes=arguments.processes, slots=arguments.slots, kills=arguments.kills, seed=number)
        print(f"round {number + 1}: {result}", *result.wrong[:8], sep="\n    ", flush=True)
        wrong += len(result.wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
