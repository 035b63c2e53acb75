"""One component: committed, cancelled at any point, left to an editor's buffer, failed."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from goalmap import workflows
from goalmap.files import recovery
from goalmap.files.journal import peek
from goalmap.files.os_layer import LibraryDir
from goalmap.files.store import locked
from support.openai_endpoint import Endpoint, Reply
from support.told import unheard

TEXT = (
    "1. Write down the symptom as it was reported, and who saw it first.\n"
    "2. Find the last moment at which everything was still in order; note the proof.\n"
    "3. List what changed between that moment and the symptom, configuration included.\n"
    "4. Test one change at a time, the cheapest test first, and keep each result.\n"
)


@contextmanager
def lock_held(root: Path) -> Iterator[None]:
    """Hold the library's lock in another thread, as another process would."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(str(root), timeout_s=10, tell=unheard):
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    try:
        yield
    finally:
        release.set()
        thread.join()


# -- committed -------------------------------------------------------------------------------------------------------
async def test_committed(bench: Any) -> None:
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint)
    assert (outcome.kind, outcome.exit_code, outcome.file) == ("committed", 0, bench.component.name)
    assert outcome.component_path == str(bench.component)
    assert bench.component.read_text() == TEXT
    assert bench.component.name in bench.map_text
    assert "".join(bench.watcher.told) == TEXT
    assert bench.state("journal") == []


async def test_the_same_request_again_is_not_paid_for_again(bench: Any) -> None:
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        first = await bench.generate(endpoint)
        second = await bench.generate(endpoint)
        assert len(endpoint.requests) == 1
    assert (second.kind, second.file, second.tx) == (first.kind, first.file, first.tx)
    assert "no model was asked again" in second.notes[0]


async def test_a_second_attempt_replaces_the_first(bench: Any) -> None:
    async with Endpoint([Reply(text="Too short."), Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint)
    assert outcome.kind == "committed"
    restart = bench.watcher.told.index(None)
    assert "".join(bench.watcher.told[:restart]) == "Too short."
    assert bench.component.read_text() == TEXT


async def test_undo_restores_both_files(bench: Any) -> None:
    before = bench.map_text
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint)
    undone = workflows.undo(str(bench.root), tell=unheard, txs=[outcome.tx])
    assert undone.exit_code == 0
    assert bench.map_text == before
    assert not bench.component.exists()


# -- cancelled -------------------------------------------------------------------------------------------------------
async def test_cancelled_while_another_process_holds_the_library(bench: Any) -> None:
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        with lock_held(bench.root):
            task = asyncio.ensure_future(bench.generate(endpoint))
            # The loop is free while the thread waits for the lock: this very line runs on it.
            await asyncio.wait([task], timeout=0.05)
            assert not task.done()
            task.cancel()
            await asyncio.wait([task], timeout=0.05)
        outcome = await task
        assert endpoint.requests == []
    assert (outcome.kind, outcome.exit_code) == ("cancelled", 130)
    assert bench.state("journal") == bench.state("parked") == []


async def test_cancelled_before_the_model_says_a_word(bench: Any) -> None:
    before = bench.map_text
    async with Endpoint([Reply(text=TEXT, pause="start", pause_after=-1)]) as endpoint:
        task = asyncio.ensure_future(bench.generate(endpoint))
        await endpoint.reached("start")
        task.cancel()
        outcome = await task
        await endpoint.requests[0].ended.wait()
        assert endpoint.requests[0].hung_up
    assert outcome.kind == "cancelled"
    assert bench.map_text == before
    assert bench.state("journal") == bench.state("parked") == []


async def test_cancelled_half_way_the_text_is_parked(bench: Any) -> None:
    before = bench.map_text
    heard = asyncio.Event()
    bench.watcher.chunk = lambda _: heard.set()
    async with Endpoint([Reply(text=TEXT, pause="half", pause_after=3)]) as endpoint:
        task = asyncio.ensure_future(bench.generate(endpoint))
        await endpoint.reached("half")
        await heard.wait()
        task.cancel()
        outcome = await task
        await endpoint.requests[0].ended.wait()
        assert endpoint.requests[0].hung_up
    (parked,) = bench.state("parked")
    assert outcome.kind == "cancelled"
    assert str(parked) in outcome.message
    assert TEXT.startswith(parked.read_text())
    assert bench.map_text == before
    assert bench.state("journal") == []


async def test_cancelled_too_late_it_is_committed(bench: Any) -> None:
    async with Endpoint([Reply(text=TEXT)]) as endpoint:

        async def cancel_now() -> bool:
            task.cancel()
            return False

        task = asyncio.ensure_future(bench.generate(endpoint, through_buffer=cancel_now))
        outcome = await task
    assert outcome.kind == "committed"
    assert bench.component.read_text() == TEXT
    assert bench.state("journal") == []


# -- through an editor's buffer --------------------------------------------------------------------------------------
async def test_pending_until_the_map_is_saved(bench: Any) -> None:
    before = bench.map_text
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint, through_buffer=bench.in_buffer)
    assert (outcome.kind, outcome.exit_code, outcome.file) == ("pending-save", 0, bench.component.name)
    assert bench.component.read_text() == TEXT
    assert bench.map_text == before
    assert len(bench.state("journal")) == 1
    assert await outcome.waiting.settle(is_in_buffer=False) is None
    (bench.root / "goal_map.json").write_text(before.replace("drill.txt", outcome.file))
    settled = await outcome.waiting.settle(is_in_buffer=False)
    assert (settled.kind, settled.file) == ("committed", outcome.file)
    assert bench.state("journal") == []
    assert workflows.undo(str(bench.root), tell=unheard, txs=[outcome.tx]).exit_code == 0
    assert bench.map_text == before


async def test_pending_and_let_go_it_can_be_finished(bench: Any) -> None:
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint, through_buffer=bench.in_buffer)
    outcome.waiting.close()
    (waiting,) = recovery.pending(str(bench.root))
    assert (waiting.goal, waiting.slot, waiting.is_buffered) == (("Technical", "DEBUG"), "protocol", True)
    left = workflows.recover(str(bench.root), tell=bench.told.add)
    assert left.exit_code == 75
    assert "was not saved in the editor" in next(workflows.describe(bench.told, waiting=True))
    done = workflows.recover(str(bench.root), tell=unheard, finish_buffered=True)
    assert done.exit_code == 0
    assert bench.component.name in bench.map_text


async def test_a_reference_of_an_unsaved_map_only(bench: Any) -> None:
    before = bench.map_text
    unsaved = before.replace('"protocol": "passes.txt"', '"protocol": "passes.txt",\n      "persona": "new.txt"')
    request = replace(bench.request, goal=("Technical", "REVIEW"), slot="persona", file="new.txt", map_text=unsaved)
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint, request=request, through_buffer=bench.in_buffer)
    assert outcome.kind == "pending-save"
    assert bench.map_text == before
    (bench.root / "goal_map.json").write_text(unsaved.replace("new.txt", outcome.file))
    settled = await outcome.waiting.settle(is_in_buffer=False)
    assert settled.kind == "committed"


async def test_its_own_name_needs_no_buffer(bench: Any) -> None:
    before = bench.map_text
    request = replace(bench.request, naming="referenced")
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint, request=request, through_buffer=bench.in_buffer)
    assert (outcome.kind, outcome.file) == ("committed", "drill.txt")
    assert (bench.root / "components/protocols/drill.txt").read_text() == TEXT
    assert bench.map_text == before


# -- failed ----------------------------------------------------------------------------------------------------------
async def test_a_model_that_hangs(bench: Any) -> None:
    async with Endpoint([Reply(text=TEXT, pause="never", pause_after=-1)]) as endpoint:
        outcome = await bench.generate(endpoint, timeout_s=0.5)
        await endpoint.requests[0].ended.wait()
        assert endpoint.requests[0].hung_up
    assert (outcome.kind, outcome.exit_code, outcome.is_hopeless) == ("failed", 1, False)
    assert "goalmap.model.timeoutSeconds" in outcome.message
    assert bench.state("journal") == bench.state("parked") == []


async def test_a_model_that_hangs_half_way(bench: Any) -> None:
    async with Endpoint([Reply(text=TEXT, pause="never", pause_after=3)]) as endpoint:
        outcome = await bench.generate(endpoint, timeout_s=2)
    (parked,) = bench.state("parked")
    assert outcome.kind == "failed"
    assert str(parked) in outcome.message
    assert TEXT.startswith(parked.read_text())


async def test_what_was_refused_is_parked_and_named_with_every_attempt(bench: Any) -> None:
    """Judgements of what is no component can be wrong, and the replies were paid for."""
    checklist = "# Inspection\n" + "".join(
        f"{n}. Inspect valve {n} in hall {n % 7}: note pressure, note temperature, sign the sheet.\n"
        for n in range(1, 280)
    )
    async with Endpoint([Reply(text=checklist, repeat=True)]) as endpoint:
        outcome = await bench.generate(endpoint)
        asked = len(endpoint.requests)
    assert outcome.kind == "failed"
    parked = {path.name.split(".", 2)[2]: path.read_text() for path in bench.state("parked")}
    assert parked == {"refused.txt": checklist} | {f"refused-{n}.txt": checklist for n in range(1, asked)}
    assert all(str(path) in outcome.message for path in bench.state("parked"))
    assert bench.state("journal") == []


async def test_a_reporter_that_raises_fails_no_generation(bench: Any) -> None:
    def gone(_: str) -> None:
        raise BrokenPipeError

    bench.watcher.chunk = gone
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint)
    assert outcome.kind == "committed"


# -- reviewed --------------------------------------------------------------------------------------------------------
async def test_the_text_is_safe_before_anyone_is_asked_and_is_offered_not_paid_for_again(bench: Any) -> None:
    async def die(text: str) -> workflows.Verdict:
        assert text == TEXT
        (record,) = bench.state("journal")
        with LibraryDir.open(str(record.parent)) as folder:
            contents = peek(folder, record.name)
        assert contents is not None
        assert contents.text == TEXT.encode()
        assert contents.awaits_review
        return "later"

    asked: list[str] = []

    async def keep(text: str) -> workflows.Verdict:
        asked.append(text)
        return "keep"

    before = bench.map_text
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint, review=die)
        assert outcome.kind == "cancelled"
        workflows.recover(str(bench.root), tell=bench.told.add, finish_buffered=True)
        assert bench.told.finished == []
        assert [waiting.is_reviewed for waiting in recovery.pending(str(bench.root))] == [True]
        assert bench.map_text == before
        again = await bench.generate(endpoint, review=keep)
        assert len(endpoint.requests) == 1
    assert asked == [TEXT]
    assert again.kind == "committed"
    assert bench.component.read_text() == TEXT
    assert bench.state("journal") == []


async def test_a_review_that_is_cancelled_is_left_for_later(bench: Any) -> None:
    async def cancelled(_: str) -> workflows.Verdict:
        task.cancel()
        await asyncio.Event().wait()
        return "keep"

    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        task = asyncio.ensure_future(bench.generate(endpoint, review=cancelled))
        outcome = await task
    assert outcome.kind == "cancelled"
    assert "waits for your review" in outcome.message
    assert len(bench.state("journal")) == 1


async def test_what_is_discarded_in_a_review_is_parked_and_not_called_cancelled(bench: Any) -> None:
    async def discard(_: str) -> workflows.Verdict:
        return "discard"

    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint, review=discard)
    (parked,) = bench.state("parked")
    assert parked.read_text() == TEXT
    assert outcome.message.startswith("Discarded")
    assert str(parked) in outcome.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"description": " "}, "Describe the component"),
        ({"description": "a\nb"}, "line breaks"),
        ({"goal": ("Technical", "GONE")}, "does not have this reference"),
        ({"file": "other.txt"}, "'other.txt' there, but 'drill.txt'"),
        ({"slot": "persona", "file": "detective.txt"}, "nothing to generate"),
        (
            {"file": "../../x.txt", "map_text": '{"Technical": {"DEBUG": {"protocol": "../../x.txt"}}}'},
            "leaves its folder",
        ),
    ],
)
async def test_refused_while_it_is_free(change: dict[str, Any], says: str, bench: Any) -> None:
    request = replace(bench.request, naming="referenced", **change)
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint, request=request)
        assert endpoint.requests == []
    assert (outcome.kind, outcome.exit_code) == ("failed", 1)
    assert says in outcome.message


async def test_an_error_of_our_own_leaves_no_record(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(sys.modules["goalmap.workflows.generate"], "make_brief", broken)
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        with pytest.raises(RuntimeError, match="a bug"):
            await bench.generate(endpoint)
    assert bench.state("journal") == []


async def test_the_library_cannot_be_entered(bench: Any) -> None:
    (bench.root / ".goalmap").write_text("in the way")
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        outcome = await bench.generate(endpoint)
        assert endpoint.requests == []
    assert (outcome.kind, outcome.exit_code) == ("failed", 1)
    assert "Nothing was generated" in outcome.message
