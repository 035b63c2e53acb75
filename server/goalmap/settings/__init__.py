"""What a user can set (`goalmap.*`, the same names in every editor), as frozen values with their defaults.

`read_settings` makes them from what an editor sends. The defaults need no pydantic: a server starts with them, and
validates when an editor has something to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from goalmap.core.naming import Naming
from goalmap.core.problems import SEVERITIES, Severity

if TYPE_CHECKING:
    from goalmap.generation.model import ModelSettings

Trace: TypeAlias = Literal["off", "messages", "verbose"]

PREFIX: Final = "goalmap"
_NOWHERE: Final = "no address"  # is no origin, so that a key of it is sent nowhere


@dataclass(frozen=True, slots=True)
class Model:
    """Which model writes. Empty texts leave the choice to the environment.

    `timeout_s` is how long the model may stay silent; `max_output_tokens` counts what it thinks, too.
    """

    base_url: str = ""
    name: str = ""
    timeout_s: float = 60.0
    max_output_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class Generation:
    """How components are generated. `naming` is that of the preferred quick fix; `review` shows the text first.

    `max_concurrency` is how many of several components a model writes at once; the embedded one writes one at a time.
    """

    naming: Naming = "autogen"
    review: bool = False
    max_concurrency: int = 2


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked of prompts. `max_tokens` of 0 sets no limit."""

    max_tokens: int = 0


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key of an editor's secret store, and the one origin that it may be sent to: none before that is known."""

    key: str = field(repr=False)
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `severities` has an entry for every code."""

    model: Model = Model()
    generation: Generation = Generation()
    prompt: Prompt = Prompt()
    severities: Mapping[str, Severity] = field(default_factory=lambda: MappingProxyType(SEVERITIES))
    trace: Trace = "off"

    def model_settings(self, environ: Mapping[str, str], *, stored_key: StoredKey | None = None) -> ModelSettings:
        """Return which model to ask: these settings before `environ`, a key from `environ` or an editor's secret store.

        `stored_key` comes before the environment's where the address that results is of its origin. The environment's
        belongs to the environment's address, and is sent to no other origin that a setting names.
        """
        from goalmap.generation.model import from_environment

        found = from_environment(environ)
        found = replace(
            found,
            base_url=self.model.base_url or found.base_url,
            name=self.model.name or found.name,
            timeout_s=self.model.timeout_s,
            max_output_tokens=self.model.max_output_tokens,
        )
        if stored_key is None:
            return found
        stored = replace(found, api_key=stored_key.key, key_origin=stored_key.origin or _NOWHERE)
        # A key that belongs elsewhere is worth a mention where the endpoint asks for one, and no reason to ask one.
        has_other = found.api_key is not None or found.base_url is None
        return stored if stored.sends_key or not has_other else found


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


__all__ = [
    "DEFAULTS",
    "Generation",
    "Model",
    "Prompt",
    "ReadSettings",
    "Settings",
    "StoredKey",
    "Trace",
    "read_settings",
]
