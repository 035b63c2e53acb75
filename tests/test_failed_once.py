"""A test that passes at its second try is told of, and its first traceback is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PROGRAM = """
import sys
from pathlib import Path
import pytest
from support.failed_once import FailedOnce
sys.exit(pytest.main(sys.argv[2:], plugins=[FailedOnce(Path(sys.argv[1]) / "failed-once.txt")]))
"""
SUITE = """
from pathlib import Path

def test_wobbly(request):
    tried = Path(__file__).with_name("tried")
    if not tried.exists():
        tried.touch()
        raise AssertionError("the first time")

def test_broken():
    raise AssertionError("every time")

def test_sound():
    pass
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "workers"])
def test_what_failed_once_is_printed_and_kept(tmp_path: Path, workers: tuple[str, ...]) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS}\n")
    options = ["-p", "no:cacheprovider", "--rootdir", str(tmp_path), "--reruns", "1", *workers, str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), *options],
        cwd=tmp_path,
        env={"PYTHONPATH": str(TESTS), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr  # of the broken one
    assert done.stdout.count("failed once: ") == 1
    assert "failed once: test_suite.py::test_wobbly" in done.stdout
    kept = (tmp_path / "failed-once.txt").read_text()
    assert kept.startswith("failed once: test_suite.py::test_wobbly (")
    assert "the first time" in kept
    assert "every time" not in kept


@pytest.mark.parametrize("result", [0, 1])
def test_make_test_ends_with_what_failed_once_in_any_of_its_suites(tmp_path: Path, result: int) -> None:
    kept = tmp_path / "failed-once.txt"
    kept.write_text("failed once: an older run (2030-01-31 00:00:00 UTC)\n\n")
    suites = tmp_path / "suites"
    suites.write_text(f"#!/bin/sh\necho 'failed once: VS Code: a scene (now)\n    why' >>{kept}\nexit {result}\n")
    suites.chmod(0o755)
    command = ["make", "test", "--old-file=.venv/.dev", f"MAKE={suites}", f"FAILED_ONCE={kept}"]
    done = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert bool(done.returncode) == bool(result)
    listed = [line for line in done.stdout.splitlines() if line.startswith("failed once: ")]
    assert listed == ["failed once: VS Code: a scene (now)"]
    assert str(kept) in done.stdout.splitlines()[-1]
