"""Links between the documents lead somewhere, in the repository and on the package's page."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.markdown import anchors, targets

ROOT = Path(__file__).parents[2]
DOCUMENTS = subprocess.run(
    ["git", "ls-files", "*.md", ":!components"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()


@pytest.fixture(scope="module")
def description() -> Callable[[str, str | None], str]:
    spec = importlib.util.spec_from_file_location("package_description", ROOT / "tools/package_description.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result: Callable[[str, str | None], str] = module.description
    return result


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_to_a_file_and_a_heading(document: str) -> None:
    here = ROOT / document
    for target in targets(here.read_text()):
        path, _, anchor = target.partition("#")
        if ":" in path:
            continue
        there = here.parent / path if path else here
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text()), target


def test_the_readme_without_an_address_has_no_relative_link(description: Callable[..., str]) -> None:
    text = description((ROOT / "README.md").read_text(), None)
    assert [target for target in targets(text) if not target.startswith("https://")] == []
    assert "<!--" not in text
    for gone in ("make demo", "editors/", "docs/"):
        assert gone not in text
    for kept in ("## The promise", "goalmap lsp", "goalmap model install", "MIT licence"):
        assert kept in text


def test_the_readme_with_an_address_leads_there(description: Callable[..., str]) -> None:
    readme = (ROOT / "README.md").read_text()
    text = description(readme, "https://host.example/goalmap")
    assert "make demo" in text
    assert "](https://host.example/goalmap/blob/HEAD/docs/commit.md)" in text
    assert "](https://host.example/goalmap/raw/HEAD/vscode-client/media/quickfix.png)" in text
    assert len(targets(text)) == len(targets(readme))
    assert all(target.startswith("https://") for target in targets(text))
