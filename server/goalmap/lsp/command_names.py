"""The names of the server's commands, which code actions name and `lsp.app` routes."""

from __future__ import annotations

from typing import Final

GENERATE: Final = "goalmap.generateComponent"
GENERATE_ALL: Final = "goalmap.generateAll"
CANCEL: Final = "goalmap.cancelGeneration"
CREATE_EMPTY: Final = "goalmap.createEmpty"
FINISH: Final = "goalmap.finishGeneration"
DISCARD: Final = "goalmap.discardGeneration"
REVIEW: Final = "goalmap.reviewGeneration"
UNDO: Final = "goalmap.undo"
