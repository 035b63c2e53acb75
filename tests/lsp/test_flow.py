"""The whole flow on the real server, through pytest-lsp: for a client that can ask, and one that brings its answer.

One server serves all tests of this file for each kind of client; every test has a library and a model of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator  # pytest-lsp evaluates what its fixtures are annotated with
from typing import TYPE_CHECKING, Any

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, client_capabilities

from support.openai_endpoint import Endpoint, Reply
from support.scene import DESCRIPTION, GENERATED, MAP, MISSING, TEXT, argument, committed, environment
from support.typed_client import FlowClient, flow_client

if TYPE_CHECKING:
    from support.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

GENERATE, GENERATE_ALL, CANCEL, UNDO = (
    "goalmap.generateComponent",
    "goalmap.generateAll",
    "goalmap.cancelGeneration",
    "goalmap.undo",
)
WARNING, INFO = types.MessageType.Warning, types.MessageType.Info
WRITING = Reply(text=TEXT, pause="writing", pause_after=3)
SERVER = ClientServerConfig(server_command=[sys.executable, "-m", "goalmap", "lsp"], client_factory=flow_client)
ASKS = {"interactiveResolve": {"inputTypes": ["string"]}, "goalmap": {"reloadsCleanFiles": True}}


async def shake_hands(client: FlowClient, name: str, experimental: Any, **options: Any) -> Any:
    capabilities = client_capabilities(name)
    capabilities.experimental = experimental
    params = types.InitializeParams(capabilities=capabilities, initialization_options=options or None)
    return await client.initialize_session(params)


@pytest_lsp.fixture(config=SERVER, scope="module")
async def asking(lsp_client: FlowClient) -> AsyncIterator[None]:
    """Return a client that puts the server's questions, as our extension for VS Code does."""
    answer = await shake_hands(lsp_client, "visual-studio-code", ASKS)
    assert answer.capabilities.experimental == {"interactiveResolveProvider": {"kinds": ["command"]}}
    yield
    await lsp_client.shutdown_session()


@pytest_lsp.fixture(config=SERVER, scope="module")
async def telling(lsp_client: FlowClient) -> AsyncIterator[None]:
    """Return a client that declares nothing of ours, and sends the description with the command."""
    await shake_hands(lsp_client, "neovim", None)
    yield
    await lsp_client.shutdown_session()


@pytest_lsp.fixture(config=SERVER, scope="module")
async def untrusted(lsp_client: FlowClient) -> AsyncIterator[None]:
    """Return a client whose user has not said that the workspace is to be trusted."""
    await shake_hands(lsp_client, "visual-studio-code", ASKS, trusted=False)
    yield
    await lsp_client.shutdown_session()


@pytest.fixture(autouse=True, scope="module")
def nothing_of_the_users(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keep the servers of this file away from the home, the keys and the models of whoever runs them."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment(None, tmp_path_factory.mktemp("home")))
    yield
    os.environ.clear()
    os.environ.update(before)


# -- asking ------------------------------------------------------------------------------------------------------------


async def test_a_question_until_its_answer_is_valid(asking: FlowClient, scene: Scene) -> None:
    asking.open(scene)
    await asking.marked(scene)
    told = argument(scene)
    params: Any = {"command": GENERATE, "arguments": [told]}
    asked = await asking.resolve(params)
    (field,) = asked["formFields"]
    assert field == {
        "id": "description",
        "type": {"kind": "string"},
        "required": True,
        "description": "Describe the protocol for DEBUG in one line",
        "default": "drill",
    }
    for value, fault in (("", "Describe the component"), ("  ", "Describe the component"), ("a\nb", "one line")):
        again = await asking.resolve({**params, "formAnswers": [{"id": "description", "value": value}]})
        assert fault in again["formFields"][0]["error"]
        assert again["formFields"][0]["default"] == value
        assert again["arguments"] == [told]
    answers = [{"id": "description", "value": f" {DESCRIPTION} "}]
    ready = await asking.resolve({**params, "formAnswers": answers})
    assert ready == {"command": GENERATE, "arguments": [{**told, "description": DESCRIPTION}]}
    assert await asking.resolve({"command": "goalmap.undo", "arguments": []}) == {
        "command": "goalmap.undo",
        "arguments": [],
    }


async def test_from_the_mark_to_the_commit_and_back(asking: FlowClient, scene: Scene) -> None:
    asking.open(scene)
    (mark,) = await asking.marked(scene)
    assert (mark.code, mark.source, mark.severity) == ("component.missing", "goalmap", types.DiagnosticSeverity.Error)
    assert asking.text_in(scene, mark.range) == MISSING
    async with Endpoint([WRITING]) as endpoint:
        await asking.use_model(endpoint)
        action = (await asking.actions(scene, mark.range))[0]
        assert action.title == (f"Generate missing component {MISSING}… (new file components/protocols/{GENERATED})")
        assert action.is_preferred
        assert action.command is not None
        params = {"command": action.command.command, "arguments": action.command.arguments}
        ready = await asking.resolve({**params, "formAnswers": [{"id": "description", "value": DESCRIPTION}]})
        job = (await asking.execute(ready["command"], *ready["arguments"]))["job"]
        await endpoint.reached("writing")  # answered, while the model still writes
        (again,) = [one for one in await asking.actions(scene, mark.range) if one.title.startswith("Stop")]
        assert again.command is not None
        assert list(again.command.arguments or ()) == [{"job": job}]
        endpoint.open("writing")
        ended = await asking.outcome(job)
        sent = str(endpoint.requests[0].body["messages"])
        assert DESCRIPTION in sent
        assert "You are a detective of software." in sent  # its sibling
    assert ended == {
        "job": job,
        "outcome": "committed",
        "mapUri": scene.uri,
        "componentUri": scene.generated.as_uri(),
        "message": f"Committed components/protocols/{GENERATED}; goal_map.json names it now.",
        "undoable": True,
    }
    assert scene.map_text() == committed()
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    asking.reload(scene)
    assert not await asking.marked(scene, count=0)
    # The component is shown beside the map, and the message that says so offers to take it back.
    await asking.until(lambda: scene.generated.as_uri() in [shown.uri for shown in asking.shown_documents])
    question = await asking.asked_about(GENERATED)
    assert [action.title for action in question.actions or []] == ["Undo"]
    assert await asking.execute(UNDO, {"uri": scene.uri, "job": job}) is True
    assert scene.map_text() == MAP
    assert not scene.generated.exists()


async def test_undo_by_the_button_of_the_message(asking: FlowClient, scene: Scene) -> None:
    asking.open(scene)
    asking.button = "Undo"
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        await asking.use_model(endpoint)
        assert (await asking.generate(scene))["outcome"] == "committed"
        await asking.said("names drill.txt again")
    assert scene.map_text() == MAP
    assert not scene.generated.exists()


async def test_progress_begins_reports_and_ends(asking: FlowClient, scene: Scene) -> None:
    asking.open(scene)
    async with Endpoint([WRITING]) as endpoint:
        await asking.use_model(endpoint)
        job = await asking.begin(scene)
        token = await asking.progress_begun()
        await endpoint.reached("writing")
        await asking.until(lambda: len(asking.progress_of(token)) > 1)
        begin, report = asking.progress_of(token)[:2]
        assert (begin["kind"], begin["title"], begin["cancellable"]) == ("begin", "Generating drill.txt", True)
        assert report["kind"] == "report"
        assert "Root cause" in report["message"]
        endpoint.open("writing")
        await asking.outcome(job)
    end = asking.progress_of(token)[-1]
    assert end["kind"] == "end"
    assert "Committed" in end["message"]
    assert [value["kind"] for value in asking.progress_of(token)].count("end") == 1


@pytest.mark.parametrize("by", ["the progress", "the command", "the command for all"])
async def test_cancelling(by: str, asking: FlowClient, scene: Scene) -> None:
    asking.open(scene)
    before = scene.files()
    async with Endpoint([WRITING]) as endpoint:
        await asking.use_model(endpoint)
        job = await asking.begin(scene)
        token = await asking.progress_begun()
        await endpoint.reached("writing")
        if by == "the progress":
            asking.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token=token))
        else:
            assert await asking.execute(CANCEL, *([{"job": job}] if by == "the command" else [])) is True
        ended = await asking.outcome(job)
        await endpoint.requests[0].ended.wait()
        assert endpoint.requests[0].hung_up
    assert ended["outcome"] == "cancelled"
    assert asking.progress_of(token)[-1]["kind"] == "end"
    assert scene.files() == before
    assert scene.records() == []
    assert await asking.execute(CANCEL, {"job": job}) is False


async def test_a_second_click_is_the_same_job(asking: FlowClient, scene: Scene) -> None:
    asking.open(scene)
    async with Endpoint([WRITING]) as endpoint:
        await asking.use_model(endpoint)
        job = await asking.begin(scene)
        await endpoint.reached("writing")
        assert await asking.begin(scene) == job
        endpoint.open("writing")
        assert (await asking.outcome(job))["outcome"] == "committed"
        assert len(endpoint.requests) == 1


async def test_a_map_that_is_not_saved(asking: FlowClient, scene: Scene) -> None:
    asking.open(scene, text=MAP.replace("Find the cause of a failure.", "Mine."))
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        await asking.use_model(endpoint)
        ended = await asking.generate(scene)
    assert ended["outcome"] == "pending-save"
    assert "Save goal_map.json" in ended["message"]
    mine = committed(MAP.replace("Find the cause of a failure.", "Mine."))
    assert asking.text_of(scene) == mine
    assert scene.map_text() == MAP
    asking.save(scene)
    await asking.until(lambda: scene.records() == [])
    assert scene.map_text() == mine


async def test_a_failure(asking: FlowClient, scene: Scene) -> None:
    asking.open(scene)
    before = scene.files()
    async with Endpoint([Reply(status=401)]) as endpoint:
        await asking.use_model(endpoint)
        ended = await asking.generate(scene)
    assert ended["outcome"] == "failed"
    assert "GOALMAP_API_KEY" in ended["message"]
    assert "componentUri" not in ended
    assert scene.files() == before


async def test_a_conflict(asking: FlowClient, scene: Scene) -> None:
    """Somebody else has filled the slot on disk while the model wrote."""
    asking.open(scene)
    theirs = MAP.replace(MISSING, "detective.txt")
    async with Endpoint([WRITING]) as endpoint:
        await asking.use_model(endpoint)
        job = await asking.begin(scene)
        await endpoint.reached("writing")
        scene.map.write_text(theirs, encoding="utf-8")
        asking.reload(scene)
        endpoint.open("writing")
        ended = await asking.outcome(job)
    assert ended["outcome"] == "conflict"
    assert scene.map_text() == theirs
    assert scene.parked() == [TEXT]
    assert ".goalmap" in ended["message"]


@pytest.mark.parametrize("description", ["", "   ", "two\nlines", None])
async def test_no_description_no_generation(description: str | None, asking: FlowClient, scene: Scene) -> None:
    asking.open(scene)
    before = scene.files()
    assert await asking.execute(GENERATE, argument(scene, description=description)) is None
    said = await asking.said("Nothing was generated.")
    assert said.type == WARNING
    assert scene.files() == before
    assert not (scene.root / ".goalmap").exists()


# -- telling -----------------------------------------------------------------------------------------------------------


async def test_a_description_that_comes_with_the_command(telling: FlowClient, scene: Scene) -> None:
    telling.open(scene)
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        await telling.use_model(endpoint)
        ended = await telling.generate(scene)
    assert ended["outcome"] == "pending-save"  # it has not said that it reloads
    assert telling.text_of(scene) == committed()
    telling.save(scene)
    await telling.until(lambda: scene.records() == [])
    assert scene.map_text() == committed()
    assert scene.generated.read_text(encoding="utf-8") == TEXT


async def test_under_its_own_name(telling: FlowClient, scene: Scene) -> None:
    """The map names it already, so nothing has to be saved."""
    telling.open(scene)
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        await telling.use_model(endpoint)
        ended = await telling.generate(scene, naming="referenced")
    assert ended["outcome"] == "committed"
    assert scene.map_text() == telling.text_of(scene) == MAP
    assert (scene.root / "components" / "protocols" / MISSING).read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    "wrong",
    [
        {"slot": "template"},
        {"slot": 7},
        {"index": -1},
        {"index": True},
        {"goal": []},
        {"goal": "DEBUG"},
        {"file": None},
        {"naming": "both"},
        {"uri": "file:///nowhere/else.txt"},
        {"description": ["x"]},
    ],
    ids=str,
)
async def test_arguments_that_make_no_sense_are_refused(wrong: Any, telling: FlowClient, scene: Scene) -> None:
    telling.open(scene)
    before = scene.files()
    with pytest.raises(Exception, match=next(iter(wrong))):
        await telling.execute(GENERATE, {**argument(scene, description=DESCRIPTION), **wrong})
    assert scene.files() == before


# -- not trusted -------------------------------------------------------------------------------------------------------


async def test_nothing_is_paid_for_on_behalf_of_an_untrusted_workspace(untrusted: FlowClient, scene: Scene) -> None:
    untrusted.open(scene)
    before = scene.files()
    async with Endpoint([Reply(text=TEXT, repeat=True)]) as endpoint:
        await untrusted.use_model(endpoint)
        for command in (GENERATE, GENERATE_ALL):
            assert await untrusted.execute(command, argument(scene, description=DESCRIPTION)) is None
            said = await untrusted.said("not trusted")
            assert said.type == WARNING
        assert endpoint.requests == []
    assert scene.files() == before


# -- a real model ------------------------------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.timeout(300)
async def test_with_the_embedded_model(asking: FlowClient, scene: Scene) -> None:
    """Neither key nor address: the model on this machine writes. What it says is its own business."""
    asking.open(scene)
    await asking.use_model(None)
    ended = await asking.generate(scene, timeout_s=240)
    assert ended["outcome"] == "committed", ended["message"]
    assert scene.map_text() == committed()
    text = scene.generated.read_text(encoding="utf-8")
    assert len(text.split()) > 20
    assert text.endswith("\n")
