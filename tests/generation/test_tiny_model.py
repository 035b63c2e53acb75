"""The page around the sentences of a tiny model, and which of its sentences get onto it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goalmap.generation.prompt import Brief, validate_description
from goalmap.generation.reply import Accepted, accept
from goalmap.generation.tiny_model import Hole, acceptable, skeleton

BRIEF = Brief("protocol", ("Technical", "DEBUG"), "", "", "find the cause of an outage", "outage_drilldown.txt")
TYPES = ["persona", "protocol", "constraint", "output_format", "checklist", "example", "context", "glossary"]


def page(brief: Brief) -> str:
    """Return the page as it is when no sentence of the model was any good."""
    return "".join(part for part in skeleton(brief).parts if isinstance(part, str))


@pytest.mark.parametrize("component_type", TYPES)
def test_every_type_has_a_page_that_holds_without_the_model(component_type: str) -> None:
    brief = dataclasses.replace(BRIEF, component_type=component_type)
    verdict = accept(page(brief), finish_reason="stop")
    assert isinstance(verdict, Accepted)
    assert verdict.warnings == ()
    assert "find the cause of an outage" in verdict.text.lower()
    assert len(verdict.text.split()) > 25
    assert not set("⟪⟫$") & set(verdict.text + skeleton(brief).request)
    assert sum(isinstance(part, Hole) for part in skeleton(brief).parts) >= 2


@given(
    st.text(min_size=1, max_size=500).filter(lambda text: validate_description(text) is None), st.sampled_from(TYPES)
)
def test_a_description_is_data_on_the_page(description: str, component_type: str) -> None:
    """Neither a hole nor a name of ours can come from it."""
    brief = dataclasses.replace(BRIEF, component_type=component_type, description=description)
    plain = dataclasses.replace(brief, description="something")
    assert [part for part in skeleton(brief).parts if isinstance(part, Hole)] == [
        part for part in skeleton(plain).parts if isinstance(part, Hole)
    ]


def test_markers_in_a_description_stay_letters() -> None:
    brief = dataclasses.replace(BRIEF, component_type="constraint", description="never write ⟪$role⟫ or $Topic")
    assert page(brief).startswith("- Never write ⟪$role⟫ or $Topic.\n")


@pytest.mark.parametrize(
    ("description", "beginning"),
    [
        ("skeptical senior reviewer", "You are a skeptical senior reviewer."),
        ("Experienced nurse.", "You are an experienced nurse."),
        ("SQL tutor for beginners", "You are a SQL tutor for beginners."),
        ("A detective", "You are a detective."),
        ("You are the editor of a newspaper", "You are the editor of a newspaper."),
        ("Digs like a detective.", "You are an assistant who digs like a detective."),
        ("boss of a small company", "You are a boss of a small company."),
    ],
)
def test_a_persona_begins_with_who_it_is(description: str, beginning: str) -> None:
    brief = dataclasses.replace(BRIEF, component_type="persona", description=description)
    assert page(brief).startswith(beginning)


@pytest.mark.parametrize(
    ("file", "description", "beginning"),
    [
        (
            "autogen_protocol_for_debug.txt",
            "find the cause, one testable hypothesis at a time",
            "# Debug\n\nPurpose: Find the cause, one testable hypothesis at a time.\n",
        ),
        ("outage_drilldown.txt", "find the cause", "# Outage drilldown\n\nPurpose: Find the cause.\n\nWork through"),
        ("find_the_cause.txt", "find the cause", "# Find the cause\n\nWork through"),
        ("autogen_protocol_for_debug.txt", "find the cause", "# Find the cause\n\nWork through"),
    ],
)
def test_a_protocol_begins_with_its_name_and_purpose(file: str, description: str, beginning: str) -> None:
    assert page(dataclasses.replace(BRIEF, file=file, description=description)).startswith(beginning)


@pytest.mark.parametrize(
    "rest",
    [
        " conducting a thorough examination of the scene and gathering all available evidence.",
        " asking what the reader expected.",
        " reading the log, the metrics and the last change.",
    ],
)
def test_a_plain_sentence_is_taken(rest: str) -> None:
    assert acceptable("\n- You begin by", rest, page="You are a detective.", ask="The role: detective.")


@pytest.mark.parametrize(
    "rest",
    [
        " asking what the reader expected",  # not finished
        " asking.",  # says nothing
        " asking " + "one thing and another thing, and " * 8 + "no more.",
        " reading the sentence above once more.",  # about its own text
        " looking at what-is-to-be-done.",
        " looking  for  a  place.",
        " asking about evidence and then more evidence.",
        " taking what is yours and giving it to.",  # hangs
        " keeping the evidence, which is a part of your job.",  # rambles
        " saying that you trust evidence only today.",  # an echo of the page
        " being a reviewer for large web services.",  # an echo of the question
    ],
)
def test_a_sentence_that_says_nothing_is_not(rest: str) -> None:
    page_so_far = "You are a detective. You trust evidence only."
    assert not acceptable("\n- You begin by", rest, page=page_so_far, ask="The role: reviewer for large web services.")
