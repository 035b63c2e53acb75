"""A small library in which one component is missing, and what a model writes in its place."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SERVER = [sys.executable, "-m", "goalmap", "lsp"]
KEY = "sk-planted-canary-4711"

MAP = """{
  "DEBUG": {
    "description": "Find the cause of a failure.",
    "persona": "detective.txt",
    "protocol": "drill.txt"
  }
}
"""
MISSING = "drill.txt"
DESCRIPTION = "root cause analysis of production incidents"
GENERATED = "autogen_protocol_for_debug.txt"
TEXT = """# Root cause drill

1. Write down what was seen, when, and by whom, before anybody explains it.
2. Find the last moment at which everything still worked, and list what changed since.
3. For each change, say what evidence would rule it out; look for that evidence first.
4. Ask why until the answer is a decision that somebody can make differently next week.
"""


@dataclass(frozen=True)
class Scene:
    """The library's folder and the files in it that matter."""

    root: Path

    @property
    def map(self) -> Path:
        """The map."""
        return self.root / "goal_map.json"

    @property
    def uri(self) -> str:
        """The map's URI."""
        return self.map.as_uri()

    @property
    def generated(self) -> Path:
        """Where a generated component goes."""
        return self.root / "components" / "protocols" / GENERATED

    def map_text(self) -> str:
        """Return the map as it is on disk."""
        return self.map.read_bytes().decode()

    def records(self) -> list[str]:
        """Return the names of the records that wait in the journal."""
        journal = self.root / ".goalmap" / "journal"
        return sorted(os.listdir(journal)) if journal.is_dir() else []

    def parked(self) -> list[str]:
        """Return the texts that are kept aside."""
        folder = self.root / ".goalmap" / "parked"
        return [file.read_text(encoding="utf-8") for file in sorted(folder.iterdir())] if folder.is_dir() else []

    def files(self) -> dict[str, bytes]:
        """Return what the library holds, our own state left aside."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and ".goalmap" not in path.parts
        }


def make_scene(root: Path, map_text: str = MAP) -> Scene:
    """Write the library to disk."""
    personas = root / "components" / "personas"
    personas.mkdir(parents=True)
    (root / "components" / "protocols").mkdir()
    (personas / "detective.txt").write_text("You are a detective of software.\n", encoding="utf-8")
    (root / "goal_map.json").write_bytes(map_text.encode())
    return Scene(root)


def environment(base_url: str | None, home: Path) -> dict[str, str]:
    """Return the environment of a server: its model's address and key, and nothing of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "GOALMAP_"))}
    home.mkdir(parents=True, exist_ok=True)
    own = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_CACHE_HOME": str(home / "cache")}
    if base_url is not None:
        own |= {"GOALMAP_MODEL_BASE_URL": base_url, "GOALMAP_API_KEY": KEY, "GOALMAP_MODEL_NAME": "scripted"}
    return {**kept, **own}


def argument(scene: Scene, *, description: str | None = None, **more: Any) -> dict[str, Any]:
    """Return what `goalmap.generateComponent` is told about the missing component."""
    told = {
        "uri": scene.uri,
        "goal": ["DEBUG"],
        "slot": "protocol",
        "index": None,
        "file": MISSING,
        "naming": "autogen",
        **more,
    }
    return told if description is None else {**told, "description": description}


def committed(map_text: str = MAP, file: str = GENERATED) -> str:
    """Return a map with the new reference: one string differs."""
    text = map_text.replace(f'"{MISSING}"', json.dumps(file))
    assert text != map_text
    return text
