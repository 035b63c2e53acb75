"""`goalmap lsp`: the language server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

_LAST_PORT = 65_535


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    import argparse

    how = parser.add_mutually_exclusive_group()
    how.add_argument("--stdio", action="store_true", help="talk on stdin and stdout (default)")
    how.add_argument("--tcp", metavar="HOST:PORT", type=_address, help="wait for one editor to connect")
    # Some clients add it to every server's command line; `initialize` says the same.
    parser.add_argument("--clientProcessId", help=argparse.SUPPRESS)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not HOST:PORT, for example 127.0.0.1:4711")
    return host.strip("[]"), int(port)


def run(options: argparse.Namespace) -> int:
    """Serve until the editor ends the session."""
    return serve(options.tcp)


def serve(tcp: tuple[str, int] | None = None) -> int:
    """Serve one editor, on stdin and stdout where no address is given; return the exit code."""
    import gc

    gc.disable()  # until all is imported: almost nothing that an import makes is garbage
    from goalmap.lsp import lean_start

    lean_start.import_asyncio()
    from goalmap.lsp import app

    return app.serve(tcp=tcp)
