"""Minimal edits of a map: one string changes, every other character stays.

An edit names places of the text it was made for; `apply` gives the new text. What cannot be done raises `EditError`,
with a message for the user.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from goalmap.core.goal_map import Goal, GoalMap, Reference
from goalmap.core.text import Span, split_lines, visible


class EditError(ValueError):
    """The map has no such place, or not the value that was expected there; the message says which."""


class Place(NamedTuple):
    """A line and a code point column, both from 0."""

    line: int
    column: int


class Edit(NamedTuple):
    """Replace what stands from `start` to `end` (exclusive) by `text`."""

    start: Place
    end: Place
    text: str

    @classmethod
    def at(cls, span: Span, text: str) -> Edit:
        """Replace `span` by `text`."""
        return cls(Place(span.line, span.start), Place(span.line, span.end), text)


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return `text` with `edits` made, which must not overlap."""
    starts = _starts(split_lines(text))

    def offset(place: Place) -> int:
        return starts[place.line] + place.column

    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: offset(edit.start)] + edit.text + text[offset(edit.end) :]
    return text


def inner_json(value: str) -> str:
    """Return `value` as it stands between the quotes of a JSON string."""
    # Lone surrogates have no UTF-8 form, so they alone must stay escaped.
    readable = json.dumps(value, ensure_ascii=False)[1:-1]
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in readable)


# -- references ------------------------------------------------------------------------------------------------------
def reference_at(goal_map: GoalMap, goal: Sequence[str], slot: str, index: int | None) -> Reference:
    """Return the reference at this place; raise EditError where there is none."""
    found = goal_map.goal(goal)
    if found is None:
        raise EditError(f"goal_map.json has no goal {visible('/'.join(goal))}")
    there = found.slots.get(slot)
    if there is None:
        raise EditError(f"The goal {visible('/'.join(goal))} has no slot {visible(slot)}")
    for reference in there.references:
        if reference.index == index:
            return reference
    where = "a string" if index is None else f"an element {index}"
    raise EditError(f"{visible(slot)} of the goal {visible('/'.join(goal))} does not hold {where}")


def reference_edit(goal_map: GoalMap, reference: Reference, file: str) -> Edit:
    """Return the edit that makes `reference` name `file`."""
    span = reference.span
    line = goal_map.lines[span.line]
    # Half-typed: the closing quote is still to come, and the edit brings it.
    closing = "" if line[span.end : span.end + 1] == '"' else '"'
    return Edit.at(span, inner_json(file) + closing)


def remove_reference(goal_map: GoalMap, reference: Reference) -> list[Edit]:
    """Return the edits that take `reference` out of the map, with the comma that belonged to it.

    The last element of a list leaves an empty list; a slot that is a string goes whole.
    """
    if reference.index is not None:
        return [_remove_member(goal_map, reference.span, reference.span)]
    goal = goal_map.goal(reference.goal)
    if goal is None or reference.slot not in goal.slots:
        raise EditError("This reference is no longer in the map")
    return [_remove_member(goal_map, goal.slots[reference.slot].key_span, reference.span)]


def _remove_member(goal_map: GoalMap, first: Span, last: Span) -> Edit:
    """Return the edit that removes what stands from the string `first` to the string `last`, with one comma."""
    text = goal_map.text
    starts = _starts(goal_map.lines)
    begin = starts[first.line] + first.start - 1
    end = starts[last.line] + last.end
    end += text[end : end + 1] == '"'
    after = _skip_blank(text, end)
    if text[after : after + 1] == ",":
        end = after + 1
        # Up to the next member, so that this one's line goes with it and the next keeps its own indentation.
        following = _skip_blank(text, end)
        begin_of_line = text.rfind("\n", 0, begin) + 1
        next_line = text.rfind("\n", 0, following) + 1
        if text[begin_of_line:begin].isspace() and next_line > end:
            begin, end = begin_of_line, next_line
        else:
            end = following
    else:
        before = _skip_blank_back(text, begin)
        if text[before - 1 : before] == ",":
            begin = before - 1
    return Edit(_place(starts, begin), _place(starts, end), "")


def _skip_blank(text: str, offset: int) -> int:
    while offset < len(text) and text[offset] in " \t\r\n":
        offset += 1
    return offset


def _skip_blank_back(text: str, offset: int) -> int:
    while offset > 0 and text[offset - 1] in " \t\r\n":
        offset -= 1
    return offset


def _starts(lines: Iterable[str]) -> list[int]:
    """Return the offset at which each line starts, and that of the end."""
    return [0, *accumulate(map(len, lines))]


def _place(starts: list[int], offset: int) -> Place:
    line = bisect_right(starts, offset, hi=len(starts) - 1) - 1
    return Place(line, offset - starts[line])


# -- members ---------------------------------------------------------------------------------------------------------
def insert_member(goal_map: GoalMap, goal: Goal, key: str, value: str, *, before: str | None = None) -> Edit:
    """Return the edit that inserts `"key": "value"` into `goal`, ahead of its key `before` or of its first one.

    It stands as its neighbours do: on a line of its own with their indentation, or within the line.
    """
    spans = [slot.key_span for slot in goal.slots.values()] + [span for _, span in goal.texts.values()]
    anchor = goal.slots[before].key_span if before in goal.slots else min(spans, default=None)
    member = f'"{inner_json(key)}": "{inner_json(value)}"'
    if anchor is None:
        raise EditError(f"The goal {visible(goal.name)} is empty: add its first slot by hand")
    line = goal_map.lines[anchor.line]
    column = anchor.start - 1
    lead = line[:column]
    end = line[len(line.rstrip("\r\n")) :] or "\n"
    joint = f",{end}{lead}" if lead.isspace() or not lead else ", "
    place = Place(anchor.line, column)
    return Edit(place, place, member + joint)


def add_reference(goal_map: GoalMap, goal: Goal, slot: str, file: str) -> Edit:
    """Return the edit that has `goal` name `file` in `slot`: as one more of its list, or as a slot that it lacks.

    Raises EditError where the slot holds one component already.
    """
    there = goal.slots.get(slot)
    if there is None:
        return insert_member(goal_map, goal, slot, file)
    if not there.is_list or not there.references:
        raise EditError(f"{visible(slot)} of the goal {visible(goal.name)} is no list with elements")
    last = there.references[-1].span
    line = goal_map.lines[last.line]
    lead = line[: last.start - 1]
    end = line[len(line.rstrip("\r\n")) :] or "\n"
    joint = f",{end}{lead}" if lead.isspace() else ", "
    place = Place(last.line, last.end + (line[last.end : last.end + 1] == '"'))
    return Edit(place, place, f'{joint}"{inner_json(file)}"')


def rename_key(goal_map: GoalMap, span: Span, name: str) -> Edit:
    """Return the edit that gives the key at `span` the name `name`."""
    closing = "" if goal_map.lines[span.line][span.end : span.end + 1] == '"' else '"'
    return Edit.at(span, inner_json(name) + closing)
