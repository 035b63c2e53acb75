"""Writers that know nothing of our lock, and others of our own: each run to its end in the middle of a commit."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import AlreadyDone
from support.told import begin, recover

from .scenes import STEADY, Place, Told, generate, reference

OTHER = ("todo.txt", "hand.txt")  # the reference of another goal, before and after


def _save(path: Path, data: bytes, how: str) -> None:
    path = path.resolve()
    if how == "in place":
        fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
        os.write(fd, data)
        os.close(fd)
    elif how == "rename":
        fresh = path.with_name("goal_map.json.editor")
        fresh.write_bytes(data)
        fresh.chmod(0o664)
        fresh.replace(path)
    else:  # as git checkout does
        path.unlink()
        path.write_bytes(data)
        path.chmod(0o664)


def _other_slot(how: str) -> Callable[[Place], None]:
    def write(place: Place) -> None:
        data = place.map.read_bytes()
        _save(place.map, data.replace(b'"todo.txt"', b'"hand.txt"'), how)

    return write


def _same_slot(how: str) -> Callable[[Place], None]:
    def write(place: Place) -> None:
        data = place.map.read_bytes()
        now = reference(STEADY, data) or ""
        _save(place.map, data.replace(json.dumps(now).encode(), b'"hand.txt"'), how)

    return write


def _goal_removed(place: Place) -> None:
    data = place.map.read_bytes()
    end = data.index(b"\n", data.index(b'"DEBUG"'))
    _save(place.map, data[: data.index(b'\t"DEBUG"')] + data[end + 1 :], "rename")


def _git(place: Place, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@y", "-c", "core.autocrlf=false", *words],
        cwd=place.root,
        check=True,
        capture_output=True,
    )


def _prepare_git(place: Place) -> None:
    _git(place, "init", "-q", "-b", "main")
    _git(place, "add", "goal_map.json", "components")
    _git(place, "commit", "-qm", "one")
    _git(place, "checkout", "-qb", "other")
    _other_slot("in place")(place)
    _git(place, "commit", "-qam", "two")
    _git(place, "checkout", "-q", "main")
    place.map.chmod(0o664)


def _git_checkout(place: Place) -> None:
    _git(place, "checkout", "-qf", "other")


def _generate_other(place: Place) -> None:
    request = GenerateRequest(str(place.map), ("REVIEW",), "protocol", None, "todo.txt", "another")
    generation = begin(request)
    if not isinstance(generation, AlreadyDone):
        generation.append("Other.\n")
        generation.finish("Other.\n")
        generation.commit()
    place.told.say("other-committed")


def _generate_same(place: Place) -> None:
    generate(STEADY, place, _Other(place.told.path), description="another wording", text="Another wording.\n")


class _Other(Told):
    """What the second process says, kept apart from what the first one says."""

    def say(self, word: str) -> None:
        super().say("other-" + word)

    def has(self, word: str) -> bool:
        return super().has("other-" + word)


def _recover(place: Place) -> None:
    recover(str(place.root), finish_buffered=True)


def _take_name(place: Place) -> None:
    path = place.root / "components/protocols/autogen_protocol_for_debug.txt"
    if not path.exists():
        path.write_text("mine")
        place.told.say("taken")


@dataclass(frozen=True)
class Foreign:
    """A writer. `survives` says what must be true at the end of what it did."""

    name: str
    write: Callable[[Place], None]
    survives: Callable[[Place], bool]
    is_ours: bool = False  # one of our own: it keeps to the lock, and may have to wait
    keeps_slot: bool = True  # our slot is none of its business, so our commit must come about
    prepare: Callable[[Place], None] = lambda _: None


def _value(place: Place, *path: str) -> object:
    value = json.loads(place.map.read_bytes().decode("utf-8-sig"))
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _hand_there(place: Place) -> bool:
    return _value(place, "REVIEW", "protocol") == "hand.txt" or _in_parked_map(place, b"hand.txt")


def _hand_in_slot(place: Place) -> bool:
    return _value(place, "DEBUG", "protocol") == "hand.txt" or _in_parked_map(place, b"hand.txt")


def _in_parked_map(place: Place, needle: bytes) -> bool:
    parked = place.root / ".goalmap" / "parked"
    return any(needle in path.read_bytes() for path in parked.glob("goal_map.*.json"))


def _others_commit(place: Place) -> bool:
    value = _value(place, "REVIEW", "protocol")
    done = place.told.has("other-committed")
    return not done or (place.root / "components/protocols" / str(value)).read_text() == "Other.\n"


FOREIGN = [
    *(Foreign(f"another goal, {how}", _other_slot(how), _hand_there) for how in ("in place", "rename", "checkout")),
    *(
        Foreign(f"the same slot, {how}", _same_slot(how), _hand_in_slot, keeps_slot=False)
        for how in ("in place", "rename", "checkout")
    ),
    Foreign("the goal removed", _goal_removed, lambda place: _value(place, "DEBUG") is None, keeps_slot=False),
    Foreign("git checkout", _git_checkout, _hand_there, prepare=_prepare_git, keeps_slot=False),
    Foreign("generate for another goal", _generate_other, _others_commit, is_ours=True),
    Foreign("generate for the same slot", _generate_same, lambda _: True, is_ours=True, keeps_slot=False),
    Foreign("recover", _recover, lambda _: True, is_ours=True),
    Foreign(
        "the component's name taken",
        _take_name,
        lambda place: (
            not place.told.has("taken")
            or (place.root / "components/protocols/autogen_protocol_for_debug.txt").read_text() == "mine"
        ),
    ),
]
