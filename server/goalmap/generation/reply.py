"""From a model's reply to a component, or to the reason why the reply is none.

Pure. What is wrapped around the whole reply is removed: thoughts, a greeting, a code fence, a closing remark, the end
marks of a chat format, invisible characters. What stands within the text stays as it is, even where it looks odd: a
component may well be about code fences, `<think>` tags or refusals. A reply that is no component is rejected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from goalmap.core.text import CONTROLS, DIRECTION_OVERRIDES, LINE_BREAKS, SURROGATES, WITHOUT_WIDTH
from goalmap.generation.loops import WORD, LoopWatch, has_loop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Accepted", "LoopWatch", "Rejected", "RejectionCode", "accept", "clean"]

MAX_CHARS = 200_000
_MIN_WORDS = 4
_SHORT_WORDS = 20
_LONG_WORDS = 800
_MIN_DISTINCT_TRIGRAMS = 0.6
_MAX_COPIED = 0.5
# Below these, a share says little.
_MIN_TRIGRAMS = 40
_MIN_FOUR_GRAMS = 20

RejectionCode = Literal[
    "empty", "declined", "short", "loop", "repetitive", "copied", "filtered", "cut", "damaged", "too-long"
]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A component: UTF-8 encodable, `\\n` between lines, one at the end. `warnings` are sentences for its user."""

    text: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a reply is no component, and the user's next step. `worth_retrying`: another reply may well be accepted."""

    code: RejectionCode
    reason: str
    next_step: str
    worth_retrying: bool = True


_ANOTHER_TRY = "Run it again, describe the component in other words, or choose another model."
LOOPING = Rejected("loop", "The model repeated itself endlessly.", _ANOTHER_TRY)

# CSI and OSC sequences steer a terminal; without their first character the rest would remain as visible litter.
_TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_LINE_BREAK = re.compile(rf"\r\n|[{LINE_BREAKS}]")
_INVISIBLE = re.compile(f"[{CONTROLS}{WITHOUT_WIDTH}{DIRECTION_OVERRIDES}]")
# Tag characters can smuggle a second, unseen text; only in a flag, after U+1F3F4, they are seen.
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)|[\U000e0000-\U000e007f]")
_LEADING_BLANK_LINES = re.compile(r"\A(?:[^\S\n]*\n)+")
_SURROGATE = re.compile(f"[{SURROGATES}]")

_THOUGHTS = re.compile(r"\s*<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
# Some chat formats open the thoughts themselves, so that only their end is in the reply.
_END_OF_THOUGHTS = re.compile(r"^[ \t]*</(think|thinking|reasoning)>[ \t]*$", re.MULTILINE | re.IGNORECASE)
_CHAT_MARK = r"(?:<\|[a-z_0-9]{1,32}\|>|<(?:start|end)_of_turn>|\[/?INST\]|<\uff5c[^\s<>]{1,40}\uff5c>)"
_ANY_MARK = re.compile(_CHAT_MARK, re.IGNORECASE)
_LEADING_MARKS = re.compile(rf"\s*(?:{_CHAT_MARK}\s*)+(?:assistant\s*\n)?", re.IGNORECASE)
_LAST_MARK = re.compile(rf"(?:{_CHAT_MARK}|</s>)\Z", re.IGNORECASE)
_MAX_MARK_CHARS = 48

# "Here is an example:" and "Here is the context:" may well begin a component, so those words are not among these.
_KINDS = r"(?:component|persona|protocol|constraint|output format|checklist|prompt|draft|version|file)s?"
_GREETING = r"(?:sure|certainly|of course|absolutely|great|okay|ok|gladly|happy to help|no problem)(?: thing)?"
_PREAMBLE = re.compile(
    rf"(?:{_GREETING}[!,.:][^\n]{{0,200}}?[:.!]|"
    rf"(?:here(?:['’]s| is| are)|below is)[^\n]{{0,60}}?\b{_KINDS}\b[^\n]{{0,160}}:)"
    r"[ \t]*(?:\n\s*|\Z)",
    re.IGNORECASE,
)
_POSTAMBLE = re.compile(
    r"\n[ \t]*\n(?:-{3,}[ \t]*\n\s*)?"
    r"(?:let me know if (?:you(?:['’]d| would) like|you (?:need|want) (?:any|anything|me|further|more|changes)|"
    r"this|you have any)|i hope (?:this|that|it)\b|"
    r"feel free to (?:adjust|adapt|modify|customi[sz]e|edit|tweak|let me know|reach out|ask me)|"
    r"would you like me to|is there anything else)[^\n]{0,300}\s*\Z",
    re.IGNORECASE,
)
_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)")
# A fence in any other language is code, and then the fence is part of the component.
_FENCE_OF_TEXT = frozenset({"", "markdown", "md", "text", "txt", "plaintext", "plain", "prompt"})

_DECLINED = re.compile(
    r"(?:(?:i['’]m|i am) (?:very |really |so )?sorry|sorry|unfortunately|i apologi[sz]e|my apologies|"
    r"as an ai(?: language)?(?: model| assistant)?)\b[^\n]{0,80}?"
    r"\b(?:can(?:['’]t|not|not)|could(?:n['’]t| not)|unable|won['’]t|not able|do(?:n['’]t| not) have)\b|"
    r"i (?:can(?:['’]t|not)|am unable to|am not able to|won['’]t|will not|must decline to) "
    r"(?:help|assist|provide|fulfil|create|write|generate|comply|do|continue|support|engage)",
    re.IGNORECASE,
)
_MAX_DECLINED_WORDS = 120


def accept(raw: str, *, finish_reason: str | None, examples: Sequence[str] = ()) -> Accepted | Rejected:
    """Return the component in the reply `raw`, or why there is none. Never raises.

    `finish_reason` is the endpoint's; `examples` are the texts that were shown to the model, which it must not copy.
    A text that was accepted is accepted again, unchanged.
    """
    if finish_reason == "content_filter":
        return Rejected(
            "filtered",
            "The endpoint’s content filter stopped the reply.",
            "Describe the component in other words, or use another endpoint.",
            worth_retrying=False,
        )
    if len(raw) > MAX_CHARS:
        return Rejected("too-long", f"The reply is longer than {MAX_CHARS} characters.", _ANOTHER_TRY)
    if "\0" in raw:
        return Rejected("damaged", "The reply holds NUL characters, which no text has.", _ANOTHER_TRY)
    text = clean(raw)
    words = [word.lower() for word in WORD.findall(text)]
    rejected = _rejection(text, words, examples)
    if rejected is not None:
        return rejected
    if finish_reason == "length":
        return Rejected(
            "cut",
            "The reply was cut off: it reached the limit of tokens before its end.",
            "Raise goalmap.model.maxOutputTokens and run it again.",
            worth_retrying=False,
        )
    return Accepted(text, tuple(_warnings(raw, text, words)))


def clean(raw: str) -> str:
    """Return `raw` without what is wrapped around it, ending in one line break; cleaning twice changes nothing.

    Within the text only two things change: invisible characters are removed, and unusual line breaks become `\\n`.
    """
    text = _visible(raw)
    while (stripped := _strip_once(text)) != text:
        text = stripped
    return text + "\n" if text else ""


def _visible(text: str) -> str:
    text = _TERMINAL_SEQUENCE.sub("", _SURROGATE.sub("\ufffd", text))
    return _TAGS.sub(lambda match: match[1] or "", _INVISIBLE.sub("", _LINE_BREAK.sub("\n", text)))


def _strip_once(text: str) -> str:
    text = _LEADING_BLANK_LINES.sub("", _without_thoughts(text)).rstrip()
    text = _without_preamble(_without_marks(text))
    return _without_fence(_POSTAMBLE.sub("", text))


def _without_marks(text: str) -> str:
    leading = _LEADING_MARKS.match(text)
    text = text[leading.end() :] if leading else text
    while last := _LAST_MARK.search(text[-_MAX_MARK_CHARS:]):
        # An HTML strike-through ends like one of the chat formats.
        if last[0] == "</s>" and "<s>" in text:
            break
        text = text[: -len(last[0])].rstrip()
    return text


def _without_thoughts(text: str) -> str:
    opened = _THOUGHTS.match(text)
    if opened:
        return text[opened.end() :]
    closed = _END_OF_THOUGHTS.search(text)
    if closed and f"<{closed[1].lower()}>" not in text[: closed.start()].lower():
        return text[closed.end() :]
    return text


def _without_preamble(text: str) -> str:
    match = _PREAMBLE.match(text)
    return text[match.end() :] if match else text


def _without_fence(text: str) -> str:
    """Return `text` without the fence around it, which opens in the first line and closes in the last or nowhere."""
    lines = text.split("\n")
    first = _FENCE.fullmatch(lines[0])
    if first is None or first[2].strip().lower() not in _FENCE_OF_TEXT:
        return text
    # The fences that are open, by their marks. Models nest them freely: one with a language opens another.
    open_fences = [first[1]]
    fences = 1
    for number, line in enumerate(lines[1:], start=1):
        fence = _FENCE.fullmatch(line)
        if fence is None or fence[1][0] != first[1][0]:
            continue
        fences += 1
        if fence[2].strip() or len(fence[1]) < len(open_fences[-1]):
            open_fences.append(fence[1])
        else:
            open_fences.pop()
        if not open_fences:
            return "\n".join(lines[1:number]) if number == len(lines) - 1 else text
    return "\n".join(lines[1:]) if fences == 1 else text


def _rejection(text: str, words: Sequence[str], examples: Sequence[str]) -> Rejected | None:
    if not words:
        return Rejected("empty", "The reply is empty.", _ANOTHER_TRY)
    if len(words) <= _MAX_DECLINED_WORDS and _DECLINED.match(text.lstrip(" #*>_\"“'\n")):
        return Rejected("declined", "The model declined to write this.", _ANOTHER_TRY)
    if len(words) < _MIN_WORDS:
        return Rejected("short", f"The reply is too short to be a component ({len(words)} words).", _ANOTHER_TRY)
    if has_loop(text):
        return LOOPING
    trigrams = _grams(words, 3)
    if len(trigrams) >= _MIN_TRIGRAMS and len(set(trigrams)) < _MIN_DISTINCT_TRIGRAMS * len(trigrams):
        return Rejected("repetitive", "The model mostly repeated itself.", _ANOTHER_TRY)
    four_grams = _grams(words, 4)
    if len(four_grams) >= _MIN_FOUR_GRAMS:
        for example in examples:
            shown = set(_grams([word.lower() for word in WORD.findall(example)], 4))
            if sum(gram in shown for gram in four_grams) > _MAX_COPIED * len(four_grams):
                return Rejected("copied", "The model copied a component that it was shown.", _ANOTHER_TRY)
    return None


def _warnings(raw: str, text: str, words: Sequence[str]) -> Iterator[str]:
    invisible = len(_LINE_BREAK.sub("\n", raw)) - len(_visible(raw))
    if invisible:
        yield f"{invisible} invisible characters were removed from the text."
    if len(words) < _SHORT_WORDS:
        yield f"The text is very short ({len(words)} words)."
    if len(words) > _LONG_WORDS:
        yield f"The text is very long ({len(words)} words)."
    if sum(_FENCE.fullmatch(line) is not None for line in text.split("\n")) % 2:
        yield "A code fence in the text is not closed."
    mark = _ANY_MARK.search(text)
    if mark:
        yield f"The text holds {mark[0]}, which ends or begins a turn in some chat formats."


def _grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(size)), strict=False))
