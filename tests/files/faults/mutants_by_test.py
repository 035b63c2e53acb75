"""Seeded faults that no disturbed call shows: each must make the test fail that is about it."""

# ruff: noqa: ARG001, ARG005 - mutants have the signatures of what they stand in for
# mypy: disable-error-code="assignment, method-assign, misc"

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goalmap.files import commit, journal, plan, recovery, store, transaction, undo, undo_step
from goalmap.generation import loops
from goalmap.lsp import stdio, validate
from goalmap.lsp.generation import progress
from goalmap.settings import Settings
from goalmap.workflows import generate_all

from .mutants import Mutant, no_fsync
from .scenes import REVIEWED

ROOT = Path(__file__).parents[3]


def fails(test: str) -> bool:
    """Whether the test, which must exist, fails in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(ROOT / test)])
    assert code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), out.getvalue()
    return code == pytest.ExitCode.TESTS_FAILED


def _set(owner: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


def _told_twice() -> None:
    def tell(self: store.Store) -> None:
        if not self.report.is_empty:
            report, self.report = self.report, type(self.report)()
            self._tell(report)
            self._tell(report)

    store.Store.tell = tell


def _dropped_before_it_is_told() -> None:
    real = commit.let_go

    def let_go(store_: Any, record: Any, **options: Any) -> None:
        record.folder.unlink(record.name)
        record.folder.sync()
        real(store_, record, **options)

    commit.let_go = recovery.let_go = undo_step.let_go = let_go


def _receipts_by_the_clock() -> None:
    names = journal.receipt_names

    def by_tx(folder: Any) -> list[str]:
        return sorted(names(folder), key=lambda name: name[9:])

    commit.receipt_names = undo.receipt_names = undo_step.receipt_names = by_tx


def _receipts_of_a_job_forgotten() -> None:
    def forget(store_: Any, newest: Any) -> None:
        for name in journal.receipt_names(store_.receipts)[: -commit.RECEIPTS_KEPT]:
            store_.receipts.unlink(name)

    commit._forget_old_receipts = forget  # noqa: SLF001


def _undo_of_a_job_not_recorded() -> None:
    def finish(store_: Any, record: Any) -> None:
        record.drop()

    undo_step.finish_undo_job = finish


def _only_the_first_goal_follows() -> None:
    real = commit.with_reference

    def with_reference(goal_map: Any, header: Any, new: str) -> str | None:
        return real(goal_map, type(header)(**{**header.__dict__, "others": ()}), new)

    commit.with_reference = with_reference


def _refused_text_dropped() -> None:
    module: Any = sys.modules[generate_all.__module__]
    module._parking = lambda error: {"park_text": False}  # noqa: SLF001


def _reporters_fail() -> None:
    module: Any = sys.modules[generate_all.__module__]
    module._Safe = lambda reporter: reporter  # noqa: SLF001


def _key_goes_anywhere() -> None:
    real = Settings.model_settings

    def model_settings(self: Settings, environ: Any, *, stored_key: Any = None) -> Any:
        found = real(self, environ, stored_key=stored_key)
        if stored_key is None:
            return found
        from goalmap.generation.model_settings import origin

        bound = type(stored_key)(stored_key.key, origin(found.base_url or "") or stored_key.origin)
        return real(self, environ, stored_key=bound)

    Settings.model_settings = model_settings


def _words_of_pieces() -> None:
    def feed(self: progress.WordCount, piece: str) -> None:
        self.number += len(re.findall(r"\S+", piece))

    progress.WordCount.feed = feed


def _mutant(name: str, apply: Callable[[], None], test: str) -> Mutant:
    return Mutant(name, apply, "test", test=test)


TOLD = "tests/files/test_told.py::"
JOBS = "tests/files/test_jobs.py::"
MUTANTS_BY_TEST = [
    Mutant("a review forgotten by the journal", _set(journal.Contents, "awaits_review", False), "kill", REVIEWED),
    Mutant("no fsync of an approval", no_fsync("file", "approve"), "power", REVIEWED),
    _mutant(
        "the receipts not asked before the buffer",
        _set(transaction, "_done_before", lambda *_: None),
        TOLD + "test_an_older_buffer_does_not_pay_for_what_somebody_else_has_committed",
    ),
    _mutant(
        "an older buffer pays for a second text",
        _set(plan, "_refuse_overtaken", lambda *_: None),
        TOLD + "test_an_older_buffer_is_refused_another_text_for_what_the_disk_has",
    ),
    _mutant(
        "what was parked on the way not told",
        _set(store.Store, "tell", lambda _: None),
        TOLD + "test_a_commit_tells_what_its_recovery_of_others_parked",
    ),
    _mutant("everything told twice", _told_twice, TOLD + "test_a_commit_tells_what_its_recovery_of_others_parked"),
    _mutant(
        "a record dropped before it is told",
        _dropped_before_it_is_told,
        TOLD + "test_whatever_call_a_recovery_dies_at_what_it_parked_is_told",
    ),
    _mutant(
        "undo takes back what it has just finished",
        _set(store.Store, "finished", ()),
        TOLD + "test_an_undo_does_not_take_back_what_it_has_itself_just_finished",
    ),
    _mutant(
        "receipts in the order of a clock",
        _receipts_by_the_clock,
        TOLD + "test_the_newest_commit_is_undone_however_the_clock_steps",
    ),
    _mutant(
        "a dying owner taken for a living one",
        _set(recovery, "_is_half_done", lambda *_: False),
        TOLD + "test_an_owner_that_dies_with_the_map_half_exchanged_is_waited_for",
    ),
    _mutant(
        "receipts of the newest job forgotten",
        _receipts_of_a_job_forgotten,
        JOBS + "test_a_job_of_more_than_the_receipts_that_are_kept_is_undone_whole",
    ),
    _mutant(
        "the undo of a job given up by recovery",
        _undo_of_a_job_not_recorded,
        JOBS + "test_whatever_call_the_undo_of_a_job_dies_at_recovery_ends_it",
    ),
    _mutant(
        "only the first of several goals follows",
        _only_the_first_goal_follows,
        JOBS + "test_every_goal_that_names_a_missing_component_follows",
    ),
    _mutant(
        "a refused text dropped",
        _refused_text_dropped,
        "tests/workflows/test_generate.py::test_what_was_refused_is_parked_and_named_with_every_attempt",
    ),
    _mutant(
        "a reporter that raises ends the generation",
        _reporters_fail,
        "tests/workflows/test_generate.py::test_a_reporter_that_raises_fails_no_generation",
    ),
    _mutant(
        "a stored key sent to any origin",
        _key_goes_anywhere,
        "tests/settings/test_settings.py::test_a_stored_key_is_sent_to_its_own_origin_alone",
    ),
    _mutant(
        "params not checked",
        _set(validate, "_fault", lambda *_: None),
        "tests/lsp/test_validate.py::test_the_member_at_fault_is_named",
    ),
    _mutant(
        "framing lost at a bad header",
        _set(stdio.Framer, "_skip", lambda self, bodies: None),
        "tests/lsp/test_protocol_framing.py",
    ),
    _mutant(
        "words counted by piece",
        _words_of_pieces,
        "tests/lsp/test_progress.py::test_any_cut_of_a_text_counts_the_words_of_the_whole",
    ),
    _mutant(
        "loops looked for in the last piece alone",
        _set(loops.LoopWatch, "feed", lambda self, chunk: loops.has_loop(chunk) if len(chunk) > 40 else False),
        "tests/generation/test_loops.py::test_any_cut_of_a_text_gives_the_words_and_the_verdict_of_the_whole",
    ),
]
