"""The JSON schema of a map, applied by a validator of its own few keywords."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from goalmap.core.check_map import find_problems
from goalmap.core.goal_map import parse
from goalmap.core.library import Library
from goalmap.schema import schema

SAMPLE = Path(__file__).parents[1] / "goal_map.json"
_TYPES: dict[str, type] = {"object": dict, "array": list, "string": str}
_SAID_ONLY = {"$schema", "title", "description", "markdownDescription", "definitions"}


def valid(rule: Any, value: Any, top: dict[str, Any]) -> bool:
    """Apply JSON Schema, draft 7, as far as our schema uses it; an unknown keyword is an error of this function."""
    for keyword, says in rule.items():
        match keyword:
            case "$ref":
                good = valid(top["definitions"][says.removeprefix("#/definitions/")], value, top)
            case "type":
                good = isinstance(value, _TYPES[says])
            case "not":
                good = not valid(says, value, top)
            case "anyOf":
                good = any(valid(one, value, top) for one in says)
            case "if":
                good = valid(rule["then" if valid(says, value, top) else "else"], value, top)
            case "then" | "else":
                continue
            case "items":
                good = not isinstance(value, list) or all(valid(says, one, top) for one in value)
            case "properties":
                good = not isinstance(value, dict) or all(valid(says[k], value[k], top) for k in says if k in value)
            case "patternProperties":
                good = not isinstance(value, dict) or all(
                    valid(one, value[k], top) for pattern, one in says.items() for k in value if re.search(pattern, k)
                )
            case "additionalProperties":
                known = set(rule.get("properties", {}))
                patterns = list(rule.get("patternProperties", {}))
                good = not isinstance(value, dict) or all(
                    valid(says, value[k], top)
                    for k in value
                    if k not in known and not any(re.search(pattern, k) for pattern in patterns)
                )
            case _ if keyword in _SAID_ONLY:
                continue
            case _:
                raise AssertionError(keyword)
        if not good:
            return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"DEBUG": {}}',
        '{"DEBUG": {"persona": "a.txt"}}',
        '{"DEBUG": {"constraints": ["a.txt", "b.txt"]}}',
        '{"DEBUG": {"constraints": []}}',
        '{"$schema": "x", "T": {"description": "x", "DEBUG": {"title": "t", "persona": "a"}}}',
        '{"A": {"B": {"C": {"persona": "a", "persona$description": "b"}}}}',
        '{"DEBUG": {"$note": [1, null], "persona": "a"}}',
        '{"DEBUG": {"template": "t.md"}}',
        "[]",
        "null",
        '{"DEBUG": "x"}',
        '{"DEBUG": {"persona": 3}}',
        '{"DEBUG": {"persona": ["a", 1]}}',
        '{"DEBUG": {"template": ["t.md"]}}',
        '{"DEBUG": {"title": 3}}',
        '{"T": {"DEBUG": {"persona": "a"}, "x": ["a"]}}',
        '{"T": {"DEBUG": {"persona": "a"}, "x": "a"}}',
    ],
)
def test_schema_and_check_agree_on_the_form(text: str) -> None:
    found = find_problems(parse(text), Library("/nowhere"))
    accepted = not any(problem.code == "map.structure" for _, problem in found)
    top = schema()
    assert valid(top, json.loads(text), top) == accepted


def test_the_sample_library_is_valid() -> None:
    top = schema()
    assert valid(top, json.loads(SAMPLE.read_text()), top)
