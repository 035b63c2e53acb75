"""What there is on disk, as a value: a snapshot of a library's component folders."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from goalmap.core.naming import (
    COMPONENTS,
    DEVICE_STARTS,
    TEMPLATE_SLOT,
    folder_of,
    is_slot,
    same_for_some_systems,
    unsafe_slot_reason,
)
from goalmap.core.text import visible

if TYPE_CHECKING:
    from goalmap.core.near_names import NearNames

FaultKind: TypeAlias = Literal["empty", "unreadable", "outside"]


class Fault(NamedTuple):
    """Why a file that is there cannot serve as a component; `reason` completes a sentence: "it is empty"."""

    kind: FaultKind
    reason: str


class Folder:
    """A folder of components. `files` are the paths below it, with `/`; dotfiles are left out. It never changes."""

    def __init__(self, path: str, files: frozenset[str]) -> None:
        self.path = path
        self.files = files

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        """Its files, sorted."""
        return tuple(sorted(self.files))

    @cached_property
    def near(self) -> "NearNames":
        """An index of its files by what they are like."""
        from goalmap.core.near_names import NearNames

        return NearNames(self.ordered)

    @cached_property
    def searchable(self) -> tuple[tuple[str, str], ...]:
        """Its files in order, each behind what is compared with what somebody types."""
        return tuple((file.casefold(), file) for file in self.ordered)

    @cached_property
    def plain(self) -> frozenset[str]:
        """Its files but those whose names must be looked at closely: in folders of their own, or like a device's."""
        starts = {start.lower() for start in {file[:3] for file in self.files}}
        if starts.isdisjoint(DEVICE_STARTS) and "/" not in "".join(self.files):
            return self.files  # nearly always, and told many times as fast
        odd = [file for file in self.files if "/" in file or file[:3].lower() in DEVICE_STARTS]
        return self.files.difference(odd)

    @cached_property
    def folded(self) -> dict[str, str]:
        """Its files by the name that some file systems take them for."""
        files = list(self.files)
        joined = "\0".join(files)
        if files and joined.isascii():  # nearly always, and then one call folds them all
            return dict(zip(joined.lower().split("\0"), files, strict=True))
        return {same_for_some_systems(file): file for file in files}

    @cached_property
    def _is_folded(self) -> bool:
        names = "\0".join(self.files)
        return names.isascii() and names == names.lower()

    def other_spelling(self, file: str) -> str | None:
        """Return the file whose name differs only in case or Unicode form."""
        folded = same_for_some_systems(file)
        if self._is_folded:  # as most folders are: their names need no second list
            return folded if folded != file and folded in self.files else None
        found = self.folded.get(folded)
        return found if found != file else None


class SlotFolder(NamedTuple):
    """The folder of a slot: where it is looked for, what is there, and what is wrong with its name.

    `fine` are its files about which nothing is to be said; `unknown` and `unsafe` say why there is no folder, or can
    be none.
    """

    path: str
    folder: Folder | None
    fine: frozenset[str]
    unknown: str | None
    unsafe: str | None


class Library:
    """An immutable snapshot of a library. `folders` are by path (`components/personas`), `faults` by a file's path."""

    def __init__(
        self, root: str, folders: Mapping[str, Folder] | None = None, faults: Mapping[str, Fault] | None = None
    ) -> None:
        self.root = root
        self.folders = folders or {}
        self.faults = faults or {}
        self._slot_folders: dict[str, SlotFolder] = {}  # what was worked out once: a map names few slots many times

    def folder(self, slot: str) -> str:
        """Return the path of the folder that `slot` is looked up in, whether it exists or not."""
        return folder_of(slot, self.folders)

    def path(self, slot: str, file: str) -> str:
        """Return the path of a component, relative to the library."""
        return f"{self.folder(slot)}/{file}"

    def has(self, slot: str, file: str) -> bool:
        """Whether there is something at the component's path, spelled just so."""
        folder = self.folders.get(self.folder(slot))
        return folder is not None and (file in folder.files or f"{folder.path}/{file}" in self.faults)

    def other_spelling(self, slot: str, file: str) -> str | None:
        """Return the file whose name differs only in case or Unicode form."""
        folder = self.folders.get(self.folder(slot))
        return folder.other_spelling(file) if folder else None

    def slot_folder(self, slot: str) -> SlotFolder:
        """Return what there is to know about the folder of `slot`."""
        known = self._slot_folders.get(slot)
        if known is None:
            known = self._slot_folders[slot] = self._look_up(slot)
        return known

    def _look_up(self, slot: str) -> SlotFolder:
        path = self.folder(slot)
        folder = self.folders.get(path)
        fine = frozenset[str]()
        if not is_slot(slot):
            return SlotFolder(path, folder, fine, None, None)
        if folder is not None:
            at_fault = {fault.rpartition("/")[2] for fault in self.faults if fault.startswith(f"{path}/")}
            fine = folder.plain - at_fault if at_fault else folder.plain
        unknown = unsafe = None
        reason = unsafe_slot_reason(slot)
        if reason:
            unsafe = f"{visible(slot)} cannot name a folder: it {reason}"
        elif folder is None:
            from goalmap.core.near_names import near_names  # late: most maps name no slot without a folder

            unknown = f"There is no folder {visible(path)}"
            others = [name for name in self.slot_folders() if name != f"{TEMPLATE_SLOT}s"]
            for near in near_names(f"{slot}s", others, limit=1):
                unknown += f"; the nearest is {COMPONENTS}/{near}"
        return SlotFolder(path, folder, fine, unknown, unsafe)

    @property
    def files(self) -> set[str]:
        """The paths of all components."""
        return {f"{folder.path}/{file}" for folder in self.folders.values() for file in folder.files}

    def slot_folders(self) -> list[str]:
        """Return the names of the component folders, sorted."""
        return sorted(path.removeprefix(f"{COMPONENTS}/") for path in self.folders)
