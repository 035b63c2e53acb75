"""The settings as frozen values, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from goalmap.core.naming import Naming
from goalmap.core.problems import SEVERITIES, Severity

if TYPE_CHECKING:
    from goalmap.generation.model_settings import ModelSettings


PREFIX: Final = "goalmap"
_NO_ORIGIN: Final = "none"  # equals no origin of an address, so a key that belongs to it is never sent


@dataclass(frozen=True, slots=True)
class Model:
    """Which model writes. An empty text leaves the choice to the environment.

    `timeout_s` limits the model's silence; `max_output_tokens` includes the tokens of its thoughts.
    """

    base_url: str = ""
    name: str = ""
    timeout_s: float = 60.0
    max_output_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class Generation:
    """How components are generated. `naming` is that of the preferred quick fix; `review` asks before a commit.

    `max_concurrency` is how many components an endpoint writes at once; the embedded model writes one at a time.
    """

    naming: Naming = "autogen"
    review: bool = False
    max_concurrency: int = 2


@dataclass(frozen=True, slots=True)
class Prompt:
    """Limits of prompts; `max_tokens` of 0 is none."""

    max_tokens: int = 0


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key of an editor's secret store, and the one origin that it may be sent to; None while that is unknown."""

    key: str = field(repr=False)
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `severities` has an entry for every code."""

    model: Model = Model()
    generation: Generation = Generation()
    prompt: Prompt = Prompt()
    severities: Mapping[str, Severity] = field(default_factory=lambda: MappingProxyType(SEVERITIES))

    def model_settings(self, environ: Mapping[str, str], *, stored_key: StoredKey | None = None) -> ModelSettings:
        """Return which model to ask. These settings override `environ`.

        `stored_key` overrides the key of `environ` if the resulting address has its origin. The key of `environ` is
        sent to the address of `environ` only, not to another origin that a setting names.
        """
        from goalmap.generation.model_settings import from_environment

        model = from_environment(environ)
        model = replace(
            model,
            base_url=self.model.base_url or model.base_url,
            name=self.model.name or model.name,
            timeout_s=self.model.timeout_s,
            max_output_tokens=self.model.max_output_tokens,
        )
        if stored_key is None:
            return model
        stored = replace(model, api_key=stored_key.key, key_origin=stored_key.origin or _NO_ORIGIN)
        # A stored key of another origin is kept only so that the error of an endpoint that asks for a key can name it.
        has_other = model.api_key is not None or model.base_url is None
        return stored if stored.sends_key or not has_other else model


DEFAULTS: Final = Settings()


class ReadSettings(NamedTuple):
    """Settings, and a message for each rejected value, which begins with the setting's full name."""

    settings: Settings
    problems: tuple[str, ...]
