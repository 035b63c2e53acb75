"""An event loop, threads, and what they wait for each other with: all wait by giving up their turn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import warnings
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from .scheduler import FOREVER, Actor, Hub, Killed, Process


class Loop(asyncio.BaseEventLoop):
    """The event loop of a simulated process; the part that waits for sockets waits for other actors instead."""

    def __init__(self, hub: Hub, process: Process) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._hub = hub
        self._process = process
        self._actor: Actor | None = None  # while it waits
        self._is_woken = False
        self._selector = self
        self._tasks: list[asyncio.Task[Any]] = []
        self._threads = Threads(hub, process, 32)
        self.set_task_factory(self._new_task)  # type: ignore[arg-type]
        process.loops.append(self)

    def _new_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
        self._tasks.append(task)
        return task

    def time(self) -> float:
        """Return the virtual time."""
        return self._hub.now_s

    def select(self, timeout: float | None) -> list[Any]:
        """Wait as long as there is nothing to do."""
        if self._is_woken or timeout == 0:
            self._hub.point()
        else:
            self._actor = self._hub.current
            try:
                self._hub.wait(FOREVER if timeout is None else self._hub.now_s + timeout)
            finally:
                self._actor = None
        self._is_woken = False
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        self._is_woken = True
        if self._actor is not None:
            self._actor.wake()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Run in a thread, which is an actor."""
        return asyncio.wrap_future((executor or self._threads).submit(func, *args), loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep quiet about what a kill leaves behind."""
        if not self._process.is_dead:
            super().call_exception_handler(context)

    def end(self) -> None:
        """Cancel what is left, wait for its end, and close."""
        if self._process.is_dead:
            return
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.close()

    def bury(self) -> None:
        """End the coroutines of a process that was killed, so that none of them wakes up later in another one."""
        logging.disable()  # what cleans up finds that nothing works any more, and says so
        with warnings.catch_warnings(), contextlib.suppress(BaseException):
            warnings.simplefilter("ignore", RuntimeWarning)  # about what nobody will ever await
            for task in self._tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - a dead one
                    with contextlib.suppress(BaseException):
                        task.get_coro().close()  # type: ignore[union-attr]
            self._tasks.clear()
            self.close()
        logging.disable(logging.NOTSET)


def run(hub: Hub, main: Coroutine[Any, Any, Any]) -> Any:
    """Do what `asyncio.run` does."""
    assert hub.current is not None
    loop = Loop(hub, hub.current.process)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.end()


class Threads:
    """What of `ThreadPoolExecutor` is used; its threads are actors of the process that made it."""

    def __init__(self, hub: Hub, process: Process, most: int) -> None:
        self._hub = hub
        self._process = process
        self._most = most
        self._busy = 0
        self._work: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = deque()
        self._waiting: list[Actor] = []
        self._is_shut = False

    def submit(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Have `call` run."""
        if self._process.is_dead:
            raise Killed
        if self._is_shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[Any] = Future()
        self._work.append((future, call, args, kwargs))
        if self._busy < self._most:
            self._busy += 1
            self._hub.start(self._process, "thread", self._run)
        return future

    def _run(self) -> None:
        while self._work:
            future, call, args, kwargs = self._work.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call(*args, **kwargs)
            except Killed:
                raise
            except BaseException as error:  # noqa: BLE001 - as a pool does
                future.set_exception(error)
            else:
                future.set_result(result)
            self._hub.point()
        self._busy -= 1
        for actor in self._waiting:
            actor.wake()

    def shutdown(self, wait: bool = True, **_: Any) -> None:  # noqa: FBT002 - as a pool has it
        """Take no more work; perhaps wait for what there is."""
        self._is_shut = True
        while wait and self._busy:
            assert self._hub.current is not None
            self._waiting.append(self._hub.current)
            self._hub.wait()


class Waiting:
    """What actors wait for until it holds. Each of the following has one."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._actors: list[Actor] = []

    def until(self, holds: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait; return whether it holds in the end."""
        end_s = FOREVER if timeout_s is None or timeout_s < 0 else self._hub.now_s + timeout_s
        actor = self._hub.current
        assert actor is not None
        while not holds():
            if self._hub.now_s >= end_s:
                return False
            self._actors.append(actor)
            try:
                self._hub.wait(end_s)
            finally:
                if actor in self._actors:
                    self._actors.remove(actor)
        return True

    def look_again(self) -> None:
        """Have whoever waits look."""
        for actor in self._actors:
            actor.wake()


class Lock:
    """As `threading.Lock`."""

    def __init__(self, hub: Hub) -> None:
        self._waiting = Waiting(hub)
        self._is_held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT002 - as a lock has it
        """Take it."""
        if self._waiting.until(lambda: not self._is_held, timeout if blocking else 0):
            self._is_held = True
            return True
        return False

    def release(self) -> None:
        """Give it back."""
        self._is_held = False
        self._waiting.look_again()

    def locked(self) -> bool:
        """Whether somebody has it."""
        return self._is_held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Event:
    """As `threading.Event`."""

    def __init__(self, hub: Hub) -> None:
        self._waiting = Waiting(hub)
        self._is_set = False

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it."""
        self._is_set = True
        self._waiting.look_again()

    def clear(self) -> None:
        """Take that back."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set."""
        return self._waiting.until(lambda: self._is_set, timeout)


class Queue:
    """As `queue.SimpleQueue`."""

    def __init__(self, hub: Hub) -> None:
        self._waiting = Waiting(hub)
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        """Add something."""
        self._items.append(item)
        self._waiting.look_again()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT002 - as a queue has it
        """Take the next one; raise Empty."""
        if not self._waiting.until(lambda: bool(self._items), timeout if block else 0):
            raise queue.Empty
        return self._items.popleft()

    def empty(self) -> bool:
        """Whether there is none."""
        return not self._items

    def qsize(self) -> int:
        """How many there are."""
        return len(self._items)


class Thread:
    """As `threading.Thread`, which is never joined here."""

    def __init__(self, hub: Hub, target: Callable[..., Any], args: tuple[Any, ...] = (), **_: Any) -> None:
        assert hub.current is not None
        self._hub, self._process = hub, hub.current.process
        self._act = lambda: target(*args)

    def start(self) -> None:
        """Begin."""
        self._hub.start(self._process, "thread", self._act)
