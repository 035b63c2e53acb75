"""The flow through pytest-lsp, for clients that declare what known editors do.

The client is one that other people wrote. It decodes every answer into lsprotocol's types, and warns of what the client
has not declared, which fails a test here. All other tests of whole servers read plain JSON: `support.lsp_client`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator  # pytest-lsp evaluates what its fixtures are annotated with
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import pytest_lsp
from lsprotocol import types
from pygls.protocol import default_converter
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities
from pytest_lsp.client import register_lsp_features

from support.openai_endpoint import Endpoint, Reply
from support.scene import DESCRIPTION, MAP, TEXT, argument, committed, environment

if TYPE_CHECKING:
    from support.scene import Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMEOUT_S = 30.0
PERSONA = types.Position(3, MAP.split("\n")[3].index("detective") + 2)


def converter() -> Any:
    """Return pygls' converter, which reads a code action with a command as what it is.

    lsprotocol 2025.0.0 takes it for a Command, whose `command` is the inner one as a string.
    """
    made = default_converter()

    def structure(value: Any, _: Any) -> Any:
        return made.structure(value, types.Command if isinstance(value.get("command"), str) else types.CodeAction)

    made.register_structure_hook(types.Command | types.CodeAction, structure)
    return made


def make_client() -> LanguageClient:
    """Return pytest-lsp's client with the few answers that it has none for."""
    client = LanguageClient(converter_factory=converter)
    register_lsp_features(client)

    @client.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)
    @client.feature(types.CLIENT_REGISTER_CAPABILITY)
    @client.feature(types.WORKSPACE_CODE_LENS_REFRESH)
    @client.feature(types.WORKSPACE_INLAY_HINT_REFRESH)
    def agree(_: Any) -> None:
        pass

    return client


SERVER = ClientServerConfig(server_command=[sys.executable, "-m", "goalmap", "lsp"], client_factory=make_client)


@pytest.fixture(autouse=True, scope="module")
def nothing_of_the_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the servers of this file away from the home, the keys and the models of whoever runs them."""
    with patch.dict(os.environ, environment(None, tmp_path_factory.mktemp("home")), clear=True):
        yield


@pytest_lsp.fixture(config=SERVER, scope="module", params=["visual-studio-code", "neovim", "emacs"])
async def client(lsp_client: LanguageClient, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Return a client with the capabilities of an editor, for all tests of this file."""
    await lsp_client.initialize_session(types.InitializeParams(capabilities=client_capabilities(request.param)))
    yield
    await lsp_client.shutdown_session()


async def open_map(client: LanguageClient, scene: Scene) -> types.TextDocumentIdentifier:
    """Open the map, and wait until it is marked."""
    item = types.TextDocumentItem(uri=scene.uri, language_id="json", version=1, text=scene.map_text())
    client.text_document_did_open(types.DidOpenTextDocumentParams(text_document=item))
    async with asyncio.timeout(TIMEOUT_S):
        while not client.diagnostics.get(scene.uri):
            await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    return types.TextDocumentIdentifier(uri=scene.uri)


async def test_answers_have_the_types_of_the_protocol(client: LanguageClient, scene: Scene) -> None:
    document = await open_map(client, scene)
    (mark,) = client.diagnostics[scene.uri]
    assert mark.code == "component.missing"
    hover = await client.text_document_hover_async(types.HoverParams(document, PERSONA))
    assert hover is not None
    symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(document))
    assert [symbol.name for symbol in symbols or ()] == ["DEBUG"]
    completion = await client.text_document_completion_async(types.CompletionParams(document, PERSONA))
    assert isinstance(completion, types.CompletionList)
    assert "detective.txt" in [item.label for item in completion.items]
    definition = await client.text_document_definition_async(types.DefinitionParams(document, PERSONA))
    assert definition
    references = await client.text_document_references_async(
        types.ReferenceParams(types.ReferenceContext(include_declaration=True), document, PERSONA)
    )
    assert references
    context = types.CodeActionContext(diagnostics=[mark])
    actions = await client.text_document_code_action_async(types.CodeActionParams(document, mark.range, context))
    assert actions
    assert all(isinstance(action, types.CodeAction) for action in actions)
    links = await client.text_document_document_link_async(types.DocumentLinkParams(document))
    assert [link.target for link in links or ()] == [(scene.root / "components/personas/detective.txt").as_uri()]
    selections = types.SelectionRangeParams(document, [PERSONA])
    assert await client.text_document_selection_range_async(selections)


async def test_a_component_is_generated_and_committed(client: LanguageClient, scene: Scene) -> None:
    """The map is closed again, so that the server commits it by itself."""
    document = await open_map(client, scene)
    client.text_document_did_close(types.DidCloseTextDocumentParams(document))
    async with Endpoint([Reply(text=TEXT)]) as endpoint, asyncio.timeout(TIMEOUT_S):
        settings = {"model": {"baseUrl": endpoint.base_url}}
        client.set_configuration(settings, section="goalmap")
        client.workspace_did_change_configuration(types.DidChangeConfigurationParams({"goalmap": settings}))
        told = client.wait_for_notification("goalmap/generated")
        arguments = [argument(scene, description=DESCRIPTION)]
        await client.workspace_execute_command_async(types.ExecuteCommandParams("goalmap.generateComponent", arguments))
        assert (await told).outcome == "committed"
    assert scene.map_text() == committed()
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    kinds = [[value.kind for value in values] for values in client.progress_reports.values()]
    assert kinds
    assert all((told[0], told[-1]) == ("begin", "end") for told in kinds)
