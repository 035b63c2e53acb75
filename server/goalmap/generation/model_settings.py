"""Which model to ask, and where its key may be sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from goalmap.generation.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL_NAME = "gpt-5.4-mini"
DEFAULT_TIMEOUT_S = 60.0
DEFAULT_MAX_OUTPUT_TOKENS = 4096
DEFAULT_MAX_RETRIES = 2

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class ModelSettings:
    """Which model to ask, and how long to wait for it.

    `base_url` None is OpenAI's own address; with neither `base_url` nor `api_key` no endpoint is configured, and the
    embedded model is used. `timeout_s` limits the endpoint's silence, not the length of the reply. `key_origin` is the
    one origin the key may be sent to: by default that of `base_url` when the key was given, so
    `dataclasses.replace(settings, base_url=…)` never sends the key to another origin.
    """

    base_url: str | None = None
    name: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = DEFAULT_TIMEOUT_S
    max_output_tokens: int = DEFAULT_MAX_OUTPUT_TOKENS
    max_retries: int = DEFAULT_MAX_RETRIES
    key_origin: str | None = None

    def __post_init__(self) -> None:
        if self.api_key is not None and self.key_origin is None:
            object.__setattr__(self, "key_origin", origin(self.base_url or DEFAULT_BASE_URL))

    @property
    def is_configured(self) -> bool:
        """Whether an endpoint is named; else the embedded model is used."""
        return self.base_url is not None or self.api_key is not None

    @property
    def address(self) -> str:
        """The endpoint's address, safe to show: without user, password and query."""
        parts = urlsplit(self.base_url or DEFAULT_BASE_URL)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is on this machine, and so reached without a proxy."""
        return urlsplit(self.base_url or DEFAULT_BASE_URL).hostname in _LOOPBACK_HOSTS

    @property
    def sends_key(self) -> bool:
        """Whether a request to `base_url` carries the key."""
        return self.api_key is not None and self.key_origin == (origin(self.base_url or DEFAULT_BASE_URL) or "")

    def problem(self) -> ModelError | None:
        """Return why no request can be made with these settings, or None."""
        base_url = self.base_url or DEFAULT_BASE_URL
        if origin(base_url) is None:
            return ModelError(
                "bad-settings",
                "The model’s address is not an http:// or https:// address.",
                "Correct goalmap.model.baseUrl, or GOALMAP_MODEL_BASE_URL: for example http://localhost:8000/v1.",
            )
        if "@" in urlsplit(base_url).netloc:
            return ModelError(
                "bad-settings",
                "The model’s address holds a user name or a password.",
                "Take it out of the address, and put the key into GOALMAP_API_KEY or the editor’s secret store.",
            )
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            return ModelError(
                "bad-settings",
                "The key holds characters that no key has: it may have been copied with something else.",
                "Set GOALMAP_API_KEY or OPENAI_API_KEY again.",
            )
        return None


def origin(url: str) -> str | None:
    """Return scheme, host and port of `url` in one spelling (RFC 6454), or None where it is no http(s) address."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname.rstrip('.')}:{port}"


def from_environment(environ: Mapping[str, str]) -> ModelSettings:
    """Return what the environment says: `GOALMAP_*` before `OPENAI_*`, an empty variable counts as unset.

    `OPENAI_API_KEY` belongs to `OPENAI_BASE_URL`, or to OpenAI where that is unset: it is not sent to a
    `GOALMAP_MODEL_BASE_URL` of another origin. `GOALMAP_API_KEY` belongs to the address that results.
    """

    def value_of(name: str) -> str | None:
        return environ.get(name, "").strip() or None

    openai_base_url = value_of("OPENAI_BASE_URL")
    base_url = value_of("GOALMAP_MODEL_BASE_URL") or openai_base_url
    goalmap_key = value_of("GOALMAP_API_KEY")
    address_of_key = base_url if goalmap_key else openai_base_url
    return ModelSettings(
        base_url=base_url,
        name=value_of("GOALMAP_MODEL_NAME"),
        api_key=goalmap_key or value_of("OPENAI_API_KEY"),
        # An address that cannot be read has no origin, and so no key.
        key_origin=origin(address_of_key or DEFAULT_BASE_URL) or "none",
    )
