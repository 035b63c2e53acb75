"""`goalmap generate`: have a model write a missing component, and commit it."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from goalmap.cli.console import (
    CliError,
    command,
    fault_of,
    print_note,
    print_text,
    safe_for_terminal,
    shell_words,
    shown_path,
    styled,
    with_root,
)
from goalmap.cli.library import Opened, add_root, find_goal, open_library, warn_of_syntax
from goalmap.cli.library_report import print_reports
from goalmap.core.exit_codes import FAILED, FINE, INTERRUPTED
from goalmap.core.goal_map import Goal, Reference
from goalmap.core.naming import NAMINGS, TEMPLATE_SLOT, component_type
from goalmap.core.text import visible
from goalmap.generation.prompt import guess_description, messages, validate_description

if TYPE_CHECKING:
    from goalmap import workflows
    from goalmap.files.report import Place
    from goalmap.generation.model_settings import ModelSettings

_AT_ONCE: Final = 1  # the text is printed as it is written: two at once could not be told apart


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "goal", metavar="GOAL", nargs="?", help="a goal's name, or its path joined by / where that is ambiguous"
    )
    parser.add_argument("slot", metavar="SLOT", nargs="?", help="the slot whose component is missing")
    parser.add_argument("--index", metavar="N", type=int, help="which of a list's components, counting from 0")
    add_root(parser)
    parser.add_argument("--description", metavar="TEXT", help="what the component is to be, in one line")
    parser.add_argument(
        "--naming",
        choices=NAMINGS,
        default=NAMINGS[0],
        help="autogen: a new file, and the map is changed to name it; referenced: the file that the map names now "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--all", action="store_true", help="everything that is missing in SLOT, in GOAL, or in the whole map"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be sent and written, and do neither")
    parser.set_defaults(fail_usage=parser.error)


def run(options: argparse.Namespace) -> int:
    """Generate one component, or all that are missing."""
    if not options.all and (options.goal is None or options.slot is None):
        options.fail_usage("name GOAL and SLOT, or give --all")
    if options.all and options.index is not None:
        options.fail_usage("--index names one component, and --all means every one")
    opened = open_library(options.root)
    warn_of_syntax(opened)
    references = _references(opened, options)
    if not references:
        print("Nothing is missing.")
        return FINE
    return _Run(opened, options).run(references)


# -- what to generate ------------------------------------------------------------------------------------------------
def _references(opened: Opened, options: argparse.Namespace) -> list[tuple[Reference, tuple[Place, ...]]]:
    """Return what is to be generated: each component by its first reference, with the other places that name it."""
    from goalmap.workflows import missing_references, shared_references

    goals = [find_goal(opened, options.goal)] if options.goal is not None else opened.goal_map.goals
    if options.slot is not None:
        _check_slot(goals[0], options.slot, options.root)
    if options.all:
        library = opened.load()
        missing = missing_references(goals, library)
        chosen = [reference for reference in missing if options.slot in (None, reference.slot)]
        return shared_references(chosen, library)
    return [(_one_reference(opened, goals[0], options.slot, options.index), ())]


def _check_slot(goal: Goal, slot: str, root: str) -> None:
    if slot == TEMPLATE_SLOT:
        raise CliError(
            "a template is written by hand",
            help=f"to see the prompt without one: {command('show', '/'.join(goal.path), root=root)}",
        )
    if slot not in goal.slots:
        slots = ", ".join(visible(name) for name in goal.slots) or "none yet"
        raise CliError(f"{visible(goal.name)} has no slot {visible(slot)}", help=f"its slots: {slots}")


def _one_reference(opened: Opened, goal: Goal, slot: str, index: int | None) -> Reference:
    library = opened.load()
    references = goal.slots[slot].references
    name = f"{visible(goal.name)}, {visible(slot)}"
    missing = [reference for reference in references if not library.has(slot, reference.file)]
    shown = [] if opened.asked_root == os.curdir else [opened.asked_root]
    if index is not None:
        chosen = [reference for reference in references if reference.index == index]
        if not chosen:
            last = len(references) - 1
            what = f"a list with the indices 0 to {last}" if goal.slots[slot].is_list else "no list: leave out --index"
            raise CliError(f"{name} has no index {index}", help=f"it is {what}")
    else:
        chosen = missing if len(references) > 1 else list(references)
    if not chosen:
        raise CliError(f"{name} has no missing component", help=f"to see what is missing: {command('check', *shown)}")
    if len(chosen) > 1:
        which = ", ".join(f"{reference.index} ({visible(reference.file)})" for reference in chosen)
        raise CliError(
            f"{name} has {len(chosen)} missing components", help=f"say which by --index, or give --all: {which}"
        )
    path = library.path(slot, chosen[0].file)
    if library.has(slot, chosen[0].file):
        raise CliError(f"{visible(path)} exists: there is nothing to generate", help="undo or delete it first")
    return chosen[0]


# -- generate --------------------------------------------------------------------------------------------------------
@dataclass
class _Run:
    """One call of the command."""

    opened: Opened
    options: argparse.Namespace
    worst: int | None = None  # the highest exit code so far

    def run(self, references: list[tuple[Reference, tuple[Place, ...]]]) -> int:
        from goalmap.settings import DEFAULTS

        model = DEFAULTS.model_settings(os.environ)
        among = len(references)
        job = uuid.uuid4().hex if among > 1 else ""
        described = [(*found, self.description(found[0], among=among)) for found in references]
        requests = [
            self.request(reference, others, description, job)
            for reference, others, description in described
            if description
        ]
        if not requests:
            _abort()
        if self.options.dry_run:
            for request in requests:
                self.show(request, model)
            return FINE
        return self.run_interruptibly(self.generate(requests, model, skipped=among - len(requests)))

    def run_interruptibly(self, work: Coroutine[Any, Any, int]) -> int:
        """Run `work`, cancel it on Ctrl-C, and return its exit code.

        It is cancelled only once: a second Ctrl-C must not interrupt the closing of the connection and the parking of
        the text.
        """
        is_interrupted = False

        async def watched() -> int:
            loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

            def interrupt(*_: object) -> None:
                nonlocal is_interrupted
                if not is_interrupted:
                    is_interrupted = True
                    loop.call_soon_threadsafe(task.cancel)

            before = signal.getsignal(signal.SIGINT)
            if before is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, interrupt)
            try:
                return await task
            except asyncio.CancelledError:
                return INTERRUPTED if self.worst is None else self.worst
            finally:
                # After a Ctrl-C the rest, printing the outcome, is not interrupted by another one.
                signal.signal(signal.SIGINT, signal.SIG_IGN if is_interrupted else before)

        return asyncio.run(watched())

    def request(
        self, reference: Reference, others: tuple[Place, ...], description: str, job: str
    ) -> workflows.GenerateRequest:
        from goalmap.workflows import GenerateRequest

        return GenerateRequest(
            map_path=self.opened.map_path,
            goal=reference.goal,
            slot=reference.slot,
            index=reference.index,
            file=reference.file,
            description=description,
            naming=self.options.naming,
            others=others,
            job=job,
        )

    async def generate(self, requests: list[workflows.GenerateRequest], model: ModelSettings, *, skipped: int) -> int:
        from goalmap import workflows
        from goalmap.generation.local import LocalModel

        async with LocalModel() as local:

            async def one(request: workflows.GenerateRequest) -> workflows.Outcome:
                name = f"{'/'.join(request.goal)}, {request.slot}"
                print_note(styled(f"{visible(name)}: {visible(request.description)}", "strong", sys.stderr))
                outcome = await workflows.generate(
                    request,
                    settings=model,
                    local=local,
                    reporter=_Progress(),
                    neighbours=self.neighbours(),
                    tell=print_reports(self.options.root),
                )
                self.worst = max(self.worst or FINE, outcome.exit_code)
                _report(outcome, self.options.root)
                return outcome

            if len(requests) == 1 and not skipped:
                outcome = await one(requests[0])
                if outcome.kind == "committed":
                    print_note(f"To undo: {command('undo', root=self.options.root)}")
                return outcome.exit_code
            summary = await workflows.generate_all(requests, one, at_once=_AT_ONCE)
            print_note(f"{replace(summary, skipped=skipped).message}.")
            return summary.exit_code

    def neighbours(self) -> workflows.Neighbours:
        """Return the library as it is on disk now, with the components that this run has committed."""
        from goalmap.workflows import Neighbours

        opened = open_library(self.opened.root)
        return Neighbours(opened.goal_map, opened.load(), opened.read)

    # -- the description
    def description(self, reference: Reference, *, among: int) -> str:
        """Return the description from `--description`, from the map, or from the terminal.

        It is empty where the user leaves out one of several.
        """
        goal = self.opened.goal_map.goal(reference.goal)
        given = self.options.description
        if given is None and goal is not None:
            given = goal.text(f"{reference.slot}$description")
        if given is not None:
            problem = validate_description(given)
            if problem:
                raise CliError(problem, help="nothing was generated")
            return str(given)
        what = f"the {component_type(reference.slot).replace('_', ' ')} of {'/'.join(reference.goal)}"
        if among > 1:
            what += f" ({reference.file})"
        guess = guess_description(reference.file, reference.goal)
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            option = visible(shell_words(["--description", guess]))
            raise CliError(
                f"a description of {visible(what)} is missing",
                help=f'give one: {option}, or put "{visible(reference.slot)}$description" into the map',
            )
        return _ask(what, guess, may_skip=among > 1)

    # -- --dry-run
    def show(self, request: workflows.GenerateRequest, model: ModelSettings) -> None:
        from goalmap.core.tokens import estimate_tokens
        from goalmap.workflows import make_brief, planned_file

        neighbours = self.neighbours()
        file = planned_file(request, neighbours)
        sent = messages(make_brief(request, neighbours, file=file))
        place = f"{'/'.join(request.goal)}, {request.slot}" + ("" if request.index is None else f"[{request.index}]")
        print(f"would write   {visible(neighbours.library.path(request.slot, file))}")
        if file != request.file:
            map_path = shown_path(self.opened.map_path)
            print(f"would change  {map_path}: {visible(place)}: {visible(request.file)} → {visible(file)}")
        print(f"would ask     {_model_name(model)}")
        print(f"would send    ≈ {sum(estimate_tokens(message['content']).number for message in sent)} tokens:")
        for message in sent:
            print(f"\n--- {message['role']}")
            print_text(message["content"])


def _model_name(model: ModelSettings) -> str:
    if not model.is_configured:
        return "the local model"
    return f"{visible(model.name)} at {visible(model.address)}" if model.name else visible(model.address)


def _ask(what: str, example: str, *, may_skip: bool) -> str:
    """Return a description typed at the terminal; raise CliError where it is empty unless it may be skipped."""
    print_note(
        f"Describe {visible(what)} in one line, for example: {visible(example)}"
        + (" (Enter alone leaves it out)" if may_skip else "")
    )
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if may_skip and answer and not answer.strip():
            return ""
        if not answer.strip():
            print_note("")
            _abort()
        problem = validate_description(answer.strip())
        if problem is None:
            return answer.strip()
        print_note(problem)


def _abort() -> NoReturn:
    raise CliError("no description, so nothing was generated", exit_code=FAILED)


class _Progress:
    """Shows on stderr what the model writes, as it writes."""

    def chunk(self, text: str) -> None:
        print(safe_for_terminal(text), end="", file=sys.stderr, flush=True)

    def restarted(self) -> None:
        print_note("\nReply rejected; asking once more …")


def _report(outcome: workflows.Outcome, root: str) -> None:
    """Print on stdout what was committed, and on stderr what was not."""
    print_note("")
    for note in outcome.notes:
        print_note(f"{styled('note', 'help', sys.stderr)}: {with_root(note, root)}")
    if outcome.exit_code == FINE:
        print(outcome.message, flush=True)
        return
    style = "warning" if outcome.exit_code == INTERRUPTED else "error"
    print_note(f"goalmap: {styled(style, style, sys.stderr)}: {with_root(outcome.message, root)}")
    if outcome.text is not None:
        print(outcome.text)
        if fault_of(sys.stdout) is not None:
            print_note(outcome.text)
