"""The real `goalmap lsp`, which kills itself before one of the calls that its commits make to the system.

    python tests/files/faults/killed_server.py NUMBER|PATTERN [NOTES]

NUMBER counts the calls from 1; at 0 it lives. PATTERN is a regular expression: the first call whose label it matches
from its beginning is the one. NOTES is a file that gets the label of each call.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a program: make the relative imports below work
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    __package__ = "tests.files.faults"
    import tests.files.faults  # noqa: F401

from goalmap.cli.main import main

from .tap import Tap


def killer(where: str, notes: str | None) -> Tap:
    """Return a tap that kills this process there."""
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if notes else None

    def before(number: int, _: str) -> None:
        label = tap.calls[number - 1]
        if file is not None:
            os.write(file, f"{label}\n".encode())
        if number == int(where) if where.isdigit() else re.match(where, label):
            os.kill(os.getpid(), signal.SIGKILL)

    tap = Tap(before=before)
    return tap


if __name__ == "__main__":
    killer(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None).install()
    sys.argv = ["goalmap", "lsp"]
    sys.exit(main())
