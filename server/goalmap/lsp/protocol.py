"""pygls, repaired in one place, for features written as `(params: dict) -> JSON value`.

`GoalmapServer` and `GoalmapProtocol` are pygls' own pair, and what pygls offers stays usable on them. Three things
differ from it throughout:

* Messages stay what JSON made of them. Features take the plain `params` and return plain values (or bytes that are
  JSON already), so nothing renames `class` or `_x`, drops an unknown key, or converts thousands of diagnostics twice.
  Typed objects of lsprotocol may still be sent, and typed replies are still structured.
* pygls keeps no documents: it splits them with `str.splitlines()`, which corrupts them at U+2028, NEL and form feed.
  `server.Hooks` hears every change and keeps them.
* One message is one function call from the bytes on, on the event loop's thread.

Each repair of a fault in pygls 2.1.1 stands beside a comment that begins with "Repair:".
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcParseError,
    JsonRpcRequestCancelled,
    JsonRpcServerNotInitialized,
)
from pygls.progress import Progress
from pygls.protocol import LanguageServerProtocol

from goalmap.lsp import lifecycle, shapes, wire

if TYPE_CHECKING:
    from cattrs import Converter

    from goalmap.lsp.server import GoalmapServer

log = logging.getLogger(__name__)

Params = dict[str, Any]
MessageId = int | str
Handler = Callable[[Params], Any]
"""Takes a message's params; returns a JSON value, bytes that are JSON, or an awaitable of either.

What runs before the awaitable is returned sees the documents as they were when the request was sent; what is awaited
may see later ones. The awaitable is cancelled when the client cancels the request.
"""
CommandHandler = Callable[[list[Any]], Any]

EXIT_OK, EXIT_FAILED = 0, 1


class RequestFailed(JsonRpcException):
    """A valid request that cannot be served now; the message says what to do. LSP 3.17, RequestFailed."""

    CODE = -32803
    MESSAGE = "Request failed"


class GoalmapProtocol(LanguageServerProtocol):
    """pygls' protocol over plain JSON. Features are registered on the server, not here."""

    _server: GoalmapServer

    def __init__(self, server: GoalmapServer, converter: Converter) -> None:
        # Past LanguageServerProtocol's own, which makes a typed ServerInfo (nothing else here is typed, and the first
        # typed object costs the import of attrs) and registers the features that are replaced below.
        super(LanguageServerProtocol, self).__init__(server, converter)
        self._workspace = None
        # What the params of each method, and the arguments of each command, must be.
        self.shapes: dict[str, shapes.Shape] = {}
        self.progress = Progress(self)
        self.trace = "off"  # type: ignore[assignment]
        self._register_builtin_features()
        self._framer = wire.Framer()
        self._ids = count(1)
        # Requests of the client that still run. pygls keeps them in one table with the requests of ours, where equal
        # ids collide; _request_futures holds ours only.
        self._running: dict[MessageId, asyncio.Future[Any]] = {}
        self._background: set[asyncio.Future[Any]] = set()
        self._idle_due = False

    def _register_builtin_features(self) -> None:
        # pygls' own take typed params and store texts; a user handler runs behind them, only for the methods it knows.
        for method, handler in lifecycle.handlers(self._server, self).items():
            self.shapes[method] = shapes.shape_of(method)
            self.fm.add_builtin_feature(method, handler)

    @property
    def shutting_down(self) -> bool:
        """Whether `shutdown` has been received."""
        return self._shutdown

    def begin_shutdown(self) -> None:
        """Refuse every further request."""
        self._shutdown = True

    # -- the other side ---------------------------------------------------------------------------------------------

    def connected(self, output: wire.Output) -> None:
        """Answer to `output`."""
        self.set_writer(output)

    def received(self, data: bytes, *, more: bool) -> None:
        """Handle every message that `data` completes, then let the hooks publish unless more of them come."""
        messages = [self._parse(body) for body in self._framer.feed(data)]
        # Repair: a request that is cancelled before its turn is not run; pygls runs it first and then finds nothing to
        # cancel (https://github.com/openlawlibrary/pygls/issues/517).
        cancelled_at = {shapes.cancelled_id(message): at for at, message in enumerate(messages)}
        for at, message in enumerate(messages):
            msg_id = shapes.message_id(message)
            if self._server.ended:
                return
            if msg_id is not None and "method" in message and at < cancelled_at.get(msg_id, -1):
                self._refuse(msg_id, JsonRpcRequestCancelled())
            elif message is not _NOT_JSON:
                self.handle_message(message)
        self._idle_due = self._idle_due or bool(messages)
        if self._idle_due and not more and not self._framer.is_amid:
            self._idle_due = False
            self._call_hook(self._server.hooks.on_idle)

    def disconnected(self) -> None:
        """Nobody is left to serve: end with code 0 after `shutdown`, else 1.

        Repair: pygls' code is always 0; LSP 3.17 wants 1 for `exit` without `shutdown`
        (asked for in https://github.com/openlawlibrary/pygls/issues/118).
        """
        self._server.stop(EXIT_OK if self._shutdown else EXIT_FAILED)

    def _parse(self, body: bytes | None) -> Any:
        try:
            return json.loads(body or b"")
        except (ValueError, RecursionError) as error:
            # Repair: JSON-RPC 2.0 wants an answer with id null; pygls shows a message to the user instead.
            reason = error if body is not None else "no usable Content-Length in a header"
            log.warning("Not a message: %s", reason)
            self._refuse(None, JsonRpcParseError(f"Parse error: {reason}"))
            return _NOT_JSON

    # -- messages ---------------------------------------------------------------------------------------------------

    def structure_message(self, data: Params) -> Params:
        """Leave messages as they are.

        Repair: pygls gives this to `json.loads` as object hook, so that every nested object with a key "jsonrpc" is
        taken for a message, and the message around it is lost.
        """
        return data

    def handle_message(self, message: Any) -> None:
        """Handle one decoded message; every request is answered exactly once, whatever it holds."""
        if not isinstance(message, dict) or message.get("jsonrpc") != self.VERSION:
            self._refuse(shapes.message_id(message), JsonRpcInvalidRequest("Not a JSON-RPC 2.0 message"))
            return
        method, msg_id = message.get("method"), message.get("id")
        if method is None and msg_id is not None and ("result" in message or "error" in message):
            self._handle_response(msg_id, message.get("result"), message.get("error"))
        elif not isinstance(method, str) or ("id" in message and shapes.message_id(message) is None):
            self._refuse(shapes.message_id(message), JsonRpcInvalidRequest("Neither a request nor a response"))
        elif msg_id is None:
            self._handle_notification(method, message.get("params"))
        else:
            self._handle_request(msg_id, method, message.get("params"))

    def _handle_request(self, msg_id: MessageId, method_name: str, params: Any) -> None:
        try:
            self._check_state(method_name)
            handler = self._get_handler(method_name)
            result = handler(self._checked(method_name, params))
        except Exception as error:  # noqa: BLE001  whatever a feature raises, the client gets its answer
            self._refuse(msg_id, self._as_rpc_error(error, method_name))
            return
        if not isinstance(result, Awaitable):
            self._answer(msg_id, method_name, result)
            return
        task = asyncio.ensure_future(result)
        self._running[msg_id] = task
        task.add_done_callback(partial(self._finish_request, msg_id, method_name))

    def _checked(self, method: str, params: Any) -> Params:
        """Return `params`, {} where there are none, once they are of the shape that the method was registered with."""
        checked: Params = {} if params is None else params
        shapes.check(method, checked, self.shapes[method])
        return checked

    def _check_state(self, method: str) -> None:
        if self._shutdown:
            # Repair: pygls drops what comes after shutdown, and the client waits
            # (https://github.com/openlawlibrary/pygls/issues/605).
            raise JsonRpcInvalidRequest("The server is shutting down")
        if method == "initialize":
            if self._server.initialized:
                raise JsonRpcInvalidRequest("The server is initialized already")
        elif not self._server.initialized:
            # Repair: pygls runs features before initialize.
            raise JsonRpcServerNotInitialized("The first request must be initialize")

    def _finish_request(self, msg_id: MessageId, method: str, task: asyncio.Future[Any]) -> None:
        if self._running.get(msg_id) is task:
            del self._running[msg_id]
        if task.cancelled():
            self._refuse(msg_id, JsonRpcRequestCancelled())
        elif (error := task.exception()) is not None:
            self._refuse(msg_id, self._as_rpc_error(error, method))
        else:
            self._answer(msg_id, method, task.result())

    def _answer(self, msg_id: MessageId, method: str, result: Any) -> None:
        try:
            encoded = self.encode(result)
        except Exception as error:  # noqa: BLE001  see _handle_request
            self._refuse(msg_id, self._as_rpc_error(error, method))
        else:
            self.respond_raw(msg_id, encoded)

    def _as_rpc_error(self, error: BaseException, method: str) -> JsonRpcException:
        if isinstance(error, JsonRpcException):
            return error
        if isinstance(error, asyncio.CancelledError):
            return JsonRpcRequestCancelled()
        log.error("%s failed", method, exc_info=error)
        return JsonRpcInternalError(f"{method} failed: {type(error).__name__}: {error}")

    def _handle_notification(self, method_name: str, params: Any) -> None:
        if method_name == "exit":
            self.disconnected()
            return
        if self._shutdown or not self._server.initialized:
            log.info("Ignoring %s outside of the session", method_name)
            return
        try:
            handler = self._get_handler(method_name)
            result = handler(self._checked(method_name, params))
        except JsonRpcMethodNotFound:
            # The specification: "$/" may be ignored; and an error cannot answer a notification.
            log.info("Ignoring unknown notification %s", method_name)
        except JsonRpcException as error:
            log.warning("Ignoring malformed %s: %s", method_name, error)
        except Exception:
            log.exception("%s failed", method_name)
        else:
            if isinstance(result, Awaitable):
                self.run_in_background(result, method_name)

    def cancel_request(self, msg_id: MessageId) -> None:
        """Cancel the work itself; its end is the answer.

        Repair: for executeCommand pygls answers at once, while the coroutine runs on.
        """
        if (task := self._running.get(msg_id)) is not None:
            task.cancel()

    async def cancel_requests(self, timeout_s: float) -> None:
        """Cancel all requests of the client and wait at most `timeout_s` until they have been answered.

        Repair: pygls walks its table while cancelling shrinks it, and shutdown fails with "dictionary changed size"
        (https://github.com/openlawlibrary/pygls/issues/606).
        """
        await _cancel(list(self._running.values()), timeout_s)

    async def cancel_all(self, timeout_s: float) -> None:
        """Cancel requests and background work, and wait for its end at most `timeout_s`."""
        await _cancel([*self._running.values(), *self._background], timeout_s)

    def run_in_background(self, work: Awaitable[Any], name: str) -> asyncio.Future[Any]:
        """Run `work` until it ends or the server does; log what it raises."""
        task = asyncio.ensure_future(work)
        self._background.add(task)

        def done(ended: asyncio.Future[Any]) -> None:
            self._background.discard(ended)
            if ended.cancelled() or (error := ended.exception()) is None:
                return
            if isinstance(error, JsonRpcException):  # what a request would have been answered with
                log.warning("%s: %s", name, error)
            else:
                log.error("%s failed", name, exc_info=error)

        task.add_done_callback(done)
        return task

    def _call_hook(self, hook: Callable[[], Any]) -> None:
        try:
            result = hook()
        except Exception:
            log.exception("%s failed", hook.__name__)
        else:
            if isinstance(result, Awaitable):
                self.run_in_background(result, hook.__name__)

    # -- requests of ours -------------------------------------------------------------------------------------------

    def _handle_response(self, msg_id: MessageId, result: Any = None, error: Any = None) -> None:
        # Repair: an answer to a request that was given up is no error. pygls raises InvalidStateError into the
        # message loop (https://github.com/openlawlibrary/pygls/issues/621).
        future = self._request_futures.pop(msg_id, None) if isinstance(msg_id, (int, str)) else None
        result_type = self._result_types.pop(msg_id, None) if future is not None else None
        if future is None:  # _give_up has taken it out
            log.debug("Late or unknown response %r", msg_id)
        elif error is not None:
            future.set_exception(shapes.response_error(error))
        elif result_type is None:
            future.set_result(result)
        else:
            try:
                message = {"id": msg_id, "jsonrpc": self.VERSION, "result": result}
                future.set_result(self._converter.structure(message, result_type).result)
            except Exception as malformed:  # noqa: BLE001  cattrs raises many kinds; all mean the same
                future.set_exception(JsonRpcInternalError(f"The client's answer is malformed: {malformed}"))

    def send_request(
        self,
        method: str,
        params: Any | None = None,
        callback: Callable[[Any], None] | None = None,
        msg_id: MessageId | None = None,
    ) -> Any:
        """Send a request; plain params get a plain result, typed params a typed one. See pygls."""
        from concurrent.futures import Future

        future: Future[Any] = Future()
        if callback is not None:
            future.add_done_callback(lambda done: None if done.cancelled() else callback(done.result()))
        request_id = next(self._ids) if msg_id is None else msg_id
        self._request_futures[request_id] = future
        if hasattr(params, "__attrs_attrs__"):
            self._result_types[request_id] = self.get_result_type(method)
        # The answer may be given up: then the client need not work on it.
        future.add_done_callback(partial(self._give_up, request_id))
        self._send_json(
            b'"id":%b,"method":%b,"params":%b' % (self.encode(request_id), self.encode(method), self.encode(params))
        )
        return future

    def _give_up(self, request_id: MessageId, future: Any) -> None:
        if future.cancelled() and self._request_futures.pop(request_id, None) is not None:
            self._result_types.pop(request_id, None)
            self.notify("$/cancelRequest", {"id": request_id})

    # -- sending ----------------------------------------------------------------------------------------------------

    def encode(self, value: Any) -> bytes:
        """Return `value` as JSON; bytes are taken to be JSON already, typed objects go through the converter."""
        if isinstance(value, bytes):
            return value
        # ASCII only: lone surrogates, which JSON can spell and UTF-8 cannot, survive the way back to the client.
        return json.dumps(value, separators=(",", ":"), default=self._serialize_message).encode("ascii")

    def notify(self, method: str, params: Any | None = None) -> None:
        """Send a notification with plain or typed params."""
        self.notify_raw(method, self.encode(params))

    def notify_raw(self, method: str, params_json: bytes) -> None:
        """Send a notification whose params are JSON already."""
        self._send_json(b'"method":%b,"params":%b' % (self.encode(method), params_json))

    def respond_raw(self, msg_id: MessageId | None, result_json: bytes) -> None:
        """Answer a request with a result that is JSON already."""
        self._send_json(b'"id":%b,"result":%b' % (self.encode(msg_id), result_json))

    def _refuse(self, msg_id: MessageId | None, error: JsonRpcException) -> None:
        body: Params = {"code": error.code, "message": error.message}
        if error.data is not None:
            body["data"] = error.data
        self._send_json(b'"id":%b,"error":%b' % (self.encode(msg_id), self.encode(body)))

    def _send_json(self, members: bytes) -> None:
        self.send_bytes(b'{"jsonrpc":"2.0",%b}' % members)

    def send_bytes(self, message_json: bytes) -> None:
        """Send one whole message that is JSON already; the header is added."""
        if self.writer is None:
            return
        header = b"Content-Length: %d\r\n\r\n" % len(message_json) if self._include_headers else b""
        try:
            sent = self.writer.write(header + message_json)
        except (OSError, ValueError):
            # Repair: pygls reports a failed write to the client, by a write, which fails
            # (https://github.com/openlawlibrary/pygls/pull/573). There is nobody to report to: say so in the log, once,
            # and end.
            self.writer = None
            log.warning("The client does not read any more")
            self.disconnected()
            return
        if isinstance(sent, Awaitable):  # pygls' WebSocket writer
            self.run_in_background(sent, "write")

    def _send_data(self, data: Any) -> None:
        # pygls' own senders end here with typed messages.
        self.send_bytes(self.encode(data))


_NOT_JSON = object()


async def _cancel(tasks: list[asyncio.Future[Any]], timeout_s: float) -> None:
    others = [task for task in tasks if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=timeout_s)
