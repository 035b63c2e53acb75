"""Names: folders of slots, names of generated components, and which names are safe to use as paths.

Nothing here looks at a disk. A component's path is relative to its library, with `/` on every system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import Final, Literal, TypeAlias, get_args

from goalmap.core.text import has_invisible

COMPONENTS = "components"
MAP_NAME = "goal_map.json"
TEMPLATE_SLOT = "template"
# Keys of a goal that hold no references. So does every key with a `$`, such as "$schema" or "persona$description".
DESCRIPTION = "description"
TITLE = "title"

# How a generated component is named: by a new file that the map is made to name, or as the map names it already.
Naming: TypeAlias = Literal["autogen", "referenced"]
NAMINGS: Final[tuple[Naming, ...]] = get_args(Naming)

_SLUG_LENGTH = 80
# Reserved by Windows in every folder, with any extension (Microsoft, "Naming Files, Paths, and Namespaces").
_PORTS = [f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"]
_DEVICES = frozenset(["con", "prn", "aux", "nul", "conin$", "conout$", *_PORTS])
# What all of them begin with.
DEVICE_STARTS = frozenset(name[:3] for name in _DEVICES)
_LONGEST_NAME_BYTES = 255
_PLAIN_LENGTH = 100
_BLANKS = " \t"


def is_slot(key: str) -> bool:
    """Return whether `key` of a goal holds references."""
    return key not in (DESCRIPTION, TITLE) and "$" not in key


def component_type(slot: str) -> str:
    """Return the type of the components in `slot`: its singular. `constraints` → `constraint`, `persona` stays."""
    if slot.endswith("s") and not slot.endswith(("ss", "us", "is")) and len(slot) > 1:
        return slot[:-1]
    return slot


def folder_of(slot: str, exists: Container[str] = ()) -> str:
    """Return the folder of `slot`, relative to the library.

    `exists` tells which folders there are: `constraints` lives in `components/constraints`, unless there is only
    `components/constraintss`.
    """
    plural = f"{COMPONENTS}/{slot}s"
    if not slot.endswith("s"):
        return plural
    return plural if plural in exists and f"{COMPONENTS}/{slot}" not in exists else f"{COMPONENTS}/{slot}"


def slug(name: str) -> str:
    """Return `name` lower-cased, each run of characters outside `[a-z0-9]` as one `_`, at most 80 characters."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower())[:_SLUG_LENGTH]


def autogen_file(slot: str, goal_name: str, is_taken: Callable[[str], bool]) -> str:
    """Return the first free name for a generated component: `autogen_<type>_for_<goal>.txt`, then `…_2.txt`, `…_3.txt`.

    `is_taken` is asked for each file name in turn.
    """
    stem = f"autogen_{slug(component_type(slot))}_for_{slug(goal_name)}"
    name, number = f"{stem}.txt", 1
    while is_taken(name):
        number += 1
        name = f"{stem}_{number}.txt"
    return name


def unsafe_reason(file: str) -> str | None:
    """Return why `file` must not be used as the path of a component below its folder; None where it may.

    The rules are those of the strictest system that the library may be opened on, so that a library which is fine here
    is fine everywhere.
    """
    if _is_plain(file):
        return "is a device name on Windows" if _is_device(file) else None
    if file.startswith(("/", "\\")) or (file[1:2] == ":" and file[0].isascii() and file[0].isalpha()):
        return "is an absolute path"
    if "\0" in file:
        return "has a NUL character"
    if "\\" in file:
        return "has a backslash; folders are separated by /"
    for part in file.split("/"):
        reason = _unsafe_part(part)
        if reason:
            return reason
    return None


def _is_plain(file: str) -> bool:
    """Whether a name is like most: letters, digits, `_`, `-` and one dot. Then there is hardly more to check."""
    letters = file.replace("_", "x").replace("-", "x").replace(".", "x", 1)
    return letters.isalnum() and file.isascii() and file[-1] != "." and len(file) <= _PLAIN_LENGTH


def _is_device(name: str) -> bool:
    return name.partition(".")[0].lower() in _DEVICES


def _unsafe_part(part: str) -> str | None:
    if part == "..":
        return "leaves its folder with .."
    if part in ("", "."):
        return "has an empty part between its slashes"
    if has_invisible(part):
        return "has control or invisible characters"
    if any(character in '<>:"|?*' for character in part):
        return 'has a character that Windows refuses: one of < > : " | ? *'
    if part[-1] in " ." or part[0] in _BLANKS:
        return "begins or ends with a blank or a dot, which Windows drops"
    if _is_device(part):
        return "is a device name on Windows"
    if len(part.encode("utf-8", "surrogatepass")) > _LONGEST_NAME_BYTES:
        return f"is longer than {_LONGEST_NAME_BYTES} bytes"
    return None


def unsafe_slot_reason(slot: str) -> str | None:
    """Return why `slot` cannot name a folder; None where it can."""
    if not slot:
        return "is empty"
    if "/" in slot:
        return "has a slash"
    return unsafe_reason(slot)


def same_for_some_systems(name: str) -> str:
    """Return a key that is equal for names which some file system takes for one: case and Unicode form folded."""
    if name.isascii():
        return name.lower()
    import unicodedata

    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
