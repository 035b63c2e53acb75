"""Printing: messages on stderr, colours on terminals, control characters as escapes, and suggested commands."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, TextIO

from goalmap.core.exit_codes import FAILED
from goalmap.core.text import visible

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

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
    """A command failed; the message says why, and `help` the next step."""

    def __init__(self, message: str, *, help: str = "", exit_code: int = FAILED) -> None:  # noqa: A002 - what it is
        super().__init__(message)
        self.help = help
        self.exit_code = exit_code


class _Output(io.RawIOBase):
    """A stream that never raises: an error, such as a closed pipe or a full disk, is kept in `fault`.

    A message about the work must not decide how the work ends.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.fault: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def write(self, data: ReadableBuffer, /) -> int:
        with memoryview(data) as view:
            while self.fault is None:
                try:
                    written = self._raw.write(view)
                except OSError as error:
                    self.fault = error
                else:
                    if written is not None:
                        return written
                    _wait_until_writable(self.fileno())
            return view.nbytes


def _wait_until_writable(descriptor: int) -> None:
    """Wait until a pipe or terminal takes more that another program, which shares it, has made non-blocking."""
    import select

    select.select([], [descriptor], [])


@contextlib.contextmanager
def output() -> Iterator[None]:
    """For the length of a command: let stdout and stderr take any character, and raise no error.

    Libraries are UTF-8, whatever the terminal's locale is. A stream that is closed is replaced by /dev/null: else the
    next file that is opened would get its descriptor, and the output. `fault_of` returns the error of a stream.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _without_errors(sys.stdout), _without_errors(sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _without_errors(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if not isinstance(raw, io.RawIOBase):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(raw)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
    )


def drop_rest(stream: TextIO) -> None:
    """Discard what `stream` has not written yet, and everything that is printed later."""
    output = getattr(getattr(stream, "buffer", None), "raw", None)
    if isinstance(output, _Output):
        output.fault = output.fault or BrokenPipeError()


def fault_of(stream: TextIO) -> OSError | None:
    """Return the error for which part of the output to `stream` is lost; None where all of it arrived."""
    stream.flush()
    output = getattr(getattr(stream, "buffer", None), "raw", None)
    return output.fault if isinstance(output, _Output) else None


def has_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal with colours, and NO_COLOR is not set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str, stream: TextIO) -> str:
    """Return `text` in a style: a severity's name, "help", "good" or "strong"; unchanged where there are no colours."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if has_colour(stream) else text


def print_error(message: str, help_text: str = "") -> None:
    """Print why a command failed, and the next step, on stderr."""
    print(f"goalmap: {styled('error', 'error', sys.stderr)}: {message}", file=sys.stderr)
    if help_text:
        print(f"  {styled('help', 'help', sys.stderr)}: {help_text}", file=sys.stderr)


def print_note(message: str) -> None:
    """Print a message on stderr."""
    print(message, file=sys.stderr)


def safe_for_terminal(text: str) -> str:
    """Return `text`, of several lines, with control and direction-changing characters as escapes."""
    return "\n".join("\t".join(visible(part) for part in line.split("\t")) for line in text.split("\n"))


def print_text(text: str) -> None:
    """Print a text on stdout: unchanged, but on a terminal with control characters as escapes."""
    print(safe_for_terminal(text) if sys.stdout.isatty() else text)


def command(*arguments: str, root: str = ".") -> str:
    """Return a command of Goalmap's as one types it: `goalmap show 'A & B' --root 'my lib'`.

    `root` is the `--root` to repeat, left out for the current folder. Control characters become escapes, although the
    command then cannot be run: it must be safe to look at.
    """
    words = ["goalmap", *arguments, *([] if root == os.curdir else ["--root", root])]
    return visible(shell_words(words))


def shell_words(words: Sequence[str]) -> str:
    """Return `words` as one command line, quoted for this system's shell where they need it."""
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline(words)
    import shlex

    return shlex.join(words)


def with_root(message: str, root: str) -> str:
    """Return `message` with the commands that it suggests as they are to be typed here: it knows of no `--root`."""
    return re.sub("[`']goalmap (recover|undo)[`']", lambda match: f"`{command(match[1], root=root)}`", message)


@cache
def shown_path(path: str) -> str:
    """Return `path` as messages show it: relative where it is below the current folder."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return visible(path)
    return visible(path if relative == os.pardir or relative.startswith(os.pardir + os.sep) else relative)


def count(number: int, noun: str) -> str:
    """Return `1 goal`, `2 goals`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
