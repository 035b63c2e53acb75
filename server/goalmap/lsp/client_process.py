"""Notice the end of the client's process, even if somebody else keeps our stdin open. Source: LSP 3.17, `processId`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

POLL_S = 5.0


def watch(pid: object, ended: Callable[[], None]) -> None:
    """Call `ended` on the running loop when the process `pid` ends.

    A process that cannot be seen now is not watched: the client may live in another container.
    """
    # os.kill(pid, 0) ends processes on Windows; there the end of stdin has to do.
    if not isinstance(pid, int) or pid <= 0 or sys.platform == "win32" or not _is_alive(pid):
        return
    loop = asyncio.get_running_loop()
    if hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            pass
        else:
            loop.add_reader(descriptor, _close_and_call, loop, descriptor, ended)
            return
    loop.call_later(POLL_S, _poll, loop, pid, ended)


def _close_and_call(loop: asyncio.AbstractEventLoop, descriptor: int, ended: Callable[[], None]) -> None:
    loop.remove_reader(descriptor)
    os.close(descriptor)
    ended()


def _poll(loop: asyncio.AbstractEventLoop, pid: int, ended: Callable[[], None]) -> None:
    if _is_alive(pid):
        loop.call_later(POLL_S, _poll, loop, pid, ended)
    else:
        ended()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
