"""A paper in, an editor out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.fixtures import Editor


@pytest.fixture
def edit(tmp_path: Path) -> Iterator[Callable[..., Editor]]:
    """Return what opens a paper in an editor."""
    with ExitStack() as editors:

        def open_paper(paper: str, **how: Any) -> Editor:
            return editors.enter_context(Editor(tmp_path, paper, **how))

        yield open_paper
