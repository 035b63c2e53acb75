"""What all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

from support.failed_once import FailedOnce

if TYPE_CHECKING:
    import pytest

# Speed is measured by benchmarks: a busy machine must not fail a property. In CI the examples are the same every time,
# so that what fails there fails here; elsewhere they are new each time.
settings.register_profile(
    "goalmap",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("goalmap")


def pytest_configure(config: pytest.Config) -> None:
    """Have the process that collects the reports tell what failed once; the workers of pytest-xdist do not."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailedOnce())
