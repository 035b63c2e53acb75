"""The one place where operating systems differ, and the only one of this package that calls the disk.

Everything else works through a `LibraryDir`: a directory held by its descriptor, so that nobody can swap it for another
(or for a link) between a check and the use of what was checked. Where there are no such descriptors (Windows) the same
methods work on paths.

`PLATFORM` says what this system can do. Tests put another one in its place, and count, fail and record the calls by
giving this module another `os`; so no other module of the commit may call `os` for anything on the disk (a test looks).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, TypeVar

from goalmap.files import platforms

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

Result = TypeVar("Result")

PLATFORM = platforms.THIS

# Absent on Windows, where they are not needed (no FIFOs in the way) or cannot be had.
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | _NOFOLLOW
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _COMMON  # non-blocking: opening a FIFO must not wait for its writer
READ_WRITE = os.O_RDWR | getattr(os, "O_NONBLOCK", 0) | _COMMON
CREATE_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | _COMMON
OPEN_OR_CREATE = os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | _COMMON

# What a file system answers that does not know the call, or not for this kind of file.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
# Some sandboxes answer EPERM to calls that they do not know; for links, FAT does.
_REFUSED_CALL = _UNSUPPORTED | {errno.EPERM}
_NO_HARD_LINKS = _REFUSED_CALL | {errno.EMLINK, errno.EACCES}


class LibraryDir:
    """An open directory. `path` is for messages, and for systems without descriptors of directories."""

    def __init__(self, path: str, fd: int | None) -> None:
        self.path = path
        self._descriptor = fd
        self._is_open = True

    @property
    def _fd(self) -> int | None:
        # A closed directory must not be taken for a path without a descriptor, whose fsync does nothing.
        if not self._is_open:
            raise ValueError(f"the folder {self.path} is closed")
        return self._descriptor

    @classmethod
    def open(cls, path: str) -> LibraryDir:
        """Open the directory at `path`, following links: this is how a library's own folder is entered."""
        if PLATFORM.has_dir_fd:
            return cls(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", path)
        return cls(path, None)

    def child(self, name: str) -> LibraryDir:
        """Open the directory `name` in this one; a link in its place is refused with an OSError."""
        path = os.path.join(self.path, name)
        if self._fd is not None:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            return LibraryDir(path, os.open(name, flags, dir_fd=self._fd))
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "a link, or not a folder", path)
        return LibraryDir(path, None)

    def close(self) -> None:
        """Close the directory; may be called again."""
        if self._is_open and self._descriptor is not None:
            os.close(self._descriptor)
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _at(self, name: str) -> str:
        return name if self._fd is not None else os.path.join(self.path, name)

    # -- reading
    def names(self) -> list[str]:
        """Return the names in this folder, sorted: the order of work must not depend on the file system."""
        return sorted(os.listdir(self._fd if self._fd is not None else self.path))

    def lstat(self, name: str) -> os.stat_result | None:
        """Return what `name` is, itself and not what it links to; None where there is nothing."""
        try:
            return os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def is_writable(self, name: str = ".") -> bool:
        """Whether this user may write to `name`; not a promise that it works."""
        return os.access(self._at(name), os.W_OK, dir_fd=self._fd)

    def open_file(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open `name` and return its descriptor. `flags` is one of READ, READ_WRITE, CREATE_NEW, OPEN_OR_CREATE."""
        if not PLATFORM.has_dir_fd and not _NOFOLLOW and os.path.islink(self._at(name)):
            raise OSError(errno.ELOOP, "a link", os.path.join(self.path, name))
        return _retry_while_busy(lambda: os.open(self._at(name), flags, mode, dir_fd=self._fd))

    # -- changing
    def make(self, name: str, mode: int = 0o777) -> bool:
        """Create the directory `name`; False where there is something of that name."""
        try:
            os.mkdir(self._at(name), mode, dir_fd=self._fd)
        except FileExistsError:
            return False
        return True

    def unlink(self, name: str) -> None:
        """Remove the file `name`, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            _retry_while_busy(lambda: os.unlink(self._at(name), dir_fd=self._fd))

    def replace(self, name: str, target: LibraryDir, new_name: str) -> None:
        """Rename the file `name` to `new_name` in `target`, replacing what is there."""
        _retry_while_busy(
            lambda: os.replace(self._at(name), target._at(new_name), src_dir_fd=self._fd, dst_dir_fd=target._fd)
        )
        if target is not self:
            # A power cut may leave half of a rename between folders: two links to one file. For those rename(2) does
            # nothing, and reports success.
            self.unlink(name)

    def move_new(self, name: str, new_name: str) -> bool:
        """Rename the file `name` to `new_name`, never over another file; return False where that name is taken."""
        try:
            if self._rename_with_flag(name, new_name, PLATFORM.no_clobber_flag):
                return True
            if PLATFORM is platforms.WINDOWS:
                _retry_while_busy(
                    lambda: os.rename(self._at(name), self._at(new_name))
                )  # refuses a taken name by itself
                return True
            try:
                os.link(self._at(name), self._at(new_name), src_dir_fd=self._fd, dst_dir_fd=self._fd)
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                if self.lstat(new_name) is not None:
                    return False
                # Neither the flag nor hard links (FAT, some FUSE): what appears between look and rename is lost.
                os.rename(self._at(name), self._at(new_name), src_dir_fd=self._fd, dst_dir_fd=self._fd)
                return True
        except FileExistsError:
            return False
        self.unlink(name)
        return True

    def exchange(self, name: str, other: str) -> bool:
        """Exchange two names in one step; False where this system or file system has no such call."""
        return self._rename_with_flag(name, other, PLATFORM.exchange_flag)

    def _rename_with_flag(self, name: str, new_name: str, flag: int) -> bool:
        if PLATFORM.rename_call is None or self._fd is None:
            return False
        try:
            rename_with_flag(self._fd, name, new_name, flag)
        except OSError as error:
            if error.errno in _REFUSED_CALL:
                return False
            raise
        return True

    def sync(self) -> None:
        """Make the names in this directory durable. A comment at each call says why."""
        if not PLATFORM.syncs_folders or self._fd is None:
            return
        try:
            _full_sync(self._fd)
        except OSError as error:
            # Some network and FUSE file systems have no fsync of directories, and nothing in its place. No error is
            # hidden: a disk that fails answers EIO.
            if error.errno not in _UNSUPPORTED:
                raise


def rename_with_flag(folder_fd: int, name: str, new_name: str, flag: int) -> None:
    """Call this system's rename with flags, which Python does not offer; raise OSError as `os.rename` would."""
    import ctypes  # late: 3 ms

    call = getattr(ctypes.CDLL(None, use_errno=True), PLATFORM.rename_call or "", None)
    if call is None:  # an older C library
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), new_name)
    if call(folder_fd, os.fsencode(name), folder_fd, os.fsencode(new_name), flag) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new_name)


def _retry_while_busy(call: Callable[[], Result]) -> Result:
    """Return what `call` returns; on Windows, where scanners hold fresh files, try for up to half a second."""
    end_s = time.monotonic() + PLATFORM.busy_wait_s
    while True:
        try:
            return call()
        except PermissionError:
            if time.monotonic() >= end_s:
                raise
            time.sleep(0.01)


# -- descriptors of files
def close(fd: int) -> None:
    """Close `fd`."""
    os.close(fd)


def file_status(fd: int) -> os.stat_result:
    """Return what `fd` is open on."""
    return os.fstat(fd)


def read_all(fd: int, *, cap_bytes: int, offset: int = 0) -> bytes:
    """Return what the file holds from `offset` on; raise EFBIG beyond `cap_bytes`."""
    os.lseek(fd, offset, os.SEEK_SET)
    data = bytearray()
    while block := os.read(fd, 1 << 20):
        data += block
        if len(data) > cap_bytes:
            raise OSError(errno.EFBIG, f"larger than {cap_bytes} bytes")
    return bytes(data)


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`."""
    os.lseek(fd, offset, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def truncate(fd: int, size_bytes: int) -> None:
    """Cut the file to `size_bytes`. It saves room and nothing depends on it, so a refusal is ignored."""
    with contextlib.suppress(OSError):
        os.ftruncate(fd, size_bytes)


def sync_file(fd: int) -> None:
    """Make the file's bytes durable. After a failure they may be gone from memory too: never call it again to retry."""
    _full_sync(fd)


def _full_sync(fd: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        try:
            # fsync on macOS stops at the drive's cache (Apple, fsync(2)).
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in _UNSUPPORTED | {errno.ENOTTY}:
                raise
        else:
            return
    os.fsync(fd)


def allocate(fd: int, size_bytes: int) -> None:
    """Take disk space for the file now, so that a full disk shows before something is paid for. Filled with NUL."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, size_bytes)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise


def copy_mode_and_owner(fd: int, like: os.stat_result) -> None:
    """Give the file the mode, owner and group of `like`; raise OSError where that is not allowed."""
    if not PLATFORM.has_modes:
        return
    own = os.fstat(fd)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(fd, like.st_uid, like.st_gid)
    os.fchmod(fd, stat.S_IMODE(like.st_mode))  # after chown, which clears bits


def may_copy_owner(like: os.stat_result) -> bool:
    """Whether this user could give a new file the owner and group of `like`."""
    if not PLATFORM.has_modes:
        return True
    return os.geteuid() == 0 or (
        like.st_uid == os.geteuid() and (like.st_gid == os.getegid() or like.st_gid in os.getgroups())
    )


def copy_attributes(source_fd: int, target_fd: int) -> None:
    """Copy access control lists and other extended attributes, where the system has them and lets us."""
    if not hasattr(os, "listxattr"):
        return
    try:
        for name in os.listxattr(source_fd):
            os.setxattr(target_fd, name, os.getxattr(source_fd, name))
    except OSError as error:
        if error.errno not in _REFUSED_CALL | {errno.EACCES, errno.ENODATA}:
            raise


def has_writer(fd: int) -> bool:
    """Whether another open file can still write to this one, which must be open for reading; False where unknown.

    Linux grants a read lease only on files that nobody has open for writing (fcntl(2), "Leases").
    """
    if sys.platform != "linux":
        return False
    import fcntl
    import signal

    try:
        # Should somebody open the file in this instant, the kernel signals us: by one that is ignored, not by SIGIO.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def try_lock(fd: int) -> bool:
    """Take the exclusive lock of an open file; False while another open file has it. It ends with its descriptor.

    flock or LockFileEx, by way of filelock, which knows what each answers to contention. It is given a descriptor of
    ours rather than a path, since it would follow the path anew.
    """
    from filelock import lock_descriptor  # late: 60 ms

    return lock_descriptor(fd, blocking=False)


def resolve(path: str) -> str:
    """Return `path` with all its links followed."""
    return os.path.realpath(path)


def exists(path: str) -> bool:
    """Whether there is something at `path`."""
    return os.path.lexists(path)


def stamp(path: str) -> tuple[int, int] | None:
    """Return when what is at `path` changed last, and which file or folder it is; None where there is nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
