"""The flow for a client that declares nothing of ours: what Helix, Kate, and any editor without glue can do."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator  # pytest-lsp evaluates what its fixtures are annotated with
from typing import TYPE_CHECKING

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, client_capabilities

from support.openai_endpoint import Endpoint, Reply
from support.scene import GENERATED, MAP, MISSING, TEXT, committed
from support.typed_client import FlowClient, flow_client

if TYPE_CHECKING:
    from support.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVER = ClientServerConfig(server_command=[sys.executable, "-m", "goalmap", "lsp"], client_factory=flow_client)
TARGET = f"new file components/protocols/{GENERATED}"
PLACEHOLDER = "TODO: what this component is for, in one line"


@pytest_lsp.fixture(config=SERVER, scope="module")
async def plain(lsp_client: FlowClient) -> AsyncIterator[None]:
    """Return a client with the capabilities of Emacs' own Eglot."""
    params = types.InitializeParams(capabilities=client_capabilities("emacs"))
    await lsp_client.initialize_session(params)
    yield
    await lsp_client.shutdown_session()


async def actions_at_mark(client: FlowClient, scene: Scene, file: str = MISSING) -> list[types.CodeAction]:
    await client.marked(scene)
    return await client.actions(scene, client.place_of(scene, file))


async def run(client: FlowClient, action: types.CodeAction) -> str:
    assert action.command is not None
    answer = await client.execute(action.command.command, *(action.command.arguments or ()))
    return str(answer["job"])


async def test_no_question_is_offered_that_nobody_would_ask(plain: FlowClient, scene: Scene) -> None:
    plain.open(scene)
    titles = [action.title for action in await actions_at_mark(plain, scene)]
    assert titles[:2] == [f"Generate drill.txt as «drill» ({TARGET})", "Describe drill.txt in the map first"]
    assert not any(title.endswith("…") for title in titles)


async def test_the_guess(plain: FlowClient, scene: Scene) -> None:
    scene.map.write_text(MAP.replace("drill.txt", "root_cause_analysis_drilldown.txt"), encoding="utf-8")
    plain.open(scene)
    guess = (await actions_at_mark(plain, scene, "root_cause_analysis_drilldown.txt"))[0]
    assert guess.title == (f"Generate root_cause_analysis_drilldown.txt as «root cause analysis drilldown» ({TARGET})")
    assert guess.is_preferred
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        await plain.use_model(endpoint)
        ended = await plain.outcome(await run(plain, guess))
        sent = str(endpoint.requests[0].body["messages"])
    assert "root cause analysis drilldown" in sent
    assert "Find the cause of a failure." in sent  # the goal's own description
    assert ended["outcome"] == "pending-save"
    assert GENERATED in plain.text_of(scene)
    plain.save(scene)
    await plain.until(lambda: scene.records() == [])
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    assert not await plain.marked(scene, count=0)


async def test_described_in_the_map_first(plain: FlowClient, scene: Scene) -> None:
    plain.open(scene)
    describe = (await actions_at_mark(plain, scene))[1]
    assert describe.edit is not None
    plain.edit(describe.edit)
    described = f'    "protocol$description": "{PLACEHOLDER}",\n    "protocol": "drill.txt"'
    assert plain.text_of(scene) == MAP.replace('    "protocol": "drill.txt"', described)
    # The placeholder is not a description yet.
    assert (await actions_at_mark(plain, scene))[0].title.startswith("Generate drill.txt as «drill»")
    words = "root cause analysis of production incidents"
    plain.change(scene.uri, plain.text_of(scene).replace(PLACEHOLDER, words))
    actions = await actions_at_mark(plain, scene)
    assert actions[0].title == f"Generate drill.txt as «{words}» (from the map; {TARGET})"
    assert not any(action.title.startswith("Describe") for action in actions)
    before = plain.text_of(scene)
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        await plain.use_model(endpoint)
        ended = await plain.outcome(await run(plain, actions[0]))
        assert words in str(endpoint.requests[0].body["messages"])
    assert ended["outcome"] == "pending-save"
    assert plain.text_of(scene) == committed(before)
    plain.save(scene)
    await plain.until(lambda: scene.records() == [])
    assert scene.map_text() == committed(before)


async def test_how_it_ended_is_said_in_a_message(plain: FlowClient, scene: Scene) -> None:
    plain.open(scene)
    guess = (await actions_at_mark(plain, scene))[0]
    async with Endpoint([Reply(status=401)]) as endpoint:
        await plain.use_model(endpoint)
        await plain.outcome(await run(plain, guess))
        said = await plain.said("GOALMAP_API_KEY")
    assert said.type == types.MessageType.Error
    assert plain.text_of(scene) == scene.map_text() == MAP
