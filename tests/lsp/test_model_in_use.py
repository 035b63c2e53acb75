"""The request `goalmap/model`: which model would write, and what is missing where none could."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from support.lsp_client import LspClient

KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GOALMAP_API_KEY", "GOALMAP_MODEL_BASE_URL", "GOALMAP_MODEL_NAME")


def environment(**more: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name not in KEYS}, **more}


async def answer(library: Path, env: dict[str, str], settings: dict[str, Any]) -> tuple[Any, str]:
    """Return the answer to the request, and how a generation ends that is asked for then."""
    (library / "components" / "personas").mkdir(parents=True)
    map_path = library / "goal_map.json"
    map_path.write_text('{"DEBUG": {"persona": "x.txt"}}', "utf-8")
    async with await LspClient.spawn([sys.executable, "-m", "goalmap", "lsp"], env=env) as client:
        await client.initialize({"experimental": {"goalmap": {"showsGenerated": True}}}, rootUri=library.as_uri())
        client.notify("workspace/didChangeConfiguration", {"settings": {"goalmap": settings}})
        model = await client.request("goalmap/model", {})
        argument = {"uri": map_path.as_uri(), "goal": ["DEBUG"], "slot": "persona", "file": "x.txt"}
        argument |= {"naming": "autogen", "description": "a detective"}
        command = {"command": "goalmap.generateComponent", "arguments": [argument]}
        await client.request("workspace/executeCommand", command)
        ended = await client.notification("goalmap/generated")
        await client.shutdown_and_exit()
    return model, ended["message"]


async def test_an_endpoint_is_named(tmp_path: Path) -> None:
    settings = {"model": {"baseUrl": "http://127.0.0.1:9/v1", "name": "m-1"}}
    model, _ = await answer(tmp_path, environment(), settings)
    assert model == {"model": "m-1", "isLocal": False, "problem": None}


async def test_what_is_missing_is_said_as_a_generation_says_it(tmp_path: Path) -> None:
    env = environment(GOALMAP_LOCAL_GGUF=str(tmp_path / "gone.gguf"))
    model, message = await answer(tmp_path, env, {})
    assert model["model"] is None
    assert model["isLocal"]
    assert "gone.gguf" in model["problem"]
    assert model["problem"] in message
