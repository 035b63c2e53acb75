"""The whole flow in a real Neovim, with the plugin as its users have it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from editors.neovim.driver import Neovim
from support.openai_endpoint import EndpointProcess, Reply
from support.scene import DESCRIPTION, GENERATED, MAP, TEXT, Scene, committed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Endpoints = "Callable[..., EndpointProcess]"
WRITING = Reply(text=TEXT, pause="writing", pause_after=3)
WARNING, ERROR = 3, 4


@contextmanager
def editing(scene: Scene, tmp_path: Path, endpoint: EndpointProcess | None = None) -> Iterator[Neovim]:
    """Open the map, and wait until its missing component is marked."""
    with Neovim(tmp_path / "nvim", endpoint.base_url if endpoint else None) as nvim:
        nvim.lua(f"vim.cmd.edit('{scene.map}')")
        nvim.wait("#vim.diagnostic.get(0) > 0", "nothing was marked")
        yield nvim


def choose(nvim: Neovim, title: str) -> None:
    """Choose a code action where the mark is, by the beginning of its title."""
    nvim.lua(f"""
        Harness.wanted = '{title}'
        local mark = vim.diagnostic.get(0, {{ severity = 1 }})[1]
        vim.api.nvim_win_set_cursor(0, {{ mark.lnum + 1, mark.col }})
        vim.lsp.buf.code_action()
    """)


def answer(nvim: Neovim, keys: str) -> None:
    """Type the answer to the question, once it is asked."""
    nvim.until(lambda: nvim.mode() == "c", "no question was asked")
    nvim.keys(keys)
    nvim.until(lambda: nvim.mode() != "c", "the question did not go away")


def generate(nvim: Neovim, title: str = "Generate missing") -> None:
    choose(nvim, title)
    answer(nvim, f"<C-u>{DESCRIPTION}<CR>")


def said(nvim: Neovim, words: str) -> int:
    """Wait for a message that has `words`, and return its level."""
    nvim.wait(
        f"vim.iter(Harness.notified):any(function(n) return n.message:find('{words}', 1, true) end)",
        f"{words!r} was not said",
    )
    level: int = nvim.lua(f"""
        return vim.iter(Harness.notified):find(function(n) return n.message:find('{words}', 1, true) end).level
    """)
    return level


def is_modified(nvim: Neovim) -> bool:
    modified: bool = nvim.lua("return vim.bo.modified")
    return modified


def test_a_component_is_generated_and_taken_back(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    endpoint = endpoint_of(WRITING)
    with editing(scene, tmp_path, endpoint) as nvim:
        assert nvim.lua("return vim.diagnostic.get(0)[1].code") == "component.missing"
        generate(nvim)
        titles = nvim.lua("return Harness.menus[1]")
        assert titles[0].startswith("Generate missing component drill.txt…")
        endpoint.reached("writing")
        nvim.wait(
            "vim.iter(Harness.progress):any(function(p) return p.kind == 'report' and p.text:find('Root cause') end)",
            "what the model writes was not shown",
        )
        assert scene.map_text() == MAP
        endpoint.open("writing")
        said(nvim, "Committed components/protocols/autogen_protocol_for_debug.txt")
        nvim.wait("#vim.diagnostic.get(0) == 0", "the mark did not go away")
        assert nvim.buffer() == scene.map_text() == committed()
        assert not is_modified(nvim)
        assert scene.generated.read_text(encoding="utf-8") == TEXT
        assert [p["kind"] for p in nvim.lua("return Harness.progress") if p["kind"] != "report"] == ["begin", "end"]
        # The component stands beside the map, and the cursor stayed in the map.
        windows = nvim.lua("""
            return vim.tbl_map(function(w) return vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(w)) end,
                               vim.api.nvim_list_wins())
        """)
        assert sorted(windows) == sorted([str(scene.map), str(scene.generated)])
        assert nvim.lua("return vim.api.nvim_buf_get_name(0)") == str(scene.map)

        nvim.lua("vim.cmd.GoalmapUndo()")
        nvim.wait("#vim.diagnostic.get(0) > 0", "the mark did not come back")
        assert nvim.buffer() == scene.map_text() == MAP
        assert not is_modified(nvim)
        assert not scene.generated.exists()
        assert scene.records() == []
    assert endpoint.requests()[0]["body"]["stream"] is True


def test_a_map_with_changes_takes_the_reference_and_keeps_them(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    endpoint = endpoint_of(Reply(text=TEXT))
    mine = MAP.replace("Find the cause of a failure.", "Find the cause – my words.")
    with editing(scene, tmp_path, endpoint) as nvim:
        nvim.lua('vim.api.nvim_buf_set_lines(0, 2, 3, true, { \'    "description": "Find the cause – my words.",\' })')
        assert nvim.buffer() == mine
        generate(nvim)
        said(nvim, "Save goal_map.json to keep the reference")
        nvim.wait("#vim.diagnostic.get(0) == 0", "the mark did not go away")
        assert nvim.buffer() == committed(mine)
        assert is_modified(nvim)
        assert scene.map_text() == MAP
        assert len(scene.records()) == 1
        nvim.lua("vim.cmd('silent write')")
        assert scene.map_text() == committed(mine)
        nvim.until(lambda: scene.records() == [], "the record is still there")
        assert scene.generated.read_text(encoding="utf-8") == TEXT


def test_what_is_typed_while_the_model_writes_stays(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    endpoint = endpoint_of(WRITING)
    with editing(scene, tmp_path, endpoint) as nvim:
        generate(nvim)
        endpoint.reached("writing")
        nvim.lua("vim.api.nvim_buf_set_lines(0, 0, 0, true, { '', '' })")
        # Neovim keeps changes to itself for 150 ms, unless there is something to ask.
        nvim.lua("""
            local params = { textDocument = vim.lsp.util.make_text_document_params() }
            vim.lsp.buf_request_sync(0, 'textDocument/foldingRange', params, 20000)
        """)
        endpoint.open("writing")
        said(nvim, "Save goal_map.json to keep the reference")
        assert nvim.buffer() == "\n\n" + committed()
        assert scene.map_text() == MAP
        nvim.lua("vim.cmd('silent write')")
        assert scene.map_text() == "\n\n" + committed()
        nvim.until(lambda: scene.records() == [], "the record is still there")


def test_what_is_typed_at_the_moment_of_the_commit_stays(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    """Neovim keeps changes to itself for 150 ms. Whether the server hears in time or not, both end in the buffer."""
    endpoint = endpoint_of(WRITING)
    with editing(scene, tmp_path, endpoint) as nvim:
        generate(nvim)
        endpoint.reached("writing")
        endpoint.open("writing")
        nvim.lua("vim.api.nvim_buf_set_lines(0, 0, 0, true, { '', '' })")
        nvim.wait(f"vim.fn.search('{GENERATED}', 'nw') > 0", "the reference did not come")
        assert nvim.buffer() == "\n\n" + committed()
        assert is_modified(nvim)
        nvim.lua("vim.cmd('silent write!')")
        assert scene.map_text() == "\n\n" + committed()
        nvim.until(lambda: scene.records() == [], "the record is still there")


def test_cancelling_leaves_the_library_as_it_was(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    endpoint = endpoint_of(WRITING)
    before = scene.files()
    with editing(scene, tmp_path, endpoint) as nvim:
        generate(nvim)
        endpoint.reached("writing")
        nvim.lua("vim.cmd.GoalmapCancel()")
        said(nvim, "Cancelled")
        nvim.until(lambda: endpoint.requests()[0]["hung_up"], "the model still writes")
        assert scene.files() == before
        assert scene.records() == []
        assert nvim.buffer() == MAP
        assert nvim.lua("return #vim.diagnostic.get(0)") == 1


@pytest.mark.parametrize("keys", ["<C-u><CR>", "<C-u>   <CR>", "<C-c>"])
def test_no_description_no_generation(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess], keys: str
) -> None:
    endpoint = endpoint_of()
    before = scene.files()
    with editing(scene, tmp_path, endpoint) as nvim:
        choose(nvim, "Generate missing")
        answer(nvim, keys)
        assert said(nvim, "nothing was generated") == WARNING
        assert scene.files() == before
        assert nvim.buffer() == MAP
        assert nvim.lua("return #Harness.progress") == 0
    assert endpoint.requests() == []


def test_a_failure_is_said_with_the_next_step(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    endpoint = endpoint_of(Reply(status=401))
    before = scene.files()
    with editing(scene, tmp_path, endpoint) as nvim:
        generate(nvim)
        assert said(nvim, "GOALMAP_API_KEY") == ERROR
        assert scene.files() == before


def test_the_preview_follows_every_edit(scene: Scene, tmp_path: Path) -> None:
    def shows(words: str) -> str:
        return f"""(function()
            local bufnr = vim.fn.bufnr('goalmap-prompt://DEBUG')
            local lines = bufnr > 0 and vim.api.nvim_buf_get_lines(bufnr, 0, -1, false) or {{}}
            return table.concat(lines, '\\n'):find('{words}', 1, true) ~= nil
        end)()"""

    with editing(scene, tmp_path) as nvim:
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
    with editing(scene, tmp_path) as nvim:
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
    with editing(scene, tmp_path) as nvim:
        assert nvim.lua(f"return require('goalmap').root(vim.fn.bufadd('{other}'))") is None
        assert nvim.lua(f"return require('goalmap').root(vim.fn.bufadd('{scene.map}'))") == str(scene.root)
        inside = scene.root / "components" / "personas" / "detective.txt"
        assert nvim.lua(f"return require('goalmap').root(vim.fn.bufadd('{inside}'))") == str(scene.root)


def test_without_the_plugin_the_guess_serves(
    scene: Scene, tmp_path: Path, endpoint_of: Callable[..., EndpointProcess]
) -> None:
    """As any editor does that only knows the protocol: the edit goes through the buffer, and a save settles it."""
    endpoint = endpoint_of(Reply(text=TEXT))
    with Neovim(tmp_path / "nvim", endpoint.base_url, plugin=False) as nvim:
        nvim.lua(f"vim.cmd.edit('{scene.map}')")
        nvim.wait("#vim.diagnostic.get(0) > 0", "nothing was marked")
        choose(nvim, "Generate drill.txt as «drill»")
        nvim.wait("vim.bo.modified", "the buffer did not take the edit")
        assert nvim.buffer() == committed()
        assert scene.map_text() == MAP
        nvim.lua("vim.cmd('silent write')")
        assert scene.map_text() == committed()
        nvim.until(lambda: scene.records() == [], "the record is still there")
    assert scene.generated.name == GENERATED
