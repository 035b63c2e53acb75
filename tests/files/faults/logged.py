"""The real `goalmap`, with a log of every call that its commits make to the system and that may change the disk.

    python tests/files/faults/logged.py FOLDER ARGUMENT…

The log has the name of the process, and a line for each call, with its time by the clock that all processes share.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if __package__ in (None, ""):  # run as a program: make the relative imports below work
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    __package__ = "tests.files.faults"
    import tests.files.faults  # noqa: F401

from goalmap.cli.main import main

from .tap import Tap, changes_disk


def logger(folder: str) -> Tap:
    """Return a tap that logs into this folder."""
    file = os.open(os.path.join(folder, f"{os.getpid()}.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def before(number: int, _: str) -> None:
        if changes_disk(tap.calls[number - 1]):
            os.write(file, f"{time.monotonic():.6f} {tap.calls[number - 1]}\n".encode())

    tap = Tap(before=before)
    return tap


if __name__ == "__main__":
    logger(sys.argv[1]).install()
    sys.argv = ["goalmap", *sys.argv[2:]]
    sys.exit(main())
