"""`goalmap schema`: print the JSON schema of goal_map.json, for editors and validators."""

from __future__ import annotations

import argparse
import json

from goalmap.core.exit_codes import FINE


def configure(_: argparse.ArgumentParser) -> None:
    """Add nothing: it has no options."""


def run(_: argparse.Namespace) -> int:
    """Print the schema."""
    from goalmap.schema import schema

    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return FINE
