"""A generation on a small file system that is full from one of its calls on, for every such call; then there is space.

    python tests/files/faults/full_disk.py FOLDER

FOLDER is on a file system of a few megabytes, which is filled. What was paid for must be in the library after the
recovery, or where a message said; a generation that is refused must have cost nothing.
"""

# ruff: noqa: T201 - it reports on standard output

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

if __package__ in (None, ""):  # run as a program: make the relative imports below work
    sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (3, 2)]
    __package__ = "tests.files.faults"
    import tests.files.faults  # noqa: F401

from goalmap.files.errors import CommitRefused, NotCommitted, SavedElsewhere
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import AlreadyDone
from support.told import begin, recover, undo

from .tap import Tap, changes_disk

# Larger than what a record reserves for its text, so that the disk may be full while the model writes, too.
TEXT = "".join(f"{number}. Ask why, and write the answer down.\n" for number in range(2500))
PIECES = 8
LEVELS_BYTES = (0, 4096, 16384, 131072)  # what is left of the space


def fill(folder: Path, spare_bytes: int) -> None:
    """Leave no more than this of the space."""
    spare = folder / "spare"
    with spare.open("wb") as file:
        file.write(b"x" * spare_bytes)
        file.flush()
        os.fsync(file.fileno())
    fd = os.open(folder / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (1 << 16, 1 << 12, 512):
            try:
                while True:
                    os.write(fd, b"x" * size)
                    if size < 1 << 16:
                        os.fsync(fd)  # else a file system that allocates late takes more than it can keep
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    finally:
        os.close(fd)
    spare.unlink()
    os.sync()


def make_space(folder: Path) -> None:
    """Take the ballast away."""
    (folder / "ballast").unlink(missing_ok=True)
    os.sync()


class Trial:
    """One library on the small disk."""

    def __init__(self, disk: Path) -> None:
        self.disk, self.root = disk, disk / "library"
        self.map = self.root / "goal_map.json"
        shutil.rmtree(self.root, ignore_errors=True)
        (self.root / "components").mkdir(parents=True)
        goals = {f"GOAL{number}": {"protocol": f"todo{number}.txt"} for number in range(40)}
        self.map.write_text(json.dumps(goals, indent=1))
        self.before = self.map.read_bytes()
        self.request = GenerateRequest(str(self.map), ("GOAL7",), "protocol", None, "todo7.txt", "describe it")
        self.paid, self.said = 0, "committed"

    def generate(self) -> None:
        """Generate, and note what came of it."""
        try:
            generation = begin(self.request)
            if isinstance(generation, AlreadyDone):
                return
            self.paid += 1
            for start in range(0, len(TEXT), len(TEXT) // PIECES):
                generation.append(TEXT[start : start + len(TEXT) // PIECES])
            generation.finish(TEXT)
            generation.commit()
        except CommitRefused:
            self.said = "refused"
        except SavedElsewhere as error:
            self.said = "saved elsewhere" if error.path else "printed"
        except NotCommitted:
            self.said = "not committed"

    def wrong(self) -> list[str]:
        """Return what is wrong, when there is space again and all is recovered."""
        found = []
        if self.said == "printed":
            found.append("I4 the text was printed, although another disk could take it")
        goals = json.loads(self.map.read_bytes())
        file = goals["GOAL7"]["protocol"]
        components = {path.name: path.read_text() for path in self.root.glob("components/protocols/*")}
        if components != ({} if file == "todo7.txt" else {file: TEXT}):
            found.append(f"I2, I3 the map has {file}, and there is {sorted(components)}")
        if self.map.read_bytes() != self.before.replace(b"todo7.txt", file.encode()):
            found.append("I6 the map has changed elsewhere")
        if self.said == "refused" and self.paid:
            found.append("it was refused after it had been paid for")
        if (file == "todo7.txt") is not (self.said == "refused"):
            found.append(f"I4 it was {self.said}, and the map has {file}")
        left = {path.name for path in self.root.iterdir()} - {"components", "goal_map.json", ".goalmap"}
        left |= {path.name for path in (self.root / ".goalmap" / "journal").glob("*")}
        return [*found, *(f"I3 left behind {name}" for name in sorted(left))]


def play(disk: Path, at: int, spare_bytes: int) -> tuple[bool, Trial, list[str]]:
    """Generate on a disk that is full from the changing call `at` on; return whether there was such a call."""
    make_space(disk)
    trial, seen = Trial(disk), 0

    def before(number: int, _: str) -> None:
        nonlocal seen
        if changes_disk(tap.calls[number - 1]):
            seen += 1
            if seen == at:
                fill(disk, spare_bytes)

    tap = Tap(before=before)
    tap.install()
    try:
        trial.generate()
    finally:
        tap.remove()
    was_full = seen >= at
    with contextlib.suppress(CommitRefused):
        recover(str(trial.root))  # still full: it may do nothing, and must spoil nothing
    make_space(disk)
    recover(str(trial.root))
    wrong = trial.wrong()
    if not wrong and trial.said != "refused":
        said, trial.said = trial.said, ""
        trial.generate()  # once more: it is done, or refused while it is free
        if trial.paid != 1:
            wrong.append("I5 paid again")
        try:
            undo(str(trial.root))
            if trial.map.read_bytes() != trial.before:
                wrong.append("the undo did not take all back")
        except CommitRefused:
            # What came back from another disk is copied for undo, if there was room for that when it was recovered.
            if said != "saved elsewhere":
                wrong.append("there was nothing to undo")
        trial.said = said
    return was_full, trial, [f"full from call {at}, but for {spare_bytes} bytes ({trial.said}): {one}" for one in wrong]


def main() -> int:
    """Try every call."""
    disk, outcomes, wrong, points = Path(sys.argv[1]), Counter[str](), [], 0
    with tempfile.TemporaryDirectory() as home:
        os.environ["XDG_STATE_HOME"] = home
        for spare_bytes in LEVELS_BYTES:
            at, was_full = 0, True
            while was_full:
                at += 1
                was_full, trial, complaints = play(disk, at, spare_bytes)
                if was_full:
                    points += 1
                    outcomes[trial.said] += 1
                wrong += complaints
    print(f"{points} points, {dict(outcomes)}, {len(wrong)} violations", *wrong[:20], sep="\n    ")
    return 1 if wrong or points < len(LEVELS_BYTES) * 10 else 0


if __name__ == "__main__":
    sys.exit(main())
