"""Hovers: the prompt as it will run, and nothing of it that acts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.fixtures import Editor

Edit = Callable[..., Editor]

LIBRARY = """
-- components/personas/p.txt --
You are P.
-- components/constraints/c.txt --
No guessing.
-- components/templates/t.md (open) --
{{ persona }} for {{ title }}
"""


def hover(editor: Editor) -> str:
    answer = editor.request("textDocument/hover", editor.here)
    return str(answer["contents"]["value"]) if answer else ""


def test_a_goal_shows_its_prompt_with_what_is_missing(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A$0": {"persona": "p.txt", "constraints": ["c.txt", "x.txt"]}}' + LIBRARY)
    assert hover(editor) == (
        "`A` · **≈ 22** tokens · missing: `constraints/x.txt`\n\n"
        "```\n# A\n\n## PERSONA\n\nYou are P.\n\n## CONSTRAINTS\n\n"
        "No guessing.\n\n---\n\n⟨missing: constraints/x.txt⟩\n```"
    )


def test_unsaved_components_count(edit: Edit) -> None:
    paper = '-- goal_map.json --\n{"A$0": {"persona": "p.txt"}}' + LIBRARY
    editor = edit(paper + "-- components/personas/p.txt (unsaved) --\nYou are Q.\n")
    assert "You are Q." in hover(editor)


def test_a_reference_shows_its_component_and_its_users(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A": {"persona": "p$0.txt"}, "B": {"persona": "p.txt"}}' + LIBRARY)
    assert hover(editor) == "`components/personas/p.txt` · ≈ 3 tokens · used by `A`, `B`\n\n```\nYou are P.\n```"


def test_a_missing_component_says_what_to_do(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A": {"persona": "x$0.txt"}}' + LIBRARY)
    assert "does not exist yet" in hover(editor)


def test_a_broken_map_still_has_hovers(edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A$0": {"persona": "p.txt", "constraints": ["c.' + LIBRARY)
    assert "You are P." in hover(editor)


def test_a_component_says_who_uses_it(edit: Edit) -> None:
    paper = '-- goal_map.json --\n{"T": {"A": {"persona": "p.txt"}}}' + LIBRARY.replace("You are", "You a$0re")
    assert hover(edit(paper)) == "`components/personas/p.txt` · used by `T/A`"


def test_a_variable_of_a_template_shows_its_value(edit: Edit) -> None:
    goal = '-- goal_map.json --\n{"A": {"title": "The T", "persona": "p.txt", "template": "t.md"}}'
    editor = edit(goal + LIBRARY.replace("{{ title", "{{ ti$0tle").replace("t.md (open)", "t.md"))
    assert hover(editor) == "`title` in `A`\n\n```\nThe T\n```"


def test_the_value_is_that_of_the_first_goal_that_has_the_variable(edit: Edit) -> None:
    goals = '{"A": {"persona": "p.txt", "template": "t.md"}, "B": {"constraints": ["c.txt"], "template": "t.md"}}'
    text = LIBRARY.replace("{{ title", "{{ constr$0aints").replace("t.md (open)", "t.md")
    assert hover(edit(f"-- goal_map.json --\n{goals}{text}")) == "`constraints` in `B`\n\n```\nNo guessing.\n```"


@pytest.mark.parametrize(
    "text",
    [
        "[click](command:workbench.action.quit)",
        "![x](https://example.com/x.png)",
        "<img src=x onerror=alert(1)>",
        "```\n[out](command:x)\n```",
        "`````\n[out](command:x)",
        "~~~\n[out](command:x)",
        "\u202e[rtl](command:x)\x1b[31m",
        "</code></pre><a href='command:x'>y</a>",
    ],
)
def test_nothing_in_a_component_is_active_in_a_hover(text: str, edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"A": {"persona": "p$0.txt"}}' + LIBRARY.replace("You are P.", text))
    shown = hover(editor)
    head, _, block = shown.partition("\n\n")
    assert "command:" not in head
    fence = block.split("\n")[0]
    assert set(fence) == {"`"}
    inner = block.split("\n")[1:-1]
    assert block.endswith(f"\n{fence}")
    # A fence is closed only by a line of at least as many backticks: none of the component's may be one.
    assert not any(line.strip().startswith(fence) for line in inner)
    assert "\u202e" not in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("name", ["`](command:x)", "[a](command:x)", "<b>", "``x``", " ` "])
def test_nothing_in_a_name_is_active_in_a_hover(name: str, edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"' + name + '$0": {"persona": "' + name + '.txt"}}' + LIBRARY)
    head = hover(editor).split("\n\n")[0]
    for part in head.split(" · "):
        if "command:" in part or "<b>" in part:
            ticks = len(part.removeprefix("missing: ")) - len(part.removeprefix("missing: ").lstrip("`"))
            assert ticks > 0
            assert part.endswith("`" * ticks)


def test_a_client_without_markdown_gets_plain_text(edit: Edit) -> None:
    capabilities = {"textDocument": {"hover": {"contentFormat": ["plaintext"]}}}
    editor = edit('-- goal_map.json --\n{"A$0": {"persona": "p.txt"}}' + LIBRARY, capabilities=capabilities)
    assert editor.request("textDocument/hover", editor.here)["contents"]["kind"] == "plaintext"
