"""The setting `generation.review`: nothing is committed that its user has not taken."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from support.lsp_client import LspClient
from support.openai_endpoint import Endpoint, Reply

TEXT = "You are a detective.\n\nYou read the log before you speak, and you never guess at a cause you have not seen.\n"


@pytest.mark.parametrize(
    ("answer", "outcome"), [("Commit", "committed"), ("Discard", "cancelled"), (None, "cancelled")]
)
async def test_the_text_is_shown_and_committed_only_if_taken(answer: str | None, outcome: str, tmp_path: Path) -> None:
    (tmp_path / "components" / "personas").mkdir(parents=True)
    map_path = tmp_path / "goal_map.json"
    map_path.write_text('{"DEBUG": {"persona": "x.txt"}}', "utf-8")
    async with Endpoint([Reply(text=TEXT)]) as endpoint:
        environment = {**os.environ, "GOALMAP_MODEL_BASE_URL": endpoint.base_url, "GOALMAP_API_KEY": "k"}
        async with await LspClient.spawn([sys.executable, "-m", "goalmap", "lsp"], env=environment) as client:
            asked: list[Any] = []

            def reply(params: Any) -> Any:
                asked.append(params)
                return {"title": answer} if answer else None

            client.reply_to("window/showMessageRequest", reply)
            await client.initialize({"experimental": {"goalmap": {"showsGenerated": True}}}, rootUri=tmp_path.as_uri())
            settings = {"goalmap": {"generation": {"review": True}}}
            client.notify("workspace/didChangeConfiguration", {"settings": settings})
            argument = {
                "uri": map_path.as_uri(),
                "goal": ["DEBUG"],
                "slot": "persona",
                "index": None,
                "file": "x.txt",
                "naming": "autogen",
                "description": "a detective",
            }
            command = {"command": "goalmap.generateComponent", "arguments": [argument]}
            await client.request("workspace/executeCommand", command)
            ended = await client.notification("goalmap/generated")
            assert ended["outcome"] == outcome
            [question] = asked
            assert "You are a detective." in question["message"]
            await client.shutdown_and_exit()
    assert ("autogen" in map_path.read_text("utf-8")) == (outcome == "committed")
    parked = list((tmp_path / ".goalmap" / "parked").iterdir())
    assert bool(parked) == (answer == "Discard")
    # Who turns away from the question has not answered it: the text waits, and is offered again.
    assert bool(list((tmp_path / ".goalmap" / "journal").iterdir())) == (answer is None)
    assert all("You are a detective." in path.read_text("utf-8") for path in parked)
