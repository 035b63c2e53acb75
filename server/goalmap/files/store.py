"""The folder `.goalmap` beside the map: its lock, its journal, what was parked, and receipts.

.goalmap/.gitignore       "*"; written last, so its presence says that all of this is durable
.goalmap/lock             the lock of the map, see `locked`
.goalmap/journal/*.gmj    records of what is under way (journal.py)
.goalmap/receipts/*.gmj   records of the last commits, for undo
.goalmap/parked/          texts that found no place in the library
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from goalmap.files import os_layer
from goalmap.files.os_layer import OPEN_OR_CREATE, LibraryDir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from goalmap.files.report import Committed, Parked, Tell

STATE = ".goalmap"
JOURNAL = "journal"
PARKED = "parked"
RECEIPTS = "receipts"
LOCK_WAIT_S = 20.0  # for another process that works in the library
_LOCK = "lock"
_MARK = ".gitignore"
_QUEUE = "lock.next"
_SLOWEST_POLL_S, _FASTEST_POLL_S = 0.008, 0.001


class LockBusy(Exception):  # becomes CommitRefused or NotCommitted, by whether something was paid for
    """Another process worked in the library for the whole of the time that we were ready to wait."""

    def __init__(self) -> None:
        super().__init__("another Goalmap is at work in this library; try again when it is done")


class Store:
    """The library's folder and its `.goalmap`, open. Made by `locked`.

    `report` collects what is to be told about the time under the lock, see report.py.
    """

    def __init__(self, root_path: str, stack: ExitStack, tell: Tell) -> None:
        from goalmap.files.report import Report  # late: `has_records` is on the way of every `check`

        self.root = stack.enter_context(LibraryDir.open(root_path))
        self.report = Report()
        self._told = Report()
        self._stack = stack
        self._tell = tell

    def tell(self) -> None:
        """Tell what was not told yet: before a record goes that would tell it again, and before the lock is released.

        The process may die at any call of the system. What is told here first and removed then is told at least once;
        without a death, exactly once (I11).
        """
        if not self.report.is_empty:
            report, self.report = self.report, type(self.report)()
            self._told.add(report)
            self._tell(report)

    @property
    def finished(self) -> list[Committed]:
        """The commits of earlier runs that were finished under this lock, told or not."""
        return [*self._told.finished, *self.report.finished]

    @property
    def texts_parked(self) -> list[Parked]:
        """The texts that were parked under this lock, told or not, but for those of the caller's own."""
        return [*self._told.parked, *self.report.parked]

    @property
    def undone(self) -> list[str]:
        """The undos of earlier runs that were finished under this lock, told or not."""
        return [*self._told.undone, *self.report.undone]

    def enter(self, folder: LibraryDir) -> LibraryDir:
        """Have `folder` closed together with this store."""
        return self._stack.enter_context(folder)

    def open_state(self) -> None:
        """Open `.goalmap` and its folders; make them where they, or the mark that they are durable, are missing."""
        self.root.make(STATE, 0o700)
        self.state = self.enter(self.root.child(STATE))
        mark = self.state.lstat(_MARK)
        if mark is None or mark.st_size == 0:
            for name in (JOURNAL, PARKED, RECEIPTS):
                self.state.make(name, 0o700)
            # A record that is durable in a folder that is not would be lost with it (I4, I5).
            self.state.sync()
            self.root.sync()
            fd = self.state.open_file(_MARK, OPEN_OR_CREATE)
            try:
                os_layer.write_at(fd, b"*\n", 0)
            finally:
                os_layer.close(fd)
        self.journal = self.subfolder(JOURNAL)
        self.parked = self.subfolder(PARKED)
        self.receipts = self.subfolder(RECEIPTS)

    @property
    def root_path(self) -> str:
        """The library's folder, as it was given."""
        return self.root.path

    def subfolder(self, name: str) -> LibraryDir:
        """Open a folder of `.goalmap`, making it anew if somebody removed it."""
        if self.state.make(name, 0o700):
            self.state.sync()  # as in `open_state`
        return self.enter(self.state.child(name))


@contextmanager
def locked(root_path: str, *, timeout_s: float, tell: Tell) -> Iterator[Store]:
    """Open the library at `root_path` and hold its lock; raise LockBusy after `timeout_s`.

    `tell` is called with what happened meanwhile beside what was asked for, also where the block raises.

    The lock is released by the death of its holder. Its file stays: removing it would let two processes each lock a
    file of their own. Should somebody else remove it (`git clean`), whoever got the lock of the removed file
    starts over.
    """
    end_s = time.monotonic() + timeout_s
    while True:
        with ExitStack() as stack:
            store = Store(root_path, stack, tell)
            store.open_state()
            # First the place at the head of the queue, then the lock: whoever has just let go of the lock finds
            # somebody at the head, and cannot take it again and again from those who wait.
            head = _wait_for(store.state, _QUEUE, end_s)
            try:
                fd = _wait_for(store.state, _LOCK, end_s)
            finally:
                os_layer.close(head)
            stack.callback(os_layer.close, fd)  # which releases the lock; last in, so first out
            with store.root.child(STATE) as fresh:
                there = fresh.lstat(_LOCK)
            if there is not None and os.path.samestat(there, os_layer.file_status(fd)):
                try:
                    yield store
                finally:
                    store.tell()
                return


def _wait_for(folder: LibraryDir, name: str, end_s: float) -> int:
    """Open the file `name` and return its descriptor once its lock is ours; raise LockBusy at `end_s`."""
    fd = folder.open_file(name, OPEN_OR_CREATE)
    try:
        poll_s = _SLOWEST_POLL_S
        while not os_layer.try_lock(fd):
            if time.monotonic() >= end_s:
                raise LockBusy  # noqa: TRY301 - closed below
            time.sleep(poll_s)
            # Ever more often: backing off, as is usual, starves whoever has waited longest.
            poll_s = max(_FASTEST_POLL_S, poll_s * 0.95)
    except BaseException:
        os_layer.close(fd)
        raise
    return fd


def has_records(root_path: str) -> bool:
    """Whether records may wait for the library at `root_path`: two looks at the disk, at every server start."""
    if _has_entries(os.path.join(root_path, STATE, JOURNAL)):
        return True
    return os_layer.exists(fallback_home()) and _has_entries(fallback_folder(root_path))


def _has_entries(path: str) -> bool:
    try:
        with LibraryDir.open(path) as folder:
            return bool(folder.names())
    except OSError:
        return False


def fallback_home() -> str:
    """Return where texts are saved that found no place in their library: in the user's own state folder."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "goalmap", "saved")


def fallback_folder(root_path: str) -> str:
    """Return the folder below `fallback_home` that belongs to the library at `root_path`."""
    return os.path.join(fallback_home(), digest(os.fsencode(os_layer.resolve(root_path)))[:16])


def open_fallback(root_path: str) -> LibraryDir:
    """Open `fallback_folder`, making it, durably, where it is missing."""
    path = fallback_folder(root_path)
    above, missing = path, []
    while not os_layer.exists(above):
        above, name = os.path.split(above)
        missing.append(name)
    folder = LibraryDir.open(above)
    for name in reversed(missing):
        with folder as parent:
            parent.make(name, 0o700)
            parent.sync()  # a text in a folder that is not durable would be lost with it (I4)
            folder = parent.child(name)
    return folder


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    import hashlib  # 4 ms that a server start does not need

    return hashlib.sha256(data).hexdigest()
