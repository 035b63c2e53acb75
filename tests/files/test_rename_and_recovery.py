"""A generation is killed at a call; its user renames what it was about; then somebody recovers.

What is renamed is renamed by the user's editor: the text must end up in the library, named by the map, or parked, and
the user's map and files as they were left.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

from files.conftest import Library
from files.faults.tap import KILLED, Tap, changes_disk
from goalmap.files.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT: Final = "Drill down.\n"
MOST_CALLS: Final = 80
Rename: TypeAlias = Callable[[Library], None]


def _in_map(old: str, new: str) -> Rename:
    def rename(library: Library) -> None:
        text = library.map.read_text()
        assert old in text
        library.map.write_text(text.replace(old, new))

    return rename


def _slot_folder(library: Library) -> None:
    """Rename the folder and the slot, as a client does in several steps."""
    folder = library.root / "components" / "protocols"
    if folder.is_dir():
        folder.rename(folder.with_name("procedures"))
    _in_map('"protocol"', '"procedure"')(library)


def _component(library: Library) -> None:
    """Rename the generated component, if it is there, and whatever the map names."""
    name = json.loads(library.map.read_text())["Technical"]["DEBUG"]["protocol"]
    component = library.root / "components" / "protocols" / name
    if component.exists():
        component.rename(component.with_name("judge.txt"))
    _in_map(f'"{name}"', '"judge.txt"')(library)


def _component_before_the_map(library: Library) -> None:
    """Rename what is in the folder of the slot, and be cut short before the map."""
    for component in (library.root / "components").glob("protocols/autogen*"):
        component.rename(component.with_name("judge.txt"))


RENAMES: Final[dict[str, Rename]] = {
    "goal": _in_map('"DEBUG"', '"TRACE"'),
    "category": _in_map('"Technical"', '"Craft"'),
    "slot": _in_map('"protocol"', '"procedure"'),
    "slot and its folder": _slot_folder,
    "component": _component,
    "component, not the map": _component_before_the_map,
}


def killed(library: Library, at: int) -> bool:
    """Generate in a process of its own, until the changing call `at`; return whether there was such a call."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) in (0, KILLED)
        return os.waitstatus_to_exitcode(status) == KILLED
    try:
        tap = Tap()
        tap.before = lambda number, _: _die_at(tap.calls[:number], at)
        tap.install()
        library.generate(text=TEXT)
        os._exit(0)
    finally:
        os._exit(1)


def _die_at(calls: list[str], at: int) -> None:
    if changes_disk(calls[-1]) and sum(map(changes_disk, calls)) == at:
        os._exit(KILLED)


def texts(library: Library) -> Iterator[str]:
    """Give every text that can be found, in the library or parked."""
    yield from library.components().values()
    yield from library.parked().values()


@pytest.mark.parametrize("rename", RENAMES.values(), ids=RENAMES)
def test_a_generation_killed_anywhere_and_then_renamed(tmp_path: Path, rename: Rename) -> None:
    points = 0
    for at in range(1, MOST_CALLS):
        library = Library(tmp_path / str(at))
        if not killed(library, at):
            break
        points += 1
        record = (library.root / ".goalmap" / "journal").glob("*.gmj")
        was_safe = any(b"\nF " in path.read_bytes() for path in record) or any(
            "protocols" in path for path in library.components()
        )
        rename(library)
        users_map = library.map.read_text()
        users_files = {path for path in library.files() if "judge.txt" in path or "procedures" in path}
        for _ in range(2):  # a recovery that has nothing to do changes nothing
            report = recover(str(library.root))
            now = library.map.read_text()
            assert now == users_map or now == users_map.replace('"drill.txt"', '"autogen_protocol_for_debug.txt"'), at
            assert library.records() == [], (at, report)
            # A temporary file of ours that was moved along with its folder is where nobody looks for it.
            left = [path for path in library.files() if "/.goal" in f"/{path}" and "procedures" not in path]
            assert left == [], at
            if was_safe:
                assert TEXT in texts(library), at
            assert users_files <= set(library.files()), at
            named = {file for file in library.components() if f'"{Path(file).name}"' in now}
            theirs = {path for path in users_files if path in library.components()}
            assert set(library.components()) - named <= theirs, f"an orphan, at {at}"
    assert 15 < points < MOST_CALLS - 1
