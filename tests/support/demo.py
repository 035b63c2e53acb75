"""How tests talk to the demo server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

DEMO = [sys.executable, str(Path(__file__).with_name("demo_server.py"))]
URI = "file:///a/goal_map.json"
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
NOT_INITIALIZED, CANCELLED, REQUEST_FAILED = -32002, -32800, -32803


def command(name: str, *arguments: Any) -> dict[str, Any]:
    """Return the params of `workspace/executeCommand`."""
    return {"command": name, "arguments": list(arguments)}


def at(line: int, character: int = 0) -> dict[str, Any]:
    """Return the params of a request on a position in the document."""
    return {"textDocument": {"uri": URI}, "position": {"line": line, "character": character}}
