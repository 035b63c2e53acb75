"""A scripted endpoint that speaks OpenAI's chat protocol over real HTTP: what the tests put in a model's place.

It answers `POST …/chat/completions` with the next `Reply` of its script, as a stream of events, and keeps every
request and every client that hung up. Nothing in it sleeps: a reply that shall wait names a gate, which the test opens.

    async with Endpoint([Reply(text="# Steps\\n", pause="first", pause_after=1), Reply(status=500)]) as endpoint:
        …                                    # point a client at endpoint.base_url
        await endpoint.reached("first")      # one piece of text is on its way, the rest waits
        endpoint.open("first")
        await endpoint.requests[0].ended.wait()

For tests of whole processes, `EndpointProcess` runs the same in a process of its own and is driven by HTTP:

    with EndpointProcess([Reply(text="…")], ledger=path) as endpoint: …

or, from a shell in tests/: `python -m support.openai_endpoint --script FILE [--ledger FILE]`, with a JSON list of
replies, which prints `{"base_url": …}` and ends when its standard input closes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from support.tcp_server import TcpServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable, Sequence

TESTS = Path(__file__).resolve().parents[1]
SCRIPT_EXHAUSTED = "the script has no further reply"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer of the endpoint.

    A `status` other than 200 answers with `headers` and `body`. Otherwise `text` is streamed in pieces of
    `chunk_chars`, then `events` (JSON values, as they are), then `finish_reason` and `[DONE]`; `raw` is sent in place
    of all that. `pause` names a gate: the answer waits at it after `pause_after` pieces, -1 is before the headers.
    A gate that nobody opens is a server that hangs. `ending` "abort" tears the connection down after the text, and
    "silence" closes it as if all were well, without a finish reason. With `every_s` the pieces are sent over and over,
    at that interval, until the client hangs up. `repeat` gives the same reply for ever.
    """

    text: str = ""
    chunk_chars: int = 16
    finish_reason: str | None = "stop"
    reasoning: str = ""
    events: tuple[Any, ...] = ()
    raw: str | None = None
    content_type: str = "text/event-stream"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    pause: str | None = None
    pause_after: int = 0
    ending: Literal["done", "abort", "silence"] = "done"
    every_s: float | None = None
    repeat: bool = False

    def pieces(self) -> list[bytes]:
        """Return the events before the finish reason, encoded, a piece of text each."""
        if self.raw is not None:
            return [self.raw.encode("latin-1")]
        deltas: list[dict[str, str]] = [{"reasoning_content": self.reasoning}] if self.reasoning else []
        deltas += [
            {"content": self.text[start : start + self.chunk_chars]}
            for start in range(0, len(self.text), self.chunk_chars)
        ]
        return [_event(_chunk(delta, None)) for delta in deltas] + [_event(event) for event in self.events]

    def end(self) -> bytes:
        """Return what says that the reply is complete, encoded."""
        if self.raw is not None or self.ending != "done":
            return b""
        return _event(_chunk({}, self.finish_reason)) + b"data: [DONE]\n\n"


@dataclass
class Request:
    """One request as it arrived; `ended` is set when its connection is over, `hung_up` if by the client's doing."""

    number: int
    path: str
    headers: dict[str, str]
    body: Any
    hung_up: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class _ClientGoneError(Exception):
    pass


class Endpoint(TcpServer):
    """The endpoint within the event loop of a test; an asynchronous context manager."""

    def __init__(
        self,
        script: Iterable[Reply] = (),
        *,
        ledger: Path | str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls=tls)
        self.requests: list[Request] = []
        self._script = list(script)
        self._ledger = ledger
        self._gates: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}
        self._arrival = asyncio.Condition()
        self._scheme = "https" if tls else "http"

    @property
    def base_url(self) -> str:
        """The address that a client is given, once it runs."""
        return f"{self._scheme}://127.0.0.1:{self.port}/v1"

    def add(self, *replies: Reply) -> None:
        """Append to the script."""
        self._script.extend(replies)

    def open(self, gate: str) -> None:
        """Let the reply that waits at `gate`, now or later, go on."""
        self._gate(gate)[1].set()

    async def reached(self, gate: str) -> None:
        """Wait until a reply waits at `gate`; what comes before it has been sent."""
        await self._gate(gate)[0].wait()

    async def arrived(self, count: int) -> Request:
        """Wait until `count` requests have arrived in all, and return the last of them."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    def _gate(self, name: str) -> tuple[asyncio.Event, asyncio.Event]:
        return self._gates.setdefault(name, (asyncio.Event(), asyncio.Event()))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request: by the script, or about it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if not path.endswith("/chat/completions"):
            await self._control(method, path, writer)
            return
        request = Request(len(self.requests) + 1, path, headers, json.loads(body or b"null"))
        reply = self._next_reply()
        self._write_ledger(event="request", number=request.number, headers=headers, body=request.body)
        async with self._arrival:
            self.requests.append(request)
            self._arrival.notify_all()
        hang_up = asyncio.ensure_future(reader.read())
        try:
            await self._answer(reply, writer, hang_up)
            self._write_ledger(event="answered", number=request.number)
        except (_ClientGoneError, ConnectionError):
            request.hung_up = True
            self._write_ledger(event="hung up", number=request.number)
        finally:
            hang_up.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await hang_up
            request.ended.set()

    def _next_reply(self) -> Reply:
        if not self._script:
            return Reply(status=400, body={"error": {"message": SCRIPT_EXHAUSTED}})
        return self._script[0] if self._script[0].repeat else self._script.pop(0)

    async def _answer(self, reply: Reply, writer: asyncio.StreamWriter, hang_up: asyncio.Future[bytes]) -> None:
        if reply.pause is not None and reply.pause_after < 0:
            await self._wait_at(reply.pause, hang_up)
        if reply.status != 200:
            body = reply.body if reply.body is not None else {"error": {"message": f"scripted {reply.status}"}}
            text = body if isinstance(body, str) else json.dumps(body)
            await _respond(writer, reply.status, text, reply.headers)
            return
        # Chunks show a torn reply for what it is; without them only a missing finish reason gives it away.
        chunked = reply.ending != "silence"
        writer.write(_head(200, {"content-type": reply.content_type, **reply.headers}, chunked=chunked))
        for number, piece in enumerate([*reply.pieces(), b""]):
            if reply.pause is not None and reply.pause_after == number:
                await self._wait_at(reply.pause, hang_up)
            if piece:
                await _send(writer, piece, hang_up, chunked=chunked)
        while reply.every_s is not None:
            await asyncio.wait([hang_up], timeout=reply.every_s)
            await _send(writer, b"".join(reply.pieces()), hang_up, chunked=chunked)
        if reply.ending == "abort":
            writer.transport.abort()
            return
        await _send(writer, reply.end(), hang_up, chunked=chunked)
        if chunked:
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    async def _wait_at(self, gate: str, hang_up: asyncio.Future[bytes]) -> None:
        reached, opened = self._gate(gate)
        reached.set()
        waiting = asyncio.ensure_future(opened.wait())
        both: list[asyncio.Future[Any]] = [waiting, hang_up]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if hang_up.done():
            raise _ClientGoneError

    async def _control(self, method: str, path: str, writer: asyncio.StreamWriter) -> None:
        match [method, *path.strip("/").split("/")]:
            case ["POST", "gates", name]:
                self.open(name)
                await _respond(writer, 200, "{}")
            case ["GET", "gates", name]:
                await self.reached(name)
                await _respond(writer, 200, "{}")
            case ["GET", "requests"]:
                seen = [
                    {"number": r.number, "headers": r.headers, "body": r.body, "hung_up": r.hung_up}
                    for r in self.requests
                ]
                await _respond(writer, 200, json.dumps(seen))
            case _:
                await _respond(writer, 404, '{"error": {"message": "no such path"}}')

    def _write_ledger(self, **entry: Any) -> None:
        if self._ledger is None:
            return
        # On disk before the client hears anything: whoever is killed afterwards has still been counted.
        with open(self._ledger, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


class EndpointProcess:
    """The endpoint in a process of its own, for tests that block; a context manager."""

    def __init__(self, script: Sequence[Reply] = (), *, ledger: Path | str | None = None) -> None:
        self._script = script
        self._ledger = ledger
        self.base_url = ""

    def __enter__(self) -> Self:
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False, encoding="utf-8") as file:
            json.dump([asdict(reply) for reply in self._script], file)
        command = [sys.executable, "-m", "support.openai_endpoint", "--script", file.name]
        if self._ledger is not None:
            command += ["--ledger", os.path.abspath(self._ledger)]
        self._process = subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = json.loads(self._process.stdout.readline())["base_url"]
        os.unlink(file.name)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def open(self, gate: str) -> None:
        """Let the reply that waits at `gate`, now or later, go on."""
        self._ask("POST", f"/gates/{gate}")

    def reached(self, gate: str) -> None:
        """Wait until a reply waits at `gate`."""
        self._ask("GET", f"/gates/{gate}")

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests so far, each with number, headers, body and hung_up."""
        answer: list[dict[str, Any]] = self._ask("GET", "/requests")
        return answer

    def _ask(self, method: str, path: str) -> Any:
        url = self.base_url.removesuffix("/v1") + path
        request = urllib.request.Request(url, method=method)  # noqa: S310
        # Without the proxies of the environment: this is loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as response:
            return json.load(response)


def _chunk(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    return {
        "id": "scripted",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def _event(value: Any) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def _head(status: int, headers: dict[str, str], *, chunked: bool = False) -> bytes:
    framing = {"transfer-encoding": "chunked"} if chunked else {}
    lines = [f"{name}: {value}" for name, value in {"connection": "close", **framing, **headers}.items()]
    return "\r\n".join([f"HTTP/1.1 {status} Scripted", *lines, "", ""]).encode("latin-1")


async def _respond(writer: asyncio.StreamWriter, status: int, text: str, headers: dict[str, str] | None = None) -> None:
    body = text.encode()
    kind = "application/json" if text[:1] in "{[" else "text/html"
    writer.write(_head(status, {"content-type": kind, "content-length": str(len(body)), **(headers or {})}) + body)
    await writer.drain()


async def _send(writer: asyncio.StreamWriter, data: bytes, hang_up: asyncio.Future[bytes], *, chunked: bool) -> None:
    if hang_up.done():
        raise _ClientGoneError
    if data:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        await writer.drain()


@contextlib.asynccontextmanager
async def _until_stdin_closes() -> AsyncIterator[None]:
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def watch() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=watch, daemon=True).start()
    yield
    await closed.wait()


async def _main(replies: list[Reply], ledger: str | None) -> None:
    async with Endpoint(replies, ledger=ledger) as endpoint, _until_stdin_closes():
        print(json.dumps({"base_url": endpoint.base_url}), flush=True)  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve a script of replies as an OpenAI-compatible endpoint.")
    parser.add_argument("--script", required=True, help="a JSON list of replies, with the fields of Reply")
    parser.add_argument("--ledger", help="append a line of JSON for every request, before it is answered")
    options = parser.parse_args()
    with open(options.script, encoding="utf-8") as script:
        scripted = [Reply(**reply) for reply in json.load(script)]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(scripted, options.ledger))
