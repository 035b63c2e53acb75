"""`goalmap list`: print the goals of a library, and their components."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from goalmap.cli.console import count, print_note, shown_path, styled
from goalmap.cli.library import Opened, add_path, open_libraries, warn_of_syntax
from goalmap.core.exit_codes import FINE
from goalmap.core.goal_map import Goal
from goalmap.core.library import Library
from goalmap.core.text import visible


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_path(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(options: argparse.Namespace) -> int:
    """Print the goals."""
    libraries = list(open_libraries(options.path))
    if options.json:
        goals = [
            _as_json(opened, library, goal) for opened, library in _loaded(libraries) for goal in opened.goal_map.goals
        ]
        print(json.dumps(goals, indent=2))
        return FINE
    for opened, library in _loaded(libraries):
        warn_of_syntax(opened)
        if len(libraries) > 1:
            print(styled(shown_path(opened.map_path), "strong", sys.stdout))
        if not opened.goal_map.goals:
            print_note(f"{shown_path(opened.map_path)} has no goals yet")
        paths = ["/".join(goal.path) for goal in opened.goal_map.goals]
        width = max(map(len, paths), default=0)
        for path, goal in zip(paths, opened.goal_map.goals, strict=True):
            print(_line(path, width, library, goal).rstrip())
    return FINE


def _loaded(libraries: list[Opened]) -> list[tuple[Opened, Library]]:
    return [(opened, opened.load()) for opened in libraries]


def _line(path: str, width: int, library: Library, goal: Goal) -> str:
    missing = len(_missing(library, goal))
    number = len(list(goal.references))
    parts = count(number, "component")
    if missing:
        parts = styled(f"{parts}, {missing} missing", "error", sys.stdout)
    about = goal.title or goal.description or ""
    return f"{visible(path.ljust(width))}  {parts}  {visible(about)}"


def _missing(library: Library, goal: Goal) -> list[str]:
    return [
        library.path(reference.slot, reference.file)
        for reference in goal.references
        if not library.has(reference.slot, reference.file)
    ]


def _as_json(opened: Opened, library: Library, goal: Goal) -> dict[str, Any]:
    return {
        "map": os.path.abspath(opened.map_path),
        "path": list(goal.path),
        "name": goal.name,
        "title": goal.title,
        "description": goal.description,
        "line": goal.key_span.line + 1,
        "slots": {
            slot.name: [library.path(slot.name, reference.file) for reference in slot.references]
            for slot in goal.slots.values()
        },
        "missing": _missing(library, goal),
    }
