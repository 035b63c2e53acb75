"""Messages come out of the byte stream whole, however the bytes arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goalmap.lsp.wire import MAX_BODY_BYTES, MAX_HEADER_BYTES, Framer


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


BODIES = st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n\r\n", b"Content-Length: 3\r\n\r\n", b"{}", b""]))


@given(BODIES, st.lists(st.integers(min_value=0, max_value=2_000)))
def test_any_split_of_the_stream_gives_the_same_bodies(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(framed, bodies))
    framer = Framer()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    received = [body for start, end in pairwise(edges) for body in framer.feed(stream[start:end])]
    assert received == bodies


def test_a_body_is_on_its_way_from_its_header_to_its_last_byte() -> None:
    framer = Framer()
    seen = []
    for data in (b"Content-Length: 2\r\n", b"\r\n", b"{", b"}", b"stray"):
        framer.feed(data)
        seen.append(framer.is_amid)
    assert seen == [False, True, True, False, False]


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 2\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n",
        b"Content-Type: application/vscode-jsonrpc\r\nContent-Length: 2\r\n\r\n",
        b"content-length:2\r\n\r\n",
        b"CONTENT-LENGTH :\t2 \r\n\r\n",
        b"Content-Length: 002\r\n\r\n",
    ],
)
def test_headers_that_mean_the_same(header: bytes) -> None:
    assert Framer().feed(header + b"{}") == [b"{}"]


@pytest.mark.parametrize(
    "header",
    [
        b"\r\n\r\n",
        b"Content-Type: x\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: two\r\n\r\n",
        b"Content-Length: 2 2\r\n\r\n",
        b"X-Content-Length: 2\r\n\r\n",
        b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"Content-Length: 99999999999999999999\r\n\r\n",
    ],
)
def test_a_header_without_a_usable_length_is_told_and_skipped(header: bytes) -> None:
    assert Framer().feed(header + framed(b"next")) == [None, b"next"]


def test_text_in_the_stream_does_not_grow_without_bound() -> None:
    framer = Framer()
    told = [body for _ in range(100) for body in framer.feed(b"x" * MAX_HEADER_BYTES)]
    assert told
    assert set(told) == {None}
    assert framer.feed(b"\r\n\r\n" + framed(b"next"))[-1] == b"next"


def test_a_large_body_in_small_pieces() -> None:
    body = bytes(range(256)) * 4_000
    framer, received = Framer(), []
    stream = framed(body)
    for start in range(0, len(stream), 1_000):
        received += framer.feed(stream[start : start + 1_000])
    assert received == [body]
