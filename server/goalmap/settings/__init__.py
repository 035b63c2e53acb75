"""What a user can set (`goalmap.*`, the same names in every editor), as frozen values with their defaults.

`read_settings` makes them from what an editor sends. The defaults need no pydantic: a server starts with them, and
validates when an editor has something to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from goalmap.settings.values import (
    DEFAULTS,
    PREFIX,
    Generation,
    Model,
    Prompt,
    ReadSettings,
    Settings,
    StoredKey,
)


def read_settings(values: Any) -> ReadSettings:
    """Return the settings in `values`, which an editor sent; what is invalid keeps its default.

    Names may be nested (`{"model": {"name": …}}`), joined by dots (`{"model.name": …}`), or both, with or without
    `goalmap` around them. None means not set.
    """
    flat = _flat(values)
    if not flat:
        return ReadSettings(DEFAULTS, ())
    from goalmap.settings.validation import validated  # late: pydantic costs more than the rest of a server's start

    return validated(flat)


def _flat(values: Any) -> dict[str, Any]:
    """Return the values by their names joined by dots, without `goalmap.`."""
    flat: dict[str, Any] = {}
    pending: list[tuple[str, Any]] = [("", values)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend((f"{name}.{key}" if name else str(key), inner) for key, inner in value.items())
        elif value is not None and name:
            flat[name.removeprefix(f"{PREFIX}.")] = value
    return flat


__all__ = [
    "DEFAULTS",
    "Generation",
    "Model",
    "Prompt",
    "ReadSettings",
    "Settings",
    "StoredKey",
    "read_settings",
]
