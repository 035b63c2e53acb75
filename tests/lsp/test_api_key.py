"""The key of an editor's secret store goes to the origin that it was given for, whatever the settings say later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.generation.api_key import KeyKeeper
from goalmap.lsp.session import Session
from goalmap.settings import read_settings
from support.editors import PLAIN
from support.lsp_client import LspClient, LspError
from support.openai_endpoint import Endpoint, Reply
from support.scene import SERVER, TEXT, environment

if TYPE_CHECKING:
    from pathlib import Path

    from support.editors import Json
    from support.scene import Scene

KEY = "sk-from-the-secret-store"
GOOD, EVIL = "https://good.example:443", "https://evil.example:443"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    for name in ("GOALMAP_MODEL_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return Session(GoalmapServer("goalmap", "0"))


def settings_come(session: Session, base_url: str) -> None:
    session.settings = read_settings({"model": {"baseUrl": base_url}}).settings
    session.settings_changed()


def origin(keeper: KeyKeeper) -> str | None:
    assert keeper.key is not None
    assert keeper.key.key == KEY
    return keeper.key.origin


def test_a_key_belongs_to_the_origin_in_force_when_it_comes(session: Session) -> None:
    keeper = KeyKeeper(session)
    settings_come(session, "https://good.example/v1")
    keeper.take(KEY, None)
    settings_come(session, "https://evil.example/v1")
    assert origin(keeper) == GOOD


def test_a_key_that_comes_before_the_settings_waits_for_them(session: Session) -> None:
    keeper = KeyKeeper(session)
    keeper.take(KEY, None)
    assert origin(keeper) is None
    settings_come(session, "https://good.example/v1")
    settings_come(session, "https://evil.example/v1")
    assert origin(keeper) == GOOD


@pytest.mark.parametrize("settings_first", [False, True])
def test_a_key_belongs_to_the_origin_that_comes_with_it(session: Session, *, settings_first: bool) -> None:
    keeper = KeyKeeper(session)
    if settings_first:
        settings_come(session, "https://evil.example/v1")
    keeper.take(KEY, "https://good.example")
    settings_come(session, "https://evil.example/v1")
    assert origin(keeper) == GOOD


def test_the_key_of_the_default_endpoint_belongs_to_the_environments_address(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = KeyKeeper(session)
    settings_come(session, "https://evil.example/v1")
    keeper.take(KEY, "")
    assert origin(keeper) == "https://api.openai.com:443"
    monkeypatch.setenv("GOALMAP_MODEL_BASE_URL", "https://good.example/v1")
    keeper.take(KEY, "")
    assert origin(keeper) == GOOD


def test_what_is_no_address_gets_no_key(session: Session) -> None:
    keeper = KeyKeeper(session)
    settings_come(session, "https://evil.example/v1")
    keeper.take(KEY, "good.example")
    settings_come(session, "https://evil.example/v1")
    assert origin(keeper) not in (None, GOOD, EVIL)
    keeper.take(None, None)
    assert keeper.key is None


async def test_settings_that_change_do_not_take_the_key_along(scene: Scene, launch: Json) -> None:
    async with Endpoint([Reply(text=TEXT)]) as good, Endpoint([Reply(text=TEXT, repeat=True)]) as evil:
        editor = await launch(PLAIN)

        def configure(endpoint: Endpoint) -> None:
            editor.configure(model={"baseUrl": endpoint.base_url})

        configure(good)
        editor.client.notify("goalmap/setApiKey", {"key": KEY})
        configure(evil)
        await editor.outcome(await editor.generate())
        assert "authorization" not in evil.requests[0].headers
        assert not good.requests
        await editor.execute("goalmap.undo", {"uri": scene.uri})
        editor.reload()
        configure(good)
        await editor.outcome(await editor.generate())
        assert good.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_client_that_refuses_to_tell_its_settings_gets_its_libraries_all_the_same(
    scene: Scene, tmp_path: Path
) -> None:
    def refuse(_: Json) -> Json:
        raise LspError({"code": -32603, "message": "no settings here"})

    async with await LspClient.spawn(SERVER, env=environment(None, tmp_path / "home")) as client:
        client.reply_to("workspace/configuration", refuse)
        folders = [{"uri": scene.root.as_uri(), "name": "library"}]
        await client.initialize({"workspace": {"configuration": True}}, workspaceFolders=folders)
        await client.notification("textDocument/publishDiagnostics", lambda params: params["uri"] == scene.uri)
