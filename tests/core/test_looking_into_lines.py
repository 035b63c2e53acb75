"""Of goals that are plain, nobody scans a line before it is asked for: what is said must be the same as if all were."""

from __future__ import annotations

import gc
import weakref

from hypothesis import given, settings
from hypothesis import strategies as st

from goalmap.core.check_map import find_problems, find_problems_after
from goalmap.core.goal_map import Change, GoalMap, parse
from goalmap.core.json_lines import START, Container, Item, Items, State, scan_line, scan_lines
from goalmap.core.library import Folder, Library
from goalmap.core.plain_goals import ScannedLines
from goalmap.core.text import split_lines
from goalmap.core.usage import Usage, names_with, users_of
from support.typed import type_somewhere

HERE = Library(
    "/library",
    {
        "components/personas": Folder("components/personas", frozenset({"a.txt", "b.txt", "con.txt"})),
        "components/protocols": Folder("components/protocols", frozenset({"a.txt", "ü😀.txt"})),
    },
)

keys = st.sampled_from(["persona", "protocol", "persna", "title", "x$y", ""])
texts = st.sampled_from(["a.txt", "A.txt", "b.txt", "con.txt", "ü😀.txt", "", "lost.txt", r"\u0061.txt", "t\tab"])
goal = st.lists(st.tuples(keys, texts), max_size=4)
ends = st.sampled_from(["\n", "\r\n", "\n\n", "  \n"])


@st.composite
def written_maps(draw: st.DrawFn) -> str:
    """Draw a map as machines write it, keys twice and all, and perhaps damage it."""
    end = draw(ends)
    colon = draw(st.sampled_from([": ", ":", " :\t"]))
    blanks = draw(st.sampled_from(["  ", "\t", ""]))
    goals = draw(st.lists(st.tuples(st.sampled_from("ABC"), goal), max_size=4))
    written = []
    for name, members in goals:
        lines = f",{end}".join(f'{blanks * 2}"{key}"{colon}"{text}"' for key, text in members)
        written.append(f'{blanks}"{name}"{colon}{{{end}{lines}{end}{blanks}}}')
    text = f"{{{end}" + f",{end}".join(written) + f"{end}}}{end}"
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(["", "", "", '"', "}", ",", "\n", "x", "\\"])) + text[at:]


def plain(item: Item) -> tuple[object, ...]:
    """Return an item with what is comparable of its containers."""
    parts = ((part.kind, part.key) if isinstance(part, Container) else part for part in item)
    return type(item), *parts


def all_looked_into(text: str) -> GoalMap:
    """Return a reading of which nothing was passed over."""
    lines = split_lines(text)
    items: list[Items] = []
    states: list[State] = []
    end = scan_lines(lines, START, items, states, {})
    return GoalMap(ScannedLines(lines, items, states, end))


def copy_a_line(goal_map: GoalMap, data: st.DataObject) -> tuple[GoalMap, Change]:
    """Put a copy of some line before another one, or take lines out; the last line stays as it is."""
    last = len(goal_map.lines) - 1
    first, end, copied = sorted(data.draw(st.tuples(*[st.integers(0, last)] * 3)))
    new = [goal_map.lines[copied]] if copied < last and data.draw(st.booleans()) else []
    return goal_map.replace_lines(first, end if not new else first, new)


def test_most_of_a_map_is_passed_over() -> None:
    goal_map = parse(
        '{\n  "A": {\n    "persona": "a.txt",\n    "protocol": "lost.txt"\n  },\n'
        '  "B": {\n    "protocol": "a.txt"\n  }\n}\n'
    )
    assert [problem.code for _, problem in find_problems(goal_map, HERE)] == ["component.missing"]
    assert goal_map.plain_members().lines == [2, 3, 6]
    assert [line for line, _ in goal_map.scanned_lines()] == [0, 8, 9]


def test_the_lines_of_what_is_no_goal_any_more_belong_to_no_other_goal() -> None:
    goals = '"A": {\n"persona": "a.txt"\n},\n"B": {\n"persona": "lost.txt"\n},\n"C": {\n"persona": "a.txt"\n}\n'
    goal_map = parse(f"{{\n{goals}}}\n")
    problems = find_problems(goal_map, HERE)
    goal_map, change = goal_map.replace_lines(6, 7, ['"},\n'])  # the end of B: it holds C now
    assert list(find_problems_after(problems, goal_map, change, HERE)) == list(
        find_problems(all_looked_into(goal_map.text), HERE)
    )


def test_a_line_that_is_put_into_a_plain_goal_is_checked() -> None:
    goal_map = parse('{\n  "A": {\n    "persona": "a.txt",\n    "protocol": "a.txt"\n  }\n}\n')
    problems = find_problems(goal_map, HERE)
    goal_map, change = goal_map.replace_lines(3, 3, ['    "persna": "lost.txt",\n'])
    after = find_problems_after(problems, goal_map, change, HERE)
    assert [problem.code for _, problem in after] == ["slot.unknown", "component.missing"]


def test_a_reading_goes_when_the_next_one_is_there() -> None:
    """Without the garbage collector: nothing that an edit makes refers to itself."""
    goal_map = parse('{\n  "A": {\n    "persona": "a.txt",\n    "protocol": "lost.txt"\n  }\n}\n')
    gc.disable()
    try:
        for written in ('    "persona": "lost.txt",\n', "\n", "x\n"):
            problems, usage = find_problems(goal_map, HERE), Usage(goal_map)
            old = weakref.ref(goal_map)
            goal_map, change = goal_map.replace_lines(2, 3, [written])
            find_problems_after(problems, goal_map, change, HERE)
            usage.follow(goal_map, change)
            assert old() is None
    finally:
        gc.enable()


@settings(max_examples=300)
@given(written_maps())
def test_the_items_of_a_line_are_those_of_a_scan_line_by_line(text: str) -> None:
    goal_map = parse(text)
    state = START
    for number, line in enumerate(split_lines(text)):
        items, state = scan_line(line, state)
        assert [plain(item) for item in goal_map.items_at(number)] == [plain(item) for item in items]


@settings(max_examples=300)
@given(written_maps())
def test_what_is_said_does_not_depend_on_who_asked_before(text: str) -> None:
    fresh, looked_into = parse(text), all_looked_into(text)
    assert list(find_problems(fresh, HERE)) == list(find_problems(looked_into, HERE))
    assert fresh.goal_index.duplicates == looked_into.goal_index.duplicates
    assert Usage(parse(text)).by_slot == Usage(looked_into).by_slot
    assert names_with(parse(text), "a") == names_with(looked_into, "a")
    assert users_of(parse(text), HERE, "components/personas/a.txt") == users_of(
        looked_into, HERE, "components/personas/a.txt"
    )
    assert parse(text).goals_with("protocol") == looked_into.goals_with("protocol")
    assert parse(text).goals == looked_into.goals


@settings(max_examples=300)
@given(written_maps(), st.data())
def test_nor_does_what_is_said_after_edits(text: str, data: st.DataObject) -> None:
    goal_map = parse(text)
    problems, usage = find_problems(goal_map, HERE), Usage(goal_map)
    for _ in range(3):
        if data.draw(st.booleans()):
            goal_map, change = type_somewhere(goal_map, data)
        else:
            goal_map, change = copy_a_line(goal_map, data)
        problems = find_problems_after(problems, goal_map, change, HERE)
        usage = usage if usage.follow(goal_map, change) else Usage(goal_map)
        again = all_looked_into(goal_map.text)
        assert list(problems) == list(find_problems(again, HERE))
        assert goal_map.goals == again.goals
        assert usage.by_slot == Usage(again).by_slot
