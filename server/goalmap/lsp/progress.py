"""Work-done progress that the server begins: shown and cancellable where the client can, silent elsewhere."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from pygls.exceptions import JsonRpcException

from goalmap.lsp.server import GoalmapServer

log = logging.getLogger(__name__)

# An editor redraws for every report, and nobody reads faster than this.
_REPORT_EVERY_S = 0.1
_CREATE_TIMEOUT_S = 5.0


class Progress:
    """One task in the editor's progress display."""

    def __init__(self, server: GoalmapServer, token: str | None) -> None:
        """Use `begin`."""
        self._server = server
        self._token = token
        self._reported_s = 0.0

    @classmethod
    async def begin(cls, server: GoalmapServer, title: str, cancel: Callable[[], Any]) -> Progress:
        """Show `title`; the user's cancel calls `cancel`."""
        token = f"goalmap-{uuid.uuid4().hex}"
        try:
            if not server.client_capability("window.workDoneProgress"):
                return cls(server, None)
            await server.ask("window/workDoneProgress/create", {"token": token}, timeout_s=_CREATE_TIMEOUT_S)
        except (JsonRpcException, TimeoutError) as error:
            log.info("No progress: %s", error)
            return cls(server, None)
        server.on_progress_cancel(token, cancel)
        progress = cls(server, token)
        progress._send({"kind": "begin", "title": title, "cancellable": True})
        return progress

    def report(self, message: str) -> None:
        """Show `message`, unless the last one has just been shown."""
        now = time.monotonic()
        if now - self._reported_s >= _REPORT_EVERY_S:
            self._reported_s = now
            self._send({"kind": "report", "message": message, "cancellable": True})

    def end(self, message: str) -> None:
        """End the display with `message`."""
        self._send({"kind": "end", "message": message})
        if self._token:
            self._server.forget_progress(self._token)
            self._token = None

    def _send(self, value: dict[str, Any]) -> None:
        if self._token:
            self._server.notify("$/progress", {"token": self._token, "value": value})
