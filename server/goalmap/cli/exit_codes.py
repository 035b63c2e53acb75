"""The exit codes of all commands; scripts depend on them."""

from typing import Final

FINE: Final = 0
FAILED: Final = 1  # findings, or refused: nothing was changed
USAGE: Final = 2
SAVED_ELSEWHERE: Final = 74
NOT_COMMITTED: Final = 75
CONFLICT: Final = 76
INTERRUPTED: Final = 130
