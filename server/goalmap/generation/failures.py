"""What can go wrong between Goalmap and a model: for each status and exception a message and a next step for a person.

Nothing here holds a key. Words of the endpoint are quoted only after they were cleaned, shortened and searched for
the key, and not at all where they are about the key itself. Imports wait until there is a failure: this module is on
the way to the first diagnostics.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from goalmap.generation.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import openai

    from goalmap.generation.errors import FailureKind
    from goalmap.generation.model_settings import ModelSettings

_MAX_QUOTE_CHARS: Final = 200
# Up to here seconds are easier to picture than minutes.
_MAX_PLAIN_SECONDS: Final = 180


class Failure(NamedTuple):
    """A row of the table: `message` and `next_step` are format strings."""

    kind: FailureKind
    message: str
    next_step: str
    retryable: bool = False

    def error(self, settings: ModelSettings, *, retry_after_s: float | None = None, **values: object) -> ModelError:
        """Return this failure of the endpoint of `settings`, with what that says and `values` filled in."""
        values |= {"address": settings.address, "timeout": seconds(settings.timeout_s)}
        values |= {"max_tokens": settings.max_output_tokens}
        message, next_step = self.message.format_map(values), self.next_step.format_map(values)
        return ModelError(self.kind, message, next_step, retry_after_s=retry_after_s, retryable=self.retryable)


# -- the table -------------------------------------------------------------------------------------------------------
_TRY_AGAIN: Final = "Run it again in a moment."
_CHECK_KEY: Final = (
    "Check GOALMAP_API_KEY or OPENAI_API_KEY, or the key kept by the editor: it has to belong to this address, and to "
    "be allowed to use the model."
)
_SOME_PROXY: Final = "of the environment"
_CHECK_PROTOCOL: Final = "Check that goalmap.model.baseUrl names an endpoint that speaks OpenAI’s protocol"

CLOSED: Final = Failure(
    "closed",
    "{address} closed the connection before the reply was complete.",
    "Run it again; the incomplete text was not used.",
)
SILENT: Final = Failure(
    "timeout",
    "{address} sent nothing for {timeout}.",
    "Run it again; if the model needs longer, raise goalmap.model.timeoutSeconds.",
)
NOT_A_REPLY: Final = Failure(
    "garbage",
    "{address} sent something that is not a reply of a chat model.",
    f"{_CHECK_PROTOCOL}; it often ends in /v1.",
)
NOT_A_STREAM: Final = Failure(
    "garbage",
    "{address} answered with a document instead of a stream of text.",
    f"{_CHECK_PROTOCOL} with streaming; it often ends in /v1.",
)
TOO_LARGE: Final = Failure(
    "garbage", "{address} sent more than {size}.", "Check that goalmap.model.baseUrl names a chat model."
)
EMPTY: Final = Failure("empty", "{address} sent an empty reply.", "Run it again, or choose another model.")
ALL_TOKENS_USED: Final = Failure(
    "refused",
    "The model used all of its {max_tokens} tokens before it wrote anything.",
    "Raise goalmap.model.maxOutputTokens: models that think first need several thousand.",
)
DECLINED: Final = Failure("refused", "The model declined to write this.", "Describe the component in other words.")

_BROKEN_OFF: Final = Failure("server-error", "{address} broke off its reply with an error{quote}.", _TRY_AGAIN)
_KEY_OF_ANOTHER_ADDRESS: Final = Failure(
    "unauthorized",
    "{address} asks for a key ({status}). Goalmap has one, but it belongs to {key_origin} and was not sent.",
    "Set GOALMAP_MODEL_BASE_URL and GOALMAP_API_KEY together, or the key for this address in the editor.",
)
_NO_CREDIT: Final = Failure(
    "rate-limited",
    "The account at {address} has no credit left (429){quote}.",
    "Add credit to the account, or set another key.",
)
_TOO_MANY_REQUESTS: Final = Failure(
    "rate-limited", "{address} has too many requests just now (429){quote}.", _TRY_AGAIN, retryable=True
)
_TOO_MANY_REQUESTS_WAIT: Final = Failure(
    "rate-limited",
    "{address} has too many requests just now (429) and asks to wait {wait}.",
    "Run it again in {wait}.",
    retryable=True,
)
_REJECTED: Final = Failure(
    "rejected",
    "{address} does not accept the request ({status}){quote}.",
    "Check goalmap.model.name and goalmap.model.maxOutputTokens against what the endpoint supports.",
)
_PROXY: Final = Failure(
    "connection",
    "The proxy {proxy} {did} on the way to {address}.",
    "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, and the user and password in them; NO_PROXY names the hosts that are "
    "reached without a proxy.",
)
_BY_STATUS: Final = {
    401: Failure("unauthorized", "{address} does not accept the key (401).", _CHECK_KEY),
    403: Failure("unauthorized", "{address} does not permit this request (403).", _CHECK_KEY),
    404: Failure(
        "not-found",
        "{address} knows no such model or path (404){quote}.",
        "Check goalmap.model.name, or GOALMAP_MODEL_NAME, against the models that the endpoint offers, and that the "
        "address is complete; it often ends in /v1.",
    ),
    407: _PROXY,
    429: _TOO_MANY_REQUESTS,
}
# By the first digit of a status that is not in the table above.
_BY_STATUS_CLASS: Final = {
    3: Failure(
        "redirected",
        "{address} redirects to another address ({status}), and Goalmap follows none with a key in hand.",
        "Set goalmap.model.baseUrl to the final address.",
    ),
    5: Failure("server-error", "{address} failed ({status}){quote}.", _TRY_AGAIN, retryable=True),
}
# By the name of an exception's class, the first that matches: the SDK may stand on either of two HTTP libraries.
_BY_CAUSE: Final = {
    "SSLCertVerificationError": Failure(
        "tls",
        "The certificate of {address} is not trusted{reason}.",
        "Set SSL_CERT_FILE to a file with the certificate of the authority that signed it, in PEM format, and start "
        "the editor or the command again.",
    ),
    "SSLError": Failure(
        "tls",
        "No secure connection to {address}.",
        "Check that the address begins with the right one of http:// and https://.",
    ),
    "ProxyError": _PROXY,
    "gaierror": Failure(
        "connection",
        "The name in {address} cannot be found.",
        "Check goalmap.model.baseUrl, or GOALMAP_MODEL_BASE_URL, for a slip, and the network.",
    ),
    "ConnectionRefusedError": Failure(
        "connection",
        "Nothing answers at {address}.",
        "Start the model’s server, or correct goalmap.model.baseUrl.",
    ),
    "RemoteProtocolError": CLOSED,
    "ReadError": CLOSED,
    "EndOfStream": CLOSED,
}
_NO_CONNECTION: Final = Failure(
    "connection", "No connection to {address}.", "Check the network, the proxy and goalmap.model.baseUrl."
)
_BAD_CERTIFICATES: Final = Failure(
    "bad-settings",
    "The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read.",
    "Let SSL_CERT_FILE name a file of certificates in PEM format, or unset it.",
)
_BAD_PROXY: Final = Failure(
    "bad-settings",
    "The proxy that the environment names cannot be used.",
    "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: for example http://proxy.example:3128.",
)


# -- from an exception to a row --------------------------------------------------------------------------------------
def from_exception(error: BaseException, settings: ModelSettings) -> ModelError:
    """Return the failure behind an exception that the openai SDK raised while it talked to an endpoint."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _from_status(error, settings)
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return SILENT.error(settings)
    if isinstance(error, openai.APIConnectionError):
        return _from_connection(error, settings)
    if isinstance(error, openai.APIError):
        return _BROKEN_OFF.error(settings, quote=_quote(error.body or error.message, settings.api_key))
    return NOT_A_REPLY.error(settings)


def from_environment_fault(error: BaseException, settings: ModelSettings) -> ModelError:
    """Return the failure behind an exception that came before any request: from the environment's certs or proxies."""
    # What the exception says is not repeated: the address of a proxy may hold a password.
    is_certificate = isinstance(error, OSError)  # an ssl.SSLError is one
    return (_BAD_CERTIFICATES if is_certificate else _BAD_PROXY).error(settings)


def _from_status(error: openai.APIStatusError, settings: ModelSettings) -> ModelError:
    status = error.status_code
    failure = _BY_STATUS.get(status) or _BY_STATUS_CLASS.get(status // 100, _REJECTED)
    wait_s = retry_after_s(error.response.headers) if failure.retryable else None
    if failure.kind == "unauthorized" and settings.api_key is not None and not settings.sends_key:
        failure = _KEY_OF_ANOTHER_ADDRESS
    elif failure is _TOO_MANY_REQUESTS and error.code == "insufficient_quota":
        failure, wait_s = _NO_CREDIT, None
    elif failure is _TOO_MANY_REQUESTS and wait_s is not None:
        failure = _TOO_MANY_REQUESTS_WAIT
    return failure.error(
        settings,
        retry_after_s=wait_s,
        status=status,
        quote=_quote(error.body, settings.api_key),
        wait=seconds(wait_s or 0),
        key_origin=settings.key_origin,
        proxy=proxy_of(settings) or _SOME_PROXY,
        did="asks for a user and a password (407)",
    )


def _from_connection(error: BaseException, settings: ModelSettings) -> ModelError:
    causes = {base.__name__: cause for cause in reversed([*_causes(error)]) for base in type(cause).__mro__}
    name = next((name for name in _BY_CAUSE if name in causes), "")
    failure = _BY_CAUSE.get(name, _NO_CONNECTION)
    proxy, did = proxy_of(settings), "does not answer"
    if name == "ProxyError":
        answer = str(causes[name])  # it begins with the status, where there is one
        did = "asks for a user and a password" if answer.startswith("407") else "refuses"
        did += f" ({answer[:3]})" if answer[:3].isdigit() else ""
    elif name in ("gaierror", "ConnectionRefusedError") and proxy:
        failure = _PROXY
    reason = one_line(getattr(causes.get(name), "verify_message", ""))
    return failure.error(settings, proxy=proxy or _SOME_PROXY, did=did, reason=f": {reason}" if reason else "")


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


# -- what the messages say -------------------------------------------------------------------------------------------
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


def one_line(text: str) -> str:
    """Return `text` on one line, without what could steer a terminal or hide among the letters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _quote(body: object, key: str | None) -> str:
    """Return the endpoint's own words as `: “…”`, or nothing where it had none that a person could read."""
    if isinstance(body, dict):
        body = body.get("message") or body.get("error") or body.get("detail")
    if isinstance(body, dict):
        body = body.get("message")
    if not isinstance(body, str) or "<html" in body.lower():
        return ""
    words = one_line(body.replace(key, "…") if key else body)
    if len(words) > _MAX_QUOTE_CHARS:
        words = words[:_MAX_QUOTE_CHARS].rstrip() + "…"
    return f": “{words.rstrip('.')}”" if words else ""
