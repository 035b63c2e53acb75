"""Reading libraries from disk: where they are, what is in their folders, and the text of a component.

Nothing here writes. Every read is of a regular file below a size limit, opened so that no FIFO or device can block it.
"""

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from goalmap.core.library import Fault, Folder, Library
from goalmap.core.naming import COMPONENTS, MAP_NAME

MAX_COMPONENT_BYTES = 1 << 20
MAX_MAP_BYTES = 64 << 20

# Folders in which tools keep copies and caches.
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages"})
_MAX_DEPTH = 12
# A folder that changed within this time may change again without a new time stamp ("racily clean", as git calls it).
RACY_NS = 2_000_000_000


class Unreadable(OSError):
    """A file cannot be read as text; `reason` completes "components/x.txt …"."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(errno.EINVAL, reason, path)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} {self.reason}"


# Without O_NONBLOCK the open of a FIFO waits for a writer, for ever.
_TO_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


# -- text of files ---------------------------------------------------------------------------------------------------
def read_bytes(path: str, *, limit_bytes: int) -> bytes:
    """Return the content of a regular file; raise `Unreadable` with a reason for a person."""
    try:
        descriptor = os.open(path, _TO_READ)
    except OSError as error:
        raise Unreadable(path, _why(error)) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable(path, "is a folder" if stat.S_ISDIR(status.st_mode) else "is not a regular file")
        if status.st_size > limit_bytes:
            raise Unreadable(path, f"is larger than {_size(limit_bytes)}")
        # A buffer of the file's size: allocating a megabyte takes four times as long as opening and reading.
        block_bytes = min(max(status.st_size, 1 << 12), 1 << 20)
        chunk = os.read(descriptor, block_bytes)
        if len(chunk) == status.st_size:
            return chunk  # complete: no need to read until the end
        data = bytearray(chunk)
        while chunk and len(data) != status.st_size:
            chunk = os.read(descriptor, block_bytes)
            data += chunk
            if len(data) > limit_bytes:
                raise Unreadable(path, f"is larger than {_size(limit_bytes)}")
        return bytes(data)
    except OSError as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(path, _why(error)) from error
    finally:
        os.close(descriptor)


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "may not be read: check its permissions"
    if isinstance(error, IsADirectoryError):
        return "is a folder"
    if error.errno == errno.ELOOP:
        return "is a link that leads back to itself"
    return f"cannot be read: {error.strerror or error}"


def _size(limit_bytes: int) -> str:
    return f"{limit_bytes >> 20} MiB"


def decode(data: bytes, path: str) -> str:
    """Return `data` as text; raise `Unreadable` where it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(
            path, f"is not UTF-8 (byte 0x{data[error.start]:02x} in line {line}): save it as UTF-8"
        ) from None


def component_text(text: str) -> str:
    """Return a component's text as it goes into prompts: without a byte order mark, its line ends as `\\n`."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def read_component(root: str, path: str) -> str:
    """Return the text of the component at `path`, relative to `root`; raise `Unreadable`."""
    full = os.path.join(root, path)
    try:
        is_elsewhere = leaves_library(root, full)
    except ValueError:
        raise Unreadable(path, "is no name that a file can have") from None
    if is_elsewhere:
        raise Unreadable(path, "is a link that leaves the library")
    return _read_inside(full, path)


def _read_inside(full: str, path: str) -> str:
    """Return the text of the component at `full`, which is known to be inside of the library."""
    try:
        return component_text(decode(read_bytes(full, limit_bytes=MAX_COMPONENT_BYTES), path))
    except Unreadable as error:
        raise Unreadable(path, error.reason) from error


def leaves_library(root: str, full_path: str) -> bool:
    """Whether links on the way lead from `full_path` to a place outside the library's folder."""
    if _has_no_link(root, full_path):
        return False  # nearly always, and much faster
    real_root = os.path.realpath(root)
    real = os.path.realpath(full_path)
    return real != real_root and not real.startswith(real_root.rstrip(os.sep) + os.sep)


def _has_no_link(root: str, full_path: str) -> bool:
    """Whether nothing below `root` on the way to `full_path` can be a link."""
    if os.sep != "/" or not full_path.startswith(f"{root}/"):
        return False  # Windows has junctions, which are not links and lead elsewhere too
    path = root
    for part in full_path[len(root) + 1 :].split("/"):
        path = f"{path}/{part}"
        try:
            if part == ".." or stat.S_ISLNK(os.lstat(path).st_mode):
                return False
        except OSError:
            return False
    return True


# -- libraries -------------------------------------------------------------------------------------------------------
def find_maps(top: str) -> Iterator[str]:
    """Yield the paths of all maps below `top`, parents first, in order of their names.

    Hidden folders (`.git`, `.history`, …) and folders of packages hold copies, not libraries.
    """
    pending = [(top, 0)]
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(folder) as entries:
                by_name = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        folders = []
        for entry in by_name:
            if entry.name == MAP_NAME:
                yield entry.path
            elif entry.name != COMPONENTS and not entry.name.startswith(".") and entry.name not in _SKIPPED_FOLDERS:
                try:
                    if depth < _MAX_DEPTH and entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, depth + 1))
                except OSError:
                    continue
        pending.extend(reversed(folders))


def map_of(path: str) -> str | None:
    """Return the map whose library holds `path`: beside it, or in the nearest folder above."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    while True:
        candidate = os.path.join(folder, MAP_NAME)
        if os.path.lexists(candidate):
            return candidate
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


class _Listing(NamedTuple):
    """What a folder on disk held when its time stamp was `stamp_ns`."""

    stamp_ns: tuple[int, int]
    seen_ns: int
    files: list[str]
    folders: list[str]
    links: list[str]
    odd: list[str]


class LibraryLoader:
    """Keeps the snapshot of one library up to date, reading again only the folders whose time stamps changed."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._listings: dict[str, _Listing] = {}
        self._contents: dict[str, tuple[tuple[int, ...], Fault | None]] = {}
        self._library: Library | None = None
        self._faults: Mapping[str, Fault] = {}

    def load(self) -> Library:
        """Return the current snapshot; the same object as last time where nothing changed."""
        top = os.path.join(self.root, COMPONENTS)
        listings: dict[str, _Listing] = {}
        changed = self._visit(top, COMPONENTS, listings)
        if self._library is not None and not changed and listings.keys() == self._listings.keys():
            return self._library
        self._listings = listings
        folders: dict[str, Folder] = {}
        faults: dict[str, Fault] = {}
        old = self._library.folders if self._library else {}
        for name in listings[COMPONENTS].folders if COMPONENTS in listings else ():
            path = f"{COMPONENTS}/{name}"
            listing = listings.get(path)
            if listing is not None and MAP_NAME in listing.files:
                continue  # another library, as further below
            if listing is not None and not (listing.folders or listing.links or listing.odd):
                files = frozenset(listing.files)  # as most folders are
            else:
                files = frozenset(self._files_below(path, "", listings, faults))
            before = old.get(path)
            folders[path] = before if before is not None and before.files == files else Folder(path, files)
        self._faults = faults
        self._library = Library(self.root, folders, {**faults, **self._known_faults(folders)})
        return self._library

    def _visit(self, full: str, path: str, listings: dict[str, _Listing]) -> bool:
        """List `path` and the folders below it into `listings`; return whether any changed."""
        pending = [(full, path)]
        changed = False
        while pending:
            full, path = pending.pop()
            try:
                status = os.stat(full)
            except OSError:
                continue
            stamp = (status.st_mtime_ns, status.st_ino)
            known = self._listings.get(path)
            if known is None or known.stamp_ns != stamp or known.seen_ns - stamp[0] < RACY_NS:
                fresh = _list_folder(full, stamp)
                if fresh is None:
                    continue
                changed = changed or known is None or _differs(known, fresh)
                known = fresh
            listings[path] = known
            pending.extend((os.path.join(full, name), f"{path}/{name}") for name in known.folders)
        return changed

    def _files_below(
        self, path: str, prefix: str, listings: dict[str, _Listing], faults: dict[str, Fault]
    ) -> Iterator[str]:
        pending = [(path, prefix)]
        while pending:
            path, prefix = pending.pop()
            listing = listings.get(path)
            if listing is None or (prefix and MAP_NAME in listing.files):
                continue  # a folder with a map of its own is another library
            yield from (listing.files if not prefix else [prefix + name for name in listing.files])
            for name in listing.links:
                full = os.path.join(self.root, path, name)
                if os.path.isdir(full) and not leaves_library(self.root, full):
                    continue  # a folder by another name: its files are found under their own
                yield prefix + name
                if leaves_library(self.root, full):
                    faults[f"{path}/{name}"] = Fault("outside", "is a link that leaves the library")
                elif not os.path.exists(full):
                    faults[f"{path}/{name}"] = Fault("unreadable", "is a link to a file that does not exist")
            for name in listing.odd:
                yield prefix + name
                faults[f"{path}/{name}"] = Fault("unreadable", "is not a regular file")
            for name in listing.folders:
                # No component, and not missing either: a reference may name it by mistake.
                faults[f"{path}/{name}"] = Fault("unreadable", "is a folder")
                pending.append((f"{path}/{name}", f"{prefix}{name}/"))

    # -- contents ----------------------------------------------------------------------------------------------------
    def _known_faults(self, folders: Mapping[str, Folder]) -> dict[str, Fault]:
        return {
            path: fault
            for path, (_, fault) in self._contents.items()
            if fault is not None and _in_folders(path, folders)
        }

    def examine(self, paths: Iterable[str]) -> Library:
        """Look into the files at `paths` and return the snapshot that knows which are empty or unreadable.

        The folders are not listed again: `load` does that. A file is read again only when its size, time or inode
        changed. Returns the same object where nothing did.
        """
        library = self._library if self._library is not None else self.load()
        changed = False
        # A file that is no link lies where its folder does; finding out where that is costs more than the rest.
        is_inside: dict[str, bool] = {}
        for path in paths:
            if path in self._faults:
                continue
            full = f"{self.root}/{path}"
            folder = path.rpartition("/")[0]
            try:
                if folder not in is_inside:
                    is_inside[folder] = not leaves_library(self.root, os.path.join(self.root, folder))
                status = os.lstat(full)
                is_link = stat.S_ISLNK(status.st_mode)
                status = os.stat(full) if is_link else status
            except (OSError, ValueError):  # the latter for a NUL in a name, which JSON may hold
                changed = self._contents.pop(path, (None, None))[1] is not None or changed
                continue
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode)
            known = self._contents.get(path)
            if known is None or known[0] != stamp or time.time_ns() - stamp[0] < RACY_NS:
                fault = self._examine_file(path, is_inside=is_inside[folder] and not is_link)
                changed = changed or fault != (known[1] if known else None)
                self._contents[path] = (stamp, fault)
        if changed:
            self._library = Library(self.root, library.folders, {**self._faults, **self._known_faults(library.folders)})
        return self._library if self._library is not None else library

    def _examine_file(self, path: str, *, is_inside: bool) -> Fault | None:
        try:
            if is_inside:
                text = decode(read_bytes(f"{self.root}/{path}", limit_bytes=MAX_COMPONENT_BYTES), path)
            else:
                text = read_component(self.root, path)
        except Unreadable as error:
            return Fault("unreadable", error.reason)
        return None if text.removeprefix("\ufeff").strip() else Fault("empty", "is empty")


def _in_folders(path: str, folders: Mapping[str, Folder]) -> bool:
    top, _, rest = path.partition("/")
    name, _, file = rest.partition("/")
    folder = folders.get(f"{top}/{name}")
    return folder is not None and file in folder.files


def _list_folder(full: str, stamp: tuple[int, int]) -> _Listing | None:
    listing = _Listing(stamp, time.time_ns(), [], [], [], [])
    try:
        with os.scandir(full) as entries:
            for entry in entries:
                name = entry.name
                if name[0] == ".":
                    continue
                try:
                    if entry.is_file(follow_symlinks=False):
                        listing.files.append(name)
                    elif entry.is_symlink():
                        listing.links.append(name)
                    elif entry.is_dir(follow_symlinks=False):
                        listing.folders.append(name)
                    else:
                        listing.odd.append(name)
                except OSError:
                    listing.odd.append(name)
    except OSError:
        return None
    return listing


def _differs(one: _Listing, other: _Listing) -> bool:
    return (
        set(one.files) != set(other.files)
        or set(one.folders) != set(other.folders)
        or set(one.links) != set(other.links)
        or set(one.odd) != set(other.odd)
        or bool(other.links)  # what a link leads to may have changed although the folder did not
    )
