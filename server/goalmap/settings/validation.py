"""Validation of settings, with pydantic."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from goalmap.core.naming import Naming
from goalmap.core.near_names import near_names
from goalmap.core.problems import SEVERITIES, Severity
from goalmap.settings.values import DEFAULTS, PREFIX, Generation, Model, Prompt, ReadSettings, Settings

# Settings that only editors read: how the server is started, and what they log.
_EDITORS_OWN: Final = ("server.", "trace.")
_KEY_NAMES: Final = frozenset({"model.apikey", "model.api_key", "model.key", "apikey", "api_key"})


def _address(value: str) -> str:
    if not value:
        return value
    parts = urlsplit(value)  # a ValueError of its own where the port is no number
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("should be an address such as https://api.openai.com/v1")
    if parts.username or parts.password:
        raise ValueError("should hold no user or password: the key goes into GOALMAP_API_KEY")
    return value


class _Plain(BaseModel):
    """The settings that are not severities, by the names that users write."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    base_url: Annotated[str, AfterValidator(_address)] = Field(DEFAULTS.model.base_url, alias="model.baseUrl")
    model_name: str = Field(DEFAULTS.model.name, alias="model.name")
    timeout_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = Field(
        DEFAULTS.model.timeout_s, alias="model.timeoutSeconds"
    )
    max_output_tokens: Annotated[int, Field(ge=1, le=100_000)] = Field(
        DEFAULTS.model.max_output_tokens, alias="model.maxOutputTokens"
    )
    naming: Naming = Field(DEFAULTS.generation.naming, alias="generation.naming")
    review: bool = Field(DEFAULTS.generation.review, alias="generation.review")
    max_concurrency: Annotated[int, Field(ge=1, le=16)] = Field(
        DEFAULTS.generation.max_concurrency, alias="generation.maxConcurrency"
    )
    max_tokens: Annotated[int, Field(ge=0)] = Field(DEFAULTS.prompt.max_tokens, alias="prompt.maxTokens")


def _with_severities() -> type[_Plain]:
    fields: dict[str, Any] = {
        _field_of(code): (Severity, Field(severity, alias=f"diagnostics.{code}"))
        for code, severity in SEVERITIES.items()
    }
    return create_model("AllSettings", __base__=_Plain, **fields)


def _field_of(code: str) -> str:
    return "severity_" + code.replace(".", "_").replace("-", "_")


_All = _with_severities()
_ALIASES: Final = frozenset(str(field.alias) for field in _All.model_fields.values())


def validated(flat: dict[str, Any]) -> ReadSettings:
    """Return the settings in `flat`, whose names lack `goalmap.`, and a message for each that is unknown or invalid."""
    problems = [_unknown(name) for name in sorted(flat) if name not in _ALIASES and not name.startswith(_EDITORS_OWN)]
    flat = {name: value for name, value in flat.items() if name in _ALIASES}
    try:
        valid = _All.model_validate(flat)
    except ValidationError as error:
        for fault in error.errors():
            name = str(fault["loc"][0])
            if flat.pop(name, None) is not None:
                reason = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
                # An address may hold a password, so it is not repeated.
                given = "" if name == "model.baseUrl" else f", not {_shown(fault['input'])}"
                problems.append(f"{PREFIX}.{name} {reason[0].lower()}{reason[1:]}{given}")
        valid = _All.model_validate(flat)
    severities = {code: getattr(valid, _field_of(code)) for code in SEVERITIES}
    settings = Settings(
        model=Model(valid.base_url, valid.model_name, valid.timeout_s, valid.max_output_tokens),
        generation=Generation(valid.naming, valid.review, valid.max_concurrency),
        prompt=Prompt(valid.max_tokens),
        severities=MappingProxyType(severities),
    )
    return ReadSettings(settings, tuple(problems))


def _unknown(name: str) -> str:
    if name.lower() in _KEY_NAMES:
        return (
            f"{PREFIX}.{name} is not read: settings end up in repositories. Put the key into GOALMAP_API_KEY or "
            "OPENAI_API_KEY, or into the editor's secret store"
        )
    near = near_names(name, sorted(_ALIASES), limit=1)
    return f"{PREFIX}.{name} is no setting" + (f"; did you mean {PREFIX}.{near[0]}?" if near else "")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "…"  # noqa: PLR2004 - a message is one line


__all__ = ["validated"]
