"""What only Neovim has; the flow that all editors share is in tests/editors/test_flow.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from editors.flow import asked, editing, generate, said
from editors.neovim.driver import Neovim
from support.openai_endpoint import EndpointProcess, Reply
from support.scene import GENERATED, MAP, MISSING, TEXT, Scene, committed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WARNING, ERROR = 3, 4


def level_of(nvim: Neovim, words: str) -> int:
    """Wait for a message that has `words`, and return its level."""
    said(nvim, words)
    level: int = nvim.lua(f"""
        return vim.iter(Harness.notified):find(function(n) return n.message:find('{words}', 1, true) end).level
    """)
    return level


def test_messages_have_levels_and_progress_a_beginning_and_an_end(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    with editing(Neovim, scene, tmp_path, endpoint_of(Reply(status=401))) as nvim:
        nvim.choose("Generate missing", at=MISSING)
        asked(nvim, "Describe the protocol for DEBUG")
        nvim.decline()
        assert level_of(nvim, "nothing was generated") == WARNING
        assert nvim.lua("return #Harness.progress") == 0
        titles = nvim.lua("return Harness.menus[1]")
        assert titles[0].startswith("Generate missing component drill.txt…")
        generate(nvim)
        assert level_of(nvim, "GOALMAP_API_KEY") == ERROR
        assert [p["kind"] for p in nvim.lua("return Harness.progress") if p["kind"] != "report"] == ["begin", "end"]


def test_what_is_typed_at_the_moment_of_the_commit_stays(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    """Neovim keeps changes to itself for 150 ms. Whether the server hears in time or not, both end in the buffer."""
    endpoint = endpoint_of(Reply(text=TEXT, pause="writing", pause_after=3))
    with editing(Neovim, scene, tmp_path, endpoint) as nvim:
        generate(nvim)
        endpoint.reached("writing")
        endpoint.open("writing")
        nvim.lua("vim.api.nvim_buf_set_lines(0, 0, 0, true, { '', '' })")
        nvim.wait(f"vim.fn.search('{GENERATED}', 'nw') > 0", "the reference did not come")
        assert nvim.buffer() == "\n\n" + committed()
        assert nvim.is_modified()
        nvim.lua("vim.cmd('silent write!')")
        assert scene.map_text() == "\n\n" + committed()
        nvim.until(lambda: scene.records() == [], "the record is still there")


def test_the_preview_follows_every_edit(scene: Scene, tmp_path: Path) -> None:
    def shows(words: str) -> str:
        return f"""(function()
            local bufnr = vim.fn.bufnr('goalmap-prompt://DEBUG')
            local lines = bufnr > 0 and vim.api.nvim_buf_get_lines(bufnr, 0, -1, false) or {{}}
            return table.concat(lines, '\\n'):find('{words}', 1, true) ~= nil
        end)()"""

    with editing(Neovim, scene, tmp_path) as nvim:
        nvim.lua("vim.api.nvim_win_set_cursor(0, { 4, 6 }); vim.cmd.GoalmapPreview()")
        nvim.wait(shows("You are a detective of software."), "the prompt was not shown")
        nvim.wait(shows("⟨missing: protocols/drill.txt⟩"), "what is missing was not shown")
        # An edit of the map that is not saved, …
        nvim.lua('vim.api.nvim_buf_set_lines(0, 2, 3, true, { \'    "title": "Debugging",\' })')
        nvim.wait(shows("# Debugging"), "the preview did not follow the map")
        # … and one of a component.
        nvim.lua(f"vim.cmd.edit('{scene.root}/components/personas/detective.txt')")
        nvim.wait("#vim.lsp.get_clients({ bufnr = 0 }) == 1", "the component has no server")
        nvim.lua("vim.api.nvim_buf_set_lines(0, 0, 1, true, { 'You are a plumber of pipelines.' })")
        nvim.wait(shows("You are a plumber of pipelines."), "the preview did not follow the component")
        assert nvim.lua("return vim.bo[vim.fn.bufnr('goalmap-prompt://DEBUG')].modifiable") is False
        assert scene.map_text() == MAP


def test_the_lenses_lead_to_the_preview_and_to_the_users(scene: Scene, tmp_path: Path) -> None:
    shown = "#vim.lsp.codelens.get(0) == 1 and vim.lsp.codelens.get(0)[1].command ~= nil"
    with editing(Neovim, scene, tmp_path) as nvim:
        nvim.lua("vim.lsp.codelens.refresh({ bufnr = 0 })")
        nvim.wait(shown, "no lens came")
        nvim.lua("vim.api.nvim_win_set_cursor(0, { 2, 4 }); vim.lsp.codelens.run()")
        nvim.wait("vim.fn.bufnr('goalmap-prompt://DEBUG') > 0", "the prompt was not shown")
        nvim.lua(f"vim.cmd.edit('{scene.root}/components/personas/detective.txt')")
        nvim.wait("#vim.lsp.get_clients({ bufnr = 0 }) == 1", "the component has no server")
        nvim.lua("vim.lsp.codelens.refresh({ bufnr = 0 })")
        nvim.wait(shown, "no lens came in the component")
        nvim.lua("vim.api.nvim_win_set_cursor(0, { 1, 0 }); vim.lsp.codelens.run()")
        nvim.wait("#vim.fn.getqflist() == 1", "its user was not listed")
        assert nvim.lua("return vim.fn.bufname(vim.fn.getqflist()[1].bufnr)").endswith("goal_map.json")


def test_other_files_get_no_server(scene: Scene, tmp_path: Path) -> None:
    other = tmp_path / "package.json"
    other.write_text("{}", encoding="utf-8")
    with editing(Neovim, scene, tmp_path) as nvim:
        assert nvim.lua(f"return require('goalmap').root(vim.fn.bufadd('{other}'))") is None
        assert nvim.lua(f"return require('goalmap').root(vim.fn.bufadd('{scene.map}'))") == str(scene.root)
        inside = scene.root / "components" / "personas" / "detective.txt"
        assert nvim.lua(f"return require('goalmap').root(vim.fn.bufadd('{inside}'))") == str(scene.root)
