"""A library in a folder of another's: one server that has both, and generates in both at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from support.editors import GENERATE
from support.lsp_client import LspClient, ServerEndedError
from support.openai_endpoint import Endpoint, Reply
from support.scene import DESCRIPTION, GENERATED, SERVER, TEXT, Scene, argument, committed, environment, make_scene

if TYPE_CHECKING:
    from collections.abc import Sequence

KILLED: Final = Path(__file__).parents[1] / "files" / "faults" / "killed_server.py"
CAPABILITIES: Final = {"experimental": {"goalmap": {"showsGenerated": True}}}


@pytest.fixture(params=["components/nested", "components/protocols/nested", "elsewhere/nested"])
def scenes(tmp_path: Path, request: pytest.FixtureRequest) -> list[Scene]:
    """Return a library, and one within it."""
    outer = make_scene(tmp_path / "outer")
    return [outer, make_scene(outer.root / request.param)]


async def start(command: list[str], scenes: Sequence[Scene], endpoint: Endpoint, home: Path) -> LspClient:
    """Start a server that has both as folders of the workspace, and generates in both at once."""
    client = await LspClient.spawn(command, env=environment(endpoint.base_url, home))
    folders = [{"uri": scene.root.as_uri(), "name": scene.root.name} for scene in scenes]
    await client.initialize(CAPABILITIES, workspaceFolders=folders)
    return client


async def generate(client: LspClient, scenes: Sequence[Scene]) -> list[str]:
    """Generate in all of them at once; return the outcomes."""
    begun = [
        client.begin_request(
            "workspace/executeCommand",
            {"command": GENERATE, "arguments": [argument(scene, description=f"{DESCRIPTION} {number}")]},
        )
        for number, scene in enumerate(scenes)
    ]
    jobs = [(await client.result(one))["job"] for one in begun]
    return [
        (await client.notification("goalmap/generated", lambda told, job=job: told["job"] == job))["outcome"]
        for job in jobs
    ]


def check(scenes: Sequence[Scene]) -> None:
    """Fail unless each has its own component, and only that."""
    for scene in scenes:
        assert scene.map_text() == committed()
        assert scene.generated.read_text() == TEXT
        assert scene.records() == []
        folder = scene.root / "components" / "protocols"
        assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [GENERATED]
        assert not [path for path in scene.files() if Path(path).name.startswith(".goal")]


async def test_one_server_generates_in_both_at_once(scenes: list[Scene], endpoint: Endpoint, tmp_path: Path) -> None:
    gates = [Reply(text=TEXT, pause=gate, pause_after=1) for gate in ("one", "two")]
    endpoint.add(*gates)
    async with await start(SERVER, scenes, endpoint, tmp_path / "home") as client:
        begun = [
            client.begin_request(
                "workspace/executeCommand",
                {"command": GENERATE, "arguments": [argument(scene, description=DESCRIPTION)]},
            )
            for scene in scenes
        ]
        jobs = [(await client.result(one))["job"] for one in begun]
        await endpoint.reached("one")
        await endpoint.reached("two")  # both are under way
        assert [len(scene.records()) for scene in scenes] == [1, 1]
        endpoint.open("one")
        endpoint.open("two")
        for job in jobs:
            ended = await client.notification("goalmap/generated", lambda told, job=job: told["job"] == job)
            assert ended["outcome"] == "committed"
        check(scenes)
        await client.shutdown_and_exit()
        assert "Traceback" not in client.stderr


@pytest.mark.parametrize("where", [r"create\(\.goal_map\.", r"rename_with_flag\(goal_map", r"replace\([0-9a-f]{24}"])
async def test_a_server_that_is_killed_at_a_commit_of_one_of_both(
    scenes: list[Scene], endpoint: Endpoint, tmp_path: Path, where: str
) -> None:
    """The next one finishes what was safe, in whichever library, and pays for nothing that was."""
    endpoint.add(Reply(text=TEXT, repeat=True))
    home = tmp_path / "home"
    async with await start([sys.executable, str(KILLED), where], scenes, endpoint, home) as client:
        with pytest.raises(ServerEndedError):
            await generate(client, scenes)
    safe = sum(_is_safe(scene) for scene in scenes)
    assert safe
    paid = len(endpoint.requests)
    async with await start(SERVER, scenes, endpoint, home) as client:
        assert await generate(client, scenes) == ["committed", "committed"]
        check(scenes)
        assert len(endpoint.requests) - paid == len(scenes) - safe
        await client.shutdown_and_exit()
        assert "Traceback" not in client.stderr


def _is_safe(scene: Scene) -> bool:
    """Whether the text is whole in a record, or in the library."""
    records = (scene.root / ".goalmap").glob("*/*.gmj")
    return any(b"\nF " in path.read_bytes() for path in records)
