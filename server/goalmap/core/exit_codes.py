"""The exit codes of all commands; scripts depend on them. Errors and outcomes carry the one that they end with."""

from typing import Final

FINE: Final = 0
FAILED: Final = 1  # findings, or refused: nothing was changed
SAVED_ELSEWHERE: Final = 74  # the text is safe, outside of the library
NOT_COMMITTED: Final = 75  # the text is safe in the journal
CONFLICT: Final = 76  # the text is parked: the map has changed
INTERRUPTED: Final = 130  # as shells have it: 128 and the number of SIGINT
