"""Check that what a release is called is the same everywhere: the packages, the changelog, and the tag in $TAG."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def faults(root: Path, tag: str) -> list[str]:
    """Return what does not agree; `tag` is empty where nothing is tagged yet."""
    init = (root / "server/goalmap/__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', init, re.MULTILINE)
    if version is None:
        return ["server/goalmap/__init__.py names no version"]
    server = version[1]
    extension = json.loads((root / "vscode-client/package.json").read_text(encoding="utf-8"))["version"]
    found = [] if extension == server else [f"the server is {server}, the extension {extension}"]
    if not tag:
        return found
    if tag != f"v{server}":
        found.append(f"the tag {tag} is not v{server}")
    for name in ("CHANGELOG.md", "vscode-client/CHANGELOG.md"):
        heading = rf"^## {re.escape(server)}(?! \(unreleased\))"
        if not re.search(heading, (root / name).read_text(encoding="utf-8"), re.MULTILINE):
            found.append(f"{name} has no released {server}")
    return found


if __name__ == "__main__":
    complaints = faults(ROOT, os.environ.get("TAG", ""))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints else 0)
