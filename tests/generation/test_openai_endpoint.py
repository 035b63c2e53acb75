"""The scripted endpoint in a process of its own, as tests of whole processes use it."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING

import pytest

from goalmap.generation.errors import ModelError
from goalmap.generation.model import stream_completion
from goalmap.generation.model_settings import ModelSettings
from support.openai_endpoint import SCRIPT_EXHAUSTED, Endpoint, EndpointProcess, Reply

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = [{"role": "user", "content": "Say something."}]


def read(base_url: str) -> str:
    async def stream() -> str:
        settings = ModelSettings(base_url=base_url, api_key="sk-test", max_retries=0)
        return "".join([piece.text async for piece in stream_completion(MESSAGES, settings)])

    return asyncio.run(stream())


def test_a_process_answers_by_its_script_and_keeps_a_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with EndpointProcess([Reply(text="first"), Reply(status=500)], ledger=ledger) as endpoint:
        assert read(endpoint.base_url) == "first"
        with pytest.raises(ModelError):
            read(endpoint.base_url)
        seen = endpoint.requests()
    assert [request["body"]["messages"] for request in seen] == [MESSAGES, MESSAGES]
    assert seen[0]["headers"]["authorization"] == "Bearer sk-test"
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [(entry["number"], entry["event"]) for entry in entries] == [
        (1, "request"), (1, "answered"), (2, "request"), (2, "answered"),
    ]  # fmt: skip


def test_a_gate_holds_the_reply_back() -> None:
    with EndpointProcess([Reply(text="held back", pause="gate", pause_after=1)]) as endpoint:
        heard: list[str] = []
        reader = threading.Thread(target=lambda: heard.append(read(endpoint.base_url)))
        reader.start()
        endpoint.reached("gate")
        assert heard == []
        endpoint.open("gate")
        reader.join()
        assert heard == ["held back"]


async def test_an_exhausted_script_says_so() -> None:
    async with Endpoint([Reply(text="only")]) as endpoint:
        settings = ModelSettings(base_url=endpoint.base_url, max_retries=0)
        assert [piece.text async for piece in stream_completion(MESSAGES, settings)] == ["only", ""]
        with pytest.raises(ModelError, match=SCRIPT_EXHAUSTED):
            _ = [piece async for piece in stream_completion(MESSAGES, settings)]


async def test_a_reply_may_repeat_for_ever() -> None:
    async with Endpoint([Reply(text="again", repeat=True)]) as endpoint:
        settings = ModelSettings(base_url=endpoint.base_url, max_retries=0)
        for _ in range(3):
            assert [piece.text async for piece in stream_completion(MESSAGES, settings)] == ["again", ""]
        assert (await endpoint.arrived(3)).number == 3
