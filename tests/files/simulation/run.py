"""Play random schedules, and report: how many, how fast, and every kind of violation with a seed that shows it.

    python tests/files/simulation/run.py [--schedules N] [--seed S] [--jobs N] [--replay SEED] [--reduce SEED]

Exit code 0 if nothing was violated.
"""

# ruff: noqa: T201 - it reports on standard output

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if __package__ in (None, ""):  # run as a program: make the relative imports below work
    sys.path[:0] = [str(Path(__file__).resolve().parents[3]), str(Path(__file__).resolve().parents[2])]
    __package__ = "tests.files.simulation"
    import tests.files.simulation  # noqa: F401

from .checks import kind_of
from .scenario import Plan, Play, draw_plan
from .world import installed

SHARE = 50  # schedules between two looks for garbage


def play_some(seeds: list[int]) -> list[tuple[int, list[str], int, float]]:
    """Play these seeds; return each with what is wrong, its number of points, and its time."""
    found = []
    with installed() as base:
        gc.disable()
        gc.freeze()
        for number, seed in enumerate(seeds):
            play = Play(base / "play", seed)
            start_s = time.process_time()
            wrong = play.run()
            found.append((seed, wrong, play.world.hub.points, time.process_time() - start_s))
            del play
            if number % SHARE == SHARE - 1:
                gc.collect()
        gc.unfreeze()
        gc.enable()
    return found


def replay(seed: int) -> tuple[list[str], list[str]]:
    """Play a seed; return what is wrong, and who did what."""
    with installed() as base:
        play = Play(base / "play", seed, trace=True)
        wrong = play.run()
        return wrong, play.world.trace or []


def reduce(seed: int, kind: str) -> Plan:
    """Return the plan of a seed without what its violation does not need: the first one that begins with `kind`."""
    with installed() as base:

        def kinds(plan: Plan) -> set[str]:
            return {kind_of(wrong) for wrong in Play(base / "play", seed, plan=plan).run()}

        plan = draw_plan(seed)
        wanted = next(one for one in sorted(kinds(plan)) if one.startswith(kind))
        print(f"# {wanted}, seed {seed}")
        shorter: Plan | None = plan
        while shorter is not None:
            plan = shorter
            shorter = next((one for one in plan.shorter() if wanted in kinds(one)), None)
        return plan


def _shares(first: int, count: int) -> Iterator[list[int]]:
    for start in range(first, first + count, SHARE):
        yield list(range(start, min(start + SHARE, first + count)))


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", type=int, metavar="SEED", help="one schedule, with who did what")
    parser.add_argument("--reduce", type=int, metavar="SEED", help="show the shortest plan that fails as this one does")
    parser.add_argument("--kind", default="", help="how the violation begins that --reduce is to keep")
    arguments = parser.parse_args()
    if arguments.reduce is not None:
        print(reduce(arguments.reduce, arguments.kind))
        return 0
    if arguments.replay is not None:
        wrong, trace = replay(arguments.replay)
        print(*trace, "", *(wrong or ["nothing is wrong"]), sep="\n")
        return 1 if wrong else 0
    start_s, kinds, points, failed, processor_s = time.monotonic(), dict[str, list[int]](), 0, 0, 0.0
    with multiprocessing.get_context("fork").Pool(arguments.jobs) as pool:
        for some in pool.imap_unordered(play_some, _shares(arguments.seed, arguments.schedules)):
            for seed, wrong, calls, cpu_s in some:
                processor_s += cpu_s
                points += calls
                failed += bool(wrong)
                for one in {kind_of(one) for one in wrong}:
                    kinds.setdefault(one, []).append(seed)
    seconds = time.monotonic() - start_s
    for kind, seeds in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"{len(seeds):6}  {kind}  [{', '.join(map(str, sorted(seeds)[:6]))}]")
    rate, processor_rate = (60 * arguments.schedules / spent_s for spent_s in (seconds, processor_s))
    print(
        f"{arguments.schedules} schedules, {points} points, {failed} violated; {rate:.0f} schedules a minute, "
        f"{processor_rate:.0f} for each minute of a processor"
    )
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
