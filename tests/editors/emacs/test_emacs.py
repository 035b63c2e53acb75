"""The whole flow in a real Emacs with Eglot: keys are typed, and what came of them is looked at."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from editors.emacs.driver import ENTER, KILL_LINE, LINE_START, QUIT, Emacs
from support.openai_endpoint import EndpointProcess, Reply
from support.scene import DESCRIPTION, GENERATED, MAP, TEXT, Scene, committed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITING = Reply(text=TEXT, pause="writing", pause_after=3)


@contextmanager
def editing(
    scene: Scene, tmp_path: Path, endpoint: EndpointProcess | None = None, *, plugin: bool = True
) -> Iterator[Emacs]:
    """Visit the map, and wait until its missing component is marked."""
    base_url = endpoint.base_url if endpoint else None
    with Emacs(tmp_path / "emacs", base_url, scene.map, plugin=plugin) as emacs:
        emacs.until(emacs.marks, "nothing was marked")
        yield emacs


def choose(emacs: Emacs, title: str) -> None:
    """Choose a code action where the mark is, by the beginning of its title."""
    emacs.eval("""
        (progn (goto-char (point-min)) (search-forward "drill")
               (set-window-point (get-buffer-window) (point)) t)
    """)
    emacs.command("eglot-code-actions")
    emacs.until(lambda: "Pick an action" in emacs.prompt(), "no menu came")
    emacs.type(title, ENTER)


def generate(emacs: Emacs) -> None:
    choose(emacs, "Generate missing")
    emacs.until(lambda: "Describe the protocol for DEBUG" in emacs.prompt(), "no question was asked")
    emacs.type(LINE_START, KILL_LINE, DESCRIPTION, ENTER)


def said(emacs: Emacs, words: str) -> None:
    emacs.until(lambda: words in emacs.messages(), f"{words!r} was not said")


def write_into(emacs: Emacs, text: str) -> None:
    """Type at the beginning of the map, as a user does."""
    emacs.eval("(progn (goto-char (point-min)) (set-window-point (get-buffer-window) (point)) t)")
    emacs.type(text)
    emacs.until(lambda: emacs.buffer().startswith(text), "what was typed did not come")


def save(emacs: Emacs) -> None:
    emacs.type("\x18\x13")
    emacs.until(lambda: not emacs.is_modified(), "the map was not saved")


def test_a_component_is_generated_and_taken_back(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    endpoint = endpoint_of(WRITING)
    with editing(scene, tmp_path, endpoint) as emacs:
        assert "component.missing" in emacs.marks()[0]
        generate(emacs)
        endpoint.reached("writing")
        said(emacs, "Root cause")  # progress, in the echo area
        assert scene.map_text() == MAP
        endpoint.open("writing")
        said(emacs, "Committed components/protocols/autogen_protocol_for_debug.txt")
        emacs.until(lambda: not emacs.marks(), "the mark did not go away")
        assert emacs.buffer() == scene.map_text() == committed()
        assert not emacs.is_modified()
        assert scene.generated.read_text(encoding="utf-8") == TEXT
        # The component stands beside the map, and point stayed in the map.
        assert sorted(emacs.eval("(mapcar (lambda (w) (buffer-name (window-buffer w))) (window-list))")) == sorted(
            [GENERATED, "goal_map.json"]
        )
        assert emacs.eval("(buffer-name (window-buffer (selected-window)))") == "goal_map.json"

        emacs.command("goalmap-undo")
        emacs.until(emacs.marks, "the mark did not come back")
        assert emacs.buffer() == scene.map_text() == MAP
        assert not emacs.is_modified()
        assert not scene.generated.exists()
        assert scene.records() == []


def test_a_map_with_changes_takes_the_reference_and_keeps_them(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    endpoint = endpoint_of(Reply(text=TEXT))
    with editing(scene, tmp_path, endpoint) as emacs:
        write_into(emacs, "  ")
        generate(emacs)
        said(emacs, "Save goal_map.json to keep the reference")
        emacs.until(lambda: not emacs.marks(), "the mark did not go away")
        assert emacs.buffer() == "  " + committed()
        assert emacs.is_modified()
        assert scene.map_text() == MAP
        assert len(scene.records()) == 1
        save(emacs)
        assert scene.map_text() == "  " + committed()
        emacs.until(lambda: scene.records() == [], "the record is still there")
        assert scene.generated.read_text(encoding="utf-8") == TEXT


def test_what_is_typed_while_the_model_writes_stays(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    """Eglot keeps changes to itself for half a second. Whether the server hears in time or not, both are kept."""
    endpoint = endpoint_of(WRITING)
    with editing(scene, tmp_path, endpoint) as emacs:
        generate(emacs)
        endpoint.reached("writing")
        write_into(emacs, "  ")
        endpoint.open("writing")
        emacs.until(lambda: GENERATED in emacs.buffer(), "the reference did not come")
        assert emacs.buffer() == "  " + committed()
        assert emacs.is_modified()
        assert scene.map_text() in (MAP, committed())


def test_cancelling_leaves_the_library_as_it_was(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    endpoint = endpoint_of(WRITING)
    before = scene.files()
    with editing(scene, tmp_path, endpoint) as emacs:
        generate(emacs)
        endpoint.reached("writing")
        emacs.command("goalmap-cancel")
        said(emacs, "Cancelled")
        emacs.until(lambda: endpoint.requests()[0]["hung_up"], "the model still writes")
        assert scene.files() == before
        assert scene.records() == []
        assert emacs.buffer() == MAP
        assert emacs.marks()


@pytest.mark.parametrize("answer", [ENTER, QUIT])
def test_no_description_no_generation(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess], answer: str
) -> None:
    endpoint = endpoint_of()
    before = scene.files()
    with editing(scene, tmp_path, endpoint) as emacs:
        choose(emacs, "Generate missing")
        emacs.until(lambda: "Describe the protocol for DEBUG" in emacs.prompt(), "no question was asked")
        emacs.type(LINE_START, KILL_LINE, answer)
        emacs.until(lambda: not emacs.prompt(), "the question did not go away")
        said(emacs, "nothing was generated" if answer == ENTER else "Quit")
        assert scene.files() == before
        assert emacs.buffer() == MAP
    assert endpoint.requests() == []


def test_a_failure_is_said_with_the_next_step(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    endpoint = endpoint_of(Reply(status=401))
    before = scene.files()
    with editing(scene, tmp_path, endpoint) as emacs:
        generate(emacs)
        said(emacs, "GOALMAP_API_KEY")
        assert scene.files() == before


def test_the_preview_follows_every_edit(scene: Scene, tmp_path: Path) -> None:
    with editing(scene, tmp_path) as emacs:

        def shows(words: str) -> bool:
            return words in emacs.eval("""
                (if (get-buffer "*prompt: DEBUG*") (with-current-buffer "*prompt: DEBUG*" (buffer-string)) "")
            """)

        emacs.eval("""
            (progn (goto-char (point-min)) (search-forward "Find")
                   (set-window-point (get-buffer-window) (point)) t)
        """)
        emacs.command("goalmap-preview")
        emacs.until(lambda: shows("You are a detective of software."), "the prompt was not shown")
        assert shows("⟨missing: protocols/drill.txt⟩")
        # An edit of the map that is not saved, …
        emacs.eval("""
            (progn (goto-char (point-min)) (search-forward "\\"description\\": \\"Find the")
                   (replace-match "\\"title\\": \\"Find the") t)
        """)
        emacs.until(lambda: shows("# Find the cause of a failure."), "the preview did not follow the map")
        # … and one of a component.
        component = scene.root / "components" / "personas" / "detective.txt"
        visited = f'(find-buffer-visiting "{component}")'
        emacs.type("\x18\x06")
        emacs.until(lambda: "Find file" in emacs.prompt(), "no question for a file came")
        emacs.type(LINE_START, KILL_LINE, str(component), ENTER)
        has_server = f"(with-current-buffer {visited} (if (eglot-current-server) t :json-false))"
        emacs.until(lambda: emacs.eval(f"(if {visited} {has_server} :json-false)"), "the component has no server")
        emacs.type("Yes! ")
        emacs.until(lambda: shows("Yes! You are a detective"), "the preview did not follow the component")
        assert scene.map_text() == MAP


def test_without_the_glue_the_guess_serves(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    """As any editor does that only knows the protocol: the edit goes through the buffer, and a save settles it."""
    endpoint = endpoint_of(Reply(text=TEXT))
    with editing(scene, tmp_path, endpoint, plugin=False) as emacs:
        choose(emacs, "Generate drill.txt as")
        emacs.until(emacs.is_modified, "the buffer did not take the edit")
        emacs.until(lambda: emacs.buffer() == committed(), "the reference did not come")
        assert scene.map_text() == MAP
        save(emacs)
        assert scene.map_text() == committed()
        emacs.until(lambda: scene.records() == [], "the record is still there")
