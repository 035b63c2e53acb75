"""Which components are missing in a library, and the brief for the model that is to write one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from goalmap.core.goal_map import Goal, Reference
from goalmap.core.library import Library
from goalmap.core.naming import TEMPLATE_SLOT, autogen_file, component_type, unsafe_reason, unsafe_slot_reason
from goalmap.files.commit import name_taker
from goalmap.files.report import Place
from goalmap.files.request import GenerateRequest
from goalmap.generation.prompt import Brief
from goalmap.workflows.outcome import Neighbours

_MAX_EXAMPLES: Final = 2


def missing_references(goals: Sequence[Goal], library: Library) -> list[Reference]:
    """Return the references of `goals` whose component can be generated, in map order.

    Like the diagnostic `component.missing`, they leave out templates, unsafe names, and files whose spelling differs.
    """
    return [
        reference
        for goal in goals
        for slot in goal.slots.values()
        if slot.name != TEMPLATE_SLOT and unsafe_slot_reason(slot.name) is None
        for reference in slot.references
        if not library.has(slot.name, reference.file)
        and library.other_spelling(slot.name, reference.file) is None
        and (not reference.file or unsafe_reason(reference.file) is None)
    ]


def shared_references(references: Sequence[Reference], library: Library) -> list[tuple[Reference, tuple[Place, ...]]]:
    """Return the first reference to each missing component of `references`, with the places of its other references."""
    groups: dict[object, list[Reference]] = {}
    for reference in references:
        path = library.path(reference.slot, reference.file) if reference.file else None
        groups.setdefault(path or reference, []).append(reference)
    return [
        (first, tuple(Place(other.goal, other.slot, other.index) for other in others))
        for first, *others in groups.values()
    ]


def make_brief(request: GenerateRequest, neighbours: Neighbours, *, file: str) -> Brief:
    """Return the brief for a component that will be called `file`."""
    goal = neighbours.goal_map.goal(request.goal)
    siblings = list(_siblings(request, goal, neighbours)) if goal else []
    return Brief(
        component_type=component_type(request.slot),
        goal=request.goal,
        goal_title=(goal.title if goal else None) or "",
        goal_description=(goal.description if goal else None) or "",
        description=request.description.strip(),
        file=file,
        siblings=tuple((slot, text) for slot, _, text in siblings),
        examples=tuple(_examples(request, neighbours, {path for _, path, _ in siblings})),
    )


def _siblings(request: GenerateRequest, goal: Goal, neighbours: Neighbours) -> Iterator[tuple[str, str, str]]:
    """Yield slot, path and text of the goal's other components."""
    for reference in goal.references:
        if reference.slot == TEMPLATE_SLOT or (reference.slot, reference.index) == (request.slot, request.index):
            continue
        path = neighbours.library.path(reference.slot, reference.file)
        text = neighbours.read(path) if neighbours.library.has(reference.slot, reference.file) else None
        if text and text.strip():
            yield reference.slot, path, text


def _examples(request: GenerateRequest, neighbours: Neighbours, used: set[str]) -> Iterator[tuple[str, str]]:
    """Yield file name and text of components of the same type: those of the nearest goals first."""
    goals = neighbours.goal_map.goals
    own_number = next((number for number, goal in enumerate(goals) if goal.path == request.goal), 0)

    def distance(number: int) -> tuple[bool, int]:
        return goals[number].path[:-1] != request.goal[:-1], abs(number - own_number)

    count = 0
    for number in sorted(range(len(goals)), key=distance):
        slot = goals[number].slots.get(request.slot)
        for reference in slot.references if slot else ():
            path = neighbours.library.path(reference.slot, reference.file)
            if path in used or not neighbours.library.has(reference.slot, reference.file):
                continue
            used.add(path)
            text = neighbours.read(path)
            if text and text.strip():
                yield reference.file, text
                count += 1
                if count == _MAX_EXAMPLES:
                    return


def planned_file(request: GenerateRequest, neighbours: Neighbours) -> str:
    """Return the name that the component will have, unless another process takes that before the commit."""
    if request.naming == "referenced":
        return request.file
    path = neighbours.library.folder(request.slot)
    folder = neighbours.library.folders.get(path)
    is_taken = name_taker(set(folder.folded) if folder else set(), neighbours.goal_map, path)
    return autogen_file(request.slot, request.goal[-1], is_taken)
