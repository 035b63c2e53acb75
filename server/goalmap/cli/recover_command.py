"""`goalmap recover`: finish what an interruption left."""

from __future__ import annotations

import argparse

from goalmap.cli.console import CliError
from goalmap.cli.exit_codes import FAILED
from goalmap.cli.library import add_root, root_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_root(parser)


def run(options: argparse.Namespace) -> int:
    """Say what was done with each record of the journal."""
    from goalmap import workflows

    # Whoever asks on a command line wants the map on disk to have it, whatever an editor was to do.
    recovered = workflows.recover(root_of(options.root), finish_buffered=True)
    if recovered.exit_code == FAILED:
        raise CliError(recovered.messages[0])
    for message in recovered.messages or ("Nothing was left to recover.",):
        print(message)
    return recovered.exit_code
