"""Names and links that would lead the commit astray: a test for each threat that docs/commit.md lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from goalmap.files import commit, os_layer, safe_open
from goalmap.files.errors import CommitError, CommitRefused, Conflict, NotCommitted
from goalmap.files.request import GenerateRequest
from support.told import begin, recover, undo

from .conftest import Library

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs and links as on POSIX")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def _library(tmp_path: Path, goal: str, slot: str, file: str) -> Library:
    return Library(tmp_path / "library", json.dumps({goal: {slot: file}}))


@pytest.mark.parametrize("slot", ["../x", "/x", "a/b", "..", "con", "x\x00y", "a\u202eb", "x" * 300, "c:"])
def test_a_slot_whose_name_is_no_folder_is_refused(tmp_path: Path, outside: Path, slot: str) -> None:
    library = _library(tmp_path, "G", slot, "x.txt")
    with pytest.raises(CommitRefused):
        begin(library.request(slot, "x.txt", goal=("G",)))
    assert list(outside.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["library", "outside"]


@pytest.mark.parametrize(
    "file", ["../../x.txt", "/etc/x.txt", "a\x00.txt", "nul.txt", "COM1", "a//b", "./x", "C:\\x", "x. ", "a\u202e.txt"]
)
@pytest.mark.parametrize("slot", ["protocol", "template"])
def test_an_unsafe_reference_is_not_generated_under_its_own_name(tmp_path: Path, slot: str, file: str) -> None:
    library = _library(tmp_path, "G", slot, file)
    with pytest.raises(CommitRefused):
        begin(library.request(slot, file, goal=("G",), naming="referenced"))
    library.generate(library.request(slot, file, goal=("G",)))
    assert library.reference(slot, goal=("G",)) == f"autogen_{slot}_for_g.txt"


@pytest.mark.parametrize(
    "goal",
    ["../../../etc/x", "a" * 5000, "NUL", "cafe\u0301", "x\x00y", "\u202egnp", "/abs", "\U0001f600", "con.txt"],
)
def test_any_goal_gets_a_plain_file_name(tmp_path: Path, goal: str) -> None:
    library = _library(tmp_path, goal, "protocol", "x.txt")
    committed = library.generate(library.request("protocol", "x.txt", goal=(goal,)))
    name = os.path.basename(committed.component_path)
    assert os.listdir(library.root / "components/protocols") == [name]
    assert name.isascii()
    assert len(name) < 120


@posix
@pytest.mark.parametrize(
    "link", ["components", "components/protocols", ".goalmap", ".goalmap/journal", ".goalmap/lock"]
)
def test_a_link_out_of_the_library_is_refused(library: Library, outside: Path, link: str) -> None:
    path = library.root / link
    if link == "components":
        path.rename(library.root / "away")
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside / "victim" if link.endswith("lock") else outside)
    with pytest.raises(CommitRefused):
        begin(library.request())
    assert list(outside.iterdir()) == []


@posix
def test_a_map_that_links_out_of_the_library_is_refused(library: Library, outside: Path) -> None:
    library.map.rename(outside / "map.json")
    library.map.symlink_to(outside / "map.json")
    before = (outside / "map.json").read_bytes()
    with pytest.raises(CommitRefused, match="leaves the library"):
        begin(library.request())
    assert (outside / "map.json").read_bytes() == before
    assert os.listdir(outside) == ["map.json"]


@posix
def test_a_folder_that_links_within_the_library_is_kept(library: Library) -> None:
    (library.root / "elsewhere").mkdir()
    (library.root / "components/protocols").symlink_to("../elsewhere")
    library.generate()
    assert os.listdir(library.root / "elsewhere") == ["autogen_protocol_for_debug.txt"]


@posix
@pytest.mark.parametrize("make", ["fifo", "folder", "dangling link", "link to a file", "device"])
def test_i9_whatever_has_the_components_name_is_left_alone(library: Library, outside: Path, make: str) -> None:
    generation = library.finished()
    target = library.root / "components/protocols" / generation.file
    target.parent.mkdir()
    victim = outside / "victim"
    if make == "fifo":
        os.mkfifo(target)
    elif make == "folder":
        target.mkdir()
    elif make == "device":
        target.symlink_to("/dev/zero")
    else:
        target.symlink_to(victim)
        if make == "link to a file":
            victim.write_text("precious")
    before = target.lstat()
    assert generation.commit().file == "autogen_protocol_for_debug_2.txt"
    assert target.lstat().st_ino == before.st_ino
    assert not victim.exists() or victim.read_text() == "precious"


@posix
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_a_map_that_is_no_file_is_refused_at_once(library: Library, make: Callable[[Path], None]) -> None:
    library.map.unlink()
    make(library.map)
    start_s = time.monotonic()
    with pytest.raises(CommitRefused, match="regular file"):
        begin(library.request())
    assert time.monotonic() - start_s < 1


@posix
def test_a_record_that_is_no_file_is_not_opened(library: Library) -> None:
    library.begin().abandon()
    os.mkfifo(library.root / ".goalmap/journal" / f"{'a' * 24}.gmj")
    assert recover(str(library.root)).pending[0].reason == "it is not a regular file"


def test_a_huge_map_is_refused_within_a_second(library: Library) -> None:
    with library.map.open("wb") as file:
        file.truncate(200 << 20)
    start_s = time.process_time()  # a busy machine is no fault
    with pytest.raises(CommitRefused, match="larger than"):
        begin(library.request())
    assert time.process_time() - start_s < 1


@pytest.mark.parametrize("taken", ["AUTOGEN_PROTOCOL_FOR_DEBUG.TXT", "autogen_protocol_for_debug.txt"])
def test_names_that_another_system_takes_for_one_are_not_both_used(library: Library, taken: str) -> None:
    (library.root / "components/protocols").mkdir()
    (library.root / "components/protocols" / taken).write_text("mine")
    assert library.generate().file == "autogen_protocol_for_debug_2.txt"


def test_an_own_name_that_differs_only_in_unicode_form_is_refused(tmp_path: Path) -> None:
    library = _library(tmp_path, "G", "protocol", "caf\u00e9.txt")
    (library.root / "components/protocols").mkdir()
    (library.root / "components/protocols" / "cafe\u0301.txt").write_text("mine")
    with pytest.raises(CommitRefused, match="differs"):
        begin(library.request("protocol", "caf\u00e9.txt", goal=("G",), naming="referenced"))


@posix
@pytest.mark.parametrize("swapped", ["components", "components/protocols"])
def test_a_folder_swapped_between_check_and_use_leads_nowhere(
    library: Library, outside: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    """The check has just found a folder; when it is opened, it is a link out of the library."""
    (library.root / "components/protocols").mkdir()
    generation = library.finished()
    real = safe_open.inside

    def inside(root: os_layer.LibraryDir, path: str) -> str:
        checked = real(root, path)
        if "protocols" in path and not (library.root / swapped).is_symlink():
            (library.root / swapped).rename(library.root / "away")
            (library.root / swapped).symlink_to(outside)
        return checked

    monkeypatch.setattr(safe_open, "inside", inside)
    with pytest.raises((NotCommitted, Conflict)):
        generation.commit()
    assert list(outside.iterdir()) == []


@posix
def test_a_folder_swapped_after_it_was_opened_is_still_the_one_checked(
    library: Library, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library.root / "components/protocols").mkdir()
    generation = library.finished()
    real = commit.write_whole

    def write_whole(folder: os_layer.LibraryDir, name: str, data: bytes, **options: object) -> None:
        if "protocols" in folder.path:
            (library.root / "components/protocols").rename(library.root / "components/moved")
            (library.root / "components/protocols").symlink_to(outside)
        real(folder, name, data, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(commit, "write_whole", write_whole)
    generation.commit()
    assert list(outside.iterdir()) == []
    assert os.listdir(library.root / "components/moved") == ["autogen_protocol_for_debug.txt"]


def test_undo_does_not_follow_a_component_that_became_a_link(library: Library, outside: Path) -> None:
    committed = library.generate()
    victim = outside / "victim"
    victim.write_text("Drill down.\n")
    Path(committed.component_path).unlink()
    Path(committed.component_path).symlink_to(victim)
    with pytest.raises(CommitError):
        undo(str(library.root))
    assert victim.read_text() == "Drill down.\n"


def test_nothing_but_a_hash_of_the_description_is_kept(library: Library, state_home: Path) -> None:
    canary = "sk-canary-4f1d"
    library.generate(library.request(description=f"use {canary}"))
    library.begin(library.request("constraints", "cite.txt", 0, description=canary)).close()
    found = [path for top in (library.root, state_home) for path in top.rglob("*") if path.is_file()]
    assert [path for path in found if canary.encode() in path.read_bytes()] == []


@posix
def test_what_is_kept_is_for_the_user_alone(library: Library) -> None:
    generation = library.begin()
    generation.append("half")
    generation.abandon()
    library.finished().close()
    state = library.root / ".goalmap"
    for path in (state, *state.rglob("*")):
        assert path.lstat().st_mode & 0o077 == 0 or path.name == ".gitignore", path


@posix
def test_locks_do_not_outlive_a_child_of_the_server(library: Library) -> None:
    """A model's process that is started while a record is open must not inherit it."""
    generation = library.begin()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    generation.close()
    try:
        assert recover(str(library.root)).dropped
    finally:
        child.communicate(b"\n")


def test_requests_for_another_file_than_the_map_are_refused(library: Library) -> None:
    other = library.root / "other.json"
    other.write_bytes(library.map.read_bytes())
    with pytest.raises(CommitRefused, match=r"goal_map\.json"):
        begin(GenerateRequest(str(other), ("Technical", "DEBUG"), "protocol", None, "drill.txt", "x"))
