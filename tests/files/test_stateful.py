"""Random sequences of generate, undo, kill, recover and edit, against a model of what must be there; random edits."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from goalmap.core.edits import reference_value, set_reference
from goalmap.files.errors import Conflict, Refused
from goalmap.files.recovery import recover
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import AlreadyDone, Generation, begin
from goalmap.files.undo import undo

GOALS, SLOTS = ("A", "B b", "a"), ("persona", "protocol", "constraints")
SLOT = st.tuples(st.sampled_from(GOALS), st.sampled_from(SLOTS), st.integers(0, 2))


class Library(RuleBasedStateMachine):
    """`expected` is what the map must say; `texts` what each generated component must hold."""

    running = Bundle("running")

    @initialize(indent=st.sampled_from([None, 1, 4]), newline=st.sampled_from(["\n", "\r\n"]))
    def build(self, indent: int | None, newline: str) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="goalmap-stateful-"))
        os.environ["XDG_STATE_HOME"] = str(self.base / "state")
        self.map = self.base / "library" / "goal_map.json"
        (self.map.parent / "components").mkdir(parents=True)
        self.expected = {
            goal: {slot: [f"{goal}{slot}{n}.txt" for n in range(3)] if slot == "constraints" else f"{goal}{slot}.txt"}
            for goal in GOALS
            for slot in ["constraints"]
        }
        for goal in GOALS:
            self.expected[goal] |= {slot: f"{slot}.txt" for slot in SLOTS[:2]}
        self.texts: dict[str, str] = {}
        self.undoable: list[tuple[str, str, int | None, str, str]] = []
        self.under_way: dict[Generation, tuple[str, str, int | None, str]] = {}
        self.count = 0
        text = json.dumps(self.expected, indent=indent).replace("\n", newline)
        self.map.write_bytes(text.encode())

    def teardown(self) -> None:
        if hasattr(self, "base"):
            for generation in self.under_way:
                generation.close()
            shutil.rmtree(self.base)

    def value(self, goal: str, slot: str, index: int | None) -> str:
        value = self.expected[goal][slot]
        return value if index is None else value[index]  # type: ignore[return-value,index]

    def put(self, goal: str, slot: str, index: int | None, file: str) -> None:
        if index is None:
            self.expected[goal][slot] = file
        else:
            self.expected[goal][slot][index] = file  # type: ignore[index]

    def committed(self, place: tuple[str, str, int | None], old: str, file: str, text: str) -> None:
        self.put(*place, file)
        self.texts[f"components/{place[1] if place[1].endswith('s') else place[1] + 's'}/{file}"] = text
        self.undoable.append((*place, old, file))

    @rule(slot=SLOT, finish=st.booleans())
    def start(self, slot: tuple[str, str, int], finish: bool) -> None:
        goal, name, number = slot
        index = number if name == "constraints" else None
        old = self.value(goal, name, index)
        self.count += 1
        request = GenerateRequest(str(self.map), (goal,), name, index, old, f"description {self.count}")
        busy = any((goal, name, index) == place[:3] for place in self.under_way.values())
        try:
            generation = begin(request)
        except Refused:
            assert busy or old.startswith("autogen"), "refused without a reason"
            return
        assert not busy
        assert not old.startswith("autogen")
        assert isinstance(generation, Generation)
        text = f"text {self.count}\n"
        generation.append(text)
        if finish:
            generation.finish(text)
        self.under_way[generation] = (goal, name, index, text if finish else "")

    def _take(self, choice: int) -> tuple[Generation, tuple[str, str, int | None], str]:
        generation = list(self.under_way)[choice % len(self.under_way)]
        goal, slot, index, text = self.under_way.pop(generation)
        return generation, (goal, slot, index), text

    @precondition(lambda self: self.under_way)
    @rule(choice=st.integers(0, 9))
    def end(self, choice: int) -> None:
        generation, place, text = self._take(choice)
        old, now = generation.request.file, self.value(*place)
        if not text:
            generation.abandon()
            return
        if now == old:
            self.committed(place, old, generation.commit().file, text)
            return
        with pytest.raises(Conflict) as conflict:
            generation.commit()
        assert Path(conflict.value.parked).read_text() == text

    @precondition(lambda self: self.under_way)
    @rule(choice=st.integers(0, 9))
    def kill_and_recover(self, choice: int) -> None:
        generation, place, text = self._take(choice)
        generation.close()  # which is all that is left of a process that was killed
        old, now = generation.request.file, self.value(*place)
        report = recover(str(self.map.parent))
        if text and now == old:
            assert [done.tx for done in report.finished] == [generation.tx]
            self.committed(place, old, report.finished[0].file, text)
        else:
            assert len(report.parked) == 1

    @rule(slot=SLOT)
    def edit(self, slot: tuple[str, str, int]) -> None:
        goal, name, number = slot
        index = number if name == "constraints" else None
        self.count += 1
        file = f"hand{self.count}.txt"
        before = self.map.read_bytes().decode()
        self.map.write_bytes(set_reference(before, (goal,), name, index, file).encode())
        self.put(goal, name, index, file)

    @precondition(lambda self: self.undoable)
    @rule()
    def take_back(self) -> None:
        try:
            result = undo(str(self.map.parent))
        except Refused:
            return
        (goal,) = result.goal
        assert self.value(goal, result.slot, result.index) == result.file
        self.put(goal, result.slot, result.index, result.restored_file)
        self.texts = {path: text for path, text in self.texts.items() if not path.endswith("/" + result.file)}

    @rule()
    def ask_again(self) -> None:
        """I5: the request of the last commit is answered without paying, or refused."""
        for goal, slot, index, old, file in self.undoable[-1:]:
            request = GenerateRequest(str(self.map), (goal,), slot, index, old, "description 0")
            if self.value(goal, slot, index) != file:
                continue
            with contextlib.suppress(Refused):
                assert isinstance(begin(request), AlreadyDone)

    @invariant()
    def map_and_components_are_as_expected(self) -> None:
        if not hasattr(self, "map"):
            return
        assert json.loads(self.map.read_bytes()) == self.expected
        there = {
            str(path.relative_to(self.map.parent)): path.read_text()
            for path in (self.map.parent / "components").rglob("*")
            if path.is_file()
        }
        assert there == self.texts


TestLibrary = Library.TestCase
TestLibrary.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)

# -- edits
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
FILES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
MAPS = st.dictionaries(
    TEXTS,
    st.dictionaries(
        TEXTS.filter(lambda key: "$" not in key and key not in ("description", "title")),
        FILES | st.lists(FILES, max_size=3),
        min_size=1,
        max_size=3,
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(MAPS, st.data(), st.sampled_from([None, 0, 3, "\t"]), st.booleans(), st.sampled_from(["", "\ufeff"]))
def test_i6_an_edit_changes_one_string_and_no_other_byte(
    value: dict[str, dict[str, object]],
    data: st.DataObject,
    indent: int | str | None,
    ascii_only: bool,
    bom: str,
) -> None:
    text = bom + json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    places = [
        (goal, slot, index)
        for goal, slots in value.items()
        for slot, held in slots.items()
        for index in (range(len(held)) if isinstance(held, list) else [None])
    ]
    if not places:
        return
    goal, slot, index = data.draw(st.sampled_from(places))
    file = data.draw(FILES)
    old = reference_value(text, (goal,), slot, index)
    new = set_reference(text, (goal,), slot, index, file)
    if index is None:
        value[goal][slot] = file
    else:
        value[goal][slot][index] = file  # type: ignore[index]
    assert json.loads(new.removeprefix("\ufeff")) == value
    start = _common(text, new)
    end = _common(text[start:][::-1], new[start:][::-1])
    changed = text[start : len(text) - end]
    assert old is not None
    assert len(changed) <= max(len(json.dumps(old)), len(json.dumps(old, ensure_ascii=False)))


def _common(one: str, other: str) -> int:
    """Return how many first characters are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))
