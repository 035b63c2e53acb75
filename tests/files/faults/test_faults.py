"""The fault suite in short: a sample of every kind of fault, and every mutant. In full: `make faults`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "run.py"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["kill", "nested", "error", "power", "foreign", "mutants"])
def test_no_invariant_is_violated(kind: str) -> None:
    """In a process of its own, since it forks: the report is the message of a failure."""
    done = subprocess.run([sys.executable, str(RUN), "--kind", kind], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[1] != "0" or kind == "mutants", "no point was tried"
