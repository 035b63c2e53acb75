"""`goalmap lsp`: the language server."""

from __future__ import annotations

import argparse

_LAST_PORT = 65_535


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--stdio", action="store_true", help="talk on stdin and stdout (default)")
    how.add_argument("--tcp", metavar="HOST:PORT", type=_address, help="wait for one editor to connect")
    # Some clients add it to every server's command line; `initialize` says the same.
    parser.add_argument("--clientProcessId", help=argparse.SUPPRESS)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, for example 127.0.0.1:4711")
    return host.strip("[]"), int(port)


def run(options: argparse.Namespace) -> int:
    """Serve until the editor ends the session."""
    from goalmap.lsp import lean_start

    # All that the server imports at its start is imported here.
    with lean_start.imports():
        from goalmap.lsp.app import serve

    return serve(tcp=options.tcp)
