"""Reading libraries from disk, and following what changes there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from goalmap.files.loader import LibraryLoader, Unreadable, find_maps, map_of, read_component


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "library/goal_map.json", "{}")
    write(tmp_path, "library/components/personas/a.txt", "A\n")
    write(tmp_path, "library/components/personas/security/deep.txt", "D\n")
    write(tmp_path, "outside.txt", "secret\n")
    return tmp_path / "library"


def write(folder: Path, path: str, text: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, "utf-8")


def personas(loader: LibraryLoader) -> set[str]:
    return set(loader.load().folders["components/personas"].files)


def test_files_of_subfolders_are_found_and_dotfiles_are_not(root: Path) -> None:
    write(root, "components/personas/.hidden.txt", "x")
    write(root, "components/personas/.git/x.txt", "x")
    assert personas(LibraryLoader(str(root))) == {"a.txt", "security/deep.txt"}


def test_a_snapshot_is_the_same_object_until_something_changes(root: Path) -> None:
    loader = LibraryLoader(str(root))
    first = loader.load()
    assert loader.load() is first
    write(root, "components/personas/b.txt", "B")
    second = loader.load()
    assert second is not first
    assert "b.txt" in second.folders["components/personas"].files
    (root / "components/personas/b.txt").unlink()
    write(root, "components/protocols/p.txt", "P")
    third = loader.load()
    assert sorted(third.folders) == ["components/personas", "components/protocols"]
    assert third.folders["components/personas"].files == first.folders["components/personas"].files


def test_links(root: Path) -> None:
    os.symlink("a.txt", root / "components/personas/inside.txt")
    os.symlink("../../../outside.txt", root / "components/personas/out.txt")
    os.symlink("nowhere.txt", root / "components/personas/broken.txt")
    os.symlink(root.parent, root / "components/personas/folder_out")
    library = LibraryLoader(str(root)).load()
    faults = {path.rpartition("/")[2]: fault.kind for path, fault in library.faults.items()}
    assert faults == {
        "out.txt": "outside",
        "broken.txt": "unreadable",
        "folder_out": "outside",
        "security": "unreadable",
    }
    with pytest.raises(Unreadable, match="leaves the library"):
        read_component(str(root), "components/personas/out.txt")
    assert read_component(str(root), "components/personas/inside.txt") == "A\n"


def test_a_folder_in_a_components_place_is_unreadable_and_not_missing(root: Path) -> None:
    library = LibraryLoader(str(root)).load()
    assert library.has("persona", "security")
    assert library.faults["components/personas/security"].reason == "is a folder"


def test_a_fifo_neither_blocks_nor_passes(root: Path) -> None:
    os.mkfifo(root / "components/personas/pipe.txt")
    library = LibraryLoader(str(root)).load()
    assert library.faults["components/personas/pipe.txt"].reason == "is not a regular file"
    with pytest.raises(Unreadable, match="not a regular file"):
        read_component(str(root), "components/personas/pipe.txt")


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"", "empty"), (b" \r\n\t\n", "empty"), (b"\xef\xbb\xbf \n", "empty"), (b"ok", None), (b"a\xff", "unreadable")],
)
def test_contents_are_examined(data: bytes, kind: str | None, root: Path) -> None:
    (root / "components/personas/a.txt").write_bytes(data)
    fault = LibraryLoader(str(root)).examine(["components/personas/a.txt"]).faults.get("components/personas/a.txt")
    assert (fault.kind if fault else None) == kind


def test_a_component_of_more_than_a_mebibyte_is_refused(root: Path) -> None:
    (root / "components/personas/a.txt").write_bytes(b"x" * ((1 << 20) + 1))
    library = LibraryLoader(str(root)).examine(["components/personas/a.txt"])
    assert "1 MiB" in library.faults["components/personas/a.txt"].reason


def test_a_fault_goes_with_its_cause(root: Path) -> None:
    path = "components/personas/a.txt"
    loader = LibraryLoader(str(root))
    (root / path).write_text("", "utf-8")
    assert loader.examine([path]).faults[path].kind == "empty"
    (root / path).write_text("text again", "utf-8")
    assert path not in loader.examine([path]).faults


def test_maps_are_found_but_not_in_copies_that_tools_keep(root: Path) -> None:
    for folder in (".history", "node_modules/x", "sub/inner"):
        write(root, f"{folder}/goal_map.json", "{}")
    found = [os.path.relpath(path, root) for path in find_maps(str(root))]
    assert found == ["goal_map.json", "sub/inner/goal_map.json"]
    assert map_of(str(root / "sub/inner/components/x.txt")) == str(root / "sub/inner/goal_map.json")


def test_a_folder_with_a_map_of_its_own_is_another_library(root: Path) -> None:
    write(root, "components/personas/inner/goal_map.json", "{}")
    write(root, "components/personas/inner/components/personas/x.txt", "x")
    assert personas(LibraryLoader(str(root))) == {"a.txt", "security/deep.txt"}


def test_a_folder_of_components_that_has_a_map_is_another_library(tmp_path: Path) -> None:
    for name in ("goal_map.json", "components/personas/own.txt"):
        for top in ("", "components/nested/", "components/personas/nested/"):
            path = tmp_path / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    assert LibraryLoader(str(tmp_path)).load().files == {"components/personas/own.txt"}
