"""What others did to a library, a killed process or a second editor, reaches buffer and user, and is paid for once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from goalmap.lsp.command_names import DISCARD
from support.editors import PLAIN, VSCODE, Behaviour, RawEditor
from support.openai_endpoint import Endpoint, Reply
from support.scene import DESCRIPTION, GENERATED, MAP, MISSING, TEXT, Scene, committed, environment, make_scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    Start = Callable[..., Coroutine[None, None, RawEditor]]

MINE = MAP.replace("Find the cause of a failure.", "My words.")
OTHER = """# Kettle procedure

Boil water twice, and pour it over the leaves. Wait until the colour is that of amber.
Then ask each guest whether honey or lemon is wanted, and never assume that sugar is.
Wash every cup afterwards; dry them upside down on linen, beside a window that is open.
"""
TWO = MAP.replace('"protocol": "drill.txt"\n', '"protocol": "drill.txt",\n    "constraint": "rules.txt"\n')
DIES = """
import json, os, sys
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import begin
map_path, slot, file, description, text = sys.argv[1:]
generation = begin(GenerateRequest(map_path, ("DEBUG",), slot, None, file, description), tell=print)
generation.append(text)
generation.finish(text)
os.kill(os.getpid(), 9)
"""


def die_with_a_safe_text(scene: Scene, home: Path, slot: str = "protocol", file: str = MISSING) -> None:
    """Be a process that is killed when its text is safe, and not committed."""
    description = DESCRIPTION if slot == "protocol" else "rules of the house"
    argv = [str(scene.map), slot, file, description, TEXT]
    done = subprocess.run([sys.executable, "-c", DIES, *argv], env=environment(None, home), check=False)
    assert done.returncode == -9
    assert len(scene.records()) == 1


@pytest.fixture
async def start(scene: Scene, tmp_path: Path, endpoint: Endpoint) -> AsyncIterator[Start]:
    running: list[RawEditor] = []
    endpoint.add(Reply(text=OTHER, repeat=True))

    async def begin(behaviour: Behaviour = VSCODE, **options: Any) -> RawEditor:
        home = tmp_path / "home"
        editor = await RawEditor.start(scene, behaviour, base_url=endpoint.base_url, home=home, **options)
        running.append(editor)
        return editor

    yield begin
    for editor in running:
        await editor.__aexit__()
        assert "Traceback" not in editor.client.stderr, editor.client.stderr


def survive(editor: RawEditor, text: str) -> None:
    """Have the buffer be one that outlived an earlier server: it holds `text`, unsaved."""
    editor.close()
    editor.text, editor.version, editor.is_open, editor.is_modified = text, editor.version + 1, True, True
    editor.client.open(editor.scene.uri, text, version=editor.version)


# -- paid once
async def test_a_buffer_that_outlived_its_server_gets_what_somebody_else_recovered(
    scene: Scene, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    die_with_a_safe_text(scene, tmp_path / "home")
    command = [sys.executable, "-m", "goalmap", "recover", "--root", str(scene.root)]
    subprocess.run(command, env=environment(None, tmp_path / "home"), check=True)
    editor = await start()
    survive(editor, MINE)
    ended = await editor.outcome(await editor.generate())
    assert ended["outcome"] == "committed"
    assert endpoint.requests == []
    await editor.until(lambda: editor.text == committed(MINE))


@pytest.mark.parametrize("view", ["closed", "dirty", "clean in an editor that does not reload"])
async def test_a_generation_that_begins_during_the_recovery_at_the_start(
    view: str, scene: Scene, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    """Another process holds the library's lock, so that both wait for it: the recovery first."""
    from goalmap.files.store import locked

    die_with_a_safe_text(scene, tmp_path / "home")
    with locked(str(scene.root), timeout_s=10, tell=print):
        editor = await start(PLAIN if view.startswith("clean") else VSCODE)
        if view == "closed":
            editor.close()
        elif view == "dirty":
            editor.type("Find the cause of a failure.", "My words.")
        await editor.client.settle()
        job = await editor.generate()
    ended = await editor.outcome(job)
    assert ended["outcome"] in ("committed", "pending-save")
    assert endpoint.requests == []
    assert scene.map_text() == committed()
    if view != "closed":
        await editor.until(lambda: GENERATED in editor.text)


async def test_two_editors_ask_the_same_and_it_is_paid_once(endpoint: Endpoint, start: Start) -> None:
    first, second = await start(), await start()
    second.type("Find the cause of a failure.", "My words.")
    assert (await first.outcome(await first.generate()))["outcome"] == "committed"
    assert (await second.outcome(await second.generate()))["outcome"] == "committed"
    assert len(endpoint.requests) == 1
    await second.until(lambda: second.text == committed(MINE))


async def test_an_older_buffer_is_told_to_load_the_map_before_it_pays_for_something_else(
    scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    first, second = await start(), await start()
    second.type("Find the cause of a failure.", "My words.")
    await first.outcome(await first.generate())
    ended = await second.outcome(await second.generate(description="something else"))
    assert ended["outcome"] == "failed"
    assert "Load the map again" in ended["message"]
    assert len(endpoint.requests) == 1
    assert scene.map_text() == committed()


# -- said, to the buffer and to the user
async def test_what_a_generation_recovers_on_its_way_reaches_the_buffer_and_the_user(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    scene = make_scene(tmp_path / "two", TWO)
    endpoint.add(Reply(text=OTHER))
    async with await RawEditor.start(scene, VSCODE, base_url=endpoint.base_url, home=tmp_path / "home") as editor:
        await editor.marked("component.missing")
        editor.type("Find the cause of a failure.", "My words.")
        die_with_a_safe_text(scene, tmp_path / "home", "constraint", "rules.txt")
        await editor.outcome(await editor.generate())
        await editor.until(lambda: "autogen_constraint_for_debug.txt" in editor.text)
        editor.save()
        await editor.until(lambda: scene.records() == [])
        debug = json.loads(scene.map_text())["DEBUG"]
        assert (debug["constraint"], debug["protocol"]) == ("autogen_constraint_for_debug.txt", GENERATED)
        said = [params["message"] for params in editor.client.notifications("window/showMessage")]
        assert sum("autogen_constraint_for_debug.txt is committed" in message for message in said) == 1


async def test_the_buffer_is_put_right_before_a_component_goes(scene: Scene, start: Start) -> None:
    """The server dies with the reference in the buffer; the buffer survives, its user discards the text, and saves."""
    first = await start()
    first.type("Find the cause of a failure.", "My words.")
    assert (await first.outcome(await first.generate()))["outcome"] == "pending-save"
    text = first.text
    assert GENERATED in text
    first.client.process.kill()
    await first.client.process.wait()
    editor = await start()
    survive(editor, text)
    tx = scene.records()[0].removesuffix(".gmj")
    assert await editor.execute(DISCARD, {"uri": scene.uri, "tx": tx})
    assert editor.text == MINE
    editor.save()
    await editor.client.settle()
    assert not scene.generated.exists()
    assert scene.parked() == [OTHER]


async def test_nothing_is_discarded_where_the_editor_refuses_to_put_the_reference_back(
    scene: Scene, start: Start
) -> None:
    first = await start()
    first.type("Find the cause of a failure.", "My words.")
    await first.outcome(await first.generate())
    text = first.text
    first.client.process.kill()
    await first.client.process.wait()
    editor = await start(VSCODE.but(edits="refuse"))
    survive(editor, text)
    tx = scene.records()[0].removesuffix(".gmj")
    assert not await editor.execute(DISCARD, {"uri": scene.uri, "tx": tx})
    assert scene.generated.exists()
    assert len(scene.records()) == 1


# -- a review outlives its server
async def test_a_text_whose_review_was_interrupted_is_offered_and_not_paid_for_again(
    scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    def review(editor: RawEditor) -> None:
        editor.configure(generation={"review": True})

    first = await start(VSCODE.but(messages="left"))
    review(first)
    await first.generate()
    await first.client.notification("window/showMessageRequest")
    first.client.process.kill()
    await first.client.process.wait()
    editor = await start()
    review(editor)
    marks = await editor.marked("generation.interrupted")
    assert any("waits for your review" in mark["message"] for mark in marks)
    assert scene.map_text() == MAP
    editor.client.reply_to("window/showMessageRequest", lambda _: {"title": "Commit"})
    job = await editor.generate()
    assert (await editor.outcome(job))["outcome"] == "committed"
    assert len(endpoint.requests) == 1
    assert scene.map_text() == committed()
    assert scene.generated.read_text() == OTHER
    # Its receipt has the job that paid for it; the button of the one that committed it works all the same.
    assert await editor.execute("goalmap.undo", {"uri": scene.uri, "job": job})
    assert scene.map_text() == MAP
