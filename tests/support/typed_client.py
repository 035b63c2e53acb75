"""pytest-lsp's client with what a flow needs on top: documents that take edits, and waiting for what is said."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.protocol import default_converter
from pytest_lsp import LanguageClient
from pytest_lsp.client import register_lsp_features

from support.scene import DESCRIPTION, argument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.openai_endpoint import Endpoint
    from support.scene import Scene

Json = Any
TIMEOUT_S = 30.0


class FlowClient(LanguageClient):
    """A client of one server, for many tests one after the other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.generated: dict[str, Json] = {}
        self.questions: list[types.ShowMessageRequestParams] = []
        self.button: str | None = None  # what the user presses when the next message has it
        self.news = asyncio.Condition()
        self._texts: dict[str, tuple[int, str]] = {}
        self._tokens: list[types.ProgressToken] = []

    async def tell(self) -> None:
        """Have everybody look again at what they wait for."""
        async with self.news:
            self.news.notify_all()

    async def until(self, holds: Callable[[], Any], *, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until `holds`, looking again at everything that the server says; ask it something where it is quiet."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                # An answer is news, too: what is waited for may be a file.
                await self.workspace_execute_command_async(_QUIET)

    # -- documents -----------------------------------------------------------------------------------------------------
    def open(self, scene: Scene, *, text: str | None = None) -> None:
        """Open the map: as it is on disk, or with changes. What was said before counts no more."""
        self.messages.clear()
        self.questions.clear()
        text = scene.map_text() if text is None else text
        self._texts[scene.uri] = 1, text
        item = types.TextDocumentItem(uri=scene.uri, language_id="json", version=1, text=text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(text_document=item))

    def text_of(self, scene: Scene) -> str:
        """Return the buffer."""
        return self._texts[scene.uri][1]

    def text_in(self, scene: Scene, place: types.Range) -> str:
        """Return what stands at a place on one line."""
        line = self.text_of(scene).split("\n")[place.start.line]
        return line[place.start.character : place.end.character]

    def place_of(self, scene: Scene, words: str) -> types.Range:
        """Return where `words` stand, the last time that they do."""
        before, _, _ = self.text_of(scene).rpartition(words)
        line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
        return types.Range(types.Position(line, column), types.Position(line, column + len(words)))

    def change(self, uri: str, text: str) -> None:
        """Replace a buffer's text."""
        version = self._texts[uri][0] + 1
        self._texts[uri] = version, text
        identifier = types.VersionedTextDocumentIdentifier(uri=uri, version=version)
        whole = types.TextDocumentContentChangeWholeDocument(text=text)
        self.text_document_did_change(
            types.DidChangeTextDocumentParams(text_document=identifier, content_changes=[whole])
        )

    def reload(self, scene: Scene) -> None:
        """Take over what is on disk."""
        if self.text_of(scene) != scene.map_text():
            self.change(scene.uri, scene.map_text())

    def save(self, scene: Scene) -> None:
        """Write the buffer to disk."""
        scene.map.write_bytes(self.text_of(scene).encode())
        identifier = types.TextDocumentIdentifier(uri=scene.uri)
        self.text_document_did_save(types.DidSaveTextDocumentParams(text_document=identifier))

    def edit(self, edit: types.WorkspaceEdit) -> None:
        """Make an edit, as typing."""
        changes = [(uri, None, edits) for uri, edits in (edit.changes or {}).items()]
        for change in edit.document_changes or []:
            assert isinstance(change, types.TextDocumentEdit)
            changes.append((change.text_document.uri, change.text_document.version, change.edits))
        for uri, version, edits in changes:
            now, text = self._texts[uri]
            assert version in (None, now)
            lines = text.split("\n")
            for one in edits:
                start, end = one.range.start, one.range.end
                assert start.line == end.line
                line = lines[start.line]
                lines[start.line] = line[: start.character] + one.new_text + line[end.character :]
            self.change(uri, "\n".join(lines))

    # -- asking --------------------------------------------------------------------------------------------------------
    async def use_model(self, endpoint: Endpoint | None) -> None:
        """Set the model's address, as a user does in the settings; None is the embedded model."""
        model = {"baseUrl": endpoint.base_url} if endpoint else {"baseUrl": ""}
        self.set_configuration({"model": model}, section="goalmap")
        self.workspace_did_change_configuration(
            types.DidChangeConfigurationParams(settings={"goalmap": {"model": model}})
        )
        await self.workspace_execute_command_async(_QUIET)

    async def marked(self, scene: Scene, *, count: int = 1) -> Sequence[types.Diagnostic]:
        """Wait until the map has `count` marks, and return them."""
        pulls = self.capabilities is not None and (self.capabilities.text_document or _NONE).diagnostic is not None
        assert not pulls, "this client would have to pull"
        await self.until(lambda: len(self.diagnostics.get(scene.uri, ())) == count)
        return self.diagnostics.get(scene.uri, ())

    async def actions(self, scene: Scene, place: types.Range) -> list[types.CodeAction]:
        """Return the code actions at a place."""
        params = types.CodeActionParams(
            text_document=types.TextDocumentIdentifier(uri=scene.uri),
            range=place,
            context=types.CodeActionContext(diagnostics=[]),
        )
        actions = await self.text_document_code_action_async(params)
        found: list[types.CodeAction] = []
        for action in actions or []:
            assert isinstance(action, types.CodeAction)
            found.append(action)
        return found

    async def resolve(self, params: Json) -> Json:
        """Send `command/resolve`, and return the plain answer."""
        return _plain(await self.protocol.send_request_async("command/resolve", params))

    async def execute(self, command: str, *arguments: Json) -> Json:
        """Run a command of the server's, and return its plain answer."""
        params = types.ExecuteCommandParams(command=command, arguments=list(arguments))
        return _plain(await self.workspace_execute_command_async(params))

    async def begin(self, scene: Scene, **more: Json) -> str:
        """Start the generation of the missing component; return its job."""
        self._tokens = list(self.progress_reports)  # those of earlier tests, which nobody has waited for
        answer = await self.execute(
            "goalmap.generateComponent", argument(scene, **{"description": DESCRIPTION, **more})
        )
        return str(answer["job"])

    async def generate(self, scene: Scene, *, timeout_s: float = TIMEOUT_S, **more: Json) -> Json:
        """Generate the missing component, and return how that ended."""
        return await self.outcome(await self.begin(scene, **more), timeout_s=timeout_s)

    # -- hearing -------------------------------------------------------------------------------------------------------
    async def outcome(self, job: str, *, timeout_s: float = TIMEOUT_S) -> Json:
        """Wait for the end of a job."""
        async with asyncio.timeout(timeout_s), self.news:
            await self.news.wait_for(lambda: job in self.generated)
        return self.generated[job]

    async def said(self, words: str) -> types.ShowMessageParams:
        """Wait for a message that has `words`, forget the messages so far, and return it."""

        def found() -> types.ShowMessageParams | None:
            return next((one for one in self.messages if words in one.message), None)

        await self.until(found)
        message = found()
        assert message is not None
        self.messages.clear()
        return message

    async def asked_about(self, words: str) -> types.ShowMessageRequestParams:
        """Wait for a message with buttons that has `words`."""
        await self.until(lambda: any(words in one.message for one in self.questions))
        return next(one for one in self.questions if words in one.message)

    async def progress_begun(self) -> types.ProgressToken:
        """Wait for the next progress to begin, and return its token."""

        def fresh() -> list[types.ProgressToken]:
            return [token for token in self.progress_reports if token not in self._tokens and self.progress_of(token)]

        await self.until(fresh)
        token = fresh()[-1]
        self._tokens = list(self.progress_reports)
        return token

    def progress_of(self, token: types.ProgressToken) -> list[Json]:
        """Return what was said about a progress so far."""
        return [_plain(value) for value in self.progress_reports.get(token, [])]


_QUIET = types.ExecuteCommandParams(command="goalmap.cancelGeneration", arguments=[{"job": "none"}])
_NONE = types.TextDocumentClientCapabilities()


def _plain(value: Any) -> Json:
    """Return decoded JSON as plain JSON again: pygls makes tuples with names of unknown objects."""
    if hasattr(value, "_asdict"):
        return {name: _plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if hasattr(value, "__attrs_attrs__"):
        return json.loads(json.dumps(default_converter().unstructure(value)))
    return value


def _converter() -> Any:
    """Return pygls' converter, which reads a code action with a command as what it is.

    lsprotocol 2025.0.0 takes it for a Command, whose `command` is the inner one as a string.
    """
    converter = default_converter()

    def structure(value: Json, _: Any) -> Any:
        kind = types.Command if isinstance(value.get("command"), str) else types.CodeAction
        return converter.structure(value, kind)

    converter.register_structure_hook(types.Command | types.CodeAction, structure)
    return converter


def flow_client() -> FlowClient:
    """Return a client that has not been connected."""
    client = FlowClient(converter_factory=_converter)
    register_lsp_features(client)

    @client.feature("goalmap/generated")
    async def generated(params: Any) -> None:
        told = {name: value for name, value in _plain(params).items() if value is not None}
        client.generated[told["job"]] = told
        await client.tell()

    @client.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)
    def show_message_request(params: types.ShowMessageRequestParams) -> types.MessageActionItem | None:
        client.questions.append(params)
        pressed = next((action for action in params.actions or [] if action.title == client.button), None)
        if pressed is not None:
            client.button = None
        return pressed

    @client.feature(types.CLIENT_REGISTER_CAPABILITY)
    @client.feature(types.WORKSPACE_CODE_LENS_REFRESH)
    @client.feature(types.WORKSPACE_INLAY_HINT_REFRESH)
    def agree(_: Any) -> None:
        pass

    @client.feature(types.WORKSPACE_APPLY_EDIT)
    def apply_edit(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        client.edit(params.edit)
        return types.ApplyWorkspaceEditResult(applied=True)

    return client
