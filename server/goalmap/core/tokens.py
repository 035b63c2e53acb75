"""How many tokens a text has: exactly with the extra `goalmap[tokens]`, else an estimate that is shown as one."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Any, NamedTuple

# In 215ths of a token: in the vocabularies of current models, English prose has about 4.3 characters to a token, and a
# character of another script is about 0.6 tokens.
_TOKEN_PARTS = 215
_ASCII_PARTS = 50
_OTHER_PARTS = 129

_encoding: Any = None


class Tokens(NamedTuple):
    """A number of tokens, and whether it was counted rather than estimated."""

    number: int
    exact: bool

    def __str__(self) -> str:
        return f"{self.number}" if self.exact else f"≈ {self.number}"


def count_tokens(text: str) -> Tokens:
    """Return the tokens of `text` in the o200k vocabulary where the extra is installed, else an estimate."""
    global _encoding  # noqa: PLW0603 - it takes 0.1 s and 75 MB to load: once, and only when asked for
    if _encoding is None:
        try:
            import bpe_openai
        except ImportError:
            _encoding = False
        else:
            _encoding = bpe_openai.get_encoding("o200k_base")
    if _encoding:
        return Tokens(len(_encoding.encode(text)), exact=True)
    return estimate_tokens(text)


def estimate_tokens(text: str) -> Tokens:
    """Return about how many tokens `text` has."""
    ascii_characters = len(text) if text.isascii() else sum(character < "\x80" for character in text)
    parts = ascii_characters * _ASCII_PARTS + (len(text) - ascii_characters) * _OTHER_PARTS
    return Tokens(round(parts / _TOKEN_PARTS), exact=False)


def first_tokens(text: str, number: int) -> str:
    """Return as many of the first characters of `text` as are estimated at `number` tokens at most."""
    parts = list(accumulate(_ASCII_PARTS if character < "\x80" else _OTHER_PARTS for character in text))
    return text[: bisect_right(parts, number * _TOKEN_PARTS)]
