"""Names and texts with characters that steer terminals, turn text round, break lines or bury what is around them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

# ESC, a one-byte CSI, right-to-left override, an isolate, a line separator, a bell: fit for the name of a file.
IN_NAMES: Final = "a\x1b[31mb\x9b31mc\u202ed\u2066e\u2028f\x07g"
MARKS: Final = "\u0301" * 3000
IN_TEXTS: Final = f"{IN_NAMES}\x00h"
FILE: Final = f"{IN_NAMES}.txt"
TEXT: Final = f"Text {IN_TEXTS}\r\nand e{MARKS}\n"

STEERING: Final = frozenset(
    [chr(point) for point in (*range(32), *range(0x7F, 0xA0)) if chr(point) not in "\t\n\r"]
    + list("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
)
# Of a letter; any more are shown as escapes.
MOST_MARKS: Final = 8

GOAL: Final = f"G{IN_TEXTS}"
CATEGORY: Final = f"C{IN_TEXTS}"
MAP: Final[dict[str, Any]] = {
    CATEGORY: {
        GOAL: {
            "title": f"T{IN_TEXTS}",
            "description": f"D{IN_TEXTS}",
            "persona": FILE,
            "protocol": f"m{IN_TEXTS}.txt",
            f"x{IN_TEXTS}": f"y{IN_TEXTS}",
            "note": [f"z{MARKS}.txt"],
            "template": "t.txt",
        }
    },
    "WHOLE": {"persona": FILE},
    "GAP": {"persona": FILE, "protocol": "new.txt"},
    "NUL": {"persona": "n\x00.txt"},
}


def unfit(text: str) -> str:
    """Return what of `text` must not be shown as it is; empty where all of it may."""
    found = "".join(sorted({character for character in text if character in STEERING}))
    return found + (MARKS[: MOST_MARKS + 1] if MARKS[: MOST_MARKS + 1] in text else "")


def write_library(folder: Path) -> str:
    """Write the library; return the text of its map."""
    personas = folder / "components" / "personas"
    personas.mkdir(parents=True)
    (folder / "components" / "templates").mkdir()
    (personas / FILE).write_bytes(TEXT.encode())
    (personas / f"near{FILE}").write_bytes(TEXT.encode())
    (folder / "components" / "templates" / "t.txt").write_bytes(f"{{{{ persona }}}} {IN_TEXTS} {{% bad %}}\n".encode())
    text = json.dumps(MAP, indent=1, ensure_ascii=False)
    (folder / "goal_map.json").write_bytes(text.encode())
    return text
