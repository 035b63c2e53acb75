"""Bytes in, whole messages out: the framing of the base protocol, and stdin, stdout and sockets without a thread hop.

Source: LSP 3.17, "Base Protocol". Nothing here knows JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import select
import stat
import sys
import threading
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

# A length at the end of a line, whatever stands before it: a message may follow stray bytes directly. What ends in
# "-Content-Length" is another field.
CONTENT_LENGTH = re.compile(rb"(?<!-)content-length[ \t]*:(.*)$", re.IGNORECASE | re.DOTALL)
LENGTH = re.compile(rb"[ \t]*0{0,20}([0-9]{1,10})[ \t]*")
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*:")
# A header this long is not a header: somebody writes text into our stdin.
MAX_HEADER_BYTES = 8 * 1024
# Of a line that is too long, the end may be the beginning of a header.
_KEPT_BYTES = 64
_UNUSABLE = -1
MAX_BODY_BYTES = 256 * 1024 * 1024
PIPE_BYTES = 1024 * 1024  # the most that Linux allows everybody


class Sink(Protocol):
    """Who reads: told where to write first, then of bytes as they come, then of the end (perhaps twice)."""

    def connected(self, output: Output) -> None:
        """Answers go to `output`."""

    def received(self, data: bytes, *, more: bool) -> None:
        """Take `data`; `more` says that further bytes wait already and will follow at once."""

    def disconnected(self) -> None:
        """End: nothing more comes, and nothing that is sent arrives."""


class Framer:
    """Cut a byte stream into message bodies.

    A header's lines may end with a line feed alone. A header is of no use that is longer than MAX_HEADER_BYTES, or that
    says no length, one that is no number or above MAX_BODY_BYTES, or two different ones. After that, and after stray
    bytes, everything is passed over up to the next line that says a length.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._looked_bytes = 0  # how much of the buffer holds no line end
        self._body_bytes: int | None = None  # of the message whose header has been read
        self._header_bytes = 0  # of the header's lines so far
        self._lengths: set[int] = set()  # that they say
        self._is_lost = False  # whether what is read is of no use, which has been told

    @property
    def is_amid(self) -> bool:
        """Whether the body of a message is on its way. A header alone is nothing to wait for: it may be stray bytes."""
        return self._body_bytes is not None

    def feed(self, data: bytes) -> list[bytes | None]:
        """Return the bodies that `data` completes; None stands for all that is passed over until the next of them."""
        self._buffer += data
        bodies: list[bytes | None] = []
        while self._body_bytes is not None or self._read_header(bodies):
            if self._body_bytes is None or len(self._buffer) < self._body_bytes:
                break
            with memoryview(self._buffer) as view:
                bodies.append(bytes(view[: self._body_bytes]))
            del self._buffer[: self._body_bytes]
            self._body_bytes = None
        return bodies

    def _read_header(self, bodies: list[bytes | None]) -> bool:
        """Take lines off the buffer until a header is complete that says how long the body is; False without one."""
        while (end := self._buffer.find(b"\n", self._looked_bytes)) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._looked_bytes = 0
            if self._take_line(line, bodies):
                return True
        if len(self._buffer) > MAX_HEADER_BYTES:
            del self._buffer[:-_KEPT_BYTES]
            self._lose(bodies)
        self._looked_bytes = len(self._buffer)
        return False

    def _take_line(self, line: bytes, bodies: list[bytes | None]) -> bool:
        """Take one line of a header; True if it is the empty one that ends a header of use."""
        if not line:
            lengths = tuple(self._lengths)
            if len(lengths) != 1 or not 0 <= lengths[0] <= MAX_BODY_BYTES:
                self._lose(bodies)
                return False
            self._begin_header()
            self._is_lost = False
            self._body_bytes = lengths[0]
            return True
        found = CONTENT_LENGTH.search(line)
        is_stray = found.start() > 0 if found else not FIELD.match(line)
        if is_stray or self._header_bytes + len(line) > MAX_HEADER_BYTES:
            self._lose(bodies)
        self._header_bytes += len(line)
        if found:
            length = LENGTH.fullmatch(found[1])
            self._lengths.add(int(length[1]) if length else _UNUSABLE)
        return False

    def _lose(self, bodies: list[bytes | None]) -> None:
        """Pass over what was read since the last body, and tell it once."""
        self._begin_header()
        if not self._is_lost:
            self._is_lost = True
            bodies.append(None)

    def _begin_header(self) -> None:
        self._header_bytes = 0
        self._lengths.clear()


class Output(Protocol):
    """What pygls calls a writer."""

    def write(self, data: bytes) -> None:
        """Send all of `data`, in order; raise OSError when nobody reads any more."""

    def close(self) -> None:
        """Send what is left, then close."""


class BlockingOutput:
    """Writes on the spot: for regular files, and for Windows, whose event loop cannot write to stdout's pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes) -> None:
        """Write all of `data`, waiting where the descriptor is non-blocking."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # stdin and stdout may be one socket, and the read side made it non-blocking.
                select.select([], [self._fd], [])

    def close(self) -> None:
        """Nothing is buffered, and the descriptor belongs to the process."""


class TransportOutput:
    """Writes without waiting: what the client does not take at once is kept until it does.

    A blocking write could wait for ever for a client that itself waits for us to read.
    """

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Queue `data`; raise BrokenPipeError once the other side has closed."""
        if self._transport.is_closing():
            raise BrokenPipeError
        self._transport.write(data)

    def close(self) -> None:
        """Let the transport send its rest and close."""
        self._transport.close()


class _InputProtocol(asyncio.Protocol):
    """Hands bytes on, and says whether the kernel holds more."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._poll: select.poll | None = None
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        handle = transport.get_extra_info("pipe") or transport.get_extra_info("socket")
        if handle is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(handle.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        more = bool(self._poll and any(events & select.POLLIN for _, events in self._poll.poll(0)))
        self._sink.received(data, more=more)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.closed.done():
            self.closed.set_result(None)
        self._sink.disconnected()


class _OutputProtocol(asyncio.BaseProtocol):
    """Notices that nobody reads our output any more."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.closed = asyncio.get_running_loop().create_future()

    def pause_writing(self) -> None:
        """Go on: the transport keeps what the client has not read, and there is nobody to slow down."""

    def resume_writing(self) -> None:
        """See pause_writing."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.closed.done():
            self.closed.set_result(None)
        self._sink.disconnected()


class Connection:
    """An open connection, and how to leave it."""

    def __init__(
        self, output: Output, transports: list[asyncio.BaseTransport], closed: asyncio.Future[None] | None
    ) -> None:
        self._output = output
        self._transports = transports
        self._closed = closed

    async def close(self, timeout_s: float) -> None:
        """Send what is left, waiting at most `timeout_s` for a client that does not read it."""
        self._output.close()
        if self._closed is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._closed), timeout_s)
        for transport in self._transports:
            transport.close()


async def open_stdio(sink: Sink, stdin_fd: int = 0, stdout_fd: int = 1) -> Connection:
    """Connect `sink` to the process's own stdin and stdout.

    Pipes, sockets and terminals are read by the event loop itself; the rest (files, /dev/null), and everything on
    Windows, by a thread that hands over whatever it got, one hop per read and not three per message.
    """
    loop = asyncio.get_running_loop()
    transports: list[asyncio.BaseTransport] = []
    closed: asyncio.Future[None] | None = None
    output: Output
    try:
        writer, noticed = await _connect_output(loop, sink, stdout_fd)
        output, closed = TransportOutput(writer), noticed.closed
        transports.append(writer)
    except (OSError, NotImplementedError):
        output = BlockingOutput(stdout_fd)
    sink.connected(output)
    for fd in (stdin_fd, stdout_fd):
        _widen(fd)
    try:
        transports.append(await _connect_input(loop, sink, stdin_fd))
    except (OSError, NotImplementedError):
        _read_in_thread(loop, sink, stdin_fd)
    return Connection(output, transports, closed)


def _widen(fd: int) -> None:
    """Let a pipe hold more than 64 KB: a large answer is then one write and one wake-up of the client, not a dozen."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # a socket; or this user's pipes hold too much already
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


async def _connect_output(
    loop: asyncio.AbstractEventLoop, sink: Sink, fd: int
) -> tuple[asyncio.WriteTransport, _OutputProtocol]:
    _refuse_what_cannot_be_polled(fd)
    pipe = os.fdopen(fd, "wb", buffering=0, closefd=False)
    return await loop.connect_write_pipe(lambda: _OutputProtocol(sink), pipe)


async def _connect_input(loop: asyncio.AbstractEventLoop, sink: Sink, fd: int) -> asyncio.ReadTransport:
    _refuse_what_cannot_be_polled(fd)
    pipe = os.fdopen(fd, "rb", buffering=0, closefd=False)
    transport, _ = await loop.connect_read_pipe(lambda: _InputProtocol(sink), pipe)
    return transport


def _refuse_what_cannot_be_polled(fd: int) -> None:
    # The proactor loop wants overlapped handles. The ones passed as stdio are not, which it notices late; and epoll
    # refuses what is always ready, when asyncio has already promised to read it.
    mode = os.fstat(fd).st_mode
    if sys.platform == "win32" or not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)):
        raise NotImplementedError


def _read_in_thread(loop: asyncio.AbstractEventLoop, sink: Sink, fd: int) -> None:
    def deliver(callback: Callable[[], None]) -> bool:
        try:
            loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop has been closed: nobody listens any more
            return False
        return True

    def read() -> None:
        # os.read and not sys.stdin.buffer: its lock, held by a daemon thread, aborts the interpreter at exit.
        while True:
            try:
                data = os.read(fd, 256 * 1024)
            except OSError:
                data = b""
            if not data:
                deliver(sink.disconnected)
                return
            if not deliver(lambda data=data: sink.received(data, more=False)):  # type: ignore[misc]
                return

    threading.Thread(target=read, name="goalmap-stdin", daemon=True).start()


async def accept_one(sink: Sink, host: str, port: int, listening: Callable[[str, int], None]) -> Connection:
    """Listen, tell `listening` the address, connect `sink` to the first client and stop listening."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[tuple[Output, asyncio.BaseTransport, _InputProtocol]] = loop.create_future()

    class _First(_InputProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if first.done():
                transport.close()
                return
            super().connection_made(transport)
            output = TransportOutput(cast("asyncio.WriteTransport", transport))
            sink.connected(output)
            first.set_result((output, transport, self))

        def data_received(self, data: bytes) -> None:
            if first.result()[2] is self:
                super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            if first.result()[2] is self:
                super().connection_lost(exc)

    server = await loop.create_server(lambda: _First(sink), host, port)
    address = server.sockets[0].getsockname()
    listening(address[0], address[1])
    try:
        output, transport, protocol = await first
    finally:
        server.close()
    return Connection(output, [transport], protocol.closed)
