"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Speed is measured by benchmarks: a busy machine must not fail a property. In CI the examples are the same every time,
# so that what fails there fails here; elsewhere they are new each time.
settings.register_profile(
    "goalmap",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("goalmap")
