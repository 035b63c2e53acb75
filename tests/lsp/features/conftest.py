"""A paper in, an editor out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from support.fixtures import Editor


@pytest.fixture
def edit(tmp_path: Path) -> Callable[..., Editor]:
    """Return what opens a paper in an editor."""
    return partial(Editor, tmp_path)
