"""`goalmap init`: write a small library to start from."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from goalmap.cli.console import CliError, command, shown_path
from goalmap.core.exit_codes import FINE
from goalmap.core.naming import COMPONENTS, MAP_NAME
from goalmap.files.errors import explain

# Its map is not called goal_map.json: it is no library of whoever checks the folder that Goalmap is installed in.
_LIBRARY = Path(__file__).with_name("starter_library")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "dir", metavar="DIR", nargs="?", default=".", help="where to start it; made where it is missing (default: here)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the library. No file that exists is touched, and the map comes last: it never names what is not there."""
    map_path = os.path.join(options.dir, MAP_NAME)
    if os.path.lexists(map_path):
        raise CliError(f"{shown_path(map_path)} exists already", help=f"to validate it: {_check(options.dir)}")
    try:
        for file in sorted((_LIBRARY / COMPONENTS).rglob("*.txt")):
            _copy(file, os.path.join(options.dir, *file.relative_to(_LIBRARY).parts))
        _copy(_LIBRARY / "map.json", map_path)
    except OSError as error:
        raise CliError(f"cannot start a library: {explain(error)}") from error
    root = os.curdir if os.path.samefile(options.dir, os.curdir) else options.dir
    print(f"\nTry it: {command('show', 'SUMMARIZE', root=root)}")
    return FINE


def _check(folder: str) -> str:
    return command("check", *([] if os.path.samefile(folder, os.curdir) else [folder]))


def _copy(source: Path, path: str) -> None:
    os.makedirs(os.path.dirname(path) or os.curdir, exist_ok=True)
    try:
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(source.read_text(encoding="utf-8"))
    except FileExistsError:
        print(f"{shown_path(path)} (kept as it was)")
    else:
        print(shown_path(path))
