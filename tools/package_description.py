"""What hatchling cannot read off pyproject.toml: the description that the package's page shows."""

from __future__ import annotations

import os
import re
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_ONLY_IN_REPOSITORY = re.compile(r"<!-- repository -->\n(.*?)<!-- /repository -->\n", re.DOTALL)
_RELATIVE_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)\s]+)\)")


class Description(MetadataHookInterface):
    """Makes the README the package's description."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`."""
        with open(os.path.join(self.root, "README.md"), encoding="utf-8") as file:
            text = description(file.read(), metadata.get("urls", {}).get("Repository"))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def description(readme: str, repository: str | None) -> str:
    """Return `readme` for a page outside of the repository: without relative links, which would lead nowhere there.

    `repository` is the address that they lead to instead. Without one, they become plain words, and what stands between
    `<!-- repository -->` and `<!-- /repository -->` is left out: it is of use beside the other files only.
    """
    if repository is None:
        kept = _ONLY_IN_REPOSITORY.sub("", readme)
        return _RELATIVE_LINK.sub(lambda link: "" if link[1] else link[2], kept)
    kept = _ONLY_IN_REPOSITORY.sub(r"\1", readme)
    base = repository.rstrip("/")
    return _RELATIVE_LINK.sub(
        lambda link: f"{link[1]}[{link[2]}]({base}/{'raw' if link[1] else 'blob'}/HEAD/{link[3]})", kept
    )
