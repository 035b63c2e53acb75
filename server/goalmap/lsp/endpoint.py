"""The server's end of the conversation with a client: pygls' pair of JSON-RPC server and protocol, on plain JSON.

    server = GoalmapServer("goalmap", "0.1.0")
    server.hooks = Session(server)
    server.request("textDocument/hover")(partial(hover, session))
    server.advertise({"hoverProvider": True})
    sys.exit(server.serve(stdio.open_stdio))

pygls has the tables of handlers and the errors of JSON-RPC. Its language server on top of that is not used: it has
typed messages and documents of its own, and pops every fault up in front of the user
(https://github.com/openlawlibrary/pygls/issues/277). Three things differ throughout:

* Messages stay what `json` makes of them. Handlers take plain params and return plain values (or bytes that are JSON
  already), so nothing renames `class` or `_x`, drops an unknown key, or converts thousands of diagnostics twice.
* No documents are kept here: pygls splits them with `str.splitlines()`, which corrupts them at U+2028, NEL and form
  feed. `Hooks` hear every change.
* A message is handled by one function call on the event loop's thread, in the order of the stream.

Each repair of a fault in pygls 2.1.1 stands beside a comment that begins with "Repair:".
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cattrs import Converter
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcParseError,
    JsonRpcRequestCancelled,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import JsonRPCProtocol
from pygls.server import JsonRPCServer

from goalmap.lsp import client_process, stdio, validate
from goalmap.lsp.enums import LSPErrorCodes, TextDocumentSyncKind

if TYPE_CHECKING:
    from goalmap.lsp.types import InitializeParams, TextDocumentContentChangeEvent

log = logging.getLogger(__name__)

Params = dict[str, Any]
MessageId = int | str
Handler = Callable[[Params], Any]
"""Takes a message's params; returns a JSON value, bytes that are JSON, or an awaitable of either.

What runs before the awaitable is returned sees the documents as they were when the request was sent; what is awaited
may see later ones. The awaitable is cancelled when the client cancels the request.
"""
Capability = Params | Callable[[], Params]
"""A fragment of ServerCapabilities, or a function that returns one once `Hooks.on_initialize` has returned."""
H = TypeVar("H", bound=Callable[[Any], Any])

POSITION_ENCODINGS = ("utf-8", "utf-16", "utf-32")
EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
# Long enough for a commit that has begun to end, short enough for an editor that waits for us to quit.
SHUTDOWN_TIMEOUT_S = 1.5
FLUSH_TIMEOUT_S = 2.0
_QUOTED_CHARACTERS = 80
_NOT_JSON = object()


class RequestFailed(JsonRpcException):
    """A valid request that cannot be served now; the message says what to do. LSP 3.17, RequestFailed."""

    CODE = LSPErrorCodes.REQUEST_FAILED
    MESSAGE = "Request failed"


class Hooks:
    """What a session hears. Every method may be overridden; none needs to be.

    They are called on the event loop's thread, in the order of the messages. Params are plain JSON whose required
    fields have been checked.
    """

    def on_initialize(self, params: InitializeParams) -> None:
        """Take what the client is and can; the server's capabilities are computed after this returns."""

    def on_initialized(self) -> Any:
        """Begin what sends requests to the client. May return an awaitable."""

    def on_open(self, uri: str, language_id: str, version: int, text: str) -> None:
        """Take the text of a document, which the client owns from here on."""

    def on_change(self, uri: str, version: int, content_changes: Sequence[TextDocumentContentChangeEvent]) -> None:
        """Apply `content_changes` one after the other."""

    def on_close(self, uri: str) -> None:
        """Forget a document: the file on disk is the truth again."""

    def on_save(self, uri: str, text: str | None) -> None:
        """Take note that the client has written a document; `text` is there only if it was sent."""

    def on_idle(self) -> None:
        """Publish: messages have been handled, and no further one waits."""

    def on_shutdown(self) -> Any:
        """End what is under way; called once, when the client asks for it or is gone. May return an awaitable."""


class GoalmapServer(JsonRPCServer):
    """What features are registered on and talk to the client with; `serve` runs it, and not pygls' `start_io`."""

    protocol: GoalmapProtocol

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.hooks = Hooks()
        self.position_encoding = "utf-16"  # one of POSITION_ENCODINGS
        self.progress_cancellers: dict[MessageId, Callable[[], Any]] = {}
        self._capabilities: list[Capability] = []
        self._exit_code: asyncio.Future[int] | None = None
        self._has_told_shutdown = False
        # A converter without lsprotocol's hooks, which take 0.13 s to make: nothing is converted.
        super().__init__(GoalmapProtocol, Converter)

    # -- registering --------------------------------------------------------------------------------------------------
    def request(self, method: str, *, shape: validate.Shape | None = None) -> Callable[[H], H]:
        """Register a handler of `method`.

        It gets params of the method's shape only: that of `param_shapes`, or `shape` for a method that is not there.
        Raise JsonRpcException in it to answer with its code and message.
        """
        return self._registering(self.protocol.fm.features, method, shape)

    notification = request

    def command(self, command_name: str, *, shape: validate.Shape | None = None) -> Callable[[H], H]:
        """Register a handler of `workspace/executeCommand`: it takes the arguments as the list that came.

        They are of the command's shape; see `request`.

        Repair: pygls converts each argument to the handler's annotation, and refuses a missing or a further one
        (https://github.com/openlawlibrary/pygls/pull/527).
        """
        return self._registering(self.protocol.fm.commands, command_name, shape)

    def _registering(self, table: dict[str, Any], name: str, shape: validate.Shape | None) -> Callable[[H], H]:
        def register(handler: H) -> H:
            if name in self.protocol.shapes:
                raise ValueError(f"{name} has a handler already")
            self.protocol.shapes[name] = validate.shape_of(name, shape)
            table[name] = handler
            return handler

        return register

    def advertise(self, capability: Capability) -> None:
        """Add to the capabilities that answer `initialize`; later ones win, objects are merged.

        Repair: pygls computes them from a list of what it knows, and loses `experimental` and
        `workspace.textDocumentContent`.
        """
        self._capabilities.append(capability)

    def server_capabilities(self) -> Params:
        """Return what is advertised to this client."""
        merged: Params = {
            "positionEncoding": self.position_encoding,
            "textDocumentSync": {
                "openClose": True,
                "change": TextDocumentSyncKind.INCREMENTAL,
                "save": {"includeText": False},
            },
            "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
        }
        if self.protocol.fm.commands:
            merged["executeCommandProvider"] = {"commands": list(self.protocol.fm.commands)}
        for capability in self._capabilities:
            validate.merge(merged, capability if isinstance(capability, dict) else capability())
        return merged

    # -- talking to the client ----------------------------------------------------------------------------------------
    async def ask(self, method: str, params: Any = None, *, timeout_s: float | None = None) -> Any:
        """Send a request and return the client's plain result.

        Raise JsonRpcException when the client answers with an error or shuts down, TimeoutError after `timeout_s`.
        Given up or cancelled, the request is cancelled at the client and its late answer is ignored.
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

    # -- running ------------------------------------------------------------------------------------------------------
    def serve(self, connect: Callable[[], Awaitable[stdio.Connection]]) -> int:
        """Serve the client that `connect` finds until it leaves; return the exit code of the process."""
        try:
            return asyncio.run(self._serve(connect))
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED

    async def _serve(self, connect: Callable[[], Awaitable[stdio.Connection]]) -> int:
        self._exit_code = asyncio.get_running_loop().create_future()
        connection = await connect()
        self.protocol.set_writer(connection.writer)
        closed = asyncio.ensure_future(connection.wait_closed())
        closed.add_done_callback(lambda _: self.protocol.stop_writing())
        self.protocol.run_in_background(self.protocol.receive_all(connection), "reading")
        try:
            return await self._exit_code
        finally:
            await self.tell_shutdown()
            await self.protocol.cancel_all(SHUTDOWN_TIMEOUT_S)
            connection.writer.close()
            await asyncio.wait([closed], timeout=FLUSH_TIMEOUT_S)

    @property
    def is_shutting_down(self) -> bool:
        """Whether the client has asked for the end: it answers nothing any more."""
        return self.protocol.is_shutting_down

    @property
    def has_ended(self) -> bool:
        """Whether the server is about to leave: nothing is handled any more."""
        return self._exit_code is not None and self._exit_code.done()

    def stop(self, exit_code: int) -> None:
        """End the server; the first caller's code counts."""
        if self._exit_code is not None and not self._exit_code.done():
            self._exit_code.set_result(exit_code)

    async def tell_shutdown(self) -> None:
        """Call `on_shutdown`, unless it has been called, and wait for what it returns."""
        if self._has_told_shutdown:
            return
        self._has_told_shutdown = True
        try:
            result = self.hooks.on_shutdown()
            if isinstance(result, Awaitable):
                async with asyncio.timeout(SHUTDOWN_TIMEOUT_S):
                    await result
        except Exception:
            log.exception("on_shutdown failed")


class GoalmapProtocol(JsonRPCProtocol):
    """The messages of one client: what is done with them, and how ours are sent."""

    _server: GoalmapServer

    def __init__(self, server: GoalmapServer, converter: Converter) -> None:
        super().__init__(server, converter)
        # What the params of each method, and the arguments of each command, must be.
        self.shapes: dict[str, validate.Shape] = {}
        self._is_initialized = False
        self._is_idle_due = False
        self._ids = count(1)
        # Requests of the client that still run. pygls keeps them in one table with the requests of ours, where equal
        # ids collide; _request_futures holds ours only.
        self._running: dict[MessageId, asyncio.Future[Any]] = {}
        self._background: set[asyncio.Future[Any]] = set()
        # What every server answers itself: no feature can be registered for it.
        lifecycle: dict[str, Handler] = {
            "initialize": self._initialize,
            "initialized": lambda _: server.hooks.on_initialized(),
            "shutdown": self._shut_down,
            "$/cancelRequest": self._cancel_request,
            "window/workDoneProgress/cancel": self._cancel_progress,
            "workspace/executeCommand": self._execute_command,
            "textDocument/didOpen": self._open,
            "textDocument/didChange": self._change,
            "textDocument/didClose": lambda params: server.hooks.on_close(params["textDocument"]["uri"]),
            "textDocument/didSave": lambda params: server.hooks.on_save(
                params["textDocument"]["uri"], params.get("text")
            ),
        }
        for method, handler in lifecycle.items():
            self.shapes[method] = validate.shape_of(method)
            self.fm.add_builtin_feature(method, handler)

    # -- what every server answers itself -----------------------------------------------------------------------------
    def _initialize(self, params: Params) -> Params:
        server = self._server
        server.position_encoding = choose_position_encoding(params)
        server.hooks.on_initialize(cast("InitializeParams", params))
        self._is_initialized = True
        client_process.watch(params.get("processId"), partial(server.stop, EXIT_FAILED))
        return {
            "capabilities": server.server_capabilities(),
            "serverInfo": {"name": server.name, "version": server.version},
        }

    async def _end_session(self) -> None:
        # Repair: pygls walks its table while cancelling shrinks it, and shutdown fails with "dictionary changed size"
        # (https://github.com/openlawlibrary/pygls/issues/606).
        await _cancel(list(self._running.values()), SHUTDOWN_TIMEOUT_S)
        await self._server.tell_shutdown()

    def _shut_down(self, _: Params) -> Awaitable[None]:
        # From here on every other request is refused, even while this one waits.
        self._shutdown = True
        # A client that shuts down answers no more: whoever waits for it must not hold up the end.
        for future in list(self._request_futures.values()):
            future.set_exception(_client_shuts_down())
        return self._end_session()

    def _cancel_request(self, params: Params) -> None:
        # Repair: for executeCommand pygls answers at once, while the coroutine runs on. The end of the work is the
        # answer.
        if (task := self._running.get(params["id"])) is not None:
            task.cancel()

    def _cancel_progress(self, params: Params) -> None:
        # Repair: pygls can only cancel a bare future, which nobody awaits
        # (https://github.com/openlawlibrary/pygls/pull/253); here it is whatever was registered.
        if (cancel := self._server.progress_cancellers.pop(params["token"], None)) is not None:
            cancel()

    def _execute_command(self, params: Params) -> Any:
        name, arguments = params["command"], params.get("arguments") or []
        handler = self.fm.commands.get(name)
        if handler is None:
            raise JsonRpcInvalidParams(f"Unknown command {name[:_QUOTED_CHARACTERS]!r}")
        validate.check(name, arguments, self.shapes[name])
        return handler(arguments)

    def _open(self, params: Params) -> None:
        document = params["textDocument"]
        language_id = document.get("languageId", "")
        self._server.hooks.on_open(document["uri"], language_id, document["version"], document["text"])

    def _change(self, params: Params) -> None:
        document = params["textDocument"]
        self._server.hooks.on_change(document["uri"], document["version"], params["contentChanges"])

    @property
    def is_shutting_down(self) -> bool:
        """Whether `shutdown` has been received."""
        return self._shutdown

    # -- receiving ----------------------------------------------------------------------------------------------------
    async def receive_all(self, connection: stdio.Connection) -> None:
        """Handle the messages of `connection` until it or the server ends, then end the server."""
        try:
            async for bodies, more in connection.batches():
                self.receive(bodies, more=more)
                if self._server.has_ended:
                    return
        finally:
            self.end()

    def receive(self, bodies: list[bytes | None], *, more: bool = False) -> None:
        """Handle messages that arrived together, then let the hooks publish unless `more` are on their way.

        None stands for what is no message: see `stdio.Framer`.
        """
        self._handle_batch([self._parse(body) for body in bodies])
        self._is_idle_due = self._is_idle_due or bool(bodies)
        if self._is_idle_due and not more and not self._server.has_ended:
            self._is_idle_due = False
            self._call("on_idle", self._server.hooks.on_idle)

    def end(self) -> None:
        """End the server, as nobody is left to serve: with code 0 after `shutdown`, else 1.

        Repair: pygls' code is always 0; LSP 3.17 wants 1 for `exit` without `shutdown`
        (asked for in https://github.com/openlawlibrary/pygls/issues/118).
        """
        self._server.stop(EXIT_OK if self._shutdown else EXIT_FAILED)

    def _parse(self, body: bytes | None) -> Any:
        # Repair: pygls makes typed messages while it parses, by an object hook, which takes every nested object with a
        # key "jsonrpc" for a message and loses the message around it.
        try:
            return json.loads(body or b"")
        except (ValueError, RecursionError) as error:
            # Repair: JSON-RPC 2.0 wants an answer with id null; pygls shows a message to the user instead.
            reason = error if body is not None else "no usable Content-Length in a header"
            log.warning("Not a message: %s", reason)
            self._refuse(None, JsonRpcParseError(f"Parse error: {reason}"))
            return _NOT_JSON

    def _handle_batch(self, messages: list[Any]) -> None:
        # Repair: a request that is cancelled before its turn is not run; pygls runs it first and then finds nothing to
        # cancel (https://github.com/openlawlibrary/pygls/issues/517).
        cancelled_at = {validate.cancelled_id(message): at for at, message in enumerate(messages)}
        for at, message in enumerate(messages):
            msg_id = validate.message_id(message)
            if self._server.has_ended:
                return
            if msg_id is not None and "method" in message and at < cancelled_at.get(msg_id, -1):
                self._refuse(msg_id, JsonRpcRequestCancelled())
            elif message is not _NOT_JSON:
                self.handle_message(message)

    def handle_message(self, message: Any) -> None:
        """Handle one decoded message; every request is answered exactly once, whatever it holds."""
        if not isinstance(message, dict) or message.get("jsonrpc") != self.VERSION:
            self._refuse(validate.message_id(message), JsonRpcInvalidRequest("Not a JSON-RPC 2.0 message"))
            return
        method, msg_id = message.get("method"), message.get("id")
        if method is None and msg_id is not None and ("result" in message or "error" in message):
            self._handle_response(msg_id, message.get("result"), message.get("error"))
        elif not isinstance(method, str) or ("id" in message and validate.message_id(message) is None):
            self._refuse(validate.message_id(message), JsonRpcInvalidRequest("Neither a request nor a response"))
        elif msg_id is None:
            self._handle_notification(method, message.get("params"))
        else:
            self._handle_request(msg_id, method, message.get("params"))

    def _handle_notification(self, method_name: str, params: Any) -> None:
        if method_name == "exit":
            self.end()
        elif self._shutdown or not self._is_initialized:
            log.info("Ignoring %s outside of the session", method_name)
        else:
            self._call(method_name, partial(self._call_handler, method_name, params))

    def _handle_request(self, msg_id: MessageId, method_name: str, params: Any) -> None:
        try:
            self._check_state(method_name)
            result = self._call_handler(method_name, params)
        except Exception as error:  # noqa: BLE001  whatever a feature raises, the client gets its answer
            self._refuse(msg_id, _as_rpc_error(error, method_name))
            return
        if not isinstance(result, Awaitable):
            self._answer(msg_id, method_name, lambda: result)
            return
        task = self._running[msg_id] = asyncio.ensure_future(result)
        task.add_done_callback(partial(self._finish_request, msg_id, method_name))

    def _check_state(self, method: str) -> None:
        if self._shutdown:
            # Repair: pygls drops what comes after shutdown, and the client waits
            # (https://github.com/openlawlibrary/pygls/issues/605).
            raise JsonRpcInvalidRequest("The server is shutting down")
        if method == "initialize":
            if self._is_initialized:
                raise JsonRpcInvalidRequest("The server is initialized already")
        elif not self._is_initialized:
            # Repair: pygls runs features before initialize.
            raise JsonRpcServerNotInitialized("The first request must be initialize")

    def _call_handler(self, method: str, params: Any) -> Any:
        """Return what the method's handler does; raise JsonRpcException where there is none or the params are wrong."""
        handler = self._get_handler(method)
        checked: Params = {} if params is None else params
        validate.check(method, checked, self.shapes[method])
        return handler(checked)

    def _finish_request(self, msg_id: MessageId, method: str, task: asyncio.Future[Any]) -> None:
        if self._running.get(msg_id) is task:
            del self._running[msg_id]
        self._answer(msg_id, method, task.result)

    def _answer(self, msg_id: MessageId, method: str, result: Callable[[], Any]) -> None:
        """Answer a request with what `result` returns, or raises."""
        try:
            encoded = encode(result())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  see _handle_request
            self._refuse(msg_id, _as_rpc_error(error, method))
        else:
            self._send(b'"id":%b,"result":%b' % (encode(msg_id), encoded))

    def _refuse(self, msg_id: MessageId | None, error: JsonRpcException) -> None:
        body: Params = {"code": error.code, "message": error.message}
        if error.data is not None:
            body["data"] = error.data
        self._send(b'"id":%b,"error":%b' % (encode(msg_id), encode(body)))

    # -- work that nobody waits for -----------------------------------------------------------------------------------
    def _call(self, name: str, call: Callable[[], Any]) -> None:
        """Call `call`, await what it returns in the background, and log what it raises."""
        try:
            result = call()
        except Exception as error:  # noqa: BLE001  _log_failure says what it was
            _log_failure(name, error)
        else:
            if isinstance(result, Awaitable):
                self.run_in_background(result, name)

    def run_in_background(self, work: Awaitable[Any], name: str) -> asyncio.Future[Any]:
        """Run `work` until it ends or the server does; log what it raises."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(partial(self._finish_work, name))
        return task

    def _finish_work(self, name: str, task: asyncio.Future[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log_failure(name, error)

    async def cancel_all(self, timeout_s: float) -> None:
        """Cancel requests and background work, and wait for its end at most `timeout_s`."""
        await _cancel([*self._running.values(), *self._background], timeout_s)

    # -- requests of ours ---------------------------------------------------------------------------------------------
    def send_request(self, method: str, params: Any = None) -> Future[Any]:  # type: ignore[override]  # no callback
        """Send a request; the future gets the client's plain result, or raises JsonRpcException."""
        future: Future[Any] = Future()
        if self._shutdown:
            future.set_exception(_client_shuts_down())
            return future
        request_id = next(self._ids)
        self._request_futures[request_id] = future
        future.add_done_callback(partial(self._finish_own_request, request_id))
        self._send(b'"id":%d,"method":%b,"params":%b' % (request_id, encode(method), encode(params)))
        return future

    def _finish_own_request(self, request_id: MessageId, _: Future[Any]) -> None:
        # Given up before it was answered: the client need not work on it.
        if self._request_futures.pop(request_id, None) is not None:
            self.notify("$/cancelRequest", {"id": request_id})

    def _handle_response(self, msg_id: MessageId, result: Any = None, error: Any = None) -> None:
        # Repair: an answer to a request that was given up is no error. pygls raises InvalidStateError into the
        # message loop (https://github.com/openlawlibrary/pygls/issues/621).
        future = self._request_futures.pop(msg_id, None) if isinstance(msg_id, (int, str)) else None
        if future is None:
            log.debug("Late or unknown response %r", msg_id)
        elif error is not None:
            future.set_exception(validate.response_error(error))
        else:
            future.set_result(result)

    # -- sending ------------------------------------------------------------------------------------------------------
    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification; bytes as params are taken to be JSON already."""
        self._send(b'"method":%b,"params":%b' % (encode(method), encode(params)))

    def _send(self, members: bytes) -> None:
        """Send a message with these members of its object."""
        if self.writer is None:
            return
        message = b'{"jsonrpc":"2.0",%b}' % members
        try:
            self.writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(message), message))
        except (OSError, ValueError):
            # Repair: pygls reports a failed write to the client, by a write, which fails
            # (https://github.com/openlawlibrary/pygls/pull/573). There is nobody to report to: say so in the log, once,
            # and end.
            log.warning("The client does not read any more")
            self.stop_writing()

    def stop_writing(self) -> None:
        """Send nothing any more, as nobody reads it, and end."""
        self.writer = None
        self.end()


def encode(value: Any) -> bytes:
    """Return `value` as JSON; bytes are taken to be JSON already. Raise TypeError or ValueError where it is none."""
    if isinstance(value, bytes):
        return value
    # ASCII only: lone surrogates, which JSON can spell and UTF-8 cannot, survive the way back to the client.
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def choose_position_encoding(initialize_params: Params) -> str:
    """Return the client's first position encoding that is ours; UTF-16 where it names none."""
    offered = validate.lookup(initialize_params, "capabilities.general.positionEncodings")
    ours = [encoding for encoding in offered if encoding in POSITION_ENCODINGS] if isinstance(offered, list) else []
    return ours[0] if ours else "utf-16"


def _client_shuts_down() -> JsonRpcException:
    return JsonRpcRequestCancelled("The client shuts down and answers no more")


def _as_rpc_error(error: BaseException, method: str) -> JsonRpcException:
    """Return the error that answers a request of `method`, and log what is a fault of ours."""
    if isinstance(error, JsonRpcException):
        return error
    if isinstance(error, asyncio.CancelledError):
        return JsonRpcRequestCancelled()
    log.error("%s failed", method, exc_info=error)
    return JsonRpcInternalError(f"{method} failed: {type(error).__name__}: {error}")


def _log_failure(name: str, error: BaseException) -> None:
    """Log what a request would have been answered with."""
    if isinstance(error, JsonRpcMethodNotFound):
        log.info("Ignoring unknown notification %s", name)  # LSP 3.17: "$/" may be ignored
    elif isinstance(error, JsonRpcException):
        log.warning("%s: %s", name, error)
    else:
        log.error("%s failed", name, exc_info=error)


async def _cancel(tasks: list[asyncio.Future[Any]], timeout_s: float) -> None:
    others = [task for task in tasks if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=timeout_s)
