"""An endpoint behind certificates of one's own, and behind a proxy: all on loopback."""

from __future__ import annotations

import contextlib
import socket
import ssl
import traceback
from typing import TYPE_CHECKING

import pytest
import trustme

from goalmap.generation.errors import ModelError
from goalmap.generation.model import stream_completion
from goalmap.generation.model_settings import ModelSettings
from support.openai_endpoint import Endpoint, Reply
from support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CANARY = "sk-canary-7f3e9a"
PASSWORD = "pa55word"  # noqa: S105 - of a proxy that is not there
HOST = "models.invalid"
MESSAGES = [{"role": "user", "content": "Write a protocol."}]
TEXT = "1. Look.\n"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    """Return the file that names the authority."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
async def secure(authority: trustme.CA) -> AsyncIterator[Endpoint]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", HOST).configure_cert(context)
    async with Endpoint([Reply(text=TEXT)], tls=context) as endpoint:
        yield endpoint


async def read(base_url: str) -> str:
    settings = ModelSettings(base_url=base_url, name="m", api_key=CANARY, timeout_s=30, max_retries=0)
    async with contextlib.aclosing(stream_completion(MESSAGES, settings)) as pieces:
        return "".join([piece.text async for piece in pieces])


async def failure(base_url: str) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await read(base_url)
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert CANARY not in shown
    assert PASSWORD not in shown
    return raised.value


# -- certificates ------------------------------------------------------------------------------------------------------
async def test_an_authority_of_ones_own_is_trusted_by_ssl_cert_file(
    secure: Endpoint, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on this machine, which is reached without what else the environment says."""
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    assert await read(secure.base_url) == TEXT
    assert secure.requests[0].headers["authorization"] == f"Bearer {CANARY}"


async def test_a_certificate_that_is_not_trusted_says_so_and_what_to_set(secure: Endpoint) -> None:
    error = await failure(secure.base_url)
    assert error.kind == "tls"
    assert f"The certificate of {secure.base_url} is not trusted" in error.message
    assert "Set SSL_CERT_FILE" in error.next_step
    assert not secure.requests


@pytest.mark.parametrize("host", ["127.0.0.1", HOST])
@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_file_of_certificates_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, content: str | None
) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    error = await failure(f"https://{host}:9/v1")
    assert error.kind == "bad-settings"
    assert "SSL_CERT_FILE" in error.message


# -- proxies -----------------------------------------------------------------------------------------------------------
async def test_an_https_endpoint_through_a_proxy(
    secure: Endpoint, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    async with Proxy(secure.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PASSWORD}@{proxy.address}")
        assert await read(f"https://{HOST}/v1") == TEXT
    assert proxy.asked == [f"CONNECT {HOST}:443 HTTP/1.1"]
    assert "authorization" not in proxy.headers[0], "the proxy sees no key"
    assert proxy.headers[0]["proxy-authorization"].startswith("Basic ")
    assert secure.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert "proxy-authorization" not in secure.requests[0].headers


async def test_an_http_endpoint_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Endpoint([Reply(text=TEXT)]) as endpoint, Proxy(endpoint.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        assert await read(f"http://{HOST}/v1") == TEXT
        assert proxy.asked == [f"POST http://{HOST}/v1/chat/completions HTTP/1.1"]


async def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Endpoint([Reply(text=TEXT)]) as endpoint, Proxy(endpoint.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", f"other.invalid,{HOST}")
        error = await failure(f"http://{HOST}/v1")
        assert "cannot be found" in error.message, "it was asked for directly"
        assert proxy.asked == []


async def test_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Endpoint([Reply(text=TEXT)]) as endpoint, Proxy(endpoint.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        assert await read(endpoint.base_url) == TEXT
        assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_asks_for_a_password_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Proxy(9, status=407) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://user:{PASSWORD}@{proxy.address}")
        error = await failure(f"{scheme}://{HOST}/v1")
    assert error.kind == "connection"
    assert f"The proxy {proxy.address} asks for a user and a password (407)" in error.message
    assert "HTTPS_PROXY" in error.next_step


async def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Proxy(9, status=403) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        error = await failure(f"https://{HOST}/v1")
    assert f"The proxy {proxy.address} refuses (403) on the way to https://{HOST}/v1." in error.message


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_does_not_answer_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://user:{PASSWORD}@{address}")
        error = await failure(f"{scheme}://{HOST}/v1")
    assert error.kind == "connection"
    assert f"The proxy {address} does not answer" in error.message


@pytest.mark.parametrize("proxy", [f"gopher://user:{PASSWORD}@proxy:1", f"http://user:{PASSWORD}@h:port"])
async def test_a_proxy_that_is_no_address(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = await failure(f"https://{HOST}/v1")
    assert error.kind == "bad-settings"
    assert "HTTPS_PROXY" in error.next_step
