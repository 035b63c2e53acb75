"""Which components a map names: counted once, then kept up to date at the cost of each edit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from goalmap.core.goal_map import Change, GoalMap, Reference
from goalmap.core.items import ERROR, PAIR, STRING, Items
from goalmap.core.library import Library
from goalmap.core.naming import TEMPLATE_SLOT
from goalmap.core.problems import Problem
from goalmap.core.text import visible


class Usage:
    """How often a map names each file, by slot.

    `flipped` are the slots and names that came into use, or went out of use, since somebody last emptied it.
    """

    def __init__(self, goal_map: GoalMap) -> None:
        """Count; this looks at every line."""
        self._errors = 0
        self._ends_well = goal_map.end_problem is None
        self.flipped: set[tuple[str, str]] = set()
        self.by_slot: dict[str, Counter[str]] = {}
        names: defaultdict[str, list[str]] = defaultdict(list)
        if goal_map.outline.shadowed:
            # Of goals whose path comes twice, the last one counts: its names only.
            for reference in goal_map.references():
                names[reference.slot].append(reference.file)
            self._errors = sum(item[0] == ERROR for _, items in goal_map.looked_into() for item in items)
        else:
            for slot, file in zip(*goal_map.pairs()[1:], strict=True):
                names[slot].append(file)
            for _, items in goal_map.looked_into():
                for item in items:
                    tag = item[0]
                    if tag == PAIR:
                        names[item[3]].append(item[7])
                    elif tag == STRING:
                        names[item[4].key if item[4].kind == "[" else item[5]].append(item[3])
                    elif tag == ERROR:
                        self._errors += 1
        self.by_slot = {slot: Counter(files) for slot, files in names.items() if isinstance(slot, str)}

    def follow(self, goal_map: GoalMap, change: Change) -> bool:
        """Take an edit into account; return False, having done nothing, where all must be counted anew."""
        if not change.outline_kept or goal_map.outline.shadowed:
            return False
        for slot, file in _names(change.old_items):
            files = self.by_slot[slot]
            files[file] -= 1
            if not files[file]:
                del files[file]
                self.flipped.add((slot, file))
        new_items = [goal_map.items_at(line) for line in range(change.first, change.end)]
        for slot, file in _names(new_items):
            files = self.by_slot.setdefault(slot, Counter())
            if file not in files:
                self.flipped.add((slot, file))
            files[file] += 1
        self._errors += _errors(new_items) - _errors(change.old_items)
        self._ends_well = goal_map.end_problem is None
        return True

    @property
    def is_whole(self) -> bool:
        """Whether the map is valid JSON: one that is not names fewer files than it means to."""
        return not self._errors and self._ends_well

    @property
    def has_templates(self) -> bool:
        """Whether any goal names a template."""
        return bool(self.by_slot.get(TEMPLATE_SLOT))

    def names(self, folder: str, file: str, library: Library) -> bool:
        """Whether any slot that is looked up in `folder` names `file`."""
        return any(file in files for slot, files in self.by_slot.items() if library.folder(slot) == folder)

    def by_folder(self, library: Library) -> dict[str, set[str]]:
        """Return the names, by the path of the folder that they are looked up in."""
        found: dict[str, set[str]] = {}
        for slot, files in self.by_slot.items():
            found.setdefault(library.folder(slot), set()).update(files)
        return found


def _names(lines: Iterable[Items]) -> Iterator[tuple[str, str]]:
    for items in lines:
        for item in items:
            if item[0] == PAIR:
                yield item[3], item[7]
            elif item[0] == STRING:
                slot = item[4].key if item[4].kind == "[" else item[5]
                if isinstance(slot, str):
                    yield slot, item[3]


def _errors(lines: Iterable[Items]) -> int:
    return sum(item[0] == ERROR for items in lines for item in items)


def users_of(goal_map: GoalMap, library: Library, path: str) -> list[Reference]:
    """Return the references that name the component at `path`, in map order.

    It looks at every line, but makes nothing of those that name something else: an index of all components would cost
    many times as much, and be stale after the next keystroke.
    """
    top, name, file = path.split("/", 2)
    folder = f"{top}/{name}"
    lines = goal_map.lines_with(file)
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
    found = {file for file in goal_map.pairs()[2] if file.startswith(prefix)}
    for _, items in goal_map.looked_into():
        for item in items:
            if item[0] in (PAIR, STRING):
                file = item[7] if item[0] == PAIR else item[3]
                if file.startswith(prefix):
                    found.add(file)
    return found


def used_components(usage: Usage, library: Library) -> list[str]:
    """Return the paths of components that are there and that some goal names, sorted."""
    named = usage.by_folder(library)
    return sorted(
        f"{path}/{file}" for path, folder in library.folders.items() for file in folder.files & named.get(path, set())
    )


def unused_components(usage: Usage, library: Library) -> list[str]:
    """Return the paths of components that no goal names, sorted.

    A map whose text is broken names fewer than it means to: then none is called unused.
    """
    if not usage.is_whole:
        return []
    named = usage.by_folder(library)
    return sorted(
        f"{path}/{file}" for path, folder in library.folders.items() for file in folder.files - named.get(path, set())
    )


def unused_problem(path: str) -> Problem:
    """Return the finding for a component that no goal names; it stands at the start of that file."""
    return Problem("component.unused", 0, 0, f"No goal names {visible(path)}", target=path)
