"""What is wrong with a map and its components, as data.

`Problems` keeps them by line, so that an edit replaces those of the lines it touched (`Problems.after`). How they look
in an editor or on a terminal is decided elsewhere, once for all codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from goalmap.core.goal_map import Change, Entry, GoalMap, Reference, is_slot, path_of
from goalmap.core.library import Library, near_names
from goalmap.core.naming import COMPONENTS, TEMPLATE_SLOT, unsafe_reason, unsafe_slot_reason
from goalmap.core.scan import DOCUMENT, ERROR, KEY, OPEN, PAIR, SCALAR, STRING, Frame, Item
from goalmap.core.text import Span, visible

Severity: TypeAlias = Literal["error", "warning", "information", "hint", "off"]

# Each code, its severity unless a setting changes it, and whether to show the place as unnecessary.
SEVERITIES: Final[dict[str, Severity]] = {
    "component.missing": "error",
    "component.empty": "warning",
    "component.unreadable": "error",
    "component.case-mismatch": "warning",
    "component.unused": "hint",
    "reference.unsafe": "error",
    "reference.duplicate": "warning",
    "slot.unknown": "warning",
    "goal.empty": "warning",
    "map.syntax": "error",
    "map.structure": "error",
    "map.duplicate-key": "warning",
    "template.unknown-variable": "error",
    "template.syntax": "error",
    "prompt.over-budget": "warning",
    "generation.interrupted": "information",
}
SHOWN_AS_UNNECESSARY: Final = frozenset({"component.unused"})
SYNTAX_CODES: Final = frozenset({"map.syntax", "map.duplicate-key"})

_MAX_SYNTAX_PROBLEMS_A_LINE: Final = 20
# Then a list of edits is given up for a new one: nobody who follows them lags so far behind.
_MAX_EDITED: Final = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding, at columns `start` to `end` of a line that its holder knows.

    `reference` is there for `component.*` and `reference.*`; `target` is the path, relative to the library, that it is
    about; `related` is another place of the map with what it says there.
    """

    code: str
    start: int
    end: int
    message: str
    reference: Reference | None = None
    target: str | None = None
    related: tuple[Span, str] | None = None


ByLine: TypeAlias = Mapping[int, tuple[Problem, ...]]


@dataclass(frozen=True)
class Problems:
    """All findings in one map against one library. `local` depend on their own goal only, `wide` on the whole map.

    `edited` are the lines, from the first to before the second, that `after` looked at anew, one edit after the other:
    as long as it is the same list, the findings of all other lines are what they were.
    """

    local: ByLine
    wide: ByLine
    edited: list[tuple[int, int]] = field(default_factory=list, compare=False)

    def at(self, line: int) -> tuple[Problem, ...]:
        """Return the findings in one line, in order of their columns."""
        found = self.local.get(line, ()) + self.wide.get(line, ())
        return found if len(found) <= 1 else tuple(sorted(found, key=_by_column))

    def lines(self) -> Iterator[tuple[int, tuple[Problem, ...]]]:
        """Yield each line that has findings, in order, with its findings in order of their columns."""
        for line in sorted({*self.local, *self.wide} if self.wide else self.local):
            yield line, self.at(line)

    def between(self, first_line: int, last_line: int) -> Iterator[tuple[Span, Problem]]:
        """Yield the findings on these lines."""
        for line in range(first_line, last_line + 1):
            for problem in self.at(line):
                yield Span(line, problem.start, problem.end), problem

    def __iter__(self) -> Iterator[tuple[Span, Problem]]:
        for line, found in self.lines():
            for problem in found:
                yield Span(line, problem.start, problem.end), problem

    def after(self, goal_map: GoalMap, change: Change, library: Library) -> Problems:
        """Return the findings after an edit, given those before it, at the cost of the goals that it touched."""
        if not change.outline_kept:
            return find_problems(goal_map, library)
        first, end = change.first, change.end
        for number in goal_map.outline.between(first, end - 1):
            entry = goal_map.outline.entries[number]
            first, end = min(first, entry.open_line), max(end, entry.close_line + 1)
        local = dict(self.local)
        for line in range(first, end):
            local.pop(line, None)
        _Finder(goal_map, library, local).find(first, end)
        after = Problems(local, _wide(goal_map), self.edited if len(self.edited) < _MAX_EDITED else [])
        after.edited.append((first, end))
        after.edited.extend((line, line + 1) for line in {*self.wide, *after.wide})
        return after


def _by_column(problem: Problem) -> tuple[int, int]:
    return problem.start, problem.end


def find_problems(goal_map: GoalMap, library: Library) -> Problems:
    """Return all that is wrong with `goal_map`, its components being those of `library`."""
    local: dict[int, tuple[Problem, ...]] = {}
    _Finder(goal_map, library, local).find(0, len(goal_map.lines))
    return Problems(local, _wide(goal_map))


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
        self._fine = _Fine(self)
        self._found: dict[int, list[Problem]] = {}

    def add(self, line: int, problem: Problem) -> None:
        self._found.setdefault(line, []).append(problem)

    def find(self, first: int, end: int) -> None:
        outline = self.goal_map.outline
        shadowed = outline.shadowed
        for number in outline.between(first, end - 1):
            entry = outline.entries[number]
            if entry.frame not in shadowed and not self.is_fine(entry):
                self.goal(entry)
        self.outside_goals(first, end)
        # At the end and not one by one: a map without line breaks has all its findings on one line.
        for line, found in self._found.items():
            self.local[line] = (*self.local.get(line, ()), *found)

    # -- around goals ------------------------------------------------------------------------------------------------
    def outside_goals(self, first: int, end: int) -> None:
        """Syntax errors anywhere, and members of categories that are neither goals nor texts about them."""
        categories = self.goal_map.outline.categories
        items_of = self.goal_map.items
        for line in range(first, end):
            items = items_of[line]
            if len(items) == 1 and items[0][0] == PAIR and items[0][4] not in categories:
                continue  # the common line of a goal
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

    # -- in a goal ---------------------------------------------------------------------------------------------------
    def is_fine(self, entry: Entry) -> bool:
        """Whether there is nothing to say about a goal, as far as can be told at a glance; most are like that.

        True for goals that have a line for each key, no key twice, at least one file, and each file there, faultless.
        """
        body = self.goal_map.items[entry.open_line + 1 : entry.close_line]
        fine = self._fine
        keys = set()
        texts = 0
        for items in body:
            if len(items) != 1 or items[0][0] != PAIR:
                return False
            key = items[0][3]
            files = fine[key]
            if files is None:
                texts += 1
            elif items[0][7] not in files:
                return False
            keys.add(key)
        return texts < len(keys) == len(body) and entry.close_item == 0 and self._ends_line(entry)

    def _ends_line(self, entry: Entry) -> bool:
        return entry.open_item == len(self.goal_map.items[entry.open_line]) - 1

    def goal(self, entry: Entry) -> None:
        frame = entry.frame
        slots = self.slots
        items_of = self.goal_map.items
        keys: list[str] = []
        references = 0
        lists = False
        for line in range(entry.open_line, entry.close_line + 1):
            items = items_of[line]
            if line in (entry.open_line, entry.close_line):
                start = entry.open_item + 1 if line == entry.open_line else 0
                items = items[start : entry.close_item if line == entry.close_line else len(items)]
            for item in items:
                tag = item[0]
                if tag == PAIR:
                    key, value = item[3], item[7]
                    keys.append(key)
                    files, unknown, unsafe = slots.get(key) or self.slot(key)
                    if value in files:
                        references += 1
                    elif item[4] is frame and is_slot(key):
                        references += 1
                        self.slot_key(line, item, unknown, unsafe)
                        if unsafe is None:
                            self.reference(line, item[5], item[6], value, (frame, key, None))
                elif tag == KEY and item[4] is frame:
                    keys.append(item[3])
                    if is_slot(item[3]):
                        _, unknown, unsafe = slots.get(item[3]) or self.slot(item[3])
                        self.slot_key(line, item, unknown, unsafe)
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

    def slot(self, slot: str) -> tuple[frozenset[str], str | None, str | None]:
        """Return a slot's files about which nothing is to be said, what is wrong with its folder, or with its name."""
        folder = self.library.folders.get(self.library.folder(slot))
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
        self.slots[slot] = files, unknown, unsafe
        return self.slots[slot]

    def slot_key(self, line: int, item: Item, unknown: str | None, unsafe: str | None) -> None:
        if unsafe:
            self.add(line, Problem("reference.unsafe", item[1], item[2], unsafe))
        elif unknown:
            self.add(line, Problem("slot.unknown", item[1], item[2], unknown, target=self.library.folder(item[3])))

    def string(self, line: int, item: Item, frame: Frame) -> int:
        """Check a string that is not a PAIR; return how many references it is."""
        holder: Frame = item[4]
        in_list = holder is not frame
        if in_list and (holder.parent is not frame or holder.kind != "["):
            return 0  # below something that is reported as a whole
        key = holder.key if in_list else item[5]
        if not isinstance(key, str) or not is_slot(key):
            return 0
        if (self.slots.get(key) or self.slot(key))[2] is None:
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
        library = self.library
        path = library.path(slot, file)
        unsafe = unsafe_reason(file) if file else None
        code = message = ""
        if unsafe:
            code, message = "reference.unsafe", f"{visible(file)} {unsafe}"
        elif library.has(slot, file):
            fault = library.faults.get(path)
            if fault is None:
                return
            code = {"empty": "component.empty", "outside": "reference.unsafe"}.get(fault.kind, "component.unreadable")
            message = f"{visible(path)} {fault.reason}"
        else:
            other = library.other_spelling(slot, file)
            if other:
                code = "component.case-mismatch"
                message = f"The file is spelled {visible(other)}: this works here at best, and breaks elsewhere"
                path = library.path(slot, other)
            else:
                code = "component.missing"
                message = (
                    f"{visible(path)} does not exist"
                    if file
                    else f"No file is named yet, in {visible(library.folder(slot))}"
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


class _Fine(dict[str, frozenset[str] | None]):
    """By key of a goal, the files about which nothing is to be said; None for a key that is no slot."""

    def __init__(self, finder: _Finder) -> None:
        super().__init__()
        self._finder = finder

    def __missing__(self, key: str) -> frozenset[str] | None:
        self[key] = self._finder.slot(key)[0] if is_slot(key) else None
        return self[key]


def users_of(goal_map: GoalMap, library: Library, path: str) -> list[Reference]:
    """Return the references that name the component at `path`, in map order.

    It looks at every line, but makes nothing of those that name something else: an index of all components would cost
    many times as much, and be stale after the next keystroke.
    """
    top, name, file = path.split("/", 2)
    folder = f"{top}/{name}"
    lines = [
        line
        for line, items in enumerate(goal_map.items)
        for item in items
        if (item[0] == PAIR and item[7] == file) or (item[0] == STRING and item[3] == file)
    ]
    outline = goal_map.outline
    numbers = dict.fromkeys(number for line in dict.fromkeys(lines) for number in outline.between(line, line))
    return [
        reference
        for number in numbers
        if outline.entries[number].frame not in outline.shadowed
        for reference in goal_map.goal_of(outline.entries[number]).references
        if reference.file == file and library.folder(reference.slot) == folder
    ]


def names_with(goal_map: GoalMap, prefix: str) -> set[str]:
    """Return the file names anywhere in the map that begin with `prefix`."""
    return {
        item[7] if item[0] == PAIR else item[3]
        for items in goal_map.items
        for item in items
        if (item[0] == PAIR and item[7].startswith(prefix)) or (item[0] == STRING and item[3].startswith(prefix))
    }


def near_files(problem: Problem, library: Library, *, limit: int = 3) -> list[str]:
    """Return the names of components that a reference may have meant, best first."""
    if problem.reference is None or not problem.reference.file:
        return []
    folder = library.folders.get(library.folder(problem.reference.slot))
    return near_names(problem.reference.file, folder.ordered, limit=limit) if folder else []
