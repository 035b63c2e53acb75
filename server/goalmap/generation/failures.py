"""What can go wrong between Goalmap and a model, said to a person: what happened, and the next step.

Nothing here holds a key. Words of the endpoint are quoted only after they were cleaned, shortened and searched for
the key, and not at all where they are about the key itself. Imports wait until there is a failure: this module is on
the way to the first diagnostics.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import openai

    from goalmap.generation.model import ModelSettings

FailureKind = Literal[
    "not-configured",
    "bad-settings",
    "connection",
    "tls",
    "unauthorized",
    "not-found",
    "rate-limited",
    "rejected",
    "redirected",
    "server-error",
    "timeout",
    "closed",
    "garbage",
    "empty",
    "refused",
    "local",
]

_MAX_QUOTE_CHARS = 200
# Up to here seconds are easier to picture than minutes.
_MAX_PLAIN_SECONDS = 180
_REDIRECTION, _SERVER_ERROR = 3, 5
_TRY_AGAIN = "Run it again in a moment."


class ModelError(Exception):
    """The model gave no reply that could be used; nothing was committed.

    `kind` is for programs, `message` and `next_step` are sentences for people. `retry_after_s` is how long the
    endpoint asked to wait, if it said so. `retryable` is true where nothing had arrived yet and the same request
    may succeed by itself.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        next_step: str,
        *,
        retry_after_s: float | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, next_step)
        self.kind = kind
        self.message = message
        self.next_step = next_step
        self.retry_after_s = retry_after_s
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}"


def inactivity(settings: ModelSettings) -> ModelError:
    """Return the failure of an endpoint that said nothing for `timeout_s`, before its answer or within it."""
    return ModelError(
        "timeout",
        f"{settings.address} sent nothing for {seconds(settings.timeout_s)}.",
        "Run it again; if the model needs longer, raise goalmap.model.timeoutSeconds.",
    )


def from_exception(error: BaseException, settings: ModelSettings) -> ModelError:
    """Return the failure behind an exception that the openai SDK raised while it talked to an endpoint."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _from_status(error, settings)
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return inactivity(settings)
    if isinstance(error, openai.APIConnectionError):
        return _from_connection(error, settings)
    if isinstance(error, openai.APIError):
        said = _quoted(error.body or error.message, settings.api_key)
        return ModelError("server-error", f"{settings.address} broke off its reply with an error{said}.", _TRY_AGAIN)
    return garbage(settings)


def from_environment_fault(error: BaseException) -> ModelError:
    """Return the failure behind an exception that came before any request: from the environment's certs or proxies."""
    # What the exception says is not repeated: the address of a proxy may hold a password.
    if isinstance(error, OSError):  # ssl.SSLError is one
        return ModelError(
            "bad-settings",
            "The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read.",
            "Let SSL_CERT_FILE name a file of certificates in PEM format, or unset it.",
        )
    return ModelError(
        "bad-settings",
        "The proxy that the environment names cannot be used.",
        "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: for example http://proxy.example:3128.",
    )


def garbage(settings: ModelSettings) -> ModelError:
    """Return the failure of an endpoint that does not speak the protocol."""
    return ModelError(
        "garbage",
        f"{settings.address} sent something that is not a reply of a chat model.",
        "Check that goalmap.model.baseUrl names an endpoint that speaks OpenAI’s protocol; it often ends in /v1.",
    )


def _from_status(error: openai.APIStatusError, settings: ModelSettings) -> ModelError:
    from http import HTTPStatus

    address, status, headers = settings.address, error.status_code, error.response.headers
    said = _quoted(error.body, settings.api_key)
    first_digit = status // 100
    if first_digit == _REDIRECTION:
        return ModelError(
            "redirected",
            f"{address} redirects to another address ({status}), and Goalmap follows none with a key in hand.",
            "Set goalmap.model.baseUrl to the final address.",
        )
    match status:
        case HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return _from_proxy(settings, "asks for a user and a password (407)")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            if settings.api_key is not None and not settings.sends_key:
                return ModelError(
                    "unauthorized",
                    f"{address} asks for a key ({status}). Goalmap has one, but it belongs to {settings.key_origin} "
                    "and was not sent.",
                    "Set GOALMAP_MODEL_BASE_URL and GOALMAP_API_KEY together, or the key for this address in the "
                    "editor.",
                )
            what = "does not accept the key" if status == HTTPStatus.UNAUTHORIZED else "does not permit this request"
            return ModelError(
                "unauthorized",
                f"{address} {what} ({status}).",
                "Check GOALMAP_API_KEY or OPENAI_API_KEY, or the key kept by the editor: it has to belong to this "
                "address, and to be allowed to use the model.",
            )
        case HTTPStatus.NOT_FOUND:
            return ModelError(
                "not-found",
                f"{address} knows no such model or path (404){said}.",
                "Check goalmap.model.name, or GOALMAP_MODEL_NAME, against the models that the endpoint offers, and "
                "that the address is complete; it often ends in /v1.",
            )
        case HTTPStatus.TOO_MANY_REQUESTS:
            return _rate_limited(error, address, said, headers)
    if first_digit == _SERVER_ERROR:
        return ModelError(
            "server-error",
            f"{address} failed ({status}){said}.",
            _TRY_AGAIN,
            retry_after_s=retry_after_s(headers),
            retryable=True,
        )
    return ModelError(
        "rejected",
        f"{address} does not accept the request ({status}){said}.",
        "Check goalmap.model.name and goalmap.model.maxOutputTokens against what the endpoint supports.",
    )


def _rate_limited(error: openai.APIStatusError, address: str, said: str, headers: Mapping[str, str]) -> ModelError:
    if error.code == "insufficient_quota":
        return ModelError(
            "rate-limited",
            f"The account at {address} has no credit left (429){said}.",
            "Add credit to the account, or set another key.",
        )
    wait_s = retry_after_s(headers)
    if wait_s is None:
        return ModelError(
            "rate-limited", f"{address} has too many requests just now (429){said}.", _TRY_AGAIN, retryable=True
        )
    return ModelError(
        "rate-limited",
        f"{address} has too many requests just now (429) and asks to wait {seconds(wait_s)}.",
        f"Run it again in {seconds(wait_s)}.",
        retry_after_s=wait_s,
        retryable=True,
    )


def _from_connection(error: BaseException, settings: ModelSettings) -> ModelError:
    import socket
    import ssl
    from http import HTTPStatus

    address = settings.address
    causes = list(_causes(error))
    refused = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        reason = _clean(getattr(refused, "verify_message", ""))
        return ModelError(
            "tls",
            f"The certificate of {address} is not trusted{f': {reason}' if reason else ''}.",
            "Set SSL_CERT_FILE to a file with the certificate of the authority that signed it, in PEM format, and "
            "start the editor or the command again.",
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return ModelError(
            "tls",
            f"No secure connection to {address}.",
            "Check that the address begins with the right one of http:// and https://.",
        )
    refusal = next((str(cause) for cause in causes if type(cause).__name__ == "ProxyError"), None)
    if refusal is not None:
        asks = refusal.startswith(str(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value))
        status = f" ({refusal[:3]})" if refusal[:3].isdigit() else ""
        return _from_proxy(settings, f"{'asks for a user and a password' if asks else 'refuses'}{status}")
    if proxy_of(settings) and any(isinstance(cause, socket.gaierror | ConnectionRefusedError) for cause in causes):
        return _from_proxy(settings, "does not answer")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return ModelError(
            "connection",
            f"The name in {address} cannot be found.",
            "Check goalmap.model.baseUrl, or GOALMAP_MODEL_BASE_URL, for a slip, and the network.",
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return ModelError(
            "connection",
            f"Nothing answers at {address}.",
            "Start the model’s server, or correct goalmap.model.baseUrl.",
        )
    # The transport's own names, because the SDK may stand on either of two HTTP libraries.
    if any(type(cause).__name__ in {"RemoteProtocolError", "ReadError", "EndOfStream"} for cause in causes):
        return closed(settings)
    return ModelError(
        "connection", f"No connection to {address}.", "Check the network, the proxy and goalmap.model.baseUrl."
    )


def proxy_of(settings: ModelSettings) -> str | None:
    """Return the environment's proxy for the endpoint, without user and password; None where it is reached directly."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    url = urlsplit(settings.address)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or settings.is_loopback or proxy_bypass(url.hostname or ""):
        return None
    return (proxy if "://" in proxy else f"http://{proxy}").rpartition("@")[2].rpartition("//")[2].rstrip("/")


def _from_proxy(settings: ModelSettings, what: str) -> ModelError:
    return ModelError(
        "connection",
        f"The proxy {proxy_of(settings) or 'of the environment'} {what} on the way to {settings.address}.",
        "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, and the user and password in them; NO_PROXY names the hosts that "
        "are reached without a proxy.",
    )


def closed(settings: ModelSettings) -> ModelError:
    """Return the failure of a reply that ended before its end was announced."""
    return ModelError(
        "closed",
        f"{settings.address} closed the connection before the reply was complete.",
        "Run it again; the incomplete text was not used.",
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the wait that `Retry-After` asks for: seconds, or a date (RFC 9110, 10.2.3); None if it says nothing."""
    import email.utils
    import time

    value = headers.get("retry-after", "").strip()
    try:
        wait_s = float(value)
    except ValueError:
        try:
            wait_s = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, wait_s) if math.isfinite(wait_s) else None


def seconds(duration_s: float) -> str:
    """Return a duration in words: `1 second`, `90 seconds`, `3 minutes`."""
    whole = math.ceil(duration_s)
    if whole > _MAX_PLAIN_SECONDS:
        return f"{math.ceil(whole / 60)} minutes"
    return "1 second" if whole == 1 else f"{whole} seconds"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and everything it came from; connection attempts fail in groups, one member per address."""
    pending, seen = [error], set[int]()
    while pending:
        cause = pending.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending.extend(link for link in (cause.__cause__, cause.__context__) if link is not None)
        if isinstance(cause, BaseExceptionGroup):
            pending.extend(cause.exceptions)


def _quoted(body: object, secret: str | None) -> str:
    """Return the endpoint's own words as `: “…”`, or nothing where it had none that a person could read."""
    if isinstance(body, dict):
        body = body.get("message") or body.get("error") or body.get("detail")
    if isinstance(body, dict):
        body = body.get("message")
    if not isinstance(body, str) or "<html" in body.lower():
        return ""
    if secret:
        body = body.replace(secret, "…")
    words = _clean(body)
    if len(words) > _MAX_QUOTE_CHARS:
        words = words[:_MAX_QUOTE_CHARS].rstrip() + "…"
    return f": “{words.rstrip('.')}”" if words else ""


def _clean(text: str) -> str:
    """Return `text` on one line, without what could steer a terminal or hide among the letters."""
    kept = (" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return re.sub(r" +", " ", "".join(kept)).strip()
