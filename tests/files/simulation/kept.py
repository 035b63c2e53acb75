"""Schedules that failed once: what went wrong, who did what, and seeds that show it.

The plans are written out, so that they mean the same when `scenario.draw_plan` changes. The seeds say who has the turn;
as the code changes they lead elsewhere, so a few more of each are played (see test_simulation.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from .scenario import Plan, Step


@dataclass(frozen=True)
class Kept:
    """A plan, and seeds with which a violation of this kind was found."""

    name: str
    kind: str
    plan: Plan
    seeds: tuple[int, ...]


def _users(*users: list[Step], before: list[Step] | None = None, terminal: list[Step] | None = None) -> Plan:
    reloads, announces = [True, True], ["before", "after"]
    return Plan(before or [], terminal or [], list(users), reloads[: len(users)], announces[: len(users)])


KEPT = (
    Kept(
        "a text that another process recovered is paid for again from a buffer that is older",
        "I5",
        _users(
            [
                Step("type"),
                Step("generate"),
                Step("kill at"),
                Step("wait"),
                Step("wait", pause_s=0.2),
                Step("generate"),
            ],
            terminal=[Step("recover", pause_s=0.15)],
        ),
        (0, 1, 2),
    ),
    Kept(
        "a text that the start-up recovery is about to commit is paid for again",
        "I5",
        _users([Step("type"), Step("generate")], before=[Step("killed generate")]),
        (0, 1, 2),
    ),
    Kept(
        "a text that the same server has found again is paid for when it is asked for once more",
        "I5",
        _users(
            [Step("type"), Step("generate", pause_s=0.05), Step("wait"), Step("generate")],
            terminal=[Step("killed generate")],
        ),
        (0, 1, 3),
    ),
    Kept(
        "a text that another server has committed is paid for again from a buffer that is older",
        "I5",
        _users([Step("generate"), Step("wait")], [Step("type"), Step("generate", pause_s=0.15)]),
        (0, 1, 2),
    ),
    Kept(
        "an undo in a terminal parks a text of others and says nothing",
        "I11 undo has parked",
        _users([], terminal=[Step("killed generate", moment="chunk"), Step("undo")]),
        (0, 1, 2),
    ),
    Kept(
        "a commit in a terminal recovers what others left and says nothing",
        "I11 generate has",
        _users(
            [Step("generate", "GOAL1"), Step("kill at", moment="safe")],
            terminal=[Step("generate")],
        ),
        (1, 2, 3),
    ),
    Kept(
        "an undo takes back a commit that it has just recovered",
        "I4",
        _users([], terminal=[Step("killed generate"), Step("undo")]),
        (0, 1, 2),
    ),
    Kept(
        "a discarded component is still named by the buffer, and then by the map",
        "I2",
        _users(
            [Step("type"), Step("generate"), Step("wait"), Step("kill"), Step("start"), Step("discard", pause_s=0.05)]
        ),
        (0, 1, 2),
    ),
    Kept(
        "what a generation recovers on its way does not reach its editor's buffer",
        "I11 server has put",
        _users([Step("type"), Step("generate", "GOAL1", pause_s=0.06)], terminal=[Step("killed generate")]),
        (0, 1, 2),
    ),
    Kept(
        "an undo that recovery finishes is told to nobody",
        "I11 server has undone",
        _users([Step("generate"), Step("wait"), Step("kill at", moment="exchanged"), Step("undo"), Step("start")]),
        (0, 1, 2),
    ),
    Kept(
        "an undo at the moment of a save trips over what the save settles",
        "fault",
        _users([Step("generate"), Step("type"), Step("wait"), Step("save"), Step("undo")]),
        (1, 5, 7),
    ),
    Kept(
        "a version of the map that somebody saved in between is parked, and nobody is told",
        "I11 undo has parked goal_map",
        _users(
            [Step("quit"), Step("type"), Step("save amid"), Step("type", pause_s=0.005), Step("save")],
            terminal=[Step("killed generate", moment="exchanged"), Step("undo", pause_s=0.05)],
        ),
        (0, 1, 2),
    ),
    Kept(
        "a discard of what the map on disk names already leaves an orphan, once the buffer is saved",
        "I3",
        _users([Step("type"), Step("discard")], before=[Step("killed generate", moment="exchanged", calls=6)]),
        (0, 1, 2),
    ),
)
