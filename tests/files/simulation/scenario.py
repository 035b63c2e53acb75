"""Who does what, drawn from a seed, and how it ends."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from goalmap.cli.main import main as run_command

from . import checks
from .editor import DISCARD, FINISH, Editor, describe
from .scheduler import Process, Stuck
from .world import EDITORS, GOALS, MOMENTS, World

LONGEST_PAUSE_S = 0.06
LONGEST_LIFE_CALLS = 6  # after the moment of a kill

# What a user of an editor does, with weights.
USER = {
    "generate": 8,
    "type": 5,
    "save": 4,
    "save amid": 1,
    "wait": 4,
    "kill at": 4,
    "revert": 1,
    "close": 1,
    "open": 2,
    "undo": 2,
    "discard": 2,
    "finish": 1,
    "quit": 1,
    "start": 2,
}
TERMINAL = {"generate": 6, "killed generate": 5, "recover": 3, "undo": 2, "wait": 2}
# What leads into corners that single steps seldom find; now and then a step is left out.
STORIES = (
    ("type", "generate", "kill at", "wait", "start", "discard", "save"),
    ("type", "generate", "wait", "kill", "start", "discard", "save"),
    ("type", "generate", "wait", "kill", "generate", "wait", "save"),
    ("type", "generate", "wait", "revert", "generate", "wait", "finish"),
    ("generate", "type", "wait", "save", "undo", "wait", "generate"),
    ("open", "generate", "kill at", "wait", "type", "start", "generate", "wait", "undo"),
    ("type", "generate", "quit", "start", "generate", "close"),
    ("kill", "type", "start", "generate", "wait", "save"),
    ("type", "save amid", "type", "save", "generate", "undo"),
)
LEFT_OUT = 0.1


@dataclass(frozen=True, repr=False)
class Step:
    """One thing that somebody does; what of the rest counts depends on `what`."""

    what: str
    goal: str = "GOAL0"
    moment: str = "safe"
    calls: int = 0
    pause_s: float = 0.0

    def __repr__(self) -> str:
        said = [repr(self.what)]
        said += [f"{name}={getattr(self, name)!r}" for name in _PLAIN if getattr(self, name) != _PLAIN[name]]
        return f"Step({', '.join(said)})"

    def __str__(self) -> str:
        more = f" {self.goal}" if "generate" in self.what else ""
        more += f" at {self.moment}+{self.calls}" if "kill" in self.what else ""
        return f"{self.what}{more}"


_PLAIN = {"goal": "GOAL0", "moment": "safe", "calls": 0, "pause_s": 0.0}


@dataclass
class Plan:
    """What everybody does. `before`: command lines that have run, one after the other, when the others begin."""

    before: list[Step] = field(default_factory=list)
    terminal: list[Step] = field(default_factory=list)
    users: list[list[Step]] = field(default_factory=list)
    reloads: list[bool] = field(default_factory=list)
    announces: list[str] = field(default_factory=list)
    trouble_rate: float = 0.0

    def lines(self) -> list[str]:
        """Return it to be read."""
        found = [f"before:   {', '.join(map(str, self.before))}", f"terminal: {', '.join(map(str, self.terminal))}"]
        return found + [
            f"editor{n} ({'reloads' if self.reloads[n] else 'does not reload'}, announces {self.announces[n]}): "
            + ", ".join(map(str, steps))
            for n, steps in enumerate(self.users)
        ]

    def shorter(self) -> Iterator[Plan]:
        """Give the plans that lack a user or a step."""
        for n in range(len(self.users) - 1, 0, -1):
            lists = (self.users, self.reloads, self.announces)
            users, reloads, announces = ([*one[:n], *one[n + 1 :]] for one in lists)
            yield replace(self, users=users, reloads=reloads, announces=announces)  # type: ignore[arg-type]
        for name in ("before", "terminal"):
            for shorter in _without_one(getattr(self, name)):
                yield replace(self, **{name: shorter})
        for n, steps in enumerate(self.users):
            for shorter in _without_one(steps):
                yield replace(self, users=[*self.users[:n], shorter, *self.users[n + 1 :]])
        if self.trouble_rate:
            yield replace(self, trouble_rate=0.0)


def _without_one(steps: list[Step]) -> Iterator[list[Step]]:
    for at in range(len(steps)):
        yield [*steps[:at], *steps[at + 1 :]]
    for at, step in enumerate(steps):
        plain = Step(step.what, step.goal if "generate" in step.what else "GOAL0")
        if "kill" in step.what:
            plain = replace(plain, moment=step.moment, calls=step.calls)
        rounded = round(step.pause_s, 3)
        for simpler in (plain, replace(plain, pause_s=rounded), replace(plain, pause_s=step.pause_s)):
            if simpler == step:
                break
            yield [*steps[:at], simpler, *steps[at + 1 :]]


def draw_plan(seed: int) -> Plan:
    """Draw who does what."""
    rng = random.Random(f"plan {seed}")
    goals = [f"GOAL{n}" for n in range(rng.randint(1, GOALS))]  # few, so that they meet

    def step(what: str) -> Step:
        moment = rng.choice(MOMENTS)
        calls = rng.choice((0, 0, 1, 2, rng.randint(1, LONGEST_LIFE_CALLS), rng.randint(1, 60)))
        return Step(what, rng.choice(goals), moment, calls, rng.choice((0.0, rng.uniform(0, LONGEST_PAUSE_S))))

    def steps(weights: dict[str, int], most: int) -> list[Step]:
        return [step(what) for what in rng.choices(list(weights), list(weights.values()), k=rng.randint(0, most))]

    plan = Plan()
    if rng.random() < 0.5:
        plan.before = [step("killed generate") for _ in range(rng.randint(1, 2))]
    plan.terminal = steps(TERMINAL, 4)
    for _ in range(rng.randint(1, EDITORS)):
        user = steps(USER, 5)
        if rng.random() < 0.6:
            goal = rng.choice(goals)
            story = [replace(step(what), goal=goal) for what in rng.choice(STORIES) if rng.random() > LEFT_OUT]
            at = rng.randint(0, len(user))
            user[at:at] = story
        plan.users.append([step(rng.choice(("open", "type", "wait"))), *user])
        plan.reloads.append(rng.random() < 0.6)
        plan.announces.append(rng.choice(("before", "before", "after", "late")))
    plan.trouble_rate = rng.choice((0.0, 0.0, 0.1))
    return plan


class Play:
    """One schedule, from the empty library to the last check."""

    def __init__(self, base: Path, seed: int, *, plan: Plan | None = None, trace: bool = False) -> None:
        self.plan = plan or draw_plan(seed)
        self.world = World(base, seed)
        self.world.trace = [*self.plan.lines()] if trace else None
        self.commands = 0

    def run(self) -> list[str]:
        """Play; return what is wrong."""
        world = self.world
        World.current = world
        try:
            world.build()
            self._play()
        except Stuck as error:
            world.wrong.append(f"fault: does not come to an end: {error}")
        finally:
            for process in [*world.processes, *(editor.process for editor in world.editors)]:
                world.kill(process)
            with contextlib.suppress(Stuck):
                world.hub.run()
            World.current = None
        return list(dict.fromkeys(world.wrong))

    def _play(self) -> None:
        world, plan = self.world, self.plan
        user = Process("user")
        world.hub.start(user, "before", lambda: [self._terminal_step(step) for step in plan.before])
        world.hub.run()
        world.trouble_rate = plan.trouble_rate
        for number in range(len(plan.users)):
            editor = Editor(world, number, reloads=plan.reloads[number], announces=plan.announces[number])
            world.hub.start(editor.process, "user", self._steps(editor, plan.users[number]))
        world.hub.start(user, "terminal", lambda: [self._terminal_step(step) for step in plan.terminal])
        world.hub.run()
        world.trouble_rate = 0
        # Now everything settles: what the editors have is saved, servers end, and a person asks for recovery.
        for act in (Editor.start_server, Editor.save, Editor.wait_for_jobs):
            self._everybody(act)
            checks.buffers_are_told(world)
        for act in (Editor.save, Editor.quit_server):
            self._everybody(act)
        self._command("recover")
        world.hub.run()
        checks.check(world)

    def _everybody(self, act: Callable[[Editor], None]) -> None:
        for editor in self.world.editors:
            self.world.hub.start(editor.process, "user", lambda editor=editor: act(editor))  # type: ignore[misc]
        self.world.hub.run()

    # -- steps
    def _steps(self, editor: Editor, steps: list[Step]) -> Callable[[], None]:
        def act() -> None:
            editor.start_server()
            for step in steps:
                self.world.hub.sleep(step.pause_s)
                self._user_step(editor, step)

        return act

    def _user_step(self, editor: Editor, step: Step) -> None:
        if step.what == "kill at":
            if editor.server is not None and not editor.server.dies_at:
                editor.server.dies_at, editor.server.dies_after_calls = step.moment, step.calls
        elif step.what == "kill":
            if editor.server is not None:
                self.world.kill(editor.server)
        elif step.what == "generate":
            editor.start_server()
            editor.generate(step.goal)
        elif step.what in ("discard", "finish"):
            editor.settle_interrupted(DISCARD if step.what == "discard" else FINISH)
        else:
            acts = {
                "save amid": editor.save_amid,
                "wait": editor.wait_for_jobs,
                "quit": editor.quit_server,
                "start": editor.start_server,
            }
            (acts.get(step.what) or getattr(editor, step.what))()

    def _terminal_step(self, step: Step) -> None:
        self.world.hub.sleep(step.pause_s)
        if step.what == "wait":
            self.world.hub.sleep(LONGEST_PAUSE_S)
            return
        arguments = [step.what]
        if "generate" in step.what:
            arguments = ["generate", step.goal, "protocol", "--description", describe(step.goal)]
        if step.what == "undo" and any(editor.has_unsaved_reference for editor in self.world.editors):
            return
        process = self._command(*arguments)
        if step.what == "killed generate":
            process.dies_at, process.dies_after_calls = step.moment, step.calls
        while process.is_alive:
            self.world.hub.sleep(0.005)

    def _command(self, *arguments: str) -> Process:
        self.commands += 1
        world = self.world

        return world.spawn(
            f"{arguments[0]}{self.commands}", lambda: run_command([*arguments, "--root", str(world.root)])
        )
