"""One streamed reply from an endpoint that speaks OpenAI's chat protocol.

A key is bound to the origin it came with (scheme, host, port) and is sent to no other: an address in the settings of a
workspace cannot collect the key of another endpoint. The key is set on each request just before it is sent, so neither
the SDK's objects nor its log ever hold it. Redirects are not followed.

The SDK takes a second to import; it is imported when a reply is wanted, in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from goalmap.generation import failures
from goalmap.generation.errors import ModelError
from goalmap.generation.model_settings import DEFAULT_BASE_URL, DEFAULT_MODEL_NAME, ModelSettings

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence

    import openai

_T = TypeVar("_T")


# A user is waiting: a longer pause is reported as an error.
_MAX_PAUSE_S = 10.0
_CONNECT_TIMEOUT_S = 10.0
# A component is a few kilobytes. An endpoint that sends more than this is broken or hostile.
_MAX_TEXT_CHARS = 2 * 1024 * 1024
# The events around the text may be a hundred times as long: a few hundred bytes for each token, those of a model's
# thoughts included. No event is kept, so only a single long event costs memory.
_MAX_WIRE_BYTES = 64 * 1024 * 1024
_MAX_EVENT_BYTES = 8 * 1024 * 1024
_END_OF_EVENT = re.compile(rb"\n\n|\r\n\r\n|\r\r")

_END = object()

# The SDK adds others from the environment (OPENAI_CUSTOM_HEADERS, OPENAI_ORG_ID, the machine's platform), which were
# not meant for every endpoint.
_SENT_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "transfer-encoding"}
    | {"user-agent"}
)
_OPENAI_ACCOUNT_HEADERS = frozenset({"openai-organization", "openai-project"})


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply. The last one has the endpoint's `finish_reason`, such as `stop` or `length`."""

    text: str
    finish_reason: str | None = None


async def stream_completion(
    messages: Sequence[Mapping[str, str]],
    settings: ModelSettings,
    *,
    seed: int | None = None,
    extra_body: Mapping[str, object] | None = None,
) -> AsyncGenerator[Delta, None]:
    """Yield the reply to `messages` as it arrives; the last piece has the finish reason.

    Raises `ModelError`, and nothing else but cancellation. A request that failed before anything arrived is sent again
    up to `settings.max_retries` times where the endpoint is busy or broken. After a timeout it is not: it may have been
    billed, which is why the SDK's own retries are off. Closing the iterator (`contextlib.aclosing`) or cancelling the
    task closes the connection at once. `extra_body` has parameters beyond OpenAI's, such as llama.cpp's `grammar`.
    """
    problem = settings.problem()
    if problem is not None:
        raise problem
    for attempt in range(settings.max_retries + 1):
        failure: ModelError
        async with contextlib.aclosing(_request(messages, settings, seed, extra_body)) as pieces:
            try:
                async for piece in pieces:
                    yield piece
            except ModelError as error:
                failure = error
            else:
                return
        pause_s = 0.5 * 2**attempt if failure.retry_after_s is None else failure.retry_after_s
        if not failure.retryable or attempt == settings.max_retries or pause_s > _MAX_PAUSE_S:
            raise failure
        await asyncio.sleep(pause_s)


async def _request(
    messages: Sequence[Mapping[str, str]],
    settings: ModelSettings,
    seed: int | None,
    extra_body: Mapping[str, object] | None,
) -> AsyncGenerator[Delta, None]:
    await asyncio.to_thread(importlib.import_module, "openai")
    failure: ModelError | None = None
    try:
        client = _client(settings)
    except Exception as error:  # noqa: BLE001 - the environment's certificates and proxies are read here
        failure = failures.from_environment_fault(error, settings)
    if failure is not None:  # raised here for the same reason as below
        raise failure
    request: dict[str, Any] = {
        "model": settings.name or DEFAULT_MODEL_NAME,
        "messages": list(messages),
        "stream": True,
        _limit_parameter(settings): settings.max_output_tokens,
        "extra_body": dict(extra_body or {}),
    }
    if seed is not None:
        request["seed"] = seed
    stream: openai.AsyncStream[Any] | None = None
    text_chars = 0
    try:
        stream = await _within(client.chat.completions.create(**request), settings)
        events = _events(stream, settings)
        while True:
            chunk = await _within(anext(events, _END), settings)
            if chunk is _END:
                failure = failures.CLOSED.error(settings)
                break
            piece = _piece(chunk, settings)
            # Hundreds of events may have come at once: let other tasks run between them.
            await asyncio.sleep(0)
            text_chars += len(piece.text)
            if text_chars > _MAX_TEXT_CHARS:
                failure = failures.TOO_LARGE.error(settings, size=f"{_MAX_TEXT_CHARS // 1024**2} million characters")
                break
            if piece.finish_reason is not None and not text_chars:
                is_cut = piece.finish_reason == "length"
                failure = (failures.ALL_TOKENS_USED if is_cut else failures.EMPTY).error(settings)
                break
            if piece.text or piece.finish_reason is not None:
                yield piece
            # Only a count of tokens may follow, and an end that some proxies delay.
            if piece.finish_reason is not None:
                return
    except ModelError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - an SDK may raise anything over garbage; cancellation is no Exception
        failure = failures.from_exception(error, settings)
    finally:
        if stream is not None:
            await stream.close()
        await client.close()
    # Raised here and not above, so that no exception that knows the request, and its key, becomes its context.
    raise failure


def _client(settings: ModelSettings) -> openai.AsyncOpenAI:
    import openai

    url = urlsplit(settings.base_url or DEFAULT_BASE_URL)
    host = url.hostname or ""
    is_openai = host == "api.openai.com"
    is_loopback = settings.is_loopback
    kept = _SENT_HEADERS | (_OPENAI_ACCOUNT_HEADERS if is_openai and settings.sends_key else frozenset())

    async def set_headers(request: Any) -> None:
        for name in set(request.headers) - kept:
            del request.headers[name]
        if settings.sends_key:
            request.headers["authorization"] = f"Bearer {settings.api_key}"

    async def limit_size(response: Any) -> None:
        response.aiter_bytes = _limited(response.aiter_bytes, settings)

    transport = openai.DefaultAsyncHttpxClient(
        follow_redirects=False,
        # An endpoint on this machine is reached without a proxy, which would see its key.
        trust_env=not is_loopback,
        # The embedded model is reached without TLS, and to load all certificates takes longer than to write a sentence.
        verify=_own_certificates() if is_loopback and url.scheme == "https" else not is_loopback,
        event_hooks={"request": [set_headers], "response": [limit_size]},
    )
    return openai.AsyncOpenAI(
        api_key="set-by-the-hook",
        base_url=settings.base_url or DEFAULT_BASE_URL,
        timeout=openai.Timeout(settings.timeout_s, connect=min(_CONNECT_TIMEOUT_S, settings.timeout_s)),
        max_retries=0,
        http_client=transport,
    )


def _own_certificates() -> ssl.SSLContext | bool:
    """Return the certificates of SSL_CERT_FILE and SSL_CERT_DIR, which a client with `trust_env=False` ignores."""
    import ssl

    cafile, capath = os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None
    return ssl.create_default_context(cafile=cafile, capath=capath) if cafile or capath else True


def _limit_parameter(settings: ModelSettings) -> str:
    # OpenAI's reasoning models know only the new name, most other engines only the old one.
    host = urlsplit(settings.base_url or DEFAULT_BASE_URL).hostname or ""
    return "max_completion_tokens" if host.endswith(("api.openai.com", ".openai.azure.com")) else "max_tokens"


def _limited(read: Callable[..., AsyncIterator[bytes]], settings: ModelSettings) -> Callable[..., AsyncIterator[bytes]]:
    async def limited(*args: Any) -> AsyncIterator[bytes]:
        size_bytes = event_bytes = 0
        end = b""
        async for chunk in read(*args):
            size_bytes += len(chunk)
            event_bytes += len(chunk)
            for match in _END_OF_EVENT.finditer(end + chunk):
                event_bytes = len(end) + len(chunk) - match.end()
            end = (end + chunk)[-3:]
            for taken_bytes, limit_bytes in ((size_bytes, _MAX_WIRE_BYTES), (event_bytes, _MAX_EVENT_BYTES)):
                if taken_bytes > limit_bytes:
                    raise failures.TOO_LARGE.error(settings, size=f"{limit_bytes // 1024**2} MB")
            yield chunk

    return limited


async def _within(step: Awaitable[_T], settings: ModelSettings) -> _T:
    # The SDK's own timeout is reset by every byte: a server may send half a line, or nothing but keep-alives.
    try:
        async with asyncio.timeout(settings.timeout_s):
            return await step
    except TimeoutError:
        raise failures.SILENT.error(settings) from None


def _events(stream: Any, settings: ModelSettings) -> AsyncIterator[Any]:
    content_type = stream.response.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() in {"text/html", "application/json"}:
        raise failures.NOT_A_STREAM.error(settings)
    return aiter(stream)


def _piece(chunk: Any, settings: ModelSettings) -> Delta:
    """Return what one event of the stream adds. The SDK does not validate events, so any JSON may come."""
    choices = getattr(chunk, "choices", None)
    if not isinstance(choices, list):
        raise failures.NOT_A_REPLY.error(settings)
    if not choices:
        return Delta("")
    delta = getattr(choices[0], "delta", None)
    text = getattr(delta, "content", None) or ""
    finish_reason = getattr(choices[0], "finish_reason", None) or None
    refusal = getattr(delta, "refusal", None)
    if not isinstance(text, str) or not isinstance(finish_reason, str | None):
        raise failures.NOT_A_REPLY.error(settings)
    if isinstance(refusal, str) and refusal.strip():
        raise failures.DECLINED.error(settings)
    return Delta(text, finish_reason)
