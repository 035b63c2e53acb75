"""The library that a command works on, and the goal that its argument means."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from goalmap.cli.console import CliError, command, print_note, shown_path, styled
from goalmap.core.goal_map import Goal, GoalMap
from goalmap.core.library import Library
from goalmap.core.naming import MAP_NAME
from goalmap.core.near_names import near_names
from goalmap.core.text import visible
from goalmap.files.loader import LibraryLoader, find_maps, map_of
from goalmap.inspection import LocatedProblem, disk_reader, library_root, read_map

if TYPE_CHECKING:
    from argparse import ArgumentParser

_MAX_SHOWN = 5


class Opened(NamedTuple):
    """A library as it is on disk. `faults` are the findings about reading its map.

    `asked_root` is the folder that the user named, to be repeated in suggested commands.
    """

    root: str
    map_path: str
    goal_map: GoalMap
    loader: LibraryLoader
    read: Callable[[str], str | None]
    faults: tuple[LocatedProblem, ...]
    asked_root: str = os.curdir

    def load(self) -> Library:
        """Return the snapshot of its component folders."""
        return self.loader.load()


def add_root(parser: "ArgumentParser") -> None:
    """Add `--root DIR` to a command."""
    parser.add_argument(
        "--root", metavar="DIR", default=".", help="the library's folder, or one in it (default: the current folder)"
    )


def add_goal(parser: "ArgumentParser") -> None:
    """Add the argument GOAL to a command."""
    parser.add_argument("goal", metavar="GOAL", help="a goal's name, or its path joined by / where that is ambiguous")


def add_path(parser: "ArgumentParser") -> None:
    """Add the argument PATH to a command."""
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        default=".",
        help="a library's folder, its goal_map.json, or a folder with several libraries (default: the current folder)",
    )


def maps_at(path: str) -> list[str]:
    """Return the maps that PATH means: itself, those below it, or the one of the library that it is in."""
    if not os.path.lexists(path):
        raise CliError(f"{shown_path(path)} does not exist")
    if os.path.basename(path) == MAP_NAME:
        return [path]
    if os.path.isdir(path):
        maps = list(find_maps(path))
        if maps:
            return maps
    above = map_of(os.path.abspath(path))
    if above is None:
        raise _no_map(path)
    return [above]


def _no_map(path: str) -> CliError:
    where = shown_path(path)
    init = command("init", *_unless_here(path if os.path.isdir(path) else os.curdir))
    return CliError(
        f"there is no {MAP_NAME} in {'the current folder' if where == '.' else where}",
        help=f"name the library's folder, or start one: {init}",
    )


def _unless_here(path: str) -> list[str]:
    return [] if path == os.curdir else [path]


def open_map(map_path: str) -> tuple[Opened | None, list[LocatedProblem]]:
    """Return the library of a map, or None where the map cannot be read; and the problems of reading it."""
    goal_map, faults = read_map(map_path)
    if goal_map is None:
        return None, faults
    root = library_root(map_path)
    return Opened(root, map_path, goal_map, LibraryLoader(root), disk_reader(root), tuple(faults)), faults


def map_above(root: str) -> str:
    """Return the map of the library in the folder `root`, or in the nearest one above it."""
    if not os.path.lexists(root):
        raise CliError(f"{shown_path(root)} does not exist")
    map_path = map_of(os.path.abspath(root))
    if map_path is None:
        raise _no_map(root)
    return map_path


def root_of(root: str) -> str:
    """Return the folder of the library that `--root` means, whether its map can be read or not."""
    return library_root(map_above(root))


def open_library(root: str) -> Opened:
    """Return the library in the folder `root`, or in the nearest one above it; raise CliError where there is none."""
    map_path = map_above(root)
    opened, faults = open_map(map_path)
    if opened is None:
        raise CliError(faults[0].problem.message, help=f"make {shown_path(map_path)} a readable file")
    is_map = os.path.basename(root) == MAP_NAME
    return opened._replace(asked_root=(os.path.dirname(root) or os.curdir) if is_map else root)


def open_libraries(path: str) -> Iterator[Opened]:
    """Yield the libraries that PATH means; raise CliError for one whose map cannot be read."""
    for map_path in maps_at(path):
        yield open_library(map_path)


def find_goal(opened: Opened, name: str) -> Goal:
    """Return the goal that GOAL means: a name, or a path joined by `/` where a name is ambiguous."""
    goals = opened.goal_map.named(name)
    if len(goals) == 1:
        return goals[0]
    if goals:
        paths = ["/".join(goal.path) for goal in goals]
        raise CliError(
            f"{visible(name)} is ambiguous: {len(paths)} goals match",
            help="say which one: " + _some(paths),
        )
    names = {"/".join(goal.path): goal.name for goal in opened.goal_map.goals}
    near = near_names(name, list(names)) or [
        path for path, last in names.items() if last in near_names(name, sorted(set(names.values())))
    ]
    if near:
        hint = "did you mean " + _some(near) + "?"
    else:
        list_ = command("list", *_unless_here(opened.asked_root))
        hint = f"to see its goals: {list_}" if names else f"{shown_path(opened.map_path)} has no goals yet"
    raise CliError(f"{shown_path(opened.map_path)} has no goal {visible(name)}", help=hint)


def _some(names: list[str]) -> str:
    shown = ", ".join(visible(name) for name in names[:_MAX_SHOWN])
    return shown + (f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else "")


def warn_of_syntax(opened: Opened) -> None:
    """Print on stderr that the map has a syntax error, so that the output may be incomplete."""
    broken = next(opened.goal_map.syntax_problems(), None)
    if broken is not None:
        span, message = broken
        place = f"{shown_path(opened.map_path)}:{span.line + 1}:{span.start + 1}"
        check = command("check", *_unless_here(opened.asked_root))
        print_note(f"{place}: {styled('warning', 'warning', sys.stderr)}: {message} (to see all: {check})")
