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
