"""Recover a library for an editor, and report what a recovery did: to its buffer first, then to its user (I11)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from goalmap.files import recovery
from goalmap.files.errors import CommitError
from goalmap.files.store import has_records
from goalmap.lsp.enums import MessageType
from goalmap.lsp.generation.buffers import follow_disk
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.files.report import Report, Tell
    from goalmap.lsp import types

_HEARD_WITHIN_S: Final = 2.0


def teller(session: Session, library: LibraryState, *, own_tx: str = "") -> Tell:
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


def hear(session: Session, library: LibraryState, report: Report, *, own_tx: str = "") -> None:
    """Bring the buffer up to what is on disk, and show the user what was done beside what they asked for."""
    from goalmap.workflows import describe

    follow_disk(session, library, report)
    has_news = report.changes or report.finished or report.undone or report.parked or report.dropped
    report.finished = [done for done in report.finished if done.tx != own_tx]
    kind: types.MessageType = MessageType.WARNING if report.warnings or report.parked else MessageType.INFO
    for message in describe(report):
        session.show_message(kind, message)
    if has_news:
        session.refresh_and_publish(library)


async def recover(session: Session, library: LibraryState) -> None:
    """Finish what an earlier run left in a library; costs next to nothing where it left nothing."""
    if not await session.on_disk(library, partial(has_records, library.root)):
        return
    async with library.writing:
        try:
            await asyncio.to_thread(recovery.recover, library.root, tell=teller(session, library))
        except CommitError as error:
            session.log_message(MessageType.WARNING, str(error))
