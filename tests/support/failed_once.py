"""What failed, and passed when it was tried once more: told at the end of the run, and kept in a file.

A second try (`--reruns 1`) keeps a busy machine from stopping work. What it hid is a fault all the same, in the code or
in the test, and its first traceback is all that there is to find it by.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

FILE = Path(__file__).parents[2] / ".reports" / "failed-once.txt"


class FailedOnce:
    """A plugin of pytest for the process that collects the reports."""

    def __init__(self, file: Path = FILE) -> None:
        self._file = file

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print the tests that failed once, and append their first tracebacks to the file."""
        stats = terminalreporter.stats
        failed_twice = {report.nodeid for report in (*stats.get("failed", ()), *stats.get("error", ()))}
        first = {report.nodeid: report for report in reversed(stats.get("rerun", ()))}
        once = {name: report for name, report in sorted(first.items()) if name not in failed_twice}
        if not once:
            return
        self._file.parent.mkdir(exist_ok=True)
        terminalreporter.section("failed once", sep="=", yellow=True)
        with self._file.open("a", encoding="utf-8") as file:
            for name, report in once.items():
                terminalreporter.line(f"failed once: {name}")
                traceback = "".join(f"    {line}\n" for line in report.longreprtext.splitlines())
                file.write(f"failed once: {name} ({datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC)\n{traceback}\n")
        terminalreporter.line(f"Why they failed: {self._file}")
