"""What the files of a library say about each other: which are unused, empty or unreadable, and which templates fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from goalmap import inspection
from goalmap.core.usage import Usage, unused_components, used_components
from goalmap.lsp.library_state import LibraryState

if TYPE_CHECKING:
    from goalmap.core.library import Library
    from goalmap.files.loader import LibraryLoader

# After so long, whoever waits for a file of the library has a turn.
_AT_ONCE_S: Final = 0.02


class FileProblems(NamedTuple):
    """The problems that take reading files to find, and the lines of the templates that have any."""

    in_map: list[inspection.LocatedProblem]
    in_templates: dict[str, list[inspection.LocatedProblem]]
    lines: dict[str, list[str]]


class ComponentDiagnostics:
    """The problems of a library's files, and which of them were published.

    `unexamined` are components that are yet to be examined, the next ones last. `in_map` are problems in the map that
    depend on other files, `lines` those of the templates that have problems, `unused` the ones that no goal names.
    """

    def __init__(self) -> None:
        self.unexamined: list[str] = []
        self.in_map: list[inspection.LocatedProblem] = []
        self.lines: dict[str, list[str]] = {}
        self.unused: set[str] = set()
        self._templates: dict[str, list[inspection.LocatedProblem]] = {}
        self._published: set[str] = set()
        self._usage: Usage | None = None
        self._library: Library | None = None
        self._named: set[str] = set()

    def follow(self, library: LibraryState) -> None:
        """Update from the edits since the last time; rebuild where the snapshot changed."""
        usage, files = library.usage, library.snapshot
        changes = usage.take_usage_changes()
        if not library.examined:
            library.examined = True
            self._usage = None
            self._named = set()
        if usage is not self._usage or files is not self._library:
            named = set(used_components(usage, files))
            self.unexamined = [*sorted(named - self._named, reverse=True), *self.unexamined]
            self._named |= named
            self.unused = set(unused_components(usage, files))
        else:
            self._follow_edits(usage, files, changes)
        # A map that is broken just now says nothing of what it names: all is worked out when it is whole again.
        self._usage, self._library = (usage if usage.is_whole else None), files

    def _follow_edits(self, usage: Usage, files: Library, changes: set[tuple[str, str]]) -> None:
        for slot, file in changes:
            if not files.has(slot, file):
                continue
            path = files.path(slot, file)
            if usage.names(files.folder(slot), file, files):
                self.unused.discard(path)
                if path not in self._named:
                    self._named.add(path)
                    self.unexamined.append(path)
            else:
                self.unused.add(path)
        if not usage.is_whole:
            self.unused.clear()

    def publish(self, templates: dict[str, list[inspection.LocatedProblem]], unused: set[str]) -> set[str]:
        """Take over what is to be published; return the paths of the files about which something else was before."""
        before, self._templates = self._templates, templates
        stale = {path for path in {**before, **templates} if before.get(path) != templates.get(path)}
        stale |= self._published ^ unused
        self._published = set(unused)
        return stale

    def published(self, path: str) -> list[inspection.LocatedProblem]:
        """Return what was published about a file of the library."""
        problems = self._templates.get(path, [])
        return [*problems, inspection.unused_component(path)] if path in self._published else problems

    def paths(self) -> set[str]:
        """Return the files about which something was published."""
        return {*self._templates, *self._published}


def examine_some(loader: LibraryLoader, paths: list[str]) -> int:
    """Examine the first of these components until that has taken a while; return how many."""
    done = 0
    end_s = time.monotonic() + _AT_ONCE_S

    def some() -> Iterator[str]:
        nonlocal done
        for path in paths:
            done += 1
            yield path
            if time.monotonic() >= end_s:
                return

    loader.examine(some())
    return done
