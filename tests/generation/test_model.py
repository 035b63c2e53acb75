"""Streaming from an endpoint: a real server on loopback plays every part."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import logging
import pickle
import ssl
import traceback
from typing import TYPE_CHECKING, Any

import openai
import pytest

from goalmap.generation import failures, model
from goalmap.generation.errors import ModelError
from goalmap.generation.model import Delta, stream_completion
from goalmap.generation.model_settings import (
    DEFAULT_BASE_URL,
    DEFAULT_MODEL_NAME,
    ModelSettings,
    from_environment,
    origin,
)
from support.openai_endpoint import Endpoint, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CANARY = "sk-canary-7f3e9a"
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Write a protocol. Grüße 🚀"}]
TEXT = "1. Look at the evidence – all of it.\n2. Think.\n3. Report 日本 🚀.\n"


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint() as running:
        yield running


def settings_for(endpoint: Endpoint, **changes: Any) -> ModelSettings:
    values: dict[str, Any] = {"base_url": endpoint.base_url, "name": "some-model", "api_key": CANARY}
    return ModelSettings(**{**values, "timeout_s": 30, "max_retries": 0, **changes})


async def read(settings: ModelSettings, **options: Any) -> list[Delta]:
    async with contextlib.aclosing(stream_completion(MESSAGES, settings, **options)) as pieces:
        return [piece async for piece in pieces]


async def failure(settings: ModelSettings) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await read(settings)
    error = raised.value
    assert error.message.endswith(".")
    assert error.next_step.endswith((".", "…"))
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error)
    assert CANARY not in shown
    return error


# The reply


async def test_the_reply_arrives_in_pieces_and_the_last_has_the_finish_reason(endpoint: Endpoint) -> None:
    endpoint.add(Reply(text=TEXT, chunk_chars=7))
    pieces = await read(settings_for(endpoint))
    assert "".join(piece.text for piece in pieces) == TEXT
    assert len(pieces) > 5
    assert [piece.finish_reason for piece in pieces if piece.finish_reason] == ["stop"]
    assert pieces[-1].finish_reason == "stop"


async def test_pieces_are_handed_on_before_the_reply_is_complete(endpoint: Endpoint) -> None:
    endpoint.add(Reply(text="first, second", chunk_chars=6, pause="second", pause_after=1))
    async with contextlib.aclosing(stream_completion(MESSAGES, settings_for(endpoint))) as pieces:
        assert await anext(pieces) == Delta("first,")
        await endpoint.reached("second")
        endpoint.open("second")
        assert [piece.text async for piece in pieces] == [" secon", "d", ""]


async def test_the_request_is_what_the_settings_say_and_no_more(endpoint: Endpoint) -> None:
    endpoint.add(Reply(text=TEXT))
    await read(settings_for(endpoint, max_output_tokens=321), seed=7, extra_body={"grammar": "root ::= [a-z]+"})
    request = endpoint.requests[0]
    assert request.body == {
        "model": "some-model",
        "messages": MESSAGES,
        "stream": True,
        "max_tokens": 321,
        "seed": 7,
        "grammar": "root ::= [a-z]+",
    }
    assert request.headers["authorization"] == f"Bearer {CANARY}"


async def test_what_the_environment_would_add_is_not_sent(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK reads more from the environment than Goalmap promises to send."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ambient")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-ambient-admin")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ambient")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-ambient")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "api-key: ambient\nAuthorization: Bearer ambient")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    endpoint.add(Reply(text=TEXT), Reply(text=TEXT))
    await read(settings_for(endpoint))
    await read(settings_for(endpoint, api_key=None))
    with_key, without_key = (request.headers for request in endpoint.requests)
    assert with_key["authorization"] == f"Bearer {CANARY}"
    assert "authorization" not in without_key
    assert "ambient" not in str(with_key) + str(without_key)
    assert not [name for name in with_key if name.startswith(("x-stainless", "openai-"))]


async def test_thoughts_are_no_text(endpoint: Endpoint) -> None:
    endpoint.add(Reply(reasoning="Let me think.", text=TEXT))
    assert "".join(piece.text for piece in await read(settings_for(endpoint))) == TEXT


async def test_nothing_is_waited_for_after_the_finish_reason(endpoint: Endpoint) -> None:
    """Some proxies hold the connection open; the reply is complete all the same."""
    usage = {"choices": [], "usage": {"total_tokens": 3}}
    done = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    endpoint.add(Reply(text="Fine.", events=(usage, done), pause="never", pause_after=3))
    assert [piece.text for piece in await read(settings_for(endpoint))] == ["Fine.", ""]


# What goes wrong


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, "unauthorized", "does not accept the key (401)"),
        (403, "unauthorized", "does not permit this request (403)"),
        (404, "not-found", "knows no such model or path (404): “the model `some-model` does not exist”"),
        (400, "rejected", "does not accept the request (400)"),
        (422, "rejected", "does not accept the request (422)"),
        (429, "rate-limited", "too many requests"),
        (500, "server-error", "failed (500)"),
        (503, "server-error", "failed (503)"),
        (302, "redirected", "redirects to another address (302)"),
    ],
)
async def test_an_error_status_is_explained(endpoint: Endpoint, status: int, kind: str, said: str) -> None:
    body = {"error": {"message": "the model `some-model` does not exist"}} if status == 404 else None
    endpoint.add(Reply(status=status, body=body))
    error = await failure(settings_for(endpoint))
    assert error.kind == kind
    assert said in error.message
    assert endpoint.base_url in error.message


async def test_a_redirect_is_not_followed(endpoint: Endpoint) -> None:
    async with Endpoint([Reply(text=TEXT)]) as elsewhere:
        endpoint.add(Reply(status=307, headers={"location": f"{elsewhere.base_url}/chat/completions"}))
        assert (await failure(settings_for(endpoint))).kind == "redirected"
        assert elsewhere.requests == []


async def test_a_busy_endpoint_says_how_long_to_wait(endpoint: Endpoint) -> None:
    endpoint.add(Reply(status=429, headers={"retry-after": "75"}), Reply(text=TEXT))
    error = await failure(settings_for(endpoint, max_retries=2))
    assert error.retry_after_s == 75
    assert "asks to wait 75 seconds" in error.message
    assert "Run it again in 75 seconds." in error.next_step
    assert len(endpoint.requests) == 1, "nobody is kept waiting for that long"


async def test_a_short_wait_is_sat_out(endpoint: Endpoint) -> None:
    busy = Reply(status=429, headers={"retry-after": "0"})
    endpoint.add(busy, Reply(status=503, headers={"retry-after": "0"}), Reply(text=TEXT))
    assert "".join(piece.text for piece in await read(settings_for(endpoint, max_retries=2))) == TEXT
    endpoint.add(busy, busy, busy)
    assert (await failure(settings_for(endpoint, max_retries=2))).kind == "rate-limited"
    assert len(endpoint.requests) == 6


async def test_an_account_without_credit_is_not_asked_again(endpoint: Endpoint) -> None:
    body = {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}
    endpoint.add(Reply(status=429, body=body))
    error = await failure(settings_for(endpoint, max_retries=2))
    assert "no credit left" in error.message
    assert len(endpoint.requests) == 1


async def test_nothing_answers() -> None:
    async with Endpoint() as gone:
        settings = settings_for(gone)
    error = await failure(settings)
    assert error.kind == "connection"
    assert "Nothing answers at http://127.0.0.1" in error.message


async def test_a_name_that_does_not_exist() -> None:
    error = await failure(ModelSettings(base_url="http://no-such-host.invalid/v1", api_key=CANARY, max_retries=0))
    assert error.kind == "connection"
    assert "The name in http://no-such-host.invalid/v1 cannot be found." in error.message


async def test_a_server_without_tls() -> None:
    async def speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak_plainly, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(ModelSettings(base_url=f"https://127.0.0.1:{port}/v1", api_key=CANARY, max_retries=0))
    assert error.kind == "tls"
    assert "http:// and https://" in error.next_step


def test_a_certificate_that_is_not_trusted() -> None:
    untrusted = ssl.SSLCertVerificationError()
    untrusted.verify_message = "self-signed certificate"
    error = openai.APIConnectionError(request=None)  # type: ignore[arg-type]
    error.__cause__ = ExceptionGroup("attempts", [untrusted])
    explained = failures.from_exception(error, ModelSettings())
    assert explained.kind == "tls"
    assert "is not trusted: self-signed certificate" in explained.message
    assert "SSL_CERT_FILE" in explained.next_step


@pytest.mark.parametrize("pause_after", [-1, 0, 1])
async def test_a_silent_endpoint_is_given_up(endpoint: Endpoint, pause_after: int) -> None:
    """Before the headers, before the first piece, and in the middle of the text."""
    endpoint.add(Reply(text=TEXT, pause="never", pause_after=pause_after), Reply(text=TEXT))
    error = await failure(settings_for(endpoint, timeout_s=0.2, max_retries=2))
    assert error.kind == "timeout"
    assert "sent nothing for 1 second" in error.message
    assert "timeoutSeconds" in error.next_step
    await endpoint.requests[0].ended.wait()
    assert endpoint.requests[0].hung_up
    assert len(endpoint.requests) == 1, "what a silent endpoint does may be paid for; it is not asked twice"


async def test_keep_alives_are_no_sign_of_life(endpoint: Endpoint) -> None:
    endpoint.add(Reply(raw=": ping\n\n", every_s=0.02))
    assert (await failure(settings_for(endpoint, timeout_s=0.2))).kind == "timeout"


@pytest.mark.parametrize("ending", ["abort", "silence"])
async def test_a_reply_that_breaks_off(endpoint: Endpoint, ending: Any) -> None:
    endpoint.add(Reply(text=TEXT, ending=ending))
    error = await failure(settings_for(endpoint, max_retries=2))
    assert error.kind == "closed"
    assert "before the reply was complete" in error.message
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "raw",
    [
        "data: {not json\n\n",
        "data: [1, 2]\n\n",
        "data: 7\n\n",
        "data: null\n\n",
        'data: {"object": "error", "message": "out of memory"}\n\n',
        'data: {"choices": 5}\n\n',
        'data: {"choices": [{"delta": {"content": {"a": 1}}}]}\n\n',
        'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": 9}]}\n\n',
        "data: " + "[" * 100_000 + "\n\n",
        "data: \xff\xfe\xfd\n\n",
        "data: " + "x" * 9_000_000,
    ],
)
async def test_garbage_in_the_stream(endpoint: Endpoint, raw: str) -> None:
    endpoint.add(Reply(raw=raw))
    assert (await failure(settings_for(endpoint))).kind == "garbage"


@pytest.mark.parametrize("raw", ["", "complete nonsense\nwithout an event\n", "data: [DONE]\n\n", ": ping\n\n"])
async def test_a_stream_without_a_reply(endpoint: Endpoint, raw: str) -> None:
    endpoint.add(Reply(raw=raw))
    assert (await failure(settings_for(endpoint))).kind == "closed"


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json"])
async def test_a_document_instead_of_a_stream(endpoint: Endpoint, content_type: str) -> None:
    endpoint.add(Reply(raw="<html>Please log in</html>", content_type=content_type))
    error = await failure(settings_for(endpoint))
    assert error.kind == "garbage"
    assert "instead of a stream" in error.message


async def test_an_error_within_the_stream_is_quoted_without_the_key(endpoint: Endpoint) -> None:
    event = {"error": {"message": f"worker died\x1b[31m\n\u202eholding {CANARY}. " + "very long " * 100}}
    endpoint.add(Reply(text="Some text.", events=(event,)))
    error = await failure(settings_for(endpoint))
    assert error.kind == "server-error"
    assert "worker died [31m holding …. very long" in error.message
    assert len(error.message) < 400
    assert error.message.isprintable()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
async def test_an_endpoint_that_repeats_the_key(endpoint: Endpoint, status: int) -> None:
    endpoint.add(Reply(status=status, body={"error": {"message": f"Incorrect API key provided: {CANARY}"}}))
    await failure(settings_for(endpoint))


async def test_an_empty_reply(endpoint: Endpoint) -> None:
    endpoint.add(Reply(text=""), Reply(text="", reasoning="hm " * 50, finish_reason="length"))
    assert (await failure(settings_for(endpoint))).kind == "empty"
    thought_too_long = await failure(settings_for(endpoint))
    assert "maxOutputTokens" in thought_too_long.next_step


async def test_a_refusal_in_the_protocols_own_field(endpoint: Endpoint) -> None:
    endpoint.add(Reply(events=({"choices": [{"delta": {"refusal": "I can't do that"}}]},)))
    assert (await failure(settings_for(endpoint))).kind == "refused"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_url": "ftp://models.example"}, "not an http"),
        ({"base_url": "localhost:8000/v1"}, "not an http"),
        ({"base_url": "http://host:99999/v1"}, "not an http"),
        ({"base_url": "https://user:secret@models.example/v1"}, "password"),
        ({"api_key": "sk-with\nnewline"}, "characters that no key has"),
        ({"api_key": "“sk-quoted”"}, "characters that no key has"),
    ],
)
async def test_settings_that_cannot_work_send_nothing(changes: dict[str, str], said: str) -> None:
    error = await failure(dataclasses.replace(ModelSettings(), **changes))
    assert error.kind == "bad-settings"
    assert said in error.message
    assert "secret" not in error.message


# Stopping


async def test_cancelling_closes_the_connection_at_once(endpoint: Endpoint) -> None:
    endpoint.add(Reply(text=TEXT, chunk_chars=5, pause="never", pause_after=2))
    reading = asyncio.create_task(read(settings_for(endpoint)))
    await endpoint.reached("never")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await endpoint.requests[0].ended.wait()
    assert endpoint.requests[0].hung_up


async def test_cancelling_before_the_first_byte(endpoint: Endpoint) -> None:
    endpoint.add(Reply(text=TEXT, pause="never", pause_after=-1))
    reading = asyncio.create_task(read(settings_for(endpoint, max_retries=2)))
    await endpoint.reached("never")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await endpoint.requests[0].ended.wait()
    assert endpoint.requests[0].hung_up
    assert len(endpoint.requests) == 1


async def test_closing_the_iterator_closes_the_connection(endpoint: Endpoint) -> None:
    endpoint.add(Reply(text=TEXT, chunk_chars=5, pause="never", pause_after=2))
    async with contextlib.aclosing(stream_completion(MESSAGES, settings_for(endpoint))) as pieces:
        await anext(pieces)
    await endpoint.requests[0].ended.wait()
    assert endpoint.requests[0].hung_up


# The key


async def test_the_key_is_in_no_log_and_no_representation(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    endpoint.add(Reply(text=TEXT), Reply(status=401))
    settings = settings_for(endpoint)
    with caplog.at_level(logging.DEBUG):
        await read(settings)
        await failure(settings)
    assert endpoint.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert len(caplog.records) > 3, "the libraries do log at this level"
    assert CANARY not in caplog.text
    assert CANARY not in "".join(str(vars(record)) for record in caplog.records)
    assert CANARY not in repr(settings) + str(settings) + f"{settings}"


async def test_the_key_stays_with_the_origin_it_came_with(endpoint: Endpoint) -> None:
    """An address that some workspace chose must not collect a key that was meant for another."""
    mine = from_environment({"OPENAI_API_KEY": CANARY})
    theirs = dataclasses.replace(mine, base_url=endpoint.base_url, max_retries=0)
    assert not theirs.sends_key
    endpoint.add(Reply(text=TEXT), Reply(status=401))
    await read(theirs)
    assert "authorization" not in endpoint.requests[0].headers
    error = await failure(theirs)
    assert "it belongs to https://api.openai.com:443 and was not sent" in error.message
    assert "GOALMAP_MODEL_BASE_URL and GOALMAP_API_KEY together" in error.next_step


def test_a_copy_of_the_settings_keeps_the_binding() -> None:
    mine = ModelSettings(base_url="https://models.example/v1", api_key=CANARY)
    for other in (copy.copy(mine), pickle.loads(pickle.dumps(mine)), dataclasses.replace(mine, timeout_s=1)):  # noqa: S301
        assert other.sends_key
        assert not dataclasses.replace(other, base_url="https://other.example/v1").sends_key
        assert not dataclasses.replace(other, base_url=None).sends_key
        assert dataclasses.replace(other, base_url="https://MODELS.example:443/v2").sends_key


OPENAI_KEY, GOALMAP_KEY = {"OPENAI_API_KEY": "o"}, {"GOALMAP_API_KEY": "g"}
OPENAI_AT, GOALMAP_AT = "OPENAI_BASE_URL", "GOALMAP_MODEL_BASE_URL"


@pytest.mark.parametrize(
    ("environ", "base_url", "key_is_sent"),
    [
        ({}, None, False),
        (OPENAI_KEY, None, True),
        (GOALMAP_KEY, None, True),
        ({**OPENAI_KEY, OPENAI_AT: "http://a/v1"}, "http://a/v1", True),
        ({**OPENAI_KEY, GOALMAP_AT: "http://g/v1"}, "http://g/v1", False),
        ({**OPENAI_KEY, OPENAI_AT: "http://a/v1", GOALMAP_AT: "http://g/v1"}, "http://g/v1", False),
        ({**OPENAI_KEY, OPENAI_AT: "http://g/v1", GOALMAP_AT: "http://g/v2"}, "http://g/v2", True),
        ({**OPENAI_KEY, GOALMAP_AT: DEFAULT_BASE_URL}, DEFAULT_BASE_URL, True),
        ({**GOALMAP_KEY, GOALMAP_AT: "http://g/v1"}, "http://g/v1", True),
        ({**GOALMAP_KEY, **OPENAI_KEY, OPENAI_AT: "http://a/v1"}, "http://a/v1", True),
        ({**OPENAI_KEY, OPENAI_AT: "no address"}, "no address", False),
        ({"OPENAI_API_KEY": " ", GOALMAP_AT: ""}, None, False),
    ],
)
def test_the_environment(environ: dict[str, str], base_url: str | None, *, key_is_sent: bool) -> None:
    settings = from_environment(environ)
    assert settings.base_url == base_url
    assert settings.sends_key == key_is_sent


def test_goalmaps_own_variables_come_first() -> None:
    settings = from_environment(
        {
            "OPENAI_API_KEY": "o",
            "OPENAI_BASE_URL": "http://a/v1",
            "GOALMAP_API_KEY": " g\n",
            "GOALMAP_MODEL_BASE_URL": "http://g/v1",
            "GOALMAP_MODEL_NAME": "qwen",
        }
    )
    assert (settings.api_key, settings.base_url, settings.name) == ("g", "http://g/v1", "qwen")


def test_nothing_configured_means_the_embedded_model() -> None:
    assert not from_environment({"GOALMAP_MODEL_NAME": "x"}).is_configured
    assert from_environment({"OPENAI_API_KEY": "o"}).is_configured
    assert from_environment({"OPENAI_BASE_URL": "http://a"}).is_configured


async def test_without_a_name_the_default_model_is_asked(endpoint: Endpoint) -> None:
    endpoint.add(Reply(text=TEXT))
    await read(settings_for(endpoint, name=None))
    assert endpoint.requests[0].body["model"] == DEFAULT_MODEL_NAME


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com:443"),
        ("HTTPS://API.openai.com.:443", "https://api.openai.com:443"),
        ("http://[::1]:8080/v1", "http://::1:8080"),
        ("http://127.0.0.1", "http://127.0.0.1:80"),
        ("http:///v1", None),
        ("file:///etc/passwd", None),
        ("http://[::1", None),
        ("http://a:b/", None),
    ],
)
def test_origin(url: str, expected: str | None) -> None:
    assert origin(url) == expected


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    settings = ModelSettings(base_url=f"https://me:{CANARY}@models.example:8443/v1/?token={CANARY}")
    assert settings.address == "https://models.example:8443/v1"


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        ("1.5", 1.5, 1.5),
        ("-3", 0, 0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0, 0),
        ("Fri, 31 Dec 2199 23:59:59 GMT", 1e9, 1e10),
    ],
)
def test_retry_after(value: str, low: float, high: float) -> None:
    wait_s = failures.retry_after_s({"retry-after": value})
    assert wait_s is not None
    assert low <= wait_s <= high


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "Fri, 99 Foo"])
def test_a_retry_after_that_says_nothing(value: str) -> None:
    assert failures.retry_after_s({"retry-after": value}) is None


def test_durations_in_words() -> None:
    assert [failures.seconds(s) for s in (0.2, 1, 75, 180, 3600)] == [
        "1 second", "1 second", "75 seconds", "180 seconds", "60 minutes",
    ]  # fmt: skip


# -- how much may come -------------------------------------------------------------------------------------------------
async def test_a_long_text_in_small_pieces_is_taken(endpoint: Endpoint) -> None:
    """What is around the text may be a thousand times as long, and is counted apart."""
    event = {"choices": [{"index": 0, "delta": {"content": "a"}}], "obfuscation": "x" * 3_000}
    endpoint.add(Reply(events=(event,) * 3_000))
    pieces = await read(settings_for(endpoint))
    assert "".join(piece.text for piece in pieces) == "a" * 3_000


async def test_others_have_their_turn_between_pieces_that_come_at_once(endpoint: Endpoint) -> None:
    endpoint.add(Reply(text="x" * 2_000, chunk_chars=1))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    work = asyncio.create_task(others())
    between = [turns async for _ in stream_completion(MESSAGES, settings_for(endpoint))]
    work.cancel()
    assert len(between) > 2_000
    assert len(set(between)) == len(between), "a turn before each piece"


@pytest.mark.parametrize(
    ("limit", "reply", "said"),
    [
        ("_MAX_TEXT_CHARS", Reply(text="x" * 5_000), "characters"),
        ("_MAX_WIRE_BYTES", Reply(raw=": keep-alive\n\n" * 500), "MB"),
        ("_MAX_EVENT_BYTES", Reply(raw="data: " + "x" * 5_000), "MB"),
    ],
)
async def test_more_than_any_component_is_broken_off(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, limit: str, reply: Reply, said: str
) -> None:
    monkeypatch.setattr(model, limit, 4_000)
    endpoint.add(reply)
    error = await failure(settings_for(endpoint, max_retries=0))
    assert error.kind == "garbage"
    assert "sent more than" in error.message
    assert said in error.message
