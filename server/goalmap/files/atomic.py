"""Atomic writes: new files that are complete before they get their name, and the replacement of the map."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goalmap.core.goal_map import parse
from goalmap.core.naming import MAP_NAME
from goalmap.files import os_layer, safe_open
from goalmap.files.errors import MapUnreadable
from goalmap.files.loader import MAX_MAP_BYTES
from goalmap.files.os_layer import CREATE_NEW, READ_WRITE
from goalmap.files.store import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from goalmap.core.goal_map import GoalMap
    from goalmap.files.os_layer import LibraryDir
    from goalmap.files.store import Store

_READ_TRIES = 8  # for a map that is missing or incomplete: half a second in all, each wait twice the last
_KEEPS_CHANGING_S = 15.0
_WRITER_WAIT_S = 0.5
_PAUSE_S = 0.002


def write_whole(folder: LibraryDir, name: str, data: bytes, *, mode: int = 0o600, like: MapState | None = None) -> None:
    """Write a new file, durably; replace a leftover of the same name, which must be ours. Its name is not made durable.

    `mode` is subject to the umask; with `like` the file gets the mode, owner and attributes of the one it will replace.
    """
    folder.unlink(name)
    fd = folder.open_file(name, CREATE_NEW, 0o600 if like else mode)
    try:
        os_layer.write_at(fd, data, 0)
        if like is not None:
            os_layer.copy_mode_and_owner(fd, like.status)
            with contextlib.closing(_Open(like.folder, like.name)) as source:
                os_layer.copy_attributes(source.fd, fd)
        os_layer.sync_file(fd)  # else a power cut after the rename leaves an empty file of the right name (I1, I2)
    except BaseException:
        os_layer.close(fd)
        with contextlib.suppress(OSError):
            folder.unlink(name)
        raise
    os_layer.close(fd)


class _Open:
    """A regular file, open for reading."""

    def __init__(self, folder: LibraryDir, name: str) -> None:
        self.fd = safe_open.open_regular(folder, name)

    def close(self) -> None:
        os_layer.close(self.fd)


@dataclass(frozen=True)
class MapState:
    """The map as it was read: its bytes and its status."""

    folder: LibraryDir
    name: str
    data: bytes
    status: os.stat_result

    @property
    def text(self) -> str:
        """Its text, with BOM and line ends: encoded again it is the same bytes."""
        return self.data.decode()

    def is_still(self, other: MapState) -> bool:
        """Whether `other` has the same bytes, mode and owner."""
        mode_and_owner = (self.status.st_mode, self.status.st_uid, self.status.st_gid)
        theirs = (other.status.st_mode, other.status.st_uid, other.status.st_gid)
        return self.data == other.data and mode_and_owner == theirs


class MapFile:
    """The library's `goal_map.json`, or the file in the library that it links to; the lock must be held.

    During a replacement two kinds of temporary files are beside it. `.goal_map.<tx>.new` is being written.
    `.goal_map.<tx>.<read>.<written>.tmp` is complete and ready to be exchanged with the map, or has been exchanged and
    is the old map. The two short hashes, of the text that was read and of the text that was written, tell which, and
    whether another program wrote the map in between.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parked = store.parked
        path = safe_open.inside(store.root, MAP_NAME)
        self.folder = safe_open.enter(store.root, os.path.dirname(path))
        self.name = os.path.basename(path)
        self._can_see_writers = True
        self._last_parsed: tuple[str, GoalMap] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.folder.close()

    # -- reading
    def parse(self, text: str) -> GoalMap:
        """Return `text` parsed. The last result is cached: parsing is the most expensive step of a commit."""
        if self._last_parsed is None or self._last_parsed[0] != text:
            self._last_parsed = (text, parse(text))
        return self._last_parsed[1]

    def read(self) -> MapState:
        """Return the map, which is valid JSON; raise MapUnreadable after half a second without one.

        Editors truncate the file and write it, git unlinks it and writes it: it may be complete in a moment.
        """
        for attempt in range(_READ_TRIES):
            state = self._look()
            problem = _problem(state)
            if state is not None and problem is None:
                return state
            if attempt < _READ_TRIES - 1:
                time.sleep(_PAUSE_S * 2**attempt)
        raise MapUnreadable(problem or "")

    def _look(self) -> MapState | None:
        try:
            file = _Open(self.folder, self.name)
        except FileNotFoundError:
            return None
        with contextlib.closing(file):
            status = os_layer.file_status(file.fd)
            return MapState(self.folder, self.name, os_layer.read_all(file.fd, cap_bytes=MAX_MAP_BYTES), status)

    # -- writing
    def replace(self, tx: str, edit: Callable[[str], str | None]) -> None:
        """Replace the map's text by `edit(text)`, durably; if `edit` returns None there is nothing to change.

        `edit` is called again whenever another program wrote the map meanwhile, and may raise to give up. What others
        write is never lost: it stays the map, or is kept in `parked/`, which `commit.let_go` reports (I7).
        """
        end_s = time.monotonic() + _KEEPS_CHANGING_S
        while True:
            self.settle(tx)
            base = self.read()
            wanted = edit(base.text)
            if wanted is None:
                self._sync_content()
                break
            if self._put(tx, base, wanted.encode()):
                if self._store.report.map_before is None:
                    self._store.report.map_before = base.text
                break
            if time.monotonic() > end_s:
                raise MapUnreadable(
                    f"{MAP_NAME} keeps changing; stop the program that writes it, then run `goalmap recover`"
                )
            time.sleep(_PAUSE_S)
        # THE COMMIT POINT: before this the old map may come back after a power cut.
        self.folder.sync()

    def _put(self, tx: str, base: MapState, wanted: bytes) -> bool:
        """Try once to replace `base` by `wanted`; return False where another program has written the map."""
        fresh = f".goal_map.{tx}.new"
        ready = f".goal_map.{tx}.{_short(base.data)}.{_short(wanted)}.tmp"
        try:
            write_whole(self.folder, fresh, wanted, like=base)
            # Only a complete file gets the name with the hashes: if it holds neither the text that we read nor the one
            # that we wrote, another program wrote it.
            self.folder.replace(fresh, self.folder, ready)
            # Nobody writes to this file: a file system that reports a writer of it reports one of every file.
            self._can_see_writers = not self._is_being_written(ready)
            fresh_map = self._look()
            if (
                fresh_map is None
                or not base.is_still(fresh_map)
                or self._is_being_written(self.name)
                or self._is_touched(fresh_map)
            ):
                self.folder.unlink(ready)
                return False
            # The map's name comes first, so the last event that a watcher of the folder gets is the map's creation. In
            # the other order it is the map's deletion, and VS Code's watcher, which merges events, reports nothing.
            if self.folder.exchange(self.name, ready):
                return self.settle(tx)
            # No exchange here. What another program writes between the last look and this line is lost, unnoticed.
            self.folder.replace(ready, self.folder, self.name)
        except FileNotFoundError:  # another program is replacing the map
            self.settle(tx)
            return False
        except OSError:
            with contextlib.suppress(OSError):
                self.settle(tx)  # the call may have failed before or after it took effect
            raise
        return True

    def _sync_content(self) -> None:
        """Make the map's bytes durable: an editor or an earlier run may have written them without an fsync."""
        fd = self.folder.open_file(self.name, READ_WRITE)
        try:
            os_layer.sync_file(fd)  # else a power cut undoes the editor's save, after the record is dropped (I3, I8)
        finally:
            os_layer.close(fd)

    def settle(self, tx: str) -> bool:
        """Remove the temporary files of `tx`; return False where one of them held the text of another program.

        That text becomes the map again if the map is still what we wrote. Otherwise another program has overwritten
        ours too, and the older of the two texts is parked. To be called before the map is read.
        """
        undisturbed = True
        for name in self.folder.names():
            if name == f".goal_map.{tx}.new":
                self.folder.unlink(name)
            elif match := re.fullmatch(rf"\.goal_map\.{tx}\.([0-9a-f]{{12}})\.([0-9a-f]{{12}})\.tmp", name):
                undisturbed &= self._settle_one(tx, name, read=match[1], written=match[2])
        return undisturbed

    def _settle_one(self, tx: str, name: str, *, read: str, written: str) -> bool:
        undisturbed = True
        while True:
            held, is_quiet = self._when_quiet(name, (read, written))
            if is_quiet and _short(held) in (read, written):
                self.folder.unlink(name)
                return undisturbed
            undisturbed = False
            current = safe_open.read_regular(self.folder, self.name, cap_bytes=MAX_MAP_BYTES)
            ours_is_there = current is not None and _short(current) == written
            if ours_is_there and _is_json(held) and self.folder.exchange(self.name, name):
                continue  # theirs is the map again; the file now holds ours, unless yet another program wrote
            parked = f"goal_map.{tx}.{_short(held)}.json"
            self.folder.replace(name, self._parked, parked)
            self._parked.sync()  # their edit is nowhere else (I7)
            self.folder.sync()  # else a power cut brings the file back, when no record identifies it any more (I3)
            return False

    def _when_quiet(self, name: str, expected: tuple[str, str]) -> tuple[bytes, bool]:
        """Return the file's bytes, and whether they are complete and nobody writes to it; wait half a second for it."""
        end_s = time.monotonic() + _WRITER_WAIT_S
        while True:
            # First look for a writer, then read: in the other order, bytes that are written in between would be lost.
            is_free = not self._is_being_written(name)
            data = safe_open.read_regular(self.folder, name, cap_bytes=MAX_MAP_BYTES) or b""
            is_quiet = is_free and (_short(data) in expected or _is_json(data))
            if is_quiet or time.monotonic() > end_s:
                return data, is_quiet
            time.sleep(_PAUSE_S)

    def _is_touched(self, state: MapState) -> bool:
        """Whether the map was written since it was read; reading it again takes longer, so it would notice less."""
        status, before = self.folder.lstat(self.name), state.status
        return status is None or (
            (status.st_ino, status.st_size, status.st_mtime_ns) != (before.st_ino, before.st_size, before.st_mtime_ns)
        )

    def _is_being_written(self, name: str) -> bool:
        """Whether a program has the file open for writing: after an exchange it would write to the old map."""
        if not self._can_see_writers:
            return False
        try:
            file = _Open(self.folder, name)
        except FileNotFoundError:
            return False
        with contextlib.closing(file):
            return os_layer.has_writer(file.fd)


def _short(data: bytes) -> str:
    return digest(data)[:12]


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _problem(state: MapState | None) -> str | None:
    """Return why the map cannot be changed now; None where it can."""
    if state is None:
        return f"{MAP_NAME} is missing; put it back"
    try:
        json.loads(state.data.decode().removeprefix("\ufeff"))
    except UnicodeDecodeError:
        return f"{MAP_NAME} is not UTF-8; save it as UTF-8"
    except ValueError as error:
        return f"{MAP_NAME} has a syntax error ({error}); repair it"
    except RecursionError:
        return f"{MAP_NAME} is nested too deeply"
    return None
