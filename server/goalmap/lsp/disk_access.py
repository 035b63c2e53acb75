"""The event loop's way to the disk: it waits a moment in each turn, and whatever takes longer comes back by itself.

Each library has a thread for its disk work (`lsp.disk`). A disk that is not slow has answered within the loop's
patience. A request that cannot be answered without what the disk has to say is handled again when that is there: see
`DiskAccess.answering`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from goalmap.lsp.disk import Answer, Disk, Late, Patience

if TYPE_CHECKING:
    from goalmap.lsp.library_state import Refresh

# How long the event loop waits for disks in one turn: longer than any that is not slow takes, too short to be felt.
PATIENCE_S: Final = 0.04

P = ParamSpec("P")
T = TypeVar("T")


class Request:
    """A request that is being answered: what the disk has said for it, or is going to."""

    def __init__(self) -> None:
        self.asked: dict[Any, Answer[Any]] = {}
        self.refreshes: dict[str, Refresh] = {}
        self.texts: dict[str, str | None] = {}


class DiskAccess:
    """Waits for disks on behalf of the event loop. `request` is the one that is being answered, if any is."""

    def __init__(self) -> None:
        self.request: Request | None = None
        self.patience = Patience(PATIENCE_S, self._call_soon)
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Know the event loop, which is the running one."""
        self._loop = asyncio.get_running_loop()

    def answering(self, handler: Callable[P, T]) -> Callable[P, T | Awaitable[T]]:
        """Return `handler` as a request's handler that waits for slow disks without holding up others.

        Within it, what the disk must be asked for raises `Late` where it does not answer at once; then `handler` is
        called again, with the same arguments, when the answer is there. So it must change nothing that may not be
        changed twice.
        """

        @wraps(handler)
        def answer(*arguments: P.args, **named: P.kwargs) -> T | Awaitable[T]:
            request = Request()
            try:
                return self._handle(request, lambda: handler(*arguments, **named))
            except Late as late:
                return self._handle_later(request, lambda: handler(*arguments, **named), late)

        return answer

    def _handle(self, request: Request, handle: Callable[[], T]) -> T:
        outer, self.request = self.request, request
        try:
            return handle()
        finally:
            self.request = outer

    async def _handle_later(self, request: Request, handle: Callable[[], T], late: Late) -> T:
        while True:
            await self._until_done(late.answer)
            try:
                return self._handle(request, handle)
            except Late as again:
                late = again

    def ask(self, where: Disk, key: Any, work: Callable[[], T]) -> T:
        """Return what `work`, done once for a request and known to it by `key`, says of the disk; see `answering`."""
        if self.request is None:
            return work()  # there is nobody to come back to with the answer
        answer = self.request.asked.get(key)
        if answer is None:
            answer = self.request.asked[key] = where.submit(work)
        self.require(where, answer)
        return cast("T", answer.result())

    def require(self, where: Disk, answer: Answer[Any]) -> None:
        """Raise `Late` unless `answer` is there within the loop's patience."""
        if not self.wait(where, answer):
            raise Late(answer)

    def wait(self, where: Disk, answer: Answer[Any]) -> bool:
        """Wait for `answer` as long as the loop's patience lasts; return whether it is there."""
        return self.patience.wait(where, answer)

    async def done(self, answer: Answer[T]) -> T:
        """Return what the disk answers, however long that takes."""
        await self._until_done(answer)
        return answer.result()

    async def _until_done(self, answer: Answer[Any]) -> None:
        # Not asyncio.wrap_future: who gives up waiting must not take away what others wait for too.
        done = asyncio.Event()
        self.when_done(answer, lambda _: done.set())
        await done.wait()

    def when_done(self, answer: Answer[T], call: Callable[[Answer[T]], Any]) -> None:
        """Call `call`, on the event loop, when `answer` is done; never, where the server ends before."""

        def tell(done: Answer[T]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(call, done)

        answer.when_done(tell)

    def _call_soon(self, call: Callable[[], Any]) -> None:
        self._loop.call_soon(call)
