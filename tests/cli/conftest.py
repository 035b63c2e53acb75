"""A library to run commands on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.commands import Command, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "library"
    path.mkdir()
    return path


@pytest.fixture
def goalmap(folder: Path, tmp_path: Path) -> Command:
    home = tmp_path / "home"
    home.mkdir()
    return Command(folder, home)


@pytest.fixture
def library(folder: Path) -> Path:
    """Make a whole library of two goals in a category."""
    write_files(
        folder,
        {
            "goal_map.json": {
                "Technical": {
                    "DEBUG": {
                        "title": "Find the cause",
                        "description": "Trace a defect to its cause.",
                        "persona": "detective.txt",
                        "protocol": "drill.txt",
                        "constraints": ["evidence.txt", "no_guessing.txt"],
                    },
                    "REVIEW": {"persona": "detective.txt", "constraints": ["evidence.txt"]},
                }
            },
            "components/personas/detective.txt": "You find causes.\n\n",
            "components/protocols/drill.txt": "1. Ask why.\n2. Ask again.\n",
            "components/constraints/evidence.txt": "Cite evidence.\n",
            "components/constraints/no_guessing.txt": "Do not guess.\n",
        },
    )
    return folder


@pytest.fixture
def write(folder: Path) -> Any:
    """Write files into the library's folder."""
    return lambda files: write_files(folder, files)


@pytest.fixture
def gap(library: Path) -> Path:
    """Make the library of two goals, without DEBUG's protocol."""
    (library / "components/protocols/drill.txt").unlink()
    return library
