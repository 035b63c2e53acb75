"""Whatever a model's endpoint does: the user hears what happened and what to do, and nothing else has changed.

Nothing on disk, nothing left running, and the key in no message of any kind.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from support.editors import VSCODE, RawEditor
from support.openai_endpoint import Endpoint, Reply
from support.scene import KEY, MAP, TEXT, Scene, committed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from support.editors import Json

    Start = Callable[..., Coroutine[None, None, RawEditor]]

ECHO = f"Incorrect API key provided: {KEY}. You can find yours at …"

FAULTS = {
    "401": ([Reply(status=401, body={"error": {"message": ECHO}})], "GOALMAP_API_KEY"),
    "403": ([Reply(status=403, body={"error": {"message": ECHO}})], "GOALMAP_API_KEY"),
    "404": ([Reply(status=404, body={"error": {"message": "no such model"}})], "goalmap.model."),
    "429, and for long": ([Reply(status=429, headers={"retry-after": "120"})], "120"),
    "500, again and again": ([Reply(status=500, body={"error": {"message": ECHO}}, repeat=True)], "again"),
    "a page in place of a stream": ([Reply(raw="<html>Welcome</html>", content_type="text/html")], "baseUrl"),
    "garbage": ([Reply(raw="data: {not json\n\n", repeat=True)], "baseUrl"),
    "an empty reply": ([Reply(text="", repeat=True)], "another model"),
    "a refusal": ([Reply(text="I'm sorry, but I can't help with that.", repeat=True)], "other words"),
    "torn in the middle": ([Reply(text=TEXT[:60], ending="abort", repeat=True)], "again"),
    "closed in the middle": ([Reply(text=TEXT[:60], ending="silence", repeat=True)], "again"),
    "cut off by length": ([Reply(text=TEXT, finish_reason="length")], "maxOutputTokens"),
}


@pytest.fixture
async def start(scene: Scene, tmp_path: Path) -> AsyncIterator[Start]:
    """Return what starts a server for VS Code; at the end, the key must be nowhere."""
    running: list[RawEditor] = []

    async def begin(base_url: str, **settings: Json) -> RawEditor:
        editor = await RawEditor.start(scene, VSCODE, base_url=base_url, home=tmp_path / "home")
        running.append(editor)
        if settings:
            editor.configure(**settings)
        await editor.marked("component.missing")
        return editor

    yield begin
    for editor in running:
        if editor.client.process.returncode is None:
            assert await editor.client.shutdown_and_exit() == 0
        await editor.__aexit__()
        assert "Traceback" not in editor.client.stderr, editor.client.stderr
        assert KEY not in json.dumps(editor.client.messages)
        assert KEY not in editor.client.stderr
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file


def assert_unchanged(editor: RawEditor, before: dict[str, bytes]) -> None:
    assert editor.scene.files() == before
    assert editor.scene.records() == []
    assert editor.text == MAP
    assert editor.asked == []
    kinds = [said["value"]["kind"] for said in editor.client.notifications("$/progress")]
    assert (kinds[0], kinds[-1]) == ("begin", "end")
    assert kinds.count("end") == 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_said_with_the_next_step(fault: str, scene: Scene, endpoint: Endpoint, start: Start) -> None:
    replies, next_step = FAULTS[fault]
    endpoint.add(*replies)
    before = scene.files()
    editor = await start(endpoint.base_url)
    job = await editor.generate()
    ended = await editor.outcome(job)
    assert ended["outcome"] == "failed"
    assert next_step in ended["message"]
    assert ended["message"].endswith(".")
    assert_unchanged(editor, before)
    for request in endpoint.requests:
        await request.ended.wait()


async def test_nobody_listens(scene: Scene, start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    before = scene.files()
    editor = await start(f"http://127.0.0.1:{port}/v1")
    job = await editor.generate()
    ended = await editor.outcome(job)
    assert ended["outcome"] == "failed"
    assert f"127.0.0.1:{port}" in ended["message"]
    assert_unchanged(editor, before)


@pytest.mark.parametrize("pause_after", [-1, 0, 2], ids=["before it answers", "before the first word", "in the middle"])
async def test_an_endpoint_that_hangs_is_given_up_and_hung_up_on(
    pause_after: int, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    endpoint.add(Reply(text=TEXT, pause="never", pause_after=pause_after))
    before = scene.files()
    editor = await start(endpoint.base_url, model={"timeoutSeconds": 1})
    job = await editor.generate()
    ended = await editor.outcome(job)
    assert ended["outcome"] == "failed"
    assert "timeoutSeconds" in ended["message"]
    assert_unchanged(editor, before)
    assert len(endpoint.requests) == 1
    await endpoint.requests[0].ended.wait()
    assert endpoint.requests[0].hung_up


async def test_a_busy_endpoint_is_asked_again(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    endpoint.add(Reply(status=429, headers={"retry-after": "0"}), Reply(status=503), Reply(text=TEXT))
    editor = await start(endpoint.base_url)
    job = await editor.generate()
    assert (await editor.outcome(job))["outcome"] == "committed"
    assert len(endpoint.requests) == 3
    assert scene.map_text() == committed()


async def test_what_was_written_before_the_line_broke_is_kept(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    endpoint.add(Reply(text=TEXT[:120], ending="abort", repeat=True))
    editor = await start(endpoint.base_url)
    job = await editor.generate()
    ended = await editor.outcome(job)
    assert ended["outcome"] == "failed"
    (kept,) = scene.parked()
    assert TEXT.startswith(kept)
    assert kept
    assert ".goalmap/parked/" in ended["message"]


async def test_after_a_failure_the_next_try_is_a_new_one(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    endpoint.add(Reply(status=401), Reply(text=TEXT))
    editor = await start(endpoint.base_url)
    job = await editor.generate()
    assert (await editor.outcome(job))["outcome"] == "failed"
    again = await editor.generate()
    assert again != job
    assert (await editor.outcome(again))["outcome"] == "committed"
    assert scene.map_text() == committed()


async def test_an_editor_that_goes_away_ends_the_request(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    endpoint.add(Reply(text=TEXT, pause="writing", pause_after=2))
    editor = await start(endpoint.base_url)
    await editor.generate()
    await endpoint.reached("writing")
    assert await editor.client.shutdown_and_exit() == 0
    await endpoint.requests[0].ended.wait()
    assert endpoint.requests[0].hung_up
    assert scene.map_text() == MAP
    assert scene.records() == []


async def test_the_key_goes_to_the_endpoint_and_nowhere_else(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    """Settings of a workspace may name another address: the key does not go there. `start` looks everywhere else."""
    endpoint.add(Reply(text=TEXT, repeat=True))
    async with Endpoint([Reply(text=TEXT, repeat=True)]) as other:
        editor = await start(endpoint.base_url, model={"baseUrl": other.base_url})
        job = await editor.generate()
        assert (await editor.outcome(job))["outcome"] in ("committed", "failed")
        assert all(KEY not in json.dumps(request.headers) for request in other.requests)
    assert endpoint.requests == []
    assert scene.records() == []
