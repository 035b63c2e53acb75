"""Every disk that a power cut could leave, by what was and was not fsynced.

The weakest reading of POSIX: a change of a file's bytes or size is sure only after an fsync of that file; a name in a
folder only after an fsync of that folder; of what is not sure, any part may be on the disk, in any order, and a write
may be there in part or as zeros. Only a rename within one folder (and an exchange) is whole or not at all.

`Recorder` follows a run through the tap and writes down its effects; `left_after` gives what each may leave.
"""

# ruff: noqa: ARG002 - the handlers have the arguments of the calls that they follow

from __future__ import annotations

import itertools
import math
import os
import random
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from goalmap.files.platforms import Platform


@dataclass
class Node:
    """A file, folder or link."""

    kind: Literal["file", "folder", "link"]
    mode: int
    data: bytes = b""
    names: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Node:
        """Return one of its own."""
        return Node(self.kind, self.mode, self.data, dict(self.names))


Disk: TypeAlias = dict[int, Node]


@dataclass(frozen=True)
class Effect:
    """What one call did to one node: a name, some bytes, a size, a mode; or an fsync of it, or something said."""

    kind: Literal["name", "bytes", "size", "mode", "sync", "said"]
    node: int
    args: tuple[Any, ...] = ()
    group: int = 0  # effects of one group are on the disk together or not at all


class Recorder:
    """A model of the disk, kept in step with a run."""

    def __init__(self, top: Path, platform: Platform) -> None:
        self.top = top
        self.platform = platform
        self.nodes: dict[int, Node] = {}
        self.effects: list[Effect] = []
        self._by_inode: dict[tuple[int, int], int] = {}
        self._open: dict[int, int] = {}
        self._groups = itertools.count(1)
        self.root = self._load(top)
        self.at_start = {number: node.copy() for number, node in self.nodes.items()}

    def _load(self, path: Path) -> int:
        status = path.lstat()
        kind: Literal["file", "folder", "link"] = (
            "folder" if stat.S_ISDIR(status.st_mode) else "link" if stat.S_ISLNK(status.st_mode) else "file"
        )
        data = os.readlink(path).encode() if kind == "link" else path.read_bytes() if kind == "file" else b""
        number = self._new(Node(kind, stat.S_IMODE(status.st_mode), data))
        self._by_inode[status.st_dev, status.st_ino] = number
        if kind == "folder":
            for child in sorted(path.iterdir()):
                self.nodes[number].names[child.name] = self._load(child)
        return number

    def _new(self, node: Node) -> int:
        number = len(self.nodes) + 1
        self.nodes[number] = node
        return number

    def _folder(self, name: str, fd: int | None) -> tuple[int, str] | None:
        """Return the folder that a name of a call is in, and its last part; None outside of the library."""
        if fd is not None:
            return self._open[fd], name
        path = Path(os.path.realpath(os.path.dirname(name)))
        top = Path(os.path.realpath(self.top))
        if path != top and top not in path.parents:
            return None
        number = self.root
        for part in path.relative_to(top).parts:
            number = self.nodes[number].names[part]
        return number, os.path.basename(name)

    # -- what the tap sees, after each call
    def after(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Follow one call."""
        handler = getattr(self, f"_after_{name}", None)
        if handler is not None:
            handler(*args, result=result, **kwargs)

    def said(self, word: str) -> None:
        """Note that something was said, which no power cut takes back."""
        self.effects.append(Effect("said", 0, (word,)))

    def _name(self, folder: int, name: str, node: int | None, group: int = 0) -> None:
        if node is None:
            self.nodes[folder].names.pop(name, None)
        else:
            self.nodes[folder].names[name] = node
        self.effects.append(Effect("name", folder, (name, node), group))

    def _after_open(self, name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None, result: int) -> None:
        status = os.fstat(result)
        if stat.S_ISDIR(status.st_mode):
            self._open[result] = self._by_inode.get((status.st_dev, status.st_ino), 0)
            return
        place = self._folder(name, dir_fd)
        if place is None:
            self._open[result] = 0
            return
        folder, base = place
        node = self.nodes[folder].names.get(base)
        if node is not None and self.nodes[node].kind == "link":
            node = self._by_inode.get((status.st_dev, status.st_ino))
        if node is None:
            node = self._new(Node("file", stat.S_IMODE(status.st_mode)))
            self._by_inode[status.st_dev, status.st_ino] = node
            self.at_start[node] = self.nodes[node].copy()
            self._name(folder, base, node)
        elif flags & os.O_TRUNC:
            self._size(node, 0)
        self._open[result] = node

    def _after_close(self, fd: int, *, result: None) -> None:
        self._open.pop(fd, None)

    def _after_mkdir(self, name: str, mode: int = 0o777, *, dir_fd: int | None = None, result: None) -> None:
        place = self._folder(name, dir_fd)
        if place is None:
            return
        status = os.stat(name, dir_fd=dir_fd)
        node = self._new(Node("folder", stat.S_IMODE(status.st_mode)))
        self._by_inode[status.st_dev, status.st_ino] = node
        self.at_start[node] = self.nodes[node].copy()
        self._name(*place, node)

    def _after_unlink(self, name: str, *, dir_fd: int | None = None, result: None) -> None:
        place = self._folder(name, dir_fd)
        if place is not None:
            self._name(*place, None)

    def _after_replace(
        self, name: str, new: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None, result: None
    ) -> None:
        source, target = self._folder(name, src_dir_fd), self._folder(new, dst_dir_fd)
        if source is None or target is None:
            return
        node = self.nodes[source[0]].names[source[1]]
        group = next(self._groups) if source[0] == target[0] else 0
        self._name(*target, node, group)
        self._name(*source, None, group)

    _after_rename = _after_replace

    def _after_link(
        self, name: str, new: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None, result: None
    ) -> None:
        source, target = self._folder(name, src_dir_fd), self._folder(new, dst_dir_fd)
        if source is not None and target is not None:
            self._name(*target, self.nodes[source[0]].names[source[1]])

    def _after_rename_with_flag(self, folder_fd: int, name: str, new: str, flag: int, *, result: None) -> None:
        folder, group = self._open[folder_fd], next(self._groups)
        names = self.nodes[folder].names
        first, second = names[name], names.get(new)
        self._name(folder, new, first, group)
        self._name(folder, name, second if flag == self.platform.exchange_flag else None, group)

    def _after_write(self, fd: int, data: Any, *, result: int) -> None:
        node = self._open.get(fd, 0)
        if not node:
            return
        offset = os.lseek(fd, 0, os.SEEK_CUR) - result
        written = bytes(data)[:result]
        self.nodes[node].data = _overwritten(self.nodes[node].data, offset, written)
        self.effects.append(Effect("bytes", node, (offset, written)))

    def _size(self, node: int, size: int) -> None:
        data = self.nodes[node].data
        self.nodes[node].data = data[:size] + bytes(max(0, size - len(data)))
        self.effects.append(Effect("size", node, (size,)))

    def _after_posix_fallocate(self, fd: int, offset: int, length: int, *, result: None) -> None:
        node = self._open.get(fd, 0)
        if node and len(self.nodes[node].data) < offset + length:
            self._size(node, offset + length)

    def _after_ftruncate(self, fd: int, size: int, *, result: None) -> None:
        self._size(self._open[fd], size)

    def _after_fchmod(self, fd: int, mode: int, *, result: None) -> None:
        node = self._open.get(fd, 0)
        if node:
            self.nodes[node].mode = mode
            self.effects.append(Effect("mode", node, (mode,)))

    def _after_fsync(self, fd: int, *, result: None) -> None:
        self.effects.append(Effect("sync", self._open.get(fd, 0)))

    # -- the model must be where the real disk is, or it proves nothing
    def differences(self) -> list[str]:
        """Return the paths where the model and the real disk differ."""
        real = Recorder(self.top, self.platform)
        mine, theirs = dict(_paths(self.nodes, self.root, "")), dict(_paths(real.nodes, real.root, ""))
        return [path for path in sorted(mine.keys() | theirs.keys()) if mine.get(path) != theirs.get(path)]


def _paths(nodes: Disk, number: int, path: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    node = nodes[number]
    yield path, (node.kind, node.data, 0 if node.kind == "link" else node.mode)
    for name, child in node.names.items():
        yield from _paths(nodes, child, f"{path}/{name}")


def _overwritten(data: bytes, offset: int, written: bytes) -> bytes:
    data = data.ljust(offset, b"\0")
    return data[:offset] + written + data[offset + len(written) :]


# -- what could be left


def _choices(effect: Effect) -> list[Effect | None]:
    """Return what may be on the disk of an effect that is not sure."""
    if effect.kind != "bytes":
        return [None, effect]
    offset, written = effect.args
    half = len(written) // 2
    parts = [(offset, written), (offset, written[:half]), (offset, bytes(len(written)))]
    if len(written) > 1:
        parts.append((offset + half, written[half:]))
    return [None, *(Effect("bytes", effect.node, part) for part in parts)]


def _not_sure(effects: list[Effect]) -> list[list[Effect]]:
    """Return the effects that no later fsync has made sure, those of one group together."""
    synced_at = {effect.node: index for index, effect in enumerate(effects) if effect.kind == "sync"}
    loose: dict[object, list[Effect]] = {}
    for index, effect in enumerate(effects):
        if effect.kind not in ("sync", "said") and index > synced_at.get(effect.node, -1):
            loose.setdefault(("group", effect.group) if effect.group else index, []).append(effect)
    return list(loose.values())


def left_after(effects: list[Effect], cap: int, rng: random.Random) -> Iterator[list[Effect]]:
    """Yield what of `effects` may be on the disk when the power goes after them; a sample beyond `cap`."""
    loose = _not_sure(effects)
    # A group is chosen as one; what stands for it here is its first effect.
    options = [_choices(unit[0]) if len(unit) == 1 else [None, unit[0]] for unit in loose]
    number_of = {id(effect): number for number, unit in enumerate(loose) for effect in unit}
    happened = [effect for effect in effects if effect.kind not in ("sync", "said")]
    for picks in _picks(options, cap, rng):
        left = []
        for effect in happened:
            number = number_of.get(id(effect))
            if number is None or (picks[number] is not None and len(loose[number]) > 1):
                left.append(effect)
            elif (pick := picks[number]) is not None:
                left.append(pick)
        yield left


def _picks(options: list[list[Effect | None]], cap: int, rng: random.Random) -> Iterator[tuple[Effect | None, ...]]:
    if math.prod(len(option) for option in options) <= cap:
        yield from itertools.product(*options)
        return
    full, none = tuple(option[1] for option in options), (None,) * len(options)
    for i, option in enumerate(options):
        yield full[:i] + none[i:]
        for pick in option:
            yield (*full[:i], pick, *full[i + 1 :])
            yield (*none[:i], pick, *none[i + 1 :])
    for _ in range(cap):
        yield tuple(rng.choice(option) for option in options)


def disk_with(at_start: Disk, effects: list[Effect]) -> Disk:
    """Return the disk that these effects give."""
    disk = {number: node.copy() for number, node in at_start.items()}
    for effect in effects:
        node = disk[effect.node]
        if effect.kind == "name":
            name, target = effect.args
            if target is None:
                node.names.pop(name, None)
            else:
                node.names[name] = target
        elif effect.kind == "bytes":
            node.data = _overwritten(node.data, *effect.args)
        elif effect.kind == "size":
            node.data = node.data[: effect.args[0]].ljust(effect.args[0], b"\0")
        else:
            node.mode = effect.args[0]
    return disk


def write_disk(disk: Disk, number: int, path: Path, written: dict[int, Path] | None = None) -> None:
    """Make the disk real at `path`. A file of two names, as half a rename leaves it, is one file with two links."""
    node, written = disk[number], {} if written is None else written
    if node.kind == "folder":
        path.mkdir()
        for name, child in node.names.items():
            write_disk(disk, child, path / name, written)
        path.chmod(node.mode)
    elif number in written:
        os.link(written[number], path)
    elif node.kind == "link":
        path.symlink_to(node.data.decode())
    else:
        path.write_bytes(node.data)
        path.chmod(node.mode)
        written[number] = path


def fingerprint(disk: Disk, number: int) -> tuple[object, ...]:
    """Return a value that is equal for equal trees."""
    node = disk[number]
    return (
        node.kind,
        node.mode,
        node.data,
        tuple((name, fingerprint(disk, node.names[name])) for name in sorted(node.names)),
    )
