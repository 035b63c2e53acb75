"""What the tests in real editors share: a library to work on, and a model's endpoint that says what it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.openai_endpoint import EndpointProcess, Reply
from support.scene import Scene, make_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a library with a missing component."""
    return make_scene(tmp_path / "library")


@pytest.fixture
def endpoint_of() -> Iterator[Callable[..., EndpointProcess]]:
    """Return what starts an endpoint with a script; it ends with the test."""
    running: list[EndpointProcess] = []

    def start(*replies: Reply) -> EndpointProcess:
        endpoint = EndpointProcess(replies)
        endpoint.__enter__()
        running.append(endpoint)
        return endpoint

    yield start
    for endpoint in running:
        endpoint.__exit__(None, None, None)
