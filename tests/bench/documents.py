"""Documents of a chosen size, with the same references in each language, so that unlike servers have like work.

The same arguments give the same files. A share of the references names nothing.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SLOTS = ("persona", "protocol", "output_format", "constraint")
WORDS = (
    "amber",
    "brook",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "inlet",
    "jetty",
    "knoll",
    "larch",
    "maple",
    "north",
    "ocean",
    "pearl",
    "quartz",
)
# What no file and no definition begins with, so that a JSON schema can tell.
BROKEN = "lost_"


@dataclass(frozen=True)
class Document:
    """A text, its language, and places (line, column) where a typed capital breaks a good reference."""

    name: str
    language: str
    text: str
    places: list[tuple[int, int]]


def write(folder: Path, references: int, *, missing: float, seed: int) -> dict[str, Document]:
    """Write the library and a document of each language into `folder`; return the documents by language."""
    draw = random.Random(seed)
    broken = set(draw.sample(range(references), max(1, round(references * missing))))
    goals: list[dict[str, str]] = []
    for number in range(references):
        if number % len(SLOTS) == 0:
            goals.append({})
        slot = SLOTS[number % len(SLOTS)]
        stem = f"{draw.choice(WORDS)}_{draw.choice(WORDS)}_{number:06d}"
        file = folder / "components" / f"{slot}s" / f"{stem}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"Text of {stem}: answer in plain words, and name your sources.\n")
        goals[-1][slot] = f"{BROKEN if number in broken else ''}{stem}.txt"
    pattern = {"type": "string", "pattern": f"^(?!{BROKEN})[a-z_0-9]+\\.txt$"}
    there = {slot: sorted(path.name for path in (folder / "components" / f"{slot}s").iterdir()) for slot in SLOTS}
    names = {slot: {"type": "string", "enum": files} for slot, files in there.items()}
    for schema, properties in (("schema.json", dict.fromkeys(SLOTS, pattern)), ("schema-names.json", names)):
        members = {"type": "object", "properties": properties}
        (folder / schema).write_text(json.dumps({"type": "object", "additionalProperties": members}))
    texts = {"json": _as_json(goals), "markdown": _as_markdown(goals), "python": _as_python(goals)}
    file_names = {"json": "goal_map.json", "markdown": "links.md", "python": "names.py"}
    documents = {}
    for language, text in texts.items():
        (folder / file_names[language]).write_text(text)
        documents[language] = Document(file_names[language], language, text, _places(text, language))
    return documents


def _as_json(goals: list[dict[str, str]]) -> str:
    return json.dumps({f"GOAL_{number:06d}": goal for number, goal in enumerate(goals)}, indent=2) + "\n"


def _as_markdown(goals: list[dict[str, str]]) -> str:
    links = [[f"[{slot}](components/{slot}s/{file})" for slot, file in goal.items()] for goal in goals]
    return "# Goals\n\n" + "".join(f"- {' '.join(found)}\n" for found in links)


def _as_python(goals: list[dict[str, str]]) -> str:
    names = [f"{slot}_{file.removesuffix('.txt')}" for goal in goals for slot, file in goal.items()]
    defined = [f"{name} = 1\n" for name in names if BROKEN not in name]
    return "".join(defined + [f"use_{number} = {name}\n" for number, name in enumerate(names)])


def _places(text: str, language: str) -> list[tuple[int, int]]:
    """Return three places amid the document, each at the end of a good name."""
    ends = {"json": ".txt", "markdown": ".txt)", "python": "\n"}
    lines = text.splitlines(keepends=True)
    good = [
        (number, line.rindex(ends[language]))
        for number, line in enumerate(lines)
        if ends[language] in line and BROKEN not in line and (language != "python" or line.startswith("use_"))
    ]
    if not good:  # a document so small that each line holds a broken one
        good = [(number, line.rindex(ends[language])) for number, line in enumerate(lines) if ends[language] in line]
    return [good[len(good) * part // 4] for part in (1, 2, 3)]
