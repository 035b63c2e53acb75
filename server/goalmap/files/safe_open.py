"""Opening files and folders of a library safely: no link that leaves it, no swapped folder, only regular files."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from goalmap.files import os_layer
from goalmap.files.errors import SlotChanged
from goalmap.files.os_layer import READ, LibraryDir

if TYPE_CHECKING:
    from collections.abc import Iterator


class Outside(SlotChanged):
    """A link on the path leaves the library."""


def inside(root: LibraryDir, path: str) -> str:
    """Return `path`, which is relative to `root`, with its links followed; raise Outside where they leave the library.

    What is returned has no links in it, so walking it without following any finds out if one appears in between.
    """
    base = os_layer.resolve(root.path)
    full = os_layer.resolve(os.path.join(base, path))
    if full != base and not full.startswith(base.rstrip(os.sep) + os.sep):
        raise Outside(f"{path} is a link that leaves the library; replace it by a folder or file of its own")
    return os.path.relpath(full, base)


def _parts(path: str) -> Iterator[str]:
    return (part for part in path.split(os.sep) if part not in ("", "."))


def enter(root: LibraryDir, path: str, *, make: bool = False, thorough: bool = False) -> LibraryDir:
    """Open the folder at `path`, relative to `root`. `make` creates what is missing, durably.

    `thorough` makes the folders that are there durable too: a run that was killed may have made them.
    """
    folder = root.child(".")
    try:
        for part in _parts(inside(root, path)):
            parent = folder
            with parent:
                made = make and parent.lstat(part) is None and parent.make(part)
                if made or thorough:
                    parent.sync()  # else a power cut takes the new folder, and the component in it (I2)
                folder = parent.child(part)
    except BaseException:
        folder.close()
        raise
    return folder


def nearest(root: LibraryDir, path: str) -> tuple[LibraryDir, bool]:
    """Open the folder at `path`, or the nearest one above it that exists; also return whether it is `path` itself."""
    folder = root.child(".")
    try:
        for part in _parts(inside(root, path)):
            if folder.lstat(part) is None:
                return folder, False
            parent = folder
            with parent:
                folder = parent.child(part)
    except BaseException:
        folder.close()
        raise
    return folder, True


def open_regular(folder: LibraryDir, name: str) -> int:
    """Open the regular file `name` for reading; raise OSError for links, folders, FIFOs and devices."""
    fd = folder.open_file(name, READ)
    mode = os_layer.file_status(fd).st_mode
    if not stat.S_ISREG(mode):
        os_layer.close(fd)
        raise OSError(errno.EINVAL, "not a regular file; remove what is in its place", os.path.join(folder.path, name))
    return fd


def read_regular(folder: LibraryDir, name: str, *, cap_bytes: int) -> bytes | None:
    """Return the bytes of the regular file `name`; None where there is nothing; raise OSError for anything else."""
    try:
        fd = open_regular(folder, name)
    except FileNotFoundError:
        return None
    try:
        return os_layer.read_all(fd, cap_bytes=cap_bytes)
    finally:
        os_layer.close(fd)
