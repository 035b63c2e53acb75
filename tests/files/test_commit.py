"""A commit that nothing disturbs, and one whose library has changed under it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from goalmap.files.errors import CommitRefused, Conflict
from goalmap.files.transaction import AlreadyDone
from support.told import begin, recover

from .conftest import MAP, Library


def test_commit_adds_the_component_and_changes_one_string(library: Library) -> None:
    committed = library.generate()
    assert committed.file == "autogen_protocol_for_debug.txt"
    assert library.map.read_text() == MAP.replace("drill.txt", committed.file)
    assert library.components()["components/protocols/autogen_protocol_for_debug.txt"] == "Drill down.\n"
    assert os.path.samefile(committed.component_path, library.root / "components/protocols" / committed.file)
    assert library.records() == []


def test_referenced_naming_leaves_the_map_alone(library: Library) -> None:
    committed = library.generate(library.request(naming="referenced"))
    assert (committed.file, committed.map_changed) == ("drill.txt", False)
    assert library.map.read_text() == MAP
    assert library.components()["components/protocols/drill.txt"] == "Drill down.\n"


def test_referenced_naming_makes_the_subfolders_of_the_reference(tmp_path: Path) -> None:
    library = Library(tmp_path / "l", '{"G": {"protocol": "security/owasp.txt"}}')
    library.generate(library.request(file="security/owasp.txt", naming="referenced", goal=("G",)))
    assert "components/protocols/security/owasp.txt" in library.files()


def test_two_missing_entries_of_one_list_get_two_names(library: Library) -> None:
    library.generate(library.request("constraints", "cite.txt", 0), "One.\n")
    library.generate(library.request("constraints", "cite.txt", 2), "One.\n")
    assert library.reference("constraints") == [
        "autogen_constraint_for_debug.txt",
        "guess.txt",
        "autogen_constraint_for_debug_2.txt",
    ]


def test_goals_that_differ_in_case_get_two_names_even_while_both_are_under_way(tmp_path: Path) -> None:
    library = Library(tmp_path / "l", '{"Debug": {"protocol": "a.txt"}, "DEBUG": {"protocol": "a.txt"}}')
    first = library.finished(library.request(file="a.txt", goal=("Debug",)), "Same.\n")
    second = library.finished(library.request(file="a.txt", goal=("DEBUG",)), "Same.\n")
    assert second.commit().file != first.commit().file


def test_a_name_taken_while_the_model_wrote_is_left_alone(library: Library) -> None:
    generation = library.finished()
    (library.root / "components/protocols").mkdir()
    mine = library.root / "components/protocols" / generation.file
    mine.write_text("mine")
    assert generation.commit().file == "autogen_protocol_for_debug_2.txt"
    assert mine.read_text() == "mine"
    assert library.reference() == "autogen_protocol_for_debug_2.txt"


def test_an_own_name_taken_while_the_model_wrote_is_a_conflict(library: Library) -> None:
    generation = library.finished(library.request(naming="referenced"))
    (library.root / "components/protocols").mkdir()
    (library.root / "components/protocols/drill.txt").write_text("mine")
    with pytest.raises(Conflict) as conflict:
        generation.commit()
    assert Path(conflict.value.parked).read_text() == "Drill down.\n"
    assert library.components()["components/protocols/drill.txt"] == "mine"


def test_a_list_that_grew_above_keeps_its_reference(library: Library) -> None:
    generation = library.finished(library.request("constraints", "guess.txt", 1))
    library.map.write_text(MAP.replace('["cite.txt"', '["new.txt", "cite.txt"'))
    generation.commit()
    assert library.reference("constraints") == ["new.txt", "cite.txt", "autogen_constraint_for_debug.txt", "cite.txt"]


@pytest.mark.parametrize(
    "edited",
    [MAP.replace("drill.txt", "hand.txt"), MAP.replace('"protocol"', '"format"'), '{"OTHER": {}}'],
    ids=["another value", "slot gone", "goal gone"],
)
def test_a_changed_reference_is_a_conflict_and_the_text_is_parked(library: Library, edited: str) -> None:
    generation = library.finished()
    library.map.write_text(edited)
    with pytest.raises(Conflict) as conflict:
        generation.commit()
    assert library.map.read_text() == edited
    assert Path(conflict.value.parked).read_text() == "Drill down.\n"
    assert conflict.value.parked in str(conflict.value)
    assert "components/protocols" not in " ".join(library.components())
    assert library.records() == []


def test_edits_made_while_the_model_wrote_are_kept(library: Library) -> None:
    generation = library.finished()
    edited = MAP.replace("Find the cause.", "Find the real cause.")
    library.map.write_text(edited)
    generation.commit()
    assert library.map.read_text() == edited.replace("drill.txt", generation.file)


def test_i6_mode_link_bom_and_line_ends_survive(library: Library) -> None:
    real = library.root / "conf" / "map.json"
    real.parent.mkdir()
    before = b"\xef\xbb\xbf" + MAP.replace("\n", "\r\n").replace("  ", "\t").encode()
    real.write_bytes(before)
    real.chmod(0o664)
    library.map.unlink()
    library.map.symlink_to("conf/map.json")
    committed = library.generate()
    assert library.map.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o664
    assert real.read_bytes() == before.replace(b"drill.txt", committed.file.encode())
    assert os.listdir(real.parent) == ["map.json"]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes have calls on Linux only")
def test_i6_attributes_of_the_map_survive(library: Library) -> None:
    os.setxattr(library.map, "user.note", b"kept")
    library.generate()
    assert os.getxattr(library.map, "user.note") == b"kept"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_i6_owner_of_the_map_survives(library: Library) -> None:
    os.chown(library.map, 12345, 54321)
    library.generate()
    assert (library.map.stat().st_uid, library.map.stat().st_gid) == (12345, 54321)


def test_i5_the_same_request_again_is_answered_from_the_receipt(library: Library) -> None:
    request = library.request()
    committed = library.generate(request)
    again = begin(request)
    assert isinstance(again, AlreadyDone)
    assert again.result.file == committed.file


def test_i5_a_second_click_is_refused_while_the_first_is_under_way(library: Library) -> None:
    generation = library.begin()
    with pytest.raises(CommitRefused, match="being generated right now"):
        begin(library.request(description="something else"))
    generation.abandon()
    library.generate()


def test_i5_a_component_of_two_goals_is_generated_once(tmp_path: Path) -> None:
    library = Library(tmp_path / "l", '{"A": {"protocol": "x.txt"}, "B": {"protocol": "x.txt"}}')
    library.begin(library.request(file="x.txt", goal=("A",), naming="referenced"))
    with pytest.raises(CommitRefused, match="being generated right now"):
        begin(library.request(file="x.txt", goal=("B",), naming="referenced"))


def test_the_text_is_the_accepted_one_not_what_streamed(library: Library) -> None:
    generation = library.begin()
    generation.append("```\nfirst try")
    generation.restart()
    generation.append("```\nDrill.\n```")
    generation.finish("Drill.\n")
    generation.commit()
    assert library.components()["components/protocols/autogen_protocol_for_debug.txt"] == "Drill.\n"


def test_abandoned_text_is_parked_or_dropped_as_asked(library: Library) -> None:
    generation = library.begin()
    generation.append("half a ")
    path = generation.abandon()
    assert path is not None
    assert path.endswith(".partial.txt")
    assert Path(path).read_text() == "half a "
    assert library.begin().abandon() is None
    other = library.begin()
    other.append("x")
    assert other.abandon(park_text=False) is None
    assert library.records() == []
    assert library.map.read_text() == MAP


@pytest.mark.parametrize(
    ("request_args", "message"),
    [
        ({"file": "other.txt"}, "does not have"),
        ({"slot": "nothing"}, "does not have"),
        ({"goal": ("Technical", "NONE")}, "does not have"),
        ({"slot": "persona", "file": "detective.txt"}, "there is nothing to generate"),
    ],
)
def test_refused_before_paying(library: Library, request_args: dict[str, object], message: str) -> None:
    with pytest.raises(CommitRefused, match=message):
        begin(library.request(**request_args))  # type: ignore[arg-type]
    assert library.map.read_text() == MAP
    assert library.records() == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "syntax error"), (b"\xff\xfe", "UTF-8"), (b'{"a":' * 100_000, "nested|syntax"), (None, "missing")],
)
def test_an_unusable_map_is_refused_before_paying(library: Library, content: bytes | None, message: str) -> None:
    library.map.unlink()
    if content is not None:
        library.map.write_bytes(content)
    with pytest.raises(CommitRefused, match=message):
        begin(library.request())


def test_a_read_only_map_is_refused_before_paying(library: Library) -> None:
    library.map.chmod(0o444)
    with pytest.raises(CommitRefused, match="read-only"):
        begin(library.request())


# -- through an editor's buffer
def test_i3_a_buffered_record_goes_once_the_disk_has_the_reference(library: Library) -> None:
    generation = library.finished()
    file = generation.publish_component()
    assert library.components()[f"components/protocols/{file}"] == "Drill down.\n"
    assert library.map.read_text() == MAP
    assert generation.settle() is None
    assert recover(str(library.root)).pending[0].has_owner
    library.map.write_text(MAP.replace("drill.txt", file))
    committed = generation.settle()
    assert committed is not None
    assert committed.file == file
    assert library.records() == []


def test_a_buffer_that_was_saved_with_something_else_is_a_conflict(library: Library) -> None:
    generation = library.finished()
    generation.publish_component()
    library.map.write_text(MAP.replace("drill.txt", "hand.txt"))
    with pytest.raises(Conflict):
        generation.settle()
    assert not any("autogen" in path for path in library.components())
    assert list(library.parked().values()) == ["Drill down.\n"]
