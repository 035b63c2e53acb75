"""A real Emacs in a terminal of its own: keys are typed, and what came of them is read through emacsclient."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pytest

from support.scene import SERVER, environment

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
PLUGIN = HERE.parents[2] / "editors" / "emacs"
TIMEOUT_S = 40.0
ENTER, ESCAPE, QUIT, LINE_START, KILL_LINE = "\r", "\x1b", "\x07", "\x01", "\x0b"


def emacs_binary() -> str:
    """Return the Emacs to test with; fail, and say how to get one, where there is none."""
    found = os.environ.get("GOALMAP_TEST_EMACS") or shutil.which("emacs")
    if not found or not shutil.which("emacsclient"):
        pytest.fail("There is no Emacs: run tests/editors/run.sh, or install Emacs 29 or newer")
    return found


class Emacs:
    """One editor process with the glue, and one file that is visited. A context manager."""

    def __init__(
        self, folder: Path, base_url: str | None, file: Path, *, plugin: bool = True, settings: Any = None
    ) -> None:
        self._folder = folder
        self._file = file
        self._screen = b""
        home = folder / "home"
        self._env = environment(base_url, home) | {
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "GOALMAP_TEST_PLUGIN": str(PLUGIN),
            "GOALMAP_TEST_COMMAND": "\n".join(SERVER),
            "GOALMAP_TEST_FOLDER": str(folder),
            "GOALMAP_TEST_SETTINGS": json.dumps({"goalmap": settings or {}}),
        }
        if not plugin:
            self._env["GOALMAP_TEST_PLAIN"] = "1"

    def __enter__(self) -> Self:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # emacsclient trusts no other
        self._folder.chmod(0o700)
        self._master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self._process = subprocess.Popen(
            [emacs_binary(), "-nw", "-Q", "-l", str(HERE / "init.el"), str(self._file)],
            env=self._env,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - one call to the kernel; Emacs wants a terminal that is its own
        )
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.until(lambda: self._client("t").returncode == 0, "Emacs did not start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            end = "(let (kill-emacs-query-functions) (set-buffer-modified-p nil) (kill-emacs))"
            if self._client(end).returncode != 0 and self._client("t").returncode != 0:
                self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(10)
            os.close(self._master)

    def eval(self, form: str) -> Any:
        """Return the value of a Lisp form, evaluated in the buffer of the file."""
        visited = f'(find-buffer-visiting "{self._file}")'
        done = self._client(f"(with-current-buffer {visited} (test-encode {form}))")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(base64.b64decode(done.stdout.strip().strip('"')))

    def type(self, *keys: str) -> None:
        """Press keys."""
        os.write(self._master, "".join(keys).encode())

    def command(self, name: str) -> None:
        """Run a command as a user does, by M-x."""
        self.type(ESCAPE, "x")
        self.until(lambda: "M-x" in self.question(), "M-x did not come")
        self.type(name, ENTER)

    # -- what the tests of all editors do ------------------------------------------------------------------------------
    def choose(self, title: str, *, at: str) -> None:
        """Choose a code action, by the beginning of its title, where the text `at` is."""
        self.eval(f"""
            (progn (goto-char (point-min)) (search-forward "{at}")
                   (set-window-point (get-buffer-window) (point)) t)
        """)
        self.command("eglot-code-actions")
        self.until(lambda: "Pick an action" in self.question(), "no menu came")
        self.type(title, ENTER)

    def answer(self, text: str) -> None:
        """Answer the question, in place of what it proposes."""
        self.type(LINE_START, KILL_LINE, text, ENTER)

    def accept(self) -> None:
        """Take what the question proposes."""
        self.type(ENTER)

    def decline(self) -> None:
        """Turn away from the question."""
        self.type(QUIT)

    def press(self, button: str) -> None:
        """Press a button of the message that waits; the first one is proposed."""
        self.answer(button)

    def progress(self) -> str:
        """Return what was shown while something was under way."""
        return self.messages()

    def run(self, what: Literal["cancel", "undo", "preview"]) -> None:
        """Run a command of the plugin's."""
        self.command(f"goalmap-{what}")

    def write_first(self, text: str) -> None:
        """Type at the beginning of the file."""
        self.eval("(progn (goto-char (point-min)) (set-window-point (get-buffer-window) (point)) t)")
        self.type(text)
        self.until(lambda: self.buffer().startswith(text), "what was typed did not come")

    def save(self) -> None:
        """Save the file."""
        self.type("\x18\x13")
        self.until(lambda: not self.is_modified(), "the map was not saved")

    def throw_away(self) -> None:
        """Go back to what is on disk."""
        self.eval("(progn (revert-buffer t t t) t)")

    def windows(self) -> list[str]:
        """Return the names of the files that are shown; the first one is where the cursor is."""
        here = "(buffer-name (window-buffer (selected-window)))"
        shown: list[str] = self.eval("(mapcar (lambda (w) (buffer-name (window-buffer w))) (window-list))")
        assert shown[0] == self.eval(here)
        return shown

    def question(self) -> str:
        """Return what the minibuffer asks; empty where it asks nothing."""
        asked: str = self.eval("""
            (if-let ((window (active-minibuffer-window)))
                (with-current-buffer (window-buffer window) (or (minibuffer-prompt) ""))
              "")
        """)
        return asked

    def until(self, holds: Callable[[], Any], what: str) -> None:
        """Look again until `holds`, at the pace of the editor's answers."""
        deadline = time.monotonic() + TIMEOUT_S
        while not holds():
            if time.monotonic() > deadline or self._process.poll() is not None:
                said = self._client('(with-current-buffer "*Messages*" (buffer-string))').stdout
                pytest.fail(f"{what}; Emacs said {said}\n{self._screen[-3000:].decode(errors='replace')}")
            subprocess.run([sys_true()], check=True)

    def buffer(self) -> str:
        """Return the text of the file's buffer."""
        text: str = self.eval("(buffer-substring-no-properties (point-min) (point-max))")
        return text

    def marks(self) -> list[str]:
        """Return what Flymake shows for the file."""
        shown: list[str] | None = self.eval("(mapcar #'flymake-diagnostic-text (flymake-diagnostics))")
        return shown or []

    def messages(self) -> str:
        """Return what Emacs has said."""
        said: str = self.eval('(with-current-buffer "*Messages*" (buffer-string))')
        return said

    def is_modified(self) -> bool:
        """Whether the buffer has changes of its own."""
        return bool(self.eval("(if (buffer-modified-p) t :json-false)"))

    def _client(self, form: str) -> subprocess.CompletedProcess[str]:
        command = ["emacsclient", "-s", str(self._folder / "server"), "--eval", form]
        return subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=60, check=False)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return  # the terminal has ended
            if not data:
                return
            self._screen += data


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def sys_true() -> str:
    """Return a program that does nothing: between two looks it gives the processor to others."""
    return shutil.which("true") or "true"
