"""A sample of schedules, and all that failed once. Thousands: `make simulate`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .checks import kind_of
from .kept import KEPT, Kept
from .scenario import Play
from .world import installed

# One system's calls are enough for the order of things; what differs between systems is tested elsewhere.
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the simulation makes Linux's system calls")

SAMPLE = 100
MORE_OF_EACH = 3


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


async def _puts_nothing_back(*_: object) -> list[object]:
    return []


def _nothing(*_: object) -> None:
    return None


@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        # Each of the two is enough: the receipts say that it was paid, and the disk that the buffer has missed it.
        ("I5", {"goalmap.files.transaction._done_before": _nothing, "goalmap.files.plan._refuse_overtaken": _nothing}),
        ("I2", {"goalmap.lsp.generation.pending_saves.PendingSaves._put_back": _puts_nothing_back}),
        ("I4", {"goalmap.files.store.Store.finished": ()}),
        ("I11", {"goalmap.files.store.Store.tell": _nothing}),
        ("I11", {"goalmap.lsp.generation.recovery.follow_disk": _nothing}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else value,
)
def test_a_seeded_fault_is_found(
    base: Path, monkeypatch: pytest.MonkeyPatch, kind: str, faults: dict[str, object]
) -> None:
    """A check that finds nothing must not be one that cannot find anything."""
    for name, fault in faults.items():
        monkeypatch.setattr(name, fault)
    plays = [Play(base, seed, plan=kept.plan) for kept in KEPT for seed in kept.seeds]
    found = {kind_of(wrong).split()[0] for play in plays for wrong in play.run()}
    gc.collect()
    assert kind in found
