"""What happened in a library beside what a command was asked for, printed for its reader."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from goalmap.cli.console import print_note, styled, with_root

if TYPE_CHECKING:
    from goalmap.files.report import Report, Tell


def print_reports(root: str) -> Tell:
    """Return a `Tell` that prints on stderr. `root` is the `--root` to repeat in the commands that it suggests."""

    def tell(report: Report) -> None:
        from goalmap.workflows import describe

        with contextlib.suppress(OSError, ValueError):  # the reader is gone: what is under way goes on
            for message in describe(report):
                print_note(f"{styled('note', 'help', sys.stderr)}: {with_root(message, root)}")

    return tell
