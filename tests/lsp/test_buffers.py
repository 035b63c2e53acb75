"""Who writes the map while an editor has it open: nothing that anybody typed is lost, and no edit is sent twice.

The clients are raw ones, which behave like the editors that people use where it matters: see `support.editors`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import pytest

from support.editors import EMACS, NEOVIM, PLAIN, VSCODE, Behaviour, RawEditor
from support.openai_endpoint import Endpoint, Reply
from support.scene import GENERATED, MAP, TEXT, Scene, committed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from support.editors import Json

    Start = Callable[..., Coroutine[None, None, RawEditor]]

WRITING = Reply(text=TEXT, pause="writing", pause_after=2, repeat=True)
MINE = MAP.replace("Find the cause of a failure.", "My words.")
EVERY = pytest.mark.parametrize(
    "behaviour",
    [VSCODE, NEOVIM, EMACS, PLAIN, PLAIN.but(versioned=False)],
    ids=["vscode", "neovim", "emacs", "plain", "unversioned"],
)
RELOADING = pytest.mark.parametrize("behaviour", [VSCODE, NEOVIM, EMACS], ids=["vscode", "neovim", "emacs"])


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """Return a model that waits, after a few words, for the test to open "writing"."""
    async with Endpoint([WRITING]) as endpoint:
        yield endpoint


@pytest.fixture
def start(launch: Start, endpoint: Endpoint) -> Start:
    """Return what starts a server for an editor of some behaviour."""
    return partial(launch, endpoint=endpoint)


async def written(editor: RawEditor, endpoint: Endpoint) -> str:
    """Start a generation, and return its job once the model writes."""
    job = await editor.generate()
    await endpoint.reached("writing")
    return job


async def generated(editor: RawEditor, endpoint: Endpoint) -> Json:
    """Have the component generated, from beginning to end; return how it ended."""
    job = await written(editor, endpoint)
    endpoint.open("writing")
    return await editor.outcome(job)


async def taken_into_buffer(editor: RawEditor, endpoint: Endpoint, job: str) -> None:
    """Let the model end, and the buffer take the reference; one that tells late is not believed before."""
    endpoint.open("writing")
    if editor.behaviour.edits == "late":
        await editor.until(lambda: bool(editor.asked))
        assert editor.client.notifications("goalmap/generated") == []
        editor.announce()
    assert (await editor.outcome(job))["outcome"] == "pending-save"


def never_twice(editor: RawEditor) -> bool:
    versions = [version for version, _ in editor.asked]
    return len(set(versions)) == len(versions)


# -- clean -------------------------------------------------------------------------------------------------------------


@RELOADING
async def test_a_clean_map_is_committed_on_disk_where_editors_reload(
    behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(behaviour)
    ended = await generated(editor, endpoint)
    assert ended["outcome"] == "committed"
    assert ended["mapUri"] == scene.uri
    assert ended["componentUri"] == scene.generated.as_uri()
    assert scene.map_text() == editor.text == committed()
    assert editor.asked == []
    assert not editor.is_modified
    await editor.clean()
    assert scene.records() == []


@pytest.mark.parametrize("behaviour", [PLAIN, PLAIN.but(versioned=False)], ids=["plain", "unversioned"])
async def test_a_clean_map_takes_an_edit_where_editors_do_not_reload(
    behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(behaviour)
    assert (await generated(editor, endpoint))["outcome"] == "pending-save"
    assert editor.text == committed()
    assert len(editor.asked) == 1
    assert scene.map_text() == MAP
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    assert len(scene.records()) == 1
    await editor.clean()
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == committed()


# -- with changes ------------------------------------------------------------------------------------------------------


@EVERY
async def test_the_users_changes_stay_and_a_save_settles(
    behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(behaviour)
    editor.type("Find the cause of a failure.", "My words.")
    job = await written(editor, endpoint)
    await taken_into_buffer(editor, endpoint, job)
    assert editor.text == committed(MINE)
    assert scene.map_text() == MAP
    assert len(scene.records()) == 1
    assert len(editor.asked) == 1
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == committed(MINE)
    assert scene.generated.read_text(encoding="utf-8") == TEXT


@EVERY
async def test_a_reference_that_was_just_typed(
    behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    """The disk knows nothing of the goal yet: it is in the buffer only, and so is the edit."""
    editor = await start(behaviour)
    editor.type("DEBUG", "TRACE")
    job = await editor.generate(goal=["TRACE"])
    await endpoint.reached("writing")
    await taken_into_buffer(editor, endpoint, job)
    assert '"protocol": "autogen_protocol_for_trace.txt"' in editor.text
    assert scene.map_text() == MAP
    assert len(scene.records()) == 1
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert "autogen_protocol_for_trace.txt" in scene.map_text()
    written_file = scene.generated.with_name("autogen_protocol_for_trace.txt")
    assert written_file.read_text(encoding="utf-8") == TEXT


@EVERY
async def test_typing_while_the_model_writes(
    behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(behaviour)
    job = await written(editor, endpoint)
    editor.type("Find the cause of a failure.", "My words.")
    await taken_into_buffer(editor, endpoint, job)
    assert editor.text == committed(MINE)
    assert scene.map_text() == MAP
    assert never_twice(editor) or not behaviour.versioned


@pytest.mark.parametrize("behaviour", [VSCODE, NEOVIM, PLAIN], ids=["vscode", "neovim", "plain"])
async def test_typing_while_the_edit_is_on_its_way(behaviour: Behaviour, endpoint: Endpoint, start: Start) -> None:
    """The edit is for a version that is gone; it is made anew for the one that is there."""
    editor = await start(behaviour)
    editor.type("DEBUG", "DEBUG ")  # dirty, and the goal renamed back below
    editor.type("DEBUG ", "DEBUG")
    editor.type("Find the cause of a failure.", "My words.")
    words = iter(["Mine, first.", "Mine, second."])

    def type_more() -> None:
        if (word := next(words, None)) is not None:
            editor.type(editor.text.split('"description": "')[1].split('"')[0], word)

    editor.before_edit = type_more
    assert (await generated(editor, endpoint))["outcome"] == "pending-save"
    mine = MAP.replace("Find the cause of a failure.", "Mine, second.")
    assert editor.text == committed(mine)
    assert len(editor.asked) == 3
    assert never_twice(editor)


@RELOADING
async def test_typing_that_the_server_hears_of_too_late(
    behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    """The commit was made on disk, for a buffer that seemed clean: the buffer comes to hold both."""
    editor = await start(behaviour)
    job = await written(editor, endpoint)
    editor.type("Find the cause of a failure.", "My words.", announce=False)
    endpoint.open("writing")
    assert (await editor.outcome(job))["outcome"] == "committed"
    assert scene.map_text() == committed()
    assert editor.text == MINE
    editor.announce()
    await editor.until(lambda: GENERATED in editor.text)
    assert editor.text == committed(MINE)
    assert scene.map_text() == committed()
    editor.save()
    await editor.client.settle()
    assert scene.map_text() == committed(MINE)
    assert len(editor.asked) == 1


async def test_a_reload_is_followed_by_nothing(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    """Once the buffer had the reference, its user may take it out again."""
    editor = await start(VSCODE)
    assert (await generated(editor, endpoint))["outcome"] == "committed"
    await editor.clean()
    editor.type(GENERATED, "drill.txt")
    await editor.marked("component.missing")
    await editor.client.settle()
    assert editor.asked == []
    assert editor.text == MAP
    assert scene.map_text() == committed()


async def test_two_generations_at_once_before_the_editor_reloads(
    scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    """The second commit finds a buffer that the first has overtaken: it is still a clean one."""
    scene.map.write_bytes(MAP.replace('"detective.txt"', '"nobody.txt"').encode())
    editor = await start(VSCODE)
    first = await written(editor, endpoint)
    second = await editor.generate(slot="persona", file="nobody.txt")
    await endpoint.arrived(2)
    endpoint.open("writing")
    ended = [
        await editor.client.notification("goalmap/generated", lambda params, job=job: params["job"] == job)
        for job in (first, second)
    ]
    assert [one["outcome"] for one in ended] == ["committed", "committed"]
    editor.reload()
    assert GENERATED in editor.text
    assert "autogen_persona_for_debug.txt" in editor.text
    assert editor.asked == []
    await editor.clean()


# -- editors that do not do as they say --------------------------------------------------------------------------------


@pytest.mark.parametrize("edits", ["lie", "refuse", "fail"])
async def test_an_edit_that_was_not_made_is_a_conflict_and_is_not_repeated(
    edits: str, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(VSCODE.but(edits=edits))
    editor.type("Find the cause of a failure.", "My words.")
    ended = await generated(editor, endpoint)
    assert ended["outcome"] == "conflict"
    assert GENERATED in ended["message"]
    assert len(editor.asked) == 1
    assert editor.text == MINE
    assert scene.map_text() == MAP
    # The text is there, and so is its record: what the message says can be done.
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    assert len(scene.records()) == 1
    editor.type("drill.txt", GENERATED)
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == committed(MINE)


@pytest.mark.parametrize("behaviour", [VSCODE, PLAIN], ids=["vscode", "plain"])
async def test_a_slot_that_its_user_has_filled_meanwhile_is_left_alone(
    behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    (scene.root / "components" / "protocols" / "mine.txt").write_text("Mine.\n", encoding="utf-8")
    editor = await start(behaviour)
    job = await written(editor, endpoint)
    editor.type("drill.txt", "mine.txt")
    endpoint.open("writing")
    ended = await editor.outcome(job)
    assert ended["outcome"] == "conflict"
    assert editor.asked == []
    assert editor.text == MAP.replace("drill.txt", "mine.txt")
    assert scene.map_text() == MAP
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == MAP.replace("drill.txt", "mine.txt")
    assert scene.parked() == [TEXT]  # paid for, and kept
    assert not scene.generated.exists()


@EVERY
async def test_a_map_that_is_closed_while_the_model_writes_is_committed_on_disk(
    behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(behaviour)
    editor.type("Find the cause of a failure.", "My words.")
    job = await written(editor, endpoint)
    editor.close()
    endpoint.open("writing")
    assert (await editor.outcome(job))["outcome"] == "committed"
    assert scene.map_text() == committed()
    assert scene.records() == []
    assert editor.asked == []


async def test_a_map_that_is_closed_before_it_has_taken_the_edit_is_committed_on_disk(
    scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(VSCODE.but(edits="lie"))
    editor.type("Find the cause of a failure.", "My words.")
    editor.before_edit = editor.close
    assert (await generated(editor, endpoint))["outcome"] == "committed"
    assert scene.map_text() == committed()
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    assert scene.records() == []


async def test_a_save_that_comes_before_the_edit_is_confirmed_settles(
    scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(PLAIN.but(edits="late"))
    job = await written(editor, endpoint)
    endpoint.open("writing")
    await editor.until(lambda: bool(editor.asked))
    editor.save()  # tells of the change and of the save together
    assert (await editor.outcome(job))["outcome"] in ("pending-save", "committed")
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == committed()


async def test_a_cancel_that_comes_while_the_edit_is_on_its_way_comes_too_late(
    scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(PLAIN.but(edits="late"))
    job = await written(editor, endpoint)
    endpoint.open("writing")
    await editor.until(lambda: bool(editor.asked))
    assert await editor.execute("goalmap.cancelGeneration", {"job": job})
    editor.announce()
    assert (await editor.outcome(job))["outcome"] == "pending-save"
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == committed()


async def test_a_message_that_nobody_answers_holds_nothing_up(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    editor = await start(PLAIN.but(messages="left"))
    job = await written(editor, endpoint)
    endpoint.open("writing")
    await editor.outcome(job)
    await editor.client.notification("window/showMessageRequest")
    assert await editor.execute("goalmap.undo", {"uri": scene.uri, "job": job})
    assert editor.text == MAP
    again = await editor.generate()
    assert again != job
    assert (await editor.outcome(again))["outcome"] == "pending-save"


@pytest.mark.parametrize("says_so", [True, False], ids=["saying so", "without a word"])
async def test_saving_and_quitting_at_once_settles(
    scene: Scene, endpoint: Endpoint, start: Start, *, says_so: bool
) -> None:
    editor = await start(PLAIN)
    job = await written(editor, endpoint)
    endpoint.open("writing")
    await editor.outcome(job)
    if says_so:
        editor.save()
    else:
        scene.map.write_bytes(editor.text.encode())
    assert await editor.client.shutdown_and_exit() == 0
    assert scene.records() == []
    assert scene.map_text() == committed()


@pytest.mark.parametrize("edits", ["late", "silent"])
async def test_a_quit_while_the_edit_is_on_its_way_leaves_the_record_to_the_next_server(
    scene: Scene, endpoint: Endpoint, start: Start, tmp_path: Path, *, edits: Literal["late", "silent"]
) -> None:
    editor = await start(PLAIN.but(edits=edits))
    await written(editor, endpoint)
    endpoint.open("writing")
    await editor.client.notification("workspace/applyEdit")
    assert await editor.client.shutdown_and_exit() == 0
    assert "Traceback" not in await editor.client.stderr_text()
    assert (scene.map_text(), len(scene.records())) == (MAP, 1)
    async with await RawEditor.start(scene, VSCODE, base_url=endpoint.base_url, home=tmp_path / "home") as again:
        await again.marked("generation.interrupted")


# -- thrown away -------------------------------------------------------------------------------------------------------


async def thrown_away(editor: RawEditor, endpoint: Endpoint) -> Json:
    """Have a reference in an unsaved buffer, throw that away, and return the mark that says what waits."""
    editor.type("Find the cause of a failure.", "My words.")
    assert (await generated(editor, endpoint))["outcome"] == "pending-save"
    editor.close()
    editor.open()
    marks = await editor.marked("generation.interrupted")
    return next(mark for mark in marks if mark["code"] == "generation.interrupted")


async def fixes_at(editor: RawEditor, mark: Json) -> dict[str, Json]:
    return {fix["title"]: fix for fix in await editor.actions(mark["range"], mark)}


async def test_what_was_thrown_away_can_be_finished(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    editor = await start(VSCODE)
    mark = await thrown_away(editor, endpoint)
    fixes = await fixes_at(editor, mark)
    finish = next(fix for title, fix in fixes.items() if title.startswith("Finish the interrupted generation"))
    assert await editor.choose(finish)
    assert scene.map_text() == committed()
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    assert scene.records() == []
    assert len(endpoint.requests) == 1
    editor.reload()
    await editor.clean()


async def test_what_was_thrown_away_can_be_discarded(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    editor = await start(VSCODE)
    mark = await thrown_away(editor, endpoint)
    fixes = await fixes_at(editor, mark)
    discard = next(fix for title, fix in fixes.items() if title.startswith("Discard the text for"))
    assert await editor.execute(discard["command"]["command"], *discard["command"]["arguments"])
    assert scene.map_text() == MAP
    assert not scene.generated.exists()
    assert scene.parked() == [TEXT]
    assert scene.records() == []


async def test_what_was_thrown_away_and_written_after_all_settles(
    scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(VSCODE)
    await thrown_away(editor, endpoint)
    editor.type("drill.txt", GENERATED)
    editor.save()
    await editor.until(lambda: scene.records() == [])
    assert scene.map_text() == committed()
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    await editor.clean()


async def test_an_edit_that_its_user_takes_back_by_hand_is_shown_as_interrupted(
    scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(PLAIN)
    assert (await generated(editor, endpoint))["outcome"] == "pending-save"
    editor.type(GENERATED, "drill.txt")
    await editor.marked("generation.interrupted")
    assert scene.map_text() == MAP


async def test_what_waits_is_shown_again_by_the_next_server(
    scene: Scene, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    editor = await start(VSCODE)
    editor.type("Find the cause of a failure.", "My words.")
    assert (await generated(editor, endpoint))["outcome"] == "pending-save"
    editor.client.process.kill()
    await editor.client.exit_code()
    assert scene.map_text() == MAP
    async with await RawEditor.start(scene, VSCODE, base_url=endpoint.base_url, home=tmp_path / "home") as again:
        await again.marked("generation.interrupted")
        assert len(scene.records()) == 1


# -- undo --------------------------------------------------------------------------------------------------------------


@EVERY
async def test_undo_before_the_map_is_saved(
    behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start
) -> None:
    editor = await start(behaviour.but(edits="apply"))
    editor.type("Find the cause of a failure.", "My words.")
    job = await written(editor, endpoint)
    endpoint.open("writing")
    await editor.outcome(job)
    assert await editor.execute("goalmap.undo", {"uri": scene.uri, "job": job})
    assert editor.text == MINE
    assert scene.map_text() == MAP
    assert not scene.generated.exists()
    assert scene.records() == []
    assert scene.parked() == [TEXT]


@RELOADING
async def test_undo_of_a_commit_on_disk(behaviour: Behaviour, scene: Scene, endpoint: Endpoint, start: Start) -> None:
    editor = await start(behaviour)
    job = await written(editor, endpoint)
    endpoint.open("writing")
    # Not reloaded yet: what the server itself has just written is no change of the user's.
    await editor.client.notification("goalmap/generated", lambda params: params["job"] == job)
    assert await editor.execute("goalmap.undo", {"uri": scene.uri, "job": job})
    assert scene.map_text() == MAP
    assert not scene.generated.exists()
    editor.reload()
    await editor.client.settle()
    assert editor.text == MAP
    assert editor.asked == []


async def test_undo_refuses_where_the_map_has_changes(scene: Scene, endpoint: Endpoint, start: Start) -> None:
    editor = await start(VSCODE)
    job = await written(editor, endpoint)
    endpoint.open("writing")
    await editor.outcome(job)
    editor.type("Find the cause of a failure.", "My words.")
    assert not await editor.execute("goalmap.undo", {"uri": scene.uri, "job": job})
    assert (await editor.said("save it"))["type"] == 2
    assert scene.map_text() == committed()
    assert editor.text == committed(MINE)
