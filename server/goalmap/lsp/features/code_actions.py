"""`textDocument/codeAction`: the quick fixes, that for a missing component first.

Clients that cannot ask for a line of text (no `experimental.interactiveResolve`) get two fixes that need no question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property, partial
from itertools import islice
from typing import Any, Final

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
from goalmap.core.library import near_names
from goalmap.core.naming import (
    COMPONENTS,
    TEMPLATE_SLOT,
    autogen_file,
    same_for_some_systems,
    unsafe_reason,
    unsafe_slot_reason,
)
from goalmap.core.problems import Problem, near_files
from goalmap.core.text import Span, visible
from goalmap.core.usage import names_with, unused_problem
from goalmap.lsp.convert import START_OF_FILE, Positions
from goalmap.lsp.documents import Document
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.session import Session

GENERATE: Final = "goalmap.generateComponent"
GENERATE_ALL: Final = "goalmap.generateAll"
CANCEL: Final = "goalmap.cancelGeneration"
CREATE_EMPTY: Final = "goalmap.createEmpty"
FINISH: Final = "goalmap.finishGeneration"
DISCARD: Final = "goalmap.discardGeneration"
REVIEW: Final = "goalmap.reviewGeneration"

FIX_ALL_KIND: Final = "source.fixAll.goalmap"
PLACEHOLDER: Final = "TODO: what this component is for, in one line"
_MAX_SHOWN: Final = 60
_MAX_ROOMS: Final = 5

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this feature."""
    options = {"codeActionKinds": ["quickfix", FIX_ALL_KIND], "resolveProvider": False}
    server.request("textDocument/codeAction", {"codeActionProvider": options})(
        session.answering(partial(code_actions, session))
    )


def code_actions(session: Session, params: Json) -> Any:
    """Return the fixes for what is wrong in a range."""
    uri = params["textDocument"]["uri"]
    document = session.document(uri)
    library = session.library_at(uri)
    if document is None or library is None:
        return None
    only = (params.get("context") or {}).get("only")
    if library.document is not document:
        path = library.relative(document.path or "")
        if path is None or not _wanted("quickfix", only):
            return None
        return [*_for_component(session, library, path), *_for_template(session, library, path, document, params)]
    positions = session.map_positions(library)
    first, last = positions.place(params["range"]["start"]), positions.place(params["range"]["end"])
    fixes = _Fixes(session, library, positions)
    found: list[Json] = []
    if _wanted("quickfix", only):
        for span, problem in library.problems.between(first[0], last[0]):
            if (span.line, span.start) <= last and (span.line, span.end) >= first:
                found += fixes.of(span, problem)
        found += fixes.of_interrupted(first[0], last[0])
    if _wanted(FIX_ALL_KIND, only) and (edits := fixes.all_safe()):
        found.append(
            {"title": "Fix all that has one safe fix", "kind": FIX_ALL_KIND, "edit": fixes.workspace_edit(edits)}
        )
    return found


def _wanted(kind: str, only: list[str] | None) -> bool:
    return not only or any(kind == asked or kind.startswith(f"{asked}.") for asked in only)


def can_ask(session: Session) -> bool:
    """Whether the client can put a question of ours to the user and resolve the command with the answer."""
    return "string" in session.server.client_list("experimental.interactiveResolve.inputTypes")


def autogen_target(library: OpenLibrary, reference: Reference) -> str:
    """Return the file name that a component generated for `reference` will get, as far as can be known now."""
    folder = library.library.folders.get(library.library.folder(reference.slot))
    taken = {same_for_some_systems(file) for file in folder.files} if folder else set()
    named = {same_for_some_systems(name) for name in names_with(library.goal_map, "autogen_")}
    return autogen_file(reference.slot, reference.goal[-1], lambda name: same_for_some_systems(name) in taken | named)


def guess(library: OpenLibrary, reference: Reference) -> str:
    """Return what to describe a missing component as when nobody says."""
    from goalmap.generation.prompt import guess_description

    goal = library.goal_map.goal(reference.goal)
    described = described_in_map(goal, reference.slot) if goal else None
    return described or guess_description(reference.file, reference.goal)


def described_in_map(goal: Goal, slot: str) -> str | None:
    """Return what `"<slot>$description"` says; None where it is missing or still the placeholder."""
    text = goal.text(f"{slot}$description")
    return text.strip() if text and text.strip() and text != PLACEHOLDER else None


def missing_in(session: Session, library: OpenLibrary, goal: GoalPath | None = None) -> list[Reference]:
    """Return what a goal, or the whole map, lacks and nobody is generating, in map order."""
    from goalmap.workflows import missing_references

    session.look(library)
    goals = [one for one in library.goal_map.goals if goal in (None, one.path)]
    found = missing_references(goals, library.library)
    return [reference for reference in found if session.job_for(library, reference) is None]


def generate_arguments(library: OpenLibrary, reference: Reference, naming: str, **more: str) -> list[Json]:
    """Return the arguments of the command that generates a component for `reference`."""
    return [
        {
            "uri": library.map_uri,
            "goal": list(reference.goal),
            "slot": reference.slot,
            "index": reference.index,
            "file": reference.file,
            "naming": naming,
            **more,
        }
    ]


class _Fixes:
    """The fixes for findings in one map."""

    def __init__(self, session: Session, library: OpenLibrary, positions: Positions) -> None:
        self.session = session
        self.library = library
        self.positions = positions

    def of(self, span: Span, problem: Problem) -> Iterator[Json]:
        """Yield the fixes for one finding, the best first."""
        reference = problem.reference
        fixes: Iterator[Json] = iter(())
        if problem.code == "component.missing" and reference:
            fixes = self.missing(reference, problem)
        elif problem.code == "component.case-mismatch" and reference and problem.target:
            fixes = iter([self.use(reference, self.file_of(reference, problem.target), preferred=True)])
        elif (problem.code in ("reference.duplicate", "reference.unsafe") and reference) or (
            problem.code == "component.unreadable" and reference
        ):
            fixes = iter([self.remove(reference)])
        elif problem.code == "slot.unknown":
            fixes = self.unknown_slot(span)
        for fix in fixes:
            yield {**fix, "kind": "quickfix", "diagnostics": [self.diagnostic(span, problem)]}

    def diagnostic(self, span: Span, problem: Problem) -> Json:
        return {
            "range": self.positions.range(span),
            "code": problem.code,
            "source": "goalmap",
            "message": problem.message,
        }

    # -- a missing component ------------------------------------------------------------------------------------------
    def missing(self, reference: Reference, problem: Problem) -> Iterator[Json]:
        running = self.session.job_for(self.library, reference)
        if running is not None:
            others = sum(job == running for job in self.session.jobs.values()) - 1
            title = f"Stop generating {visible(reference.file)}" + (f" and {others} more" if others else "")
            yield self.command(title, CANCEL, [{"job": running}])
            return
        if _can_generate(reference):
            yield from self.generate(reference)
        for name in near_files(problem, self.library.library):
            yield self.use(reference, name)
        if reference.file and unsafe_reason(reference.file) is None:
            path = self.library.library.path(reference.slot, reference.file)
            yield self.create_empty(path)
        yield self.remove(reference)
        yield from self.generate_all(reference)

    def generate_all(self, reference: Reference) -> Iterator[Json]:
        """Yield the fixes for more than one missing component: for those of the goal, and for those of the map."""
        in_goal, in_map = self.missing_by_goal[reference.goal], self.missing_by_goal.total()
        argument: Json = {"uri": self.library.map_uri}
        if not can_ask(self.session):
            argument["guess"] = True
        how = "…" if can_ask(self.session) else " as the map and their names say"
        if in_goal > 1:
            title = f"Generate all {in_goal} missing components of {visible(reference.goal[-1])}{how}"
            yield self.command(title, GENERATE_ALL, [{**argument, "goal": list(reference.goal)}])
        if in_map > max(in_goal, 1):
            title = f"Generate all {in_map} missing components of the map{how}"
            yield self.command(title, GENERATE_ALL, [argument])

    def generate(self, reference: Reference) -> Iterator[Json]:
        library = self.library
        goal = library.goal_map.goal(reference.goal)
        described = described_in_map(goal, reference.slot) if goal else None
        folder = library.library.folder(reference.slot)
        target = f"new file {folder}/{autogen_target(library, reference)}"
        name = visible(reference.file) or "…"
        own = bool(reference.file) and unsafe_reason(reference.file) is None
        naming = self.session.settings.generation.naming if own else "autogen"
        arguments = partial(generate_arguments, library, reference)
        if can_ask(self.session):
            title = f"Generate missing component {name}… ({target})"
            yield self.command(title, GENERATE, arguments("autogen"), isPreferred=naming == "autogen")
            if own:
                title = f"Generate {name} under its own name… ({folder}/{name})"
                yield self.command(title, GENERATE, arguments("referenced"), isPreferred=naming == "referenced")
            return
        if naming == "referenced":
            target = f"{folder}/{name}"
        if described:
            title = f"Generate {name} as «{_short(described)}» (from the map; {target})"
            yield self.command(title, GENERATE, arguments(naming, description=described), isPreferred=True)
        else:
            guessed = guess(library, reference)
            title = f"Generate {name} as «{_short(guessed)}» ({target})"
            yield self.command(title, GENERATE, arguments(naming, description=guessed), isPreferred=True)
            if goal is not None:
                edit = insert_member(
                    library.goal_map, goal, f"{reference.slot}$description", PLACEHOLDER, before=reference.slot
                )
                yield {"title": f"Describe {name} in the map first", "edit": self.workspace_edit([edit])}

    @cached_property
    def missing_by_goal(self) -> Counter[GoalPath]:
        """How many components each goal lacks that could be generated."""
        return Counter(
            problem.reference.goal
            for _, found in self.library.problems.lines()
            for problem in found
            if problem.code == "component.missing" and problem.reference and _can_generate(problem.reference)
        )

    def create_empty(self, path: str) -> Json:
        title = f"Create empty {visible(path)}"
        operations = self.session.server.client_list("workspace.workspaceEdit.resourceOperations")
        if "create" in operations:
            creation = {"kind": "create", "uri": self.library.uri(path), "options": {"ignoreIfExists": True}}
            return {"title": title, "edit": {"documentChanges": [creation]}}
        return self.command(title, CREATE_EMPTY, [{"uri": self.library.map_uri, "path": path}])

    # -- others -------------------------------------------------------------------------------------------------------
    def use(self, reference: Reference, name: str, *, preferred: bool = False) -> Json:
        edit = reference_edit(self.library.goal_map, reference, name)
        return {"title": f"Use {visible(name)} instead", "edit": self.workspace_edit([edit]), "isPreferred": preferred}

    def remove(self, reference: Reference) -> Json:
        try:
            edits = remove_reference(self.library.goal_map, reference)
        except EditError:
            edits = []
        return {"title": f"Remove the reference to {visible(reference.file)}", "edit": self.workspace_edit(edits)}

    def unknown_slot(self, span: Span) -> Iterator[Json]:
        goal = self.library.goal_map.goal_at(span.line, span.start)
        slot = next((slot for slot in goal.slots.values() if slot.key_span == span), None) if goal else None
        if goal is None or slot is None:
            return
        names = [folder.removesuffix("s") for folder in self.library.library.slot_folders() if folder != "templates"]
        for name in near_names(slot.name, [name for name in names if name not in goal.slots], limit=1):
            edit = rename_key(self.library.goal_map, span, name)
            yield {"title": f"Rename the slot to {visible(name)}", "edit": self.workspace_edit([edit])}

    def of_interrupted(self, first_line: int, last_line: int) -> Iterator[Json]:
        for waiting in self.session.pending(self.library):
            goal = self.library.goal_map.goal(waiting.goal)
            line = goal.first_line if goal else 0
            if first_line <= (goal.last_line if goal else 0) and line <= last_line:
                arguments = [{"uri": self.library.map_uri, "tx": waiting.tx}]
                name = visible("/".join((*waiting.goal, waiting.slot)))
                if waiting.is_reviewed:
                    fix = self.command(f"Review the text for {name}…", REVIEW, arguments)
                    yield {**fix, "kind": "quickfix", "isPreferred": True}
                    yield {**self.command(f"Keep the text for {name}", FINISH, arguments), "kind": "quickfix"}
                else:
                    fix = self.command(f"Finish the interrupted generation of {name}", FINISH, arguments)
                    yield {**fix, "kind": "quickfix", "isPreferred": True}
                if waiting.kind == "generate":
                    fix = self.command(f"Discard the text for {name} (it is parked)", DISCARD, arguments)
                    yield {**fix, "kind": "quickfix"}

    def all_safe(self) -> list[Edit]:
        """Return the edits for all findings that have one obvious fix: another spelling, and a file named twice."""
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
        return path.removeprefix(f"{self.library.library.folder(reference.slot)}/")

    def command(self, title: str, command: str, arguments: list[Json], **more: Any) -> Json:
        return {"title": title, "command": {"title": title, "command": command, "arguments": arguments}, **more}

    def workspace_edit(self, edits: list[Edit]) -> Json:
        """Return an edit of the map."""
        document = self.library.document
        version = document.version if document else None
        return _edit_of(self.session, self.library.map_uri, version, [self.positions.edit(edit) for edit in edits])


def _edit_of(session: Session, uri: str, version: int | None, changes: list[Json]) -> Json:
    """Return an edit of a document, for the version that it was made for where the client knows versions."""
    if session.server.client_capability("workspace.workspaceEdit.documentChanges"):
        return {"documentChanges": [{"textDocument": {"uri": uri, "version": version}, "edits": changes}]}
    return {"changes": {uri: changes}}


def _can_generate(reference: Reference) -> bool:
    return reference.slot != TEMPLATE_SLOT and unsafe_slot_reason(reference.slot) is None


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start < other.end and other.start < one.end


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 1]}…"


def _for_component(session: Session, library: OpenLibrary, path: str) -> Iterator[Json]:
    """Yield the fixes for a component that no goal names: name it in a goal that has room for it, or delete it."""
    if path not in library.library.files or library.users_of(path):
        return
    diagnostic = {
        "range": START_OF_FILE,
        "code": "component.unused",
        "source": "goalmap",
        "message": unused_problem(path).message,
    }
    common: Json = {"kind": "quickfix", "diagnostics": [diagnostic]}
    fixes = _Fixes(session, library, session.map_positions(library))
    for goal, edit in islice(_rooms_for(library, path), _MAX_ROOMS):
        title = f"Add to {visible('/'.join(goal.path))}"
        yield {"title": title, **common, "edit": fixes.workspace_edit([edit])}
    if "delete" in session.server.client_list("workspace.workspaceEdit.resourceOperations"):
        deletion = {"documentChanges": [{"kind": "delete", "uri": library.uri(path)}]}
        yield {"title": f"Delete {visible(path)}", **common, "edit": deletion}


def _rooms_for(library: OpenLibrary, path: str) -> Iterator[tuple[Goal, Edit]]:
    """Yield the goals that could name a component, with the edit: those whose list takes it, then those without one."""
    _, name, file = path.split("/", 2)
    goals = library.goal_map.goals
    used = {slot for goal in goals for slot in goal.slots if library.library.folder(slot) == f"{COMPONENTS}/{name}"}
    slot = min(used, default=name.removesuffix("s"))
    for goal in sorted(goals, key=lambda goal: slot not in goal.slots):
        with suppress(EditError):
            yield goal, add_reference(library.goal_map, goal, slot, file)


def _for_template(
    session: Session, library: OpenLibrary, path: str, document: Document, params: Json
) -> Iterator[Json]:
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
        diagnostic = {
            "range": positions.range(span),
            "code": problem.code,
            "source": "goalmap",
            "message": problem.message,
        }
        for name in near_names(document.lines[span.line][span.start : span.end], known):
            change = {"range": positions.range(span), "newText": name}
            yield {
                "title": f"Use {name} instead",
                "kind": "quickfix",
                "diagnostics": [diagnostic],
                "edit": _edit_of(session, document.uri, document.version, [change]),
            }
