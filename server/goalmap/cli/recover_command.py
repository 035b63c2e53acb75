"""`goalmap recover`: finish interrupted generations; show, keep or discard texts that wait for a review."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from goalmap.cli.console import CliError, command, count, print_error, print_text, with_root
from goalmap.cli.library import add_root, root_of
from goalmap.core.exit_codes import CONFLICT, FAILED, FINE
from goalmap.files.report import Report

if TYPE_CHECKING:
    from goalmap.files.report import Pending


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_root(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--show", action="store_true", help="print the texts that wait for your review")
    what.add_argument("--keep", action="store_true", help="commit the texts that wait for your review")
    what.add_argument("--discard", action="store_true", help="park the texts that wait for your review")


def run(options: argparse.Namespace) -> int:
    """Recover, and print what was done with each record of the journal."""
    from goalmap import workflows

    root = root_of(options.root)
    total = Report()

    def tell(report: Report) -> None:
        total.add(report)
        for message in workflows.describe(report, waiting=True):
            print(with_root(message, options.root), flush=True)

    # On the command line the map on disk is changed, also where an editor was to save it.
    recovered = workflows.recover(root, tell=tell, finish_buffered=True)
    if recovered.exit_code == FAILED:
        raise CliError(recovered.error)
    reviewed = [waiting for waiting in total.pending if waiting.is_reviewed and not waiting.has_owner]
    if reviewed and (options.show or options.keep or options.discard):
        return _review(options, root, reviewed)
    if reviewed:
        show = command("recover", "--show", root=options.root)
        print(f"{count(len(reviewed), 'text')} to review: `{show}` prints, --keep commits, --discard parks.")
    elif total.is_empty:
        print("Nothing was left to recover.")
    return recovered.exit_code


def _review(options: argparse.Namespace, root: str, reviewed: list[Pending]) -> int:
    from goalmap import workflows
    from goalmap.files import recovery
    from goalmap.files.errors import CommitError

    def tell(report: Report) -> None:
        for message in workflows.describe(report):
            print(with_root(message, options.root), flush=True)

    code = FINE
    for waiting in reviewed:
        if options.show:
            print_text(recovery.text_of(root, waiting.tx) or "")
            continue
        try:
            if options.discard:
                recovery.discard(root, waiting.tx, tell=tell)
            elif not recovery.finish(root, waiting.tx, tell=tell):
                code = max(code, CONFLICT)
        except CommitError as error:
            print_error(with_root(str(error), options.root))  # and go on with the others
            code = max(code, error.exit_code)
    return code
