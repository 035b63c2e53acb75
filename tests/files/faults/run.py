"""Break the commit everywhere, and report: points tried, survived and violated for each kind, and the mutants caught.

    python tests/files/faults/run.py [--full] [--kind KIND ...] [--scene NAME ...] [--jobs N]

Kinds: kill, nested (kill, and kill the recovery), error (once, lasting, after the effect), power (every disk that a
power cut may leave), foreign (another writer run to its end). Without --full a sample of each is tried. Exit code 0 if
nothing was violated and every mutant was caught.
"""

# ruff: noqa: T201 - it reports on standard output

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

if __package__ in (None, ""):  # run as a program: make the relative imports below work
    sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (3, 2)]
    __package__ = "tests.files.faults"
    import tests.files.faults  # noqa: F401

from .kinds import (
    TRY,
    Point,
    calls_of_scene,
    error_points,
    foreign_points,
    kill_points,
    nested_points,
    power_points,
)
from .mutants import MUTANTS, Mutant
from .mutants_by_test import MUTANTS_BY_TEST, fails
from .scenes import NO_DIR_FD, NO_EXCHANGE, POWER_SCENES, SCENES, STEADY, Scene
from .tap import changes_disk

KINDS = ("kill", "nested", "error", "power", "foreign")
SAMPLE = {"kill": 300, "nested": 150, "error": 400, "power": 500, "foreign": 200}
POWER_CAP, POWER_CAP_SAMPLED = 3000, 60


def points_of(kind: str, scene: Scene, *, full: bool) -> Iterator[Point]:
    """Yield the points of a kind in a scene."""
    if kind == "kill":
        yield from kill_points(scene)
    elif kind == "nested":
        yield from nested_points(scene, every=1 if full else 16)
    elif kind == "error":
        yield from error_points(scene)
    elif kind == "power":
        if scene is NO_DIR_FD:
            return  # without fsync of folders nothing holds in this model; such systems keep the order themselves
        cap = POWER_CAP if full else POWER_CAP_SAMPLED
        yield from power_points(scene, cap=cap)
        if full:
            yield from power_points_of_recoveries(scene)
    elif scene in (STEADY, NO_EXCHANGE):
        yield from foreign_points(scene)


def power_points_of_recoveries(scene: Scene, *, before: str = "") -> Iterator[Point]:
    """Yield the disks that a power cut may leave in the recovery from a kill, for each call to kill at.

    `before` is how the labels of these calls begin: before an `fsync` there is most that is not durable.
    """
    for number, label in enumerate(calls_of_scene(scene), 1):
        if changes_disk(label) and label.startswith(before):
            yield from power_points(scene, cap=POWER_CAP_SAMPLED, recovery_of=number)


def try_point(point: Point) -> tuple[Point, list[str]]:
    """Try one point; what is wrong comes back as messages."""
    try:
        return point, TRY[point.kind](point)
    except Exception as error:  # noqa: BLE001 - a fault of the machinery must not look like a pass
        return point, [f"the check itself failed: {error!r}"]


def _in_pool(jobs: int, points: Iterable[Point]) -> Iterator[tuple[Point, list[str]]]:
    # Forked only now, so that the processes have what the points refer to.
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(try_point, points, chunksize=4)


def run_kind(kind: str, scenes: list[Scene], *, full: bool, jobs: int) -> tuple[int, list[tuple[Point, list[str]]]]:
    """Try a kind of fault; return how many points were tried, and those that violated something."""
    by_scene = [list(points_of(kind, scene, full=full)) for scene in scenes]
    points = [point for found in by_scene for point in found] if full else sample(by_scene, SAMPLE[kind])
    return len(points), [(point, wrong) for point, wrong in _in_pool(jobs, points) if wrong]


def sample(by_scene: list[list[Point]], size: int) -> list[Point]:
    """Return about `size` points, the same ones every time: as many of each scene, at even distances.

    The distances are even in an order by what the points have beside the call, so that every variant is among them.
    """
    scenes = [sorted(points, key=lambda point: (point.extra, point.call)) for points in by_scene if points]
    each = -(-size // len(scenes))
    # Rounded down from the middle of each stretch.
    return [
        points[(2 * n + 1) * len(points) // (2 * min(each, len(points)))]
        for points in scenes
        for n in range(min(each, len(points)))
    ]


# -- mutants
ALL_MUTANTS = [*MUTANTS, *MUTANTS_BY_TEST]


def catch(number: int) -> tuple[int, str]:
    """Apply a mutant and look for a point that notices; return it, or nothing. Needs a process of its own."""
    mutant = ALL_MUTANTS[number]
    mutant.apply()
    if mutant.kind == "test":
        return number, mutant.test if fails(mutant.test) else ""
    random.seed(number)
    points = _mutant_points(mutant)
    for tried, point in enumerate(points, 1):
        wrong = try_point(point)[1]
        if wrong:
            return number, f"{wrong[0].splitlines()[0][:90]}  [{tried} of {len(points)}]"
    return number, ""


def _mutant_points(mutant: Mutant) -> list[Point]:
    if mutant.in_recovery:
        points = list(power_points_of_recoveries(mutant.scene, before="fsync"))
    elif mutant.kind == "power":
        points = list(power_points(mutant.scene, cap=POWER_CAP_SAMPLED))
    else:
        points = list(islice(points_of(mutant.kind, mutant.scene, full=True), 20_000))
    points = [point for point in points if not mutant.writer or mutant.writer in point.extra]
    random.shuffle(points)
    return points


def run_mutants(numbers: list[int], jobs: int) -> Iterator[tuple[Mutant, str]]:
    """Yield each mutant with what caught it; nothing where nothing did."""
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        for number, caught in pool.imap(catch, numbers, chunksize=1):
            yield ALL_MUTANTS[number], caught


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="every point, not a sample")
    parser.add_argument("--kind", action="append", choices=[*KINDS, "mutants"])
    parser.add_argument("--scene", action="append", choices=[scene.name for scene in SCENES])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--show", type=int, default=8, help="how many violations to show")
    arguments = parser.parse_args()
    kinds = arguments.kind or [*KINDS, "mutants"]
    scenes = [scene for scene in SCENES if not arguments.scene or scene.name in arguments.scene]
    failures = 0
    for kind in (kind for kind in KINDS if kind in kinds):
        start_s, tried, violated = time.monotonic(), 0, []
        chosen = scenes + [scene for scene in POWER_SCENES if kind == "power" and not arguments.scene]
        # In full a scene at a time, and told at once: whoever breaks it off has what was found by then.
        for some in [[scene] for scene in chosen] if arguments.full else [chosen]:
            found = run_kind(kind, some, full=arguments.full, jobs=arguments.jobs)
            if arguments.full and found[0]:
                print(f"  {some[0].name}: {found[0]} points, {len(found[1])} violated", flush=True)
            for point, wrong in found[1][: arguments.show]:
                print(f"  {point}", *wrong, sep="\n      ", flush=True)
            tried += found[0]
            violated += found[1]
        seconds = time.monotonic() - start_s
        print(
            f"{kind:8} {tried:6} points {tried - len(violated):6} survived {len(violated):5} violated {seconds:7.1f} s",
            flush=True,
        )
        failures += len(violated)
    if "mutants" in kinds:
        start_s, escaped = time.monotonic(), 0
        for mutant, caught in run_mutants(list(range(len(ALL_MUTANTS))), arguments.jobs):
            print(f"  {'caught ' if caught else 'ESCAPED'} {mutant.name} ({mutant.kind}): {caught}", flush=True)
            escaped += not caught
        seconds = time.monotonic() - start_s
        print(f"mutants  {len(ALL_MUTANTS)} seeded, {len(ALL_MUTANTS) - escaped} caught, {seconds:.1f} s")
        failures += escaped
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
