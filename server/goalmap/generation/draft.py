"""A draft by a tiny local model: sentences it can finish, in a skeleton that makes them a component.

A model of a hundred million parameters writes fluent sentences and no coherent page. So the page is ours: for each
type of component a skeleton of sentences that hold for any subject, with the user's description worked in. Here and
there the model finishes a sentence that we begin: llama.cpp continues the page as it stands, bound by a grammar to
one plain sentence. Each candidate is judged; where none of a few is any good, that sentence is left out.

The grammar and the sampling parameters are llama.cpp's: none of this is sent to any other endpoint.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from goalmap.generation.model import Delta, stream_completion
from goalmap.generation.prompt import guess_description

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from goalmap.generation.model import ModelSettings
    from goalmap.generation.prompt import Brief

_CANDIDATES = 3
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

# Between ⟪ and ⟫ the model goes on. The rest is a string.Template without the template: $role and its like are
# replaced in our text only, never in the user's.
_SKELETONS = {
    "persona": """You are $role.⟪ You are known for⟫⟪ You care most about⟫

How you work:
⟪
- You begin by⟫⟪
- You always⟫⟪
- You never⟫
- You say what you saw, what you conclude from it, and how sure you are.
- When something is missing, you ask one short question instead of assuming.
- You finish with the one next step that matters most.""",
    "protocol": """# $Title

${Purpose}Work through the steps in order. Write down what each step shows before you take the next one.

1. **Frame.** Say in one sentence what is asked, and what a finished result is.⟪ Before you start, make sure that⟫
2. **Gather.** Collect the material that the task rests on. Mark what is missing; do not guess it.⟪ Collect⟫
3. **Examine.** Go through the material piece by piece, and note what stands out.⟪ Identify⟫
4. **Compare.** Form at least two explanations or options, and test each one against the material.
5. **Decide.** Keep what the evidence supports, and name what still speaks against it.
6. **Report.** Give the result first, then the reasons, then what is open.

Stop and ask when a step cannot be carried out, or when its result contradicts an earlier one.⟪ A common mistake is⟫""",
    "constraint": """- $Topic.
- This holds in every part of the answer, in tables, code and examples too.⟪
- Always⟫⟪
- Never⟫⟪
- Before you answer, check that⟫⟪
- If you are not sure,⟫
- If the rule cannot be kept, say so in one sentence, name the reason, and stop there.""",
    "output_format": """Write the answer as follows: $topic.

Use Markdown, keep this order, and write nothing before or after these parts.

**Summary.** One or two sentences with the result.⟪ The summary tells the reader⟫

**Details.** One entry for each item, the most important first.⟪ Each entry describes⟫

**Evidence.** For every claim, the place where a reader can check it.

**Open points.** What is still unknown, or “none”.

Leave out greetings, praise and repetition.""",
    "checklist": """Before you answer, go through this list. It is for: $topic.

Answer each item with yes or no. For a no, say what is missing.
⟪
- [ ] The goal is⟫⟪
- [ ] The plan includes⟫⟪
- [ ] There is a⟫⟪
- [ ] Someone has checked that⟫⟪
- [ ] If something goes wrong,⟫
- [ ] Every claim can be checked by the reader.
- [ ] Nothing is left over that the goal does not need.

Report the items with a no first.""",
    "example": """This example shows the tone, the layout and the length of a good answer for: $topic.

**Input**
⟪
Hello, I am writing because⟫⟪ Could you please tell me⟫

**Answer**
⟪
Thank you for⟫⟪ The short answer is that⟫⟪ The next step is to⟫

Follow the example in form only: take every fact from the real input.""",
    "context": """Background: $topic.
⟪
- What matters most here is⟫⟪
- A good result is one that⟫
- Names, figures and dates come from the request; none are assumed.

Treat this as given. Where the request contradicts it, point out the contradiction and ask before you go on.""",
}
_GENERIC = """# $Title

$Topic.
⟪
- The purpose is to⟫⟪
- Always⟫⟪
- Never⟫⟪
- Make sure that⟫
- Where something is missing, say so instead of filling the gap.

Apply this to the whole answer."""

_ASKS = {
    "persona": "Write a role description for an assistant. The role: ",
    "protocol": "Write a procedure with numbered steps for an assistant. The task: ",
    "constraint": "Write rules for an assistant. The most important rule: ",
    "output_format": "Describe the layout of a report for an assistant. The report: ",
    "checklist": "Write a checklist. It is for: ",
    "example": "Write an example of a message and a polite answer. It is about: ",
    "context": "Describe the background of a project. The project: ",
}
_GENERIC_ASK = "Write instructions for an assistant. They are about: "

_HOLE = re.compile("⟪(.*?)⟫", re.DOTALL)
_NAME = re.compile(r"\$\{?(\w+)\}?")
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


@dataclass(frozen=True, slots=True)
class Hole:
    """A place in a skeleton where the model finishes the sentence that `opening` begins."""

    opening: str


async def draft(brief: Brief, settings: ModelSettings, *, seed: int) -> AsyncGenerator[Delta, None]:
    """Yield a component for `brief` piece by piece, finished sentences only; the last piece has the finish reason.

    `settings` must lead to a llama.cpp server. Raises `ModelError`.
    """
    ask = _ASKS.get(brief.component_type, _GENERIC_ASK) + _topic(brief) + "."
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": ask}]
    page = ""
    for number, part in enumerate(skeleton(brief)):
        if isinstance(part, Hole):
            text = await _fill(part, page, messages, settings, seed=1000 * seed + 10 * number)
        else:
            text = part
        if text:
            page += text
            yield Delta(text)
    yield Delta("", "stop")


def skeleton(brief: Brief) -> Iterator[str | Hole]:
    """Yield the parts of the page: finished text, and holes for the model."""
    topic = _topic(brief)
    title = _title(brief)
    names = {
        "topic": topic[:1].lower() + topic[1:] if _is_plain_start(topic) else topic,
        "Topic": topic[:1].upper() + topic[1:],
        "Title": title[:1].upper() + title[1:],
        "Purpose": "" if title.lower() == topic.lower() else f"Purpose: {topic[:1].upper() + topic[1:]}.\n\n",
        "role": _role(topic),
    }
    for index, part in enumerate(_HOLE.split(_SKELETONS.get(brief.component_type, _GENERIC))):
        if index % 2:
            yield Hole(part)
        elif part:
            yield _NAME.sub(lambda match: names[match[1]], part)


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
    begun = page + hole.opening
    asked = [*messages, {"role": "assistant", "content": begun}]
    one_sentence = replace(settings, max_output_tokens=_MAX_SENTENCE_TOKENS)
    for attempt in range(_CANDIDATES):
        body = {**_SAMPLING, "grammar": _ONE_SENTENCE}
        pieces = stream_completion(asked, one_sentence, seed=seed + attempt, extra_body=body)
        said = ""
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                said += piece.text
        # llama.cpp repeats what it was given to continue.
        rest = said.removeprefix(begun)
        if acceptable(hole.opening, rest, page=page, ask=messages[-1]["content"]):
            return hole.opening + rest
    return ""


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    """Return all runs of words that are long enough to be an echo where they occur again."""
    return set(zip(*(words[start:] for start in range(_ECHO_WORDS)), strict=False))


def _topic(brief: Brief) -> str:
    return " ".join(brief.description.split()).rstrip(".!:;, ")


def _title(brief: Brief) -> str:
    # A name that Goalmap itself made up says nothing.
    if not brief.file.rsplit("/", 1)[-1].startswith("autogen_"):
        return guess_description(brief.file, brief.goal)
    topic = _topic(brief)
    if len(topic.split()) <= _MAX_TITLE_WORDS:
        return topic
    return " ".join(brief.goal_title.split()).rstrip(".") or guess_description("", brief.goal)


def _role(topic: str) -> str:
    first, _, rest = topic.partition(" ")
    if first.lower() in {"a", "an", "the", "someone", "somebody", "one"}:
        return first.lower() + " " + rest
    if topic.lower().startswith("you are "):
        return topic[8:]
    # "Digs like a detective": a habit, not a name.
    if rest and re.fullmatch(r"[A-Za-z]+[^su\W]s", first):
        return f"an assistant who {first.lower()} {rest}"
    article = "an" if first[:1].lower() in set("aeiou") else "a"
    return f"{article} {topic[:1].lower() + topic[1:] if _is_plain_start(topic) else topic}"


def _is_plain_start(topic: str) -> bool:
    """Return whether the first word is written large only because it comes first: not `SQL`, `GitHub`, `I`."""
    first = topic.split(" ", 1)[0]
    return len(first) > 1 and first[1:].islower()
