"""Edits of a map's text, as a user or another program would make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goalmap.core.edits import EditError, apply, reference_at, reference_edit
from goalmap.core.goal_map import parse

if TYPE_CHECKING:
    from collections.abc import Sequence


def reference_value(text: str, goal: Sequence[str], slot: str, index: int | None) -> str | None:
    """Return the file name that a place of the map holds; None where there is no such place."""
    try:
        return reference_at(parse(text), goal, slot, index).file
    except EditError:
        return None


def set_reference(text: str, goal: Sequence[str], slot: str, index: int | None, file: str) -> str:
    """Return `text` with the string at this place being `file`, and every other character as it was."""
    goal_map = parse(text)
    return apply(text, [reference_edit(goal_map, reference_at(goal_map, goal, slot, index), file)])
