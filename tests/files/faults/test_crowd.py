"""Many at once, in short; ten rounds of 200 slots with 50 kills each: `make faults`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CROWD = Path(__file__).parent / "crowd.py"


@pytest.mark.timeout(300)
def test_nothing_is_lost_among_many() -> None:
    """In a process of its own, since it forks: the report is the message of a failure."""
    arguments = ["--rounds", "1", "--slots", "40", "--kills", "20"]
    done = subprocess.run([sys.executable, str(CROWD), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
