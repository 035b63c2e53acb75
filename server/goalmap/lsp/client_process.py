"""Notice the end of the client's process, even if somebody else keeps our stdin open. Source: LSP 3.17, `processId`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable

log = logging.getLogger(__name__)

POLL_S = 5.0


def watch(pid: object, ended: Callable[[], None]) -> None:
    """Call `ended` on the running loop when the process `pid` ends.

    A process that cannot be seen now is not watched: the client may live in another container.
    """
    # os.kill(pid, 0) ends processes on Windows; there the end of stdin has to do.
    if not isinstance(pid, int) or pid <= 0 or sys.platform == "win32" or not _is_alive(pid):
        return
    loop = asyncio.get_running_loop()

    def gone() -> None:
        log.warning("The client's process %d is gone", pid)
        ended()

    def poll() -> None:
        if _is_alive(pid):
            loop.call_later(POLL_S, poll)
        else:
            gone()

    def descriptor_is_ready(descriptor: int) -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        gone()

    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # only Linux has it
        loop.call_later(POLL_S, poll)
    else:
        loop.add_reader(descriptor, descriptor_is_ready, descriptor)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
