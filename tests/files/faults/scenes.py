"""Scenes: a library, what is done in it, and what must then be true of it. One module for every kind of fault."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from goalmap.files import os_layer, platforms
from goalmap.files.empty_component import create_empty
from goalmap.files.errors import CommitError, CommitRefused, Conflict, NotCommitted, SavedElsewhere
from goalmap.files.platforms import Platform
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import AlreadyDone
from support.told import begin, finish, recover, undo

# CRLF, tabs, a BOM, odd blanks and a duplicate key: whatever is not the one string must stay as it is.
MAP = (
    "\ufeff{\r\n"
    '\t"DEBUG"  : {"persona":"detective.txt" ,   "protocol" : "drill.txt", "note\\u0041": ["x.txt"]},\r\n'
    '  "REVIEW": {"protocol": "todo.txt", "constraints": ["one.txt", "two.txt", "one.txt"]},\r\n'
    '  "REVIEW\\ud83d\\ude00": {"title": "twice", "title": "again"}\r\n'
    "}\r\n"
)
CHUNKS = ("# Drill down, part one: why?\n" * 30, "# Drill down, part two: why then?\n" * 30)
TEXT = "".join(CHUNKS)
LOCKS = ("lock", "lock.next")
MAP_MODE = 0o664


class Told:
    """What the process under test has said so far, in a file beside the library: it outlives a kill."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def say(self, word: str) -> None:
        """Say it."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(word + "\n")

    @property
    def words(self) -> list[str]:
        """All that was said, in order."""
        return self.path.read_text().splitlines() if self.path.exists() else []

    def has(self, word: str) -> bool:
        """Whether it was said, alone or as a first word."""
        return any(said == word or said.startswith(word + " ") for said in self.words)

    def count(self, word: str) -> int:
        """How often it was said."""
        return self.words.count(word)


@dataclass(frozen=True)
class Scene:
    """`act` is what is disturbed. `slot` is what it changes in the map; `file` what that is to become."""

    name: str
    act: Callable[[Place, Told], None]
    prepare: Callable[[Place], None] = lambda _: None
    goal: tuple[str, ...] = ("DEBUG",)
    slot: str = "protocol"
    index: int | None = None
    old: str = "drill.txt"
    naming: str = "autogen"
    platform: Platform | None = None
    map_text: str = MAP
    hand: str = ""  # what the scene itself writes in the slot by another hand, if anything
    reviewed: bool = False

    def request(self, place: Place, description: str = "root causes") -> GenerateRequest:
        """Return the request that this scene is about."""
        return GenerateRequest(
            str(place.map),
            self.goal,
            self.slot,
            self.index,
            self.old,
            description,
            self.naming,  # type: ignore[arg-type]
            reviewed=self.reviewed,
        )

    @property
    def folder(self) -> str:
        """Return the folder of the component."""
        return f"components/{self.slot if self.slot.endswith('s') else self.slot + 's'}"


@dataclass
class Place:
    """A library in a scratch folder; the user's state folder and what was said lie beside it."""

    base: Path
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The library."""
        return self.base / "library"

    @property
    def map(self) -> Path:
        """Its map."""
        return self.root / "goal_map.json"

    @property
    def told(self) -> Told:
        """What was said here."""
        return Told(self.base / "told")

    def build(self, scene: Scene) -> None:
        """Make the library as it is before the scene."""
        shutil.rmtree(self.base, ignore_errors=True)
        (self.root / "components" / "personas").mkdir(parents=True)
        (self.root / "components" / "protocols").mkdir()
        (self.root / "components" / "personas" / "detective.txt").write_text("You look twice.\n")
        self.map.write_bytes(scene.map_text.encode())
        self.map.chmod(MAP_MODE)
        self.enter()
        scene.prepare(self)
        (self.base / "before_map").write_bytes(self.map.read_bytes())

    def enter(self) -> None:
        """Have this process keep the user's state here."""
        os.environ["XDG_STATE_HOME"] = str(self.base / "state")

    def tree(self) -> dict[str, tuple[int, bytes]]:
        """Return every file and folder with its mode and bytes, but for the lock, which means nothing."""
        found: dict[str, tuple[int, bytes]] = {}
        for top in (self.root, self.base / "state"):
            for folder, folders, files in os.walk(top):  # four times as fast as pathlib, and called for every point
                for path in (os.path.join(folder, name) for name in folders + files if name not in LOCKS):
                    mode = os.lstat(path).st_mode
                    found[os.path.relpath(path, self.base)] = (mode, _read(path) if stat.S_ISREG(mode) else b"")
        return dict(sorted(found.items()))

    def digest(self) -> str:
        """Return what is equal for equal places."""
        return hashlib.sha256(repr((self.tree(), self.told.words)).encode()).hexdigest()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


# -- acting
def generate(
    scene: Scene,
    place: Place,
    told: Told,
    *,
    description: str = "root causes",
    text: str = TEXT,
    meanwhile: Callable[[Place], None] = lambda _: None,
) -> None:
    """Generate as the command line does, telling what happens. `meanwhile` comes between the text and the commit."""
    try:
        generation = begin(scene.request(place, description))
        if isinstance(generation, AlreadyDone):
            told.say("committed " + generation.result.file)
            return
        if generation.text is None:
            told.say("paid")
            for number, chunk in enumerate(CHUNKS if text is TEXT else (text,)):
                generation.append(chunk)
                told.say(f"chunk{number}")
            told.say("received")
            generation.finish(text)
            told.say("finished")
        if generation.awaits_review:
            told.say("kept")
            generation.approve()
            told.say("approved")
        meanwhile(place)
        committed = generation.commit()
        told.say("committed " + committed.file)
    except SavedElsewhere as error:
        told.say(f"saved {error.path}" if error.path else "printed")
    except Conflict as error:
        told.say("conflict " + error.parked)
    except NotCommitted:
        told.say("notcommitted")
    except CommitRefused:
        told.say("notcommitted" if told.has("finished") else "refused")


def _generate_scene(name: str, meanwhile: Callable[[Place], None] = lambda _: None, **options: object) -> Scene:
    def act(place: Place, told: Told) -> None:
        generate(scene, place, told, meanwhile=meanwhile)

    scene = Scene(name, act, **options)  # type: ignore[arg-type]
    return scene


def _seen_before(place: Place) -> None:
    """Make `.goalmap` as an earlier run left it."""
    recover(str(place.root))
    other = GenerateRequest(str(place.map), ("REVIEW",), "protocol", None, "todo.txt", "x")
    generation = begin(other)
    assert not isinstance(generation, AlreadyDone)
    generation.abandon()


def _name_taken(place: Place) -> None:
    _seen_before(place)
    (place.root / "components/protocols/AUTOGEN_protocol_for_debug.txt").write_text("mine")


def _take_name(place: Place) -> None:
    create_empty(str(place.root), "components/protocols/autogen_protocol_for_debug.txt")


def _set_by_hand(place: Place) -> None:
    """Save another reference, durably, as editors do: as a new file that takes the map's place."""
    draft, new = f"{place.map}~", place.map.read_bytes().replace(b"drill.txt", b"hand.txt")
    disk = os_layer.os  # tapped: a power cut must not take back what this does
    try:
        fd = disk.open(draft, os.O_RDWR | os.O_CREAT, 0o600)
        disk.write(fd, new)
        disk.fchmod(fd, MAP_MODE)
        disk.fsync(fd)
        disk.close(fd)
        disk.replace(draft, str(place.map))
        fd = disk.open(str(place.root), os.O_RDONLY)
        disk.fsync(fd)
        disk.close(fd)
    except OSError as error:
        raise CommitRefused("the editor could not save the map") from error


def _commit_and_undo_by_hand(place: Place, told: Told) -> None:
    """Commit, and then take everything back as a user does with tools of their own, durably."""
    generate(BY_HAND, place, told)
    if not told.has("committed"):
        return
    disk = os_layer.os  # tapped: a power cut must not take back what this does
    fd = disk.open(str(place.map), os.O_RDWR)
    disk.write(fd, MAP.encode())
    disk.ftruncate(fd, len(MAP.encode()))
    disk.fsync(fd)
    disk.close(fd)
    disk.unlink(str(place.root / "components/protocols/autogen_protocol_for_debug.txt"))
    fd = disk.open(str(place.root / "components/protocols"), os.O_RDONLY)
    disk.fsync(fd)
    disk.close(fd)
    told.say("undone-by-hand")


def _linked(place: Place) -> None:
    (place.root / "conf").mkdir()
    place.map.rename(place.root / "conf" / "map.json")
    place.map.symlink_to("conf/map.json")


def _committed_before(place: Place) -> None:
    generate(STEADY, place, Told(place.base / "before"))


def _undo(place: Place, told: Told) -> None:
    try:
        undo(str(place.root))
        told.say("undone")
    except CommitError as error:
        told.say("notundone" if isinstance(error, NotCommitted) else "refused")


def _buffered(place: Place, told: Told) -> None:
    """Commit through an editor, which saves the map in place some time later."""
    try:
        generation = begin(BUFFERED.request(place))
        if isinstance(generation, AlreadyDone):
            told.say("committed " + generation.result.file)
            return
        told.say("paid")
        for number, chunk in enumerate(CHUNKS):
            generation.append(chunk)
            told.say(f"chunk{number}")
        told.say("received")
        generation.finish(TEXT)
        told.say("finished")
        file = generation.publish_component()
        told.say("published")
        assert generation.settle() is None
        data = place.map.read_bytes().replace(b"drill.txt", file.encode())
        told.say("editor-saving")
        disk = os_layer.os  # tapped: what an editor saves without fsync may be gone after a power cut
        fd = disk.open(str(place.map), os.O_WRONLY | os.O_TRUNC)
        disk.write(fd, data)
        disk.close(fd)
        told.say("saved-by-editor")
        committed = generation.settle()
        if committed is not None:
            told.say("committed " + committed.file)
    except SavedElsewhere as error:
        told.say(f"saved {error.path}" if error.path else "printed")
    except Conflict as error:
        told.say("conflict " + error.parked)
    except (NotCommitted, OSError):
        told.say("notcommitted")
    except CommitRefused:
        told.say("refused")


STEADY = _generate_scene("generate", prepare=_seen_before)
FRESH = _generate_scene("generate in a fresh library", slot="constraints", goal=("REVIEW",), index=2, old="one.txt")
TAKEN = _generate_scene("generate where the name is taken", prepare=_name_taken)
LINKED = _generate_scene("generate where the map is a link", prepare=_linked)
REFERENCED = _generate_scene(
    "generate under its own name",
    naming="referenced",
    map_text=MAP.replace("drill.txt", "deep/down/drill.txt"),
    old="deep/down/drill.txt",
)
NO_EXCHANGE = _generate_scene(
    "generate, no exchange nor rename flags", prepare=_seen_before, platform=platforms.OTHER_UNIX
)
NO_DIR_FD = _generate_scene(
    "generate, no directory descriptors",
    prepare=_seen_before,
    platform=Platform(has_dir_fd=False, syncs_folders=False, has_modes=True, rename_call=None),
)
REVIEWED = _generate_scene("generate, and keep after a review", prepare=_seen_before, reviewed=True)
UNDO = Scene("undo", _undo, prepare=_committed_before)
BUFFERED = Scene("generate through an editor's buffer", _buffered, prepare=_seen_before)
CONFLICT = _generate_scene("conflict", meanwhile=_set_by_hand, prepare=_seen_before, hand="hand.txt")
TAKEN_LATE = _generate_scene("generate, the name taken meanwhile", meanwhile=_take_name, prepare=_seen_before)
BY_HAND = Scene("commit, then undone by hand", _commit_and_undo_by_hand, prepare=_seen_before)


SCENES = [
    STEADY,
    FRESH,
    TAKEN,
    LINKED,
    REFERENCED,
    NO_EXCHANGE,
    NO_DIR_FD,
    REVIEWED,
    UNDO,
    BUFFERED,
    CONFLICT,
    TAKEN_LATE,
]
# Only for power cuts: a kill in the middle of what the user does by hand is the user's.
POWER_SCENES = [BY_HAND]


def was_overruled(scene: Scene, place: Place) -> bool:
    """Whether the slot has the value that the scene wrote by another hand."""
    return bool(scene.hand) and reference(scene, place.map.read_bytes()) == scene.hand


def run_recovery(place: Place) -> None:
    """Recover as `goalmap recover` does."""
    recover(str(place.root), finish_buffered=True)


def recover_and_keep(place: Place) -> None:
    """Recover, and keep what is offered for a review: its user's answer, and no part of the recovery."""
    for waiting in recover(str(place.root), finish_buffered=True).pending:
        if waiting.is_reviewed:
            finish(str(place.root), waiting.tx)


# -- checking
def reference(scene: Scene, data: bytes) -> str | None:
    """Return what the scene's slot holds; None where it cannot be read."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
        for part in (*scene.goal, scene.slot):
            value = value[part]
        if scene.index is not None:
            value = value[scene.index]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return value if isinstance(value, str) else None


def is_new(scene: Scene, place: Place) -> bool:
    """Whether the commit is in the library: in the map, or (under its own name) in its folder."""
    if scene.naming == "referenced":
        return (place.root / scene.folder / scene.old).exists()
    return reference(scene, place.map.read_bytes()) not in (scene.old, "hand.txt", None)


def is_not_ours(scene: Scene, place: Place) -> bool:
    """Whether the fault struck in the middle of what an editor or the user did without us: nobody can help there."""
    told = place.told
    if scene is BY_HAND:
        return told.has("committed") and not told.has("undone-by-hand")
    if scene is BUFFERED and told.has("editor-saving") and not told.has("committed"):
        return reference(scene, place.map.read_bytes()) is None
    return False


def with_new(scene: Scene, file: str) -> bytes:
    """Return the map as it must be with `file` in its one place."""
    old = json.dumps(scene.old)
    parts = scene.map_text.split(old)
    place = {None: 0}.get(scene.index, 1 if scene.index == 2 else 0)
    return (old.join(parts[: place + 1]) + json.dumps(file) + old.join(parts[place + 1 :])).encode()


def check_map(scene: Scene, place: Place) -> list[str]:
    """I1, I2 and I6, which hold at every moment."""
    try:
        data = place.map.read_bytes()
    except FileNotFoundError:
        return ["I1 the map is missing"]
    wrong = []
    if data != scene.map_text.encode():
        file = reference(scene, data)
        if file is None or data != with_new(scene, file):
            return [f"I1 the map is neither the old nor the new one: {data[:80]!r}"]
        if file != scene.hand:
            component = place.root / scene.folder / file
            text = component.read_text() if component.exists() else None
            if text != TEXT:
                wrong.append(f"I2 the map names {file}, which is {'missing' if text is None else 'not whole'}")
    if scene.naming == "referenced" and is_new(scene, place):
        component = place.root / scene.folder / scene.old
        if component.read_text() != TEXT:
            wrong.append("I2 the map names a component that is not whole")
    if stat.S_IMODE(place.map.stat().st_mode) != MAP_MODE:
        wrong.append("I6 the map's mode has changed")
    if scene is LINKED and not place.map.is_symlink():
        wrong.append("I6 the map is no link any more")
    taken = place.root / "components/protocols/AUTOGEN_protocol_for_debug.txt"
    if scene is TAKEN and taken.read_text() != "mine":
        wrong.append("I9 a component of the user's was overwritten")
    return wrong


def check_tidy(scene: Scene, place: Place) -> list[str]:
    """I3: after recovery nothing of ours is left behind."""
    named = place.map.read_bytes().decode("utf-8", "replace")
    wrong = []
    tree = place.tree()
    for path in tree:
        name = os.path.basename(path)
        is_component = path.startswith("library/components/")
        if (name.endswith((".tmp", ".new")) and name.startswith(".")) or (
            name.endswith(".gmj") and "receipts" not in path
        ):
            wrong.append(f"I3 left behind: {path}")
        elif is_component and name.startswith("autogen_") and name not in named and tree[path][1] not in (b"mine", b""):
            wrong.append(f"I3 orphan: {path}")
        elif (
            "/parked/" in path
            and not name.endswith((".partial.txt", ".damaged.txt"))
            and is_new(scene, place)
            and not scene.hand
        ):
            wrong.append(f"I3 parked although it is committed: {path}")
        elif path.startswith("state/") and name.endswith(".gmj"):
            wrong.append(f"I3 left behind: {path}")
    return wrong


def is_readable_somewhere(place: Place, text: str) -> bool:
    """Whether a file other than a record holds the text."""
    return any(text.encode() in data for path, (_, data) in place.tree().items() if not path.endswith(".gmj"))
