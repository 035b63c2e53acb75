"""Diagnostics: the same as `goalmap check` has, sent when they change and to those who want them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from goalmap.core.naming import MAP_NAME
from goalmap.files.loader import LibraryLoader
from goalmap.inspection import disk_reader, inspect, read_map
from support.fixtures import Editor, paper_names, paper_text, read_paper

Edit = Callable[..., Editor]
Found = set[tuple[str, str, int, str]]

PUSHED = {"textDocument": {"publishDiagnostics": {"relatedInformation": True}}}
PULLING = {"textDocument": {"diagnostic": {}}, "workspace": {"diagnostics": {"refreshSupport": True}}}


def pushed(editor: Editor) -> dict[str, list[Any]]:
    """Return what the editor shows by now, by file."""
    editor.notify("$/setTrace", {"value": "off"})  # anything: what is known is told once the input is drained
    editor.let_settle()
    shown: dict[str, list[Any]] = {}
    for params in editor.received("textDocument/publishDiagnostics"):
        shown[editor.path(params["uri"])] = params["diagnostics"]
    return {path: found for path, found in shown.items() if found}


def codes(found: list[Any]) -> list[str]:
    return [diagnostic["code"] for diagnostic in found]


@pytest.mark.parametrize("name", paper_names())
def test_the_server_and_check_report_the_same(name: str, edit: Edit) -> None:
    paper = read_paper(paper_text(name))
    editor = edit(paper_text(name), capabilities=PUSHED)
    for path, text in paper.opened.items():
        editor.write(path, text)  # what is open is saved, so that both see it
        editor.notify("textDocument/didSave", editor.document(path))
    shown: Found = {
        (path, diagnostic["code"], diagnostic["range"]["start"]["line"], diagnostic["message"])
        for path, found in pushed(editor).items()
        for diagnostic in found
    }
    checked: Found = set()
    for map_path in sorted(editor.folder.rglob(MAP_NAME)):
        goal_map, findings = read_map(str(map_path))
        root = map_path.parent
        if goal_map is not None:
            findings = findings + inspect(LibraryLoader(str(root)), goal_map, disk_reader(str(root)))
        for finding in findings:
            path = (root / finding.path).relative_to(editor.folder).as_posix()
            checked.add((path, finding.problem.code, finding.span.line, finding.problem.message))
    assert shown == checked


MISSING = """-- goal_map.json --
{"A": {"persona": "p.txt", "protocol": "ab$0sent.txt"}}
-- components/personas/p.txt --
You are P.
-- components/protocols/apsent.txt --
Near.
"""


def test_a_diagnostic_says_what_where_and_what_may_be_meant(edit: Edit) -> None:
    editor = edit(MISSING, capabilities=PUSHED)
    [diagnostic] = pushed(editor)["goal_map.json"]
    assert editor.under("goal_map.json", diagnostic["range"]) == "absent.txt"
    assert (diagnostic["severity"], diagnostic["code"], diagnostic["source"]) == (1, "component.missing", "goalmap")
    assert diagnostic["message"] == "components/protocols/absent.txt does not exist"
    assert diagnostic["codeDescription"]["href"].endswith("diagnostics.md#componentmissing")
    [related] = diagnostic["relatedInformation"]
    assert editor.path(related["location"]["uri"]) == "components/protocols/apsent.txt"


def test_only_what_changed_is_sent(edit: Edit) -> None:
    editor = edit(MISSING, capabilities=PUSHED)
    pushed(editor)
    text = editor.text("goal_map.json")
    editor.type("goal_map.json", len(text), len(text), "\n")
    editor.let_settle()
    assert editor.received("textDocument/publishDiagnostics") == []
    at = text.index("absent")
    editor.type("goal_map.json", at, at + len("absent"), "apsent")
    assert pushed(editor) == {}


def test_unused_components_follow_the_map_as_it_is_typed(edit: Edit) -> None:
    editor = edit(MISSING, capabilities=PUSHED)
    [hint] = pushed(editor)["components/protocols/apsent.txt"]
    assert (hint["code"], hint["severity"], hint["tags"]) == ("component.unused", 4, [1])
    text = editor.text("goal_map.json")
    editor.type("goal_map.json", text.index("p.txt"), text.index("p.txt") + 5, "q.txt")
    shown = pushed(editor)
    assert codes(shown["components/personas/p.txt"]) == ["component.unused"]
    assert codes(shown["goal_map.json"]) == ["component.missing", "component.missing"]


def test_a_client_that_pulls_is_answered_and_not_told(edit: Edit) -> None:
    editor = edit(MISSING, capabilities=PULLING)
    report = editor.request("textDocument/diagnostic", editor.document("goal_map.json"))
    assert codes(report["items"]) == ["component.missing"]
    again = {**editor.document("goal_map.json"), "previousResultId": report["resultId"]}
    assert editor.request("textDocument/diagnostic", again) == {"kind": "unchanged", "resultId": report["resultId"]}
    assert "goal_map.json" not in pushed(editor)


def test_a_client_that_pulls_and_cannot_be_told_to_pull_again_is_told_instead(edit: Edit) -> None:
    """Neovim 0.11: it would not ask when a component appears on disk."""
    editor = edit(MISSING, capabilities={"textDocument": {"diagnostic": {}, **PUSHED["textDocument"]}})
    assert "diagnosticProvider" not in editor.advertised
    assert codes(pushed(editor)["goal_map.json"]) == ["component.missing"]


def test_a_map_that_is_not_open_is_reported_too(edit: Edit) -> None:
    paper = MISSING.replace("$0", "")
    for capabilities in (PUSHED, PULLING):
        assert codes(pushed(edit(paper, capabilities=capabilities))["goal_map.json"]) == ["component.missing"]


def test_what_happens_on_disk_shows_at_the_next_word_of_a_watcher_or_a_save(edit: Edit) -> None:
    editor = edit(MISSING, capabilities=PUSHED)
    pushed(editor)
    editor.write("components/protocols/absent.txt", "Here.\n")
    event = {"uri": editor.uri("components/protocols/absent.txt"), "type": 1}
    editor.notify("workspace/didChangeWatchedFiles", {"changes": [event]})
    editor.let_settle()
    told = editor.received("textDocument/publishDiagnostics")
    assert [params["diagnostics"] for params in told if params["uri"] == editor.uri("goal_map.json")] == [[]]
    editor.full("components/protocols/absent.txt").unlink()
    editor.notify("textDocument/didSave", editor.document("goal_map.json"))
    assert codes(pushed(editor)["goal_map.json"]) == ["component.missing"]


def test_an_open_component_that_is_emptied_is_reported_once_it_is_saved(edit: Edit) -> None:
    editor = edit(MISSING.replace("personas/p.txt --", "personas/p.txt (open) --"), capabilities=PUSHED)
    pushed(editor)
    editor.write("components/personas/p.txt", " \n")
    editor.type("components/personas/p.txt", 0, len(editor.text("components/personas/p.txt")), " \n")
    editor.notify("textDocument/didClose", editor.document("components/personas/p.txt"))
    assert codes(pushed(editor)["goal_map.json"]) == ["component.empty", "component.missing"]


def test_an_editor_with_a_json_service_is_spared_what_that_shows(edit: Edit) -> None:
    broken = '-- goal_map.json (open) --\n{"A": {"persona": "x.txt",}, "A": {"persona": "y.txt"}}\n'
    everywhere = codes(pushed(edit(broken, capabilities=PUSHED))["goal_map.json"])
    assert {"map.syntax", "map.duplicate-key", "component.missing", "slot.unknown"} == set(everywhere)
    spared = codes(pushed(edit(broken, capabilities=PUSHED, options={"jsonService": True}))["goal_map.json"])
    assert {"component.missing", "slot.unknown"} == set(spared)


def test_a_setting_turns_a_code_off_or_down(edit: Edit) -> None:
    editor = edit(MISSING, capabilities=PUSHED)
    pushed(editor)
    values = {"goalmap": {"diagnostics": {"component.missing": "warning", "component.unused": "off"}}}
    editor.notify("workspace/didChangeConfiguration", {"settings": values})
    editor.let_settle()
    told = {
        editor.path(params["uri"]): params["diagnostics"]
        for params in editor.received("textDocument/publishDiagnostics")
    }
    assert [(d["code"], d["severity"]) for d in told["goal_map.json"]] == [("component.missing", 2)]
    assert told["components/protocols/apsent.txt"] == []


def test_a_prompt_over_the_budget_is_reported_at_its_goal(edit: Edit) -> None:
    editor = edit(MISSING.replace("You are P.", "You are P. " * 400), capabilities=PUSHED)
    editor.notify("workspace/didChangeConfiguration", {"settings": {"goalmap": {"prompt": {"maxTokens": 300}}}})
    found = pushed(editor)["goal_map.json"]
    assert codes(found) == ["component.missing", "prompt.over-budget"]
    assert editor.under("goal_map.json", found[1]["range"]) == "A"


def test_findings_in_a_template_stand_in_the_template(edit: Edit) -> None:
    paper = """-- goal_map.json (open) --
{"A": {"persona": "p.txt", "template": "t.md"}}
-- components/personas/p.txt --
You are P.
-- components/templates/t.md (open) --
{{ persona }} {{ nobody }}
"""
    editor = edit(paper, capabilities=PUSHED)
    [diagnostic] = pushed(editor)["components/templates/t.md"]
    assert diagnostic["code"] == "template.unknown-variable"
    assert editor.under("components/templates/t.md", diagnostic["range"]) == "nobody"
    text = editor.text("components/templates/t.md")
    editor.type("components/templates/t.md", text.index("nobody"), text.index("nobody") + 6, "title")
    assert pushed(editor) == {}


def test_libraries_that_leave_the_workspace_take_their_diagnostics_along(edit: Edit) -> None:
    paper = """-- one/goal_map.json --
{"A": {"persona": "x.txt"}}
-- one/components/personas/p.txt --
P
-- two/goal_map.json --
{"B": {"persona": "y.txt"}}
-- two/components/personas/p.txt --
P
"""
    editor = edit(paper, capabilities=PUSHED, roots=("one", "two"))
    assert {"one/goal_map.json", "two/goal_map.json"} <= set(pushed(editor))
    event = {"removed": [{"uri": editor.uri("two"), "name": "two"}], "added": []}
    editor.notify("workspace/didChangeWorkspaceFolders", {"event": event})
    editor.let_settle()
    cleared = {
        editor.path(p["uri"]) for p in editor.received("textDocument/publishDiagnostics") if not p["diagnostics"]
    }
    assert cleared == {"two/goal_map.json", "two/components/personas/p.txt"}
