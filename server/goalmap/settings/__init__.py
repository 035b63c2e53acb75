"""What a user can set (`goalmap.*`, the same names in every editor), as frozen values with their defaults.

`read_settings` makes them from what an editor sends. The defaults need no pydantic: a server starts with them, and
validates when an editor has something to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from goalmap.core.problems import SEVERITIES, Severity

Naming: TypeAlias = Literal["autogen", "referenced"]
Trace: TypeAlias = Literal["off", "messages", "verbose"]

PREFIX: Final = "goalmap"


@dataclass(frozen=True, slots=True)
class Model:
    """Which model writes. Empty texts leave the choice to the environment; keys come from there alone."""

    base_url: str = ""
    name: str = ""
    timeout_s: float = 60.0
    max_output_tokens: int = 1200


@dataclass(frozen=True, slots=True)
class Generation:
    """How components are generated. `naming` is that of the preferred quick fix; `review` shows the text first."""

    naming: Naming = "autogen"
    review: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked of prompts. `max_tokens` of 0 sets no limit."""

    max_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `severities` has an entry for every code."""

    model: Model = Model()
    generation: Generation = Generation()
    prompt: Prompt = Prompt()
    severities: Mapping[str, Severity] = field(default_factory=lambda: MappingProxyType(SEVERITIES))
    trace: Trace = "off"


DEFAULTS: Final = Settings()


class ReadSettings(NamedTuple):
    """Settings, and a message for each value that was not taken: it begins with the setting's full name."""

    settings: Settings
    problems: tuple[str, ...]


def read_settings(values: Any) -> ReadSettings:
    """Return the settings in `values`, which an editor sent; whatever is wrong keeps its default.

    Names may be nested (`{"model": {"name": …}}`), joined by dots (`{"model.name": …}`), or both, with or without
    `goalmap` around them. None stands for what is not set.
    """
    flat = _flat(values)
    if not flat:
        return ReadSettings(DEFAULTS, ())
    from goalmap.settings.validation import validated  # late: pydantic costs more than the rest of a server's start

    return validated(flat)


def _flat(values: Any) -> dict[str, Any]:
    """Return the values by their names joined by dots, without `goalmap.`."""
    found: dict[str, Any] = {}
    pending: list[tuple[str, Any]] = [("", values)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend((f"{name}.{key}" if name else str(key), inner) for key, inner in value.items())
        elif value is not None and name:
            found[name.removeprefix(f"{PREFIX}.")] = value
    return found


__all__ = ["DEFAULTS", "Generation", "Model", "Prompt", "ReadSettings", "Settings", "Trace", "read_settings"]
