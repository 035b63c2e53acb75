"""`goalmap check`: report what is wrong with the libraries at a path, for people, programs and pipelines."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final, get_args

from goalmap.cli import reports
from goalmap.cli.library import add_path, maps_at, open_map
from goalmap.cli.reports import Checked
from goalmap.core.exit_codes import FAILED, FINE
from goalmap.core.near_names import near_names
from goalmap.core.problems import SEVERITIES, Severity
from goalmap.inspection import inspect, library_root

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from goalmap.files.report import Pending

_RANKS: Final[dict[str, int]] = {"error": 3, "warning": 2, "information": 1, "hint": 0}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_path(parser)
    parser.add_argument(
        "--format", choices=list(reports.FORMATS), default="text", help="how to report (default: %(default)s)"
    )
    parser.add_argument(
        "--severity",
        metavar="CODE=LEVEL",
        type=_severity,
        action="append",
        default=[],
        help="report CODE as error, warning, information or hint, or turn it off; may be repeated",
    )
    parser.add_argument(
        "--fail-on",
        choices=[*_RANKS, "never"],
        default="warning",
        help="exit with 1 from this severity on (default: %(default)s)",
    )
    parser.add_argument(
        "--max-tokens",
        metavar="N",
        type=_positive,
        default=0,
        help="report prompts of more than N tokens as prompt.over-budget",
    )


def _severity(text: str) -> tuple[str, Severity]:
    from argparse import ArgumentTypeError

    code, _, level = text.partition("=")
    if code not in SEVERITIES:
        near = near_names(code, list(SEVERITIES), limit=1)
        raise ArgumentTypeError(f"there is no code {code!r}" + (f"; did you mean {near[0]}?" if near else ""))
    for known in get_args(Severity):
        if level == known:
            return code, known
    raise ArgumentTypeError(f"{text!r} should be CODE=LEVEL, LEVEL one of {', '.join(get_args(Severity))}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a number of tokens")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Check as the options say."""
    severities: dict[str, Severity] = {**SEVERITIES, **dict(options.severity)}
    return check(
        options.path,
        severities=severities,
        format_=options.format,
        fail_on=options.fail_on,
        max_tokens=options.max_tokens,
    )


def check(
    path: str = ".",
    *,
    severities: Mapping[str, Severity] = SEVERITIES,
    format_: str = "text",
    fail_on: str = "warning",
    max_tokens: int = 0,
) -> int:
    """Report the findings; return 1 where one is as severe as `fail_on`."""
    gc.disable()  # a large map is hundreds of thousands of objects without a cycle, and then the process ends
    checked = [_check(map_path, severities, max_tokens) for map_path in maps_at(path)]
    reports.FORMATS[format_](checked, severities)
    lowest_failing = _RANKS.get(fail_on)
    worst = max((_RANKS[severities[finding.problem.code]] for one in checked for finding in one.findings), default=-1)
    return FAILED if lowest_failing is not None and worst >= lowest_failing else FINE


def _check(map_path: str, severities: Mapping[str, Severity], max_tokens: int) -> Checked:
    opened, faults = open_map(map_path)
    faults = [finding for finding in faults if severities[finding.problem.code] != "off"]
    if opened is None:
        return Checked(library_root(map_path), None, None, faults)
    findings = inspect(
        opened.loader,
        opened.goal_map,
        opened.read,
        severities=severities,
        max_tokens=max_tokens,
        pending=_pending(opened.root),
    )
    return Checked(opened.root, opened.goal_map, opened.load(), faults + findings)


def _pending(root: str) -> list[Pending]:
    from goalmap.files.store import has_records

    if not has_records(root):
        return []
    from goalmap.files.recovery import pending  # late: it imports the whole commit protocol

    return pending(root)
