"""The interrupted generations of a library, for an editor that always shows them.

The journal is read again only when it has changed, and never waits for the library's lock: while another process holds
that, there is no answer. Of many records only the newest are read.
"""

from __future__ import annotations

import os
import time
from typing import Final

from goalmap.files import os_layer, store
from goalmap.files.loader import RACY_NS
from goalmap.files.report import NOTHING_INTERRUPTED, Interrupted

MAX_RECORDS: Final = 50


class Journal:
    """Reads the interrupted generations of one library, and caches them. Not thread-safe."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._stamps: tuple[tuple[int, int] | None, ...] | None = None
        self._found = NOTHING_INTERRUPTED

    def look(self) -> Interrupted | None:
        """Return the interrupted generations; None while another process works in the library: try again later.

        Costs two `stat` calls where nothing has changed.
        """
        before_ns = time.time_ns()
        stamps = self._folder_stamps()
        if stamps == self._stamps:
            return self._found
        self._stamps = None
        if not any(stamps):
            self._found = NOTHING_INTERRUPTED
        else:
            from goalmap.files import recovery  # late: most libraries have no journal

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
