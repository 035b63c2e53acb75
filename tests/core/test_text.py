"""Lines and columns."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from goalmap.core.text import Encoding, from_units, split_lines, to_units, visible

texts = st.text(alphabet="a\r\n\x0b\x0c\x85\u2028\u2029ü\U0001f600", max_size=30)
encodings: st.SearchStrategy[Encoding] = st.sampled_from(["utf-8", "utf-16", "utf-32"])


@given(texts)
def test_lines_end_where_the_protocol_says(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    assert [line.rstrip("\r\n") for line in lines] == re.split("\r\n|\n|\r", text)


@given(st.text(alphabet="aü€\U0001f600", max_size=12), encodings, st.data())
def test_columns_go_there_and_back(line: str, encoding: Encoding, data: st.DataObject) -> None:
    column = data.draw(st.integers(0, len(line)))
    units = to_units(line, column, encoding)
    codec = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding]
    assert units == len(line[:column].encode(codec)) // {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    assert from_units(line, units, encoding) == column


@given(st.text(alphabet="a\U0001f600ü\r\n", max_size=8), encodings, st.integers(0, 60))
def test_any_column_of_a_client_is_somewhere_on_the_line(line: str, encoding: Encoding, units: int) -> None:
    first = split_lines(line)[0]
    column = from_units(first, units, encoding)
    assert 0 <= column <= len(first.rstrip("\r\n"))


def test_within_a_surrogate_pair_is_before_its_character() -> None:
    assert from_units("a\U0001f600b", 2, "utf-16") == 1


def test_what_turns_the_direction_of_text_is_shown_as_an_escape() -> None:
    assert visible("a\u202eb\x1b[31m") == "a\\u202eb\\x1b[31m"
    assert visible("ü😀") == "ü😀"


def test_marks_beyond_what_any_letter_has_are_shown_as_escapes() -> None:
    assert visible("e\u0301\u0323") == "e\u0301\u0323"
    assert visible("e" + 10 * "\u0301" + "x") == "e" + 8 * "\u0301" + 2 * "\\u0301" + "x"
