"""The base protocol: message bodies out of a stream of bytes, and the streams of stdin, stdout and a socket.

Source: LSP 3.17, "Base Protocol". Nothing here knows JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable

# A length at the end of a line, whatever stands before it: a message may follow stray bytes directly. What ends in
# "-Content-Length" is another field.
CONTENT_LENGTH = re.compile(rb"(?<!-)content-length[ \t]*:(.*)$", re.IGNORECASE | re.DOTALL)
LENGTH = re.compile(rb"[ \t]*0{0,20}([0-9]{1,10})[ \t]*")
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*:")
# A header this long is not a header: somebody writes text into our stdin.
MAX_HEADER_BYTES = 8 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024
READ_BYTES = 256 * 1024  # what asyncio reads from a pipe at once
PIPE_BYTES = 1024 * 1024  # the most that Linux allows everybody
# Of a line that is too long, the end may be the beginning of a header.
_KEPT_BYTES = 64
_UNUSABLE = -1


class Framer:
    """Cut a byte stream into message bodies.

    A header's lines may end with a line feed alone. A header is unusable that is longer than MAX_HEADER_BYTES, or that
    says no length, one that is no number or above MAX_BODY_BYTES, or two different ones. After that, and after stray
    bytes, everything is skipped up to the next line that says a length.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched_bytes = 0  # of the buffer's beginning, which holds no line end
        self._body_bytes: int | None = None  # of the message whose header has been read
        self._header_bytes = 0  # of the header's lines so far
        self._lengths: set[int] = set()  # that they say
        self._is_skipping = False  # since something unusable, which has been reported

    @property
    def is_amid(self) -> bool:
        """Whether a message body is incomplete. A header alone is nothing to wait for: it may be stray bytes."""
        return self._body_bytes is not None

    def feed(self, data: bytes) -> list[bytes | None]:
        """Return the bodies that `data` completes; None stands for all that is skipped until the next of them."""
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
        """Take lines off the buffer; return whether they end with those of a usable header."""
        while (end := self._buffer.find(b"\n", self._searched_bytes)) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._searched_bytes = 0
            if self._take_line(line, bodies):
                return True
        if len(self._buffer) > MAX_HEADER_BYTES:
            del self._buffer[:-_KEPT_BYTES]
            self._skip(bodies)
        self._searched_bytes = len(self._buffer)
        return False

    def _take_line(self, line: bytes, bodies: list[bytes | None]) -> bool:
        """Take one line of a header; return whether it is the empty one that ends a usable header."""
        if not line:
            lengths = tuple(self._lengths)
            if len(lengths) != 1 or not 0 <= lengths[0] <= MAX_BODY_BYTES:
                self._skip(bodies)
                return False
            self._begin_header()
            self._is_skipping = False
            self._body_bytes = lengths[0]
            return True
        content_length = CONTENT_LENGTH.search(line)
        is_stray = content_length.start() > 0 if content_length else not FIELD.match(line)
        if is_stray or self._header_bytes + len(line) > MAX_HEADER_BYTES:
            self._skip(bodies)
        self._header_bytes += len(line)
        if content_length:
            length = LENGTH.fullmatch(content_length[1])
            self._lengths.add(int(length[1]) if length else _UNUSABLE)
        return False

    def _skip(self, bodies: list[bytes | None]) -> None:
        """Skip what was read since the last body, and report it once."""
        self._begin_header()
        if not self._is_skipping:
            self._is_skipping = True
            bodies.append(None)

    def _begin_header(self) -> None:
        self._header_bytes = 0
        self._lengths.clear()


class FileWriter:
    """Writes at once: for regular files, and for Windows, whose event loop cannot write to stdout's pipe.

    It has those methods of `asyncio.StreamWriter` that are used.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._closed = asyncio.get_running_loop().create_future()

    def write(self, data: bytes) -> None:
        """Write all of `data`; raise OSError when nobody reads it."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                # stdin and stdout may be one socket, and the read side made it non-blocking.
                select.select([], [self._fd], [])

    def close(self) -> None:
        """Write no more; the descriptor belongs to the process."""
        if not self._closed.done():
            self._closed.set_result(None)

    async def wait_closed(self) -> None:
        """Wait for `close`."""
        await self._closed


class Connection:
    """The two streams of one client. Without `input_fd`, a thread fills the reader."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | FileWriter, input_fd: int | None
    ) -> None:
        self._reader = reader
        self._input_fd = input_fd
        self.writer = writer

    async def batches(self) -> AsyncIterator[tuple[list[bytes | None], bool]]:
        """Yield the bodies that arrive together, and whether more are on their way already, until the stream ends.

        A stream that breaks ends there.
        """
        framer = Framer()
        while data := await self._read():
            bodies = framer.feed(data)
            yield bodies, framer.is_amid or self._has_more()
        yield [], False

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(READ_BYTES)
        except OSError:
            return b""

    async def wait_closed(self) -> None:
        """Wait until nothing can be sent any more, for whatever reason."""
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def _has_more(self) -> bool:
        return self._input_fd is not None and bool(select.select([self._input_fd], [], [], 0)[0])


async def open_stdio() -> Connection:
    """Return the connection of the process's own stdin and stdout.

    The event loop itself reads and writes pipes, sockets and terminals. What it cannot wait for (regular files,
    /dev/null, and everything on Windows) is read by a thread, and written at once.
    """
    loop = asyncio.get_running_loop()
    stdin_fd, stdout_fd = 0, 1
    for fd in (stdin_fd, stdout_fd):
        _widen(fd)
    writer: asyncio.StreamWriter | FileWriter
    if _can_be_polled(stdout_fd):
        # The protocol is for its notice that nobody reads our output any more; its reader never gets anything.
        nothing = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(nothing)
        transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(stdout_fd, "wb", 0, closefd=False))
        writer = asyncio.StreamWriter(transport, protocol, nothing, loop)
    else:
        writer = FileWriter(stdout_fd)
    reader = asyncio.StreamReader(READ_BYTES)
    if _can_be_polled(stdin_fd):
        pipe = os.fdopen(stdin_fd, "rb", 0, closefd=False)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        return Connection(reader, writer, stdin_fd)
    threading.Thread(target=_read_file, args=(stdin_fd, reader, loop), name="goalmap-stdin", daemon=True).start()
    return Connection(reader, writer, None)


def _widen(fd: int) -> None:
    """Let a pipe hold more than 64 KB: the diagnostics of a large map are then one write, and one wake-up each."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # a socket; or this user's pipes hold too much already
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _can_be_polled(fd: int) -> bool:
    # The proactor loop wants overlapped handles, which those passed as stdio are not; and epoll refuses what is always
    # ready. Both notice it late, when asyncio has already promised to read.
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd))


def _read_file(fd: int, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
    """Feed all that can be read from `fd` to `reader`; runs in a thread."""
    try:
        # os.read and not sys.stdin.buffer: its lock, held by a daemon thread, aborts the interpreter at exit.
        while data := _read_or_end(fd):
            loop.call_soon_threadsafe(reader.feed_data, data)
        loop.call_soon_threadsafe(reader.feed_eof)
    except RuntimeError:
        pass  # the loop has been closed: nobody listens any more


def _read_or_end(fd: int) -> bytes:
    try:
        return os.read(fd, READ_BYTES)
    except OSError:
        return b""


async def accept_one(host: str, port: int, listening: Callable[[str, int], None] | None = None) -> Connection:
    """Listen until a client connects; return the connection of this one.

    `listening` is called with the address once it is open, and the port that the system chose for port 0.
    """
    first: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first.done():
            writer.close()
        else:
            first.set_result(Connection(reader, writer, writer.get_extra_info("socket").fileno()))

    server = await asyncio.start_server(connected, host, port, limit=READ_BYTES)
    if listening:
        address = server.sockets[0].getsockname()
        listening(address[0], address[1])
    try:
        return await first
    finally:
        server.close()
