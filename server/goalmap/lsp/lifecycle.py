"""What every server answers itself: the handshake, the end, cancelling, commands, and hearing about documents.

Source: LSP 3.17, "Lifecycle Messages" and "Text Document Synchronization".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pygls.exceptions import JsonRpcInvalidParams

from goalmap.lsp import shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from goalmap.lsp.protocol import GoalmapProtocol
    from goalmap.lsp.server import GoalmapServer
    from goalmap.lsp.shapes import Params
    from goalmap.lsp.types import InitializeParams

POSITION_ENCODINGS = ("utf-8", "utf-16", "utf-32")
# Long enough for a commit that has begun to end, short enough for an editor that waits for us to quit.
SHUTDOWN_TIMEOUT_S = 1.5
_SHOWN_CHARACTERS = 80


def handlers(server: GoalmapServer, protocol: GoalmapProtocol) -> dict[str, Callable[[Params], Any]]:
    """Return a handler for each method that no feature may take over."""

    def initialize(params: Params) -> Params:
        server.process_id = params.get("processId")
        server.initialize_params = params
        server.position_encoding = choose_position_encoding(params)
        server.hooks.on_initialize(cast("InitializeParams", params))
        server.initialized = True
        server.watch_client_process()
        return {
            "capabilities": server.server_capabilities_json(),
            "serverInfo": {"name": server.name, "version": server.version},
        }

    def initialized(_: Params) -> Any:
        return server.hooks.on_initialized()

    def shutdown(_: Params) -> Any:
        # From here on every other request is refused, even while this one waits.
        protocol.begin_shutdown()

        async def end() -> None:
            await protocol.cancel_requests(SHUTDOWN_TIMEOUT_S)
            await server.run_shutdown_hook()

        return end()

    def set_trace(params: Params) -> None:
        protocol.trace = params["value"]

    def cancel_request(params: Params) -> None:
        protocol.cancel_request(params["id"])

    def cancel_progress(params: Params) -> None:
        # Repair: pygls can only cancel a bare future, which nobody awaits
        # (https://github.com/openlawlibrary/pygls/pull/253); here it is whatever was registered.
        token = params["token"]
        cancel = server.progress_cancellers.pop(token, None)
        if cancel is not None:
            cancel()
        elif (future := protocol.progress.tokens.get(token)) is not None:
            future.cancel()

    def execute_command(params: Params) -> Any:
        name, arguments = params["command"], params.get("arguments") or []
        handler = protocol.fm.commands.get(name)
        if handler is None:
            raise JsonRpcInvalidParams(f"Unknown command {name[:_SHOWN_CHARACTERS]!r}")
        shapes.check(name, arguments, protocol.shapes[name])
        return handler(arguments)

    def did_open(params: Params) -> None:
        document = params["textDocument"]
        server.hooks.on_open(document["uri"], document.get("languageId", ""), document["version"], document["text"])

    def did_change(params: Params) -> None:
        document = params["textDocument"]
        server.hooks.on_change(document["uri"], document["version"], params["contentChanges"])

    def did_close(params: Params) -> None:
        server.hooks.on_close(params["textDocument"]["uri"])

    def did_save(params: Params) -> None:
        server.hooks.on_save(params["textDocument"]["uri"], params.get("text"))

    return {
        "initialize": initialize,
        "initialized": initialized,
        "shutdown": shutdown,
        "$/setTrace": set_trace,
        "$/cancelRequest": cancel_request,
        "window/workDoneProgress/cancel": cancel_progress,
        "workspace/executeCommand": execute_command,
        "textDocument/didOpen": did_open,
        "textDocument/didChange": did_change,
        "textDocument/didClose": did_close,
        "textDocument/didSave": did_save,
    }


def choose_position_encoding(initialize_params: Params) -> str:
    """Return the client's first position encoding that is ours; UTF-16 where it names none."""
    offered = shapes.lookup(initialize_params, "capabilities.general.positionEncodings")
    ours = [encoding for encoding in offered if encoding in POSITION_ENCODINGS] if isinstance(offered, list) else []
    return ours[0] if ours else "utf-16"
