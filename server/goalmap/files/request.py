"""The request for a generation."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goalmap.core.naming import Naming
from goalmap.files.report import Place
from goalmap.files.store import digest

if TYPE_CHECKING:
    from goalmap.core.goal_map import GoalPath


@dataclass(frozen=True)
class GenerateRequest:
    """A request for the missing component `file`, which `goal`, `slot` and `index` (None for a string slot) refer to.

    `naming`: `autogen` creates a new file and changes the map to name it; `referenced` creates the file that the map
    names. `map_text` is an editor's unsaved map, whose reference need not be on disk yet. `others` are further places
    that name the same missing file, and follow. `job` identifies requests that were made together, to be undone
    together. `reviewed`: nothing is committed before the user approves it.
    """

    map_path: str
    goal: GoalPath
    slot: str
    index: int | None
    file: str
    description: str
    naming: Naming = "autogen"
    map_text: str | None = None
    others: tuple[Place, ...] = ()
    job: str = ""
    reviewed: bool = False

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place that is to name the component, the request's own first."""
        return (Place(self.goal, self.slot, self.index), *self.others)

    @property
    def root(self) -> str:
        """The library's folder."""
        return os.path.dirname(os.path.abspath(self.map_path))

    @property
    def key(self) -> str:
        """A digest that equal requests share (I5). The description itself is kept nowhere."""
        words = [self.goal, self.slot, self.index, self.file, self.naming, self.description.strip()]
        return digest(json.dumps(words).encode())[:24]
