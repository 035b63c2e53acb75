"""The whole flow on the real server, for an editor that puts its questions, and for one that brings the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.editors import GENERATE, PLAIN, VSCODE
from support.lsp_client import LspError
from support.openai_endpoint import Endpoint, Reply
from support.scene import DESCRIPTION, GENERATED, MAP, MISSING, TEXT, argument, committed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from support.editors import Json, RawEditor
    from support.scene import Scene

    Start = Callable[..., Coroutine[None, None, RawEditor]]

GENERATE_ALL, CANCEL, UNDO = "goalmap.generateAll", "goalmap.cancelGeneration", "goalmap.undo"
WARNING = 2
INVALID_PARAMS = -32602
WRITING = Reply(text=TEXT, pause="writing", pause_after=3)
# An editor whose glue leaves messages, and the opening of files, to the protocol.
ASKS = VSCODE.but(shows_generated=False, messages="buttons")


@pytest.fixture
def start(launch: Start, endpoint: Endpoint) -> Start:
    """Return what starts a server for an editor, with a model."""
    return lambda behaviour=ASKS, **initialize: launch(behaviour, endpoint, **initialize)


async def progress_of(editor: RawEditor, kind: str) -> Json:
    """Wait for the next progress of a kind."""
    return await editor.client.notification("$/progress", lambda told: told["value"]["kind"] == kind)


# -- asking ------------------------------------------------------------------------------------------------------------


async def test_a_question_until_its_answer_is_valid(start: Start, scene: Scene) -> None:
    editor = await start()
    told = argument(scene)
    command = {"command": GENERATE, "arguments": [told]}
    (field,) = (await editor.resolve(command))["formFields"]
    assert field == {
        "id": "description",
        "type": {"kind": "string"},
        "required": True,
        "description": "Describe the protocol for DEBUG in one line",
        "default": "drill",
    }
    for value, fault in (("", "Describe the component"), ("  ", "Describe the component"), ("a\nb", "one line")):
        again = await editor.resolve(command, description=value)
        assert fault in again["formFields"][0]["error"]
        assert again["formFields"][0]["default"] == value
        assert again["arguments"] == [told]
    ready = await editor.resolve(command, description=f" {DESCRIPTION} ")
    assert ready == {"command": GENERATE, "arguments": [{**told, "description": DESCRIPTION}]}
    for nonsense in (True, 7, "x", None):
        with pytest.raises(LspError) as refused:
            await editor.resolve({"command": GENERATE, "arguments": [nonsense]})
        assert refused.value.code == INVALID_PARAMS
    assert await editor.resolve({"command": UNDO, "arguments": []}) == {"command": UNDO, "arguments": []}


async def test_from_the_mark_to_the_commit_and_back(start: Start, scene: Scene, endpoint: Endpoint) -> None:
    editor = await start()
    (mark,) = editor.marks()
    assert (mark["code"], mark["source"], mark["severity"]) == ("component.missing", "goalmap", 1)
    assert editor.text_in(mark["range"]) == MISSING
    endpoint.add(WRITING)
    action = (await editor.actions(mark["range"]))[0]
    assert action["title"] == f"Generate missing component {MISSING}… (new file components/protocols/{GENERATED})"
    assert action["isPreferred"]
    ready = await editor.resolve(action["command"], description=DESCRIPTION)
    job = (await editor.execute(ready["command"], *ready["arguments"]))["job"]
    await endpoint.reached("writing")  # answered, while the model still writes
    (stop,) = [one for one in await editor.actions(mark["range"]) if one["title"].startswith("Stop")]
    assert stop["command"]["arguments"] == [{"job": job}]
    endpoint.open("writing")
    ended = await editor.outcome(job)
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
    await editor.clean()
    # The component is shown beside the map, and the message that says so offers to take it back.
    await editor.client.notification("window/showDocument", lambda told: told["uri"] == scene.generated.as_uri())
    question = await editor.asked_about(GENERATED)
    assert [action["title"] for action in question["actions"]] == ["Undo"]
    assert await editor.execute(UNDO, {"uri": scene.uri, "job": job}) is True
    assert scene.map_text() == MAP
    assert not scene.generated.exists()


async def test_undo_by_the_button_of_the_message(start: Start, scene: Scene, endpoint: Endpoint) -> None:
    editor = await start()
    editor.button = "Undo"
    endpoint.add(Reply(text=TEXT))
    assert (await editor.outcome(await editor.generate()))["outcome"] == "committed"
    await editor.said("names drill.txt again")
    assert scene.map_text() == MAP
    assert not scene.generated.exists()


async def test_progress_begins_reports_and_ends(start: Start, endpoint: Endpoint) -> None:
    editor = await start()
    endpoint.add(WRITING)
    job = await editor.generate()
    begin = await progress_of(editor, "begin")
    assert (begin["value"]["title"], begin["value"]["cancellable"]) == ("Generating drill.txt", True)
    await editor.client.notification("$/progress", lambda told: "Root cause" in told["value"]["message"])
    endpoint.open("writing")
    await editor.outcome(job)
    end = await progress_of(editor, "end")
    assert "Committed" in end["value"]["message"]
    told = [one["value"]["kind"] for one in editor.client.notifications("$/progress") if one["token"] == begin["token"]]
    assert (told[0], told[-1], told.count("end")) == ("begin", "end", 1)


@pytest.mark.parametrize("by", ["the progress", "the command", "the command for all"])
async def test_cancelling(by: str, start: Start, scene: Scene, endpoint: Endpoint) -> None:
    editor = await start()
    before = scene.files()
    endpoint.add(WRITING)
    job = await editor.generate()
    begin = await progress_of(editor, "begin")
    await endpoint.reached("writing")
    if by == "the progress":
        editor.client.notify("window/workDoneProgress/cancel", {"token": begin["token"]})
    else:
        assert await editor.execute(CANCEL, *([{"job": job}] if by == "the command" else [])) is True
    assert (await editor.outcome(job))["outcome"] == "cancelled"
    await endpoint.requests[0].ended.wait()
    assert endpoint.requests[0].hung_up
    await progress_of(editor, "end")
    assert scene.files() == before
    assert scene.records() == []
    assert await editor.execute(CANCEL, {"job": job}) is False


async def test_a_second_click_is_the_same_job(start: Start, endpoint: Endpoint) -> None:
    editor = await start()
    endpoint.add(WRITING)
    job = await editor.generate()
    await endpoint.reached("writing")
    assert await editor.generate() == job
    endpoint.open("writing")
    assert (await editor.outcome(job))["outcome"] == "committed"
    assert len(endpoint.requests) == 1


async def test_a_map_that_is_not_saved(start: Start, scene: Scene, endpoint: Endpoint) -> None:
    editor = await start()
    editor.type("Find the cause of a failure.", "Mine.")
    endpoint.add(Reply(text=TEXT))
    ended = await editor.outcome(await editor.generate())
    assert ended["outcome"] == "pending-save"
    assert "Save goal_map.json" in ended["message"]
    mine = committed(MAP.replace("Find the cause of a failure.", "Mine."))
    assert editor.text == mine
    assert scene.map_text() == MAP
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == mine


async def test_a_failure(start: Start, scene: Scene, endpoint: Endpoint) -> None:
    editor = await start()
    before = scene.files()
    endpoint.add(Reply(status=401))
    ended = await editor.outcome(await editor.generate())
    assert ended["outcome"] == "failed"
    assert "GOALMAP_API_KEY" in ended["message"]
    assert "componentUri" not in ended
    assert scene.files() == before


async def test_a_conflict(start: Start, scene: Scene, endpoint: Endpoint) -> None:
    """Somebody else has filled the slot on disk while the model wrote."""
    editor = await start()
    endpoint.add(WRITING)
    theirs = MAP.replace(MISSING, "detective.txt")
    job = await editor.generate()
    await endpoint.reached("writing")
    scene.map.write_text(theirs, encoding="utf-8")
    editor.reload()
    endpoint.open("writing")
    ended = await editor.outcome(job)
    assert ended["outcome"] == "conflict"
    assert scene.map_text() == theirs
    assert scene.parked() == [TEXT]
    assert ".goalmap" in ended["message"]


async def test_no_description_no_generation(start: Start, scene: Scene) -> None:
    editor = await start()
    before = scene.files()
    for description in ("", "   ", "two\nlines", None):
        assert await editor.execute(GENERATE, argument(scene, description=description)) is None, description
        assert (await editor.said("Nothing was generated."))["type"] == WARNING
    assert scene.files() == before
    assert not (scene.root / ".goalmap").exists()


# -- telling -----------------------------------------------------------------------------------------------------------


async def test_a_description_that_comes_with_the_command(start: Start, scene: Scene, endpoint: Endpoint) -> None:
    editor = await start(PLAIN)
    endpoint.add(Reply(text=TEXT))
    ended = await editor.outcome(await editor.generate())
    assert ended["outcome"] == "pending-save"  # it has not said that it reloads
    assert editor.text == committed()
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == committed()
    assert scene.generated.read_text(encoding="utf-8") == TEXT


async def test_under_its_own_name(start: Start, scene: Scene, endpoint: Endpoint) -> None:
    """The map names it already, so nothing has to be saved."""
    editor = await start(PLAIN)
    endpoint.add(Reply(text=TEXT))
    ended = await editor.outcome(await editor.generate(naming="referenced"))
    assert ended["outcome"] == "committed"
    assert scene.map_text() == editor.text == MAP
    assert (scene.root / "components" / "protocols" / MISSING).read_text(encoding="utf-8") == TEXT


WRONG = [
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
]


async def test_arguments_that_make_no_sense_are_refused(start: Start, scene: Scene) -> None:
    editor = await start(PLAIN)
    before = scene.files()
    for wrong in WRONG:
        with pytest.raises(LspError, match=next(iter(wrong))):
            await editor.execute(GENERATE, {**argument(scene, description=DESCRIPTION), **wrong})
    assert scene.files() == before


# -- not trusted -------------------------------------------------------------------------------------------------------


async def test_nothing_is_paid_for_on_behalf_of_an_untrusted_workspace(
    start: Start, scene: Scene, endpoint: Endpoint
) -> None:
    editor = await start(initializationOptions={"trusted": False})
    before = scene.files()
    endpoint.add(Reply(text=TEXT, repeat=True))
    for command in (GENERATE, GENERATE_ALL):
        assert await editor.execute(command, argument(scene, description=DESCRIPTION)) is None
        assert (await editor.said("not trusted"))["type"] == WARNING
    assert endpoint.requests == []
    assert scene.files() == before


# -- a real model ------------------------------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.timeout(300)
async def test_with_the_embedded_model(launch: Start, scene: Scene) -> None:
    """Neither key nor address: the model on this machine writes. What it says is its own business."""
    editor = await launch(ASKS)
    ended = await editor.outcome(await editor.generate(), timeout_s=240)
    assert ended["outcome"] == "committed", ended["message"]
    assert scene.map_text() == committed()
    text = scene.generated.read_text(encoding="utf-8")
    assert len(text.split()) > 20
    assert text.endswith("\n")
