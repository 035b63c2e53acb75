"""The formats of `goalmap check`: text, JSON, SARIF and GitHub's workflow commands.

Lines and columns count from 1, columns in code points, ends exclusive, as SARIF's `unicodeCodePoints` has it.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from goalmap import __version__
from goalmap.cli.console import count, print_text, shown_path, styled, with_root
from goalmap.core.goal_map import GoalMap
from goalmap.core.library import Library
from goalmap.core.problems import SEVERITIES, Severity, near_files
from goalmap.core.text import Span, visible
from goalmap.inspection import LocatedProblem

# Finding near names costs more than everything else, and a library without its components lacks thousands.
_MAX_NEAR = 20


class Checked(NamedTuple):
    """A library and its findings; `goal_map` and `library` are None where its map could not be read."""

    root: str
    goal_map: GoalMap | None
    library: Library | None
    findings: list[LocatedProblem]

    @property
    def goals(self) -> int:
        """How many goals there are."""
        index = self.goal_map.goal_index if self.goal_map else None
        return len(index.ranges) - len(index.shadowed) if index else 0

    def full_path(self, finding: LocatedProblem) -> str:
        """Return the path of the file that `finding` stands in."""
        return os.path.join(self.root, *finding.path.split("/"))


Severities: TypeAlias = Mapping[str, Severity]
Format: TypeAlias = Callable[[Sequence[Checked], Severities], None]


def _near(checked: Sequence[Checked]) -> dict[int, list[str]]:
    """Return the names like those of missing components, by the finding's id; for the first ones only."""
    missing = [
        (finding, one.library)
        for one in checked
        for finding in one.findings
        if finding.problem.code == "component.missing" and one.library is not None
    ]
    return {id(finding): near_files(finding.problem, library) for finding, library in missing[:_MAX_NEAR]}


# -- text ------------------------------------------------------------------------------------------------------------
def as_text(checked: Sequence[Checked], severities: Severities) -> None:
    """Print a line for each finding, as compilers do, and a summary."""
    near = _near(checked)
    for one in checked:
        for finding in one.findings:
            span, problem = finding.span, finding.problem
            place = f"{shown_path(one.full_path(finding))}:{span.line + 1}:{span.start + 1}"
            severity = severities[problem.code]
            message = problem.message
            if problem.code == "generation.interrupted":
                message = with_root(message, os.curdir if os.path.samefile(one.root, os.curdir) else one.root)
            print(f"{place}: {styled(severity, severity, sys.stdout)} {problem.code}: {message}")
            if problem.related:
                line = problem.related[0].line + 1
                print(f"  {styled('note', 'help', sys.stdout)}: {problem.related[1]} is in line {line}")
            if near.get(id(finding)):
                names = ", ".join(visible(name) for name in near[id(finding)])
                print(f"  {styled('help', 'help', sys.stdout)}: did you mean {names}?")
    print(_summary(checked, severities))


def _summary(checked: Sequence[Checked], severities: Severities) -> str:
    numbers = Counter[str](severities[finding.problem.code] for one in checked for finding in one.findings)
    goals = count(sum(one.goals for one in checked), "goal")
    components = count(sum(len(one.library.files) for one in checked if one.library), "component")
    where = f"{goals} and {components}" + (f" of {len(checked)} libraries" if len(checked) > 1 else "")
    if not numbers:
        return f"{styled('No problems', 'good', sys.stdout)} in {where}"
    nouns = {"error": "error", "warning": "warning", "information": "note", "hint": "hint"}
    return ", ".join(count(numbers[level], noun) for level, noun in nouns.items() if numbers[level]) + f" in {where}"


# -- JSON ------------------------------------------------------------------------------------------------------------
def as_json(checked: Sequence[Checked], severities: Severities) -> None:
    """Print an object with `findings`, and with the number of each severity."""
    near = _near(checked)
    findings = [
        {
            "code": finding.problem.code,
            "severity": severities[finding.problem.code],
            "message": finding.problem.message,
            "library": one.root,
            "path": finding.path,
            **_region(finding.span, "line", "column", "endLine", "endColumn"),
            "goal": list(finding.problem.reference.goal) if finding.problem.reference else None,
            "slot": finding.problem.reference.slot if finding.problem.reference else None,
            "index": finding.problem.reference.index if finding.problem.reference else None,
            "target": finding.problem.target,
            "near": near.get(id(finding), []),
        }
        for one in checked
        for finding in one.findings
    ]
    numbers = Counter(finding["severity"] for finding in findings)
    summary = {
        "libraries": len(checked),
        "goals": sum(one.goals for one in checked),
        "components": sum(len(one.library.files) for one in checked if one.library),
        **{level: numbers[level] for level in ("error", "warning", "information", "hint")},
    }
    _print_json({"version": 1, "summary": summary, "findings": findings})


def _region(span: Span, line: str, column: str, end_line: str, end_column: str) -> dict[str, int]:
    return {line: span.line + 1, column: span.start + 1, end_line: span.line + 1, end_column: span.end + 1}


def _print_json(value: Any) -> None:
    # Escaped, so that neither lone surrogates nor a locale can break it.
    import json

    print(json.dumps(value, indent=2))


# -- SARIF -----------------------------------------------------------------------------------------------------------
_SARIF_LEVELS: Final = {"error": "error", "warning": "warning", "information": "note", "hint": "note"}


def as_sarif(checked: Sequence[Checked], severities: Severities) -> None:
    """Print SARIF 2.1.0 (OASIS), which code scanning services read."""
    rules = [
        {"id": code, "defaultConfiguration": {"level": _SARIF_LEVELS[severity]}}
        for code, severity in SEVERITIES.items()
    ]
    ids = list(SEVERITIES)
    results = [
        {
            "ruleId": finding.problem.code,
            "ruleIndex": ids.index(finding.problem.code),
            "level": _SARIF_LEVELS[severities[finding.problem.code]],
            "message": {"text": finding.problem.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": _artifact(one.full_path(finding)),
                        "region": _region(finding.span, "startLine", "startColumn", "endLine", "endColumn"),
                    }
                }
            ],
        }
        for one in checked
        for finding in one.findings
    ]
    driver = {"name": "goalmap", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    _print_json({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]})


@cache
def _artifact(path: str) -> dict[str, str]:
    from pathlib import Path
    from urllib.parse import quote

    relative = os.path.relpath(path)
    if relative.startswith(os.pardir):
        return {"uri": Path(path).as_uri()}
    return {"uri": quote(relative.replace(os.sep, "/"), errors="surrogateescape"), "uriBaseId": "%SRCROOT%"}


# -- GitHub ----------------------------------------------------------------------------------------------------------
_GITHUB_COMMANDS: Final = {"error": "error", "warning": "warning", "information": "notice", "hint": "notice"}


def as_github(checked: Sequence[Checked], severities: Severities) -> None:
    """Print workflow commands of GitHub Actions, which become annotations of the files."""
    for one in checked:
        for finding in one.findings:
            span, problem = finding.span, finding.problem
            values = {
                "file": _relative(one.full_path(finding)),
                "line": str(span.line + 1),
                "col": str(span.start + 1),
                "endColumn": str(span.end + 1),
                "title": problem.code,
            }
            properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in values.items())
            print_text(f"::{_GITHUB_COMMANDS[severities[problem.code]]} {properties}::{_escaped(problem.message)}")


@cache
def _relative(path: str) -> str:
    return os.path.relpath(path).replace(os.sep, "/")


def _escaped(text: str, more: str = "") -> str:
    """Return `text` escaped for workflow commands: percent signs, line breaks and the characters of `more` as %XX."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


FORMATS: Final[dict[str, Format]] = {"text": as_text, "json": as_json, "sarif": as_sarif, "github": as_github}
