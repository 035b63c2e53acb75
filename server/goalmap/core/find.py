"""Find what is wrong with a map, once as a whole and then edit by edit."""

from __future__ import annotations

from bisect import bisect_right
from itertools import compress
from operator import contains, not_
from typing import Final

from goalmap.core.goal_map import Change, Entry, GoalMap, Reference, is_slot, path_of
from goalmap.core.items import DOCUMENT, ERROR, KEY, OPEN, PAIR, SCALAR, STRING, Frame, Item
from goalmap.core.library import Library, SlotFiles, near_names
from goalmap.core.naming import COMPONENTS, TEMPLATE_SLOT, unsafe_reason, unsafe_slot_reason
from goalmap.core.problems import ByLine, Problem, Problems
from goalmap.core.text import Span, visible

_MAX_SYNTAX_PROBLEMS_A_LINE: Final = 20
# Then a list of edits is given up for a new one: nobody who follows them lags so far behind.
_MAX_EDITED: Final = 1000


def find_problems(goal_map: GoalMap, library: Library) -> Problems:
    """Return all that is wrong with `goal_map`, its components being those of `library`."""
    local: dict[int, tuple[Problem, ...]] = {}
    _Finder(goal_map, library, local).find(0, len(goal_map.lines))
    return Problems(local, _wide(goal_map))


def find_problems_after(before: Problems, goal_map: GoalMap, change: Change, library: Library) -> Problems:
    """Return the findings after an edit, given those before it, at the cost of the goals that it touched."""
    if not change.outline_kept:
        return find_problems(goal_map, library)
    first, end = _whole_goals(goal_map, change.first, change.end)
    local = dict(before.local)
    for line in range(first, end):
        local.pop(line, None)
    _Finder(goal_map, library, local).find(first, end)
    after = Problems(local, _wide(goal_map), before.edited if len(before.edited) < _MAX_EDITED else [])
    after.edited.append((first, end))
    after.edited.extend((line, line + 1) for line in {*before.wide, *after.wide})
    return after


def _whole_goals(goal_map: GoalMap, first: int, end: int) -> tuple[int, int]:
    """Return a stretch of lines that holds another, and every goal on it as a whole, its key included."""
    outline = goal_map.outline
    while True:
        numbers = outline.between(first, end - 1)
        entries = outline.entries[numbers.start : numbers.stop + 1]
        if len(entries) > len(numbers) and entries[-1].key_span.line >= end:
            entries.pop()  # the goal after these, whose key does not stand on their lines
        wider = (
            min([first, *(entry.key_span.line for entry in entries)]),
            max([end, *(entry.close_line + 1 for entry in entries)]),
        )
        if wider == (first, end):
            return wider
        first, end = wider


def _wide(goal_map: GoalMap) -> ByLine:
    wide: dict[int, tuple[Problem, ...]] = {}
    if goal_map.end_problem:
        span = goal_map.end_span
        wide[span.line] = (Problem("map.syntax", span.start, span.end, goal_map.end_problem),)
    for span, key, last in goal_map.outline.duplicates:
        problem = _duplicate_key(span, key, last)
        wide[span.line] = (*wide.get(span.line, ()), problem)
    return wide


def _duplicate_key(span: Span, key: str, last: Span) -> Problem:
    message = f"{visible(key)} comes again in line {last.line + 1}, and that one counts: rename or remove one of them"
    return Problem("map.duplicate-key", span.start, span.end, message, related=(last, "the one that counts"))


class _Finder:
    """Finds the problems of a stretch of lines that begins and ends between goals, and puts them into `local`."""

    def __init__(self, goal_map: GoalMap, library: Library, local: dict[int, tuple[Problem, ...]]) -> None:
        self.goal_map = goal_map
        self.library = library
        self.local = local
        self.slots = library.slots
        self._fine: dict[str, frozenset[str]] = {}
        self._found: dict[int, list[Problem]] = {}

    def add(self, line: int, problem: Problem) -> None:
        self._found.setdefault(line, []).append(problem)

    def find(self, first: int, end: int) -> None:
        outline = self.goal_map.outline
        flat = self.flat_goals(first, end)
        before = first
        for number in outline.between(first, end - 1):
            entry = outline.entries[number]
            suspects = flat.get(number)
            if suspects is not None:
                if before < entry.open_line:
                    self.outside_goals(before, entry.open_line)
                before = entry.close_line + 1
            if entry.frame in outline.shadowed:
                continue
            if suspects is not None:
                for line, key, file in suspects:
                    self.plain_pair(line, key, file, entry.frame)
            elif not self.is_fine(entry):
                self.goal(entry)
        self.outside_goals(before, end)
        # At the end and not one by one: a map without line breaks has all its findings on one line.
        for line, found in self._found.items():
            self.local[line] = (*self.local.get(line, ()), *found)

    # -- around goals ------------------------------------------------------------------------------------------------
    def outside_goals(self, first: int, end: int) -> None:
        """Syntax errors anywhere, and members of categories that are neither goals nor texts about them."""
        categories = self.goal_map.outline.categories
        for line in range(first, end):
            items = self.goal_map.items_at(line)
            if len(items) == 1 and items[0][0] == PAIR and items[0][4] not in categories:
                continue  # a line of a goal
            errors = 0
            for item in items:
                tag = item[0]
                if tag == ERROR:
                    errors += 1
                    if errors <= _MAX_SYNTAX_PROBLEMS_A_LINE:
                        self.add(line, Problem("map.syntax", item[1], item[2], item[3]))
                elif tag == PAIR:
                    if item[4] in categories and is_slot(item[3]):
                        self.stray(line, item[5], item[6])
                elif tag in (STRING, SCALAR):
                    if item[4] is DOCUMENT:
                        self.not_an_object(line, item)
                    elif item[4] in categories and is_slot(item[5]):
                        self.stray(line, item[1], item[2])
                elif tag == OPEN and item[3].kind == "[":
                    if item[3].parent is DOCUMENT:
                        self.not_an_object(line, item)
                    elif item[3].parent in categories and is_slot(str(item[3].key)):
                        self.stray(line, item[1], item[2])

    def stray(self, line: int, start: int, end: int) -> None:
        self.add(line, Problem("map.structure", start, end, 'Expected a goal here: {"slot": "file", …}'))

    def not_an_object(self, line: int, item: Item) -> None:
        message = 'A map is an object of goals: {"DEBUG": {"persona": "file.txt"}}'
        self.add(line, Problem("map.structure", item[1], item[2], message))

    # -- goals that need no look at each line ------------------------------------------------------------------------
    def flat_goals(self, first: int, end: int) -> dict[int, tuple[tuple[int, str, str], ...]]:
        """Return by number the goals that the scan passed over, with those of their lines that are suspect.

        Of a suspect line, whose file is not there or not well, it gives the key and the file, too.

        Each line of such a goal is a key and a name, and no other goal is on it. Goals that name a key twice, or
        nothing, are left to a closer look.
        """
        outline, scanned = self.goal_map.outline, self.goal_map.scanned
        lines, keys, files = self.goal_map.pairs(first, end)
        if not lines:
            return {}
        flat: dict[int, tuple[tuple[int, str, str], ...]] = {}
        orders: dict[tuple[str, ...], bool] = {}
        at = 0
        lines.append(end)  # of no goal
        for number in outline.between(first, end - 1):
            frame, _, open_line, _, close_line, _ = outline.entries[number]
            after = at + frame.members
            # So many lines from its first one to its last one: these are all of its lines.
            if lines[at] == open_line + 1 and after < len(lines) and lines[after - 1] == close_line - 1 > open_line:
                if scanned[open_line] is frame is scanned[close_line]:
                    order = tuple(keys[at:after])  # most goals have the same keys
                    if order not in orders:
                        orders[order] = len(set(order)) == len(order) and any(map(is_slot, order))
                    if orders[order]:
                        flat[number] = ()
                at = after
            else:
                while lines[at] < close_line:
                    at += 1
        lines.pop()
        # Not one by one: this is done for each name in the map.
        for key in set(keys):
            self.fine(key)
        is_fine = map(contains, map(self._fine.__getitem__, keys), files)
        for suspect in compress(zip(lines, keys, files, strict=True), map(not_, is_fine)):
            number = bisect_right(outline.open_lines, suspect[0]) - 1
            # Behind the end of a goal there may be lines like it, of one that an edit has made a category.
            if number in flat and suspect[0] < outline.entries[number].close_line:
                flat[number] = (*flat[number], suspect)
        return flat

    def plain_pair(self, line: int, key: str, file: str, frame: Frame) -> None:
        """Check a line that the scan passed over: its key and its file are all that is on it, without escapes."""
        text = self.goal_map.lines[line]
        slot = self.slots[key]
        if slot.unsafe or slot.unknown:
            start = text.index('"') + 1
            self.slot_key(line, start, start + len(key), slot)
        if slot.unsafe is None:
            end = text.rindex('"')
            self.reference(line, end - len(file), end, file, (frame, key, None))

    def fine(self, key: str) -> frozenset[str]:
        """Return the texts at a key of a goal about which nothing is to be said, and keep them."""
        known = self._fine.get(key)
        if known is None:
            known = (self.slots.get(key) or self.slot(key)).fine if is_slot(key) else _Anything()
            self._fine[key] = known
        return known

    # -- in a goal ---------------------------------------------------------------------------------------------------
    def is_fine(self, entry: Entry) -> bool:
        """Whether there is nothing to say about a goal, as far as can be told at a glance; most are like that.

        True for goals that have a line for each key, no key twice, at least one file, and each file there, faultless.
        """
        keys = set()
        texts = 0
        for line in range(entry.open_line + 1, entry.close_line):
            items = self.goal_map.items_at(line)
            if len(items) != 1 or items[0][0] != PAIR:
                return False
            key = items[0][3]
            if items[0][7] not in self.fine(key):
                return False
            texts += not is_slot(key)
            keys.add(key)
        lines = entry.close_line - entry.open_line - 1
        return texts < len(keys) == lines and entry.close_item == 0 and self._ends_line(entry)

    def _ends_line(self, entry: Entry) -> bool:
        return entry.open_item == len(self.goal_map.items_at(entry.open_line)) - 1

    def goal(self, entry: Entry) -> None:
        frame = entry.frame
        items_at = self.goal_map.items_at
        keys: list[str] = []
        references = 0
        lists = False
        for line in range(entry.open_line, entry.close_line + 1):
            items = items_at(line)
            if line in (entry.open_line, entry.close_line):
                start = entry.open_item + 1 if line == entry.open_line else 0
                items = items[start : entry.close_item if line == entry.close_line else len(items)]
            for item in items:
                tag = item[0]
                if tag == PAIR:
                    keys.append(item[3])
                    references += self.pair(line, item, frame)
                elif tag == KEY and item[4] is frame:
                    keys.append(item[3])
                    if is_slot(item[3]):
                        self.slot_key(line, item[1], item[2], self.slots.get(item[3]) or self.slot(item[3]))
                elif tag == STRING:
                    lists = lists or item[4] is not frame
                    references += self.string(line, item, frame)
                elif tag in (SCALAR, OPEN):
                    self.other_value(line, item, frame)
        if len(set(keys)) != len(keys):
            self.duplicates(entry)
        if lists:
            self.repeated(entry)
        if not references:
            span = entry.key_span
            self.add(span.line, Problem("goal.empty", span.start, span.end, "This goal has no component yet"))

    def pair(self, line: int, item: Item, frame: Frame) -> int:
        """Check a key and its string; return how many references they are."""
        key, value = item[3], item[7]
        slot = self.slots.get(key) or self.slot(key)
        if value not in slot.fine:
            if item[4] is not frame or not is_slot(key):
                return 0
            self.slot_key(line, item[1], item[2], slot)
            if slot.unsafe is None:
                self.reference(line, item[5], item[6], value, (frame, key, None))
        return 1

    def slot(self, slot: str) -> SlotFiles:
        """Return what there is to know about a slot, and keep it."""
        path = self.library.folder(slot)
        folder = self.library.folders.get(path)
        files = frozenset[str]()
        if folder is not None and is_slot(slot):
            at_fault = {path.rpartition("/")[2] for path in self.library.faults if path.startswith(f"{folder.path}/")}
            files = folder.plain - at_fault if at_fault else folder.plain
        unknown = unsafe = None
        if is_slot(slot):
            reason = unsafe_slot_reason(slot)
            unsafe = f"{visible(slot)} cannot name a folder: it {reason}" if reason else None
            if folder is None and unsafe is None:
                unknown = f"There is no folder {visible(self.library.folder(slot))}"
                known = [name for name in self.library.slot_folders() if name != f"{TEMPLATE_SLOT}s"]
                near = near_names(f"{slot}s", known, limit=1) if known else []
                unknown += f"; the nearest is {COMPONENTS}/{near[0]}" if near else ""
        self.slots[slot] = SlotFiles(files, unknown, unsafe, path, folder)
        return self.slots[slot]

    def slot_key(self, line: int, start: int, end: int, slot: SlotFiles) -> None:
        if slot.unsafe:
            self.add(line, Problem("reference.unsafe", start, end, slot.unsafe))
        elif slot.unknown:
            self.add(line, Problem("slot.unknown", start, end, slot.unknown, target=slot.path))

    def string(self, line: int, item: Item, frame: Frame) -> int:
        """Check a string that is not a PAIR; return how many references it is."""
        holder: Frame = item[4]
        in_list = holder is not frame
        if in_list and (holder.parent is not frame or holder.kind != "["):
            return 0  # below something that is reported as a whole
        key = holder.key if in_list else item[5]
        if not isinstance(key, str) or not is_slot(key):
            return 0
        if (self.slots.get(key) or self.slot(key)).unsafe is None:
            self.reference(line, item[1], item[2], item[3], (frame, key, item[5] if in_list else None))
        return 1

    def other_value(self, line: int, item: Item, frame: Frame) -> None:
        """Report what is no file name where one is expected."""
        holder = item[3].parent if item[0] == OPEN else item[4]
        key = item[3].key if item[0] == OPEN else item[5]
        if holder is frame:
            if key is None or "$" in key or (item[0] == OPEN and is_slot(key) and key != TEMPLATE_SLOT):
                return
            expected = "a file name or a list of file names" if is_slot(key) else "a text"
            expected = "a file name" if key == TEMPLATE_SLOT else expected
        elif holder.parent is frame and is_slot(str(holder.key)):
            expected = "a file name"
        else:
            return
        self.add(line, Problem("map.structure", item[1], item[2], f"Expected {expected} here"))

    def reference(self, line: int, start: int, end: int, file: str, place: tuple[Frame, str, int | None]) -> None:
        """Check one reference at `place`: its goal's frame, its slot and its index."""
        frame, slot, index = place
        library, known = self.library, self.slots.get(slot) or self.slot(slot)
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
        reference = Reference(path_of(frame), slot, index, file, Span(line, start, end))
        self.add(line, Problem(code, start, end, message, reference, path))

    def duplicates(self, entry: Entry) -> None:
        """Report keys that come twice in a goal."""
        last: dict[str, Span] = {}
        for line, item in self.goal_map.entry_items(entry):
            if item[0] in (KEY, PAIR) and item[4] is entry.frame:
                span = Span(line, item[1], item[2])
                if item[3] in last:
                    self.add(last[item[3]].line, _duplicate_key(last[item[3]], item[3], span))
                last[item[3]] = span

    def repeated(self, entry: Entry) -> None:
        """Report a file that is named twice in one list."""
        seen: dict[tuple[Frame, str], Span] = {}
        for line, item in self.goal_map.entry_items(entry):
            if item[0] != STRING or item[4] is entry.frame or not item[3]:
                continue
            span = Span(line, item[1], item[2])
            first = seen.setdefault((item[4], item[3]), span)
            if first is not span and isinstance(item[4].key, str) and is_slot(item[4].key):
                reference = Reference(path_of(entry.frame), item[4].key, item[5], item[3], span)
                message = f"{visible(item[3])} is in this list already"
                related = (first, "the first one")
                self.add(line, Problem("reference.duplicate", span.start, span.end, message, reference, None, related))


class _Anything(frozenset[str]):
    """What a key holds that is no slot: a text, which may be any."""

    def __contains__(self, _: object) -> bool:
        return True
