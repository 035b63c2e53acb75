"""A language server as a process, and a plain conversation with it: one message after the other, timed."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any, Self

Json = dict[str, Any]
TIMEOUT_S = 180.0
CAPABILITIES: Json = {
    "workspace": {"configuration": False, "workspaceFolders": True, "diagnostics": {"refreshSupport": True}},
    "textDocument": {
        "diagnostic": {},
        "publishDiagnostics": {"relatedInformation": True},
        "hover": {"contentFormat": ["markdown", "plaintext"]},
        "completion": {"completionItem": {"snippetSupport": True}},
        "definition": {"linkSupport": True},
        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
    },
}


class ServerFailedError(Exception):
    """The server ended, answered with an error, or did not answer in time."""


class Server:
    """A running server. Times are in ms; those of the processor are of all its threads."""

    def __init__(self, command: list[str], folder: Path) -> None:
        pipe = subprocess.PIPE
        self.started_s = time.perf_counter()
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, cwd=folder)
        self._buffer = bytearray()
        self._ids = 0
        self.capabilities: Json = {}
        self.read_s = self.started_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def cpu_ms(self) -> float:
        """Return the processor time used so far."""
        tasks = Path(f"/proc/{self._process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e6

    def peak_mb(self) -> float:
        """Return the largest resident size so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def notify(self, method: str, params: Any) -> float:
        """Send a notification; return when, in seconds."""
        return self._send({"method": method, "params": params})

    def request(self, method: str, params: Any) -> tuple[Any, float]:
        """Send a request; return its result, and the time until its last byte was there."""
        self._ids += 1
        sent_s = self._send({"id": self._ids, "method": method, "params": params})
        while True:
            message = self._receive(sent_s)
            if "method" not in message and message.get("id") == self._ids:
                if "error" in message:
                    raise ServerFailedError(f"{method}: {message['error']}")
                return message.get("result"), (self.read_s - sent_s) * 1e3

    def _send(self, message: Json) -> float:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        sent_s = time.perf_counter()
        try:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            self._process.stdin.flush()
        except OSError as error:
            raise ServerFailedError(f"ended with code {self._process.wait()}") from error
        return sent_s

    def _receive(self, since_s: float) -> Json:
        """Return the next message of the server; what it asks is answered with nothing."""
        while b"\r\n\r\n" not in self._buffer:
            self._fill(since_s)
        header, _, _ = self._buffer.partition(b"\r\n\r\n")
        length = int(bytes(header).lower().partition(b"content-length:")[2].split()[0])
        begin = len(header) + 4
        while len(self._buffer) < begin + length:
            self._fill(since_s)
        self.read_s = time.perf_counter()
        message: Json = json.loads(self._buffer[begin : begin + length])
        del self._buffer[: begin + length]
        if "method" in message and "id" in message:
            items = (message.get("params") or {}).get("items", [])
            result = [None] * len(items) if message["method"] == "workspace/configuration" else None
            self._send({"id": message["id"], "result": result})
        return message

    def _fill(self, since_s: float) -> None:
        assert self._process.stdout is not None
        left_s = since_s + TIMEOUT_S - time.perf_counter()
        if left_s <= 0 or not select.select([self._process.stdout], [], [], left_s)[0]:
            raise ServerFailedError(f"no answer within {TIMEOUT_S:.0f} s")
        data = os.read(self._process.stdout.fileno(), 1 << 20)
        if not data:
            raise ServerFailedError(f"ended with code {self._process.wait()}")
        self._buffer += data
