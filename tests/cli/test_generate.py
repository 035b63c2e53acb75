"""`goalmap generate`, `undo` and `recover`, with a real endpoint in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.commands import KEY, contents, endpoint, state
from support.openai_endpoint import Reply

TEXT = """\
1. Write down the symptom as it was reported, and who saw it first.
2. Find the last moment at which everything was still in order; note the proof.
3. List what changed between that moment and the symptom, configuration included.
4. Test one change at a time, the cheapest test first, and keep each result.
5. Stop when a single change switches the symptom on and off; name it as the cause.
"""
CLOCKS = """\
You repair clocks for a living. You open nothing before you have listened to it, and you keep every screw in the order
in which it came out. When a customer is in a hurry, you tell them which part can be rushed.
"""
NUMBERS = """\
- Name the file and line for each claim about code.
- Write numbers with their unit.
- Where two sources disagree, quote both and say which one is newer.
- Leave adjectives to the reader.
"""
ASKED = ("--description", "root cause analysis")


# -- as it should go -------------------------------------------------------------------------------------------------
def test_commit_and_undo(goalmap: Any, gap: Path) -> None:
    before = contents(gap)
    with endpoint(goalmap, Reply(text=TEXT)) as model:
        done = goalmap("generate", "DEBUG", "protocol", *ASKED)
        (request,) = model.requests()
    assert (done.code, done.out) == (
        0,
        "Committed components/protocols/autogen_protocol_for_debug.txt; goal_map.json names it now.\n",
    )
    assert TEXT.splitlines()[0] in done.err
    assert "goalmap undo" in done.err
    assert "\x1b" not in done.out + done.err
    after = contents(gap)
    assert after.pop("components/protocols/autogen_protocol_for_debug.txt").decode() == TEXT
    assert after.pop("goal_map.json") == before["goal_map.json"].replace(
        b"drill.txt", b"autogen_protocol_for_debug.txt"
    )
    assert after == {path: data for path, data in before.items() if path != "goal_map.json"}
    assert goalmap("check").code == 0
    sent = json.dumps(request["body"], ensure_ascii=False)
    for told in (
        "root cause analysis",
        "Find the cause",
        "Trace a defect to its cause.",
        "You find causes.",
        "Do not guess.",
    ):
        assert told in sent
    assert request["headers"]["authorization"] == f"Bearer {KEY}"

    undone = goalmap("undo")
    assert (undone.code, undone.out) == (
        0,
        "Removed components/protocols/autogen_protocol_for_debug.txt; goal_map.json names drill.txt again.\n",
    )
    assert contents(gap) == before
    again = goalmap("undo")
    assert again.code == 1
    assert "nothing to undo" in again.err


def test_under_its_own_name_the_map_stays_as_it_is(goalmap: Any, gap: Path) -> None:
    before = contents(gap)
    with endpoint(goalmap, Reply(text=TEXT)):
        done = goalmap("generate", "Technical/DEBUG", "protocol", *ASKED, "--naming", "referenced")
    assert (done.code, done.out) == (0, "Committed components/protocols/drill.txt.\n")
    assert contents(gap) == {**before, "components/protocols/drill.txt": TEXT.encode()}


def test_undo_refuses_what_has_changed_since(goalmap: Any, gap: Path) -> None:
    with endpoint(goalmap, Reply(text=TEXT)):
        goalmap("generate", "DEBUG", "protocol", *ASKED)
    path = gap / "components/protocols/autogen_protocol_for_debug.txt"
    path.write_text("mine")
    done = goalmap("undo")
    assert done.code == 1
    assert "was changed since" in done.err
    assert path.read_text() == "mine"


def test_the_key_is_nowhere(goalmap: Any, gap: Path) -> None:
    with endpoint(goalmap, Reply(status=401, body={"error": {"message": f"bad key {KEY}"}}), Reply(text=TEXT)):
        done = [goalmap("generate", "DEBUG", "protocol", *ASKED) for _ in range(2)]
        done.append(goalmap("doctor"))
    assert [one.code for one in done[:2]] == [1, 0]
    assert not [one for one in done if KEY in one.out + one.err]
    files = [path for top in (gap, goalmap.home) for path in top.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_another_root(goalmap: Any, gap: Path) -> None:
    goalmap.folder = gap.parent
    with endpoint(goalmap, Reply(text=TEXT)):
        assert goalmap("generate", "DEBUG", "protocol", *ASKED, "--root", "library").code == 0
    assert goalmap("undo", "--root", "library/components").code == 0
    assert goalmap("recover", "--root", "library").out == "Nothing was left to recover.\n"


# -- lists, and all --------------------------------------------------------------------------------------------------
def test_a_list_with_one_gap_needs_no_index(goalmap: Any, library: Path) -> None:
    (library / "components/constraints/no_guessing.txt").unlink()
    with endpoint(goalmap, Reply(text=TEXT)):
        assert goalmap("generate", "DEBUG", "constraints", *ASKED).code == 0
    (debug,) = [goal for goal in goalmap("list", "--json").json if goal["name"] == "DEBUG"]
    assert debug["slots"]["constraints"] == [
        "components/constraints/evidence.txt",
        "components/constraints/autogen_constraint_for_debug.txt",
    ]


def test_a_list_with_two_gaps_needs_an_index(goalmap: Any, library: Path) -> None:
    for name in ("evidence", "no_guessing"):
        (library / f"components/constraints/{name}.txt").unlink()
    done = goalmap("generate", "DEBUG", "constraints", *ASKED)
    assert done.code == 1
    assert "--all: 0 (evidence.txt), 1 (no_guessing.txt)" in done.err
    assert not (library / ".goalmap").exists()
    with endpoint(goalmap, Reply(text=TEXT)):
        assert goalmap("generate", "DEBUG", "constraints", "--index", "1", *ASKED).code == 0
    assert b"autogen_constraint_for_debug.txt" in (library / "goal_map.json").read_bytes()


def test_all_and_later_ones_see_earlier_ones(goalmap: Any, library: Path) -> None:
    for name in ("protocols/drill", "constraints/no_guessing", "personas/detective"):
        (library / f"components/{name}.txt").unlink()
    with endpoint(goalmap, *(Reply(text=text) for text in (CLOCKS, NUMBERS, TEXT))) as model:
        done = goalmap("generate", "DEBUG", "--all", *ASKED)
        requests = model.requests()
    assert done.code == 0
    assert len(done.lines) == 3
    assert "3 components: 3 committed." in done.err
    assert "You repair clocks" not in json.dumps(requests[0]["body"])
    assert "You repair clocks" in json.dumps(requests[1]["body"])
    assert "Leave adjectives" in json.dumps(requests[2]["body"])
    # REVIEW names the same persona, which is still missing.
    assert [line.split()[2] for line in goalmap("check").lines[:-1]] == ["component.missing:"]


def test_what_several_goals_lack_is_written_once_and_undone_as_one(goalmap: Any, library: Path) -> None:
    for name in ("protocols/drill", "personas/detective"):
        (library / f"components/{name}.txt").unlink()
    before = contents(library)
    with endpoint(goalmap, *(Reply(text=text) for text in (CLOCKS, TEXT))) as model:
        done = goalmap("generate", "--all", *ASKED)
        assert len(model.requests()) == 2
    assert "2 components: 2 committed." in done.err
    assert goalmap("check").code == 0
    assert goalmap("undo").out == "Removed 2 components that were generated together.\n"
    assert contents(library) == before


def test_all_of_the_map_stops_where_no_other_can_succeed(goalmap: Any, library: Path) -> None:
    for name in ("protocols/drill", "constraints/no_guessing"):
        (library / f"components/{name}.txt").unlink()
    before = contents(library)
    with endpoint(goalmap, Reply(status=401, repeat=True)) as model:
        done = goalmap("generate", "--all", *ASKED)
        assert len(model.requests()) == 1
    assert done.code == 1
    assert "2 components: 2 failed." in done.err
    assert contents(library) == before


@pytest.mark.usefixtures("library")
def test_all_where_nothing_is_missing(goalmap: Any) -> None:
    done = goalmap("generate", "--all")
    assert (done.code, done.out) == (0, "Nothing is missing.\n")


# -- the description -------------------------------------------------------------------------------------------------
def test_without_a_terminal_a_description_is_required(goalmap: Any, gap: Path) -> None:
    done = goalmap("generate", "DEBUG", "protocol")
    assert done.code == 1
    assert "--description drill, or" in done.err
    assert "protocol$description" in done.err
    assert not (gap / ".goalmap").exists()


def test_the_description_may_stand_in_the_map(goalmap: Any, gap: Path) -> None:
    text = (gap / "goal_map.json").read_text()
    described = text.replace('"protocol"', '"protocol$description": "five honest whys",\n      "protocol"')
    (gap / "goal_map.json").write_text(described)
    with endpoint(goalmap, Reply(text=TEXT)) as model:
        assert goalmap("generate", "DEBUG", "protocol").code == 0
        assert "five honest whys" in json.dumps(model.requests())


@pytest.mark.parametrize("description", ["", "  ", "two\nlines", "turned \u202e round", "x" * 501])
def test_descriptions_that_are_none(description: str, goalmap: Any, gap: Path) -> None:
    done = goalmap("generate", "DEBUG", "protocol", "--description", description)
    assert done.code == 1
    assert "nothing was generated" in done.err
    assert not (gap / ".goalmap").exists()


def test_a_terminal_is_asked(goalmap: Any, gap: Path) -> None:
    with endpoint(goalmap, Reply(text=TEXT)) as model:
        done = goalmap.on_terminal("generate", "DEBUG", "protocol", typed="ask why, five times\n")
        assert "ask why, five times" in json.dumps(model.requests())
    assert done.code == 0
    assert "Describe the protocol of Technical/DEBUG in one line, for example: drill" in done.out
    assert (gap / "components/protocols/autogen_protocol_for_debug.txt").exists()


@pytest.mark.parametrize("typed", ["\n", "\x04", "   \n"], ids=["return", "Ctrl-D", "blanks"])
def test_an_empty_answer_changes_nothing(typed: str, goalmap: Any, gap: Path) -> None:
    done = goalmap.on_terminal("generate", "DEBUG", "protocol", typed=typed)
    assert done.code == 1
    assert "nothing was generated" in done.out
    assert not (gap / ".goalmap").exists()


def test_of_several_one_may_be_left_out(goalmap: Any, library: Path) -> None:
    for name in ("protocols/drill", "constraints/no_guessing"):
        (library / f"components/{name}.txt").unlink()
    with endpoint(goalmap, Reply(text=NUMBERS)) as model:
        done = goalmap.on_terminal("generate", "DEBUG", "--all", typed="\nwhat must not be guessed\n")
        (request,) = model.requests()
    assert done.code == 0
    assert "Enter alone leaves it out" in done.out
    assert "2 components: 1 committed, 1 skipped." in done.out
    assert "what must not be guessed" in json.dumps(request["body"])


# -- refused before anything is paid for -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("DEBUG",), 2, "name GOAL and SLOT"),
        ((), 2, "name GOAL and SLOT"),
        (("DEBUG", "protocol", "--all", "--index", "0"), 2, "--index"),
        (("NOWHERE", "protocol"), 1, "no goal NOWHERE"),
        (("DEBUG", "protocl"), 1, "its slots: persona, protocol, constraints"),
        (("DEBUG", "persona"), 1, "nothing to generate"),
        (("DEBUG", "protocol", "--index", "0"), 1, "leave out --index"),
        (("DEBUG", "constraints", "--index", "7"), 1, "indices 0 to 1"),
        (("DEBUG", "constraints"), 1, "no missing component"),
    ],
)
def test_refused(arguments: tuple[str, ...], code: int, says: str, goalmap: Any, gap: Path) -> None:
    done = goalmap("generate", *arguments, *ASKED)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert not (gap / ".goalmap").exists()


@pytest.mark.parametrize("path", ["goal_map.json", "components/protocols"])
def test_what_cannot_be_written_is_refused_while_it_is_free(path: str, goalmap: Any, gap: Path) -> None:
    (gap / path).chmod(0o444 if path.endswith("json") else 0o555)
    before = contents(gap)
    with endpoint(goalmap, Reply(text=TEXT)) as model:
        done = goalmap.without_privileges("generate", "DEBUG", "protocol", *ASKED)
        assert model.requests() == []
    assert done.code == 1
    assert "read-only" in done.err
    assert contents(gap) == before


def test_dry_run_asks_nobody_and_writes_nothing(goalmap: Any, gap: Path) -> None:
    before = contents(gap)
    with endpoint(goalmap, Reply(text=TEXT)) as model:
        done = goalmap("generate", "DEBUG", "protocol", *ASKED, "--dry-run")
        assert model.requests() == []
        assert done.code == 0
        assert done.lines[:3] == [
            "would write   components/protocols/autogen_protocol_for_debug.txt",
            "would change  goal_map.json: Technical/DEBUG, protocol: drill.txt → autogen_protocol_for_debug.txt",
            f"would ask     {model.base_url}",
        ]
    assert "root cause analysis" in done.out
    assert "You find causes." in done.out
    assert contents(gap) == before
    assert not (gap / ".goalmap").exists()


# -- without an endpoint ---------------------------------------------------------------------------------------------
@pytest.mark.model
def test_the_embedded_model(goalmap: Any, gap: Path) -> None:
    done = goalmap("generate", "DEBUG", "protocol", *ASKED)
    assert done.code == 0
    assert "draft by a tiny local model" in done.err
    assert len((gap / "components/protocols/autogen_protocol_for_debug.txt").read_text().split()) > 30
    assert goalmap("check").code == 0


def test_without_any_model(goalmap: Any, gap: Path) -> None:
    goalmap.env = {"GOALMAP_LOCAL_GGUF": str(gap / "goal_map.json")}
    done = goalmap("generate", "DEBUG", "protocol", *ASKED)
    assert done.code == 1
    assert "is not a GGUF file" in done.err
    assert state(gap, "journal") == []
