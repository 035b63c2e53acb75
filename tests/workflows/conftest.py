"""A small library with a gap, and what a workflow needs to fill it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from goalmap.files.loader import LibraryLoader
from goalmap.files.report import Report
from goalmap.generation.model_settings import ModelSettings
from goalmap.inspection import disk_reader, read_map
from goalmap.workflows import GenerateRequest, Neighbours, Outcome, Verdict, generate
from support.openai_endpoint import Endpoint


async def on_disk() -> bool:
    """Say that the map is changed on disk."""
    return False


@dataclass
class Watcher:
    """Keeps what it is told."""

    told: list[str | None] = field(default_factory=list)

    def chunk(self, text: str) -> None:
        """Keep a piece."""
        self.told.append(text)

    def restarted(self) -> None:
        """Keep that it starts over, as None."""
        self.told.append(None)


@dataclass(frozen=True)
class Bench:
    """A library and a request for what it lacks."""

    root: Path
    request: GenerateRequest
    watcher: Watcher = field(default_factory=Watcher)
    told: Report = field(default_factory=Report)

    @property
    def map_text(self) -> str:
        """The map on disk."""
        return (self.root / "goal_map.json").read_text()

    @property
    def component(self) -> Path:
        """Where the component will be under a new name."""
        return self.root / "components/protocols/autogen_protocol_for_debug.txt"

    def state(self, name: str) -> list[Path]:
        """Return what is in a folder of the library's state."""
        return sorted((self.root / ".goalmap" / name).iterdir())

    def neighbours(self) -> Neighbours:
        """Return the library as it is on disk."""
        goal_map, _ = read_map(str(self.root / "goal_map.json"))
        assert goal_map is not None
        return Neighbours(goal_map, LibraryLoader(str(self.root)).load(), disk_reader(str(self.root)))

    @staticmethod
    async def in_buffer() -> bool:
        """Say that the map is changed in an editor's buffer."""
        return True

    async def generate(
        self,
        endpoint: Endpoint,
        *,
        request: GenerateRequest | None = None,
        through_buffer: Callable[[], Awaitable[bool]] = on_disk,
        review: Callable[[str], Awaitable[Verdict]] | None = None,
        timeout_s: float = 20.0,
    ) -> Outcome:
        """Generate with the endpoint's model."""
        return await generate(
            request or self.request,
            settings=ModelSettings(base_url=endpoint.base_url, timeout_s=timeout_s, max_retries=0),
            local=None,
            reporter=self.watcher,
            neighbours=self.neighbours(),
            tell=self.told.add,
            through_buffer=through_buffer,
            review=review,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    files = {
        "goal_map.json": json.dumps(
            {
                "Technical": {
                    "DEBUG": {"persona": "detective.txt", "protocol": "drill.txt", "constraints": ["evidence.txt"]},
                    "REVIEW": {"protocol": "passes.txt"},
                },
                "Creative": {"DRAFT": {"protocol": "scene.txt"}, "EDIT": {"protocol": "line_edit.txt"}},
            },
            indent=2,
        ),
        "components/personas/detective.txt": "You find causes.",
        "components/constraints/evidence.txt": "Cite evidence.",
        "components/protocols/passes.txt": "Read it three times.",
        "components/protocols/scene.txt": "Want, obstacle, turn.",
        "components/protocols/line_edit.txt": "Strike every adverb.",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    request = GenerateRequest(
        map_path=str(tmp_path / "goal_map.json"),
        goal=("Technical", "DEBUG"),
        slot="protocol",
        index=None,
        file="drill.txt",
        description="root cause analysis",
    )
    return Bench(tmp_path, request)
