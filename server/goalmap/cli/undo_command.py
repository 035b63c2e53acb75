"""`goalmap undo`: undo the last generation."""

from __future__ import annotations

import argparse

from goalmap.cli.console import CliError
from goalmap.cli.library import add_root, root_of
from goalmap.cli.library_report import print_reports
from goalmap.core.exit_codes import FINE


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_root(parser)


def run(options: argparse.Namespace) -> int:
    """Undo the last generation, with all components of a `generate --all`; what has changed since is kept."""
    from goalmap import workflows

    undone = workflows.undo(root_of(options.root), tell=print_reports(options.root))
    if undone.exit_code != FINE:
        raise CliError(undone.message, exit_code=undone.exit_code)
    print(undone.message)
    return FINE
