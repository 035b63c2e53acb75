"""Check a map, once as a whole and then edit by edit."""

from __future__ import annotations

from bisect import bisect_right
from itertools import compress
from operator import contains, not_
from typing import Any, Final, TypeAlias

from goalmap.core.goal_index import GoalRange
from goalmap.core.goal_map import Change, GoalMap, Reference, path_of
from goalmap.core.json_lines import DOCUMENT, Container, Error, Key, Open, Pair, Scalar, String
from goalmap.core.library import Library, SlotFolder
from goalmap.core.naming import TEMPLATE_SLOT, is_slot, unsafe_reason
from goalmap.core.problems import ByLine, Problem, Problems
from goalmap.core.text import Span, visible

_MAX_SYNTAX_PROBLEMS_A_LINE: Final = 20


def find_problems(goal_map: GoalMap, library: Library) -> Problems:
    """Return all that is wrong with `goal_map`, its components being those of `library`."""
    by_goal: dict[int, tuple[Problem, ...]] = {}
    MapChecker(goal_map, library, by_goal).check(0, len(goal_map.lines))
    return Problems(by_goal, _whole_map_problems(goal_map))


def find_problems_after(before: Problems, goal_map: GoalMap, change: Change, library: Library) -> Problems:
    """Return the problems after an edit, given those before it, at the cost of the goals that it touched."""
    if not change.index_kept:
        return find_problems(goal_map, library)
    first, end = _whole_goals(goal_map, change.first, change.end)
    by_goal = dict(before.by_goal)
    for line in range(first, end):
        by_goal.pop(line, None)
    MapChecker(goal_map, library, by_goal).check(first, end)
    return before.after_recheck(by_goal, _whole_map_problems(goal_map), (first, end))


def _whole_goals(goal_map: GoalMap, first: int, end: int) -> tuple[int, int]:
    """Return a stretch of lines that holds another, and every goal on it as a whole, its key included."""
    index = goal_map.goal_index
    while True:
        numbers = index.between(first, end - 1)
        goals = index.ranges[numbers.start : numbers.stop + 1]
        if len(goals) > len(numbers) and goals[-1].key_span.line >= end:
            goals.pop()  # the goal after these, whose key does not stand on their lines
        wider = (
            min([first, *(goal.key_span.line for goal in goals)]),
            max([end, *(goal.close_line + 1 for goal in goals)]),
        )
        if wider == (first, end):
            return wider
        first, end = wider


def _whole_map_problems(goal_map: GoalMap) -> ByLine:
    problems: dict[int, tuple[Problem, ...]] = {}
    if goal_map.end_problem:
        span = goal_map.end_span
        problems[span.line] = (Problem("map.syntax", span.start, span.end, goal_map.end_problem),)
    for span, key, last in goal_map.goal_index.duplicates:
        problems[span.line] = (*problems.get(span.line, ()), _duplicate_key(span, key, last))
    return problems


def _duplicate_key(span: Span, key: str, last: Span) -> Problem:
    message = f"{visible(key)} comes again in line {last.line + 1}, and that one counts: rename or remove one of them"
    return Problem("map.duplicate-key", span.start, span.end, message, related=(last, "the one that counts"))


# The line, key and file of a member of a plain goal whose file is not there, or not well.
_Suspect: TypeAlias = tuple[int, str, str]


class MapChecker:
    """Checks a stretch of lines that begins and ends between goals, and puts what it finds into `by_goal`."""

    def __init__(self, goal_map: GoalMap, library: Library, by_goal: dict[int, tuple[Problem, ...]]) -> None:
        self._goal_map = goal_map
        self._library = library
        self._by_goal = by_goal
        self._problems: dict[int, list[Problem]] = {}

    def _add(self, line: int, problem: Problem) -> None:
        self._problems.setdefault(line, []).append(problem)

    def check(self, first: int, end: int) -> None:
        """Check lines `first` to `end` (exclusive)."""
        index = self._goal_map.goal_index
        plain = self._plain_goals(first, end)
        before = first
        for number in index.between(first, end - 1):
            goal = index.ranges[number]
            suspects = plain.get(number)
            if suspects is not None:
                if before < goal.open_line:
                    self._check_around_goals(before, goal.open_line)
                before = goal.close_line + 1
            if goal.container in index.shadowed:
                continue
            if suspects is not None:
                for line, key, file in suspects:
                    self._check_plain_member(line, key, file, goal.container)
            elif not self._is_fine(goal):
                self._check_goal(goal)
        self._check_around_goals(before, end)
        # At the end and not one by one: a map without line breaks has all its problems on one line.
        for line, problems in self._problems.items():
            self._by_goal[line] = (*self._by_goal.get(line, ()), *problems)

    # -- around goals ------------------------------------------------------------------------------------------------
    def _check_around_goals(self, first: int, end: int) -> None:
        """Report syntax errors anywhere, and members of categories that are neither goals nor texts about them."""
        categories = self._goal_map.goal_index.categories
        for line in range(first, end):
            items = self._goal_map.items_at(line)
            errors = 0
            for item in items:
                if isinstance(item, Pair):
                    if item.container in categories and is_slot(item.name):
                        self._stray(line, item.value_start, item.value_end)
                elif isinstance(item, Error):
                    errors += 1
                    if errors <= _MAX_SYNTAX_PROBLEMS_A_LINE:
                        self._add(line, Problem("map.syntax", item.start, item.end, item.message))
                elif isinstance(item, (String, Scalar)):
                    if item.container is DOCUMENT:
                        self._not_an_object(line, item)
                    elif item.container in categories and is_slot(item.key):
                        self._stray(line, item.start, item.end)
                elif isinstance(item, Open) and item.container.kind == "[":
                    if item.container.parent is DOCUMENT:
                        self._not_an_object(line, item)
                    elif item.container.parent in categories and is_slot(str(item.container.key)):
                        self._stray(line, item.start, item.end)

    def _stray(self, line: int, start: int, end: int) -> None:
        self._add(line, Problem("map.structure", start, end, 'Expected a goal here: {"slot": "file", …}'))

    def _not_an_object(self, line: int, item: String | Scalar | Open) -> None:
        message = 'A map is an object of goals: {"DEBUG": {"persona": "file.txt"}}'
        self._add(line, Problem("map.structure", item.start, item.end, message))

    # -- goals that need no look at each line ------------------------------------------------------------------------
    def _plain_goals(self, first: int, end: int) -> dict[int, tuple[_Suspect, ...]]:
        """Return by number the plain goals on lines `first` to `end` (exclusive), each with what is suspect in it.

        Goals that name a key twice, or nothing, are left to a closer look.
        """
        index, scanned = self._goal_map.goal_index, self._goal_map.scanned
        lines, keys, files = scanned.plain_members(first, end)
        if not lines:
            return {}
        plain: dict[int, tuple[_Suspect, ...]] = {}
        checked: dict[tuple[str, ...], bool] = {}
        member = 0
        for number in index.between(first, end - 1):
            open_line = index.ranges[number].open_line
            goal = scanned.plain_goal_at(open_line)
            if goal is None or goal is not index.ranges[number].container:
                continue
            while lines[member] < open_line:
                member += 1
            order = tuple(keys[member : member + goal.size])  # most goals have the same keys
            member += goal.size - 1
            if order not in checked:
                checked[order] = len(set(order)) == len(order) and any(map(is_slot, order))
            if checked[order]:
                plain[number] = ()
        # Not one by one: this is done for each name in the map.
        fine = {key: self._library.slot_folder(key).fine if is_slot(key) else _Anything() for key in set(keys)}
        is_fine = map(contains, map(fine.__getitem__, keys), files)
        for suspect in compress(zip(lines, keys, files, strict=True), map(not_, is_fine)):
            number = bisect_right(index.open_lines, suspect[0]) - 1
            # Behind the end of a goal there may be lines like it, of one that an edit has made a category.
            if number in plain and suspect[0] < index.ranges[number].close_line:
                plain[number] = (*plain[number], suspect)
        return plain

    def _check_plain_member(self, line: int, key: str, file: str, goal: Container) -> None:
        """Check a member of a plain goal: its key and its file are all that is on its line, without escapes."""
        text = self._goal_map.lines[line]
        slot = self._library.slot_folder(key)
        if slot.unsafe or slot.unknown:
            start = text.index('"') + 1
            self._check_slot(line, start, start + len(key), slot)
        if slot.unsafe is None:
            end = text.rindex('"')
            self._check_reference(line, end - len(file), end, file, (goal, key, None))

    # -- in a goal ---------------------------------------------------------------------------------------------------
    def _is_fine(self, goal: GoalRange) -> bool:
        """Return whether this goal needs no detailed check, as far as can be told at a glance; most do not.

        True for goals that have a line for each key, no key twice, at least one file, and each file there, faultless.
        """
        items_at = self._goal_map.items_at
        keys = set()
        texts = 0
        for line in range(goal.open_line + 1, goal.close_line):
            items = items_at(line)
            if len(items) != 1 or not isinstance(items[0], Pair):
                return False
            key = items[0].name
            if not is_slot(key):
                texts += 1
            elif items[0].value not in self._library.slot_folder(key).fine:
                return False
            keys.add(key)
        lines = goal.close_line - goal.open_line - 1
        ends_line = goal.open_item == len(items_at(goal.open_line)) - 1
        return texts < len(keys) == lines and goal.close_item == 0 and ends_line

    def _check_goal(self, goal: GoalRange) -> None:
        container = goal.container
        keys: list[str] = []
        references = 0
        has_lists = False
        for line, item in self._goal_map.items_in(goal):
            if isinstance(item, Pair):
                keys.append(item.name)
                references += self._check_pair(line, item, container)
            elif isinstance(item, Key):
                if item.container is container:
                    keys.append(item.name)
                    if is_slot(item.name):
                        self._check_slot(line, item.start, item.end, self._library.slot_folder(item.name))
            elif isinstance(item, String):
                has_lists = has_lists or item.container is not container
                references += self._check_string(line, item, container)
            elif isinstance(item, (Scalar, Open)):
                self._check_other_value(line, item, container)
        if len(set(keys)) != len(keys):
            self._find_duplicate_keys(goal)
        if has_lists:
            self._find_repeated_files(goal)
        if not references:
            span = goal.key_span
            self._add(span.line, Problem("goal.empty", span.start, span.end, "This goal has no component yet"))

    def _check_pair(self, line: int, item: Pair, goal: Container) -> int:
        """Check a key and its string; return how many references they are."""
        slot = self._library.slot_folder(item.name)
        if item.value not in slot.fine:
            if item.container is not goal or not is_slot(item.name):
                return 0
            self._check_slot(line, item.start, item.end, slot)
            if slot.unsafe is None:
                place = (goal, item.name, None)
                self._check_reference(line, item.value_start, item.value_end, item.value, place)
        return 1

    def _check_slot(self, line: int, start: int, end: int, slot: SlotFolder) -> None:
        if slot.unsafe:
            self._add(line, Problem("reference.unsafe", start, end, slot.unsafe))
        elif slot.unknown:
            self._add(line, Problem("slot.unknown", start, end, slot.unknown, target=slot.path))

    def _check_string(self, line: int, item: String, goal: Container) -> int:
        """Check a string on its own; return how many references it is."""
        holder = item.container
        in_list = holder is not goal
        if in_list and (holder.parent is not goal or holder.kind != "["):
            return 0  # below something that is reported as a whole
        key = holder.key if in_list else item.key
        if not isinstance(key, str) or not is_slot(key):
            return 0
        if self._library.slot_folder(key).unsafe is None:
            place = (goal, key, item.key if in_list else None)
            self._check_reference(line, item.start, item.end, item.value, place)
        return 1

    def _check_other_value(self, line: int, item: Scalar | Open, goal: Container) -> None:
        """Report what is no file name where one is expected."""
        holder: Container | None = item.container
        key: Any = item.container.key if isinstance(item, Open) else item.key
        if isinstance(item, Open):
            holder = item.container.parent
        if holder is goal:
            if key is None or "$" in key or (isinstance(item, Open) and is_slot(key) and key != TEMPLATE_SLOT):
                return
            expected = "a file name or a list of file names" if is_slot(key) else "a text"
            expected = "a file name" if key == TEMPLATE_SLOT else expected
        elif holder is not None and holder.parent is goal and is_slot(str(holder.key)):
            expected = "a file name"
        else:
            return
        self._add(line, Problem("map.structure", item.start, item.end, f"Expected {expected} here"))

    def _check_reference(
        self, line: int, start: int, end: int, file: str, place: tuple[Container, str, int | None]
    ) -> None:
        """Check one reference at `place`: its goal, its slot and its index."""
        goal, slot, index = place
        library, known = self._library, self._library.slot_folder(slot)
        path = f"{known.path}/{file}"
        unsafe = unsafe_reason(file) if file else None
        code = message = ""
        if unsafe:
            code, message = "reference.unsafe", f"{visible(file)} {unsafe}"
        elif known.folder is not None and (file in known.folder.files or path in library.faults):
            fault = library.faults.get(path)
            if fault is None:
                return
            code = {"empty": "component.empty", "outside": "reference.unsafe"}.get(fault.kind, "component.unreadable")
            message = f"{visible(path)} {fault.reason}"
        else:
            other = known.folder and known.folder.other_spelling(file)
            if other:
                code = "component.case-mismatch"
                message = f"The file is spelled {visible(other)}: this works here at best, and breaks elsewhere"
                path = f"{known.path}/{other}"
            else:
                code = "component.missing"
                message = (
                    f"{visible(path)} does not exist" if file else f"No file is named yet, in {visible(known.path)}"
                )
        if start == end:
            start, end = start - 1, end + 1  # an empty string: show its quotes
        reference = Reference(path_of(goal), slot, index, file, Span(line, start, end))
        self._add(line, Problem(code, start, end, message, reference, path))

    def _find_duplicate_keys(self, goal: GoalRange) -> None:
        """Report keys that come twice in a goal."""
        seen: dict[str, Span] = {}
        for line, item in self._goal_map.items_in(goal):
            if isinstance(item, (Key, Pair)) and item.container is goal.container:
                span, name = Span(line, item.start, item.end), item.name
                if name in seen:
                    self._add(seen[name].line, _duplicate_key(seen[name], name, span))
                seen[name] = span

    def _find_repeated_files(self, goal: GoalRange) -> None:
        """Report a file that is named twice in one list."""
        seen: dict[tuple[Container, str], Span] = {}
        for line, item in self._goal_map.items_in(goal):
            if not isinstance(item, String) or item.container is goal.container or not item.value:
                continue
            span, slot = Span(line, item.start, item.end), item.container.key
            first = seen.setdefault((item.container, item.value), span)
            if first is not span and isinstance(slot, str) and is_slot(slot):
                reference = Reference(path_of(goal.container), slot, item.key, item.value, span)
                message = f"{visible(item.value)} is in this list already"
                related = (first, "the first one")
                self._add(line, Problem("reference.duplicate", span.start, span.end, message, reference, None, related))


class _Anything(frozenset[str]):
    """A set that contains every string: what may stand at a key that is no slot."""

    def __contains__(self, _: object) -> bool:
        return True
