"""Every request, at every place of every paper, in each encoding, is answered without an error."""

from collections.abc import Callable
from typing import Any

import pytest

from support.fixtures import ENCODINGS, FULL_CLIENT, Editor, Encoding, paper_names, paper_text
from support.lsp_client import LspError

Edit = Callable[..., Editor]

REQUEST_FAILED = -32803

AT_A_POSITION = (
    "textDocument/completion",
    "textDocument/definition",
    "textDocument/documentHighlight",
    "textDocument/hover",
    "textDocument/prepareRename",
    "goalmap/goalAt",
)
OF_A_DOCUMENT = (
    "textDocument/codeLens",
    "textDocument/documentLink",
    "textDocument/documentSymbol",
    "textDocument/foldingRange",
)


def places_in(value: Any) -> list[Any]:
    """Return every range of an answer that has its own document's or the request's coordinates."""
    if isinstance(value, list):
        return [found for one in value for found in places_in(one)]
    if not isinstance(value, dict):
        return []
    own = [
        value[key] for key in ("range", "selectionRange", "originSelectionRange") if key in value and "uri" not in value
    ]
    return own + [found for key, one in value.items() if key not in ("location", "command") for found in places_in(one)]


def check(editor: Editor, path: str, answer: Any) -> None:
    """Every range is one that the document has: `span` asserts it."""
    for place in places_in(answer):
        _, start, end = editor.span(path, place)
        assert start <= end


def refusal(editor: Editor, params: Any) -> int | None:
    """Rename, and return the code of the refusal; None where it is not refused."""
    try:
        editor.request("textDocument/rename", params)
    except LspError as refused:
        return refused.code
    return None


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", paper_names())
def test_every_request_is_answered(edit: Edit, name: str, encoding: Encoding) -> None:
    client = FULL_CLIENT if encoding == "utf-16" else {}
    editor = edit(paper_text(name), encoding=encoding, capabilities=client)
    for path, text in list(editor.texts.items()):
        for method in OF_A_DOCUMENT:
            answer = editor.request(method, editor.document(path))
            if method != "textDocument/foldingRange":
                check(editor, path, answer)
            if method == "textDocument/codeLens":
                assert all(editor.request("codeLens/resolve", lens)["command"]["title"] for lens in answer or [])
        for offset in range(len(text) + 1):
            here = editor.at(path, offset)
            for method in AT_A_POSITION:
                check(editor, path, editor.request(method, here))
            editor.request("textDocument/references", {**here, "context": {"includeDeclaration": True}})
            selected = {**editor.document(path), "positions": [here["position"]]}
            for selection in editor.request("textDocument/selectionRange", selected) or []:
                check(editor, path, [selection])
            range_ = {"start": here["position"], "end": here["position"]}
            editor.request("textDocument/inlayHint", {**editor.document(path), "range": range_})
            actions = {**editor.document(path), "range": range_, "context": {"diagnostics": []}}
            editor.request("textDocument/codeAction", actions)
            assert refusal(editor, {**here, "newName": "other.txt"}) in (None, REQUEST_FAILED)
    assert editor.request("workspace/symbol", {"query": "e"}) is not None


@pytest.mark.parametrize("name", paper_names())
def test_places_behind_the_end_are_the_end(edit: Edit, name: str) -> None:
    editor = edit(paper_text(name))
    for path, text in list(editor.texts.items()):
        for line in (0, text.count("\n"), 10**9):
            far = {**editor.document(path), "position": {"line": line, "character": 10**9}}
            for method in AT_A_POSITION:
                editor.request(method, far)


@pytest.mark.parametrize("name", paper_names())
def test_every_prompt_leads_back_at_every_offset(edit: Edit, name: str) -> None:
    editor = edit(paper_text(name))
    for library in editor.session.libraries.values():
        for goal in library.goal_map.goals:
            found = editor.request("goalmap/prompt", {"uri": library.map_uri, "goal": list(goal.path)})
            for offset in range(len(found["text"]) + 1):
                position = editor.position(found["text"], offset)
                here = {"textDocument": {"uri": found["uri"]}, "position": position}
                for link in editor.request("textDocument/definition", here) or []:
                    editor.span(editor.path(link["targetUri"]), link["targetRange"])
