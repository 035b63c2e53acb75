"""Growing a selection: from the name under the cursor to the map."""

from collections.abc import Callable
from typing import Any

import pytest

from support.fixtures import ENCODINGS, Editor, Encoding, paper_names, paper_text

Edit = Callable[..., Editor]


def selections(editor: Editor, *offsets: int, path: str = "goal_map.json") -> list[list[str]]:
    """Return the texts that are selected at each offset, one after the other."""
    positions = [editor.position(editor.text(path), offset) for offset in offsets]
    answer = editor.request("textDocument/selectionRange", {**editor.document(path), "positions": positions})
    found = []
    for selection in answer:
        texts, at = [], selection
        while at:
            texts.append(editor.under(path, at["range"]))
            at = at.get("parent")
        found.append(texts)
    return found


def at_cursor(editor: Editor) -> list[str]:
    assert editor.paper.cursor is not None
    return selections(editor, editor.paper.cursor.offset)[0]


MAP = """{
  "Technical": {
    "DEBUG": {
      "persona": "critic.txt",
      "constraints": ["a.txt", "b.txt"]
    }
  }
}
"""


def grown(edit: Edit, at: str, text: str = MAP) -> list[str]:
    """Return the selections at the cursor, from the inside; the last one is the map."""
    found = at_cursor(edit("-- goal_map.json --\n" + text.replace(at.replace("$0", ""), at, 1)))
    assert found[-1] == text
    return found[:-1]


DEBUG = MAP[MAP.index('"DEBUG"') : MAP.index("\n  }")]
TECHNICAL = MAP[MAP.index('"Technical"') : MAP.rindex("\n}")]


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        ("cri$0tic.txt", ["critic.txt", '"critic.txt"', '"persona": "critic.txt"']),
        ("$0critic.txt", ["critic.txt", '"critic.txt"', '"persona": "critic.txt"']),
        (
            "b.t$0xt",
            ["b.txt", '"b.txt"', '["a.txt", "b.txt"]', '"constraints": ["a.txt", "b.txt"]'],
        ),
        ('"a.txt", $0"b', ['["a.txt", "b.txt"]', '"constraints": ["a.txt", "b.txt"]']),
        ("pers$0ona", ["persona", '"persona"', '"persona": "critic.txt"']),
        ("DEB$0UG", ["DEBUG", '"DEBUG"']),
        ('      $0"constraints', ['"constraints": ["a.txt", "b.txt"]']),
    ],
)
def test_from_the_name_to_the_map(at: str, inside: list[str], edit: Edit) -> None:
    found = grown(edit, at)
    assert found[-2:] == [DEBUG, TECHNICAL]
    assert found[:-2] == inside


def test_outside_of_everything_there_is_the_map(edit: Edit) -> None:
    assert grown(edit, "{$0\n") == []


def test_several_cursors(edit: Edit) -> None:
    editor = edit(f"-- goal_map.json (open) --\n{MAP}")
    first, second = selections(editor, MAP.index("critic"), MAP.index("b.txt"))
    assert (first[0], second[0]) == ("critic.txt", "b.txt")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_columns_are_counted_as_the_client_wants(encoding: Encoding, edit: Edit) -> None:
    editor = edit('-- goal_map.json --\n{"🦊": {"persona": "🦊.t$0xt"}}\n', encoding=encoding)
    assert at_cursor(editor)[:3] == ["🦊.txt", '"🦊.txt"', '"persona": "🦊.txt"']


def test_a_component_has_none(edit: Edit) -> None:
    editor = edit("-- goal_map.json --\n{}\n-- components/personas/a.txt --\nA$0\n")
    params = {"textDocument": editor.here["textDocument"], "positions": [editor.here["position"]]}
    assert editor.request("textDocument/selectionRange", params) is None


@pytest.mark.parametrize("name", paper_names())
def test_each_selection_is_within_the_next_at_every_offset(name: str, edit: Edit) -> None:
    editor = edit(paper_text(name))
    for path, text in list(editor.texts.items()):
        if not path.endswith("goal_map.json"):
            continue
        # Within a line end there is no place.
        everywhere = [offset for offset in range(len(text) + 1) if text[offset - 1 : offset + 1] != "\r\n"]
        positions: list[Any] = [editor.position(text, offset) for offset in everywhere]
        answer = editor.request("textDocument/selectionRange", {**editor.document(path), "positions": positions})
        for offset, selection in zip(everywhere, answer, strict=True):
            at, inner = selection, (offset, offset)
            while at:
                _, start, end = editor.span(path, at["range"])
                assert start <= inner[0] <= inner[1] <= end
                assert at is selection or (start, end) != inner
                inner, at = (start, end), at.get("parent")
            assert inner == (0, len(text))
