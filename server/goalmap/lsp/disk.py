"""Disk work beside the event loop: one thread for each library, so that a folder that hangs keeps nobody else waiting.

What is given to a `Disk` is done in turn, by one thread. The thread ends when it has had nothing to do for a while, and
a call that never returns does not keep the process from ending.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

_IDLE_S: Final = 10.0


class Late(Exception):
    """The disk has not answered in time: ask again when `answer` is there. Never leaves the server."""

    def __init__(self, answer: Answer[Any]) -> None:
        super().__init__("the disk has not answered yet")
        self.answer = answer


class Answer(Generic[T]):
    """What the disk says to one piece of work, once it does.

    A `concurrent.futures.Future` with less to it: making one, and waiting for it, takes as long as reading a file does.
    """

    __slots__ = ("_callbacks", "_error", "_lock", "_result", "_work", "has_begun", "is_done")

    def __init__(self, work: Callable[[], T]) -> None:
        self.has_begun = self.is_done = False
        self._work: Callable[[], T] | None = work
        self._result: T | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Answer[T]], Any]] = []
        # Held until it is done.
        self._lock = threading.Lock()
        self._lock.acquire()

    def result(self) -> T:
        """Return what the work returned, or raise what it raised; to be asked only when it is done."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is done, or time is over; return whether it is done."""
        if self._lock.acquire(timeout=timeout_s):
            self._lock.release()
        return self.is_done

    def when_done(self, call: Callable[[Answer[T]], Any]) -> None:
        """Call `call`, on whatever thread, as soon as it is done; more than one may be added, by one thread."""
        self._callbacks.append(call)
        if self.is_done:
            self._tell()

    def do(self) -> None:
        """Do the work."""
        work, self._work = self._work, None
        self.has_begun = True
        try:
            self._result = work() if work else None
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
            self._error = error
        self.is_done = True
        self._lock.release()
        self._tell()

    def _tell(self) -> None:
        # Whoever takes a callback out of the list calls it: both threads may be here.
        while self._callbacks:
            try:
                call = self._callbacks.pop(0)
            except IndexError:
                return
            call(self)


class Disk:
    """Does disk work, one piece after the other. `is_late`: somebody gave up waiting for what it is at."""

    def __init__(self) -> None:
        self.is_late = False
        self._work: queue.SimpleQueue[Answer[Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._has_thread = False

    def submit(self, work: Callable[[], T]) -> Answer[T]:
        """Have `work` done when all that was submitted before is done."""
        answer = Answer(work)
        with self._lock:
            self._work.put(answer)
            if not self._has_thread:
                self._has_thread = True
                # A daemon: the end of the process does not wait for a disk that hangs.
                threading.Thread(target=self._run, name="goalmap-disk", daemon=True).start()
        return answer

    def _run(self) -> None:
        while True:
            try:
                answer = self._work.get(timeout=_IDLE_S)
            except queue.Empty:
                with self._lock:
                    if self._work.empty():
                        self._has_thread = False
                        return
                continue
            answer.do()
            # Else what it holds, such as a whole reading of a map, would live until the next piece of work.
            del answer
            if self._work.empty():
                self.is_late = False


class Patience:
    """How long the event loop waits for disks: at most `limit_s` in one turn of the loop, all waits together.

    A disk that is not slow answers within that, and then whoever asked need not come back for the answer.
    `end_turn_soon` calls a function when the turn of the loop is over.
    """

    def __init__(self, limit_s: float, end_turn_soon: Callable[[Callable[[], None]], Any]) -> None:
        self.limit_s = limit_s
        self._end_turn_soon = end_turn_soon
        self._waited_s = 0.0

    def wait(self, disk: Disk, answer: Answer[Any]) -> bool:
        """Wait for `answer`, which is that of `disk`; return whether it is there."""
        left_s = self.limit_s - self._waited_s
        if answer.is_done or left_s <= 0 or disk.is_late:
            return answer.is_done
        if not self._waited_s:
            self._end_turn_soon(self._end_turn)
        began_s = time.monotonic()
        if not answer.wait(left_s):
            disk.is_late = True
            if answer.wait(0):  # after all, and its thread may have taken the mark back before it was set
                disk.is_late = False
        self._waited_s += time.monotonic() - began_s
        return answer.is_done

    def _end_turn(self) -> None:
        self._waited_s = 0.0
