"""Recovery, undo and the other ways to write, seen from outside."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from goalmap.files import os_layer, store
from goalmap.files.empty_component import create_empty
from goalmap.files.errors import CommitError, CommitRefused, Conflict, NotCommitted, SavedElsewhere
from goalmap.files.recovery import pending
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import AlreadyDone
from support.told import begin, discard, finish, recover, undo

from .conftest import DEBUG, MAP, Library
from .faults.tap import Killed, Tap

NEW = MAP.replace("drill.txt", "autogen_protocol_for_debug.txt")


def test_the_next_request_finishes_what_was_interrupted_and_is_not_paid_again(library: Library) -> None:
    library.finished().close()
    done = begin(library.request())
    assert isinstance(done, AlreadyDone)
    assert done.result.file == "autogen_protocol_for_debug.txt"
    assert library.map.read_text() == NEW


def test_recover_reports_each_end(library: Library) -> None:
    whole = library.finished()
    half = library.begin(library.request("constraints", "cite.txt", 0))
    half.append("half ")
    none = library.begin(library.request("constraints", "guess.txt", 1))
    assert pending(str(library.root)) == []
    for generation in (whole, half, none):
        generation.close()
    assert [waiting.slot for waiting in pending(str(library.root))] == ["protocol", "constraints", "constraints"]
    report = recover(str(library.root))
    assert [committed.slot for committed in report.finished] == ["protocol"]
    assert [Path(parked.path).read_text() for parked in report.parked] == ["half "]
    assert len(report.dropped) == 1
    assert library.records() == []
    assert pending(str(library.root)) == []


def test_a_map_that_cannot_be_read_keeps_the_record_waiting(library: Library) -> None:
    library.finished().close()
    library.map.write_text('{"half": ')
    report = recover(str(library.root))
    assert "syntax error" in report.pending[0].reason
    library.map.write_text(MAP)
    assert recover(str(library.root)).finished
    assert library.map.read_text() == NEW


def test_a_buffered_record_is_offered_not_forced(library: Library) -> None:
    generation = library.finished()
    generation.publish_component()
    generation.close()
    report = recover(str(library.root))
    assert library.map.read_text() == MAP
    assert report.pending[0].is_buffered
    finish(str(library.root), generation.tx)
    assert library.map.read_text() == NEW


def test_what_waits_for_an_editor_is_taken_over_when_it_is_asked_for_again(library: Library) -> None:
    generation = library.finished()
    generation.publish_component()
    generation.close()
    again = library.begin()
    assert (again.tx, again.text) == (generation.tx, "Drill down.\n")
    again.commit()
    assert library.map.read_text() == NEW
    assert library.records() == []


def test_discarding_parks_the_text_and_removes_the_component(library: Library) -> None:
    generation = library.finished()
    generation.publish_component()
    generation.close()
    discard(str(library.root), generation.tx)
    assert list(library.parked().values()) == ["Drill down.\n"]
    assert not any("autogen" in path for path in library.components())
    with pytest.raises(CommitRefused):
        finish(str(library.root), generation.tx)


def test_recovering_nothing_touches_nothing(library: Library) -> None:
    assert recover(str(library.root)).finished == []
    assert not (library.root / ".goalmap").exists()


def test_records_that_are_not_ours_are_left_alone(library: Library) -> None:
    library.begin().abandon()
    journal = library.root / ".goalmap" / "journal"
    (journal / "note.txt").write_text("mine")
    (journal / f"{'a' * 24}.gmj").write_bytes(b"\nGOALMAP JOURNAL 9\nfrom the future")
    report = recover(str(library.root))
    assert "this version" in report.pending[0].reason
    assert sorted(library.records()) == [f"{'a' * 24}.gmj", "note.txt"]


@pytest.mark.parametrize(
    "header",
    [
        {"folder": "components/../../outside"},
        {"folder": "../outside"},
        {"file": "../../outside.txt"},
        {"file": "/outside.txt"},
        {"tx": "../../outside"},
        {"index": "0"},
        {"goal": 7},
    ],
)
def test_a_planted_record_cannot_lead_recovery_out_of_the_library(library: Library, header: dict[str, object]) -> None:
    """A repository may bring a journal of its own making."""
    from goalmap.files.journal import Header, Record, asdict, new_tx
    from goalmap.files.os_layer import LibraryDir

    generation = library.finished()
    generation.close()
    path = next((library.root / ".goalmap" / "journal").iterdir())
    values = asdict(generation._record.header) | header  # noqa: SLF001 - forging takes the original
    path.unlink()
    with LibraryDir.open(str(path.parent)) as folder:
        tx = new_tx()
        forged = Header(**{**values, "tx": values["tx"] if "tx" in header else tx})  # type: ignore[arg-type]
        record = Record.create(folder, Header(**{**values, "tx": tx}))  # type: ignore[arg-type]
        from goalmap.files import journal

        record.contents.end_offset = len(journal._START)  # noqa: SLF001
        record._add(journal._frame(b"H", json.dumps(asdict(forged)).encode()))  # noqa: SLF001
        record.finish(b"planted")
        record.close()
    before = library.files()
    assert recover(str(library.root)).pending
    assert library.files() == before
    assert not (library.root.parent / "outside").exists()


# -- where nothing can be written
class _Failing:
    """The module `os`, whose call `name` fails from now on for files whose names are not allowed."""

    def __init__(self, name: str, code: int) -> None:
        self._name, self._code = name, code
        self.fails = True

    def __getattr__(self, name: str) -> object:
        if name == self._name and self.fails:

            def fail(*_: object, **__: object) -> None:
                raise OSError(self._code, os.strerror(self._code))

            return fail
        return getattr(os, name)


def test_i4_text_is_saved_in_the_users_state_folder_and_recovered(
    library: Library, state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = library.begin()
    real = os_layer.sync_file
    failures = iter([True])

    def fail_once(fd: int) -> None:
        if next(failures, False):
            raise OSError(errno.EIO, "input/output error")
        real(fd)

    monkeypatch.setattr(os_layer, "sync_file", fail_once)
    with pytest.raises(SavedElsewhere) as saved:
        generation.finish("Kept.\n")
    assert saved.value.exit_code == 74
    assert saved.value.path is not None
    assert saved.value.path.startswith(str(state_home))
    assert "goalmap recover" in str(saved.value)
    assert recover(str(library.root)).finished
    assert library.map.read_text() == NEW
    assert not store.has_records(str(library.root))


def test_i4_text_that_can_be_saved_nowhere_is_handed_back(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    generation = library.begin()
    monkeypatch.setattr(os_layer, "os", _Failing("fsync", errno.ENOSPC))
    with pytest.raises(SavedElsewhere, match="disk is full") as saved:
        generation.finish("Printed.\n")
    assert (saved.value.path, saved.value.text) == (None, "Printed.\n")


def test_a_commit_that_fails_keeps_the_text_and_says_the_next_step(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = library.finished()
    monkeypatch.setattr(os_layer, "os", _Failing("mkdir", errno.ENOSPC))
    with pytest.raises(NotCommitted, match="goalmap recover") as failed:
        generation.commit()
    assert failed.value.exit_code == 75
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", os.devnull)
    assert recover(str(library.root)).finished
    assert library.map.read_text() == NEW


# -- undo
def test_undo_restores_both_files(library: Library) -> None:
    before = library.files()
    library.generate()
    result = undo(str(library.root))
    assert (result.file, result.restored_file) == ("autogen_protocol_for_debug.txt", "drill.txt")
    assert library.files() == before
    with pytest.raises(CommitRefused, match="nothing to undo"):
        undo(str(library.root))


def test_undo_of_one_of_several_and_of_its_own_name(library: Library) -> None:
    before = library.files()
    first = library.generate()
    own = library.generate(library.request("constraints", "guess.txt", 1, naming="referenced"))
    undo(str(library.root), first.tx)
    assert library.map.read_text() == MAP
    undo(str(library.root), own.tx)
    assert library.files() == before


def test_undo_is_of_what_was_committed_last_and_not_of_what_was_written_last(library: Library) -> None:
    written_first = library.finished()
    library.finished(library.request("constraints", "cite.txt", 0)).commit()
    last = written_first.commit()
    assert undo(str(library.root)).file == last.file


def test_undo_restores_the_right_one_of_two_equal_references(library: Library) -> None:
    library.generate(library.request("constraints", "cite.txt", 2))
    undo(str(library.root))
    assert library.map.read_text() == MAP


@pytest.mark.parametrize("change", ["map", "component", "used"])
def test_undo_is_refused_when_something_changed(library: Library, change: str) -> None:
    committed = library.generate()
    if change == "map":
        library.map.write_text(library.map.read_text().replace(committed.file, "hand.txt"))
    elif change == "component":
        Path(committed.component_path).write_text("improved by hand")
    else:
        text = library.map.read_text().replace('"REVIEW": {', f'"REVIEW": {{"protocol": "{committed.file}", ')
        library.map.write_text(text)
    before = library.files()
    with pytest.raises(CommitRefused, match="Nothing was undone"):
        undo(str(library.root))
    assert library.files() == before


# -- an empty component
def test_create_empty_never_touches_what_is_there(library: Library) -> None:
    path = create_empty(str(library.root), "components/protocols/deep/new.txt")
    assert Path(path).read_bytes() == b""
    for bad in ("components/personas/detective.txt", "components/../x.txt", "x.txt", "components/p/con.txt"):
        with pytest.raises(CommitRefused):
            create_empty(str(library.root), bad)
    assert (library.root / "components/personas/detective.txt").read_text() == "You look twice.\n"


# -- promises about cost and form
def test_a_commit_makes_at_most_eight_fsyncs(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.generate(library.request("constraints", "guess.txt", 1))
    (library.root / "components/protocols").mkdir()
    count = 0

    class Counting:
        def __getattr__(self, name: str) -> object:
            nonlocal count
            count += name == "fsync"
            return getattr(os, name)

    monkeypatch.setattr(os_layer, "os", Counting())
    library.generate()
    assert count <= 8


def test_every_error_carries_an_exit_code_and_a_next_step() -> None:
    codes = {kind.__name__: kind.exit_code for kind in CommitError.__subclasses__()}
    assert codes == {"CommitRefused": 1, "SavedElsewhere": 74, "NotCommitted": 75, "Conflict": 76}


def test_only_the_os_layer_calls_the_disk() -> None:
    """The fault suite taps that module; a call made elsewhere would never be tried."""
    allowed = {"path", "fsencode", "urandom", "environ", "stat_result", "sep", "O_TRUNC"}
    folder = Path(os_layer.__file__).parent
    here = {path.stem for path in folder.glob("*.py")}
    for module in here - {"__init__", "loader", "os_layer"}:  # the loader only reads
        text = (folder / f"{module}.py").read_text()
        used = {part.split("(")[0].split(")")[0] for part in _after(text, " os.") | _after(text, "(os.")}
        assert used <= allowed, module
        assert "open(" not in text.replace(".open(", "").replace("_open(", "").replace("reopen(", ""), module
        assert not _after(text, "os.path.") - {
            "join",
            "dirname",
            "basename",
            "abspath",
            "split",
            "splitext",
            "samestat",
            "expanduser",
            "relpath",
        }, module


def _after(text: str, prefix: str) -> set[str]:
    words = set()
    for rest in text.split(prefix)[1:]:
        word = ""
        for character in rest:
            if not (character.isalnum() or character == "_"):
                break
            word += character
        words.add(word)
    return words


def test_the_request_of_a_killed_process_is_finished_by_the_next(library: Library) -> None:
    """A real process and a real SIGKILL, since a lock must end with its owner."""
    code = (
        "import os, signal, sys\n"
        "from goalmap.files.request import GenerateRequest\n"
        "from goalmap.files.transaction import begin\n"
        "place = ('Technical', 'DEBUG'), 'protocol', None\n"
        "g = begin(GenerateRequest(sys.argv[1], *place, 'drill.txt', 'root causes'), tell=print)\n"
        "g.append('Killed.\\n'); g.finish('Killed.\\n')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(library.map)], check=False)
    done = begin(GenerateRequest(str(library.map), DEBUG, "protocol", None, "drill.txt", "root causes"))
    assert isinstance(done, AlreadyDone)
    assert Path(done.result.component_path).read_text() == "Killed.\n"


@pytest.mark.parametrize("goes", ["away", "back"])
def test_what_a_killed_run_began_may_end_the_other_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes: str
) -> None:
    """A run dies at each of its calls; then the reference goes away, or comes back, and recovery decides otherwise."""
    old, by_hand = MAP.encode(), MAP.replace("drill.txt", "mine.txt").encode()
    for call in itertools.count(1):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state{call}"))
        library = Library(tmp_path / f"library{call}")
        generation = library.finished()
        if goes == "back":
            library.map.write_bytes(by_hand)
        tap = Tap(die_at=call)
        tap.install()
        with contextlib.suppress(Killed, Conflict):
            generation.commit()
        tap.remove()
        generation.close()
        if not tap.is_dead:
            break
        if library.records():  # else it was done
            library.map.write_bytes(by_hand if goes == "away" else old)
        recover(str(library.root))
        generated = {path: text for path, text in library.components().items() if "autogen" in path}
        is_named = str(library.reference()).startswith("autogen")
        assert generated == (
            {"components/protocols/autogen_protocol_for_debug.txt": "Drill down.\n"} if is_named else {}
        )
        assert is_named or "Drill down.\n" in library.parked().values()
        assert not [name for name in [*library.parked(), *os.listdir(library.root)] if name.endswith((".tmp", ".new"))]
        assert library.records() == []
    assert call > 60, "it did not die often enough to mean anything"
