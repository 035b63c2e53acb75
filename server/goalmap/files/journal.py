"""Records: what a transaction is about, and the text it was paid for, in `.goalmap/journal/<tx>.gmj`.

A record is a line that says so and then frames, only ever appended:

    H  the header, as JSON: written when the record is made, before anything is paid for
    C  a piece of what the model writes
    R  start over: the pieces so far belong to an attempt that was given up
    F  the text that was accepted, with its size and SHA-256, in one write: from its fsync on the text is safe (I4)
    A  its user, who was asked, keeps the text
    N  the component had to take another name
    B  the component is published and the map is changed through an editor's buffer
    T  its user was told of this file among the parked ones

Each frame carries its length and CRC-32; reading stops at the first that is not whole. The file is preallocated, so NUL
bytes follow the last frame. Its first byte is only there to be locked: on Windows others cannot read a locked byte.
Whoever made a record holds its lock until done with it; a record that can be locked has lost its owner.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
import zlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from goalmap.core.naming import COMPONENTS, Naming, unsafe_reason
from goalmap.files import os_layer
from goalmap.files.os_layer import CREATE_NEW, READ, READ_WRITE
from goalmap.files.report import Place
from goalmap.files.store import digest

if TYPE_CHECKING:
    from goalmap.files.os_layer import LibraryDir

Kind: TypeAlias = Literal["generate", "undo", "undo-job"]

_ANY_VERSION = b"\nGOALMAP JOURNAL "
_START = _ANY_VERSION + b"1\n"
_RESERVED_BYTES = 64 << 10  # a long component twice: its pieces, and the text as accepted
_CAP_BYTES = 64 << 20
_LOCK_WAIT_S = 1.0
_NAME = re.compile(r"[0-9a-f]{24}\.gmj\Z")
_RECEIPT = re.compile(r"([0-9a-f]{8})\.[0-9a-f]{24}\.gmj\Z")
_FRAME = re.compile(rb"([HCRFANBT]) ([0-9a-f]{8}) ([0-9a-f]{8})\n")
_LATER_FRAME = re.compile(rb"[CF] [0-9a-f]{8} [0-9a-f]{8}\n")
_TX = re.compile(r"[0-9a-f]{24}\Z")


class Damaged(Exception):  # never leaves this package: a damaged record is reported as pending
    """A record that is not ours, or not of this version, or not safe to act on."""


@dataclass(frozen=True)
class Header:
    """What a transaction is about. Paths are relative to the library; `folder` is that of the component.

    For `generate`, `old` is the reference as the map has it now, and `file` the one it is to have. For `undo` the same
    the other way round: `old` is the generated name that the map has, `file` what it had before, and `component` and
    `sha256` tell which file goes. For `undo-job` only `job` counts.
    `others` are further places that name the same missing component. `job` is what several generations that were asked
    for at once have in common. `unsaved` says that the old reference may be in an editor's unsaved map only; `reviewed`
    that nothing is committed before its user has said so.
    """

    tx: str
    kind: Kind
    root: str
    goal: tuple[str, ...] = ()
    slot: str = ""
    index: int | None = None
    old: str = ""
    file: str = ""
    folder: str = ""
    naming: Naming = "autogen"
    key: str = ""
    component: str = ""
    sha256: str = ""
    receipt: str = ""
    unsaved: bool = False
    others: tuple[Place, ...] = ()
    job: str = ""
    reviewed: bool = False

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place of the map that this is about, the first of which decides."""
        return (Place(self.goal, self.slot, self.index), *self.others)

    def path_of(self, file: str) -> str:
        """Return where the component `file` is, relative to the library, as this system writes paths."""
        return os.path.join(*self.folder.split("/"), *file.split("/"))


@dataclass
class Contents:
    """What could be read of a record. `text` is None until the accepted text is whole.

    `raw` is what the model has written in this attempt, `refused` what it had in earlier ones. `told` are the files
    among the parked ones of which its user knows.
    """

    header: Header | None = None
    raw: bytes = b""
    text: bytes | None = None
    file: str = ""
    is_buffered: bool = False
    is_approved: bool = False
    has_lost_text: bool = False
    refused: list[bytes] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    end_offset: int = len(_START)
    _pieces: list[bytes] = field(default_factory=list)

    @property
    def awaits_review(self) -> bool:
        """Whether the text is whole, and its user has yet to say whether to keep it."""
        return self.text is not None and self.header is not None and self.header.reviewed and not self.is_approved


def new_tx() -> str:
    """Return an identifier, roughly by time: nothing depends on its order, for clocks step back."""
    return f"{time.time_ns():016x}{os.urandom(4).hex()}"


def last_tx() -> str:
    """Return an identifier that sorts after those of `new_tx`."""
    return f"{'f' * 16}{os.urandom(4).hex()}"


def is_tx(text: str) -> bool:
    """Whether `text` is the identifier of a record."""
    return _TX.match(text) is not None


def record_names(folder: LibraryDir) -> list[str]:
    """Return the names of the records in `folder`, oldest first. Other files there are none of ours."""
    return [name for name in folder.names() if _NAME.match(name)]


def receipt_names(folder: LibraryDir) -> list[str]:
    """Return the names of the receipts in `folder`, in the order of their commits, which no clock decides.

    A receipt is called `<number>.<tx>.gmj`, with a number one higher than any before it. The lock must be held.
    """
    return [name for name in folder.names() if _RECEIPT.match(name)]


def next_receipt_name(folder: LibraryDir, tx: str) -> str:
    """Return the name of the receipt of `tx`: a new one, or the one that it has. The lock must be held."""
    names = receipt_names(folder)
    # A power cut in the midst of a rename may leave the file under both names: it must not get a third one.
    known = next((name for name in names if name.endswith(f".{tx}.gmj")), None)
    return known or f"{max((int(name[:8], 16) for name in names), default=0) + 1:08x}.{tx}.gmj"


def _frame(kind: bytes, payload: bytes) -> bytes:
    return b"%s %08x %08x\n%s\n" % (kind, len(payload), zlib.crc32(kind + payload), payload)


def parse(data: bytes) -> Contents:
    """Read the bytes of a record; raise Damaged for what is not one, or asks for what no record of ours asks for."""
    found = Contents()
    if not data.startswith(_START):
        if data.startswith(_ANY_VERSION) or _LATER_FRAME.search(data):
            raise Damaged("it is not a record that this version of Goalmap can read")
        return found  # its maker died before the first write was durable: nothing was paid for
    offset = len(_START)
    while match := _FRAME.search(data, offset):
        kind, length = match[1], int(match[2], 16)
        payload = data[match.end() : match.end() + length]
        end = match.end() + length + 1
        if len(payload) != length or data[end - 1 : end] != b"\n" or zlib.crc32(kind + payload) != int(match[3], 16):
            # Torn, or a power cut left a hole here: what comes after it may be whole, even the text as accepted.
            offset = match.start() + 1
            continue
        try:
            _take(found, kind, payload)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Damaged("a part of it cannot be read") from error
        found.has_lost_text |= match.start() > found.end_offset and kind in b"CF"
        found.end_offset = offset = end
    if found.text is None and _LATER_FRAME.search(data, found.end_offset):
        found.has_lost_text = True
    found.raw = b"".join(found._pieces)  # noqa: SLF001 - our own
    return found


def _take(found: Contents, kind: bytes, payload: bytes) -> None:
    if kind == b"H":
        found.header = _header(payload)
        found.file = found.header.file
    elif kind == b"C":
        found._pieces.append(payload)  # noqa: SLF001 - our own
    elif kind == b"R":
        found.refused.append(b"".join(found._pieces))  # noqa: SLF001 - our own
        found._pieces.clear()  # noqa: SLF001 - our own
    elif kind == b"F":
        said, _, text = payload.partition(b"\n")
        if json.loads(said) == {"size": len(text), "sha256": digest(text)}:
            found.text = text
    elif kind == b"N":
        found.file = _safe_file(payload.decode())
    elif kind == b"A":
        found.is_approved = True
    elif kind == b"T":
        found.told.add(payload.decode())
    else:
        found.is_buffered = True


def _header(payload: bytes) -> Header:
    """Return the header in `payload`, checked as if a stranger had written it: a repository may bring one."""
    values: dict[str, Any] = json.loads(payload)
    others = tuple(Place(tuple(other["goal"]), other["slot"], other["index"]) for other in values.get("others", ()))
    header = Header(**{**values, "goal": tuple(values["goal"]), "others": others})
    texts = (
        header.root,
        header.slot,
        header.old,
        header.file,
        header.folder,
        header.key,
        header.component,
        header.job,
        *(text for place in header.places for text in (place.slot, *place.goal)),
    )
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(isinstance(place.index, int | None) for place in header.places)
        or not all(type(value) is bool for value in (header.unsaved, header.reviewed))
    ):
        raise Damaged("its header has values of the wrong kind")
    if (
        not _TX.match(header.tx)
        or header.kind not in ("generate", "undo", "undo-job")
        or (header.receipt and not _TX.match(header.receipt))
    ):
        raise Damaged("its header is not one of ours")
    if header.kind in ("generate", "undo") and (
        not header.folder.startswith(f"{COMPONENTS}/") or unsafe_reason(header.folder)
    ):
        raise Damaged("its component lies outside of the library")
    _safe_file(header.component if header.kind == "undo" else header.file or "-")
    return header


def _safe_file(file: str) -> str:
    if unsafe_reason(file):
        raise Damaged("its component's name is not safe")
    return file


class Record:
    """A record whose lock we hold. Its methods raise OSError."""

    def __init__(self, folder: LibraryDir, name: str, fd: int, contents: Contents) -> None:
        self.folder = folder
        self.name = name
        self.contents = contents
        self._fd: int | None = fd
        self._unwritten = b""

    @property
    def header(self) -> Header:
        """What it is about; to be asked only of records that have one."""
        if self.contents.header is None:
            raise Damaged("it has no header")
        return self.contents.header

    @property
    def path(self) -> str:
        """Where it is, for messages."""
        return os.path.join(self.folder.path, self.name)

    @classmethod
    def create(cls, folder: LibraryDir, header: Header) -> Record:
        """Make a record, durably, with its disk space already taken; nothing remains of it after an OSError."""
        name = f"{header.tx}.gmj"
        fd = folder.open_file(name, CREATE_NEW)
        record = cls(folder, name, fd, Contents(header=header, file=header.file))
        try:
            end_s = time.monotonic() + _LOCK_WAIT_S
            while not os_layer.try_lock(fd):
                if time.monotonic() > end_s:
                    # Cleaned up below like any other failure.
                    raise OSError(errno.EAGAIN, "somebody holds the new record", record.path)  # noqa: TRY301
                time.sleep(0.001)
            os_layer.allocate(fd, _RESERVED_BYTES)
            frame = _frame(b"H", json.dumps(asdict(header)).encode())
            os_layer.write_at(fd, _START + frame, 0)
            record.contents.end_offset = len(_START + frame)
            # Else a power cut may leave pieces of a text, written back early, without saying what they belong to.
            os_layer.sync_file(fd)
            folder.sync()  # a record that nobody finds after a power cut is no record
        except BaseException:
            record.close()
            folder.unlink(name)
            raise
        return record

    @classmethod
    def load(cls, folder: LibraryDir, name: str) -> Record | None:
        """Open a record that an earlier run left; None while its owner is alive. Raise Damaged."""
        fd = folder.open_file(name, READ_WRITE)
        try:
            if not stat.S_ISREG(os_layer.file_status(fd).st_mode):
                raise Damaged("it is not a regular file")  # noqa: TRY301 - closed below
            if not os_layer.try_lock(fd):
                os_layer.close(fd)
                return None
            contents = parse(_START[:1] + os_layer.read_all(fd, cap_bytes=_CAP_BYTES, offset=1))
            if contents.header is not None and f"{contents.header.tx}.gmj" != name:
                raise Damaged("it does not bear its own name")  # noqa: TRY301 - closed below
            return cls(folder, name, fd, contents)
        except BaseException:
            os_layer.close(fd)
            raise

    def append(self, piece: bytes) -> None:
        """Add what the model wrote. What cannot be written is kept in memory and tried again with the next piece."""
        self.contents.raw += piece
        self._unwritten += piece
        self._add(_frame(b"C", self._unwritten))
        self._unwritten = b""

    def restart(self) -> None:
        """Note that the pieces so far are an attempt that was refused: the model starts over."""
        self.contents.refused.append(self.contents.raw)
        self.contents.raw = self._unwritten = b""
        self._add(_frame(b"R", b""))

    def finish(self, text: bytes) -> None:
        """Keep the accepted text, durably. After this it is safe (I4)."""
        said = json.dumps({"size": len(text), "sha256": digest(text)}).encode()
        fd = self._add(_frame(b"F", said + b"\n" + text))
        os_layer.sync_file(fd)  # without this a power cut after "written" takes what was paid for
        if os_layer.file_status(fd).st_nlink == 0:
            raise OSError(errno.ENOENT, "the record was removed while the model wrote", self.path)
        self.contents.text = text

    def approve(self) -> None:
        """Note that its user keeps the text, durably: from here on recovery commits it."""
        os_layer.sync_file(self._add(_frame(b"A", b"")))  # else a power cut would ask again what was answered
        self.contents.is_approved = True

    def mark_told(self, name: str) -> None:
        """Note that its user was told of the parked file `name`. Without an fsync: being told twice does no harm."""
        self._add(_frame(b"T", name.encode()))
        self.contents.told.add(name)

    def take_name(self, file: str) -> None:
        """Note that the component is to be called `file`, durably, before anything of that name exists."""
        os_layer.sync_file(self._add(_frame(b"N", file.encode())))  # recovery must know which file is ours
        self.contents.file = file

    def mark_buffered(self) -> None:
        """Note that the map is being changed through an editor's buffer, durably, before the editor is asked."""
        os_layer.sync_file(self._add(_frame(b"B", b"")))  # else recovery would change the map behind the editor's back
        self.contents.is_buffered = True

    def _add(self, frame: bytes) -> int:
        if self._fd is None:
            raise OSError(errno.EBADF, "the record is closed", self.path)
        os_layer.write_at(self._fd, frame, self.contents.end_offset)
        self.contents.end_offset += len(frame)
        return self._fd

    def data(self, *, whole: bool = False) -> bytes:
        """Return what the record holds, for a copy of it; `whole`: with what cannot be read as frames."""
        if self._fd is None:
            raise OSError(errno.EBADF, "the record is closed", self.path)
        data = _START[:1] + os_layer.read_all(self._fd, cap_bytes=_CAP_BYTES, offset=1)
        return data.rstrip(b"\0") if whole else data[: self.contents.end_offset]

    def make_durable(self) -> None:
        """Make durable what was read of a record that an earlier run left.

        A process that was killed may have left it in memory only; what follows from it must not outlive it (I3, I4).
        """
        if self._fd is not None:
            os_layer.sync_file(self._fd)  # its last pieces, or its text
            self.folder.sync()  # its name

    def drop(self, *, receipts: LibraryDir | None = None) -> None:
        """Take the record out of the journal, durably, and keep it in `receipts` if given. Needs the map's lock."""
        if self._fd is not None and receipts is not None:
            os_layer.truncate(self._fd, self.contents.end_offset)  # what was reserved, a hundred receipts do not need
        self.close()  # first, since Windows neither moves nor removes open files; the map's lock keeps others away
        if receipts is None:
            self.folder.unlink(self.name)
        elif self.folder.lstat(self.name) is not None:
            self.folder.replace(self.name, receipts, next_receipt_name(receipts, self.header.tx))
        # Only now may "committed" be said: a record that came back would redo what the user then undoes (I8, I10).
        self.folder.sync()

    def close(self) -> None:
        """Let go of the record and its lock; it stays where it is."""
        if self._fd is not None:
            os_layer.close(self._fd)
            self._fd = None


def peek(folder: LibraryDir, name: str) -> Contents | None:
    """Read a record without its lock, whoever holds it; None where it cannot be read."""
    try:
        fd = folder.open_file(name, READ)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os_layer.file_status(fd).st_mode):
            return None
        return parse(_START[:1] + os_layer.read_all(fd, cap_bytes=_CAP_BYTES, offset=1))
    except (OSError, Damaged):
        return None
    finally:
        os_layer.close(fd)
