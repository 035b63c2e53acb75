"""Seeded faults: small mutants of the commit, each of which some kind of fault must catch.

A suite that cannot fail proves nothing.

A mutant is applied from outside, to a process of its own; the product has no switches for it.
"""

# ruff: noqa: ARG001 - mutants have the signatures of what they stand in for

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from goalmap.files import atomic, commit, journal, os_layer, recovery, safe_open, transaction, undo_step
from goalmap.files.report import Parked

from .scenes import BUFFERED, BY_HAND, CONFLICT, FRESH, NO_EXCHANGE, REFERENCED, STEADY, TAKEN_LATE, UNDO, Scene


@dataclass(frozen=True)
class Mutant:
    """`kind`, `scene` and, for other writers, `writer` say where it shows."""

    name: str
    apply: Callable[[], None]
    kind: str
    scene: Scene = STEADY
    writer: str = ""
    in_recovery: bool = False  # of a power cut: while a killed process is recovered from
    test: str = ""  # for kind `test`: the one that must fail


def _callers(depth: int = 6) -> list[str]:
    frame, names = sys._getframe(2), []  # noqa: SLF001 - the one way to know who calls
    while frame is not None and len(names) < depth:
        names.append(frame.f_code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return names


def no_fsync(what: str, *functions: str) -> Callable[[], None]:
    """Leave out the fsync of a `file` or `folder` in the first function, where that is called from the others."""

    def applies(callers: list[str]) -> bool:
        return callers[0] == functions[0] and all(name in callers for name in functions[1:])

    def apply() -> None:
        if what == "file":
            real_file = os_layer.sync_file
            os_layer.sync_file = lambda fd: None if applies(_callers()) else real_file(fd)
        else:
            real_folder = os_layer.LibraryDir.sync

            def sync(self: os_layer.LibraryDir) -> None:
                if not applies(_callers()):
                    real_folder(self)

            os_layer.LibraryDir.sync = sync  # type: ignore[method-assign]

    return apply


def _map_first() -> None:
    real = commit.publish_component

    def publish(store_: Any, record: Any, map_file: Any, *, thorough: bool) -> None:
        header = record.header
        map_file.replace(
            header.tx, lambda text: commit.with_reference(map_file.parse(text), header, record.contents.file)
        )
        real(store_, record, map_file, thorough=thorough)

    commit.publish_component = publish


def _record_dropped_early() -> None:
    real = commit.publish_component

    def publish(store_: Any, record: Any, map_file: Any, *, thorough: bool) -> None:
        real(store_, record, map_file, thorough=thorough)
        record.folder.unlink(record.name)

    commit.publish_component = publish


def _text_not_recorded() -> None:
    def finish(self: journal.Record, text: bytes) -> None:
        self.contents.text = text

    journal.Record.finish = finish  # type: ignore[method-assign]


def _pieces_not_recorded() -> None:
    def append(self: journal.Record, piece: bytes) -> None:
        self.contents.raw += piece

    journal.Record.append = append  # type: ignore[method-assign]


def _no_recovery_before_paying() -> None:
    transaction.recover_locked = lambda *_, **__: []  # type: ignore[assignment]


def _no_lock(function: str) -> Callable[[], None]:
    def apply() -> None:
        real = os_layer.try_lock
        os_layer.try_lock = lambda fd: True if function in _callers(2) else real(fd)

    return apply


def _no_compare() -> None:
    atomic.MapState.is_still = lambda *_: True  # type: ignore[method-assign]


def _displaced_not_looked_at() -> None:
    def settle_one(self: atomic.MapFile, tx: str, name: str, *, read: str, written: str) -> bool:
        self.folder.unlink(name)
        return True

    atomic.MapFile._settle_one = settle_one  # type: ignore[method-assign] # noqa: SLF001


def _never_settled() -> None:
    real = atomic.MapFile.settle
    atomic.MapFile.settle = lambda self, tx: real(self, tx) if "_put" in _callers(2) else True  # type: ignore[method-assign]


def _written_in_place() -> None:
    def put(self: atomic.MapFile, tx: str, base: atomic.MapState, wanted: bytes) -> bool:
        fd = self.folder.open_file(self.name, os_layer.READ_WRITE | os.O_TRUNC)
        os_layer.write_at(fd, wanted, 0)
        os_layer.sync_file(fd)
        os_layer.close(fd)
        return True

    atomic.MapFile._put = put  # type: ignore[method-assign] # noqa: SLF001


def _clobbers() -> None:
    def move_new(self: os_layer.LibraryDir, name: str, new_name: str) -> bool:
        self.replace(name, self, new_name)
        return True

    os_layer.LibraryDir.move_new = move_new  # type: ignore[method-assign]


def _fsync_errors_swallowed() -> None:
    real = os_layer._full_sync  # noqa: SLF001

    def sync(fd: int) -> None:
        with contextlib.suppress(OSError):
            real(fd)

    os_layer._full_sync = sync  # noqa: SLF001


def _fsync_retried() -> None:
    real = os_layer._full_sync  # noqa: SLF001

    def sync(fd: int) -> None:
        try:
            real(fd)
        except OSError:
            real(fd)

    os_layer._full_sync = sync  # noqa: SLF001


def _drop_errors_swallowed() -> None:
    real = journal.Record.drop

    def drop(self: journal.Record, **options: Any) -> None:
        with contextlib.suppress(OSError):
            real(self, **options)

    journal.Record.drop = drop  # type: ignore[method-assign]


def _undo_component_first() -> None:
    real = undo_step.finish_undo

    def finish(store_: Any, record: Any) -> str:
        header = record.header
        commit.remove_component(store_, header, header.component, header.sha256)
        return real(store_, record)

    undo_step.finish_undo = finish


def _mode_not_kept() -> None:
    os_layer.copy_mode_and_owner = lambda *_: None


def _torn_frames_accepted() -> None:
    real = journal.parse

    def parse(data: bytes) -> journal.Contents:
        found = real(data)
        torn = re.search(rb"F [0-9a-f]{8} [0-9a-f]{8}\n[^\n]*\n", data[found.end_offset :])
        if found.text is None and torn:
            found.text = data[found.end_offset + torn.end() :].rstrip(b"\0")
        return found

    journal.parse = parse


def _parked_after_the_record() -> None:
    real = recovery.park

    def park(store_: Any, record: Any, reason: str, **options: Any) -> Parked:
        record.folder.unlink(record.name)
        record.folder.sync()
        return real(store_, record, reason, **options)

    recovery.park = transaction.park = park


def _new_name_not_recorded() -> None:
    def take_name(self: journal.Record, file: str) -> None:
        self.contents.file = file

    journal.Record.take_name = take_name  # type: ignore[method-assign]


def _own_commit_not_recognised() -> None:
    def find(goal_map: Any, place: Any, file: str) -> Any:
        return None if file.startswith("autogen_") else real_find(goal_map, place, file)

    real_find = commit.find_reference
    commit.find_reference = find


def _writers_not_seen() -> None:
    os_layer.has_writer = lambda _: False


def _writers_seen_too_late() -> None:
    def when_quiet(self: atomic.MapFile, name: str, expected: tuple[str, str]) -> tuple[bytes, bool]:
        data = safe_open.read_regular(self.folder, name, cap_bytes=atomic.MAX_MAP_BYTES) or b""
        return data, not self._is_being_written(name)

    atomic.MapFile._when_quiet = when_quiet  # type: ignore[method-assign] # noqa: SLF001


def _believed_at_once() -> None:
    journal.Record.make_durable = lambda _: None  # type: ignore[method-assign]


def _not_thorough() -> None:
    real = commit.enter
    commit.enter = lambda root, path, **options: real(root, path, **{**options, "thorough": False})


def _buffer_not_marked() -> None:
    def mark(self: journal.Record) -> None:
        self.contents.is_buffered = True

    journal.Record.mark_buffered = mark  # type: ignore[method-assign]


def _edit_reformats() -> None:
    real = commit.with_reference

    def with_reference(*arguments: Any) -> str | None:
        new = real(*arguments)
        return None if new is None else "\ufeff" + json.dumps(json.loads(new.removeprefix("\ufeff")))

    commit.with_reference = with_reference


MUTANTS = [
    # every fsync left out
    Mutant("no fsync of the new record", no_fsync("file", "create"), "power"),
    Mutant("no fsync of journal/ for a new record", no_fsync("folder", "create"), "power"),
    Mutant("no fsync of the text in the record", no_fsync("file", "finish"), "power"),
    Mutant("no fsync of a name taken instead", no_fsync("file", "take_name"), "power", TAKEN_LATE),
    Mutant("no fsync of the mark for editors", no_fsync("file", "mark_buffered"), "power", BUFFERED),
    Mutant("no fsync of the component", no_fsync("file", "write_whole", "_publish"), "power"),
    Mutant("no fsync of the component's folder", no_fsync("folder", "_publish"), "power"),
    Mutant("no fsync of new folders", no_fsync("folder", "enter"), "power", REFERENCED),
    Mutant("no fsync of .goalmap when it is new", no_fsync("folder", "open_state"), "power", FRESH),
    Mutant("no fsync of the map", no_fsync("file", "write_whole", "_put"), "power"),
    Mutant("no fsync of the map's folder", no_fsync("folder", "replace"), "power"),
    Mutant("no fsync of journal/ before success is said", no_fsync("folder", "drop"), "power", BY_HAND),
    Mutant("no fsync of a map that an editor saved", no_fsync("file", "_sync_content"), "power", BUFFERED),
    Mutant("no fsync of a parked text", no_fsync("file", "write_whole", "park"), "power", CONFLICT),
    Mutant("no fsync of parked/", no_fsync("folder", "park"), "power", CONFLICT),
    Mutant("no fsync after a component was removed", no_fsync("folder", "remove_component"), "power", UNDO),
    Mutant("no fsync of a record before it is acted on", _believed_at_once, "power", in_recovery=True),
    Mutant("no fsync of folders that a killed process made", _not_thorough, "power", FRESH, in_recovery=True),
    # the order
    Mutant("the map before the component", _map_first, "kill"),
    Mutant("the record dropped before the map is written", _record_dropped_early, "kill"),
    Mutant("the record dropped before the text is parked", _parked_after_the_record, "kill", CONFLICT),
    Mutant("undo removes the component before the map", _undo_component_first, "kill", UNDO),
    # the record
    Mutant("the text not recorded", _text_not_recorded, "kill"),
    Mutant("the pieces not recorded", _pieces_not_recorded, "kill"),
    Mutant("half a frame accepted", _torn_frames_accepted, "kill"),
    Mutant("another name taken and not recorded", _new_name_not_recorded, "kill", TAKEN_LATE),
    Mutant("no recovery before paying", _no_recovery_before_paying, "kill"),
    Mutant("recovery does not know its own commit", _own_commit_not_recognised, "kill"),
    Mutant("leftovers of an exchange not settled", _never_settled, "kill"),
    Mutant("an editor's commit not marked", _buffer_not_marked, "kill", BUFFERED),
    # the map
    Mutant("the map written in place", _written_in_place, "kill"),
    Mutant("mode and owner not kept", _mode_not_kept, "kill"),
    Mutant("the map formatted anew", _edit_reformats, "kill"),
    # errors
    Mutant("fsync errors swallowed", _fsync_errors_swallowed, "error"),
    Mutant("a failed fsync repeated", _fsync_retried, "error"),
    Mutant("success said with the record still there", _drop_errors_swallowed, "error"),
    # others
    Mutant("no lock on the map", _no_lock("locked"), "foreign", writer="generate for the same slot"),
    Mutant("no lock on the record", _no_lock("load"), "foreign", writer="generate for the same slot"),
    Mutant("no compare before the rename", _no_compare, "foreign", NO_EXCHANGE, writer="another goal, rename"),
    Mutant(
        "what the exchange displaced not looked at", _displaced_not_looked_at, "foreign", writer="another goal, rename"
    ),
    Mutant("programs that hold the map open not seen", _writers_not_seen, "foreign", writer="held open"),
    Mutant("whether somebody writes asked after reading", _writers_seen_too_late, "foreign", writer="held open"),
    Mutant("a component of the same name overwritten", _clobbers, "foreign", writer="the component's name taken"),
]
