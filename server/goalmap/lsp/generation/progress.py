"""Work-done progress that the server begins: shown and cancellable where the client can, silent elsewhere."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pygls.exceptions import JsonRpcException

from goalmap.core.text import visible
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.types import WorkDoneProgressBegin, WorkDoneProgressEnd, WorkDoneProgressReport

log = logging.getLogger(__name__)

# An editor redraws for every report, and nobody reads faster than this.
_REPORT_EVERY_S: Final = 0.1
_CREATE_TIMEOUT_S: Final = 5.0
_SHOWN_CHARACTERS: Final = 90


class _Report(NamedTuple):
    """What is to be shown next."""

    message: str | Callable[[], str]
    percentage: int | None

    def value(self) -> WorkDoneProgressReport:
        message = self.message() if callable(self.message) else self.message
        value: WorkDoneProgressReport = {"kind": "report", "message": message, "cancellable": True}
        if self.percentage is not None:
            value["percentage"] = self.percentage
        return value


class Progress:
    """One task in the editor's progress display."""

    def __init__(self, session: Session, token: str | None) -> None:
        """Use `begin`."""
        self._server = session.server
        self._token = token
        self._waiting: _Report | None = None
        self._pause: asyncio.TimerHandle | None = None

    @classmethod
    async def begin(cls, session: Session, title: str, cancel: Callable[[], Any]) -> Progress:
        """Show `title`; the user's cancel calls `cancel`."""
        token = f"goalmap-{uuid.uuid4().hex}"
        if not session.client.shows_progress:
            return cls(session, None)
        server = session.server
        try:
            await server.ask("window/workDoneProgress/create", {"token": token}, timeout_s=_CREATE_TIMEOUT_S)
        except (JsonRpcException, TimeoutError) as error:
            log.info("No progress: %s", error)
            return cls(session, None)
        server.on_progress_cancel(token, cancel)
        progress = cls(session, token)
        progress._send({"kind": "begin", "title": title, "cancellable": True})
        return progress

    def report(self, message: str | Callable[[], str], *, percentage: int | None = None) -> None:
        """Show `message`: at once, or, where one has just been shown, in a moment, unless a newer one comes first.

        A function is asked for the message when that is shown: most never are.
        """
        # A percentage stays until there is another: reports without one would leave it out of what is shown last.
        if percentage is None and self._waiting is not None:
            percentage = self._waiting.percentage
        self._waiting = _Report(message, percentage)
        if self._pause is None:
            self._flush()

    def end(self, message: str) -> None:
        """End the display with `message`."""
        if self._pause is not None:
            self._pause.cancel()
        if self._waiting is not None:
            self._send(self._waiting.value())
        self._send({"kind": "end", "message": message})
        if self._token:
            self._server.forget_progress(self._token)
            self._token = None

    def _flush(self) -> None:
        """Send what waits, if anything does, and hold back what comes in the next moment."""
        self._pause = None
        if self._waiting is not None:
            report, self._waiting = self._waiting, None
            self._send(report.value())
            self._pause = asyncio.get_running_loop().call_later(_REPORT_EVERY_S, self._flush)

    def _send(self, value: WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd) -> None:
        if self._token:
            self._server.notify("$/progress", {"token": self._token, "value": value})


class WordCount:
    """Counts the words of a text that comes in pieces, at the cost of each piece: as `len(text.split())` does."""

    def __init__(self) -> None:
        self.number = 0
        self._is_amid = False  # whether the text so far ends within a word

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        if not piece:
            return
        goes_on = self._is_amid and not piece[0].isspace()
        self.number += len(piece.split()) - goes_on
        self._is_amid = not piece[-1].isspace()


class WordsReporter:
    """Shows how much a model has written so far, and the end of it."""

    def __init__(self, progress: Progress, lead: str = "") -> None:
        self._progress = progress
        self._lead = lead
        self._words = WordCount()
        self._end = ""

    def chunk(self, text: str) -> None:
        """Show more."""
        self._words.feed(text)
        self._end = (self._end + text)[-2 * _SHOWN_CHARACTERS :]
        self._progress.report(self._message)

    def restarted(self) -> None:
        """Start over."""
        self._words, self._end = WordCount(), ""
        self._progress.report(f"{self._lead}once more, with another seed")

    def _message(self) -> str:
        words = self._words.number
        shown = visible(" ".join(self._end.split()))[-_SHOWN_CHARACTERS:]
        return f"{self._lead}{words} {'word' if words == 1 else 'words'} · …{shown}"
