"""What the tests of the server begin with: a library, a server for an editor, and one that shows the protocol alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.demo import DEMO
from support.editors import Behaviour, RawEditor
from support.lsp_client import LspClient
from support.openai_endpoint import Endpoint
from support.scene import Scene, make_scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from support.editors import Json

    Launch = Callable[..., Coroutine[None, None, RawEditor]]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a library with a missing component."""
    return make_scene(tmp_path / "library")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """Return a model whose script the test writes."""
    async with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
async def launch(scene: Scene, tmp_path: Path) -> AsyncIterator[Launch]:
    """Return what starts a server for an editor of some behaviour, with the map open, once it is marked."""
    running: list[RawEditor] = []

    async def begin(behaviour: Behaviour, endpoint: Endpoint | None = None, **initialize: Json) -> RawEditor:
        base_url = endpoint.base_url if endpoint else None
        editor = await RawEditor.start(scene, behaviour, base_url=base_url, home=tmp_path / "home", **initialize)
        running.append(editor)
        await editor.marked("component.missing")
        return editor

    yield begin
    for editor in running:
        await editor.__aexit__()
        assert "Traceback" not in editor.client.stderr, editor.client.stderr


@pytest.fixture
async def raw() -> AsyncIterator[LspClient]:
    """Start a small server that has not been initialized."""
    async with await LspClient.spawn(DEMO) as client:
        yield client


@pytest.fixture
async def client(raw: LspClient) -> LspClient:
    """Start a small server and shake hands."""
    await raw.initialize()
    return raw
