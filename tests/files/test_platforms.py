"""The branches for systems that are not at hand, by another `PLATFORM` and an `os` that behaves as theirs does."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from goalmap.files import os_layer, platforms
from support.told import recover, undo

from .conftest import MAP, Library

NEW = MAP.replace("drill.txt", "autogen_protocol_for_debug.txt")


class FakeOs:
    """The module `os` with some of its functions replaced."""

    def __init__(self, **functions: object) -> None:
        self._functions = functions

    def __getattr__(self, name: str) -> object:
        return self._functions.get(name, getattr(os, name))


def _round(library: Library) -> None:
    before = library.files()
    library.generate()
    assert library.map.read_text() == NEW
    undo(str(library.root))
    assert library.files() == before
    library.finished().close()
    assert recover(str(library.root)).finished
    assert library.map.read_text() == NEW


@pytest.mark.parametrize("platform", [platforms.WINDOWS, platforms.OTHER_UNIX], ids=["Windows", "no exchange"])
def test_commit_undo_and_recovery_on_another_system(
    library: Library, monkeypatch: pytest.MonkeyPatch, platform: platforms.Platform
) -> None:
    monkeypatch.setattr(os_layer, "PLATFORM", platform)
    _round(library)


def test_windows_waits_for_a_scanner_that_holds_the_file(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = iter([True, True, True])

    def replace(*args: str, **folders: int) -> None:
        if args[-1].endswith("goal_map.json") and next(refusals, False):
            raise PermissionError(errno.EACCES, "in use by another process")
        os.replace(*args, **folders)

    monkeypatch.setattr(os_layer, "PLATFORM", platforms.WINDOWS)
    monkeypatch.setattr(os_layer, "os", FakeOs(replace=replace))
    library.generate()
    assert next(refusals, None) is None
    assert library.map.read_text() == NEW


def _unsupported(*_: object, **__: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "not supported")


def test_file_systems_without_hard_links_or_rename_flags(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os_layer, "os", FakeOs(link=_unsupported))
    monkeypatch.setattr(os_layer, "rename_with_flag", _unsupported)
    _round(library)


def test_file_systems_without_fsync_of_folders_or_preallocation(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}") or not os.path.exists(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EINVAL, "invalid argument")
        os.fsync(fd)

    monkeypatch.setattr(os_layer, "os", FakeOs(fsync=fsync, posix_fallocate=_unsupported))
    _round(library)


def test_an_older_c_library_has_no_such_call(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = platforms.Platform(has_dir_fd=True, syncs_folders=True, has_modes=True, rename_call="no_such_call")
    monkeypatch.setattr(os_layer, "PLATFORM", platform)
    _round(library)


def test_a_closed_folder_is_not_quietly_a_path(tmp_path: Path) -> None:
    folder = os_layer.LibraryDir.open(str(tmp_path))
    folder.close()
    with pytest.raises(ValueError, match="closed"):
        folder.sync()
