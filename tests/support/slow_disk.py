"""A disk that hangs until the test says so, and a watch over the event loop: it must not wait for it.

No clock decides: a call of the server's to the disk comes back when the test has had the answers that must not need
it. Whether the event loop waited is told by the thread that a call is made on, and by a limit on how long a disk hangs.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from goalmap.files import os_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

SHUT_AT_MOST_S = 20.0
_CALLS = ("stat", "lstat", "open", "scandir", "listdir", "access", "mkdir", "unlink")


class SlowDisk:
    """All of a process' calls to the disk below `folder`, and by way of the commit's own layer; made by `slow_disk`.

    While it is `hanging`, those from other threads wait, and those from the thread of the event loop, which is that of
    the test, are put down in `from_the_loop`.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.from_the_loop: list[str] = []
        self.reached = threading.Event()
        self.never_opened = False
        self._where = ""
        self._folder = str(folder.resolve())
        self._loop_thread = threading.get_ident()
        self._open = threading.Event()
        self._open.set()
        for name in _CALLS:
            monkeypatch.setattr(os, name, self._tapped(name, getattr(os, name)))
        monkeypatch.setattr(os_layer, "try_lock", self._tapped("try_lock", os_layer.try_lock))

    @contextmanager
    def hanging(self, where: str = "") -> Iterator[None]:
        """Have every call to the disk hang that concerns a path below the folder `where`."""
        self._where = os.path.join(self._folder, where) if where else self._folder
        self.reached.clear()
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def _tapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(*arguments: Any, **options: Any) -> Any:
            if not self._open.is_set() and self._concerns(name, arguments, options):
                if threading.get_ident() == self._loop_thread:
                    self.from_the_loop.append(f"{name}{arguments}")
                else:
                    self.reached.set()
                    self.never_opened = not self._open.wait(SHUT_AT_MOST_S) or self.never_opened
            return call(*arguments, **options)

        return tapped

    def _concerns(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> bool:
        if name == "try_lock" or options.get("dir_fd") is not None:
            return self._where == self._folder
        path = os.fspath(arguments[0]) if arguments and isinstance(arguments[0], (str, os.PathLike)) else ""
        return path == self._where or path.startswith(self._where + os.sep)
