"""What is generated together: a component that several goals name, and jobs, which are undone as one."""

from __future__ import annotations

import itertools
import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from goalmap.files import undo as undoing
from goalmap.files.errors import CommitRefused
from goalmap.files.report import Place
from goalmap.files.request import GenerateRequest
from support.told import recover, undo, unheard

from .conftest import Library
from .test_told import dies

GOALS = json.dumps({f"G{n}": {"protocol": f"todo{n}.txt"} for n in range(4)}, indent=1)
SHARED = json.dumps({"A": {"protocol": "x.txt"}, "B": {"protocol": ["y.txt", "x.txt"]}, "C": {"protocol": "x.txt"}})
NEW = "autogen_protocol_for_a.txt"


def request(library: Library, number: int) -> GenerateRequest:
    return GenerateRequest(
        str(library.map), (f"G{number}",), "protocol", None, f"todo{number}.txt", f"describe {number}", job="j"
    )


def generated(root: Path) -> Library:
    """Return a library with a job of three commits, and one before it."""
    library = Library(root, GOALS)
    library.generate(replace(request(library, 3), job=""))
    for number in range(3):
        library.generate(request(library, number), f"text {number}\n")
    return library


def left_of(library: Library) -> list[bool]:
    """Return for each goal whether it names what was generated; what it names must be there, and nothing else."""
    named = [goal["protocol"] for goal in json.loads(library.map.read_text()).values()]
    there = {path.removeprefix("components/protocols/") for path in library.components() if "/protocols/" in path}
    assert there == {name for name in named if name.startswith("autogen")}
    return [name.startswith("autogen") for name in named]


def test_a_job_is_undone_as_one(tmp_path: Path) -> None:
    library = generated(tmp_path / "library")
    done = undoing.undo(str(library.root), tell=unheard)
    assert [result.goal for result in done.undone] == [("G2",), ("G1",), ("G0",)]
    assert left_of(library) == [False, False, False, True]
    undo(str(library.root))
    assert library.map.read_text() == GOALS


def test_commits_without_a_job_are_none_of_one(tmp_path: Path) -> None:
    library = Library(tmp_path / "library", GOALS)
    for number in (0, 1):
        library.generate(replace(request(library, number), job=""))
    done = undoing.undo(str(library.root), tell=unheard, job="")
    assert [result.goal for result in done.undone] == [("G1",)]


def test_what_was_built_upon_stays_and_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    library = generated(tmp_path / "library")
    (library.root / "components/protocols/autogen_protocol_for_g1.txt").write_text("improved by hand")
    done = undoing.undo(str(library.root), tell=unheard, job="j")
    assert [result.goal for result in done.undone] == [("G2",), ("G0",)]
    assert "was changed since" in done.kept[0]
    assert left_of(library) == [False, True, False, True]


def test_a_job_of_more_than_the_receipts_that_are_kept_is_undone_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goalmap.files.commit.RECEIPTS_KEPT", 1)
    library = generated(tmp_path / "library")
    undoing.undo(str(library.root), tell=unheard)
    assert left_of(library) == [False, False, False, True]


def test_whatever_call_the_undo_of_a_job_dies_at_recovery_ends_it(tmp_path: Path) -> None:
    outcomes = set()
    for call in itertools.count(1, 3):
        library = generated(Path(tempfile.mkdtemp(dir=tmp_path)) / "library")
        root = str(library.root)
        if not dies(partial(undoing.undo, root, tell=unheard), call):
            break
        recover(root)
        outcomes.add(tuple(left_of(library)))
        assert library.records() == []
        assert not list(library.root.rglob("*.tmp"))
    assert outcomes == {(True, True, True, True), (False, False, False, True)}, "all of it, or none"


# -- one component, several goals
def shared(library: Library) -> GenerateRequest:
    others = (Place(("B",), "protocol", 1), Place(("C",), "protocol", None))
    return GenerateRequest(str(library.map), ("A",), "protocol", None, "x.txt", "a procedure", others=others)


def test_every_goal_that_names_a_missing_component_follows(tmp_path: Path) -> None:
    library = Library(tmp_path / "library", SHARED)
    library.generate(shared(library))
    assert library.map.read_text() == SHARED.replace("x.txt", NEW)
    undo(str(library.root))
    assert library.map.read_text() == SHARED
    with pytest.raises(CommitRefused, match="nothing to undo"):
        undo(str(library.root))


def test_a_goal_that_names_something_else_by_now_keeps_it(tmp_path: Path) -> None:
    library = Library(tmp_path / "library", SHARED)
    generation = library.finished(shared(library))
    edited = SHARED.replace('"C": {"protocol": "x.txt"}', '"C": {"protocol": "mine.txt"}')
    library.map.write_text(edited)
    generation.commit()
    assert library.map.read_text() == edited.replace("x.txt", NEW)


def test_whatever_call_the_commit_dies_at_all_goals_follow_or_none(tmp_path: Path) -> None:
    for call in itertools.count(1, 2):
        library = Library(Path(tempfile.mkdtemp(dir=tmp_path)) / "library", SHARED)
        generation = library.finished(shared(library))
        if not dies(generation.commit, call):
            break
        assert library.map.read_text() in (SHARED, SHARED.replace("x.txt", NEW))
        generation.close()
        recover(str(library.root))
        assert library.map.read_text() == SHARED.replace("x.txt", NEW)
        assert library.records() == []


def test_a_second_request_for_one_of_its_goals_is_refused_meanwhile(tmp_path: Path) -> None:
    library = Library(tmp_path / "library", SHARED)
    generation = library.begin(shared(library))
    with pytest.raises(CommitRefused, match="being generated right now"):
        library.begin(GenerateRequest(str(library.map), ("C",), "protocol", None, "x.txt", "another"))
    generation.abandon()
