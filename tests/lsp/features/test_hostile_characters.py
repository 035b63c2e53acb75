"""What an editor shows of names and texts that hold control characters: escapes, and no failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.fixtures import Editor
from support.hostile import CATEGORY, FILE, GOAL, IN_NAMES, IN_TEXTS, MAP, unfit, write_library
from support.lsp_client import LspError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What is not shown but compared, inserted, opened or given back. A placeholder is the name itself, to be edited.
NOT_SHOWN = {"uri", "oldUri", "newUri", "targetUri", "target", "newText", "insertText", "filterText", "sortText"} | {
    "data",
    "arguments",
    "changes",
    "documentChanges",
    "placeholder",
}
PERSONA = f"components/personas/{FILE}"


@pytest.fixture
def editor(tmp_path: Path) -> Iterator[Editor]:
    """Return an editor that has the hostile library open."""
    paper = f"-- goal_map.json --\n{json.dumps(MAP, indent=1, ensure_ascii=False)}"
    with Editor(tmp_path, paper) as editor:
        write_library(tmp_path)
        editor.open("goal_map.json")
        yield editor


def shown(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give what is shown of an answer: where it stands, and the text."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in NOT_SHOWN:
                yield from shown(one, f"{path}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from shown(one, path)
    elif isinstance(value, str):
        yield path, value


def check(answer: Any) -> None:
    """Fail where anything that is shown is not fit for it."""
    assert [(path, text[:200]) for path, text in shown(answer) if unfit(text)] == []


def places(editor: Editor) -> Iterator[Any]:
    """Give a position in every string of the map."""
    text = editor.text("goal_map.json")
    yield from (editor.at("goal_map.json", at + 1) for at in range(len(text)) if text[at] == '"')


def test_hovers_of_the_map(editor: Editor) -> None:
    answers = [editor.request("textDocument/hover", place) for place in places(editor)]
    assert sum("Text a\\x1b[31mb" in json.dumps(answer).replace("\\\\", "\\") for answer in answers if answer) > 3
    check(answers)


def test_hovers_of_components_and_templates(editor: Editor) -> None:
    editor.open(PERSONA)
    editor.open("components/templates/t.txt")
    for path in (PERSONA, "components/templates/t.txt"):
        answer = editor.request("textDocument/hover", editor.at(path, 4))
        assert answer is not None
        check(answer)


@pytest.mark.parametrize("feature", ["completion", "definition", "references", "prepareRename"])
def test_what_is_asked_at_a_place(editor: Editor, feature: str) -> None:
    context = {"context": {"includeDeclaration": True}} if feature == "references" else {}
    for place in places(editor):
        check(editor.request(f"textDocument/{feature}", {**place, **context}))


@pytest.mark.parametrize(
    "feature", ["codeLens", "documentSymbol", "inlayHint", "documentLink", "foldingRange", "diagnostic", "codeAction"]
)
def test_what_is_asked_of_a_document(editor: Editor, feature: str) -> None:
    for path in ("goal_map.json", PERSONA):
        editor.open(path)
        lines = editor.text(path).split("\n")
        for line in range(len(lines)):
            here = {"line": line, "character": 0}
            asked = {"range": {"start": here, "end": {"line": line, "character": 9}}, "context": {"diagnostics": []}}
            answer = editor.request(f"textDocument/{feature}", {**editor.document(path), **asked})
            check(answer)
            if feature == "codeLens":
                for lens in answer:
                    check(editor.request("codeLens/resolve", lens))
            if feature not in ("inlayHint", "codeAction"):
                break


def test_symbols_of_the_workspace(editor: Editor) -> None:
    answer = editor.request("workspace/symbol", {"query": ""})
    assert len(answer) > 4
    check(answer)


def test_messages_and_refusals(editor: Editor) -> None:
    """A move that references cannot follow, a rename and a command that are refused."""
    moved = {"oldUri": editor.uri(PERSONA), "newUri": editor.uri(f"components/protocols/x{IN_NAMES}.txt")}
    editor.request("workspace/willRenameFiles", {"files": [moved]})
    told = {
        "uri": editor.uri("goal_map.json"),
        "goal": [CATEGORY, GOAL],
        "slot": "protocol",
        "index": None,
        "file": f"other{IN_TEXTS}",
        "naming": "autogen",
        "description": f"d{IN_TEXTS}",
    }
    command = {"command": "goalmap.generateComponent", "arguments": [told]}
    said = [editor.request("workspace/executeCommand", command)]
    key = json.dumps("WHOLE")
    rename = {**editor.at("goal_map.json", editor.text("goal_map.json").index(key) + 1), "newName": "GAP"}
    said.append(_refusal(editor, "textDocument/rename", rename))
    reference = editor.text("goal_map.json").index('"persona": "') + len('"persona": "')
    rename = {**editor.at("goal_map.json", reference), "newName": f"near{FILE}"}
    said.append(_refusal(editor, "textDocument/rename", rename))
    editor.let_settle()
    check(said)
    check([message.get("params") for message in editor.messages if "method" in message])


def _refusal(editor: Editor, method: str, params: Any) -> str:
    with pytest.raises(LspError) as refused:
        editor.request(method, params)
    return refused.value.message
