"""Messages come out of the byte stream whole, however the bytes arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goalmap.lsp.stdio import MAX_BODY_BYTES, MAX_HEADER_BYTES, Framer


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


BODIES = st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n\r\n", b"Content-Length: 3\r\n\r\n", b"{}", b""]))


@given(BODIES, st.lists(st.integers(min_value=0, max_value=2_000)))
def test_any_split_of_the_stream_gives_the_same_bodies(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(framed, bodies))
    framer = Framer()
    assert [body for data in cut(stream, cuts) for body in framer.feed(data)] == bodies


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
        b"Content-Length: 2\n\n",
        b"Content-Type: x\nContent-Length: 2\r\n\n",
        b"Content-Length: 2\r\nContent-Length: 02\r\n\r\n",
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
        b"Content-Length: %b\r\n\r\n" % (b"9" * 5000),
        b"Content-Length:\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
        b"Content-Type: %b\r\n\r\n" % (b"x" * MAX_HEADER_BYTES),
        b"Content-Type: x\r\n" * (MAX_HEADER_BYTES // 15) + b"\r\n",
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


# What programs write into a stream that is not theirs, the rest of a message that is longer than its header said, and
# headers that were broken off.
STRAY = st.binary(max_size=80) | st.sampled_from(
    [
        b"\n",
        b"\r\n\r\n",
        b"\n\n",
        b"warning: x\n",
        b"{}",
        b"Content-",
        b"Content-Length",
        b"X-Content-Length: 3\r\n\r\n",
    ]
)
# A length that is none of ours takes what follows for its body; and "-Content-Length" is another field.
HARMLESS = STRAY.filter(lambda data: b"content-length:" not in data.lower() and not data.endswith(b"-"))
CUTS = st.lists(st.integers(min_value=0, max_value=2_000))


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.tuples(HARMLESS, st.sampled_from([b"{}", b'{"a":[]}', b"[1]"]))), CUTS)
def test_what_is_written_between_messages_costs_none_of_them(parts: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(stray + framed(body) for stray, body in parts)
    framer = Framer()
    received = [body for data in cut(stream, cuts) for body in framer.feed(data)]
    assert [body for body in received if body is not None] == [body for _, body in parts]
    assert received.count(None) <= len(parts)


@given(
    st.lists(STRAY | st.integers(min_value=-9, max_value=999).map(lambda n: b"Content-Length: %d\r\n\r\n" % n)), CUTS
)
def test_whatever_came_the_messages_after_it_are_read(before: list[bytes], cuts: list[int]) -> None:
    """A wrong length takes some of them for its body, and the next one is found all the same."""
    framer = Framer()
    for data in cut(b"".join(before), cuts):
        framer.feed(data)
    found = [framer.feed(framed(b'{"n":%d}' % number)) for number in range(60)]
    assert found[-1] == [b'{"n":59}']


def test_a_header_that_was_broken_off_costs_its_own_message() -> None:
    stream = b"Content-Length: 5\r\nContent-Ty" + framed(b"{}") + framed(b"[]")
    assert Framer().feed(stream) == [None, b"{}", b"[]"]


def test_a_log_of_many_lines_is_passed_over() -> None:
    """They look like fields of a header that never ends."""
    assert Framer().feed(b"INFO: begun\n" * 10_000 + framed(b"{}")) == [None, b"{}"]


def test_stray_text_is_told_once() -> None:
    assert Framer().feed(b"\n\nx\n\n" * 1_000 + framed(b"{}") + b"y\n" + framed(b"[]")) == [None, b"{}", None, b"[]"]
