"""What somebody types into a map, drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from goalmap.core.goal_map import Change, GoalMap


def type_somewhere(goal_map: GoalMap, data: st.DataObject) -> tuple[GoalMap, Change]:
    """Type a letter, or what JSON is made of, anywhere; return the map after it, and what was scanned anew."""
    line = data.draw(st.integers(0, len(goal_map.lines) - 1))
    text = goal_map.lines[line]
    column = data.draw(st.integers(0, len(text.rstrip("\r\n"))))
    new = text[:column] + data.draw(st.sampled_from(["a", '"', "}", "{", ",", ""])) + text[column:]
    return goal_map.replace_lines(line, line + 1, [new])
