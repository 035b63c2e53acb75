"""What the tests of all editors begin with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from editors.emacs.driver import Emacs
from editors.neovim.driver import Neovim
from support.scene import DESCRIPTION, MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.openai_endpoint import EndpointProcess
    from support.scene import Scene

Editor = Neovim | Emacs
Kind = TypeVar("Kind", Neovim, Emacs)


@contextmanager
def editing(
    kind: type[Kind], scene: Scene, tmp_path: Path, endpoint: EndpointProcess | None = None, **more: Any
) -> Iterator[Kind]:
    """Open the map in an editor, and wait until what is missing is marked."""
    with kind(tmp_path / "editor", endpoint.base_url if endpoint else None, scene.map, **more) as editor:
        editor.until(editor.marks, "nothing was marked")
        yield editor


def asked(editor: Editor, words: str) -> None:
    """Wait for a question that has `words`."""
    editor.until(lambda: words in editor.question(), f"{words!r} was not asked")


def said(editor: Editor, words: str) -> None:
    """Wait for a message that has `words`."""
    editor.until(lambda: words in editor.messages(), f"{words!r} was not said")


def generate(editor: Editor) -> None:
    """Generate the missing component; it is described as in the scene."""
    editor.choose("Generate missing", at=MISSING)
    asked(editor, "Describe the protocol for DEBUG")
    editor.answer(DESCRIPTION)
