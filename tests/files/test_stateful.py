"""Random libraries and sequences of generate, undo, kill, recover, edit and rename, against a model; random edits."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from goalmap.files.errors import CommitRefused, Conflict
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import AlreadyDone, Generation
from support.map_edits import reference_value, set_reference
from support.told import begin, finish, recover, undo

from .faults.tap import Killed, Tap

# Some differ in case or form only, and one lies in a category.
GOALS = (("A",), ("a",), ("B b",), ("caf\u00e9",), ("cafe\u0301",), ("Deep", "A"))
SLOTS = ("persona", "protocol", "constraints")
LIST_LENGTH = 3
CHOICE = st.integers(0, 99)
# Where a process dies, by its calls to the system, if it does. A commit makes about two hundred.
DEATH = st.none() | st.integers(1, 220)
Place: TypeAlias = tuple[tuple[str, ...], str, int | None]


def until_killed(call: int | None, act: Callable[[], Any]) -> Any:
    """Return what `act` does, or Killed, if it gets as far as that call."""
    if call is None:
        return act()
    tap = Tap(die_at=call)
    tap.install()
    try:
        return act()
    except Killed:
        return Killed()
    finally:
        tap.remove()


@dataclass(frozen=True)
class UnderWay:
    """A generation, and its text if that is whole."""

    generation: Generation
    place: Place
    text: str | None


@dataclass(frozen=True)
class Done:
    """A commit that can be undone as long as nobody touches what it did."""

    tx: str
    place: Place
    old: str
    file: str
    request: GenerateRequest


class Library(RuleBasedStateMachine):
    """`expected` is what each reference must be; `texts` what each component must hold."""

    @initialize(
        goals=st.lists(st.sampled_from(GOALS), min_size=1, unique=True),
        slots=st.lists(st.sampled_from(SLOTS), min_size=1, unique=True),
        indent=st.sampled_from([None, 1, 4]),
        newline=st.sampled_from(["\n", "\r\n"]),
    )
    def build(self, goals: list[tuple[str, ...]], slots: list[str], indent: int | None, newline: str) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="goalmap-stateful-"))
        os.environ["XDG_STATE_HOME"] = str(self.base / "state")
        self.map = self.base / "library" / "goal_map.json"
        (self.map.parent / "components").mkdir(parents=True)
        self.indent, self.newline = indent, newline
        self.expected: dict[Place, str] = {}
        self.texts: dict[str, str] = {}
        self.undoable: list[Done] = []
        self.under_way: list[UnderWay] = []
        self.parked = 0
        self.count = 0
        for goal in goals:
            for slot in slots:
                for index in range(LIST_LENGTH) if slot == "constraints" else [None]:
                    # Goals share what is no list: one component for many.
                    self.expected[goal, slot, index] = f"{slot}.txt" if index is None else f"{len(self.expected)}.txt"
        self.write_map()

    def teardown(self) -> None:
        if hasattr(self, "base"):
            for one in self.under_way:
                one.generation.close()
            shutil.rmtree(self.base)

    def write_map(self) -> None:
        """Write the map anew, as somebody does who has formatted it."""
        value: dict[str, Any] = {}
        for (goal, slot, index), file in self.expected.items():
            into = value
            for part in goal:
                into = into.setdefault(part, {})
            if index is None:
                into[slot] = file
            else:
                into.setdefault(slot, []).append(file)
        text = json.dumps(value, indent=self.indent, ensure_ascii=False).replace("\n", self.newline)
        self.map.write_bytes(text.encode())

    def map_text(self) -> str:
        return self.map.read_bytes().decode()

    @staticmethod
    def path(place: Place, file: str) -> str:
        return f"components/{place[1].removesuffix('s')}s/{file}"

    def place(self, choice: int) -> Place:
        return list(self.expected)[choice % len(self.expected)]

    def take(self, choice: int) -> UnderWay:
        return self.under_way.pop(choice % len(self.under_way))

    # -- generate
    @rule(choice=CHOICE, naming=st.sampled_from(["autogen", "autogen", "referenced"]), whole=st.booleans(), death=DEATH)
    def start(self, choice: int, naming: Literal["autogen", "referenced"], whole: bool, death: int | None) -> None:
        place = self.place(choice)
        old = self.expected[place]
        self.count += 1
        request = GenerateRequest(str(self.map), *place, old, f"description {self.count}", naming)
        target = self.path(place, old)
        busy = [one for one in self.under_way if one.place == place]
        busy += [one for one in self.under_way if naming == "referenced" and self.target(one) == target]
        try:
            generation = until_killed(death, lambda: begin(request))
        except CommitRefused:
            assert busy or target in self.texts, "refused without a reason"
            return
        if isinstance(generation, Killed):
            self.recover_after_death(death)
            return
        assert not busy
        assert target not in self.texts
        assert isinstance(generation, Generation)
        text = f"text {self.count}\n"
        generation.append(text)
        if whole:
            generation.finish(text)
        self.under_way.append(UnderWay(generation, place, text if whole else None))

    def target(self, one: UnderWay) -> str:
        return self.path(one.place, one.generation.file)

    @precondition(lambda self: self.under_way)
    @rule(choice=CHOICE, death=DEATH, is_edited=st.booleans())
    def end(self, choice: int, death: int | None, is_edited: bool) -> None:
        """Commit, or give up what is not whole. `is_edited`: by hand, between a death and the recovery."""
        one = self.take(choice)
        if one.text is None:
            until_killed(death, one.generation.abandon)
            one.generation.close()
            self.recover_after_death(death)
            self.parked += 1
            return
        with contextlib.suppress(Conflict):
            until_killed(death, one.generation.commit)
        one.generation.close()
        if is_edited and one.place in self.expected and self.has_record(one.generation.tx):
            self.set_by_hand(one.place)
        self.recover_after_death(death)
        self.came_about(one)

    @precondition(lambda self: self.under_way)
    @rule(choice=CHOICE, is_saved=st.booleans())
    def end_in_an_editor(self, choice: int, is_saved: bool) -> None:
        """Publish; then the map is saved with the reference, or thrown away and the generation finished by hand."""
        one = self.take(choice)
        if one.text is None or self.expected.get(one.place) != one.generation.request.file:
            self.under_way.append(one)
            return
        generation = one.generation
        file = generation.publish_component()
        if is_saved:
            before = self.map_text()
            self.map.write_bytes(set_reference(before, *one.place, file).encode())
            assert generation.settle() is not None
        else:
            generation.close()
            assert recover(str(self.map.parent)).finished == []
            assert [done.tx for done in finish(str(self.map.parent), generation.tx).finished] == [generation.tx]
        self.came_about(one)

    @precondition(lambda self: self.under_way)
    @rule(choice=CHOICE, death=DEATH)
    def kill(self, choice: int, death: int | None) -> None:
        """Kill while the model writes, or between its answer and the commit."""
        one = self.take(choice)
        one.generation.close()  # which is all that is left of a process that was killed
        self.recover_after_death(death)
        if one.text is None:
            self.parked += 1
        else:
            self.came_about(one)

    def recover_after_death(self, death: int | None) -> None:
        """Recover; if one process has died, the first recovery dies at the same call."""
        root = str(self.map.parent)
        until_killed(death, lambda: recover(root))
        recover(root)

    def has_record(self, tx: str) -> bool:
        return (self.map.parent / ".goalmap" / "journal" / f"{tx}.gmj").exists()

    def came_about(self, one: UnderWay) -> None:
        """Expect the commit of a text that was whole: in the library, or parked where its place has gone."""
        request = one.generation.request
        if self.expected.get(one.place) != request.file:
            self.parked += 1
            return
        file = reference_value(self.map_text(), *one.place)
        assert file is not None
        assert (file == request.file) == (request.naming == "referenced")
        self.expected[one.place] = file
        assert self.path(one.place, file) not in self.texts, "I9"
        self.texts[self.path(one.place, file)] = one.text or ""
        self.undoable.append(Done(one.generation.tx, one.place, request.file, file, request))

    @precondition(lambda self: self.undoable)
    @rule(choice=CHOICE)
    def ask_again(self, choice: int) -> None:
        """I5: a request that was committed is answered without paying, or refused where things have changed."""
        done = self.undoable[choice % len(self.undoable)]
        try:
            answer = begin(done.request)
        except CommitRefused:
            assert not self.is_untouched(done) or any(one.place == done.place for one in self.under_way)
            return
        if isinstance(answer, AlreadyDone):
            assert answer.result.file == done.file
        else:
            answer.abandon()
            assert not self.is_untouched(done)

    # -- undo
    def is_untouched(self, done: Done) -> bool:
        return self.expected.get(done.place) == done.file and self.path(done.place, done.file) in self.texts

    @precondition(lambda self: self.undoable)
    @rule(choice=CHOICE, death=DEATH)
    def take_back(self, choice: int, death: int | None) -> None:
        done = self.undoable[choice % len(self.undoable)]
        users = [
            place for place, file in self.expected.items() if self.path(place, file) == self.path(done.place, done.file)
        ]
        is_shared = done.request.naming == "autogen" and len(users) > 1
        try:
            ended = until_killed(death, lambda: undo(str(self.map.parent), done.tx))
        except CommitRefused:
            assert is_shared or not self.is_untouched(done), "refused without a reason"
            return
        if isinstance(ended, Killed):
            self.recover_after_death(death)
            if (self.map.parent / self.path(done.place, done.file)).exists() or not self.is_untouched(done):
                return  # not begun
        assert self.is_untouched(done)
        self.undoable.remove(done)
        self.expected[done.place] = done.old
        del self.texts[self.path(done.place, done.file)]

    # -- by hand
    @rule(choice=CHOICE)
    def edit(self, choice: int) -> None:
        self.set_by_hand(self.place(choice))

    def set_by_hand(self, place: Place) -> None:
        self.count += 1
        self.expected[place] = f"hand{self.count}.txt"
        self.map.write_bytes(set_reference(self.map_text(), *place, self.expected[place]).encode())

    @rule(choice=CHOICE)
    def rename_a_goal(self, choice: int) -> None:
        old = self.place(choice)[0]
        self.count += 1
        new = (*old[:-1], f"renamed {self.count}")
        self.expected = {(new if goal == old else goal, *rest): file for (goal, *rest), file in self.expected.items()}  # type: ignore[misc]
        self.write_map()

    @precondition(lambda self: self.texts)
    @rule(choice=CHOICE)
    def rename_a_component(self, choice: int) -> None:
        """As the server's rename does: the file, and all references to it."""
        old = list(self.texts)[choice % len(self.texts)]
        self.count += 1
        new = f"renamed{self.count}.txt"
        users = [place for place, file in self.expected.items() if self.path(place, file) == old]
        for place in users:
            self.expected[place] = new
            self.map.write_bytes(set_reference(self.map_text(), *place, new).encode())
        folder, _, _ = old.rpartition("/")
        (self.map.parent / old).rename(self.map.parent / folder / new)
        self.texts[f"{folder}/{new}"] = self.texts.pop(old)

    # -- what must be there
    @invariant()
    def map_and_components_are_as_expected(self) -> None:
        if not hasattr(self, "map"):
            return
        text = self.map_text()
        json.loads(text)
        assert {place: reference_value(text, *place) for place in self.expected} == self.expected
        there = {
            path.relative_to(self.map.parent).as_posix(): path.read_text()
            for path in (self.map.parent / "components").rglob("*")
            if path.is_file()
        }
        assert there == self.texts, "I2, I3, I9"

    @invariant()
    def nothing_else_is_left(self) -> None:
        if not hasattr(self, "map"):
            return
        assert {path.name for path in self.map.parent.iterdir()} <= {"components", "goal_map.json", ".goalmap"}
        state = self.map.parent / ".goalmap"
        records = {f"{one.generation.tx}.gmj" for one in self.under_way}
        assert {path.name for path in state.glob("journal/*")} == records, "I3"
        assert len(list(state.glob("parked/*"))) == self.parked, "I3, I4"


TestLibrary = Library.TestCase
TestLibrary.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
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
