"""A raw client of a language server on stdio: it sends anything, also what is malformed, and waits for what comes.

It waits for events with a deadline, and keeps every message that the server has sent, so that a test can say how often
something came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

JSON = Any
TIMEOUT_S = 20.0


class LspError(Exception):
    """The server answered a request with an error."""

    def __init__(self, error: dict[str, JSON]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: JSON = error.get("data")


class ServerEndedError(Exception):
    """The server closed its output before the message came; holds what it wrote to stderr."""


class LspClient:
    """One server process and its messages. Use as `async with await LspClient.spawn(...) as client:`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.messages: list[dict[str, JSON]] = []
        self.stderr = ""
        self._ids = 0
        self._taken: set[int] = set()  # indexes of messages that a wait has returned
        self._replies: dict[str, Callable[[JSON], JSON]] = {}
        self._news = asyncio.Event()
        self._ended = False
        self._readers = [asyncio.create_task(self._read_messages()), asyncio.create_task(self._read_stderr())]

    @classmethod
    async def spawn(
        cls, command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> LspClient:
        """Start `command` with pipes for stdio."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, env=env, limit=256 * 1024 * 1024
        )
        return cls(process)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        await self.process.wait()
        await asyncio.gather(*self._readers)
        if self.process.stdin is not None:
            self.process.stdin.close()
            # What the dead server has not read is lost; that is no news here.
            with contextlib.suppress(OSError):
                await self.process.stdin.wait_closed()

    # -- sending ----------------------------------------------------------------------------------------------------

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, header and all."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def send_body(self, *bodies: bytes) -> None:
        """Send bodies with their headers, in one write: the server finds them together."""
        self.send_raw(b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies))

    def send(self, *messages: JSON) -> None:
        """Send whole messages, as they are, in one write."""
        self.send_body(*(json.dumps(message).encode() for message in messages))

    def notify(self, method: str, params: JSON = None) -> None:
        """Send a notification."""
        self.send(notification(method, params))

    def begin_request(self, method: str, params: JSON = None) -> int:
        """Send a request and return its id."""
        self._ids += 1
        self.send(request(self._ids, method, params))
        return self._ids

    def reply_to(self, method: str, reply: Callable[[JSON], JSON]) -> None:
        """Answer the server's requests of `method` with `reply(params)`, from now on."""
        self._replies[method] = reply

    def close_stdin(self) -> None:
        """Let the server see the end of its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    # -- waiting ----------------------------------------------------------------------------------------------------

    async def request(self, method: str, params: JSON = None, *, timeout_s: float = TIMEOUT_S) -> JSON:
        """Send a request and return its result; raise LspError for an error."""
        return await self.result(self.begin_request(method, params), timeout_s=timeout_s)

    async def result(self, msg_id: int | str | None, *, timeout_s: float = TIMEOUT_S) -> JSON:
        """Wait for the answer to a request; return its result, raise LspError for an error."""
        message = await self.wait_for(lambda m: "method" not in m and m.get("id") == msg_id, timeout_s=timeout_s)
        if "error" in message:
            raise LspError(message["error"])
        return message["result"]

    async def error(self, msg_id: int | str | None, *, timeout_s: float = TIMEOUT_S) -> LspError:
        """Wait for the answer to a request, which must be an error, and return that."""
        try:
            result = await self.result(msg_id, timeout_s=timeout_s)
        except LspError as error:
            return error
        raise AssertionError(f"request {msg_id} was answered with {result!r}")

    async def notification(
        self, method: str, accept: Callable[[JSON], bool] = lambda _: True, *, timeout_s: float = TIMEOUT_S
    ) -> JSON:
        """Return the params of the first notification (or request) `method` that `accept`s and was not returned yet."""
        message = await self.wait_for(
            lambda m: m.get("method") == method and accept(m.get("params")), timeout_s=timeout_s
        )
        return message.get("params")

    async def wait_for(
        self, accept: Callable[[dict[str, JSON]], bool], *, timeout_s: float = TIMEOUT_S
    ) -> dict[str, JSON]:
        """Return the first message that `accept`s and was not returned yet; it may have come already."""
        seen = 0
        async with asyncio.timeout(timeout_s):
            while True:
                for at in range(seen, len(self.messages)):
                    if at not in self._taken and accept(self.messages[at]):
                        self._taken.add(at)
                        return self.messages[at]
                seen = len(self.messages)
                if self._ended:
                    raise ServerEndedError(self.stderr)
                self._news.clear()
                await self._news.wait()

    async def settle(self) -> None:
        """Return once the server has handled all that was sent before: messages are answered in order."""
        await self.error(self.begin_request("$/settle"))

    def take_all(self) -> list[dict[str, JSON]]:
        """Return all messages so far, and forget them."""
        messages, self.messages, self._taken = self.messages, [], set()
        return messages

    def answers(self, msg_id: int | str | None) -> list[dict[str, JSON]]:
        """Return all answers that came to a request so far."""
        return [m for m in self.messages if "method" not in m and m.get("id") == msg_id]

    def notifications(self, method: str) -> list[JSON]:
        """Return the params of all notifications `method` that came so far."""
        return [m.get("params") for m in self.messages if m.get("method") == method]

    # -- a session --------------------------------------------------------------------------------------------------

    async def initialize(self, capabilities: JSON = None, **params: JSON) -> JSON:
        """Shake hands and return the server's answer."""
        result = await self.request(
            "initialize", {"processId": None, "rootUri": None, "capabilities": capabilities or {}, **params}
        )
        self.notify("initialized", {})
        return result

    def open(self, uri: str, text: str, *, version: int = 1, language_id: str = "json") -> None:
        """Open a document."""
        self.notify(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": language_id, "version": version, "text": text}},
        )

    def change(self, uri: str, version: int, *changes: JSON) -> None:
        """Change a document; a change is {"range"?, "text"}."""
        self.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": version}, "contentChanges": list(changes)},
        )

    def save(self, uri: str) -> None:
        """Say that a document was saved."""
        self.notify("textDocument/didSave", {"textDocument": {"uri": uri}})

    def close(self, uri: str) -> None:
        """Close a document."""
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    async def shutdown_and_exit(self, *, timeout_s: float = TIMEOUT_S) -> int:
        """Leave as the specification wants it, and return the exit code."""
        await self.request("shutdown", timeout_s=timeout_s)
        self.notify("exit")
        return await self.exit_code(timeout_s=timeout_s)

    async def exit_code(self, *, timeout_s: float = TIMEOUT_S) -> int:
        """Wait for the end of the process and return its exit code."""
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()

    async def stderr_text(self, *, timeout_s: float = TIMEOUT_S) -> str:
        """Wait until the server has closed its stderr, and return all that it wrote."""
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*self._readers)
        return self.stderr

    # -- reading ----------------------------------------------------------------------------------------------------

    async def _read_messages(self) -> None:
        assert self.process.stdout is not None
        try:
            while True:
                header = await self.process.stdout.readuntil(b"\r\n\r\n")
                fields = dict(line.split(b": ", 1) for line in header.split(b"\r\n") if line)
                message = json.loads(await self.process.stdout.readexactly(int(fields[b"Content-Length"])))
                self.messages.append(message)
                self._news.set()
                self._reply(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._ended = True
            self._news.set()

    def _reply(self, message: dict[str, JSON]) -> None:
        reply = self._replies.get(message.get("method", ""))
        if reply is None or "id" not in message:
            return
        answer: dict[str, JSON] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            answer["result"] = reply(message.get("params"))
        except LspError as error:
            answer["error"] = {"code": error.code, "message": error.message}
        self.send(answer)

    async def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.stderr += line.decode(errors="replace")


def request(msg_id: int | str, method: str, params: JSON = None) -> dict[str, JSON]:
    """Return a request message; no params where they are None."""
    return {"jsonrpc": "2.0", "id": msg_id, "method": method} | ({} if params is None else {"params": params})


def notification(method: str, params: JSON = None) -> dict[str, JSON]:
    """Return a notification message; no params where they are None."""
    return {"jsonrpc": "2.0", "method": method} | ({} if params is None else {"params": params})
