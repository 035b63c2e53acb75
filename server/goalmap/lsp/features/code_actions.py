"""`textDocument/codeAction`: the quick fixes, that for a missing component first.

Clients that cannot ask for a line of text (no `experimental.interactiveResolve`) get two fixes that need no question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Final

from goalmap.core.edits import (
    Edit,
    EditError,
    add_reference,
    insert_member,
    reference_edit,
    remove_reference,
    rename_key,
)
from goalmap.core.goal_map import Goal, GoalPath, Reference
from goalmap.core.naming import (
    COMPONENTS,
    TEMPLATE_SLOT,
    unsafe_reason,
    unsafe_slot_reason,
)
from goalmap.core.near_names import near_names
from goalmap.core.problems import Problem, near_files
from goalmap.core.text import Span, visible
from goalmap.core.usage import unused_problem
from goalmap.lsp.command_names import CANCEL, CREATE_EMPTY, DISCARD, FINISH, GENERATE, GENERATE_ALL, REVIEW
from goalmap.lsp.documents import Document
from goalmap.lsp.enums import CodeActionKind
from goalmap.lsp.generation.arguments import missing_component
from goalmap.lsp.generation.missing import PLACEHOLDER, autogen_target, described_in_map, guess
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.positions import START_OF_FILE, Positions
from goalmap.lsp.session import Session
from goalmap.lsp.workspace_edits import document_edit, map_edit

if TYPE_CHECKING:
    from goalmap.core.naming import Naming
    from goalmap.lsp.extensions import (
        CancelGeneration,
        CreateEmpty,
        GenerateAll,
        GenerateComponent,
        InterruptedGeneration,
    )
    from goalmap.lsp.types import (
        CodeAction,
        CodeActionParams,
        CreateFile,
        DeleteFile,
        Diagnostic,
        Range,
        WorkspaceEdit,
    )

FIX_ALL_KIND: Final = "source.fixAll.goalmap"
_MAX_SHOWN: Final = 60
_MAX_ROOMS: Final = 5


def code_actions(session: Session, params: CodeActionParams) -> list[CodeAction] | None:
    """Return the fixes for what is wrong in a range."""
    uri = params["textDocument"]["uri"]
    document = session.document(uri)
    library = session.library_at(uri)
    if document is None or library is None:
        return None
    only = params["context"].get("only")
    if library.document is not document:
        path = library.relative(document.path or "")
        if path is None or not _wanted(CodeActionKind.QUICK_FIX, only):
            return None
        return [*_for_component(session, library, path), *_for_template(session, library, path, document, params)]
    positions = session.map_positions(library)
    first, last = positions.place(params["range"]["start"]), positions.place(params["range"]["end"])
    fixes = _Fixes(session, library, positions)
    actions: list[CodeAction] = []
    if _wanted(CodeActionKind.QUICK_FIX, only):
        for span, problem in library.problems.between(first[0], last[0]):
            if (span.line, span.start) <= last and (span.line, span.end) >= first:
                actions += fixes.of(span, problem)
        actions += fixes.of_interrupted(first[0], last[0])
    if _wanted(FIX_ALL_KIND, only) and (edits := fixes.all_safe()):
        title = "Fix all that has one safe fix"
        actions.append({"title": title, "kind": FIX_ALL_KIND, "edit": map_edit(session, library, edits)})
    return actions


def _wanted(kind: str, only: Sequence[str] | None) -> bool:
    return not only or any(kind == asked or kind.startswith(f"{asked}.") for asked in only)


class _Fixes:
    """The fixes for problems in one map."""

    def __init__(self, session: Session, library: LibraryState, positions: Positions) -> None:
        self.session = session
        self.library = library
        self.positions = positions

    def of(self, span: Span, problem: Problem) -> Iterator[CodeAction]:
        """Yield the fixes for one problem, the best first."""
        reference = problem.reference
        fixes: Iterable[CodeAction] = ()
        if problem.code == "component.missing" and reference:
            fixes = self.missing(reference, problem)
        elif problem.code == "component.case-mismatch" and reference and problem.target:
            fixes = [self.use(reference, self.file_of(reference, problem.target), preferred=True)]
        elif (problem.code in ("reference.duplicate", "reference.unsafe") and reference) or (
            problem.code == "component.unreadable" and reference
        ):
            fixes = [self.remove(reference)]
        elif problem.code == "slot.unknown":
            fixes = self.unknown_slot(span)
        diagnostic = _diagnostic(self.positions.range(span), problem)
        for fix in fixes:
            yield {**fix, "kind": CodeActionKind.QUICK_FIX, "diagnostics": [diagnostic]}

    # -- a missing component ------------------------------------------------------------------------------------------
    def missing(self, reference: Reference, problem: Problem) -> Iterator[CodeAction]:
        running = self.session.job_for(self.library, reference)
        if running is not None:
            others = sum(job == running for job in self.session.jobs.values()) - 1
            title = f"Stop generating {visible(reference.file)}" + (f" and {others} more" if others else "")
            argument: CancelGeneration = {"job": running}
            yield _command(title, CANCEL, argument)
            return
        if _can_generate(reference):
            yield from self.generate(reference)
        for name in near_files(problem, self.library.snapshot):
            yield self.use(reference, name)
        if reference.file and unsafe_reason(reference.file) is None:
            path = self.library.snapshot.path(reference.slot, reference.file)
            yield self.create_empty(path)
        yield self.remove(reference)
        yield from self.generate_all(reference)

    def generate_all(self, reference: Reference) -> Iterator[CodeAction]:
        """Yield the fixes for more than one missing component: for those of the goal, and for those of the map."""
        in_goal, in_map = self.missing_by_goal[reference.goal], self.missing_by_goal.total()
        argument: GenerateAll = {"uri": self.library.map_uri}
        how = "…"
        if not self.session.client.asks_for_strings:
            argument["guess"] = True
            how = " as the map and their names say"
        if in_goal > 1:
            title = f"Generate all {in_goal} missing components of {visible(reference.goal[-1])}{how}"
            yield _command(title, GENERATE_ALL, {**argument, "goal": list(reference.goal)})
        if in_map > max(in_goal, 1):
            title = f"Generate all {in_map} missing components of the map{how}"
            yield _command(title, GENERATE_ALL, argument)

    def generate(self, reference: Reference) -> Iterator[CodeAction]:
        library = self.library
        folder = library.snapshot.folder(reference.slot)
        target = f"new file {folder}/{autogen_target(library, reference)}"
        name = visible(reference.file) or "…"
        own = bool(reference.file) and unsafe_reason(reference.file) is None
        naming = self.session.settings.generation.naming if own else "autogen"
        if self.session.client.asks_for_strings:
            title = f"Generate missing component {name}… ({target})"
            yield self.generate_as(title, reference, "autogen", preferred=naming == "autogen")
            if own:
                title = f"Generate {name} under its own name… ({folder}/{name})"
                yield self.generate_as(title, reference, "referenced", preferred=naming == "referenced")
            return
        if naming == "referenced":
            target = f"{folder}/{name}"
        described = described_in_map(library, reference)
        if described:
            title = f"Generate {name} as «{_short(described)}» (from the map; {target})"
            yield self.generate_as(title, reference, naming, description=described)
            return
        guessed = guess(library, reference)
        title = f"Generate {name} as «{_short(guessed)}» ({target})"
        yield self.generate_as(title, reference, naming, description=guessed)
        goal = library.goal_map.goal(reference.goal)
        if goal is not None:
            key = f"{reference.slot}$description"
            edit = insert_member(library.goal_map, goal, key, PLACEHOLDER, before=reference.slot)
            yield {"title": f"Describe {name} in the map first", "edit": self.edit([edit])}

    def generate_as(
        self,
        title: str,
        reference: Reference,
        naming: Naming,
        *,
        description: str | None = None,
        preferred: bool = True,
    ) -> CodeAction:
        component = missing_component(reference, description=description)
        argument: GenerateComponent = {"uri": self.library.map_uri, **component, "naming": naming}
        return {**_command(title, GENERATE, argument), "isPreferred": preferred}

    @cached_property
    def missing_by_goal(self) -> Counter[GoalPath]:
        """How many components each goal lacks that could be generated."""
        return Counter(
            problem.reference.goal
            for _, found in self.library.problems.lines()
            for problem in found
            if problem.code == "component.missing" and problem.reference and _can_generate(problem.reference)
        )

    def create_empty(self, path: str) -> CodeAction:
        title = f"Create empty {visible(path)}"
        if self.session.client.creates_files:
            creation: CreateFile = {
                "kind": "create",
                "uri": self.library.uri(path),
                "options": {"ignoreIfExists": True},
            }
            return {"title": title, "edit": {"documentChanges": [creation]}}
        argument: CreateEmpty = {"uri": self.library.map_uri, "path": path}
        return _command(title, CREATE_EMPTY, argument)

    # -- others -------------------------------------------------------------------------------------------------------
    def use(self, reference: Reference, name: str, *, preferred: bool = False) -> CodeAction:
        edit = reference_edit(self.library.goal_map, reference, name)
        return {"title": f"Use {visible(name)} instead", "edit": self.edit([edit]), "isPreferred": preferred}

    def remove(self, reference: Reference) -> CodeAction:
        try:
            edits = remove_reference(self.library.goal_map, reference)
        except EditError:
            edits = []
        return {"title": f"Remove the reference to {visible(reference.file)}", "edit": self.edit(edits)}

    def unknown_slot(self, span: Span) -> Iterator[CodeAction]:
        goal = self.library.goal_map.goal_at(span.line, span.start)
        slot = next((slot for slot in goal.slots.values() if slot.key_span == span), None) if goal else None
        if goal is None or slot is None:
            return
        names = [folder.removesuffix("s") for folder in self.library.snapshot.slot_folders() if folder != "templates"]
        for name in near_names(slot.name, [name for name in names if name not in goal.slots], limit=1):
            edit = rename_key(self.library.goal_map, span, name)
            yield {"title": f"Rename the slot to {visible(name)}", "edit": self.edit([edit])}

    def of_interrupted(self, first_line: int, last_line: int) -> Iterator[CodeAction]:
        for waiting in self.session.pending(self.library):
            goal = self.library.goal_map.goal(waiting.goal)
            line = goal.first_line if goal else 0
            if first_line <= (goal.last_line if goal else 0) and line <= last_line:
                argument: InterruptedGeneration = {"uri": self.library.map_uri, "tx": waiting.tx}
                name = visible("/".join((*waiting.goal, waiting.slot)))
                if waiting.is_reviewed:
                    fix = _command(f"Review the text for {name}…", REVIEW, argument)
                    yield {**fix, "kind": CodeActionKind.QUICK_FIX, "isPreferred": True}
                    fix = _command(f"Keep the text for {name}", FINISH, argument)
                    yield {**fix, "kind": CodeActionKind.QUICK_FIX}
                else:
                    fix = _command(f"Finish the interrupted generation of {name}", FINISH, argument)
                    yield {**fix, "kind": CodeActionKind.QUICK_FIX, "isPreferred": True}
                if waiting.kind == "generate":
                    fix = _command(f"Discard the text for {name} (it is parked)", DISCARD, argument)
                    yield {**fix, "kind": CodeActionKind.QUICK_FIX}

    def all_safe(self) -> list[Edit]:
        """Return the edits for all problems that have one obvious fix: another spelling, and a file named twice."""
        edits: list[Edit] = []
        for problem in (problem for _, found in self.library.problems.lines() for problem in found):
            if problem.code == "component.case-mismatch" and problem.reference and problem.target:
                name = self.file_of(problem.reference, problem.target)
                edits.append(reference_edit(self.library.goal_map, problem.reference, name))
            elif problem.code == "reference.duplicate" and problem.reference:
                removal = remove_reference(self.library.goal_map, problem.reference)
                # Neighbours that go both would both take the comma between them: one now, the other the next time.
                if not any(_overlap(edit, other) for edit in removal for other in edits):
                    edits += removal
        return edits

    # -- building -----------------------------------------------------------------------------------------------------
    def file_of(self, reference: Reference, path: str) -> str:
        return path.removeprefix(f"{self.library.snapshot.folder(reference.slot)}/")

    def edit(self, edits: list[Edit]) -> WorkspaceEdit:
        return map_edit(self.session, self.library, edits)


def _command(title: str, command: str, argument: object) -> CodeAction:
    return {"title": title, "command": {"title": title, "command": command, "arguments": [argument]}}


def _diagnostic(range_: Range, problem: Problem) -> Diagnostic:
    return {"range": range_, "code": problem.code, "source": "goalmap", "message": problem.message}


def _can_generate(reference: Reference) -> bool:
    return reference.slot != TEMPLATE_SLOT and unsafe_slot_reason(reference.slot) is None


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start < other.end and other.start < one.end


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 1]}…"


def _for_component(session: Session, library: LibraryState, path: str) -> Iterator[CodeAction]:
    """Yield the fixes for a component that no goal names: name it in a goal that has room for it, or delete it."""
    if path not in library.snapshot.files or library.users_of(path):
        return
    diagnostic = _diagnostic(START_OF_FILE, unused_problem(path))
    for goal, edit in islice(_rooms_for(library, path), _MAX_ROOMS):
        yield {
            "title": f"Add to {visible('/'.join(goal.path))}",
            "kind": CodeActionKind.QUICK_FIX,
            "diagnostics": [diagnostic],
            "edit": map_edit(session, library, [edit]),
        }
    if session.client.deletes_files:
        deletion: DeleteFile = {"kind": "delete", "uri": library.uri(path)}
        yield {
            "title": f"Delete {visible(path)}",
            "kind": CodeActionKind.QUICK_FIX,
            "diagnostics": [diagnostic],
            "edit": {"documentChanges": [deletion]},
        }


def _rooms_for(library: LibraryState, path: str) -> Iterator[tuple[Goal, Edit]]:
    """Yield the goals that could name a component, with the edit: those whose list takes it, then those without one."""
    _, name, file = path.split("/", 2)
    goals = library.goal_map.goals
    used = {slot for goal in goals for slot in goal.slots if library.snapshot.folder(slot) == f"{COMPONENTS}/{name}"}
    slot = min(used, default=name.removesuffix("s"))
    for goal in sorted(goals, key=lambda goal: slot not in goal.slots):
        with suppress(EditError):
            yield goal, add_reference(library.goal_map, goal, slot, file)


def _for_template(
    session: Session, library: LibraryState, path: str, document: Document, params: CodeActionParams
) -> Iterator[CodeAction]:
    """Yield the fixes for names that a template's goals do not have: names like them, which all of these goals have."""
    users = [reference.goal for reference in library.users_of(path) if reference.slot == TEMPLATE_SLOT]
    goals = [goal for goal in map(library.goal_map.goal, users) if goal]
    if not goals:
        return
    from goalmap.core.assembly import variable_names
    from goalmap.core.templates import template_problems

    positions = session.positions(document.lines)
    first, last = positions.place(params["range"]["start"]), positions.place(params["range"]["end"])
    known = sorted(set.intersection(*map(variable_names, goals)))
    fixed: set[Span] = set()
    for span, problem in template_problems(document.text, goals):
        is_here = (span.line, span.start) <= last and (span.line, span.end) >= first
        if problem.code != "template.unknown-variable" or not is_here or span in fixed:
            continue
        fixed.add(span)
        range_ = positions.range(span)
        for name in near_names(document.lines[span.line][span.start : span.end], known):
            yield {
                "title": f"Use {name} instead",
                "kind": CodeActionKind.QUICK_FIX,
                "diagnostics": [_diagnostic(range_, problem)],
                "edit": document_edit(session, document.uri, document.version, [{"range": range_, "newText": name}]),
            }
