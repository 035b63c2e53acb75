"""Which replies become components, and what is cut off around them."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goalmap.generation.reply import MAX_CHARS, Accepted, Rejected, accept, clean

COMPONENT = """# Root cause drilldown

Use this protocol when something broke and nobody knows why.

1. State what was expected and what happened instead, with the time it was first seen.
2. List the changes since it last worked, newest first.
3. For each change, name the cheapest observation that would rule it out, and make it.
4. Keep the one that survives and explain the mechanism in two sentences.

Stop and ask if the evidence contradicts every change."""

FENCED_CODE = """Run this first:

```python
print("a")
```

Then report what it printed, and nothing else at all."""


def accepted(raw: str, finish_reason: str | None = "stop", examples: tuple[str, ...] = ()) -> Accepted:
    verdict = accept(raw, finish_reason=finish_reason, examples=examples)
    assert isinstance(verdict, Accepted), verdict
    return verdict


def refused(raw: str, finish_reason: str | None = "stop", examples: tuple[str, ...] = ()) -> Rejected:
    verdict = accept(raw, finish_reason=finish_reason, examples=examples)
    assert isinstance(verdict, Rejected), verdict
    assert verdict.reason
    assert verdict.next_step
    return verdict


@pytest.mark.parametrize(
    "raw",
    [
        COMPONENT,
        f"\n\n{COMPONENT}\n\n\n",
        f"```markdown\n{COMPONENT}\n```",
        f"```\n{COMPONENT}\n```\n",
        f"~~~~ text\n{COMPONENT}\n~~~~",
        f"```md\n{COMPONENT}",
        f"Sure, here is the protocol you asked for:\n\n{COMPONENT}",
        f"Here's the component:\n\n```markdown\n{COMPONENT}\n```\n\nLet me know if you'd like any changes!",
        f"Certainly! Here is a protocol for root cause analysis:\n{COMPONENT}",
        f"{COMPONENT}\n\nI hope this helps!",
        f"{COMPONENT}\n\n---\n\nFeel free to adapt it to your needs.",
        f"<think>What does the user want?\n\nA protocol.</think>\n\n{COMPONENT}",
        f"<think></think><think>again</think>{COMPONENT}",
        f"They want a protocol, so I write one.\n</think>\n\n{COMPONENT}",
        f"<|im_start|>assistant\n{COMPONENT}<|im_end|>",
        f"<s>[INST] {COMPONENT} [/INST]</s>".replace("<s>", ""),
        f"{COMPONENT}<｜end▁of▁sentence｜>",
        COMPONENT.replace("\n", "\r\n"),
        COMPONENT.replace("\n", "\r"),
        f"\ufeff{COMPONENT}",
    ],
)
def test_what_is_wrapped_around_the_whole_goes(raw: str) -> None:
    assert accepted(raw).text == COMPONENT + "\n"


@pytest.mark.parametrize(
    "text",
    [
        FENCED_CODE,
        "```python\nimport this\nprint('a component may be a piece of code')\n```",
        "```json\n{}\n```\n\nAnswer in this shape, then explain it:\n\n```json\n{}\n```",
        "```\ninput goes here\n```\nbecomes\n```\noutput goes there\n```",
        "Put your reasoning between <think> and </think>, then answer on a line of its own.",
        "Answer inside\n<think>\nnotes\n</think>\nand then give the verdict alone.",
        "Replace <|im_start|> by the marker that your engine uses, and test it.",
        "You are a reviewer. If you cannot help, say: I'm sorry, but I can't help with that.",
        "Here is how to work:\n\n1. Read it all.\n2. Then answer.",
        "Here is an example:\n\nInput: a\nOutput: b",
        "Sure signs of trouble are these three:\n\n- noise\n- heat\n- smoke",
        "Ask until it is clear.\n\nLet me know if the deadline is at risk before you start.",
        "Feel free to disagree with me, and say why.",
        "   indented first line, which a table may need\n| a | b |",
        "Strike out what was wrong and keep it readable: <s>this word</s>",
        "Zwei Leerzeichen am Ende  \nsind ein Umbruch in Markdown.",
        "Schreibe klar und knapp: „so“ – nicht anders. 日本語 🚀 👩‍🔬 می‌خواهم",
    ],
)
def test_what_stands_within_the_text_stays(text: str) -> None:
    assert accepted(text).text == text + "\n"


def test_a_fence_may_hold_fences() -> None:
    assert accepted(f"```markdown\n{FENCED_CODE}\n```").text == FENCED_CODE + "\n"
    assert accepted(f"````\n{FENCED_CODE}\n````").text == FENCED_CODE + "\n"


@pytest.mark.parametrize(
    "raw", ["", " \n\t\n", "<think>all of it", "```\n```", "<|im_end|>", "\u200b\ufeff", "---\n***"]
)
def test_an_empty_reply_is_refused(raw: str) -> None:
    assert refused(raw).code == "empty"


@pytest.mark.parametrize(
    "raw",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I cannot create this component.",
        "Sorry, I am unable to assist with this request.",
        "As an AI language model, I do not have opinions, so this is not possible.",
        "I cannot provide a protocol for that.",
        "Unfortunately, I won't be able to write this. It would break my rules.",
        "**I can't assist with that.** Please ask for something else.",
    ],
)
def test_a_model_that_declines_is_refused(raw: str) -> None:
    assert refused(raw).code == "declined"


def test_a_short_reply_is_refused() -> None:
    assert refused("Root cause.").code == "short"
    assert refused("Sure, here is the component:").code == "empty"
    assert accepted("Never guess a number.").warnings == ("The text is very short (4 words).",)
    assert accepted("絶対に数字を推測しないこと。").text == "絶対に数字を推測しないこと。\n"


def test_a_loop_is_refused() -> None:
    assert refused("Use a drilldown to find it now. " * 9).code == "loop"
    assert refused(f"{COMPONENT}\n" + "And so on and on it goes. " * 9 + COMPONENT).code == "loop"


def test_a_text_that_mostly_repeats_itself_is_refused() -> None:
    lines = [f"{n}. Check the logs, the metrics and the traces of service {n}." for n in range(30)]
    assert refused("\n".join(lines)).code == "repetitive"


def test_a_copy_of_a_neighbour_is_refused() -> None:
    copy = COMPONENT.replace("Stop and ask", "Stop at once and ask")
    assert refused(copy, examples=("something else", COMPONENT)).code == "copied"
    assert accepted(copy, examples=("something else",)).text == copy + "\n"


def test_a_reply_that_was_cut_off_is_refused_and_not_asked_for_again() -> None:
    verdict = refused(COMPONENT, finish_reason="length")
    assert verdict.code == "cut"
    assert not verdict.worth_retrying
    assert "maxOutputTokens" in verdict.next_step


def test_what_a_content_filter_stopped_is_refused() -> None:
    assert refused(COMPONENT, finish_reason="content_filter").code == "filtered"


def test_nul_is_refused_and_an_enormous_reply() -> None:
    assert refused(COMPONENT + "\0").code == "damaged"
    assert refused("a b c d " * MAX_CHARS).code == "too-long"


def test_characters_that_cannot_be_seen_are_taken_out_and_counted() -> None:
    verdict = accepted(
        "\x1b[31mYou\x1b[0m are\u200b a \u202ereviewer\u202c who\x07 trusts\U000e0041 evidence only.\x85Go on."
    )
    assert verdict.text == "You are a reviewer who trusts evidence only.\nGo on.\n"
    assert verdict.warnings[0].endswith("invisible characters were removed from the text.")


def test_a_lone_surrogate_cannot_reach_the_disk() -> None:
    text = accepted(json.loads('"You are half \\ud83d of a smile."')).text
    assert text.encode() == "You are half \ufffd of a smile.\n".encode()


def test_the_flag_of_scotland_survives() -> None:
    flag = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
    assert flag in accepted(f"Answer with a {flag} at the end of it.").text


def test_oddities_are_warned_about() -> None:
    long = accepted(" ".join(f"word{n}" for n in range(900)))
    assert any("very long (900 words)" in warning for warning in long.warnings)
    open_fence = accepted("Answer with a block like this one:\n\n```json\n{}\n")
    assert any("not closed" in warning for warning in open_fence.warnings)
    mark = accepted(f"{COMPONENT}\n<|im_end|>\n<|im_start|>user\nThanks, and now another one")
    assert any("<|im_end|>" in warning for warning in mark.warnings)
    assert accepted(COMPONENT).warnings == ()


def test_long_runs_of_blanks_do_not_take_long() -> None:
    for raw in (" " * 150_000 + "x", "\n" * 150_000 + "<|im_end|>", "\n \n" * 50_000 + "a b c d", "<think>" * 20_000):
        clean(raw)


PIECES = st.sampled_from(
    [
        "```", "```markdown", "```python", "~~~", "<think>", "</think>", "<|im_end|>", "</s>", "<s>", "[INST]",
        "Sure, here is the protocol:", "Let me know if you want changes.", "I hope this helps", "Sorry, I can't",
        "---", "\n", "\n\n", "\r\n", "\r", " ", "\t", "\u2028", "\x85", "\x1b[1m", "\u202e", "\ufeff", "\ud800", "\0",
        "\U0001f3f4", "\U000e0067", "\U000e007f", "assistant\n", "# Title", "- item one of some", "word", "日本",
    ]
)  # fmt: skip
REPLIES = st.one_of(st.text(max_size=300), st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=40).map("".join))
REASONS = st.sampled_from([None, "stop", "length", "content_filter", "tool_calls", ""])


@given(REPLIES, REASONS, st.lists(st.text(max_size=60), max_size=2))
def test_accept_never_raises_and_its_text_is_fit_for_a_file(raw: str, reason: str | None, examples: list[str]) -> None:
    verdict = accept(raw, finish_reason=reason, examples=examples)
    if isinstance(verdict, Accepted):
        assert verdict.text.endswith("\n")
        assert not verdict.text.endswith("\n\n")
        assert not re.search("[\0-\x08\x0b-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]", verdict.text)
        verdict.text.encode()


@given(REPLIES)
def test_what_was_accepted_is_accepted_again_unchanged(raw: str) -> None:
    cleaned = clean(raw)
    assert clean(cleaned) == cleaned
    verdict = accept(raw, finish_reason="stop")
    if isinstance(verdict, Accepted):
        again = accept(verdict.text, finish_reason="stop")
        assert isinstance(again, Accepted)
        assert again.text == verdict.text


@given(REPLIES)
def test_only_the_outside_is_cut(raw: str) -> None:
    """Whatever is kept stood in the reply just so: one piece of it, but for what cannot be seen."""
    cleaned = clean(raw).removesuffix("\n")
    # The same reply with something solid around it has no outside to cut.
    whole = clean(f"begin\n{raw}\nend")
    assert cleaned in whole
