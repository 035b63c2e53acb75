"""Putting the server together."""

from __future__ import annotations

import gc
import logging
import sys
from functools import partial
from importlib import import_module
from typing import Final

from goalmap import __version__
from goalmap.lsp import stdio
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.features import code_actions, diagnostics, hover, workspace
from goalmap.lsp.session import Session

# Features that need nothing but the session.
_FEATURES: Final = (
    "code_lens",
    "completion",
    "definition",
    "document_links",
    "file_operations",
    "folding",
    "inlay_hints",
    "prompt_document",
    "references",
    "rename",
    "selection_range",
    "symbols",
)


def build() -> GoalmapServer:
    """Return the server with all its features, before it is connected."""
    server = GoalmapServer("goalmap", __version__)
    session = Session(server)
    server.hooks = session
    publisher = diagnostics.register(server, session)
    hover.register(server, session)
    code_actions.register(server, session)
    workspace.register(server, session, publisher)
    for name in _FEATURES:
        import_module(f"goalmap.lsp.features.{name}").register(server, session)
    from goalmap.lsp.features import generation

    generation.register(server, session, publisher)
    return server


def serve(*, tcp: tuple[str, int] | None = None) -> int:
    """Serve one editor on stdin and stdout, or the first that connects to `tcp`; return the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # A large map is hundreds of thousands of small tuples that live as long as it does: looking through them for
    # garbage every few hundred allocations costs more than reading the map.
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    gc.enable()
    server = build()
    return server.serve(partial(stdio.accept_one, *tcp) if tcp else stdio.open_stdio)
