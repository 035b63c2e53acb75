"""Several components: how many at once, what a failure and a cancel do to the rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from goalmap.workflows import GenerateRequest, Outcome, Summary, generate_all, missing_references


def outcome(request: GenerateRequest, kind: Any = "committed", code: int = 0, **more: Any) -> Outcome:
    return Outcome(kind, "said", code, request.map_path, **more)


def requests(bench: Any, number: int) -> list[GenerateRequest]:
    return [replace(bench.request, index=index) for index in range(number)]


@pytest.mark.parametrize("at_once", [1, 3])
async def test_at_most_so_many_at_once_and_in_order(at_once: int, bench: Any) -> None:
    running: set[int] = set()
    most, begun = 0, []
    full = asyncio.Event()

    async def run(request: GenerateRequest) -> Outcome:
        nonlocal most
        running.add(request.index)
        begun.append(request.index)
        most = max(most, len(running))
        if len(running) == at_once:
            full.set()
        await full.wait()
        running.remove(request.index)
        return outcome(request, file=str(request.index))

    summary = await generate_all(requests(bench, 7), run, at_once=at_once)
    assert most == at_once
    assert begun == list(range(7))
    assert [one.file for one in summary.outcomes] == [str(number) for number in range(7)]
    assert (summary.message, summary.exit_code) == ("7 components: 7 committed", 0)


async def test_cancel_keeps_what_is_done_and_begins_no_more(bench: Any) -> None:
    begun: list[int] = []
    second = asyncio.Event()

    async def run(request: GenerateRequest) -> Outcome:
        begun.append(request.index)
        if request.index == 0:
            return outcome(request)
        second.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # As `generate` does: it parks what there is, which takes a while, and says so.
            await asyncio.to_thread(lambda: None)
        return outcome(request, "cancelled", 130, tx="parked")

    task = asyncio.ensure_future(generate_all(requests(bench, 4), run))
    await second.wait()
    task.cancel()
    summary = await task
    assert begun == [0, 1]
    assert [one.kind for one in summary.outcomes] == ["committed", "cancelled", "cancelled", "cancelled"]
    assert [one.tx for one in summary.outcomes] == [None, "parked", None, None]
    assert (summary.message, summary.exit_code) == ("4 components: 1 committed, 3 cancelled", 130)


async def test_a_failure_that_all_would_meet_ends_it(bench: Any) -> None:
    begun: list[int] = []

    async def run(request: GenerateRequest) -> Outcome:
        begun.append(request.index)
        return outcome(request, "failed", 1, is_hopeless=request.index == 1)

    summary = await generate_all(requests(bench, 4), run)
    assert begun == [0, 1]
    assert "Not begun" in summary.outcomes[3].message
    assert summary.exit_code == 1


async def test_nothing_to_do(bench: Any) -> None:
    summary = await generate_all([], bench.generate)
    assert (summary, summary.message, summary.exit_code) == (Summary(()), "Nothing is missing", 0)


def test_missing_references(bench: Any) -> None:
    (bench.root / "components/protocols/scene.txt").unlink()
    neighbours = bench.neighbours()
    missing = missing_references(neighbours.goal_map.goals, neighbours.library)
    assert [(reference.goal, reference.slot, reference.file) for reference in missing] == [
        (("Technical", "DEBUG"), "protocol", "drill.txt"),
        (("Creative", "DRAFT"), "protocol", "scene.txt"),
    ]
