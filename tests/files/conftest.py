"""A small library on disk, and a generation in one call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from goalmap.files.report import Committed
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import Generation
from support.told import begin

MAP = """{
  "Technical": {
    "DEBUG": {
      "description": "Find the cause.",
      "persona": "detective.txt",
      "protocol": "drill.txt",
      "constraints": ["cite.txt", "guess.txt", "cite.txt"]
    }
  },
  "REVIEW": {"persona": "detective.txt"}
}
"""
DEBUG = ("Technical", "DEBUG")


class Library:
    """A library in a folder of its own."""

    def __init__(self, root: Path, text: str = MAP) -> None:
        self.root = root
        self.map = root / "goal_map.json"
        (root / "components" / "personas").mkdir(parents=True)
        (root / "components" / "personas" / "detective.txt").write_text("You look twice.\n")
        self.map.write_bytes(text.encode())

    def request(
        self,
        slot: str = "protocol",
        file: str = "drill.txt",
        index: int | None = None,
        *,
        naming: str = "autogen",
        goal: tuple[str, ...] = DEBUG,
        description: str = "root causes",
    ) -> GenerateRequest:
        """Return a request for a missing component."""
        return GenerateRequest(str(self.map), goal, slot, index, file, description, naming)  # type: ignore[arg-type]

    def begin(self, request: GenerateRequest | None = None) -> Generation:
        """Begin a generation that is expected to be let in."""
        generation = begin(request or self.request())
        assert isinstance(generation, Generation)
        return generation

    def finished(self, request: GenerateRequest | None = None, text: str = "Drill down.\n") -> Generation:
        """Return a generation whose text is kept and not yet committed."""
        generation = self.begin(request)
        generation.append(text)
        generation.finish(text)
        return generation

    def generate(self, request: GenerateRequest | None = None, text: str = "Drill down.\n") -> Committed:
        """Generate and commit."""
        return self.finished(request, text).commit()

    def reference(self, slot: str = "protocol", goal: tuple[str, ...] = DEBUG) -> object:
        """Return what the slot holds in the map on disk."""
        value = json.loads(self.map.read_bytes().decode("utf-8-sig"))
        for part in (*goal, slot):
            value = value[part]
        return value

    def files(self) -> dict[str, str]:
        """Return all files but those of `.goalmap`, with their texts."""
        return {
            str(path.relative_to(self.root)): path.read_text()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and ".goalmap" not in path.parts
        }

    def components(self) -> dict[str, str]:
        """Return the components with their texts."""
        return {path: text for path, text in self.files().items() if path.startswith("components/")}

    def records(self) -> list[str]:
        """Return the names in the journal."""
        return sorted(path.name for path in (self.root / ".goalmap" / "journal").glob("*"))

    def parked(self) -> dict[str, str]:
        """Return the parked files with their texts."""
        return {path.name: path.read_text() for path in (self.root / ".goalmap" / "parked").glob("*")}


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's own state folder out of the tests."""
    home = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")
