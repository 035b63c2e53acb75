"""The command `goalmap`: parse the arguments and run one command.

Only that command's module is imported, so that no command waits for the imports of another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from goalmap import __version__
from goalmap.cli.console import CliError, drop_rest, fault_of, output, print_error, print_note, styled, with_root
from goalmap.core.exit_codes import FAILED, INTERRUPTED
from goalmap.core.text import visible

if TYPE_CHECKING:
    import argparse

COMMANDS: Final = {
    "check": "find what is wrong with a library",
    "list": "list the goals of a library",
    "show": "print the prompt of a goal",
    "build": "write the prompt of a goal as a pair of files",
    "generate": "have a model write a missing component",
    "undo": "undo the last generation",
    "recover": "finish an interrupted generation",
    "init": "start a library",
    "schema": "print the JSON schema of goal_map.json",
    "doctor": "show what Goalmap finds on this machine",
    "model": "manage the local model",
    "lsp": "run the language server",
}
# The exit code of these says what became of the work; that of the others also whether all output was written.
_CHANGING: Final = frozenset({"build", "generate", "undo", "recover", "init", "model"})


def parser_of_all() -> argparse.ArgumentParser:
    """Return the parser of what may stand in place of a command: `--help`, `--version`, and what is none."""
    top = _parser("goalmap", "Libraries of prompts: check them, assemble prompts from them, and fill their gaps.")
    top.epilog = "Run 'goalmap COMMAND --help' for a command's options."
    top.add_argument("--version", action="version", version=f"goalmap {__version__}", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, prog=top.prog)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary)
    return top


def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser of one command, whose `run` is the command. The parsers of all would take ten times as long."""
    from importlib import import_module

    summary = COMMANDS[command]
    module = import_module(f"goalmap.cli.{command}_command")
    parser = _parser(f"goalmap {command}", f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=module.run)
    module.configure(parser)
    return parser


def _parser(prog: str, description: str) -> argparse.ArgumentParser:
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            super().error(visible(message))  # it repeats what was typed, or pasted

    return Parser(prog=prog, description=description)


def _run_without_options(arguments: list[str]) -> int | None:
    """Run a command that has no options, as editors, hooks and scripts start most; None where it may have some.

    argparse would be a sixth of all that `goalmap check` does on a small library.
    """
    match arguments:
        case ["lsp"] | ["lsp", "--stdio"]:
            from goalmap.cli.lsp_command import serve

            return serve()
        case ["check"] | ["check", _] if not arguments[-1].startswith("-"):
            from goalmap.cli.check_command import check

            return check(*arguments[1:])
        case ["show", goal] if not goal.startswith("-"):
            from goalmap.cli.show_command import show

            return show(goal)
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with output():
        return _code_after_output(_run(arguments), arguments)


def _run(arguments: list[str]) -> int:
    root = os.curdir
    try:
        code = _run_without_options(arguments)
        if code is not None:
            return code
        command, *rest = arguments or [""]
        if command not in COMMANDS:
            command, rest = parser_of_all().parse_args(arguments).command, []
        options = parser_of(command).parse_args(rest)
        root = getattr(options, "root", root)
        return int(options.run(options))
    except CliError as error:
        print_error(with_root(str(error), root), error.help)
        return error.exit_code
    except KeyboardInterrupt:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one must not interrupt the message
        drop_rest(sys.stdout)
        print_error("interrupted")
        return INTERRUPTED


def _command(arguments: list[str]) -> str | None:
    return next((argument for argument in arguments if not argument.startswith("-")), None)


def _code_after_output(code: int, arguments: list[str]) -> int:
    """Return the exit code of a command that ended with `code`, after a look at whether its output arrived."""
    fault = fault_of(sys.stdout)
    if fault is None:
        return code
    is_unread = isinstance(fault, BrokenPipeError)  # the reader has seen enough: `goalmap list | head`
    if _command(arguments) in _CHANGING:
        if not is_unread:
            print_note(f"goalmap: {styled('warning', 'warning', sys.stderr)}: the output is lost: {fault.strerror}")
        return code  # what was done is done, whether or not anybody could read of it
    if not is_unread:
        print_error(f"the output is incomplete: {fault.strerror}")
    return code or FAILED
