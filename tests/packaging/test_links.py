"""Links between the documents lead somewhere, in the repository and on the package's page."""

from __future__ import annotations

import importlib.util
import re
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


# Where a guide may name a file without its folder.
FOLDERS = (
    *("", "tests", "tests/support", "tests/files", "tests/lsp", "tests/lsp/features", ".github/workflows"),
    *(
        "server/goalmap",
        "server/goalmap/core",
        "server/goalmap/generation",
        "server/goalmap/lsp/features",
        "server/goalmap/lsp/diagnostics",
    ),
)


def named_files(text: str) -> list[Path]:
    """Return the files of code that a text names in backticks, where a folder may be left out."""
    found = []
    for name in re.findall(r"`([\w./-]+\.(?:py|ts|yml|json|toml))`", text):
        places = [path for folder in FOLDERS if (path := ROOT / folder / name).exists()]
        assert places, f"{name} is not there"
        found.append(places[0])
    return found


@pytest.mark.parametrize("document", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_files_that_a_guide_names_are_there(document: str) -> None:
    assert named_files((ROOT / document).read_text())


def test_the_reading_path_is_as_long_as_it_says() -> None:
    _, _, page = (ROOT / "docs/architecture.md").read_text().partition("\n## A reading path\n")
    section = page.partition("\n## ")[0]
    said = int("".join(re.findall(r"About (\d+) (\d+) lines", section)[0]))
    lines = sum(len(path.read_text().splitlines()) for path in dict.fromkeys(named_files(section)))
    assert abs(lines - said) < 400, lines


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
