"""`goalmap build`: write the prompt of a goal as a pair of files, to be pasted into a chat."""

from __future__ import annotations

import argparse
import os

from goalmap.cli.console import CliError, shown_path
from goalmap.cli.library import add_goal, add_root, find_goal, open_library
from goalmap.cli.show_command import require_whole
from goalmap.core.assembly import build_pair
from goalmap.core.exit_codes import FINE
from goalmap.files.errors import explain

_NAMES = ("00_PERSONA.md", "01_PROMPT_TEMPLATE.md")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_goal(parser)
    parser.add_argument("--out", metavar="DIR", required=True, help="where to write; made where it is missing")
    parser.add_argument("--title", metavar="T", help="the title to use instead of the goal's own")
    add_root(parser)


def run(options: argparse.Namespace) -> int:
    """Write both files; none where a component is missing."""
    opened = open_library(options.root)
    goal = find_goal(opened, options.goal)
    persona, template, prompt = build_pair(goal, opened.load(), opened.read, title=options.title)
    require_whole(opened, goal, prompt)
    try:
        os.makedirs(options.out, exist_ok=True)
        for name, text in zip(_NAMES, (persona, template), strict=True):
            path = os.path.join(options.out, name)
            with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text)
            print(shown_path(path))
    except OSError as error:
        raise CliError(f"cannot write the prompt: {explain(error)}") from error
    return FINE
