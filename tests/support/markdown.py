"""Where the links of a Markdown text lead, and what its headings are called."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"\]\(([^)\s]+)\)")
_HTML = re.compile(r"<(?:a|img)\b[^>]*?(?:href|src)=\"([^\"]*)\"")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def targets(markdown: str) -> list[str]:
    """Return where its links and images lead."""
    text = _FENCE.sub("", markdown)
    return [*_INLINE.findall(text), *_HTML.findall(text)]


def anchors(markdown: str) -> set[str]:
    """Return the anchors that its headings get."""
    headings = _HEADING.findall(_FENCE.sub("", markdown))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
