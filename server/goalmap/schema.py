"""The JSON schema of `goal_map.json`, for editors that have no language server at hand.

It says what a map looks like; which files exist, and everything else, is what `goalmap check` is for. Draft 7 is what
editors' JSON services understand best.
"""

from __future__ import annotations

from typing import Any, Final

_ENTRY: Final = {"$ref": "#/definitions/Entry"}
_FILE: Final = {"$ref": "#/definitions/File"}


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "type": "string"}


def _object(title: str, description: str, members: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with these members, whose other ones are `others`."""
    return {
        "type": "object",
        "title": title,
        "description": description,
        "properties": members,
        # Texts about a goal or slot ("$schema", "persona$description"), and what a tool may keep there.
        "patternProperties": {
            r"\$": {"description": "A text about the key before the `$`.", "not": {"type": "object"}}
        },
        "additionalProperties": others,
    }


_ABOUT_CATEGORY: Final = {
    "title": _text("The category's name for people."),
    "description": _text("What the goals in it have in common."),
}
_DEFINITIONS: Final = {
    "Goal": _object(
        "Goal",
        "A goal: what one prompt is assembled from. Every key but the ones below is a slot.",
        {
            "title": _text("The heading of the prompt; the goal's name where there is none."),
            "description": _text(
                "What the goal is for. It is no part of the prompt; generated components are written for it."
            ),
            "template": _text(
                "A Jinja2 template in `components/templates/` that joins the components, instead of headings."
            ),
        },
        {"$ref": "#/definitions/Slot"},
    ),
    "Category": _object(
        "Category",
        "A group of goals or of other categories. Every key but the ones below is one of them.",
        _ABOUT_CATEGORY,
        _ENTRY,
    ),
    # What holds an object is a category: else "one of the two is not met" would be all that an editor says of a typo.
    "Entry": {
        "if": {"additionalProperties": {"not": {"type": "object"}}},
        "then": {"$ref": "#/definitions/Goal"},
        "else": {"$ref": "#/definitions/Category"},
    },
    "Slot": {
        "description": "A slot: the file of one component, or a list of files. Its folder is its name's plural in "
        "`components/`: `persona` → `components/personas/`, `constraints` → `components/constraints/`.",
        "anyOf": [_FILE, {"type": "array", "items": _FILE}],
    },
    "File": _text(
        "A component: a file in the slot's folder, `components/<slot>s/`; a subfolder may come first, as in "
        "`security/owasp.txt`."
    ),
}
_MAP: Final = _object(
    "goal_map.json",
    "The map of a library: goals by name, with the components that their prompts are assembled from.",
    {**_ABOUT_CATEGORY, "$schema": {"type": "string", "description": "Where this schema is, for editors."}},
    _ENTRY,
)


def schema() -> dict[str, Any]:
    """Return the schema as JSON values."""
    whole = {"$schema": "http://json-schema.org/draft-07/schema#", **_MAP, "definitions": _DEFINITIONS}
    shown: dict[str, Any] = _with_markdown(whole)
    return shown


def _with_markdown(value: Any) -> Any:
    """Say in Markdown as well what has code in it: VS Code shows the backticks of a plain description."""
    if isinstance(value, list):
        return [_with_markdown(item) for item in value]
    if not isinstance(value, dict):
        return value
    text = value.get("description")
    marked = {"markdownDescription": text} if isinstance(text, str) and "`" in text else {}
    return {**{key: _with_markdown(item) for key, item in value.items()}, **marked}
