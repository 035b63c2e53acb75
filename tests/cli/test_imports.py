"""What `goalmap check` may import: modules, not milliseconds, since those depend on who else is at work."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OURS = {
    "goalmap",
    "goalmap.cli",
    "goalmap.cli.check_command",
    "goalmap.cli.console",
    "goalmap.cli.library",
    "goalmap.cli.main",
    "goalmap.cli.reports",
    "goalmap.core",
    "goalmap.core.assembly",
    "goalmap.core.edits",
    "goalmap.core.check_map",
    "goalmap.core.exit_codes",
    "goalmap.core.goal_index",
    "goalmap.core.goal_map",
    "goalmap.core.json_lines",
    "goalmap.core.library",
    "goalmap.core.naming",
    "goalmap.core.near_names",
    "goalmap.core.problems",
    "goalmap.core.plain_goals",
    "goalmap.core.text",
    "goalmap.core.usage",
    "goalmap.files",
    "goalmap.files.errors",
    "goalmap.files.loader",
    "goalmap.files.os_layer",
    "goalmap.files.platforms",
    "goalmap.files.store",
    "goalmap.inspection",
}
# Of the standard library: what would say that something has crept in.
HEAVY = {"asyncio", "decimal", "difflib", "email", "http", "logging", "pathlib", "random", "ssl", "subprocess", "uuid"}
STARTED_WITH = ("goalmap", "__", "_editable", "_virtualenv", "_distutils_hack", "sitecustomize", "usercustomize")

PROGRAM = """
import sys
before = set(sys.modules)
from goalmap.cli.main import main
main(["check", sys.argv[1]])
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""


def test_the_module_budget_of_check(tmp_path: Path) -> None:
    """Of a library with findings: one file is missing, and another one has a name like it."""
    (tmp_path / "goal_map.json").write_text('{"DEBUG": {"persona": "mising.txt", "constraints": []}}')
    (tmp_path / "components/personas").mkdir(parents=True)
    (tmp_path / "components/personas/missing.txt").write_text("There.")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True, timeout=100
    )
    assert "component.missing" in done.stdout
    modules = set(done.stderr.split())
    ours = {name for name in modules if name.partition(".")[0] == "goalmap"}
    foreign = {name for name in modules - ours if name.partition(".")[0] not in sys.stdlib_module_names}
    assert ours <= OURS
    assert {name for name in foreign if not name.startswith(STARTED_WITH)} == set()
    assert modules & HEAVY == set()
