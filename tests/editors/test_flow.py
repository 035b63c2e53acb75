"""The whole flow in a real Neovim and a real Emacs, with the glue as its users have it; what differs is in drivers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from editors import flow
from editors.emacs.driver import Emacs
from editors.flow import asked, generate, said
from editors.neovim.driver import Neovim
from support.openai_endpoint import EndpointProcess, Reply
from support.scene import DESCRIPTION, GENERATED, MAP, MISSING, TEXT, committed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from editors.flow import Editor
    from support.scene import Scene

    Editing = Callable[..., AbstractContextManager[Editor]]
    Endpoints = Callable[..., EndpointProcess]

WRITING = Reply(text=TEXT, pause="writing", pause_after=3)
PERSONA = """You have kept the night shift of a data centre for twenty years. Nothing that blinks
impresses you; what stops blinking does. You speak calmly, you write everything down with the time beside it,
and you trust a graph only after you have seen what feeds it.
"""
TWO_MISSING = MAP.replace("detective.txt", "nobody.txt")


@pytest.fixture(params=[Neovim, Emacs], ids=["neovim", "emacs"])
def editing(request: pytest.FixtureRequest, scene: Scene, tmp_path: Path) -> Editing:
    """Return what opens the map in an editor."""
    return partial(flow.editing, request.param, scene, tmp_path)


# -- one component -----------------------------------------------------------------------------------------------------


def test_a_component_is_generated_and_taken_back(scene: Scene, editing: Editing, endpoint_of: Endpoints) -> None:
    endpoint = endpoint_of(WRITING)
    with editing(endpoint) as editor:
        assert "component.missing" in editor.marks()[0]
        generate(editor)
        endpoint.reached("writing")
        editor.until(lambda: "Root cause" in editor.progress(), "what the model writes was not shown")
        assert scene.map_text() == MAP
        endpoint.open("writing")
        said(editor, f"Committed components/protocols/{GENERATED}")
        editor.until(lambda: not editor.marks(), "the mark did not go away")
        assert editor.buffer() == scene.map_text() == committed()
        assert not editor.is_modified()
        assert scene.generated.read_text(encoding="utf-8") == TEXT
        # The component stands beside the map, and the cursor stayed in the map.
        assert editor.windows() == ["goal_map.json", GENERATED]
        editor.run("undo")
        editor.until(editor.marks, "the mark did not come back")
        assert editor.buffer() == scene.map_text() == MAP
        assert not editor.is_modified()
        assert not scene.generated.exists()
        assert scene.records() == []
    assert endpoint.requests()[0]["body"]["stream"] is True


def test_a_map_with_changes_takes_the_reference_and_keeps_them(
    scene: Scene, editing: Editing, endpoint_of: Endpoints
) -> None:
    with editing(endpoint_of(Reply(text=TEXT))) as editor:
        editor.write_first("  ")
        generate(editor)
        said(editor, "Save goal_map.json to keep the reference")
        editor.until(lambda: not editor.marks(), "the mark did not go away")
        assert editor.buffer() == "  " + committed()
        assert editor.is_modified()
        assert scene.map_text() == MAP
        assert len(scene.records()) == 1
        editor.save()
        assert scene.map_text() == "  " + committed()
        editor.until(lambda: scene.records() == [], "the record is still there")
        assert scene.generated.read_text(encoding="utf-8") == TEXT


def test_what_is_typed_while_the_model_writes_stays(scene: Scene, editing: Editing, endpoint_of: Endpoints) -> None:
    """Editors keep changes to themselves for a moment. Whether the server hears in time or not, both are kept."""
    endpoint = endpoint_of(WRITING)
    with editing(endpoint) as editor:
        generate(editor)
        endpoint.reached("writing")
        editor.write_first("  ")
        endpoint.open("writing")
        editor.until(lambda: GENERATED in editor.buffer(), "the reference did not come")
        assert editor.buffer() == "  " + committed()
        assert editor.is_modified()
        assert scene.map_text() in (MAP, committed())


def test_cancelling_leaves_the_library_as_it_was(scene: Scene, editing: Editing, endpoint_of: Endpoints) -> None:
    endpoint = endpoint_of(WRITING)
    before = scene.files()
    with editing(endpoint) as editor:
        generate(editor)
        endpoint.reached("writing")
        editor.run("cancel")
        said(editor, "Cancelled")
        editor.until(lambda: endpoint.requests()[0]["hung_up"], "the model still writes")
        assert scene.files() == before
        assert scene.records() == []
        assert editor.buffer() == MAP
        assert len(editor.marks()) == 1


@pytest.mark.parametrize("answer", ["", "   ", None], ids=["empty", "blank", "declined"])
def test_no_description_no_generation(
    answer: str | None, scene: Scene, editing: Editing, endpoint_of: Endpoints
) -> None:
    endpoint = endpoint_of()
    before = scene.files()
    with editing(endpoint) as editor:
        editor.choose("Generate missing", at=MISSING)
        asked(editor, "Describe the protocol for DEBUG")
        if answer is None:
            editor.decline()
        else:
            editor.answer(answer)
        editor.until(lambda: not editor.question(), "the question did not go away")
        if answer is not None:
            said(editor, "nothing was generated")
        assert scene.files() == before
        assert editor.buffer() == MAP
    assert endpoint.requests() == []


def test_a_failure_is_said_with_the_next_step(scene: Scene, editing: Editing, endpoint_of: Endpoints) -> None:
    before = scene.files()
    with editing(endpoint_of(Reply(status=401))) as editor:
        generate(editor)
        said(editor, "GOALMAP_API_KEY")
        assert scene.files() == before


def test_without_the_glue_the_guess_serves(scene: Scene, editing: Editing, endpoint_of: Endpoints) -> None:
    """As any editor does that only knows the protocol: the edit goes through the buffer, and a save settles it."""
    with editing(endpoint_of(Reply(text=TEXT)), plugin=False) as editor:
        editor.choose("Generate drill.txt as", at=MISSING)
        editor.until(lambda: editor.buffer() == committed(), "the reference did not come")
        assert editor.is_modified()
        assert scene.map_text() == MAP
        editor.save()
        assert scene.map_text() == committed()
        editor.until(lambda: scene.records() == [], "the record is still there")


# -- all that are missing ----------------------------------------------------------------------------------------------


def test_all_by_a_question_each(scene: Scene, editing: Editing, endpoint_of: Endpoints) -> None:
    scene.map.write_text(TWO_MISSING, encoding="utf-8")
    # Which of the two the model is asked for first is nobody's business: both get the texts in the order of asking.
    endpoint = endpoint_of(Reply(text=TEXT), Reply(text=PERSONA))
    with editing(endpoint, settings={"generation": {"maxConcurrency": 1}}) as editor:
        editor.choose("Generate all 2 missing components of DEBUG", at=MISSING)
        asked(editor, "(1 of 2) Describe the persona nobody.txt for DEBUG in one line (leave it empty to skip it)")
        editor.answer("a night watch")
        asked(editor, "(2 of 2) Describe the protocol drill.txt")
        editor.accept()  # what the file's name says
        said(editor, "2 components: 2 committed.")
        editor.until(lambda: not editor.marks(), "the marks did not go away")
        assert editor.buffer() == scene.map_text()
        assert not editor.is_modified()
        assert scene.map_text() == committed(TWO_MISSING).replace("nobody.txt", "autogen_persona_for_debug.txt")
        first, second = (request["body"]["messages"][-1]["content"] for request in endpoint.requests())
        assert "a night watch" in first
        assert "Root cause drill" in second  # it saw what the first one had become
        editor.run("undo")
        editor.until(editor.marks, "undo did nothing")


def test_one_of_several_is_skipped(scene: Scene, editing: Editing, endpoint_of: Endpoints) -> None:
    scene.map.write_text(TWO_MISSING, encoding="utf-8")
    with editing(endpoint_of(Reply(text=TEXT))) as editor:
        editor.choose("Generate all 2 missing components of DEBUG", at=MISSING)
        asked(editor, "(1 of 2)")
        editor.answer("")
        asked(editor, "(2 of 2)")
        editor.answer(DESCRIPTION)
        said(editor, "2 components: 1 committed, 1 skipped.")
        assert scene.map_text() == committed(TWO_MISSING)


def test_cancelling_all_keeps_what_is_done(scene: Scene, editing: Editing, endpoint_of: Endpoints) -> None:
    scene.map.write_text(TWO_MISSING, encoding="utf-8")
    endpoint = endpoint_of(Reply(text=PERSONA), WRITING)
    with editing(endpoint, settings={"generation": {"maxConcurrency": 1}}) as editor:
        editor.choose("Generate all 2 missing components of DEBUG", at=MISSING)
        asked(editor, "(1 of 2)")
        editor.accept()
        asked(editor, "(2 of 2)")
        editor.accept()
        endpoint.reached("writing")
        editor.run("cancel")
        said(editor, "2 components: 1 committed, 1 cancelled.")
        half = TWO_MISSING.replace("nobody.txt", "autogen_persona_for_debug.txt")
        assert scene.map_text() == half
        editor.until(lambda: editor.buffer() == half, "the buffer did not follow")
        assert not editor.is_modified()
        assert scene.records() == []


# -- interrupted, and reviewed -----------------------------------------------------------------------------------------


def test_what_was_thrown_away_unsaved_can_be_finished(scene: Scene, editing: Editing, endpoint_of: Endpoints) -> None:
    endpoint = endpoint_of(Reply(text=TEXT))
    with editing(endpoint) as editor:
        editor.write_first("  ")
        generate(editor)
        said(editor, "Save goal_map.json to keep the reference")
        editor.throw_away()
        assert editor.buffer() == scene.map_text() == MAP

        def is_interrupted() -> bool:
            return any("generation.interrupted" in mark for mark in editor.marks())

        editor.until(is_interrupted, "what waits was not marked")
        editor.choose("Finish the interrupted generation", at=MISSING)
        said(editor, "Finished an interrupted generation")
        editor.until(lambda: editor.buffer() == committed(), "the buffer did not follow")
        assert scene.map_text() == committed()
        assert not editor.is_modified()
        editor.until(lambda: not editor.marks(), "the marks did not go away")
        assert scene.records() == []
    assert len(endpoint.requests()) == 1  # paid for once


@pytest.mark.parametrize("button", ["Commit", "Discard"])
def test_a_text_is_reviewed_before_it_is_committed(
    button: str, scene: Scene, editing: Editing, endpoint_of: Endpoints
) -> None:
    with editing(endpoint_of(Reply(text=TEXT)), settings={"generation": {"review": True}}) as editor:
        generate(editor)
        asked(editor, "Commit this text for drill.txt?")
        assert "# Root cause drill" in editor.question()
        assert scene.map_text() == MAP
        editor.press(button)
        said(editor, "Committed" if button == "Commit" else "Discarded")
        assert scene.map_text() == (committed() if button == "Commit" else MAP)
        assert scene.parked() == ([] if button == "Commit" else [TEXT])
