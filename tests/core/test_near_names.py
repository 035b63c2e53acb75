"""Near names: few candidates are compared here, many by rapidfuzz, with one result."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz, process

from goalmap.core.near_names import NearNames, near_names

names = st.text(alphabet="ab_.é💡", max_size=12)


@given(names, st.lists(names, max_size=20), st.integers(1, 4))
def test_few_candidates_are_ranked_as_many_are(name: str, candidates: list[str], limit: int) -> None:
    found = process.extract(name, candidates, scorer=fuzz.ratio, limit=limit, score_cutoff=60)
    assert near_names(name, candidates, limit=limit) == [candidate for candidate, _, _ in found]


def test_many_candidates() -> None:
    candidates = [f"component_{number:03d}.txt" for number in range(100)]
    assert near_names("component_077.tx", candidates, limit=1) == ["component_077.txt"]
    assert near_names("wholly different", candidates) == []


@given(names, st.lists(names, max_size=64), st.integers(1, 4))
def test_an_index_of_few_names_compares_them_all(name: str, candidates: list[str], limit: int) -> None:
    assert NearNames(candidates).of(name, limit=limit) == near_names(name, candidates, limit=limit)


MANY = [f"{first}_{second}_{number:04d}.txt" for number in range(500) for first in ("find", "weigh") for second in "ab"]


@given(st.sampled_from(MANY), st.data())
def test_an_index_of_many_names_finds_some_that_are_nearly_as_alike(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    typed = data.draw(st.sampled_from([name[:at] + name[at + 1 :], f"{name[:at]}x{name[at:]}"]))
    found = NearNames(MANY).of(typed, limit=1)
    # Of names that differ in digits only, it may find another than the one that was meant, two characters away at most.
    assert fuzz.ratio(typed, found[0]) >= fuzz.ratio(typed, name) - 100 * 2 * 2 / (len(typed) + len(found[0]))


def test_an_index_finds_other_cases_and_nothing_where_nothing_is_alike() -> None:
    index = NearNames(MANY)
    assert index.of("Find_A_0007.txt", limit=1) == ["find_a_0007.txt"]
    assert index.of("??") == []
