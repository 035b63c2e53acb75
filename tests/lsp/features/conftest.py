"""A paper in, an editor out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.fixtures import Editor
from support.slow_disk import SlowDisk


@pytest.fixture
def edit(tmp_path: Path) -> Iterator[Callable[..., Editor]]:
    """Return what opens a paper in an editor."""
    with ExitStack() as editors:

        def open_paper(paper: str, **how: Any) -> Editor:
            return editors.enter_context(Editor(tmp_path, paper, **how))

        yield open_paper


@pytest.fixture
def slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    """Return a disk that can hang; fail the test if the event loop went to it, or waited for it, while it did."""
    disk = SlowDisk(tmp_path, monkeypatch)
    yield disk
    assert not disk.from_the_loop, f"the event loop itself called {disk.from_the_loop}"
    assert not disk.never_opened, "the test had no answers before the disk answered: the event loop waited for it"
