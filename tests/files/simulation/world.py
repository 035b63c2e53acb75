"""Processes on one disk: what each call of theirs does, who dies when, what was paid for and what was said to whom."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import importlib
import io
import logging
import os
import pkgutil
import queue
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from tests.files.faults.tap import Tap

import goalmap
from goalmap.cli import main
from goalmap.generation import write_component
from goalmap.generation.errors import ModelError
from goalmap.generation.reply import Accepted
from goalmap.lsp import stdio

from .loop import Event, Lock, Queue, Thread, Threads, run
from .scheduler import START_NS, Actor, Hub, Killed, Process

if TYPE_CHECKING:
    from .editor import Editor

MAP = "goal_map.json"
TX_LENGTH = 24
GOALS = 3
EDITORS = 2
# The moments at which a kill is worth most. Some a process sees itself, some an editor sees.
MOMENTS = ("asked", "chunk", "safe", "buffered", "component", "ready", "exchanged", "receipt", "parked", "placed")
REFERENCE = re.compile(r'^ *"(GOAL\d+)": \{"protocol": "([^"]*)"\}', re.MULTILINE)
NOTE = re.compile(r'"note(\d+)": "(\d+)"')


@dataclass
class Text:
    """What the model was paid for. `safe_s` is when it was first durable in the journal."""

    number: int
    goal: str
    process: Process
    text: str
    asked_s: float
    safe_s: float | None = None
    file: str = ""  # the component's, once there is one
    committer: Process | None = None  # who has said, or could not say any more, that it is in the library


@dataclass(frozen=True)
class Said:
    """What somebody was told, and by which process."""

    at_s: float
    process: Process
    kind: str
    text: str


@dataclass
class Act:
    """Something that is to be told: done by `process` with a record that `maker` made."""

    at_s: float
    process: Process
    what: str  # parked, finished, undone
    name: str  # the file, as it must occur in what is said
    maker: Process | None = None


@dataclass
class World:
    """One schedule's library and everybody in it."""

    base: Path
    seed: int
    hub: Hub = field(init=False)
    processes: list[Process] = field(default_factory=list)
    editors: list[Editor] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    undos: list[tuple[float, Process]] = field(default_factory=list)  # when one was done, and by whom
    makers: dict[str, Process] = field(default_factory=dict)  # of records, by name
    undo_records: set[str] = field(default_factory=set)
    removers: dict[str, Process] = field(default_factory=dict)  # who removed a component
    excused: set[str] = field(default_factory=set)  # components that an editor names which cannot know that they went
    on_disk: dict[str, str] = field(default_factory=dict)
    trouble_rate: float = 0.0
    is_being_saved: bool = False  # by an editor
    waiting_to_save: list[Actor] = field(default_factory=list)  # for the worst of moments: see Editor.save_amid
    trace: list[str] | None = None
    _changed_ns: dict[int, tuple[int, int]] = field(default_factory=dict)
    current: ClassVar[World | None] = None

    def __post_init__(self) -> None:
        self.hub = Hub(self.seed)
        self.rng = random.Random(f"world {self.seed}")
        self.kernel = Process("kernel")
        self.root = self.base / "library"
        self.map = self.root / MAP

    def build(self) -> None:
        """Make the library."""
        shutil.rmtree(self.base, ignore_errors=True)
        (self.root / "components" / "protocols").mkdir(parents=True)
        lines = [f'  "GOAL{n}": {{"protocol": "todo{n}.txt"}},\n' for n in range(GOALS)]
        lines += [f'  "USER{n}": {{"note{n}": "000000"}},\n' for n in range(EDITORS)]
        self.map.write_text("{\n" + "".join(lines)[:-2] + "\n}\n")
        self.on_disk = dict(REFERENCE.findall(self.map.read_text()))

    # -- who says what
    def note(self, text: str) -> None:
        """Put a line into the trace."""
        if self.trace is not None:
            who = self.hub.current.process.name if self.hub.current else "-"
            text = text.replace(str(self.root), "LIBRARY")  # which is another one each time
            self.trace.append(f"{self.hub.now_s * 1000:10.2f} ms  {who:10} {text}")

    def say(self, process: Process, kind: str, text: str) -> None:
        """Note what a person can read."""
        self.said.append(Said(self.hub.now_s, process, kind, text))
        self.note(f"{process.name} tells ({kind}): {text}")

    # -- processes
    def spawn(self, name: str, act: Callable[[], Any]) -> Process:
        """Start a process."""
        process = Process(name)
        self.processes.append(process)
        process.stdout, process.stderr = _Terminal(self, process), _Terminal(self, process)

        def run_to_end() -> None:
            try:
                act()
            except Killed:
                raise
            except BaseException as error:  # noqa: BLE001 - nothing of ours may end so
                self.wrong.append(f"fault: {name} ended with {error!r}")
            process.has_ended = True
            self._let_go(process)

        self.hub.start(process, "main", run_to_end)
        return process

    def kill(self, process: Process) -> None:
        """Kill it; its descriptors are closed in random order, while others go on."""
        if process.is_alive:
            self.note(f"KILL {process.name}")
            self.hub.kill(process)
            self._let_go(process)

    def _let_go(self, process: Process) -> None:
        descriptors = list(process.open_files)
        self.rng.shuffle(descriptors)
        process.open_files = {}

        def close() -> None:
            for descriptor in descriptors:
                self.hub.point()
                os.close(descriptor)

        if descriptors:
            self.hub.start(self.kernel, "closing", close)

    def moment(self, process: Process, name: str) -> None:
        """Know that a process has come to a moment: perhaps it is to die there, or some calls later."""
        self.note(f"= {name} ({process.name})")
        if process.dies_at == name:
            process.dies_at = ""
            if process.dies_after_calls:
                process.calls_left = process.dies_after_calls
            else:
                self.kill(process)
                if self.hub.current is not None and self.hub.current.process is process:
                    raise Killed

    # -- the disk
    def touch(self, inode: int, *, contents: bool) -> None:
        """Note the time of a change: the kernel's own clock is too coarse, and never the same twice."""
        now_ns = START_NS + int(self.hub.now_s * 1e9)
        modified_ns = now_ns if contents else self._changed_ns.get(inode, (START_NS, 0))[0]
        self._changed_ns[inode] = modified_ns, now_ns

    def call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make one call to the system for whoever has the turn."""
        actor = self.hub.current
        if actor is None:
            return real(*args, **kwargs)
        process = actor.process
        self.hub.point()
        if process.calls_left is not None:
            process.calls_left -= 1
            if process.calls_left <= 0:
                process.calls_left = None
                self.kill(process)
                raise Killed
        if name == "rename_with_flag" and MAP in args and self.waiting_to_save:
            while self.waiting_to_save:
                self.waiting_to_save.pop().wake()
            self.hub.sleep(0.002)
        if name == "close":
            process.open_files.pop(args[0], None)
        result = real(*args, **kwargs)
        if name in _FOLLOWED:
            return self._follow(process, name, args, kwargs, result)
        return result

    def _follow(self, process: Process, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        if name in ("stat", "fstat"):
            return self._status(result)
        if name == "open":
            label = os.path.basename(args[0])
            process.open_files[result] = label
            if args[1] & os.O_CREAT:
                self.touch(os.fstat(result).st_ino, contents=True)
                if label.endswith(".gmj"):
                    self.makers.setdefault(label, process)
        elif name in ("write", "posix_fallocate", "ftruncate"):
            self.touch(os.fstat(args[0]).st_ino, contents=True)
            if process.open_files.get(args[0], "").endswith(".gmj") and name == "write":
                if bytes(args[1][:2]) == b"B ":
                    self.moment(process, "buffered")
                elif b'"kind": "undo"' in bytes(args[1][:400]):
                    self.undo_records.add(process.open_files[args[0]])
        elif name == "fsync":
            if process.open_files.get(args[0], "").endswith(".gmj"):
                self._look_for_safe_text(process, args[0])
        else:
            self._renamed(process, name, args, kwargs)
        return result

    def _status(self, status: os.stat_result) -> Any:
        modified_ns, changed_ns = self._changed_ns.get(status.st_ino, (START_NS, START_NS))
        return SimpleNamespace(
            **{key: getattr(status, key) for key in _STATUS}, st_mtime_ns=modified_ns, st_ctime_ns=changed_ns
        )

    def _look_for_safe_text(self, process: Process, descriptor: int) -> None:
        waiting = [text for text in self.texts if text.safe_s is None and text.process is process]
        if not waiting:
            return
        data = os.pread(descriptor, 1 << 17, 0)
        for text in waiting:
            if b"\n" + text.text.encode() in data and b'"sha256"' in data:
                text.safe_s = self.hub.now_s
                self.note(f"text {text.number} for {text.goal} is safe")
                self.moment(process, "safe")

    def _renamed(self, process: Process, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name == "unlink":
            label = os.path.basename(args[0])
            if process.open_files.get(kwargs.get("dir_fd", -1)) == "receipts":
                self.undos.append((self.hub.now_s, process))
            if label in self.undo_records and self.makers.get(label) is not process:
                self.acts.append(Act(self.hub.now_s, process, "undone", "undo", self.makers.get(label)))
            self.note(f"unlink {label}") if label.endswith(".gmj") else None
            return
        if name == "rename_with_flag":
            old, new = args[1], args[2]
            source = target = args[0]
        else:
            old, new = os.path.basename(args[0]), os.path.basename(args[1])
            source, target = kwargs.get("src_dir_fd"), kwargs.get("dst_dir_fd")
        for folder, label in ((source, old), (target, new)):
            try:
                self.touch(os.stat(label, dir_fd=folder, follow_symlinks=False).st_ino, contents=False)
            except FileNotFoundError:
                continue
        folder_name = process.open_files.get(target, "")
        if MAP in (old, new):
            self.note(f"{old} <-> {new}")
            self.map_changed(process)
            self.moment(process, "exchanged")
        elif new.startswith(f".{MAP[:-5]}") and new.endswith(".tmp"):
            self.moment(process, "ready")
        elif new.endswith(".gmj"):
            self.note(f"{new} -> {folder_name}")
            record = old.rpartition(".gmj")[0][-TX_LENGTH:] + ".gmj"  # receipts may be numbered
            if folder_name == "receipts":
                maker = self.makers.get(record)
                self._note_committed(process, new)
                if maker is not process:
                    component = self._file_in_receipt(new)
                    self.acts.append(Act(self.hub.now_s, process, "finished", component, maker))
                self.moment(process, "receipt")
        elif folder_name == "parked" and not new.startswith("."):
            self.note(f"parked {new}")
            self.acts.append(Act(self.hub.now_s, process, "parked", new))
            self.moment(process, "parked")
        elif old.startswith("autogen_") and new.endswith(".away.tmp"):
            self.removers[old] = process
        elif old.startswith(".goalmap.") and new.startswith("autogen_"):
            self.removers.pop(new, None)
            data = (self.root / "components" / "protocols" / new).read_text()
            for text in self.texts:
                if text.text == data:
                    text.file = new
            self.moment(process, "component")

    def _note_committed(self, process: Process, name: str) -> None:
        data = (self.root / ".goalmap" / "receipts" / name).read_bytes()
        for text in self.texts:
            if b"\n" + text.text.encode() in data:
                text.committer = process

    def _file_in_receipt(self, name: str) -> str:
        data = (self.root / ".goalmap" / "receipts" / name).read_bytes()
        for text in reversed(self.texts):
            if b"\n" + text.text.encode() in data:
                return text.file
        return "autogen_"

    def map_changed(self, process: Process) -> None:
        """See what the map on disk has become by the hand of `process`, and let editors see it."""
        try:
            now = dict(REFERENCE.findall(self.map.read_text()))
        except FileNotFoundError:
            return
        for goal, file in now.items():
            if self.on_disk.get(goal) != file:
                self.note(f"the map on disk: {goal} is {file}")
                for other in self.processes:
                    other.committed.pop(goal, None)
                process.committed[goal] = file
                remover = self.removers.get(file)
                own = process.name.replace("editor", "server") + "."
                if remover is not None and process.name.startswith("editor") and not remover.name.startswith(own):
                    self.excused.add(file)  # docs/commit.md, "Where it cannot be kept"
        self.on_disk = now
        for editor in self.editors:
            editor.see_disk_soon()

    # -- the model
    async def write_component(self, brief: Any, _settings: Any, *, on_chunk: Any, **_: Any) -> Accepted:
        """Write a text as a model does, and have it paid for."""
        assert self.hub.current is not None
        process, goal = self.hub.current.process, brief.goal[-1]
        self.check_not_paid_before(goal, process)
        number = len(self.texts)
        lines = [f"# Text {number} for {goal}", f"It was asked for by {process.name}.", "Look twice before you leap."]
        chunks = [line + "\n" for line in lines]
        text = Text(number, goal, process, "".join(chunks), self.hub.now_s)
        self.texts.append(text)
        self.note(f"PAYS for {goal}: text {number}")
        self.moment(process, "asked")
        await asyncio.sleep(self.rng.uniform(0, 0.05))
        for chunk in chunks:
            on_chunk(chunk)
            await asyncio.sleep(self.rng.uniform(0, 0.01))
            if process.dies_at == "chunk" or self.rng.random() < self.trouble_rate:
                self.moment(process, "chunk")
                raise ModelError("connection", "The connection was lost.", "Try again.")
        return Accepted(text.text)

    def check_not_paid_before(self, goal: str, process: Process) -> None:
        """I5: nobody is asked for what is there, or waits to be."""
        there = self.files()
        named = dict(REFERENCE.findall(self.map.read_text())).get(goal)
        for text in self.texts:
            if text.goal != goal or text.safe_s is None:
                continue
            for path, data in there.items():
                folder, _, name = path.rpartition("/")
                if text.text.encode() not in data or (folder.startswith("components") and name != named):
                    continue
                if folder.endswith("journal") or folder.startswith("components"):
                    how = "waits in the journal" if folder.endswith("journal") else self._how_it_came(text, process)
                    self.wrong.append(f"I5 {process.name} pays again for {goal}: text {text.number} {how}")

    def _how_it_came(self, text: Text, process: Process) -> str:
        finishers = [act.process for act in self.acts if act.what == "finished" and act.name == text.file]
        if not finishers:
            return "is in the library"
        who = "its own" if finishers[-1] is process else "another one's"
        return f"is in the library by {who} recovery"

    def files(self) -> dict[str, bytes]:
        """Return every file of the library, by its path in it."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, self.root)] = file.read()
                except FileNotFoundError:
                    continue
        return found


_STATUS = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size")
_FOLLOWED = frozenset(
    {"stat", "fstat", "open", "write", "posix_fallocate", "ftruncate", "fsync", "unlink", "replace", "rename", "link"}
    | {"rename_with_flag"}
)


# -- in place of the real ones
class _WorldTap(Tap):
    def call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        world = World.current
        return real(*args, **kwargs) if world is None else world.call(name, real, args, kwargs)


class _Time:
    """The module `time`, as the simulated processes see it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        _world().hub.sleep(seconds)

    def monotonic(self) -> float:
        return _world().hub.now_s

    def perf_counter(self) -> float:
        return _world().hub.now_s

    def time(self) -> float:
        return self.time_ns() / 1e9

    def time_ns(self) -> int:
        return START_NS + int(_world().hub.now_s * 1e9)


class _Threading:
    """The module `threading`, as the simulated processes see it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)

    def Lock(self) -> Lock:  # noqa: N802 - as there
        return Lock(_world().hub)

    def Event(self) -> Event:  # noqa: N802 - as there
        return Event(_world().hub)

    def Thread(self, *_: Any, **options: Any) -> Thread:  # noqa: N802 - as there
        return Thread(_world().hub, **options)


class _Queues:
    """The module `queue`, as the simulated processes see it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(queue, name)

    def SimpleQueue(self) -> Queue:  # noqa: N802 - as there
        return Queue(_world().hub)

    Queue = SimpleQueue


def _world() -> World:
    assert World.current is not None
    return World.current


def _pool(most: int = 32, **_: Any) -> Threads:
    hub = _world().hub
    assert hub.current is not None
    return Threads(hub, hub.current.process, most)


async def _write_component(brief: Any, settings: Any, **options: Any) -> Accepted:
    return await _world().write_component(brief, settings, **options)


class _Terminal(io.TextIOBase):
    """What a command prints is read at once, line by line."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process, self._line = world, process, ""

    def write(self, text: str) -> int:
        if not self._process.is_dead:
            *lines, self._line = (self._line + text).split("\n")
            for line in filter(str.strip, lines):
                self._world.say(self._process, "command", line)
        return len(text)


class _Output:
    """A server's stdout: every write is a message."""

    def __init__(self, process: Process, editor: Editor) -> None:
        self._process, self._editor = process, editor
        self.closed = asyncio.get_running_loop().create_future()

    def write(self, data: bytes) -> None:
        if not self._process.is_dead:
            self._editor.receive(self._process, data)

    def close(self) -> None:
        """Everything has been delivered."""
        self.closed.set_result(None)


class _Connection:
    """A server's streams; its editor writes past them, and each message has a turn of the loop."""

    def __init__(self, writer: _Output) -> None:
        self.writer = writer

    async def batches(self) -> AsyncIterator[tuple[list[bytes | None], bool]]:
        """Yield nothing, for as long as the server runs."""
        await self.wait_closed()
        yield [], False

    async def wait_closed(self) -> None:
        """Wait until the server has closed its output."""
        await asyncio.shield(self.writer.closed)


async def _open_stdio() -> _Connection:
    world = _world()
    assert world.hub.current is not None
    process = world.hub.current.process
    editor = next(one for one in world.editors if one.server is process)
    editor.connected(asyncio.get_running_loop())
    return _Connection(_Output(process, editor))


class _Faults(logging.Handler):
    """Errors of the code under test end up in its log."""

    def emit(self, record: logging.LogRecord) -> None:
        world = World.current
        if world is None or record.exc_info is None or (world.hub.current and world.hub.current.process.is_dead):
            return
        if not isinstance(record.exc_info[1], Killed | TimeoutError):  # the end of a server has a time limit
            world.wrong.append(f"fault: {record.getMessage()}: {record.exc_info[1]!r}")


@contextmanager
def installed() -> Iterator[Path]:
    """Put the simulation in the place of clock, threads, model, standard streams and system calls; give a folder."""
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - memory, and a folder of our own in it
    base = Path(tempfile.mkdtemp(prefix="goalmap-simulation-", dir=shared))
    replaced: list[tuple[Any, str, Any]] = []

    def put(where: Any, name: str, value: Any) -> None:
        replaced.append((where, name, getattr(where, name)))
        setattr(where, name, value)

    for module in pkgutil.walk_packages(goalmap.__path__, "goalmap."):
        if "__main__" not in module.name:
            importlib.import_module(module.name)
    clock = _Time()
    stand_ins: dict[int, Any] = {
        id(time): clock,
        id(threading): _Threading(),
        id(queue): _Queues(),
        id(time.sleep): clock.sleep,
        id(time.monotonic): clock.monotonic,
        id(time.time_ns): clock.time_ns,
        id(concurrent.futures.ThreadPoolExecutor): _pool,
        id(write_component.write_component): _write_component,
        id(stdio.open_stdio): _open_stdio,
    }
    for name, module in list(sys.modules.items()):
        if name == "goalmap" or name.startswith("goalmap."):
            for key, value in list(vars(module).items()):
                if id(value) in stand_ins:
                    put(module, key, stand_ins[id(value)])
    put(main, "parser_of", functools.cache(main.parser_of))  # saves time
    put(asyncio, "run", lambda work, **_: run(_world().hub, work))
    put(concurrent.futures, "ThreadPoolExecutor", _pool)
    put(os, "urandom", lambda size: _world().rng.randbytes(size))  # noqa: PLW0108 - each has its own
    put(sys, "unraisablehook", lambda _: None)
    environment = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "GOALMAP_", "XDG_"))]:
        del os.environ[name]
    os.environ.update(HOME=str(base), XDG_STATE_HOME=str(base / "state"), NO_COLOR="1")
    os.environ.update(GOALMAP_MODEL_BASE_URL="http://127.0.0.1:9", GOALMAP_MODEL_NAME="simulated")
    log, handler = logging.getLogger("goalmap"), _Faults()
    log.addHandler(handler)
    put(log, "propagate", False)
    tap = _WorldTap()
    tap.install()
    try:
        yield base
    finally:
        tap.remove()
        log.removeHandler(handler)
        for where, name, value in reversed(replaced):
            setattr(where, name, value)
        os.environ.clear()
        os.environ.update(environment)
        shutil.rmtree(base, ignore_errors=True)
