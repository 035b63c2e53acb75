"""`goalmap show`: print the prompt of a goal on stdout, and nothing else there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from goalmap.cli.console import CliError, command, print_note, print_text
from goalmap.cli.library import Opened, add_goal, add_root, find_goal, open_library
from goalmap.core.assembly import Prompt, assemble
from goalmap.core.exit_codes import FINE
from goalmap.core.goal_map import Goal
from goalmap.core.text import visible

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_goal(parser)
    add_root(parser)
    parser.add_argument("--tokens", action="store_true", help="print on stderr how many tokens the prompt has")


def run(options: argparse.Namespace) -> int:
    """Print the prompt as the options say."""
    return show(options.goal, options.root, tokens=options.tokens)


def show(goal_name: str, root: str = ".", *, tokens: bool = False) -> int:
    """Print the prompt of a goal."""
    opened = open_library(root)
    goal = find_goal(opened, goal_name)
    prompt = assemble(goal, opened.load(), opened.read)
    require_whole(opened, goal, prompt)
    print_text(prompt.text)
    if tokens:
        from goalmap.core.tokens import count_tokens

        sys.stdout.flush()
        print_note(f"{count_tokens(prompt.text)} tokens")
    return FINE


def require_whole(opened: Opened, goal: Goal, prompt: Prompt) -> None:
    """Raise CliError unless every component of `goal` is in `prompt`, and its template could be rendered."""
    library = opened.load()
    name = visible("/".join(goal.path))
    if prompt.error is not None:
        place = f"{visible(prompt.error.path)}:{prompt.error.line + 1}"
        raise CliError(f"the template of {name} cannot be rendered: {place}: {visible(prompt.error.message)}")
    if not prompt.missing:
        return
    lines = [f"the prompt of {name} lacks {len(prompt.missing)} of {len(list(goal.references))} components"]
    for reference in prompt.missing:
        path = library.path(reference.slot, reference.file)
        fault = opened.loader.examine([path]).faults.get(path)
        lines.append(f"  {visible(path)} {fault.reason if fault else 'does not exist'}")
    first = prompt.missing[0]
    index = () if first.index is None else ("--index", str(first.index))
    generate = command("generate", "/".join(goal.path), first.slot, *index, root=opened.asked_root)
    raise CliError("\n".join(lines), help=f"write them, or have one written: {generate}")
