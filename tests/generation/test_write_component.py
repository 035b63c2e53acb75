"""From a brief to an accepted component, with a scripted endpoint in the model's place."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING

import pytest

from goalmap.generation.errors import ModelError
from goalmap.generation.model_settings import ModelSettings
from goalmap.generation.prompt import Brief
from goalmap.generation.write_component import ReplyRejected, write_component
from support.openai_endpoint import Endpoint, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from goalmap.generation.reply import Accepted

BRIEF = Brief(
    component_type="protocol",
    goal=("Technical", "DEBUG"),
    goal_title="Debugging",
    goal_description="Find the cause.",
    description="root cause analysis",
    file="root_cause.txt",
    siblings=(("persona", "You are a detective who trusts evidence only, and who says so often and at length."),),
)
COMPONENT = "1. Look at the evidence.\n2. Form two explanations.\n3. Test each, and report the one that survives.\n"
LOOP = "And then look again at it. " * 12


class Watcher:
    """Keeps what a user would see."""

    def __init__(self) -> None:
        self.shown = ""
        self.restarts = 0

    def chunk(self, text: str) -> None:
        """Show a piece."""
        self.shown += text

    def restart(self) -> None:
        """Show nothing any more."""
        self.shown = ""
        self.restarts += 1


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint() as running:
        yield running


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


async def write(endpoint: Endpoint, watcher: Watcher, brief: Brief = BRIEF) -> Accepted:
    settings = ModelSettings(base_url=endpoint.base_url, max_retries=0)
    return await write_component(brief, settings, on_chunk=watcher.chunk, on_restart=watcher.restart, local=None)


async def test_a_good_reply_is_written_as_it_arrives(endpoint: Endpoint, watcher: Watcher) -> None:
    endpoint.add(Reply(text=f"```markdown\n{COMPONENT}```", chunk_chars=9))
    written = await write(endpoint, watcher)
    assert written.text == COMPONENT
    assert watcher.shown == f"```markdown\n{COMPONENT}```"
    assert watcher.restarts == 0
    request = endpoint.requests[0].body
    assert "root cause analysis" in request["messages"][1]["content"]
    assert "seed" not in request
    assert "grammar" not in request


@pytest.mark.parametrize("bad", ["", "I'm sorry, but I can't help with that.", "Protocol.", LOOP])
async def test_a_bad_reply_is_asked_for_once_more(endpoint: Endpoint, watcher: Watcher, bad: str) -> None:
    endpoint.add(Reply(text=bad), Reply(text=COMPONENT))
    assert (await write(endpoint, watcher)).text == COMPONENT
    assert watcher.shown == COMPONENT
    assert watcher.restarts == 1
    assert endpoint.requests[1].body["seed"] == 2
    assert endpoint.requests[1].body["messages"] == endpoint.requests[0].body["messages"]


async def test_two_bad_replies_are_enough(endpoint: Endpoint, watcher: Watcher) -> None:
    endpoint.add(Reply(text="Hm."), Reply(text="I cannot help with that."), Reply(text=COMPONENT))
    with pytest.raises(ReplyRejected) as raised:
        await write(endpoint, watcher)
    assert raised.value.code == "declined"
    assert raised.value.raw == "I cannot help with that."
    assert raised.value.kind == "refused"
    assert raised.value.next_step
    assert len(endpoint.requests) == 2


async def test_a_loop_is_broken_off_while_it_streams(endpoint: Endpoint, watcher: Watcher) -> None:
    endpoint.add(Reply(text=LOOP, chunk_chars=27, pause="never", pause_after=10), Reply(text=COMPONENT))
    assert (await write(endpoint, watcher)).text == COMPONENT
    await endpoint.requests[0].ended.wait()
    assert endpoint.requests[0].hung_up


async def test_a_cut_reply_is_not_paid_for_twice(endpoint: Endpoint, watcher: Watcher) -> None:
    endpoint.add(Reply(text=COMPONENT, finish_reason="length"), Reply(text=COMPONENT))
    with pytest.raises(ReplyRejected) as raised:
        await write(endpoint, watcher)
    assert (raised.value.code, raised.value.kind, raised.value.raw) == ("cut", "closed", COMPONENT)
    assert len(endpoint.requests) == 1
    assert watcher.restarts == 0


async def test_a_copy_of_a_neighbour_is_asked_for_again(endpoint: Endpoint, watcher: Watcher) -> None:
    sibling = "You are a detective. " + " ".join(f"word{n}" for n in range(40))
    brief = dataclasses.replace(BRIEF, siblings=(("persona", sibling),))
    endpoint.add(Reply(text=sibling), Reply(text=COMPONENT))
    assert (await write(endpoint, watcher, brief)).text == COMPONENT
    assert len(endpoint.requests) == 2


async def test_an_endpoint_that_knows_no_seed_leaves_the_first_refusal(endpoint: Endpoint, watcher: Watcher) -> None:
    endpoint.add(Reply(text="Hm."), Reply(status=422, body={"error": {"message": "extra inputs: seed"}}))
    with pytest.raises(ReplyRejected) as raised:
        await write(endpoint, watcher)
    assert raised.value.code == "short"


async def test_a_failure_of_the_endpoint_is_passed_on(endpoint: Endpoint, watcher: Watcher) -> None:
    endpoint.add(Reply(status=401))
    with pytest.raises(ModelError) as raised:
        await write(endpoint, watcher)
    assert raised.value.kind == "unauthorized"
    endpoint.add(Reply(text="Hm."), Reply(text=COMPONENT, ending="abort"))
    with pytest.raises(ModelError) as raised:
        await write(endpoint, watcher)
    assert raised.value.kind == "closed"


async def test_nothing_configured_says_what_to_set(watcher: Watcher) -> None:
    with pytest.raises(ModelError) as raised:
        await write_component(BRIEF, ModelSettings(), on_chunk=watcher.chunk, local=None)
    assert raised.value.kind == "not-configured"
    assert "OPENAI_API_KEY" in raised.value.next_step


async def test_cancelling_hangs_up(endpoint: Endpoint, watcher: Watcher) -> None:
    endpoint.add(Reply(text=COMPONENT, chunk_chars=5, pause="never", pause_after=2))
    writing = asyncio.create_task(write(endpoint, watcher))
    await endpoint.reached("never")
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await endpoint.requests[0].ended.wait()
    assert endpoint.requests[0].hung_up
    assert len(endpoint.requests) == 1


async def test_the_raw_reply_is_logged_at_debug_level_only(
    endpoint: Endpoint, watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.add(Reply(text="Hm, no."), Reply(text=COMPONENT))
    with caplog.at_level(logging.DEBUG, logger="goalmap"):
        await write(endpoint, watcher)
    holding = [record.levelno for record in caplog.records if "Hm, no." in record.getMessage()]
    assert holding == [logging.DEBUG]
