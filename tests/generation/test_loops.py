"""Endless repetition, seen while it happens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goalmap.generation.loops import LoopWatch, has_loop

PARAGRAPH = (
    "State the problem in one sentence and name the person who reported it. Then list what changed since it last "
    "worked, the newest change first, and test each change on its own before you blame any of them. "
)


@pytest.mark.parametrize(
    "text",
    [
        "Use a drilldown to find it. " * 8,
        "the " * 40,
        PARAGRAPH * 3,
        "Fine so far.\n" + "- Check the logs and the metrics.\n" * 5,
        "查找根本原因。" * 10,
        "na" * 300,
        "\n" * 500,
        "|---" * 150,
    ],
)
def test_a_loop_is_seen(text: str) -> None:
    assert has_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        PARAGRAPH,
        PARAGRAPH * 2,
        "| a | b | c |\n|---|---|---|\n" + "".join(f"| {n} | open | high |\n" for n in range(40)),
        "".join(f"## Part {n}\n\n**Evidence:** [cite]\n**Owner:** [name]\n**Next step:** [verb]\n\n" for n in range(9)),
        "1. [ ] yes / no\n2. [ ] yes / no\n3. [ ] yes / no\n4. [ ] yes / no\n",
        "-" * 120,
        "very, very, very, very good",
        "",
    ],
)
def test_what_repeats_with_a_purpose_is_no_loop(text: str) -> None:
    assert not has_loop(text)


def test_the_watch_speaks_up_while_the_text_still_arrives() -> None:
    watch = LoopWatch()
    heard = [watch.feed("Use a drilldown to find it. ") for _ in range(8)]
    assert heard.index(True) < 6
    assert heard[-1], "once seen, a loop stays seen"


def test_words_may_arrive_letter_by_letter() -> None:
    watch = LoopWatch()
    assert any(watch.feed(letter) for letter in "Use a drilldown to find it. " * 6)


@given(st.lists(st.sampled_from(["a ", "loop ", "loop again ", "查找", "!", "\n", "xy" * 40]), max_size=120), st.data())
def test_the_cuts_between_chunks_make_no_difference(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    whole, pieces = LoopWatch(), LoopWatch()
    rest = text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        pieces.feed(rest[:size])
        rest = rest[size:]
    whole.feed(text)
    assert pieces.feed("\n") == whole.feed("\n")
