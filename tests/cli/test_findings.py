"""`goalmap check` finds: every code, where it stands, and what it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from goalmap.core.problems import SEVERITIES

MiB = 1 << 20
DOCS = Path(__file__).parents[2] / "docs" / "diagnostics.md"


class Case(NamedTuple):
    """A library's files, and what `check` finds: `path:line:column severity code`, and a part of the message."""

    files: dict[str, Any]
    found: list[str]
    says: str = ""
    options: tuple[str, ...] = ()


def _map(goal: str) -> str:
    """Return a map of one goal; its members stand in line 2, from column 13."""
    return '{\n  "DEBUG": {' + goal + "}\n}\n"


A = {"components/personas/a.txt": "You are A."}

TABLE = {
    "component.missing": Case(
        {
            "goal_map.json": _map('"persona": "b.txt"'),
            "components/personas/bb.txt": "B",
            "components/personas/x/c.txt": "C",
        },
        [
            "goal_map.json:2:25 error component.missing",
            "components/personas/bb.txt:1:1 hint component.unused",
            "components/personas/x/c.txt:1:1 hint component.unused",
        ],
        "components/personas/b.txt does not exist",
    ),
    "component.missing in a list": Case(
        {"goal_map.json": _map('"constraints": ["a.txt", "b.txt"]'), "components/constraints/a.txt": "A"},
        ["goal_map.json:2:39 error component.missing"],
    ),
    "component.missing without a name": Case(
        {"goal_map.json": _map('"persona": ""'), "components/personas/.keep": ""},
        ["goal_map.json:2:24 error component.missing"],
        "No file is named yet",
    ),
    "component.empty": Case(
        {"goal_map.json": _map('"persona": "a.txt"'), "components/personas/a.txt": " \n\t\n"},
        ["goal_map.json:2:25 warning component.empty"],
    ),
    "component.unreadable: not UTF-8": Case(
        {"goal_map.json": _map('"persona": "a.txt"'), "components/personas/a.txt": b"caf\xe9"},
        ["goal_map.json:2:25 error component.unreadable"],
        "0xe9 in line 1",
    ),
    "component.unreadable: too large": Case(
        {"goal_map.json": _map('"persona": "a.txt"'), "components/personas/a.txt": "x" * (MiB + 1)},
        ["goal_map.json:2:25 error component.unreadable"],
        "larger than 1 MiB",
    ),
    "a component of just 1 MiB is fine": Case(
        {"goal_map.json": _map('"persona": "a.txt"'), "components/personas/a.txt": "x" * MiB}, []
    ),
    "component.case-mismatch": Case(
        {"goal_map.json": _map('"persona": "A.txt"'), **A},
        [
            "goal_map.json:2:25 warning component.case-mismatch",
            "components/personas/a.txt:1:1 hint component.unused",
        ],
        "spelled a.txt",
    ),
    "component.case-mismatch in Unicode form": Case(
        {"goal_map.json": _map('"persona": "caf\u00e9.txt"'), "components/personas/cafe\u0301.txt": "x"},
        [
            "goal_map.json:2:25 warning component.case-mismatch",
            "components/personas/cafe\u0301.txt:1:1 hint component.unused",
        ],
    ),
    "component.unused": Case(
        {
            "goal_map.json": _map('"persona": "a.txt"'),
            **A,
            "components/personas/old.txt": "",
            "components/personas/.hidden": "",
        },
        ["components/personas/old.txt:1:1 hint component.unused"],
    ),
    "reference.unsafe: ..": Case(
        {"goal_map.json": _map('"persona": "../../goal_map.json"'), "components/personas/.keep": ""},
        ["goal_map.json:2:25 error reference.unsafe"],
    ),
    "reference.unsafe: absolute": Case(
        {"goal_map.json": _map('"persona": "/etc/passwd"'), "components/personas/.keep": ""},
        ["goal_map.json:2:25 error reference.unsafe"],
        "absolute path",
    ),
    "reference.unsafe: NUL": Case(
        {"goal_map.json": _map('"persona": "a\\u0000.txt"'), "components/personas/.keep": ""},
        ["goal_map.json:2:25 error reference.unsafe"],
        "NUL",
    ),
    "reference.unsafe: device": Case(
        {"goal_map.json": _map('"persona": "aux.txt"'), "components/personas/aux.txt": "x"},
        ["goal_map.json:2:25 error reference.unsafe"],
        "device name on Windows",
    ),
    "reference.duplicate": Case(
        {"goal_map.json": _map('"personas": ["a.txt", "a.txt"]'), **A},
        ["goal_map.json:2:36 warning reference.duplicate"],
    ),
    "slot.unknown": Case(
        {"goal_map.json": _map('"persoma": "a.txt"'), **A},
        [
            "goal_map.json:2:14 warning slot.unknown",
            "goal_map.json:2:25 error component.missing",
            "components/personas/a.txt:1:1 hint component.unused",
        ],
        "the nearest is components/personas",
    ),
    "goal.empty": Case({"goal_map.json": _map('"description": "x"')}, ["goal_map.json:2:4 warning goal.empty"]),
    "map.syntax": Case(
        {"goal_map.json": _map('"persona": "a.txt",,'), **A},
        ["goal_map.json:2:32 error map.syntax", "goal_map.json:2:33 error map.syntax"],
    ),
    "map.syntax: no end": Case(
        {"goal_map.json": '{\n  "DEBUG": {"persona": "a.txt"', **A},
        ["goal_map.json:2:30 error map.syntax"],
        "expected } }",
    ),
    "map.syntax: not UTF-8": Case(
        {"goal_map.json": _map('"persona": "a.txt", "title": "caf\xe9"').encode("latin-1"), **A},
        ["goal_map.json:2:46 error map.syntax"],
        "0xe9 is not UTF-8",
    ),
    "map.structure": Case(
        {"goal_map.json": _map('"persona": 3'), "components/personas/.keep": ""},
        ["goal_map.json:2:4 warning goal.empty", "goal_map.json:2:24 error map.structure"],
    ),
    "map.duplicate-key": Case(
        {"goal_map.json": '{\n  "A": {"persona": "a.txt"},\n  "A": {"persona": "a.txt"}\n}\n', **A},
        ["goal_map.json:2:4 warning map.duplicate-key"],
        "line 3",
    ),
    "template.unknown-variable": Case(
        {
            "goal_map.json": _map('"persona": "a.txt", "template": "t.md"'),
            **A,
            "components/templates/t.md": "{{ persona }}\nand {{ protocl }}",
        },
        ["components/templates/t.md:2:8 error template.unknown-variable"],
        "protocl",
    ),
    "template.syntax": Case(
        {
            "goal_map.json": _map('"persona": "a.txt", "template": "t.md"'),
            **A,
            "components/templates/t.md": "{{ persona }}\n  {% if %}",
        },
        ["components/templates/t.md:2:3 error template.syntax"],
    ),
    "prompt.over-budget": Case(
        {"goal_map.json": _map('"persona": "a.txt"'), "components/personas/a.txt": "word " * 400},
        ["goal_map.json:2:4 warning prompt.over-budget"],
        "more than 100",
        ("--max-tokens", "100"),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_finding(name: str, goalmap: Any, write: Callable[[dict[str, Any]], None]) -> None:
    case = TABLE[name]
    write(case.files)
    done = goalmap("check", "--format", "json", *case.options)
    findings = done.json["findings"]
    found = [f"{f['path']}:{f['line']}:{f['column']} {f['severity']} {f['code']}" for f in findings]
    assert found == case.found
    assert case.says in " ".join(finding["message"] for finding in findings)
    assert done.code == int(any(f["severity"] in ("error", "warning") for f in findings))


def test_every_code_has_a_case() -> None:
    covered = {found.rpartition(" ")[2] for case in TABLE.values() for found in case.found}
    # This one needs a journal: see test_generate.py.
    assert covered | {"generation.interrupted"} == set(SEVERITIES)


def test_every_code_has_a_section_in_the_docs() -> None:
    headings = [line.removeprefix("## ") for line in DOCS.read_text().splitlines() if line.startswith("## ")]
    assert headings == list(SEVERITIES)
    for code, severity in SEVERITIES.items():
        assert f"| [`{code}`](#{code.replace('.', '')}) | {severity} |" in DOCS.read_text()


# -- files that are no files -----------------------------------------------------------------------------------------
def test_a_link_that_leaves_the_library(goalmap: Any, library: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    (library / "components/protocols/drill.txt").unlink()
    (library / "components/protocols/drill.txt").symlink_to(tmp_path / "secret")
    done = goalmap("check")
    assert done.code == 1
    assert "error reference.unsafe: components/protocols/drill.txt is a link that leaves the library" in done.out
    assert goalmap("show", "DEBUG").code == 1


def test_a_link_inside_the_library_is_fine(goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    (library / "components/protocols/drill.txt").symlink_to("../constraints/evidence.txt")
    assert goalmap("check").code == 0


def test_a_fifo_in_a_files_place(goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    os.mkfifo(library / "components/protocols/drill.txt")
    assert "component.unreadable: components/protocols/drill.txt is not a regular file" in goalmap("check").out


def test_a_folder_in_a_files_place(goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").unlink()
    (library / "components/protocols/drill.txt").mkdir()
    assert goalmap("check").code == 1


def test_no_permission(goalmap: Any, library: Path) -> None:
    (library / "components/protocols/drill.txt").chmod(0)
    assert (
        "component.unreadable: components/protocols/drill.txt may not be read"
        in goalmap.without_privileges("check").out
    )
