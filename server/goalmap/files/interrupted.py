"""What waits in a journal, for whoever shows it all the time: read anew only when the journal has changed.

It keeps nobody waiting: where another process is at work in the library, there is no answer yet. Of many records the
newest are read.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from goalmap.files import os_layer, store
from goalmap.files.loader import RACY_NS

if TYPE_CHECKING:
    from goalmap.files.report import Pending

MAX_RECORDS: Final = 50


class Interrupted(NamedTuple):
    """The interrupted generations of a library: the newest, and how many more records there are."""

    records: tuple[Pending, ...] = ()
    more: int = 0


NOTHING: Final = Interrupted()


class Journal:
    """Knows what waits in the journal of one library. For one thread."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._stamps: tuple[tuple[int, int] | None, ...] | None = None
        self._found = NOTHING

    def look(self) -> Interrupted | None:
        """Return what waits; None while another process is at work in the library: ask again.

        It costs two `stat` where nothing has changed.
        """
        before_ns = time.time_ns()
        stamps = self._folder_stamps()
        if stamps == self._stamps:
            return self._found
        self._stamps = None
        if not any(stamps):
            self._found = NOTHING
        else:
            from goalmap.files import recovery  # which needs this module

            found = recovery.newest_pending(self._root, at_most=MAX_RECORDS)
            if found is None:
                return None
            # Nobody's record changes without the journal but one whose owner dies.
            changes_unseen = any(pending.has_owner for pending in found.records)
            self._found = found._replace(records=tuple(one for one in found.records if not one.has_owner))
            if changes_unseen:
                return self._found
        if not any(stamp and before_ns - stamp[0] < RACY_NS for stamp in stamps):
            self._stamps = stamps
        return self._found

    def _folder_stamps(self) -> tuple[tuple[int, int] | None, ...]:
        journal = os_layer.stamp(os.path.join(self._root, store.STATE, store.JOURNAL))
        if os_layer.stamp(store.fallback_home()) is None:
            return journal, None
        return journal, os_layer.stamp(store.fallback_folder(self._root))
