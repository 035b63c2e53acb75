"""Assembled prompts as documents: their text, where each character came from, and that they follow every edit."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from support.fixtures import ENCODINGS, FULL_CLIENT, Editor
from support.lsp_client import LspError

Edit = Callable[..., Editor]

LIBRARY = """
-- goal_map.json (open) --
{"G": {"DEBUG it": {"title": "Find 🦊", "persona": "critic.txt", "protocol": "gone.txt", "constraints": ["a.txt"]}}}
-- components/personas/critic.txt --
A 🦊 critic.
Second line.
-- components/constraints/a.txt --
Cite.
"""
TEXT = (
    "# Find 🦊\n\n## PERSONA\n\nA 🦊 critic.\nSecond line.\n\n"
    "## PROTOCOL\n\n⟨missing: protocols/gone.txt⟩\n\n## CONSTRAINTS\n\nCite."
)
GOAL = ["G", "DEBUG it"]


def prompt(editor: Editor, goal: Any = None) -> Any:
    return editor.request("goalmap/prompt", {"uri": editor.uri("goal_map.json"), "goal": goal or GOAL})


def content(editor: Editor, uri: str) -> str:
    return str(editor.request("workspace/textDocumentContent", {"uri": uri})["text"])


def utf16(text: str) -> list[bytes]:
    data = text.encode("utf-16-le")
    return [data[at : at + 2] for at in range(0, len(data), 2)]


def test_the_prompt_with_its_sources(edit: Edit) -> None:
    editor = edit(LIBRARY)
    found = prompt(editor)
    assert found["text"] == TEXT
    assert found["missing"] == ["protocols/gone.txt"]
    assert (found["tokens"] > 0, found["exact"] in (True, False), found["error"]) == (True, True, None)
    units = utf16(found["text"])
    stretches = [
        (editor.path(one["uri"]), b"".join(units[one["start"] : one["end"]]).decode("utf-16-le"))
        for one in found["segments"]
    ]
    assert stretches == [
        ("components/personas/critic.txt", "A 🦊 critic.\nSecond line."),
        ("components/constraints/a.txt", "Cite."),
    ]
    assert [one["path"] for one in found["segments"]] == [path for path, _ in stretches]


@pytest.mark.parametrize("goal", [["NOPE"], [], ["G"]])
def test_no_such_goal(edit: Edit, goal: list[str]) -> None:
    editor = edit(LIBRARY)
    assert editor.request("goalmap/prompt", {"uri": editor.uri("goal_map.json"), "goal": goal}) is None


@pytest.mark.parametrize("params", [{}, {"uri": "file:///x"}, {"uri": 1, "goal": []}, {"uri": "x", "goal": [1]}])
def test_malformed_params_are_the_clients_fault(edit: Edit, params: Any) -> None:
    with pytest.raises(LspError) as caught:
        edit(LIBRARY).request("goalmap/prompt", params)
    assert caught.value.code == -32602


def test_the_document_has_the_same_text(edit: Edit) -> None:
    editor = edit(LIBRARY)
    uri = prompt(editor)["uri"]
    assert uri == f"goalmap-prompt:{quote(str(editor.full('goal_map.json')))}?%5B%22G%22%2C%20%22DEBUG%20it%22%5D"
    assert content(editor, uri) == TEXT
    assert editor.advertised["workspace"]["textDocumentContent"] == {"schemes": ["goalmap-prompt"]}


def test_a_client_whose_path_is_a_title(edit: Edit) -> None:
    editor = edit(LIBRARY)
    query = f'{{"uri": "{editor.uri("goal_map.json")}", "goal": ["G", "DEBUG it"]}}'
    assert content(editor, f"goalmap-prompt:/DEBUG it (prompt)?{quote(query)}") == TEXT


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("goalmap-prompt:/x/goal_map.json?%5B%22A%22%5D", "no goal A in /x/goal_map.json any more"),
        ("goalmap-prompt:/x/goal_map.json", "names no goal"),
        ("goalmap-prompt:/x/goal_map.json?%5B1%5D", "names no goal"),
        ("goalmap-prompt:/x/goal_map.json?%7B%22uri%22%3A%22untitled%3Ax%22%7D", "names no goal"),
    ],
)
def test_an_address_that_leads_nowhere_says_so_in_the_document(edit: Edit, uri: str, says: str) -> None:
    assert says in content(edit(LIBRARY), uri)


# -- definition --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("flags", ["", " (crlf)"])
def test_every_character_of_a_component_leads_to_itself(edit: Edit, encoding: str, flags: str) -> None:
    editor = edit(LIBRARY.replace("critic.txt --", f"critic.txt{flags} --"), encoding=encoding)
    found = prompt(editor)
    path = "components/personas/critic.txt"
    source = editor.text(path)
    start = TEXT.index("A 🦊 critic.")
    for offset in range(start, TEXT.index("\n\n## PROTOCOL")):
        params = {"textDocument": {"uri": found["uri"]}, "position": editor.position(TEXT, offset)}
        (link,) = editor.request("textDocument/definition", params)
        _, at, _ = editor.span(path, link["targetSelectionRange"])
        assert editor.path(link["targetUri"]) == path
        assert source.replace("\r\n", "\n")[source[:at].replace("\r\n", "\n").__len__()] == TEXT[offset]


def test_headings_and_placeholders_lead_nowhere(edit: Edit) -> None:
    editor = edit(LIBRARY)
    uri = prompt(editor)["uri"]
    for needle in ("Find", "PERSONA", "missing"):
        params = {"textDocument": {"uri": uri}, "position": editor.position(TEXT, TEXT.index(needle) + 1)}
        assert editor.request("textDocument/definition", params) is None


def test_a_byte_order_mark_is_in_the_file_and_not_in_the_prompt(edit: Edit) -> None:
    editor = edit(LIBRARY.replace("A 🦊 critic.", "\ufeffA 🦊 critic."))
    params = {"textDocument": {"uri": prompt(editor)["uri"]}, "position": editor.position(TEXT, TEXT.index("critic."))}
    (link,) = editor.request("textDocument/definition", params)
    _, at, _ = editor.span("components/personas/critic.txt", link["targetSelectionRange"])
    assert editor.text("components/personas/critic.txt")[at:].startswith("critic.")


# -- following ---------------------------------------------------------------------------------------------------------
def client(**goalmap: Any) -> Any:
    return {**FULL_CLIENT, "experimental": {"goalmap": goalmap}}


def test_a_shown_prompt_is_refreshed_when_a_component_is_typed_into(edit: Edit) -> None:
    editor = edit(LIBRARY)
    uri = prompt(editor)["uri"]
    content(editor, uri)
    editor.open("components/personas/critic.txt")
    assert editor.received("workspace/textDocumentContent/refresh") == [], "nothing changed yet"
    editor.type("components/personas/critic.txt", 0, 1, "The")
    assert editor.received("workspace/textDocumentContent/refresh") == [{"uri": uri}]
    assert "The 🦊 critic." in content(editor, uri)


def test_a_shown_prompt_is_refreshed_when_its_goal_changes_and_only_then(edit: Edit) -> None:
    editor = edit(LIBRARY)
    uri = prompt(editor)["uri"]
    content(editor, uri)
    text = editor.text("goal_map.json")
    editor.type("goal_map.json", len(text) - 1, len(text) - 1, " ")
    assert editor.received("workspace/textDocumentContent/refresh") == []
    at = text.index("Find")
    editor.type("goal_map.json", at, at + 4, "Seek")
    assert editor.received("workspace/textDocumentContent/refresh") == [{"uri": uri}]
    editor.type("goal_map.json", 0, len(editor.text("goal_map.json")), "{}")
    assert editor.received("workspace/textDocumentContent/refresh") == [{"uri": uri}]
    assert "any more" in content(editor, uri)


def test_a_file_that_changes_outside_of_the_editor(edit: Edit) -> None:
    editor = edit(LIBRARY)
    uri = prompt(editor)["uri"]
    content(editor, uri)
    editor.write("components/protocols/gone.txt", "Back again.")
    changed = {"uri": editor.uri("components/protocols/gone.txt"), "type": 1}
    editor.notify("workspace/didChangeWatchedFiles", {"changes": [changed]})
    assert editor.received("workspace/textDocumentContent/refresh") == [{"uri": uri}]
    assert "Back again." in content(editor, uri)


def test_a_client_that_does_not_know_such_documents_is_not_asked(edit: Edit) -> None:
    editor = edit(LIBRARY, capabilities={})
    content(editor, prompt(editor)["uri"])
    editor.type("goal_map.json", 0, len(editor.text("goal_map.json")), "{}")
    assert editor.received("workspace/textDocumentContent/refresh") == []
    assert editor.received("goalmap/promptChanged") == []


def test_a_client_with_its_own_preview_hears_of_each_change(edit: Edit) -> None:
    editor = edit(LIBRARY, capabilities=client(livePrompt=True))
    editor.received("goalmap/promptChanged")
    editor.type("goal_map.json", 0, 1, "{ ")
    assert editor.received("goalmap/promptChanged") == [{"uri": editor.uri("goal_map.json")}]
    editor.open("components/personas/critic.txt")
    editor.received("goalmap/promptChanged")
    editor.type("components/personas/critic.txt", 0, 0, "x")
    assert editor.received("goalmap/promptChanged") == [{"uri": editor.uri("goal_map.json")}]


# -- the goal at a cursor ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"G": {"A$0": {"title": "T", "persona": "x"}}}', {"goal": ["G", "A"], "title": "T"}),
        ('{"G": {"A": {"persona": "$0x"}}}', {"goal": ["G", "A"], "title": "A"}),
        ('{"G": {"A": {"persona": "$0x', {"goal": ["G", "A"], "title": "A"}),
        ('{"G$0": {"A": {"persona": "x"}}}', None),
        ("$0", None),
    ],
)
def test_the_goal_at_a_cursor(edit: Edit, text: str, expected: Any) -> None:
    editor = edit(f"-- goal_map.json --\n{text}\n")
    found = editor.request("goalmap/goalAt", editor.here)
    if found is not None:
        assert found.pop("tokens") > 0
        assert isinstance(found.pop("estimated"), bool)
    assert found == expected
