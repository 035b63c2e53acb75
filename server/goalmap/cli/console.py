"""What is printed: messages on stderr, colours where a person reads, and nothing that steers a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from functools import cache
from typing import Final, TextIO

from goalmap.cli.exit_codes import FAILED
from goalmap.core.text import visible

_STYLES: Final = {
    "error": "1;31",
    "warning": "1;33",
    "information": "1;34",
    "hint": "2",
    "help": "36",
    "good": "32",
    "strong": "1",
}


class CliError(Exception):
    """A command cannot do what was asked; `help` is the next step."""

    def __init__(self, message: str, *, help: str = "", exit_code: int = FAILED) -> None:  # noqa: A002 - what it is
        super().__init__(message)
        self.help = help
        self.exit_code = exit_code


def use_utf8() -> None:
    """Have stdout and stderr take any character: libraries are UTF-8, whatever the terminal's locale says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def has_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours, and nobody asked for none (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str, stream: TextIO) -> str:
    """Return `text` in a style: a severity's name, "help", "good" or "strong"; as it is where there are no colours."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if has_colour(stream) else text


def print_error(message: str, help_text: str = "") -> None:
    """Print why a command failed, and the next step, on stderr."""
    with contextlib.suppress(BrokenPipeError):
        print(f"goalmap: {styled('error', 'error', sys.stderr)}: {message}", file=sys.stderr)
        if help_text:
            print(f"  {styled('help', 'help', sys.stderr)}: {help_text}", file=sys.stderr)


def print_note(message: str) -> None:
    """Print what happens on stderr."""
    print(message, file=sys.stderr)


def safe_for_terminal(text: str) -> str:
    """Return a text of several lines with what could steer a terminal, or turn its direction, as escapes."""
    return "\n".join("\t".join(visible(part) for part in line.split("\t")) for line in text.split("\n"))


def print_text(text: str) -> None:
    """Print a component's or prompt's text on stdout: just as it is, but on a terminal what could steer it escaped."""
    print(safe_for_terminal(text) if sys.stdout.isatty() else text)


@cache
def shown_path(path: str) -> str:
    """Return `path` as a person wants it: relative where it is below the current folder."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return visible(path)
    return visible(path if relative == os.pardir or relative.startswith(os.pardir + os.sep) else relative)


def count(number: int, noun: str) -> str:
    """Return `1 goal`, `2 goals`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
