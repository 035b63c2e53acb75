"""The server that features are registered on, and what a session hears from it.

server = GoalmapServer("goalmap", "0.1.0")
server.hooks = Session(server)
server.request("textDocument/hover", {"hoverProvider": True})(partial(hover, session))
sys.exit(server.serve_stdio())
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from goalmap.lsp import shapes, wire
from goalmap.lsp.lifecycle import SHUTDOWN_TIMEOUT_S
from goalmap.lsp.protocol import (
    EXIT_FAILED,
    CommandHandler,
    GoalmapProtocol,
    Handler,
    MessageId,
    Params,
)

if TYPE_CHECKING:
    from typing import BinaryIO

    from cattrs import Converter
    from lsprotocol import types

    from goalmap.lsp.types import InitializeParams, TextDocumentContentChangeEvent

log = logging.getLogger(__name__)

Capability = Params | Callable[[Params], Params]
"""A fragment of ServerCapabilities, or a function from the client's capabilities to one."""
H = TypeVar("H", bound=Handler)
C = TypeVar("C", bound=CommandHandler)

FLUSH_TIMEOUT_S = 2.0
PROCESS_POLL_S = 5.0
EXIT_INTERRUPTED = 130


class Hooks:
    """What a session hears. Every method may be overridden; none needs to be.

    They are called on the event loop's thread, in the order of the messages. Params are plain JSON whose required
    fields have been checked.
    """

    def on_initialize(self, params: InitializeParams) -> None:
        """Meet the client; capabilities are computed after this returns."""

    def on_initialized(self) -> Any:
        """Know that the client takes requests of ours from here on. May return an awaitable."""

    def on_open(self, uri: str, language_id: str, version: int, text: str) -> None:
        """Take `text`: the client owns this document from here on."""

    def on_change(self, uri: str, version: int, content_changes: Sequence[TextDocumentContentChangeEvent]) -> None:
        """Apply `content_changes` (TextDocumentContentChangeEvent) one after the other."""

    def on_close(self, uri: str) -> None:
        """Forget the document: the file on disk is the truth again."""

    def on_save(self, uri: str, text: str | None) -> None:
        """Know that the client wrote the document; `text` is there only if it was sent."""

    def on_idle(self) -> None:
        """Publish: no message waits in the input."""

    def on_shutdown(self) -> Any:
        """End: the client asked for it, or is gone. Called once; may return an awaitable."""


class _LateConverter:
    """pygls' converter, made when something typed first asks for it: it is seldom needed, and slow to make."""

    def __getattr__(self, name: str) -> Any:
        converter = _converter()
        self.__dict__.update({name: getattr(converter, name) for name in ("structure", "unstructure")})
        return getattr(converter, name)


@cache
def _converter() -> Converter:
    converter: Converter = default_converter()  # type: ignore[no-untyped-call]
    return converter


class GoalmapServer(LanguageServer):
    """pygls' server over plain JSON; see `protocol`.

    `client` is the client's capabilities as plain JSON; `position_encoding` is "utf-8", "utf-16" or "utf-32".
    """

    protocol: GoalmapProtocol

    def __init__(self, name: str, version: str) -> None:
        # Before pygls builds the protocol, whose handlers refer to these.
        self.hooks = Hooks()
        self.progress_cancellers: dict[MessageId, Callable[[], Any]] = {}
        self.initialize_params: Params = {}
        self.position_encoding = "utf-16"
        self.initialized = False
        self._capabilities: list[Capability] = []
        self._end: asyncio.Future[int] | None = None
        self._shutdown_hook_ran = False
        super().__init__(name, version, protocol_cls=GoalmapProtocol, converter_factory=_LateConverter)

    # -- registering ------------------------------------------------------------------------------------------------

    def request(
        self, method: str, capability: Capability | None = None, *, shape: shapes.Shape | None = None
    ) -> Callable[[H], H]:
        """Register a handler of `method`, and what it adds to the server's capabilities.

        It gets params of the method's shape only: that of `shapes.SHAPES`, or `shape` for a method that is not there.
        Raise JsonRpcException in it to answer with its code and message.
        """

        def register(handler: H) -> H:
            if method in self.protocol.fm.builtin_features or method in self.protocol.fm.features:
                raise ValueError(f"{method} has a handler already")
            self.protocol.shapes[method] = shapes.shape_of(method, shape)
            self.protocol.fm.features[method] = handler
            if capability is not None:
                self.advertise(capability)
            return handler

        return register

    notification = request

    def command(self, command_name: str, *, shape: shapes.Shape | None = None) -> Callable[[C], C]:
        """Register a handler of `workspace/executeCommand`: it takes the arguments as the list that came.

        They are of the command's shape; see `request`.

        Repair: pygls converts each argument to the handler's annotation, and refuses a missing or a further one
        (https://github.com/openlawlibrary/pygls/pull/527).
        """

        def register(handler: C) -> C:
            if command_name in self.protocol.fm.commands:
                raise ValueError(f"{command_name} has a handler already")
            self.protocol.shapes[command_name] = shapes.shape_of(command_name, shape)
            self.protocol.fm.commands[command_name] = handler
            return handler

        return register

    def advertise(self, capability: Capability) -> None:
        """Add to the capabilities that answer `initialize`; later ones win, objects are merged.

        Repair: pygls computes them from a list of what it knows, and loses `experimental` and
        `workspace.textDocumentContent`.
        """
        self._capabilities.append(capability)

    def server_capabilities_json(self) -> Params:
        """Return what is advertised to this client."""
        merged: Params = {
            "positionEncoding": self.position_encoding,
            "textDocumentSync": {"openClose": True, "change": 2, "save": {"includeText": False}},
            "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
        }
        if self.protocol.fm.commands:
            merged["executeCommandProvider"] = {"commands": list(self.protocol.fm.commands)}
        for capability in self._capabilities:
            shapes.merge(merged, capability if isinstance(capability, dict) else capability(self.client))
        return merged

    # -- the client -------------------------------------------------------------------------------------------------

    @property
    def client(self) -> Params:
        """The client's capabilities as plain JSON; empty before `initialize`."""
        return self.initialize_params.get("capabilities") or {}

    def client_capability(self, path: str) -> Any:
        """Return the client's capability at the dotted `path`, such as "textDocument.diagnostic"; None if absent."""
        return shapes.lookup(self.client, path)

    def client_list(self, path: str) -> list[Any]:
        """Return the list at the dotted `path` of the client's capabilities; an empty one where there is none."""
        value = self.client_capability(path)
        return value if isinstance(value, list) else []

    @property
    def client_capabilities(self) -> types.ClientCapabilities:
        """The client's capabilities, typed, as pygls has them."""
        from lsprotocol import types

        typed: types.ClientCapabilities = _converter().structure(self.client, types.ClientCapabilities)
        return typed

    @property
    def server_capabilities(self) -> types.ServerCapabilities:
        """The server's capabilities, typed, as pygls has them."""
        from lsprotocol import types

        typed: types.ServerCapabilities = _converter().structure(
            self.server_capabilities_json(), types.ServerCapabilities
        )
        return typed

    async def ask(self, method: str, params: Any = None, *, timeout_s: float | None = None) -> Any:
        """Send a request and return the client's plain result.

        Raise JsonRpcException when the client answers with an error, TimeoutError after `timeout_s`. Given up or
        cancelled, the request is cancelled at the client and its late answer is ignored.
        """
        async with asyncio.timeout(timeout_s):
            return await asyncio.wrap_future(self.protocol.send_request(method, params))

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification; bytes as params are taken to be JSON already."""
        self.protocol.notify(method, params)

    def on_progress_cancel(self, token: MessageId, cancel: Callable[[], Any]) -> None:
        """Call `cancel`, once, when the user cancels the progress `token`."""
        self.progress_cancellers[token] = cancel

    def forget_progress(self, token: MessageId) -> None:
        """Drop what `on_progress_cancel` registered: the progress has ended."""
        self.progress_cancellers.pop(token, None)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Write to the log.

        Repair: pygls pops every fault up in front of the user (https://github.com/openlawlibrary/pygls/issues/277), and
        recurses where it cannot.
        """
        log.error("%s: %s", getattr(source, "__name__", source), error)

    # -- running ----------------------------------------------------------------------------------------------------

    def serve_stdio(self, stdin_fd: int = 0, stdout_fd: int = 1) -> int:
        """Serve one client on stdin and stdout until it leaves; return the exit code of the process."""
        return self._run(lambda: wire.open_stdio(self.protocol, stdin_fd, stdout_fd))

    def serve_tcp(self, host: str, port: int, listening: Callable[[str, int], None] | None = None) -> int:
        """Serve the first client that connects; return the exit code of the process.

        `listening` is told the address once it is open, with the port that the system chose for port 0.
        """
        announce = listening or (lambda host, port: log.info("Listening on %s:%d", host, port))
        return self._run(lambda: wire.accept_one(self.protocol, host, port, announce))

    def start_io(self, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None) -> None:
        """Serve on stdio and exit the process: pygls' name for it."""
        sys.exit(self.serve_stdio(stdin.fileno() if stdin else 0, stdout.fileno() if stdout else 1))

    def start_tcp(self, host: str, port: int) -> None:
        """Serve on a socket and exit the process: pygls' name for it."""
        sys.exit(self.serve_tcp(host, port))

    def _run(self, connect: Callable[[], Awaitable[wire.Connection]]) -> int:
        try:
            return asyncio.run(self._serve(connect))
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED

    async def _serve(self, connect: Callable[[], Awaitable[wire.Connection]]) -> int:
        self._end = asyncio.get_running_loop().create_future()
        connection = await connect()
        try:
            return await self._end
        finally:
            await self.run_shutdown_hook()
            await self.protocol.cancel_all(SHUTDOWN_TIMEOUT_S)
            await connection.close(FLUSH_TIMEOUT_S)

    @property
    def ended(self) -> bool:
        """Whether the server is about to leave: nothing is handled any more."""
        return self._end is not None and self._end.done()

    def stop(self, exit_code: int) -> None:
        """End the server; the first caller's code counts."""
        if self._end is not None and not self._end.done():
            self._end.set_result(exit_code)

    async def run_shutdown_hook(self) -> None:
        """Tell the hooks that it is over, once, whether by `shutdown` or because the client is gone."""
        if self._shutdown_hook_ran:
            return
        self._shutdown_hook_ran = True
        try:
            result = self.hooks.on_shutdown()
            if isinstance(result, Awaitable):
                async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                    await result
        except Exception:
            log.exception("on_shutdown failed")

    def watch_client_process(self) -> None:
        """End when the client's process does, even if somebody else keeps our stdin open. LSP 3.17, processId.

        A process that cannot be seen now is not watched: the client may live in another container.
        """
        pid = self.process_id
        # os.kill(pid, 0) ends processes on Windows; there the end of stdin has to do.
        if not isinstance(pid, int) or pid <= 0 or sys.platform == "win32" or not _is_alive(pid):
            return
        loop = asyncio.get_running_loop()

        def gone() -> None:
            log.warning("The client's process %d is gone", pid)
            self.stop(EXIT_FAILED)

        if hasattr(os, "pidfd_open"):
            try:
                descriptor = os.pidfd_open(pid)
            except OSError:
                pass
            else:

                def ended() -> None:
                    loop.remove_reader(descriptor)
                    os.close(descriptor)
                    gone()

                loop.add_reader(descriptor, ended)
                return

        def poll() -> None:
            if _is_alive(pid):
                loop.call_later(PROCESS_POLL_S, poll)
            else:
                gone()

        loop.call_later(PROCESS_POLL_S, poll)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
