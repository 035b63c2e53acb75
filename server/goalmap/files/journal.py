"""Records: a transaction's header and its generated text, in `.goalmap/journal/<tx>.gmj`.

A record is a first line with the version, and then frames, which are only appended:

    H  the header, as JSON: written when the record is made, before anything is paid for
    C  a piece of what the model writes
    R  restart: the pieces so far belong to a reply that was rejected
    F  the text that was accepted, with its size and SHA-256, in one write: from its fsync on the text is safe (I4)
    A  approved: the user has reviewed the text and keeps it
    N  the component had to take another name
    B  the component is published and the map is changed through an editor's buffer
    T  the user was told of this file in `parked/`

Each frame carries its length and CRC-32; reading stops at the first that is not whole. The file is preallocated, so NUL
bytes follow the last frame. Its first byte exists only to be locked: on Windows others cannot read a locked byte. The
process that made a record, its owner, holds its lock until it is done; a record that can be locked has no owner.
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


class Damaged(Exception):  # internal: a damaged record is reported as pending
    """A record that is invalid, of another version, or not safe to act on."""


@dataclass(frozen=True)
class Header:
    """What a transaction is to do. Paths are relative to the library; `folder` is that of the component.

    For `generate`, `old` is the reference in the map, and `file` the one it is to have. For `undo`, likewise, `old` is
    the generated name in the map, and `file` the name before that; `component` and `sha256` identify the file to
    remove. For `undo-job` only `job` counts.
    `others` are further places that name the same missing component. `job` identifies generations that were requested
    together. `unsaved`: the old reference may be only in an editor's unsaved map. `reviewed`: nothing is committed
    before the user approves it.
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
    """What could be read of a record. `text` is None until the accepted text is complete.

    `raw` is the reply so far, `refused` are replies that were rejected before it. `told` are the files in `parked/`
    that the user was told of. `pieces` is for the parser only.
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
    pieces: list[bytes] = field(default_factory=list)

    @property
    def awaits_review(self) -> bool:
        """Whether the text is complete, and the user has yet to review it."""
        return self.text is not None and self.header is not None and self.header.reviewed and not self.is_approved


def new_tx() -> str:
    """Return an identifier that begins with the time. Nothing depends on the order: clocks step back."""
    return f"{time.time_ns():016x}{os.urandom(4).hex()}"


def last_tx() -> str:
    """Return an identifier that sorts after those of `new_tx`."""
    return f"{'f' * 16}{os.urandom(4).hex()}"


def is_tx(text: str) -> bool:
    """Whether `text` is the identifier of a record."""
    return _TX.match(text) is not None


def record_names(folder: LibraryDir) -> list[str]:
    """Return the names of the records in `folder`, oldest first. Other files are ignored."""
    return [name for name in folder.names() if _NAME.match(name)]


def receipt_names(folder: LibraryDir) -> list[str]:
    """Return the names of the receipts in `folder`, in the order of their commits, independent of clocks.

    A receipt is called `<number>.<tx>.gmj`, with a number one higher than any before it. The lock must be held.
    """
    return [name for name in folder.names() if _RECEIPT.match(name)]


def next_receipt_name(folder: LibraryDir, tx: str) -> str:
    """Return the name of the receipt of `tx`: a new one, or the one that it has. The lock must be held."""
    names = receipt_names(folder)
    # A power cut in the midst of a rename may leave the file under both names: it must not get a third one.
    existing = next((name for name in names if name.endswith(f".{tx}.gmj")), None)
    return existing or f"{max((int(name[:8], 16) for name in names), default=0) + 1:08x}.{tx}.gmj"


def _frame(kind: bytes, payload: bytes) -> bytes:
    return b"%s %08x %08x\n%s\n" % (kind, len(payload), zlib.crc32(kind + payload), payload)


def parse(data: bytes) -> Contents:
    """Return the contents of a record; raise Damaged where it is invalid or not safe."""
    contents = Contents()
    if not data.startswith(_START):
        if data.startswith(_ANY_VERSION) or _LATER_FRAME.search(data):
            raise Damaged("it is not a record that this version of Goalmap can read")
        return contents  # its maker died before the first write was durable: nothing was paid for
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
            _take(contents, kind, payload)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise Damaged("a part of it cannot be read") from error
        contents.has_lost_text |= match.start() > contents.end_offset and kind in b"CF"
        contents.end_offset = offset = end
    if contents.text is None and _LATER_FRAME.search(data, contents.end_offset):
        contents.has_lost_text = True
    contents.raw = b"".join(contents.pieces)
    return contents


def _take(contents: Contents, kind: bytes, payload: bytes) -> None:
    if kind == b"H":
        contents.header = _header(payload)
        contents.file = contents.header.file
    elif kind == b"C":
        contents.pieces.append(payload)
    elif kind == b"R":
        contents.refused.append(b"".join(contents.pieces))
        contents.pieces.clear()
    elif kind == b"F":
        checksum, _, text = payload.partition(b"\n")
        if json.loads(checksum) == {"size": len(text), "sha256": digest(text)}:
            contents.text = text
    elif kind == b"N":
        contents.file = _safe_file(payload.decode())
    elif kind == b"A":
        contents.is_approved = True
    elif kind == b"T":
        contents.told.add(payload.decode())
    else:
        contents.is_buffered = True


def _header(payload: bytes) -> Header:
    """Return the header in `payload`, validated as untrusted input: a cloned repository may contain a record."""
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
        """The header; raises Damaged where the record has none."""
        if self.contents.header is None:
            raise Damaged("it has no header")
        return self.contents.header

    @property
    def path(self) -> str:
        """Where it is, for messages."""
        return os.path.join(self.folder.path, self.name)

    @classmethod
    def create(cls, folder: LibraryDir, header: Header) -> Record:
        """Make a record, durably, with its disk space reserved; nothing remains of it after an OSError."""
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
            # Else a power cut may leave pieces of a text, which are written back early, without their header.
            os_layer.sync_file(fd)
            folder.sync()  # else a power cut may remove the record's name
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
        """Add a piece of the reply. What cannot be written is kept in memory and written with the next piece."""
        self.contents.raw += piece
        self._unwritten += piece
        self._add(_frame(b"C", self._unwritten))
        self._unwritten = b""

    def restart(self) -> None:
        """Note that the pieces so far are a reply that was rejected: the model is asked again."""
        self.contents.refused.append(self.contents.raw)
        self.contents.raw = self._unwritten = b""
        self._add(_frame(b"R", b""))

    def finish(self, text: bytes) -> None:
        """Keep the accepted text, durably. After this it is safe (I4)."""
        checksum = json.dumps({"size": len(text), "sha256": digest(text)}).encode()
        fd = self._add(_frame(b"F", checksum + b"\n" + text))
        os_layer.sync_file(fd)  # else a power cut loses the text, which was paid for
        if os_layer.file_status(fd).st_nlink == 0:
            raise OSError(errno.ENOENT, "the record was removed while the model wrote", self.path)
        self.contents.text = text

    def approve(self) -> None:
        """Note, durably, that the user keeps the text: from here on recovery commits it."""
        os_layer.sync_file(self._add(_frame(b"A", b"")))  # else a power cut loses the user's answer
        self.contents.is_approved = True

    def mark_told(self, name: str) -> None:
        """Note that the user was told of the parked file `name`. Without an fsync: being told twice does no harm."""
        self._add(_frame(b"T", name.encode()))
        self.contents.told.add(name)

    def take_name(self, file: str) -> None:
        """Note that the component is to be called `file`, durably, before anything of that name exists."""
        os_layer.sync_file(self._add(_frame(b"N", file.encode())))  # recovery must know which file is ours
        self.contents.file = file

    def mark_buffered(self) -> None:
        """Note that the map is being changed through an editor's buffer, durably, before the editor is asked."""
        os_layer.sync_file(self._add(_frame(b"B", b"")))  # else recovery would change the map under the editor
        self.contents.is_buffered = True

    def _add(self, frame: bytes) -> int:
        if self._fd is None:
            raise OSError(errno.EBADF, "the record is closed", self.path)
        os_layer.write_at(self._fd, frame, self.contents.end_offset)
        self.contents.end_offset += len(frame)
        return self._fd

    def data(self, *, whole: bool = False) -> bytes:
        """Return the record's bytes up to its last frame; `whole`: with everything after that."""
        if self._fd is None:
            raise OSError(errno.EBADF, "the record is closed", self.path)
        data = _START[:1] + os_layer.read_all(self._fd, cap_bytes=_CAP_BYTES, offset=1)
        return data.rstrip(b"\0") if whole else data[: self.contents.end_offset]

    def make_durable(self) -> None:
        """Make a record durable that an earlier run left.

        A killed process may have written it without an fsync; no consequence of it may be durable before it (I3, I4).
        """
        if self._fd is not None:
            os_layer.sync_file(self._fd)  # its last pieces, or its text
            self.folder.sync()  # its name

    def drop(self, *, receipts: LibraryDir | None = None) -> None:
        """Remove the record from the journal, durably; keep it in `receipts` if given. Needs the library's lock."""
        if self._fd is not None and receipts is not None:
            os_layer.truncate(self._fd, self.contents.end_offset)  # a hundred receipts need not keep what was reserved
        self.close()  # first: Windows neither moves nor removes open files. The library's lock keeps others away
        if receipts is None:
            self.folder.unlink(self.name)
        elif self.folder.lstat(self.name) is not None:
            self.folder.replace(self.name, receipts, next_receipt_name(receipts, self.header.tx))
        # Only now may "committed" be said: a record that came back would redo what the user then undoes (I8, I10).
        self.folder.sync()

    def close(self) -> None:
        """Release the record's lock; the record stays."""
        if self._fd is not None:
            os_layer.close(self._fd)
            self._fd = None


def peek(folder: LibraryDir, name: str) -> Contents | None:
    """Return the contents of a record without its lock; None where it cannot be read."""
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
