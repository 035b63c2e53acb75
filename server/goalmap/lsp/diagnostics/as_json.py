"""Diagnostics as JSON: that of one problem, and those of a map by line."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Final

from goalmap.core.problems import SHOWN_AS_UNNECESSARY, SYNTAX_CODES, Problem, Problems, Severity, near_files
from goalmap.core.text import Span
from goalmap.lsp.enums import DiagnosticSeverity, DiagnosticTag
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.positions import START_OF_FILE, Positions, to_uri
from goalmap.lsp.raw_json import json_string, to_json
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.core.library import Library
    from goalmap.lsp.types import DiagnosticRelatedInformation
    from goalmap.settings import Settings

_SEVERITIES: Final = {
    "error": DiagnosticSeverity.ERROR,
    "warning": DiagnosticSeverity.WARNING,
    "information": DiagnosticSeverity.INFORMATION,
    "hint": DiagnosticSeverity.HINT,
}


def diagnostic_json(
    session: Session, library: LibraryState, lines: list[str], span: Span, problem: Problem, near: list[str]
) -> bytes:
    """Return one Diagnostic, in a file with these `lines`; empty where a setting turns it off.

    `near` are the names that may have been meant.
    """
    severity = session.settings.severities[problem.code]
    if severity == "off" or (session.client.marks_json_syntax and problem.code in SYNTAX_CODES):
        return b""
    range_ = Positions(lines, session.encoding).json_range(span)
    related = _related(session, library, problem, near) if session.client.shows_related_information else []
    shown = f',"relatedInformation":{to_json(related)}' if related else ""
    text = f'{{"range":{range_},{_members(problem.code, severity)},"message":{json_string(problem.message)}{shown}}}'
    return text.encode("ascii")


def _related(
    session: Session, library: LibraryState, problem: Problem, near: list[str]
) -> list[DiagnosticRelatedInformation]:
    if problem.related is not None:
        span, message = problem.related
        range_ = session.map_positions(library).range(span)
        return [{"location": {"uri": library.map_uri, "range": range_}, "message": message}]
    folder = library.snapshot.folder(problem.reference.slot) if problem.reference else ""
    return [
        {
            "location": {"uri": library.uri(f"{folder}/{file}"), "range": START_OF_FILE},
            "message": f"Did you mean {file}?",
        }
        for file in near
    ]


@cache
def _members(code: str, severity: Severity) -> str:
    """Return those members of a Diagnostic, as JSON, that are the same for all with a code."""
    members: dict[str, object] = {
        "severity": _SEVERITIES[severity],
        "code": code,
        "codeDescription": {"href": documentation(code)},
        "source": "goalmap",
    }
    if code in SHOWN_AS_UNNECESSARY:
        members["tags"] = [DiagnosticTag.UNNECESSARY]
    return to_json(members)[1:-1]


@cache
def _documentation_uri() -> str:
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    packaged = os.path.join(here, "docs", "diagnostics.md")
    in_checkout = os.path.join(os.path.dirname(os.path.dirname(here)), "docs", "diagnostics.md")
    return to_uri(packaged if os.path.exists(packaged) else in_checkout)


def documentation(code: str) -> str:
    """Return where a code is explained: a section of the page that comes with the package."""
    return f"{_documentation_uri()}#{code.replace('.', '')}"


class MapDiagnostics:
    """The problems of a map as JSON, line by line: an edit makes only those anew that it touched.

    `texts` are those of the lines that have problems to show, in order.
    """

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self._lines: list[int] = []
        self._problems: Problems | None = None
        self._settings: Settings | None = None
        self._near: dict[str | None, list[str]] = {}
        self._near_in: Library | None = None
        self._again: set[int] = set()

    def stale(self, problems: Problems, settings: Settings) -> Iterable[int]:
        """Return the lines that must be `put` now, in order where all must be."""
        again, self._again = self._again, set()
        changed = problems.changed_since(self._problems) if settings is self._settings else None
        self._problems, self._settings = problems, settings
        if changed is not None:
            return sorted(again | changed)
        self.texts.clear()
        self._lines.clear()
        return sorted({*problems.by_goal, *problems.whole_map})

    def put(self, line: int, text: bytes) -> None:
        """Keep the problems of one line; without any, `text` is empty."""
        if text and (not self._lines or self._lines[-1] < line):  # as when all are put, one after the other
            self._lines.append(line)
            self.texts.append(text)
            return
        at = bisect_left(self._lines, line)
        line_at = slice(at, at + (at < len(self._lines) and self._lines[at] == line))
        self._lines[line_at] = [line] if text else []
        self.texts[line_at] = [text] if text else []

    def near(self, missing_path: str | None) -> list[str]:
        """Return the names that may have been meant where this component is missing, as far as known."""
        return self._near.get(missing_path, [])

    def find_near(self, library: LibraryState, *, limit: int) -> None:
        """Work out the names that may have been meant where the first components are missing."""
        files = library.snapshot
        known = self._near if self._near_in is files else {}
        missing = [(span.line, problem) for span, problem in library.problems if problem.code == "component.missing"]
        near = {
            problem.target: known.get(problem.target) or near_files(problem, files) for _, problem in missing[:limit]
        }
        news = {path for path in {**self._near, **near} if self._near.get(path, []) != near.get(path, [])}
        self._again |= {line for line, problem in missing if problem.target in news}
        self._near, self._near_in = near, files
