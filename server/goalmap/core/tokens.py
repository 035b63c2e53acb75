"""How many tokens a text has: exactly with the extra `goalmap[tokens]`, else an estimate that is shown as one."""

from __future__ import annotations

from typing import Any, NamedTuple

# English prose has about 4.3 characters to a token in the vocabularies of current models; other scripts far fewer.
_ASCII_TOKENS_PER_CHARACTER = 1 / 4.3
_OTHER_TOKENS_PER_CHARACTER = 0.6

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
    if text.isascii():
        return Tokens(round(len(text) * _ASCII_TOKENS_PER_CHARACTER), exact=False)
    plain = sum(character < "\x80" for character in text)
    other = len(text) - plain
    return Tokens(round(plain * _ASCII_TOKENS_PER_CHARACTER + other * _OTHER_TOKENS_PER_CHARACTER), exact=False)
