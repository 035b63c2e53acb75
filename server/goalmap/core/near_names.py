"""Near names among any number of names, at a cost that hardly grows with it.

A name that was mistyped begins or ends like the one that was meant, up to the mistake. So it stands near that one where
all names are sorted, or where they are sorted by their ends; only its neighbours there are compared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from goalmap.core.library import near_names
from goalmap.core.naming import same_for_some_systems

_NEIGHBOURS: Final = 16  # on each side, in each of the two orders
_FEW: Final = 4 * _NEIGHBOURS  # these are all compared; and so many `near_names` compares without a library


class NearNames:
    """An index of `names`. To make it costs two sorts; to ask it, 64 comparisons at most, of however many names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        folded = [] if len(names) <= _FEW else [same_for_some_systems(name) for name in names]
        self._begins, self._ends = _Order(folded), _Order([name[::-1] for name in folded])

    def of(self, name: str, *, limit: int = 3) -> list[str]:
        """Return the names most like `name`, best first, equally good ones as they come; none that is not alike.

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


__all__ = ["NearNames"]
