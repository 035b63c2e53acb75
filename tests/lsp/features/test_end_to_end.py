"""The same features over stdio, with a real process and a client that knows nothing of its insides."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.fixtures import FULL_CLIENT
from support.lsp_client import LspClient, LspError

MAP = '{"DEBUG": {"persona": "critic.txt", "constraints": ["a.txt", "gone.txt"]}}\n'


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[LspClient]:
    """Start a client whose workspace is a small library; its map is open."""
    for path, text in (("personas/critic.txt", "A critic.\n"), ("constraints/a.txt", "Cite.\n")):
        (tmp_path / "components" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "components" / path).write_text(text)
    (tmp_path / "goal_map.json").write_text(MAP)
    async with await LspClient.spawn([sys.executable, "-m", "goalmap", "lsp", "--stdio"], cwd=tmp_path) as client:
        folders = [{"uri": tmp_path.as_uri(), "name": "library"}]
        capabilities = {**FULL_CLIENT, "experimental": {"goalmap": {"livePrompt": True}}}
        await client.initialize(capabilities, workspaceFolders=folders)
        client.open((tmp_path / "goal_map.json").as_uri(), MAP)
        yield client


def at(root: Path, character: int) -> Any:
    uri = (root / "goal_map.json").as_uri()
    return {"textDocument": {"uri": uri}, "position": {"line": 0, "character": character}}


async def test_complete_follow_and_rename(client: LspClient, tmp_path: Path) -> None:
    column = MAP.index("critic")
    completion = await client.request("textDocument/completion", at(tmp_path, column))
    item = await client.request("completionItem/resolve", completion["items"][0])
    assert item["documentation"]["value"] == "A critic."
    (link,) = await client.request("textDocument/definition", at(tmp_path, column))
    assert link["targetUri"] == (tmp_path / "components/personas/critic.txt").as_uri()
    edit = await client.request("textDocument/rename", {**at(tmp_path, column), "newName": "judge.txt"})
    assert [change.get("kind") for change in edit["documentChanges"]] == [None, "rename"]
    with pytest.raises(LspError, match="leaves its folder"):
        await client.request("textDocument/rename", {**at(tmp_path, column), "newName": "../x.txt"})


async def test_a_prompt_follows_the_keyboard(client: LspClient, tmp_path: Path) -> None:
    uri = (tmp_path / "goal_map.json").as_uri()
    prompt = await client.request("goalmap/prompt", {"uri": uri, "goal": ["DEBUG"]})
    shown = await client.request("workspace/textDocumentContent", {"uri": prompt["uri"]})
    assert shown["text"] == prompt["text"]
    assert prompt["missing"] == ["constraints/gone.txt"]
    critic = (tmp_path / "components/personas/critic.txt").as_uri()
    client.open(critic, "A critic.\n", language_id="plaintext")
    client.change(critic, 2, {"text": "A judge.\n"})
    refresh = await client.notification("workspace/textDocumentContent/refresh")
    assert refresh == {"uri": prompt["uri"]}
    await client.notification("goalmap/promptChanged", lambda params: params == {"uri": uri})
    assert "A judge." in (await client.request("workspace/textDocumentContent", {"uri": prompt["uri"]}))["text"]


async def test_a_moved_file_takes_its_references_along(client: LspClient, tmp_path: Path) -> None:
    files = [
        {
            "oldUri": (tmp_path / "components/constraints/a.txt").as_uri(),
            "newUri": (tmp_path / "components/constraints/deep/a.txt").as_uri(),
        }
    ]
    edit = await client.request("workspace/willRenameFiles", {"files": files})
    (change,) = edit["documentChanges"]
    assert [one["newText"] for one in change["edits"]] == ["deep/a.txt"]
    assert change["textDocument"]["version"] == 1


async def test_what_is_advertised_is_answered(client: LspClient, tmp_path: Path) -> None:
    document = {"textDocument": {"uri": (tmp_path / "goal_map.json").as_uri()}}
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}
    for method, params in (
        ("textDocument/documentLink", document),
        ("textDocument/documentSymbol", document),
        ("textDocument/codeLens", document),
        ("textDocument/inlayHint", {**document, "range": whole}),
        ("workspace/symbol", {"query": "debug"}),
        ("textDocument/documentHighlight", at(tmp_path, MAP.index("critic"))),
        ("textDocument/references", {**at(tmp_path, MAP.index("critic")), "context": {"includeDeclaration": True}}),
    ):
        assert await client.request(method, params), method
    assert await client.request("textDocument/foldingRange", document) == []
    assert await client.shutdown_and_exit() == 0
