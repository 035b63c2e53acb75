"""A forward proxy for tests: whatever host is asked for, it leads to one server on this machine."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self


class Proxy:
    """Tunnels `CONNECT` and forwards plain requests to `port`, or refuses all with `status`; an asynchronous context.

    `asked` has the first line of each request, `headers` its fields.
    """

    def __init__(self, port: int, *, status: int | None = None) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.address = ""
        self._port = port
        self._status = status
        self._handlers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        await _close(writer)
        self._handlers.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.strip().split("\r\n")
        self.asked.append(first)
        self.headers.append({name.lower(): value for name, _, value in (field.partition(": ") for field in fields)})
        if self._status is not None:
            writer.write(b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\n\r\n" % self._status)
            await writer.drain()
            return
        onward, target = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            method, url, version = first.split(" ")
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                path = "/" + url.split("/", 3)[3]
                target.write("\r\n".join([f"{method} {path} {version}", *fields, "", ""]).encode("latin-1"))
            await asyncio.gather(_pump(reader, target), _pump(onward, writer))
        finally:
            await _close(target)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(64 * 1024):
            sink.write(data)
            await sink.drain()
        sink.close()
