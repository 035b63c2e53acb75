"""Whole files or none: new files that are complete before they get their name, and the replacement of the map."""

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

_LOOKS = 8  # for a map that is missing or half: half a second in all, each wait twice the last
_KEEPS_CHANGING_S = 15.0
_WRITER_WAIT_S = 0.5
_PAUSE_S = 0.002


def write_whole(folder: LibraryDir, name: str, data: bytes, *, mode: int = 0o600, like: MapState | None = None) -> None:
    """Write a new file, durably; over a leftover of the same name, which must be ours. Its name is not made durable.

    `mode` is subject to the umask; `like` gives mode, owner and attributes of a file that the new one will replace.
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
    """The map at one moment."""

    folder: LibraryDir
    name: str
    data: bytes
    status: os.stat_result

    @property
    def text(self) -> str:
        """Its text with BOM and line ends; encoding it again gives the same bytes."""
        return self.data.decode()

    def is_still(self, other: MapState) -> bool:
        """Whether `other` has the same bytes, mode and owner."""
        looks = (self.status.st_mode, self.status.st_uid, self.status.st_gid)
        return self.data == other.data and looks == (other.status.st_mode, other.status.st_uid, other.status.st_gid)


class MapFile:
    """The library's `goal_map.json`, or the file in the library that it links to; the lock must be held.

    Replacing it leaves two kinds of temporary files beside it, for the time of a few calls:
    `.goal_map.<tx>.new` is being written; `.goal_map.<tx>.<read>.<written>.tmp` is complete and ready to be exchanged,
    or has been exchanged and is what the map was. The two short hashes, of what we read and of what we wrote, tell
    which, and whether somebody wrote the map in between.
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
        """Return the reading of `text`, which is most often the one that was read last: parsing is what costs most."""
        if self._last_parsed is None or self._last_parsed[0] != text:
            self._last_parsed = (text, parse(text))
        return self._last_parsed[1]

    def read(self) -> MapState:
        """Return the map, which is whole and valid JSON; raise MapUnreadable.

        Editors truncate and write, and git unlinks and writes: what is missing or half may be whole in a moment.
        """
        for look in range(_LOOKS):
            state = self._look()
            problem = _problem(state)
            if state is not None and problem is None:
                return state
            if look < _LOOKS - 1:
                time.sleep(_PAUSE_S * 2**look)
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
        """Put `edit(text)` in the place of the map's text, durably; None from `edit` says that all is done already.

        `edit` is asked again whenever somebody else wrote the map meanwhile, and may raise to give up. What others
        write is never lost: it stays the map's text, or a file among the parked ones, which `commit.let_go` tells (I7).
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
        """Try once to put `wanted` in the place of `base`; False where somebody else was faster."""
        fresh = f".goal_map.{tx}.new"
        ready = f".goal_map.{tx}.{_short(base.data)}.{_short(wanted)}.tmp"
        try:
            write_whole(self.folder, fresh, wanted, like=base)
            # Only a whole file gets the name that says what is in it: what is found there later and is neither what we
            # read nor what we wrote was written by somebody else.
            self.folder.replace(fresh, self.folder, ready)
            # Nobody writes to this file; a file system that says so of it says so of all.
            self._can_see_writers = not self._is_being_written(ready)
            now = self._look()
            if now is None or not base.is_still(now) or self._is_being_written(self.name) or self._is_touched(now):
                self.folder.unlink(ready)
                return False
            # The map's name first: whoever watches the folder then hears last that the map has come. The other way
            # round it hears last that the map has gone, and VS Code's watcher, which sums up, says nothing at all.
            if self.folder.exchange(self.name, ready):
                return self.settle(tx)
            # No such call here. Whoever writes between the last look and this line loses, and nothing can tell.
            self.folder.replace(ready, self.folder, self.name)
        except FileNotFoundError:  # the map is gone for a moment
            self.settle(tx)
            return False
        except OSError:
            with contextlib.suppress(OSError):
                self.settle(tx)  # the call may have failed before or after it took effect: look which
            raise
        return True

    def _sync_content(self) -> None:
        """Make the map's bytes durable, which an editor or an earlier run may have left in memory."""
        fd = self.folder.open_file(self.name, READ_WRITE)
        try:
            os_layer.sync_file(fd)  # else a power cut takes the editor's save, after the record is gone (I3, I8)
        finally:
            os_layer.close(fd)

    def settle(self, tx: str) -> bool:
        """Remove the temporary files of `tx`; False where one of them held what somebody else had written.

        That goes back to be the map if the map is still what we wrote; otherwise somebody wrote over ours too, and the
        older of the two is parked. To be called before believing what the map says.
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
                continue  # theirs is the map again; what came out is ours, unless yet another one wrote
            parked = f"goal_map.{tx}.{_short(held)}.json"
            self.folder.replace(name, self._parked, parked)
            self._parked.sync()  # their edit is in no other place (I7)
            self.folder.sync()  # else a power cut brings the file back, when no record tells any more whose it is (I3)
            return False

    def _when_quiet(self, name: str, expected: tuple[str, str]) -> tuple[bytes, bool]:
        """Return what the file holds once it is whole and nobody writes to it; after half a second in any case."""
        end_s = time.monotonic() + _WRITER_WAIT_S
        while True:
            # First who writes, then what is there: the other way round, what came in between would be lost.
            is_free = not self._is_being_written(name)
            data = safe_open.read_regular(self.folder, name, cap_bytes=MAX_MAP_BYTES) or b""
            is_quiet = is_free and (_short(data) in expected or _is_json(data))
            if is_quiet or time.monotonic() > end_s:
                return data, is_quiet
            time.sleep(_PAUSE_S)

    def _is_touched(self, state: MapState) -> bool:
        """Whether somebody wrote the map since it was read; reading it again would take longer, and so tell less."""
        status, then = self.folder.lstat(self.name), state.status
        return status is None or (
            (status.st_ino, status.st_size, status.st_mtime_ns) != (then.st_ino, then.st_size, then.st_mtime_ns)
        )

    def _is_being_written(self, name: str) -> bool:
        """Whether a program has the file open to write: what it writes after an exchange would go astray."""
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
