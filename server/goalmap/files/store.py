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


class LockBusy(Exception):  # internal: becomes CommitRefused before a model was asked, else NotCommitted
    """Another process held the lock for the whole of the timeout."""

    def __init__(self) -> None:
        super().__init__("another Goalmap is at work in this library; try again when it is done")


class Store:
    """The library's folder and its `.goalmap`, open. Made by `locked`.

    `report` collects what is to be told about the time under the lock (report.py).
    """

    def __init__(self, root_path: str, stack: ExitStack, tell: Tell) -> None:
        from goalmap.files.report import Report  # late: `has_records` is on the way of every `check`

        self.root = stack.enter_context(LibraryDir.open(root_path))
        self.report = Report()
        self._told = Report()
        self._stack = stack
        self._tell = tell

    def tell(self) -> None:
        """Report what was not reported yet: before a record is dropped, and before the lock is released.

        The process may die at any system call. Recovery reports again what a record still holds; so everything is
        reported at least once, and exactly once if no process dies (I11).
        """
        if not self.report.is_empty:
            report, self.report = self.report, type(self.report)()
            self._told.add(report)
            self._tell(report)

    @property
    def finished(self) -> list[Committed]:
        """The commits of earlier runs that were finished under this lock, reported or not."""
        return [*self._told.finished, *self.report.finished]

    @property
    def texts_parked(self) -> list[Parked]:
        """The texts of earlier runs that were parked under this lock, reported or not."""
        return [*self._told.parked, *self.report.parked]

    @property
    def undone(self) -> list[str]:
        """The undos of earlier runs that were finished under this lock, reported or not."""
        return [*self._told.undone, *self.report.undone]

    def enter(self, folder: LibraryDir) -> LibraryDir:
        """Return `folder`, which is closed together with this store."""
        return self._stack.enter_context(folder)

    def open_state(self) -> None:
        """Open `.goalmap` and its folders; make them where they, or the mark of their durability, are missing."""
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

    `tell` gets a report of what else happened under the lock, also where the block raises.

    The system releases the lock when its holder dies. Its file stays: if it were removed, two processes could each lock
    a file of their own. If another program removes it (`git clean`), the process that holds the lock of the removed
    file notices and starts over.
    """
    end_s = time.monotonic() + timeout_s
    while True:
        with ExitStack() as stack:
            store = Store(root_path, stack, tell)
            store.open_state()
            # First the head of the queue, then the lock: a process that has just released the lock finds the head
            # taken, and cannot take the lock again before those that wait.
            head = _wait_for(store.state, _QUEUE, end_s)
            try:
                fd = _wait_for(store.state, _LOCK, end_s)
            finally:
                os_layer.close(head)
            stack.callback(os_layer.close, fd)  # which releases the lock; last in, so first out
            with store.root.child(STATE) as fresh:
                status = fresh.lstat(_LOCK)
            if status is not None and os.path.samestat(status, os_layer.file_status(fd)):
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
            # Ever more often: backing off, as is usual, would starve the process that has waited longest.
            poll_s = max(_FASTEST_POLL_S, poll_s * 0.95)
    except BaseException:
        os_layer.close(fd)
        raise
    return fd


def has_records(root_path: str) -> bool:
    """Whether the library at `root_path` may have records: two cheap calls, made at every start of a server."""
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
    """Return the folder for texts that could not be saved in their library: in the user's state folder."""
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
    import hashlib  # late: 4 ms

    return hashlib.sha256(data).hexdigest()
