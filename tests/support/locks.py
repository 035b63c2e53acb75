"""The library's lock, held by a test in the place of another process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from goalmap.files import os_layer
from goalmap.files.os_layer import OPEN_OR_CREATE, LibraryDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def lock_held(root: Path) -> Iterator[None]:
    """Hold the library's lock, as a process does that was stopped amid a commit."""
    with LibraryDir.open(str(root / ".goalmap")) as state:
        descriptor = state.open_file("lock", OPEN_OR_CREATE)
        try:
            assert os_layer.try_lock(descriptor)
            yield
        finally:
            os_layer.close(descriptor)
