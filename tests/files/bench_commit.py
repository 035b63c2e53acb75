"""What a commit costs, next to the naive write of the same two files with an fsync each: same disk, same run.

python tests/files/bench_commit.py [--dir DIR] [--rounds N] [--goals N]
"""

# ruff: noqa: T201 - it reports on standard output

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import AlreadyDone
from support.map_edits import set_reference
from support.told import begin, recover

TEXT = "Ask why, and then why that.\n" * 40


def _naive(library: Path, goal: str, number: int) -> None:
    component = library / "components" / "protocols" / f"naive{number}.txt"
    map_file = library / "goal_map.json"
    text = set_reference(map_file.read_text(), (goal,), "protocol", None, component.name)
    for path, content in ((component, TEXT), (map_file, text)):
        with path.open("w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _commit(library: Path, goal: str, number: int) -> None:
    old = f"todo{number}.txt"
    generation = begin(GenerateRequest(str(library / "goal_map.json"), (goal,), "protocol", None, old, "x"))
    assert not isinstance(generation, AlreadyDone)
    generation.append(TEXT)
    generation.finish(TEXT)
    generation.commit()


def _library(base: Path, goals: int) -> Path:
    (base / "components" / "protocols").mkdir(parents=True)
    (base / "goal_map.json").write_text(
        json.dumps({f"G{n}": {"protocol": f"todo{n}.txt"} for n in range(goals)}, indent=2)
    )
    return base


def main() -> None:
    """Measure, alternating, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", default=None, help="on the disk to measure")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--goals", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as scratch:
        os.environ["XDG_STATE_HOME"] = str(Path(scratch) / "state")
        ours, theirs = (_library(Path(scratch) / name, arguments.goals) for name in ("ours", "theirs"))
        _commit(ours, "G0", 0)
        times: dict[str, list[float]] = {"commit": [], "naive": [], "recover nothing": []}
        for number in range(1, arguments.rounds + 1):
            for name, act in (
                ("commit", lambda n=number: _commit(ours, f"G{n}", n)),
                ("naive", lambda n=number: _naive(theirs, f"G{n}", n)),
                ("recover nothing", lambda: recover(str(ours))),
            ):
                start_s = time.perf_counter()
                act()
                times[name].append(time.perf_counter() - start_s)
    medians = {name: statistics.median(values) * 1000 for name, values in times.items()}
    for name, median_ms in medians.items():
        print(f"{name:16} {median_ms:8.3f} ms")
    print(f"commit / naive   {medians['commit'] / medians['naive']:8.1f}")


if __name__ == "__main__":
    main()
