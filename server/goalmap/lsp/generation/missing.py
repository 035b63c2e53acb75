"""What a library lacks, and what a component that is missing there would be described as and called."""

from __future__ import annotations

from typing import Final

from goalmap.core.goal_map import Goal, GoalPath, Reference
from goalmap.core.naming import autogen_file, same_for_some_systems
from goalmap.core.usage import names_with
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.session import Session

PLACEHOLDER: Final = "TODO: what this component is for, in one line"


def missing_references(session: Session, library: LibraryState, goal: GoalPath | None = None) -> list[Reference]:
    """Return what a goal, or the whole map, lacks and nobody is generating, in map order."""
    from goalmap import workflows

    session.refresh(library)
    goals = [one for one in library.goal_map.goals if goal in (None, one.path)]
    missing = workflows.missing_references(goals, library.snapshot)
    return [reference for reference in missing if session.job_for(library, reference) is None]


def guess(library: LibraryState, reference: Reference) -> str:
    """Return what to describe a missing component as when nobody says."""
    from goalmap.generation.prompt import guess_description

    return described_in_map(library, reference) or guess_description(reference.file, reference.goal)


def described_in_map(library: LibraryState, reference: Reference) -> str | None:
    """Return what the goal's `"<slot>$description"` says; None where it is missing or still the placeholder."""
    goal = library.goal_map.goal(reference.goal)
    return described_in_goal(goal, reference.slot) if goal else None


def described_in_goal(goal: Goal, slot: str) -> str | None:
    """As `described_in_map`, for a slot of a goal."""
    text = goal.text(f"{slot}$description")
    return text.strip() if text and text.strip() and text != PLACEHOLDER else None


def autogen_target(library: LibraryState, reference: Reference) -> str:
    """Return the file name that a component generated for `reference` will get, as far as can be known now."""
    folder = library.snapshot.folders.get(library.snapshot.folder(reference.slot))
    taken = {same_for_some_systems(file) for file in folder.files} if folder else set()
    named = {same_for_some_systems(name) for name in names_with(library.goal_map, "autogen_")}
    return autogen_file(reference.slot, reference.goal[-1], lambda name: same_for_some_systems(name) in taken | named)
