"""A forward proxy for tests: whatever host is asked for, it leads to one server on this machine."""

from __future__ import annotations

import asyncio
import contextlib

from support.tcp_server import TcpServer, close


class Proxy(TcpServer):
    """Tunnels `CONNECT` and forwards plain requests to `port`, or refuses all with `status`; an asynchronous context.

    `asked` has the first line of each request, `headers` its fields.
    """

    def __init__(self, port: int, *, status: int | None = None) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._target_port = port
        self._status = status

    @property
    def address(self) -> str:
        """Where it listens, once it runs."""
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead one connection to the server, or refuse it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.strip().split("\r\n")
        self.asked.append(first)
        self.headers.append({name.lower(): value for name, _, value in (field.partition(": ") for field in fields)})
        if self._status is not None:
            writer.write(b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\n\r\n" % self._status)
            await writer.drain()
            return
        onward, target = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            method, url, version = first.split(" ")
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                path = "/" + url.split("/", 3)[3]
                target.write("\r\n".join([f"{method} {path} {version}", *fields, "", ""]).encode("latin-1"))
            await asyncio.gather(_pump(reader, target), _pump(onward, writer))
        finally:
            await close(target)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(64 * 1024):
            sink.write(data)
            await sink.drain()
        sink.close()
