"""Many at once, in short; ten rounds of 200 slots with 50 kills each, and more of servers: `make faults`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CROWD = Path(__file__).parent / "crowd.py"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "arguments",
    [
        ("--slots", "40", "--kills", "20"),
        ("--servers", "2", "--slots", "10", "--kills", "3"),
        ("--servers", "2", "--slots", "10", "--kills", "3", "--view", "dirty"),
    ],
    ids=["processes", "two servers and a command line", "with maps open and changed"],
)
def test_nothing_is_lost_among_many(arguments: tuple[str, ...]) -> None:
    """In a process of its own, since it forks: the report is the message of a failure."""
    done = subprocess.run(
        [sys.executable, str(CROWD), "--rounds", "1", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
