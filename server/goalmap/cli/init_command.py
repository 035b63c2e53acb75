"""`goalmap init`: a small library to start from."""

from __future__ import annotations

import argparse
import os

from goalmap.cli.console import CliError, shown_path
from goalmap.cli.exit_codes import FINE
from goalmap.cli.starter import COMPONENTS, MAP
from goalmap.core.naming import MAP_NAME
from goalmap.files.errors import explain


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "dir", metavar="DIR", nargs="?", default=".", help="where to start it; made where it is missing (default: here)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the library. No file that exists is touched, and the map comes last: it never names what is not there."""
    map_path = os.path.join(options.dir, MAP_NAME)
    if os.path.lexists(map_path):
        raise CliError(f"{shown_path(map_path)} exists already", help="'goalmap check' shows how it is")
    try:
        for path, text in COMPONENTS.items():
            _write(os.path.join(options.dir, *path.split("/")), text)
        _write(map_path, MAP)
    except OSError as error:
        raise CliError(f"cannot start a library: {explain(error)}") from error
    where = "" if os.path.samefile(options.dir, ".") else f" --root {shown_path(options.dir)}"
    print(f"\nTry it: goalmap show SUMMARIZE{where}")
    return FINE


def _write(path: str, text: str) -> None:
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    try:
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        print(f"{shown_path(path)} (kept as it was)")
    else:
        print(shown_path(path))
