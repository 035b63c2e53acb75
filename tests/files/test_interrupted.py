"""What waits in a journal is read when the journal has changed, and then without waiting for anybody."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from goalmap.files import interrupted
from goalmap.files.interrupted import Journal
from goalmap.files.journal import Header, Record, new_tx
from goalmap.files.report import NOTHING_INTERRUPTED as NOTHING
from goalmap.files.store import locked
from support.locks import lock_held

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a library without records."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "library" / "components").mkdir(parents=True)
    return tmp_path / "library"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the records that are read, as they are."""
    names: list[str] = []
    load = Record.load.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Record, "load", classmethod(lambda cls, *of: names.append(of[1]) or load(cls, *of)))
    return names


def make_record(root: Path) -> Record:
    """Make a record whose owner lives until it is closed."""
    header = Header(
        new_tx(), "generate", str(root), ("DEBUG",), "protocol", None, "a.txt", "b.txt", "components/protocols"
    )
    with locked(str(root), timeout_s=10, tell=lambda _: None) as store:
        record = Record.create(store.journal, header)
    # The folder of the journal is the store's, and closed with it; the record's own descriptor is not.
    record.finish(b"Ask why.\n")
    return record


def leave_record(root: Path) -> str:
    record = make_record(root)
    record.close()
    return record.header.tx


def make_old(root: Path) -> None:
    """Let the journal's time stamp be one that no further change can have."""
    os.utime(root / ".goalmap" / "journal", ns=(time.time_ns() - 10 * interrupted.RACY_NS,) * 2)


def test_a_library_without_a_journal_is_left_alone(root: Path) -> None:
    assert Journal(str(root)).look() == NOTHING
    assert not (root / ".goalmap").exists()


def test_records_are_read_once_until_the_journal_changes(root: Path, reads: list[str]) -> None:
    first = leave_record(root)
    make_old(root)
    journal = Journal(str(root))
    for _ in range(3):
        found = journal.look()
        assert found is not None
        assert [one.tx for one in found.records] == [first]
    assert reads == [f"{first}.gmj"]
    second = leave_record(root)
    found = journal.look()
    assert found is not None
    assert [one.tx for one in found.records] == [first, second]


def test_a_journal_that_changed_a_moment_ago_is_read_again(root: Path, reads: list[str]) -> None:
    leave_record(root)
    journal = Journal(str(root))
    journal.look()
    journal.look()
    assert len(reads) == 2, "it may change again within the resolution of its time stamp"


def test_a_record_is_shown_once_its_owner_is_gone_though_the_journal_is_as_it_was(root: Path) -> None:
    record = make_record(root)
    make_old(root)
    journal = Journal(str(root))
    assert journal.look() == NOTHING
    record.close()
    found = journal.look()
    assert found is not None
    assert [one.tx for one in found.records] == [record.header.tx]


def test_there_is_no_answer_while_another_process_is_at_work_and_the_next_one_is_fresh(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_record(root)
    make_old(root)
    journal = Journal(str(root))
    with lock_held(root), monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda _: pytest.fail("it waits for the lock"))
        assert journal.look() is None
    found = journal.look()
    assert found is not None
    assert len(found.records) == 1


def test_of_many_records_the_newest_are_read_and_the_rest_counted(
    root: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupted, "MAX_RECORDS", 3)
    left = [leave_record(root) for _ in range(5)]
    found = Journal(str(root)).look()
    assert found is not None
    assert [one.tx for one in found.records] == left[-3:]
    assert found.more == 2
    assert reads == [f"{tx}.gmj" for tx in left[-3:]]
