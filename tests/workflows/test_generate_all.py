"""Several components: how many at once, what a failure and a cancel do to the rest."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from goalmap.workflows import GenerateRequest, Outcome, Summary, generate_all, missing_references
from support.openai_endpoint import Endpoint, Reply


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


async def test_each_is_committed_on_its_own_and_later_ones_see_the_earlier(bench: Any) -> None:
    """Two at once; the third begins when one of them is there, and is told of it."""
    texts = [
        "1. Ask what changed.\n2. Ask who saw it.\n3. Undo one change at a time.\n",
        "You have kept the night shift for twenty years, and trust no graph that you have not fed yourself.\n",
        "Never guess at a cause. Never blame a person. Say what was not looked at.\n",
    ]
    map_path = bench.root / "goal_map.json"
    goal_map = {"DEBUG": {"protocol": "a.txt", "persona": "b.txt", "constraints": ["c.txt"]}}
    map_path.write_text(json.dumps(goal_map))
    asked = [("protocol", None, "a.txt"), ("persona", None, "b.txt"), ("constraints", 0, "c.txt")]
    wanted = [
        replace(bench.request, goal=("DEBUG",), slot=slot, index=index, file=file, description=f"about {file}")
        for slot, index, file in asked
    ]
    gates = ["first", "second", None]
    script = [Reply(text=text, pause=gate, pause_after=1) for text, gate in zip(texts, gates, strict=True)]
    async with Endpoint(script) as endpoint:
        task = asyncio.ensure_future(
            generate_all(wanted, lambda request: bench.generate(endpoint, request=request), at_once=2)
        )
        await endpoint.reached("first")
        await endpoint.reached("second")
        assert len(endpoint.requests) == 2
        endpoint.open("first")
        await endpoint.arrived(3)
        sent = json.dumps(endpoint.requests[2].body["messages"])
        assert ("Ask what changed." in sent, "night shift" in sent) == (True, False)
        endpoint.open("second")
        summary = await task
    assert (summary.message, summary.reasons, summary.kind) == ("3 components: 3 committed", (), "committed")
    now = json.loads(map_path.read_text())["DEBUG"]
    files = {"protocol": now["protocol"], "persona": now["persona"], "constraints": now["constraints"][0]}
    written = {(bench.root / "components" / f"{slot.rstrip('s')}s" / file).read_text() for slot, file in files.items()}
    assert written == set(texts)
    assert bench.state("journal") == []


def test_the_summary_says_why_each_reason_once(bench: Any) -> None:
    def failed(why: str) -> Outcome:
        return Outcome("failed", why, 1, bench.request.map_path)

    done = outcome(bench.request)
    summary = Summary((failed("Why."), done, failed("Why."), failed("Else.")), ("a", "b", "c", "d"), skipped=2)
    assert summary.message == "6 components: 1 committed, 2 skipped, 3 failed"
    assert summary.reasons == ("a, c: Why.", "d: Else.")
    many = Summary(tuple(failed("Why.") for _ in range(9)), tuple(map(str, range(9))))
    assert many.reasons == ("0, 1, 2, and 6 more: Why.",)
    assert Summary((done,), ("a",)).message == "1 component: 1 committed"
    # How many were left out is a client's number: it costs the same, whatever it is.
    assert Summary((done,), ("a",), skipped=10**12).message == f"{10**12 + 1} components: 1 committed, {10**12} skipped"


async def test_nothing_to_do(bench: Any) -> None:
    summary = await generate_all([], bench.generate)
    assert (summary, summary.message, summary.exit_code) == (Summary(()), "Nothing is missing", 0)


def test_missing_references(bench: Any) -> None:
    """What could be generated: no template, no other spelling of a file that is there, nothing unsafe."""
    (bench.root / "components/protocols/scene.txt").unlink()
    goal_map = json.loads(bench.map_text)
    odd = {"persona": "Detective.txt", "protocol": "../up.txt", "template": "none.txt", "con": "x.txt", "example": ""}
    goal_map["Creative"]["ODD"] = odd
    (bench.root / "goal_map.json").write_text(json.dumps(goal_map))
    neighbours = bench.neighbours()
    missing = missing_references(neighbours.goal_map.goals, neighbours.library)
    assert [(reference.goal, reference.slot, reference.file) for reference in missing] == [
        (("Technical", "DEBUG"), "protocol", "drill.txt"),
        (("Creative", "DRAFT"), "protocol", "scene.txt"),
        (("Creative", "ODD"), "example", ""),
    ]
