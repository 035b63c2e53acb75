"""Renaming: which edits keep a library whole when a file, a goal, a slot or a category gets another name.

What must not be done raises `RenameRefused`, before anything has moved; the message says why and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from goalmap.core.edits import Edit, reference_edit, rename_key
from goalmap.core.goal_map import Goal, GoalMap, GoalPath, Reference, path_of
from goalmap.core.json_lines import Container, Key, Pair
from goalmap.core.library import Library
from goalmap.core.naming import (
    DESCRIPTION,
    TEMPLATE_SLOT,
    is_slot,
    same_for_some_systems,
    unsafe_reason,
    unsafe_slot_reason,
)
from goalmap.core.text import Span, visible


class RenameRefused(ValueError):
    """This cannot be renamed so; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a cursor would rename: `name` stands at `span`. `reference` is there for a component's file."""

    kind: Literal["component", "goal", "category", "slot"]
    name: str
    span: Span
    container: Container | None = None
    goal: Goal | None = None
    reference: Reference | None = None


def target_at(goal_map: GoalMap, line: int, column: int) -> Target | None:
    """Return what stands at a cursor and can be renamed; None where nothing does."""
    goal = goal_map.goal_at(line, column)
    if goal is not None:
        for reference in goal.references:
            if reference.span.touches(line, column):
                target = Target("component", reference.file, reference.span, goal=goal, reference=reference)
                return target if reference.file else None
        for slot in goal.slots.values():
            if slot.key_span.touches(line, column):
                return Target("slot", slot.name, slot.key_span, goal=goal)
    for one in goal_map.goal_index.ranges:
        if one.key_span.touches(line, column):
            return Target("goal", str(one.container.key), one.key_span, one.container)
    for category, span in goal_map.goal_index.categories.items():
        if span is not None and span.touches(line, column):
            return Target("category", str(category.key), span, category)
    return None


# -- keys ------------------------------------------------------------------------------------------------------------
def rename_key_edits(goal_map: GoalMap, target: Target, name: str) -> list[Edit]:
    """Return the edits that rename a goal, a category, or a slot of one goal with the description of that slot."""
    if not name.strip():
        raise RenameRefused("A name is needed")
    if name == target.name:
        return []
    if target.goal is not None:
        return _slot_edits(goal_map, target, target.goal, name)
    container = target.container
    if container is not None and name in _keys_of(goal_map, container.parent):
        above = "/".join(path_of(container)[:-1])
        where = f"The category {visible(above)}" if above else "The map"
        raise RenameRefused(f"{where} has {visible(name)} already: choose another name, or rename that one first")
    return [rename_key(goal_map, target.span, name)]


def _slot_edits(goal_map: GoalMap, target: Target, goal: Goal, name: str) -> list[Edit]:
    shown = visible(name)
    if not is_slot(name):
        raise RenameRefused(f"{shown} does not name a slot: description, title and names with $ have other meanings")
    reason = unsafe_slot_reason(name)
    if reason:
        raise RenameRefused(f"{shown} cannot name a slot: it {reason}")
    if TEMPLATE_SLOT in (name, target.name):
        raise RenameRefused("template is no slot like the others: it names the goal's template, and keeps its name")
    if name in goal.slots:
        raise RenameRefused(f"{visible(goal.name)} has a slot {shown} already: choose another name")
    edits = [rename_key(goal_map, target.span, name)]
    described, renamed = f"{target.name}${DESCRIPTION}", f"{name}${DESCRIPTION}"
    if described in goal.texts and renamed not in goal.texts:
        span = _key_span(goal_map, goal, described)
        edits += [rename_key(goal_map, span, renamed)] if span else []
    return edits


def _keys_of(goal_map: GoalMap, container: Container | None) -> set[str]:
    members = (item for items in goal_map.items for item in items if isinstance(item, (Key, Pair)))
    return {member.name for member in members if member.container is container}


def _key_span(goal_map: GoalMap, goal: Goal, key: str) -> Span | None:
    """Return where the last `key` of a goal stands."""
    key_span = None
    for line in range(goal.first_line, goal.last_line + 1):
        for item in goal_map.items_at(line):
            if isinstance(item, (Key, Pair)) and item.name == key and path_of(item.container) == goal.path:
                key_span = Span(line, item.start, item.end)
    return key_span


# -- files -----------------------------------------------------------------------------------------------------------
def check_file_name(library: Library, reference: Reference, name: str) -> None:
    """Raise `RenameRefused` where the file of `reference` must not be named `name`."""
    if not name.strip():
        raise RenameRefused("A file name is needed")
    reason = unsafe_reason(name)
    if reason:
        raise RenameRefused(f"{visible(name)} cannot name a component: it {reason}")
    if _is_hidden(name):
        raise RenameRefused(f"{visible(name)} begins with a dot: such files are no components")
    folder = library.folders.get(library.folder(reference.slot))
    existing = folder.folded.get(same_for_some_systems(name)) if folder else None
    # Another spelling of the same file is no clash; a file that does not exist can only be named anew.
    if existing is not None and existing != reference.file and library.has(reference.slot, reference.file):
        path = library.path(reference.slot, existing)
        raise RenameRefused(f"{visible(path)} exists already: choose another name, or delete that file first")


def _is_hidden(file: str) -> bool:
    return any(part.startswith(".") for part in file.split("/"))


@dataclass(frozen=True, slots=True)
class Moved:
    """What moving files does to one map: the edits, and the references that cannot say where their file is now."""

    edits: list[Edit]
    stranded: list[Reference]


def move_edits(goal_map: GoalMap, library: Library, moves: Mapping[str, str | None]) -> Moved:
    """Return what keeps a map right when files move.

    `moves` gives the new path of each old one, both relative to the library; None for a file that leaves it. A
    reference reaches only files below its slot's folder.
    """
    edits: list[Edit] = []
    stranded: list[Reference] = []
    folders: dict[str, str] = {}
    shadowed = goal_map.goal_index.shadowed
    for one in goal_map.goal_index.ranges:
        # Goals that a later one of the same name hides are edited too: they would dangle when that one is renamed.
        for reference in goal_map.goal_of(one).references:
            folder = folders.setdefault(reference.slot, library.folder(reference.slot))
            path = f"{folder}/{reference.file}"
            if path not in moves:
                continue
            new = moves[path]
            file = new.removeprefix(f"{folder}/") if new is not None and new.startswith(f"{folder}/") else None
            if file is None or unsafe_reason(file) or _is_hidden(file):
                if one.container not in shadowed:
                    stranded.append(reference)
            else:
                edits.append(reference_edit(goal_map, reference, file))
    return Moved(edits, stranded)


def moved_files(library: Library, old: str, new: str | None) -> dict[str, str | None]:
    """Return the new path of each component that moves when a file or folder at `old` becomes `new`."""
    if old in library.files:
        return {old: new}
    inside = f"{old}/"
    return {
        path: None if new is None else f"{new}/{path.removeprefix(inside)}"
        for path in library.files
        if path.startswith(inside)
    }


def goals_of(references: list[Reference]) -> list[GoalPath]:
    """Return the goals of `references`, each once, in order."""
    return list(dict.fromkeys(reference.goal for reference in references))
