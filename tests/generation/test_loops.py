"""Endless repetition, seen while it happens."""

from __future__ import annotations

import random
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goalmap.generation.loops import WORD, LoopWatch, has_loop

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


# -- what a chunk costs ------------------------------------------------------------------------------------------------
PIECES = [
    "na",
    "the ",
    "Use ",
    "a",
    "word" * 30,
    " ",
    "\n",
    "\u67e5",
    "\u0e31",
    "\u0e3f",
    "\u0e01",
    "|---",
    "\u00fc",
    "_",
    ".",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=80).map("".join) | st.text(max_size=40).map(lambda text: text * 8)


class Words(LoopWatch):
    """Keeps the words that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def _take_word(self, word: str) -> None:
        self.seen.append(word)
        super()._take_word(word)


@given(TEXTS, st.lists(st.integers(min_value=0, max_value=400)))
def test_any_cut_of_a_text_gives_the_words_and_the_verdict_of_the_whole(text: str, cuts: list[int]) -> None:
    watch = Words()
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, end in pairwise(edges):
        watch.feed(text[start:end])
    watch.feed("\n")
    assert watch.seen == WORD.findall(text)
    assert watch.looping == has_loop(text)


def operations(watch: LoopWatch, text: str, chunk_chars: int) -> int:
    """Return how many lines of Python the watch runs for `text`."""
    count = 0

    def trace(_: object, event: str, __: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    chunks = [text[start : start + chunk_chars] for start in range(0, len(text), chunk_chars)]
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for chunk in chunks:
            watch.feed(chunk)
    finally:
        sys.settrace(before)
    return count


def held_chars(watch: LoopWatch) -> int:
    """Return how much of the text the watch still holds, and so can look at again."""
    held = [value if isinstance(value, list) else [value] for value in vars(watch).values()]
    return sum(len(part) for parts in held for part in parts if isinstance(part, str))


@pytest.mark.parametrize("chunk_chars", [1, 3, 64, 10_000])
def test_each_part_of_a_text_costs_the_same_wherever_it_comes(chunk_chars: int) -> None:
    watch = LoopWatch()
    numbers = random.Random(4)
    text = " ".join(f"w{numbers.randrange(10**6)}" for _ in range(4_000))[:24_000]
    costs = [operations(watch, text[start : start + 6_000], chunk_chars) for start in range(0, 24_000, 6_000)]
    assert max(costs[1:]) < 1.05 * min(costs[1:])
    assert held_chars(watch) < 1_000
