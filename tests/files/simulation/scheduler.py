"""Actors that take turns, by a seed, in virtual time."""

# ruff: noqa: SLF001 - asyncio keeps its loop and task for each thread, and says so in private names only

from __future__ import annotations

import asyncio
import math
import random
import sys
from collections.abc import Callable
from typing import Any

from greenlet import greenlet

START_NS = (
    1_000_000_000 * 10**9
)  # long past: real files, made now, look as if just written to whoever asks for their age
CALL_S = 20e-6  # what a call to the system takes
FOREVER = math.inf


class Killed(BaseException):
    """The process of this actor is dead."""


class Stuck(Exception):
    """A schedule that does not come to its end."""


class Process:
    """What is killed as one: its actors, its open files, and where it prints."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.has_ended = False
        self.open_files: dict[int, str] = {}
        self.stdout: Any = None
        self.stderr: Any = None
        self.loops: list[Any] = []
        self.dies_at = ""  # the moment after which it is to be killed, and how many calls later
        self.dies_after_calls = 0
        self.calls_left: int | None = None
        self.committed: dict[str, str] = {}  # what it made of the references of the map on disk

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return not self.is_dead and not self.has_ended


class Actor:
    """A thread of a process. `wakes_s` is when it can go on: now (0), at a time, or when somebody wakes it."""

    def __init__(self, hub: Hub, process: Process, name: str, act: Callable[[], Any] | None) -> None:
        self.process = process
        self.name = name
        self.wakes_s = 0.0
        self.priority = hub.rng.random() if act else 0.0
        self.turn = greenlet(act, parent=hub.main)

    def wake(self) -> None:
        """Let it go on."""
        self.wakes_s = 0.0


class Hub:
    """Gives the turns. `now_s` is the time that everybody sees."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"turns {seed}")
        self.main = greenlet.getcurrent()
        self.actors: list[Actor] = []
        self.current: Actor | None = None
        self.now_s = 0.0
        self.points = 0
        self.trace: Callable[[str], None] | None = None
        self.dying: list[Process] = []
        self.by_priority = self.rng.random() < 0.5
        self.switch_rate = self.rng.choice((0.02, 0.005, 0.001) if self.by_priority else (0.5, 0.2, 0.05, 0.01))
        self._until_switch = self._draw()

    def _draw(self) -> int:
        """Draw how many points pass before the next switch: as if each were one by its own chance."""
        return 1 + int(math.log(1 - self.rng.random()) / math.log(1 - self.switch_rate))

    # -- for actors
    def start(self, process: Process, name: str, act: Callable[[], Any]) -> Actor:
        """Add an actor."""
        actor = Actor(self, process, name, act)
        self.actors.append(actor)
        return actor

    def point(self) -> None:
        """Perhaps let others go on; raise Killed where the process of the actor has died meanwhile."""
        actor = self.current
        if actor is None:
            return
        if actor.process.is_dead:
            raise Killed
        self.now_s += CALL_S
        self.points += 1
        self._until_switch -= 1
        if self._until_switch <= 0:
            self._until_switch = self._draw()
            if self.by_priority:
                actor.priority = min(other.priority for other in self.actors) - 1
            self._give_up_turn(actor)

    def sleep(self, seconds: float) -> None:
        """Wait for a time."""
        self.wait(self.now_s + max(0.0, seconds))

    def wait(self, until_s: float = FOREVER) -> None:
        """Wait until then, or until somebody wakes this actor."""
        actor = self.current
        assert actor is not None
        if actor.process.is_dead:
            raise Killed
        actor.wakes_s = until_s
        self._give_up_turn(actor)

    def _give_up_turn(self, actor: Actor) -> None:
        # What Python keeps for each thread, actors must have for themselves.
        loop = asyncio._get_running_loop()
        task = asyncio.current_task(loop) if loop is not None else None
        if loop is not None:
            if task is not None:
                asyncio.tasks._leave_task(loop, task)
            asyncio._set_running_loop(None)
        try:
            self.main.switch()
        finally:
            if loop is not None:
                asyncio._set_running_loop(loop)
                if task is not None:
                    asyncio.tasks._enter_task(loop, task)
        if actor.process.is_dead:
            raise Killed

    # -- for whoever drives it
    def run(self, *, most_points: int = 400_000) -> None:
        """Give turns until nobody can go on any more."""
        end = self.points + most_points
        while True:
            self._bury()
            if self.points > end or self.now_s > 1e6:
                raise Stuck(", ".join(f"{actor.process.name}:{actor.name}" for actor in self.actors))
            now_s = self.now_s
            ready = [actor for actor in self.actors if actor.wakes_s <= now_s]
            if not ready:
                next_s = min((actor.wakes_s for actor in self.actors), default=FOREVER)
                if next_s == FOREVER:
                    return
                self.now_s = next_s
                continue
            if len(ready) == 1:
                actor = ready[0]
            elif self.by_priority:
                actor = max(ready, key=lambda one: one.priority)
            else:
                actor = ready[int(self.rng.random() * len(ready))]
            self._turn(actor)

    def _turn(self, actor: Actor, *, kill: bool = False) -> None:
        self.points += 1  # so that actors who only wake each other come to an end, too
        streams = sys.stdout, sys.stderr
        if actor.process.stdout is not None:
            sys.stdout, sys.stderr = actor.process.stdout, actor.process.stderr
        self.current = actor
        actor.wakes_s = 0.0
        try:
            if kill:
                actor.turn.throw(Killed)
            else:
                actor.turn.switch()
        except Killed:
            pass
        finally:
            self.current = None
            sys.stdout, sys.stderr = streams
        if actor.turn.dead:
            self.actors.remove(actor)

    def kill(self, process: Process) -> None:
        """Let a process do nothing from here on. An actor of its own that calls this goes on to its next call only."""
        if process.is_alive:
            process.is_dead = True
            self.dying.append(process)

    def _bury(self) -> None:
        while self.dying:
            process = self.dying.pop(0)
            for actor in [actor for actor in self.actors if actor.process is process]:
                self._turn(actor, kill=True)
            # What is left of its coroutines runs as one of its own: whatever it tries, it is dead.
            self.current = Actor(self, process, "grave", None)
            try:
                for loop in process.loops:
                    loop.bury()
            finally:
                self.current = None
