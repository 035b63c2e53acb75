"""A sample of schedules, and all that failed once. Thousands: `make simulate`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .checks import kind_of
from .kept import KEPT, OPEN, Kept
from .scenario import Play
from .world import World, installed

# One system's calls are enough for the order of things; what differs between systems is tested elsewhere.
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the simulation makes Linux's system calls")

SAMPLE = 100
MORE_OF_EACH = 3
SEEDS_WITHOUT_LOCKS = 15


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    with installed() as folder:
        gc.disable()  # thousands of small objects at a time, gone with their schedule
        yield folder / "play"
        gc.enable()


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_what_failed_once_does_not_fail_again(base: Path, kept: Kept) -> None:
    """To see who does what: `Play(base, seed, plan=kept.plan, trace=True)`."""
    seeds = [*kept.seeds, *range(1000, 1000 + MORE_OF_EACH)]
    wrong = {seed: found for seed in seeds if (found := Play(base, seed, plan=kept.plan).run())}
    gc.collect()
    assert wrong == {}


@pytest.mark.xfail(strict=True, reason="known, and said so in kept.py")
@pytest.mark.parametrize("kept", OPEN, ids=lambda kept: kept.name)
def test_what_is_known_to_fail(base: Path, kept: Kept) -> None:
    """Once it does not, it belongs among what is kept."""
    wrong = [one for seed in kept.seeds for one in Play(base, seed, plan=kept.plan).run()]
    assert wrong == []


def test_no_schedule_of_a_sample_violates_anything(base: Path) -> None:
    """To see one again: `python tests/files/simulation/run.py --replay SEED`."""
    wrong = {seed: found for seed in range(SAMPLE) if (found := Play(base, seed).run())}
    gc.collect()
    assert wrong == {}


def test_a_seed_is_the_same_schedule_every_time(base: Path) -> None:
    for seed in range(5):
        traces = []
        for _ in range(2):
            play = Play(base, seed, trace=True)
            play.run()
            traces.append(play.world.trace)
        assert traces[0] == traces[1]


def test_without_locks_something_is_violated(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that finds nothing must not be one that cannot find anything."""
    make_call = World.call

    def call(world: World, name: str, *rest: object) -> object:
        return True if name == "try_lock" else make_call(world, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(World, "call", call)
    kinds = {kind_of(wrong)[:2] for seed in range(SEEDS_WITHOUT_LOCKS) for wrong in Play(base, seed).run()}
    assert "I5" in kinds
