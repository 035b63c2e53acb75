"""Tell an editor what happened in a library beside what was asked for: its buffer first, then its user (I11)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Final

from goalmap.lsp.buffers import follow_disk
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.files.report import Report, Tell

_HEARD_WITHIN_S: Final = 2.0
_WARNING: Final = 2
_INFO: Final = 3


def teller(session: Session, library: OpenLibrary, *, own_tx: str = "") -> Tell:
    """Return the function that a lock on `library` is taken with. To be called on the event loop.

    `own_tx` is a record that is finished as part of something else, whose outcome says so.
    The function runs in the thread that holds the lock, and returns once the event loop has sent the messages: only
    then is the record removed that would have them told again after a death.
    """
    loop = asyncio.get_running_loop()

    def tell(report: Report) -> None:
        heard = threading.Event()

        def hear_now() -> None:
            try:
                hear(session, library, report, own_tx=own_tx)
            finally:
                heard.set()

        with contextlib.suppress(RuntimeError):  # the loop is closed: there is no editor any more
            loop.call_soon_threadsafe(hear_now)
            heard.wait(_HEARD_WITHIN_S)

    return tell


def hear(session: Session, library: OpenLibrary, report: Report, *, own_tx: str = "") -> None:
    """Bring the buffer up to what is on disk, and show the user what was done beside what they asked for."""
    from goalmap.workflows import describe

    follow_disk(session, library, report)
    has_news = report.changes or report.finished or report.undone or report.parked or report.dropped
    report.finished = [done for done in report.finished if done.tx != own_tx]
    kind = _WARNING if report.warnings or report.parked else _INFO
    for message in describe(report):
        session.server.notify("window/showMessage", {"type": kind, "message": message})
    if has_news:
        session.look(library)
        session.touch(library)
        session.on_idle()
