"""Detection of endless repetition while a model still writes: small models would never stop by themselves.

A text loops when its end repeats what came just before it, over and over. Two measures watch for that: words, with
periods up to a paragraph, and characters with short periods, for what holds no words. Both count for how long the text
has been equal to itself one period earlier; a single different word resets the count, so a list whose items begin
alike, a table, or a form with the same fields in each section is no loop.
"""

from __future__ import annotations

import re

_MAX_PERIOD_WORDS = 80
_MIN_LOOP_WORDS = 24
_MIN_COPIES = 4
# Nobody writes the same passage of this length three times in a row.
_LONG_PERIOD_WORDS = 20
_MIN_COPIES_OF_LONG = 3

_MAX_PERIOD_CHARS = 8
_MIN_LOOP_CHARS = 400

# Scripts written without spaces count character by character. A word that never ends is cut into pieces of 64.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_MAX_WORD_CHARS = 64
WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]{{1,{_MAX_WORD_CHARS}}}")
# The same without the limit, and what stands between words.
_PIECE = re.compile(rf"([{_UNSPACED}])|([^\W{_UNSPACED}]+)|[^\w{_UNSPACED}]+")


class LoopWatch:
    """Detects a loop in a text that arrives in chunks; how it is cut into chunks makes no difference."""

    def __init__(self) -> None:
        self.looping = False
        self._word = ""  # the last one, which may continue in the next chunk
        self._words: list[str] = []
        self._equal_words = [0] * (_MAX_PERIOD_WORDS + 1)
        self._last_chars = ""
        self._equal_chars = [0] * (_MAX_PERIOD_CHARS + 1)

    def feed(self, chunk: str) -> bool:
        """Add the next piece of the text; return whether the text so far holds a loop."""
        for char in chunk:
            self._take_char(char)
        for unspaced, letters in _PIECE.findall(chunk):
            word = self._word + letters
            while len(word) >= _MAX_WORD_CHARS:
                self._take_word(word[:_MAX_WORD_CHARS])
                word = word[_MAX_WORD_CHARS:]
            if not letters and word:
                self._take_word(word)
                word = ""
            if unspaced:
                self._take_word(unspaced)
            self._word = word
        return self.looping

    def _take_char(self, char: str) -> None:
        for period in range(1, min(len(self._last_chars), _MAX_PERIOD_CHARS) + 1):
            equal = self._last_chars[-period] == char
            self._equal_chars[period] = self._equal_chars[period] + 1 if equal else 0
            if self._equal_chars[period] >= _MIN_LOOP_CHARS:
                self.looping = True
        self._last_chars = self._last_chars[1 - _MAX_PERIOD_CHARS :] + char

    def _take_word(self, word: str) -> None:
        word = word.lower()
        words = self._words
        for period in range(1, min(len(words), _MAX_PERIOD_WORDS) + 1):
            equal = self._equal_words[period] + 1 if words[-period] == word else 0
            self._equal_words[period] = equal
            copies = _MIN_COPIES_OF_LONG if period >= _LONG_PERIOD_WORDS else _MIN_COPIES
            if equal >= (copies - 1) * period and equal + period >= _MIN_LOOP_WORDS:
                self.looping = True
        words.append(word)
        del words[:-_MAX_PERIOD_WORDS]


def has_loop(text: str) -> bool:
    """Return whether `text` holds a loop anywhere."""
    return LoopWatch().feed(text + "\n")  # the line break ends the last word
