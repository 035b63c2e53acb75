"""Text of others inside our Markdown: shown as it is, and never as a link, an image, HTML or a command."""

from __future__ import annotations

import re

from goalmap.core.text import (
    CONTROLS,
    DIRECTION_MARKS,
    DIRECTION_OVERRIDES,
    LINE_BREAKS,
    TOO_MANY_MARKS,
    escaped,
    visible,
)

_BACKTICKS = re.compile(r"`+")
_UNFIT = re.compile(f"[{CONTROLS}{LINE_BREAKS}{DIRECTION_MARKS}{DIRECTION_OVERRIDES}]|{TOO_MANY_MARKS}")


def fenced(text: str, language: str = "") -> str:
    """Return `text` as a code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    shown = _UNFIT.sub(lambda match: escaped(match[0]), text)
    return f"{fence}{language}\n{shown}\n{fence}"


def inline(text: str) -> str:
    """Return `text`, on one line, as inline code."""
    shown = visible(text)
    longest = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    ticks = "`" * (longest + 1)
    blank = " " if shown.startswith("`") or shown.endswith("`") or not shown.strip() else ""
    return f"{ticks}{blank}{shown}{blank}{ticks}"
