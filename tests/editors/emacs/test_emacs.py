"""What only Emacs has; the flow that all editors share is in tests/editors/test_flow.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.emacs.driver import ENTER, KILL_LINE, LINE_START, Emacs
from editors.flow import asked, editing
from support.scene import MAP, Scene

if TYPE_CHECKING:
    from pathlib import Path


def test_the_preview_follows_every_edit(scene: Scene, tmp_path: Path) -> None:
    with editing(Emacs, scene, tmp_path) as emacs:

        def shows(words: str) -> bool:
            return words in emacs.eval("""
                (if (get-buffer "*prompt: DEBUG*") (with-current-buffer "*prompt: DEBUG*" (buffer-string)) "")
            """)

        emacs.eval("""
            (progn (goto-char (point-min)) (search-forward "Find")
                   (set-window-point (get-buffer-window) (point)) t)
        """)
        emacs.run("preview")
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
        asked(emacs, "Find file")
        emacs.type(LINE_START, KILL_LINE, str(component), ENTER)
        has_server = f"(with-current-buffer {visited} (if (eglot-current-server) t :json-false))"
        emacs.until(lambda: emacs.eval(f"(if {visited} {has_server} :json-false)"), "the component has no server")
        emacs.type("Yes! ")
        emacs.until(lambda: shows("Yes! You are a detective"), "the preview did not follow the component")
        assert scene.map_text() == MAP
