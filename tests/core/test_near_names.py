"""Near names: few candidates are compared here, many by rapidfuzz, with one result."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz, process

from goalmap.core.library import near_names

names = st.text(alphabet="ab_.é💡", max_size=12)


@given(names, st.lists(names, max_size=20), st.integers(1, 4))
def test_few_candidates_are_ranked_as_many_are(name: str, candidates: list[str], limit: int) -> None:
    found = process.extract(name, candidates, scorer=fuzz.ratio, limit=limit, score_cutoff=60)
    assert near_names(name, candidates, limit=limit) == [candidate for candidate, _, _ in found]


def test_many_candidates() -> None:
    candidates = [f"component_{number:03d}.txt" for number in range(100)]
    assert near_names("component_077.tx", candidates, limit=1) == ["component_077.txt"]
    assert near_names("wholly different", candidates) == []
