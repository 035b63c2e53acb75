"""A component drafted by a tiny local model: a skeleton of fixed text, in which the model finishes some sentences.

A model of a hundred million parameters writes fluent sentences and no coherent page. So each type of component has a
skeleton of sentences that hold for any subject, in `skeletons/<type>.md` (`other.md` serves all other types). Its first
line is what the model is asked. After the line `---` comes the page: `$role`, `${Purpose}` and their like are replaced
by what the user's description says, and between ⟪ and ⟫ stands the beginning of a sentence that the model finishes.
llama.cpp continues the page up to there, bound by a grammar to one plain sentence. A sentence is tried a few times; if
none of the results is acceptable, it is left out.

The grammar and the sampling parameters are llama.cpp's: none of this is sent to any other endpoint.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, NamedTuple

from goalmap.generation.model import Delta, stream_completion
from goalmap.generation.prompt import guess_description

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from goalmap.generation.model_settings import ModelSettings
    from goalmap.generation.prompt import Brief

_MAX_TRIES = 3
_MAX_SENTENCE_TOKENS = 36
_MIN_WORDS, _MAX_WORDS = 5, 20
_MAX_TITLE_WORDS = 6
_ECHO_WORDS = 4
# Shorter words are mostly glue; the beginning of a longer one tells it from its inflections.
_CONTENT_CHARS, _STEM_CHARS = 5, 6

# DRY (don't repeat yourself) lowers what would lengthen a sequence that was there before; plain repetition penalties
# drive a model this small away from the words that it needs.
_SAMPLING = {
    "temperature": 0.4,
    "top_p": 0.9,
    "min_p": 0.05,
    "dry_multiplier": 0.8,
    "dry_base": 1.75,
    "dry_allowed_length": 3,
    "dry_penalty_last_n": 512,
}
# No upper bound on the length: a sentence that a grammar cuts off ends in half a word. Too long is judged instead.
_ONE_SENTENCE = r"""root ::= " " [a-zA-Z0-9] [a-zA-Z0-9 ,'-]+ [.?]"""

_SYSTEM = "You write clear instructions for an assistant. You use short, concrete sentences."

_HOLE = re.compile("⟪(.*?)⟫", re.DOTALL)
_WORD = re.compile(r"[a-z0-9']+")

# Words by which a small model talks about its own text, or about the one it was asked by.
_ASIDE = re.compile(
    r"\b(?:sentences?|paragraphs?|topics?|following|above|below|bullet\w*|verbs?|prompts?|language model|as an ai|"
    r"check-?lists?|procedures?|steps?|step-by-step|click|https?|copyright|chapter|blog|article|essay|write an?|etc)\b",
    re.IGNORECASE,
)
# A sentence that ends in one of these was given up halfway.
_HANGING = re.compile(
    r"\b(?:an?|and|any|are|at|be|but|by|do|for|from|has|have|if|in|is|its?|more|no|not|of|on|one|or|other|than|that|the|"
    r"their|these|they|this|those|to|what|when|which|who|will|with|you|your)\b.\Z",
    re.IGNORECASE,
)


class Hole(NamedTuple):
    """A place in a skeleton where the model finishes the sentence that `opening` begins."""

    opening: str


class Skeleton(NamedTuple):
    """What the model is asked, and the parts of the page: finished text, and holes for the model."""

    request: str
    parts: tuple[str | Hole, ...]


async def draft(brief: Brief, settings: ModelSettings, *, seed: int) -> AsyncGenerator[Delta, None]:
    """Yield a component for `brief` piece by piece, finished sentences only; the last piece has the finish reason.

    `settings` must lead to a llama.cpp server. Raises `ModelError`.
    """
    request, parts = skeleton(brief)
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": request}]
    page = ""
    for number, part in enumerate(parts):
        if isinstance(part, Hole):
            text = await _fill(part, page, messages, settings, seed=1000 * seed + 10 * number)
        else:
            text = part
        if text:
            page += text
            yield Delta(text)
    yield Delta("", "stop")


def skeleton(brief: Brief) -> Skeleton:
    """Return the skeleton of the brief's type of component, with its description filled in."""
    request, _, page = _skeleton_file(brief.component_type).partition("\n---\n")
    description = _one_line(brief.description)
    sentence = description[:1].upper() + description[1:]
    title = _title(brief)
    values = {
        "description": description,
        "topic": _lower_start(description),
        "Topic": sentence,
        "Title": title[:1].upper() + title[1:],
        "Purpose": "" if title.lower() == description.lower() else f"Purpose: {sentence}.\n\n",
        "role": _role(description),
    }
    # Only our text is a template: what a user writes is none.
    parts = [
        Hole(part) if index % 2 else Template(part).substitute(values)
        for index, part in enumerate(_HOLE.split(page.removesuffix("\n")))
        if part
    ]
    return Skeleton(Template(request).substitute(values), tuple(parts))


def _skeleton_file(component_type: str) -> str:
    files = {file.name: file for file in resources.files("goalmap.generation").joinpath("skeletons").iterdir()}
    return files.get(f"{component_type}.md", files["other.md"]).read_text("utf-8")


def acceptable(opening: str, rest: str, *, page: str, ask: str) -> bool:
    """Return whether `rest` finishes the sentence `opening` well: plainly, and saying what was not said before.

    `page` is the text before that sentence, `ask` what the model was asked.
    """
    words = _WORD.findall((opening + rest).lower())
    if not rest.endswith((".", "?")) or not _MIN_WORDS <= len(words) <= _MAX_WORDS:
        return False
    if _HANGING.search(rest):
        return False
    # Lone hyphens, chains of them, double spaces and relative clauses are where this model loses its thread.
    if _ASIDE.search(rest) or re.search(r"\w[ ]+[-,']|\s\s|(?:\w+-){3}|[-,'][.?]|, which\b", rest):
        return False
    content = [word[:_STEM_CHARS] for word in words if len(word) >= _CONTENT_CHARS]
    if len(set(content)) < len(content):
        return False
    return not _runs(words) & (_runs(_WORD.findall(page.lower())) | _runs(_WORD.findall(ask.lower())))


async def _fill(hole: Hole, page: str, messages: list[dict[str, str]], settings: ModelSettings, *, seed: int) -> str:
    """Return the sentence that the hole begins, finished by the model; empty where no try was acceptable."""
    begun = page + hole.opening
    sent = [*messages, {"role": "assistant", "content": begun}]
    one_sentence = replace(settings, max_output_tokens=_MAX_SENTENCE_TOKENS)
    for attempt in range(_MAX_TRIES):
        body = {**_SAMPLING, "grammar": _ONE_SENTENCE}
        reply = ""
        async with contextlib.aclosing(
            stream_completion(sent, one_sentence, seed=seed + attempt, extra_body=body)
        ) as pieces:
            async for piece in pieces:
                reply += piece.text
        rest = reply.removeprefix(begun)  # llama.cpp repeats what it was given to continue
        if acceptable(hole.opening, rest, page=page, ask=messages[-1]["content"]):
            return hole.opening + rest
    return ""


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    """Return all runs of words that are long enough to be an echo where they occur again."""
    return set(zip(*(words[start:] for start in range(_ECHO_WORDS)), strict=False))


def _one_line(text: str) -> str:
    """Return `text` as the part of a sentence: on one line, without a mark at its end."""
    return " ".join(text.split()).rstrip(".!:;, ")


def _title(brief: Brief) -> str:
    # A name that Goalmap itself made up says nothing.
    if not brief.file.rsplit("/", 1)[-1].startswith("autogen_"):
        return guess_description(brief.file, brief.goal)
    description = _one_line(brief.description)
    if len(description.split()) <= _MAX_TITLE_WORDS:
        return description
    return " ".join(brief.goal_title.split()).rstrip(".") or guess_description("", brief.goal)


def _role(description: str) -> str:
    """Return what comes after “You are”: `a detective`, `an assistant who digs like a detective`."""
    first, _, rest = description.partition(" ")
    if first.lower() in {"a", "an", "the", "someone", "somebody", "one"}:
        return first.lower() + " " + rest
    if description.lower().startswith("you are "):
        return description[8:]
    # "Digs like a detective": a habit, not a name.
    if rest and re.fullmatch(r"[A-Za-z]+[^su\W]s", first):
        return f"an assistant who {first.lower()} {rest}"
    article = "an" if first[:1].lower() in set("aeiou") else "a"
    return f"{article} {_lower_start(description)}"


def _lower_start(text: str) -> str:
    """Return `text` as it stands within a sentence; `SQL`, `GitHub` and `I` keep their capitals."""
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if len(first) > 1 and first[1:].islower() else text
