"""What a generation shows while a model writes: at the cost of each piece, however many they are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from hypothesis import given
from hypothesis import strategies as st

from goalmap.lsp.generation.progress import WordCount, WordsReporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from goalmap.lsp.generation.progress import Progress


class Shown:
    """Takes reports as a display that is slower than they come: it asks for the last one only."""

    def __init__(self) -> None:
        self.message: str | Callable[[], str] = ""

    def report(self, message: str | Callable[[], str]) -> None:
        self.message = message

    @property
    def last(self) -> str:
        return self.message() if callable(self.message) else self.message


def reporter() -> tuple[WordsReporter, Shown]:
    shown = Shown()
    return WordsReporter(cast("Progress", shown), "1 of 2: "), shown


TEXTS = st.text(alphabet=st.sampled_from("ab \n\t\u00a0\u2003\x1c.ü")) | st.text()


@given(TEXTS, st.lists(st.integers(min_value=0, max_value=60)))
def test_any_cut_of_a_text_counts_the_words_of_the_whole(text: str, cuts: list[int]) -> None:
    words = WordCount()
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, end in pairwise(edges):
        words.feed(text[start:end])
    assert words.number == len(text.split())


def test_the_count_and_the_end_of_the_text_are_shown() -> None:
    words, shown = reporter()
    words.chunk("# St")
    assert shown.last == "1 of 2: 2 words · …# St"
    words.chunk("eps\n1. " + "Look. " * 50)
    assert shown.last.startswith("1 of 2: 53 words · …")
    assert shown.last.endswith("Look. Look.")
    assert len(shown.last) < 120
    words.restarted()
    words.chunk("Once")
    assert shown.last == "1 of 2: 1 word · …Once"


def test_a_piece_costs_nothing_of_what_came_before() -> None:
    """The reporter holds a few characters of the text, and composes no message that nobody sees."""
    words, _ = reporter()
    composed = 0

    class Counting(Shown):
        def report(self, message: Any) -> None:
            nonlocal composed
            composed += isinstance(message, str)

    words = WordsReporter(cast("Progress", Counting()))
    for _ in range(50_000):
        words.chunk("ab ")
    held = [value for value in vars(words).values() if isinstance(value, str)]
    assert composed == 0
    assert sum(map(len, held)) < 200
