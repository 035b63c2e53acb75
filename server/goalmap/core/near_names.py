"""Near names among any number of names, at a cost that hardly grows with it.

A name that was mistyped begins or ends like the one that was meant, up to the mistake. So it stands near that one where
all names are sorted, or where they are sorted by their ends; only its neighbours there are compared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from goalmap.core.naming import same_for_some_systems

_NEIGHBOURS: Final = 16  # on each side, in each of the two orders
_FEW: Final = 4 * _NEIGHBOURS  # these are all compared
_ALIKE: Final = 60  # percent


def near_names(name: str, candidates: Sequence[str], *, limit: int = 3) -> list[str]:
    """Return similar candidates, best first, equally good ones as they come."""
    if len(candidates) <= _FEW:
        scores = sorted((-_likeness(name, candidate), number) for number, candidate in enumerate(candidates))
        return [candidates[number] for score, number in scores[:limit] if -score >= _ALIKE]
    # Late: its import takes 30 ms and 6 MB, more than to compare so few, and the server never has more to compare.
    from rapidfuzz import fuzz, process

    matches = process.extract(name, candidates, scorer=fuzz.ratio, limit=limit, score_cutoff=_ALIKE)
    return [candidate for candidate, _, _ in matches]


def _likeness(one: str, other: str) -> float:
    """Return what `rapidfuzz.fuzz.ratio` does: the share, in percent, of both that is in their common subsequence.

    Its length is counted bit by bit: H. Hyyrö, "Bit-parallel LCS-length computation revisited" (2004).
    """
    places: dict[str, int] = {}
    for number, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << number
    everywhere = (1 << len(one)) - 1
    left = everywhere
    for character in other:
        common = left & places.get(character, 0)
        left = ((left + common) | (left - common)) & everywhere
    both = len(one) + len(other)
    return 200 * (len(one) - left.bit_count()) / both if both else 100.0


class NearNames:
    """An index of `names`. To make it costs two sorts; to ask it, 64 comparisons at most, of however many names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        folded = [] if len(names) <= _FEW else [same_for_some_systems(name) for name in names]
        self._begins, self._ends = _Order(folded), _Order([name[::-1] for name in folded])

    def of(self, name: str, *, limit: int = 3) -> list[str]:
        """Return the names most like `name`, best first, equally good ones as they come.

        Up to 64 names this is what `near_names` returns; of more, those are found that share more with `name` at the
        beginning or at the end than nearly all others.
        """
        if len(self._names) <= _FEW:
            return near_names(name, self._names, limit=limit)
        folded = same_for_some_systems(name)
        near = sorted({*self._begins.around(folded), *self._ends.around(folded[::-1])})
        return near_names(name, [self._names[number] for number in near], limit=limit)


class _Order:
    """Keys in order, each with the number that it came with."""

    def __init__(self, keys: list[str]) -> None:
        self._numbers = sorted(range(len(keys)), key=keys.__getitem__)
        self._keys = [keys[number] for number in self._numbers]

    def around(self, key: str) -> list[int]:
        """Return the numbers of the keys next to where `key` is, or would be."""
        at = bisect_left(self._keys, key)
        return self._numbers[max(at - _NEIGHBOURS, 0) : at + _NEIGHBOURS]
