"""What happened in a library beside what a command was asked for, told to its reader."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from goalmap.cli.console import print_note, styled

if TYPE_CHECKING:
    from goalmap.files.report import Report


def tell_reader(report: Report) -> None:
    """Print on stderr what was done beside what was asked for: the `Tell` of commands."""
    from goalmap.workflows import describe

    with contextlib.suppress(OSError, ValueError):  # the reader is gone: what is under way goes on
        for message in describe(report):
            print_note(f"{styled('note', 'help', sys.stderr)}: {message}")
