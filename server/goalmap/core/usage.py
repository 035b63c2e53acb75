"""Which components a map names: counted once, then kept up to date at the cost of each edit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from goalmap.core.goal_map import Change, GoalMap, Reference
from goalmap.core.json_lines import Error, Items, Pair, String
from goalmap.core.library import Library
from goalmap.core.naming import TEMPLATE_SLOT, folder_of
from goalmap.core.problems import Problem
from goalmap.core.text import visible


class Usage:
    """How often a map names each file, by slot. Mutable state of one owner, who lets it `follow` each edit."""

    def __init__(self, goal_map: GoalMap) -> None:
        """Count; this looks at every line."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        scanned = [items for _, items in goal_map.scanned_lines()]
        if goal_map.goal_index.shadowed:
            # Of goals whose path comes twice, the last one counts: its names only.
            for reference in goal_map.references():
                names[reference.slot].append(reference.file)
        else:
            members = goal_map.plain_members()
            for slot, file in zip(members.keys, members.values, strict=True):
                names[slot].append(file)
            for slot, file in _names(scanned):
                names[slot].append(file)
        self.by_slot = {slot: Counter(files) for slot, files in names.items()}
        self._errors = _count_errors(scanned)
        self._ends_well = goal_map.end_problem is None
        self._changes: set[tuple[str, str]] = set()

    def follow(self, goal_map: GoalMap, change: Change) -> bool:
        """Apply an edit; return False, having done nothing, if a full recount is needed."""
        if not change.index_kept or goal_map.goal_index.shadowed:
            return False
        for slot, file in _names(change.old_items):
            files = self.by_slot[slot]
            files[file] -= 1
            if not files[file]:
                del files[file]
                self._changes.add((slot, file))
        new_items = [goal_map.items_at(line) for line in range(change.first, change.end)]
        for slot, file in _names(new_items):
            files = self.by_slot.setdefault(slot, Counter())
            if file not in files:
                self._changes.add((slot, file))
            files[file] += 1
        self._errors += _count_errors(new_items) - _count_errors(change.old_items)
        self._ends_well = goal_map.end_problem is None
        return True

    def take_usage_changes(self) -> set[tuple[str, str]]:
        """Return the slots and names that came into use or went out of use since the last call."""
        changes, self._changes = self._changes, set()
        return changes

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
        by_folder: dict[str, set[str]] = {}
        for slot, files in self.by_slot.items():
            by_folder.setdefault(library.folder(slot), set()).update(files)
        return by_folder


def _names(lines: Iterable[Items]) -> Iterator[tuple[str, str]]:
    for items in lines:
        for item in items:
            if isinstance(item, Pair):
                yield item.name, item.value
            elif isinstance(item, String):
                slot = item.container.key if item.container.kind == "[" else item.key
                if isinstance(slot, str):
                    yield slot, item.value


def _count_errors(lines: Iterable[Items]) -> int:
    return sum(isinstance(item, Error) for items in lines for item in items)


def users_of(goal_map: GoalMap, library: Library, path: str) -> list[Reference]:
    """Return the references that name the component at `path`, in map order.

    It looks at every line, but makes nothing of those that name something else: an index of all components would cost
    many times as much, and be stale after the next keystroke.
    """
    top, name, file = path.split("/", 2)
    folder = f"{top}/{name}"
    return [
        reference
        for goal_range in goal_map.ranges_with(file)
        for reference in goal_map.goal_of(goal_range).references
        if reference.file == file and library.folder(reference.slot) == folder
    ]


def possible_users_of(goal_map: GoalMap, folder: str, file: str) -> list[Reference]:
    """Return the references to `file` from slots that may be looked up in `folder`, whichever folders there are."""
    return [
        reference
        for goal in goal_map.goals
        for slot in goal.slots.values()
        if folder in (folder_of(slot.name), folder_of(slot.name, (folder,)))
        for reference in slot.references
        if reference.file == file
    ]


def names_with(goal_map: GoalMap, prefix: str) -> set[str]:
    """Return the file names anywhere in the map that begin with `prefix`."""
    names = goal_map.plain_members().values
    names += [file for _, file in _names(items for _, items in goal_map.scanned_lines())]
    return {file for file in names if file.startswith(prefix)}


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
    """Return the problem of a component that no goal names; it stands at the start of that file."""
    return Problem("component.unused", 0, 0, f"No goal names {visible(path)}", target=path)
