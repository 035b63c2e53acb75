"""The generated files are what the installed lsprotocol and our own definitions give."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

GENERATOR = Path(__file__).parents[2] / "tools" / "generate_lsp_types.py"
GENERATED: dict[Path, str] = runpy.run_path(str(GENERATOR))["generated"]()


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generating_anew_gives_the_same_file(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path], "run: python tools/generate_lsp_types.py"
