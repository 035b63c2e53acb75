"""Disk work beside the event loop: one thread for each library, so that a folder that hangs keeps nobody else waiting.

What is given to a `Disk` is done in turn, by one thread. The thread ends when it has had nothing to do for a while, and
a call that never returns does not keep the process from ending.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

T = TypeVar("T")

_IDLE_S: Final = 10.0


class Late(Exception):
    """The disk has not answered in time: ask again when `future` is done. Never leaves the server."""

    def __init__(self, future: Future[Any]) -> None:
        super().__init__("the disk has not answered yet")
        self.future = future


class Disk:
    """Does disk work, one piece after the other. `is_late`: somebody gave up waiting for what it is at."""

    def __init__(self) -> None:
        self.is_late = False
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._has_thread = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have `work` done when all that was submitted before is done."""
        future: Future[T] = Future()
        with self._lock:
            self._work.put((future, work))
            if not self._has_thread:
                self._has_thread = True
                # A daemon: the end of the process does not wait for a disk that hangs.
                threading.Thread(target=self._run, name="goalmap-disk", daemon=True).start()
        return future

    def _run(self) -> None:
        while True:
            try:
                future, work = self._work.get(timeout=_IDLE_S)
            except queue.Empty:
                with self._lock:
                    if self._work.empty():
                        self._has_thread = False
                        return
                continue
            future.set_running_or_notify_cancel()
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
                future.set_exception(error)
            else:
                future.set_result(result)
            if self._work.empty():
                self.is_late = False
            # Else what it holds, such as a whole reading of a map, would live until the next piece of work.
            del future, work
            result = None


class Patience:
    """How long the event loop waits for disks: at most `limit_s` in one turn of the loop, all waits together.

    A disk that is not slow answers within that, and then whoever asked need not come back for the answer.
    `end_turn_soon` calls a function when the turn of the loop is over.
    """

    def __init__(self, limit_s: float, end_turn_soon: Callable[[Callable[[], None]], Any]) -> None:
        self.limit_s = limit_s
        self._end_turn_soon = end_turn_soon
        self._waited_s = 0.0

    def wait(self, disk: Disk, future: Future[Any]) -> bool:
        """Wait for `future`, which `disk` is to do; return whether it is done."""
        left_s = self.limit_s - self._waited_s
        if future.done() or left_s <= 0 or disk.is_late:
            return future.done()
        if not self._waited_s:
            self._end_turn_soon(self._end_turn)
        began_s = time.monotonic()
        try:
            future.exception(left_s)
        except TimeoutError:
            disk.is_late = True
            if future.done():  # after all, and its thread may have taken the mark back before it was set
                disk.is_late = False
        self._waited_s += time.monotonic() - began_s
        return future.done()

    def _end_turn(self) -> None:
        self._waited_s = 0.0
