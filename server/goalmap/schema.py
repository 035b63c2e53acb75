"""The JSON schema of `goal_map.json`, for editors that have no language server at hand.

It says what a map looks like; which files exist, and everything else, is what `goalmap check` is for. Draft 7 is what
editors' JSON services understand best.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
# Texts about a goal or slot ("$schema", "persona$description"), and what a tool may keep there.
_TEXT_KEYS: Final = r"\$"

_FILE = (
    "A component: a file in the slot's folder, `components/<slot>s/`; a subfolder may come first, as in "
    "`security/owasp.txt`."
)
_SLOT = (
    "A slot: the file of one component, or a list of files. Its folder is its name's plural in `components/`: "
    "`persona` → `components/personas/`, `constraints` → `components/constraints/`."
)


class Goal(BaseModel):
    """A goal: what one prompt is assembled from. Every key but the ones below is a slot."""

    model_config = ConfigDict(extra="allow")

    title: str | None = Field(None, description="The heading of the prompt; the goal's name where there is none.")
    description: str | None = Field(
        None, description="What the goal is for. It is no part of the prompt; generated components are written for it."
    )
    template: str | None = Field(
        None,
        description="A Jinja2 template in `components/templates/` that joins the components, instead of headings.",
    )


class Category(BaseModel):
    """A group of goals or of other categories. Every key but the ones below is one of them."""

    model_config = ConfigDict(extra="allow")

    title: str | None = Field(None, description="The category's name for people.")
    description: str | None = Field(None, description="What the goals in it have in common.")


class GoalMap(BaseModel):
    """The map of a library: goals by name, with the components that their prompts are assembled from."""

    model_config = ConfigDict(extra="allow", title="goal_map.json")


def schema() -> dict[str, Any]:
    """Return the schema as JSON values."""
    definitions = {"Goal": _object(Goal), "Category": _object(Category)}
    definitions["Goal"]["additionalProperties"] = {"$ref": "#/definitions/Slot"}
    # What holds an object is a category: else "one of the two is not met" would be all that an editor says of a typo.
    entry = {
        "if": {"additionalProperties": {"not": {"type": "object"}}},
        "then": {"$ref": "#/definitions/Goal"},
        "else": {"$ref": "#/definitions/Category"},
    }
    definitions["Category"]["additionalProperties"] = {"$ref": "#/definitions/Entry"}
    definitions["Entry"] = entry
    definitions["Slot"] = {
        "description": _SLOT,
        "anyOf": [{"$ref": "#/definitions/File"}, {"type": "array", "items": {"$ref": "#/definitions/File"}}],
    }
    definitions["File"] = {"description": _FILE, "type": "string"}
    top = _object(GoalMap)
    top["additionalProperties"] = {"$ref": "#/definitions/Entry"}
    top["properties"] = {
        **definitions["Category"]["properties"],
        "$schema": {"type": "string", "description": "Where this schema is, for editors."},
    }
    whole: dict[str, Any] = _with_markdown({"$schema": _DRAFT, **top, "definitions": definitions})
    return whole


def _with_markdown(value: Any) -> Any:
    """Say in Markdown as well what has code in it: VS Code shows the backticks of a plain description."""
    if isinstance(value, list):
        return [_with_markdown(item) for item in value]
    if not isinstance(value, dict):
        return value
    text = value.get("description")
    marked = {"markdownDescription": text} if isinstance(text, str) and "`" in text else {}
    return {**{key: _with_markdown(item) for key, item in value.items()}, **marked}


def _object(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of one object, as pydantic sees it, in the words of draft 7."""
    found = model.model_json_schema()
    properties = {
        # Optional in Python is absent in JSON, not null.
        name: {"description": value["description"], "type": "string"}
        for name, value in found.get("properties", {}).items()
    }
    texts = {"description": "A text about the key before the `$`.", "not": {"type": "object"}}
    return {
        "type": "object",
        "title": found["title"],
        "description": found["description"],
        "properties": properties,
        "patternProperties": {_TEXT_KEYS: texts},
    }
