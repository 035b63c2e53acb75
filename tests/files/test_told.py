"""I11: what is done beside what was asked for is told exactly once; where the teller dies in between, at least once."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from goalmap.files import journal, os_layer, recovery, transaction
from goalmap.files import undo as undoing
from goalmap.files.errors import CommitRefused, NotCommitted
from goalmap.files.report import Report
from goalmap.files.store import locked
from support.told import begin, discard, finish, recover, undo

from .conftest import MAP, Library
from .faults.tap import Killed, Tap


def dies(act: Callable[[], object], call: int) -> bool:
    """Do `act` as a process that dies at a call to the system; return whether it got that far."""
    tap = Tap(die_at=call)
    tap.install()
    try:
        act()
    except Killed:
        return True
    finally:
        tap.remove()
    return False


def die_amid_the_exchange(library: Library, generation: transaction.Generation) -> None:
    """Commit as a process that dies when its exchange has taken out what somebody saved in that instant."""
    real = os_layer.LibraryDir.exchange

    def exchange(self: os_layer.LibraryDir, name: str, other: str) -> bool:
        save(library, "saved in that instant")
        real(self, name, other)
        raise Killed

    os_layer.LibraryDir.exchange = exchange  # type: ignore[method-assign]
    try:
        with pytest.raises(Killed):
            generation.commit()
    finally:
        os_layer.LibraryDir.exchange = real  # type: ignore[method-assign]


def displaced(library: Library) -> None:
    """Leave a version of the map that nobody has put back, and that is older than the map."""
    die_amid_the_exchange(library, library.finished())
    save(library, "saved once more")


def save(library: Library, words: str) -> None:
    """Save the map with another description, as an editor does that writes a new file."""
    text = re.sub(r'"description": "[^"]*"', f'"description": "{words}"', library.map.read_text())
    fresh = library.root / "editor.tmp"
    fresh.write_text(text)
    fresh.replace(library.map)


CITE = {"slot": "constraints", "file": "cite.txt", "index": 0, "description": "cite"}


# -- whoever acts next is told
def test_a_commit_tells_what_its_recovery_of_others_parked(library: Library) -> None:
    total = Report()
    generation = transaction.begin(library.request(**CITE), tell=total.add)  # type: ignore[arg-type]
    assert isinstance(generation, transaction.Generation)
    generation.finish("Cite.\n")
    displaced(library)
    generation.commit()
    assert [warning for warning in total.warnings if "saved once more" not in warning]
    (parked,) = (library.root / ".goalmap" / "parked").glob("goal_map.*")
    assert "saved in that instant" in parked.read_text()
    assert sum(str(parked) in warning for warning in total.warnings) == 1


def test_a_commit_tells_whose_text_it_parked(library: Library) -> None:
    total = Report()
    generation = transaction.begin(library.request(**CITE), tell=total.add)  # type: ignore[arg-type]
    assert isinstance(generation, transaction.Generation)
    generation.finish("Cite.\n")
    library.finished().close()  # dead, with its text safe
    library.map.write_text(MAP.replace("drill.txt", "hand.txt"))
    generation.commit()
    assert [(parked.slot, Path(parked.path).read_text()) for parked in total.parked] == [("protocol", "Drill down.\n")]


def test_an_undo_tells_what_its_recovery_parked(library: Library) -> None:
    library.generate(library.request(**CITE))  # type: ignore[arg-type]
    displaced(library)
    total = Report()
    with pytest.raises(CommitRefused, match="interrupted run had to be finished first"):
        undoing.undo(str(library.root), tell=total.add)
    assert len(total.warnings) == 1


def test_what_was_told_is_not_told_again(library: Library) -> None:
    displaced(library)
    first, second = recover(str(library.root)), recover(str(library.root))
    assert len(first.warnings) == 1
    assert second.is_empty


def refused_by_the_map(library: Library) -> None:
    library.finished().close()
    library.map.write_text(MAP.replace("drill.txt", "hand.txt"))


def cut_short(library: Library) -> None:
    generation = library.begin()
    generation.append("Half of a te")
    generation.close()


@pytest.mark.parametrize("left", [displaced, refused_by_the_map, cut_short])
def test_whatever_call_a_recovery_dies_at_what_it_parked_is_told(
    left: Callable[[Library], None], tmp_path: Path
) -> None:
    """By the one that died or by the next: the record that says it goes only after it was told."""
    for call in itertools.count(1):
        library = Library(Path(tempfile.mkdtemp(dir=tmp_path)) / "library")
        left(library)
        told = Report()
        recovers = partial(recovery.recover, str(library.root), tell=told.add)
        if not dies(recovers, call):
            break
        recovers()
        words = [*told.warnings, *(parked.path for parked in told.parked)]
        for parked in (library.root / ".goalmap" / "parked").iterdir():
            assert any(str(parked) in said for said in words), (call, parked.name)
        assert library.records() == []
    assert call > 20


# -- an undo is of what its user has seen
def test_an_undo_does_not_take_back_what_it_has_itself_just_finished(library: Library) -> None:
    library.finished().close()
    told = Report()
    with pytest.raises(CommitRefused, match="had to be finished first"):
        undoing.undo(str(library.root), tell=told.add)
    assert [done.slot for done in told.finished] == ["protocol"]
    assert library.reference() == "autogen_protocol_for_debug.txt"
    undo(str(library.root))
    assert library.map.read_text() == MAP


def test_the_newest_commit_is_undone_however_the_clock_steps(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time_ns
    library.generate()
    monkeypatch.setattr(journal.time, "time_ns", lambda: real() - 3600 * 10**9)
    newest = library.generate(library.request(**CITE))  # type: ignore[arg-type]
    assert undo(str(library.root)).file == newest.file


def test_the_receipt_of_the_newest_commit_is_never_forgotten(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goalmap.files.commit.RECEIPTS_KEPT", 1)
    real = time.time_ns
    library.generate()
    monkeypatch.setattr(journal.time, "time_ns", lambda: real() - 3600 * 10**9)
    newest = library.generate(library.request(**CITE))  # type: ignore[arg-type]
    assert undo(str(library.root)).file == newest.file
    with pytest.raises(CommitRefused, match="nothing to undo"):
        undo(str(library.root))


# -- asked again
def test_an_older_buffer_does_not_pay_for_what_somebody_else_has_committed(library: Library) -> None:
    """Two editors, the same question; the second one's buffer has not heard of the first one's commit."""
    library.generate()
    stale = library.request()
    stale = type(stale)(**{**stale.__dict__, "map_text": MAP.replace("Find the cause.", "Mine.")})
    told = Report()
    done = begin(stale, tell=told.add)
    assert isinstance(done, transaction.AlreadyDone)
    assert [(change.old, change.new) for change in told.changes] == [("drill.txt", "autogen_protocol_for_debug.txt")]


def test_an_older_buffer_is_refused_another_text_for_what_the_disk_has(library: Library) -> None:
    library.generate()
    other = library.request(description="something else")
    other = type(other)(**{**other.__dict__, "map_text": MAP.replace("Find the cause.", "Mine.")})
    with pytest.raises(CommitRefused, match="Load the map again"):
        begin(other)


def test_a_text_that_awaits_its_review_is_kept_by_finish_and_by_nobody_else(library: Library) -> None:
    request = library.request()
    generation = library.finished(type(request)(**{**request.__dict__, "reviewed": True}))
    generation.close()
    assert [waiting.is_reviewed for waiting in recover(str(library.root), finish_buffered=True).pending] == [True]
    assert library.map.read_text() == MAP
    assert finish(str(library.root), generation.tx).finished
    assert library.reference() == "autogen_protocol_for_debug.txt"


# -- a dying owner
def test_an_owner_that_dies_with_the_map_half_exchanged_is_waited_for(library: Library) -> None:
    """The system may close the library's lock before the record's: the displaced save must still go back."""
    next_one = library.finished(library.request(**CITE))  # type: ignore[arg-type]
    generation = library.finished()
    reading, writing = os.pipe()
    if not os.fork():
        os.read(reading, 1)  # holds the record's lock, as a process that is on its way out
        os._exit(0)
    die_amid_the_exchange(library, generation)
    looks: list[str] = []
    load = journal.Record.load

    def release_after_a_look(folder: os_layer.LibraryDir, name: str) -> journal.Record | None:
        found = load(folder, name)
        looks.append(name)
        if len(looks) == 1:
            os.write(writing, b"x")
        return found

    journal.Record.load = release_after_a_look  # type: ignore[method-assign, assignment]
    try:
        next_one.commit()
    finally:
        journal.Record.load = load  # type: ignore[method-assign]
        os.wait()
        os.close(reading)
        os.close(writing)
    assert "saved in that instant" in library.map.read_text()
    assert library.parked() == {}


# -- discarded
def test_what_is_discarded_leaves_the_map_on_disk_too(library: Library) -> None:
    """Its editor saved the map just before; or the run that died had come that far."""
    generation = library.finished()
    file = generation.publish_component()
    library.map.write_text(MAP.replace("drill.txt", file))
    generation.close()
    told = discard(str(library.root), generation.tx)
    assert library.map.read_text() == MAP
    assert list(library.parked().values()) == ["Drill down.\n"]
    assert [(change.old, change.new) for change in told.changes] == [(file, "drill.txt")]
    assert "components/protocols/" + file not in library.components()
    assert library.records() == []


def test_an_interrupted_undo_is_not_discarded(library: Library) -> None:
    library.generate()
    calls = itertools.count(1)
    while [waiting.kind for waiting in recovery.pending(str(library.root))] != ["undo"]:
        dies(partial(undoing.undo, str(library.root), tell=print), next(calls))
    (name,) = library.records()
    with pytest.raises(CommitRefused, match="goalmap recover"):
        discard(str(library.root), name.removesuffix(".gmj"))
    assert library.records() == [name]
    recover(str(library.root))
    assert library.map.read_text() == MAP


def test_a_record_is_not_taken_for_gone_while_nobody_can_look(library: Library) -> None:
    generation = library.finished()
    generation.close()
    with locked(str(library.root), timeout_s=5, tell=print), pytest.raises(NotCommitted, match="at work"):
        recovery.pending_one(str(library.root), generation.tx, lock_timeout_s=0)
    assert recovery.pending_one(str(library.root), generation.tx).new_file == generation.file


def test_what_finish_had_to_park_is_not_called_committed(library: Library) -> None:
    generation = library.finished()
    generation.close()
    library.map.write_text(MAP.replace("drill.txt", "hand.txt"))
    told = Report()
    assert not recovery.finish(str(library.root), generation.tx, tell=told.add)
    assert list(library.parked().values()) == ["Drill down.\n"]
    assert len(told.parked) == 1


# -- damaged
def test_a_text_behind_a_hole_in_its_record_is_committed(library: Library) -> None:
    """Pieces are not durable: a power cut may take one, and leave what was written after it."""
    generation = library.finished()
    generation.close()
    (name,) = library.records()
    path = library.root / ".goalmap/journal" / name
    data = path.read_bytes()
    hole = data.index(b"\nC ") + 1
    end = data.index(b"\nF ", hole)
    path.write_bytes(data[:hole] + bytes(end - hole) + data[end:])
    assert recover(str(library.root)).finished
    assert library.reference() == "autogen_protocol_for_debug.txt"


@pytest.mark.parametrize("payload", [b"[]", b"[" * 3000, b'{"tx": 1}'])
def test_a_header_that_is_none_is_damage_and_no_crash(library: Library, payload: bytes) -> None:
    library.finished().close()
    (name,) = library.records()
    (library.root / ".goalmap/journal" / name).write_bytes(b"\nGOALMAP JOURNAL 1\n" + journal._frame(b"H", payload))  # noqa: SLF001 - as a stranger would write it
    assert "cannot be read" in recover(str(library.root)).pending[0].reason
    assert library.records() == [name]


def test_a_record_without_a_beginning_keeps_the_text_that_it_holds(library: Library) -> None:
    generation = library.finished()
    generation.close()
    path = library.root / ".goalmap/journal" / library.records()[0]
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\nH ", b"\nX ", 1))
    with pytest.raises(CommitRefused, match="damaged"):
        discard(str(library.root), generation.tx)
    assert b"Drill down." in path.read_bytes()


# -- lists
def test_a_further_reference_of_the_old_name_is_a_request_of_its_own(library: Library) -> None:
    request = library.request("constraints", "guess.txt", 1)
    library.generate(request)
    library.map.write_text(library.map.read_text().replace('["cite.txt", ', '["cite.txt", "guess.txt", '))
    again = begin(request)
    assert isinstance(again, transaction.Generation)
    assert again.text is None
    again.abandon()


def test_what_was_generated_under_its_own_name_in_a_list_is_done(library: Library) -> None:
    request = library.request("constraints", "guess.txt", 1, naming="referenced")
    library.generate(request)
    assert isinstance(begin(request), transaction.AlreadyDone)
