"""What must hold after a fault: at once, after recovery, after recovering again, and after asking again."""

from __future__ import annotations

import contextlib
import ctypes  # noqa: F401 - loaded here once, and not in every child
import fcntl  # noqa: F401
import hashlib  # noqa: F401
import json
import os
import stat
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import filelock  # noqa: F401

from goalmap.files import os_layer, platforms
from support.told import recover

from .scenes import (
    BY_HAND,
    CHUNKS,
    MAP_MODE,
    REVIEWED,
    TEXT,
    UNDO,
    Place,
    Scene,
    check_map,
    check_tidy,
    generate,
    is_new,
    is_not_ours,
    is_readable_somewhere,
    recover_and_keep,
    reference,
    was_overruled,
)
from .tap import KILLED, Tap

if TYPE_CHECKING:
    from .foreign import Foreign


def in_child(act: Callable[[], None], tap: Tap | None = None, platform: platforms.Platform | None = None) -> int:
    """Run `act` in a forked process with the tap in; return its exit code. An exception gives 1 and is printed."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        if platform is not None:
            os_layer.PLATFORM = platform
        if tap is not None:
            tap.install()
        act()
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here, whatever it is
        traceback.print_exc()
    finally:
        os._exit(code)


def after_fault(
    scene: Scene,
    place: Place,
    code: int,
    *,
    lived: bool,
    failed_call: str = "",
    keeps_pieces: bool = True,
    asks_first: bool = False,
) -> list[str]:
    """Check everything, in order.

    `lived`: the process was not killed, so it must have said how it went. `keeps_pieces`: what the model had written by
    then must be parked, which nobody promises for a power cut. `asks_first`: the user does not recover, but asks again.
    """
    told = place.told
    if is_not_ours(scene, place):
        return []
    wrong = check_map(scene, place)
    if code not in (0, KILLED):
        wrong.append(f"the process ended with {code}")
    ends = ("committed", "refused", "saved", "printed", "conflict", "notcommitted", "undone", "notundone")
    if lived and not any(told.has(word) for word in ends):
        wrong.append("the process said nothing")
    if lived and failed_call.startswith("fsync") and (told.has("committed") or told.has("undone")):
        wrong.append("I8 success was said although an fsync had failed")
    if told.has("committed") and not is_new(scene, place) and scene is not BY_HAND:
        wrong.append("I8 committed was said, and the map is the old one")
    before = (place.base / "before_map").read_bytes()
    if told.has("refused") and (told.has("paid") or place.map.read_bytes() != before):
        wrong.append("refused, but not without a trace")
    wrong += after_recovery(scene, place, keeps_pieces=keeps_pieces, asks_first=asks_first)
    return wrong


@contextlib.contextmanager
def on_platform(platform: platforms.Platform | None) -> Iterator[None]:
    """Have this process work as on `platform`."""
    own = os_layer.PLATFORM
    os_layer.PLATFORM = platform or own
    try:
        yield
    finally:
        os_layer.PLATFORM = own


def after_recovery(scene: Scene, place: Place, *, keeps_pieces: bool, asks_first: bool = False) -> list[str]:
    """Recover, check, recover again, ask again. In this process: nothing of the one that died is in it."""
    with on_platform(scene.platform):
        try:
            return _after_recovery(scene, place, keeps_pieces=keeps_pieces, asks_first=asks_first)
        except Exception:  # noqa: BLE001 - whatever it is, the user would have seen it
            return ["an exception: " + traceback.format_exc()]


def _check_review(scene: Scene, place: Place) -> list[str]:
    """Check that a text waits for its review until its user has said to keep it, and no longer."""
    offered = any(waiting.is_reviewed for waiting in recover(str(place.root), finish_buffered=True).pending)
    wrong = []
    if not place.told.has("kept"):
        if is_new(scene, place):
            wrong.append("recovery committed what its user has not seen")
        if place.told.has("finished") and not offered:
            wrong.append("I4 the text was safe and is not offered for its review")
    if place.told.has("approved") and offered:
        wrong.append("what its user has approved is offered again")
    return wrong


def _after_recovery(scene: Scene, place: Place, *, keeps_pieces: bool, asks_first: bool) -> list[str]:
    told, wrong = place.told, []
    place.enter()
    if told.has("published") and not told.has("editor-saving"):
        old = place.map.read_bytes()
        recover(str(place.root))
        if place.map.read_bytes() != old:
            wrong.append("recovery changed the map behind the editor's back")
    if scene is REVIEWED:
        wrong += _check_review(scene, place)
    if asks_first and not is_new(scene, place):
        is_safe = told.has("finished")
        told.say("asked again")
        generate(scene, place, told)
        if is_safe and "paid" in told.words[told.words.index("asked again") :]:
            wrong.append("I5 paid again for what was safe")
    recover_and_keep(place)
    wrong += check_map(scene, place) + check_tidy(scene, place)
    if told.has("undone-by-hand"):
        return [*wrong, "I10 what the user had undone was done again"] if is_new(scene, place) else wrong
    if scene is UNDO:
        if (told.has("undone") or told.has("notundone")) and is_new(scene, place):
            wrong.append("I10 the undo was begun and is not done")
    elif was_overruled(scene, place):
        if told.has("finished") and not is_readable_somewhere(place, TEXT):
            wrong.append("I4 the text is neither in the library nor parked")
        return wrong
    elif not is_new(scene, place):
        lost = {
            "finished": "I4 the text was safe and is not in the library",
            "saved": "I4 the text was saved elsewhere and recovery did not find it",
            "committed": "I8 what was said to be committed is gone",
        }
        wrong += [message for word, message in lost.items() if told.has(word)]
        if keeps_pieces and told.has("paid") and not told.has("printed"):
            kept = [chunk for number, chunk in enumerate(CHUNKS) if told.has(f"chunk{number}")]
            if not is_readable_somewhere(place, "".join(kept)):
                wrong.append("I4 what the model had written is not parked")
    before = place.digest()
    recover_and_keep(place)
    if place.digest() != before:
        wrong.append("I10 recovering again changed something")
    if scene is not UNDO and not wrong:
        paid, safe = told.count("paid"), is_new(scene, place)
        generate(scene, place, told)
        if not is_new(scene, place):
            wrong.append("asking again did not help: " + " ".join(told.words))
        if safe and told.count("paid") > paid:
            wrong.append("I5 paid again for what was there")
        wrong += check_map(scene, place) + check_tidy(scene, place)
    return wrong


def after_foreign(scene: Scene, place: Place, foreign: Foreign, code: int) -> list[str]:
    """Check that neither the other writer's work nor ours was lost (I7), whoever came first."""
    told = place.told
    wrong = [f"the process ended with {code}"] if code else []
    with on_platform(scene.platform):
        try:
            place.enter()
            recover_and_keep(place)
        except Exception:  # noqa: BLE001 - whatever it is, the user would have seen it
            wrong.append("an exception: " + traceback.format_exc())
    data = place.map.read_bytes()
    try:
        json.loads(data.decode("utf-8-sig"))
    except ValueError:
        return [*wrong, "I1 the map is torn"]
    if not foreign.survives(place):
        wrong.append(f"I7 what the other writer did is lost: {foreign.name}")
    named = reference(scene, data)
    if named is not None and named.startswith("autogen"):
        component = place.root / scene.folder / named
        if not component.exists() or component.read_text() not in (TEXT, "Another wording.\n"):
            wrong.append(f"I2 the map names {named}, which is not there in full")
    if told.has("paid") and foreign.keeps_slot and not is_new(scene, place):
        wrong.append("I7 our commit is lost: " + " ".join(told.words))
    if told.has("finished") and not is_new(scene, place) and not is_readable_somewhere(place, TEXT):
        wrong.append("I4 the text is lost")
    if told.has("paid") and told.has("other-paid"):
        wrong.append("I5 two processes paid for the same slot")
    if stat.S_IMODE(place.map.stat().st_mode) != MAP_MODE and foreign.name != "git checkout":
        wrong.append("I6 the map's mode has changed")
    tidy = check_tidy(scene, place)
    if told.has("committed") and not foreign.keeps_slot:
        tidy = [said for said in tidy if "orphan" not in said]  # whoever dropped the reference of a done commit left it
    return wrong + tidy
