"""`command/resolve`: what a command needs to know from the user, asked by the client in its own way.

The form is that of gopls (golang/tools, "Interactive refactoring"): the client sends the command it is about to run;
fields that are to be filled come back, until the answers are valid; then the command, ready to run. The server keeps no
state in between: what has been answered is in the arguments that come back.

For one component there is one question. For all that are missing there is one each, and an empty answer leaves that one
out. Nobody answers two hundred questions in a row: of many, the first `MAX_QUESTIONS` are asked about that the map does
not describe; those that it does are generated as it says, and the rest is left for the next time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from goalmap.core.edits import EditError, reference_at
from goalmap.core.naming import component_type
from goalmap.core.text import visible
from goalmap.lsp.command_names import GENERATE, GENERATE_ALL
from goalmap.lsp.generation.arguments import goal_path, library_of, missing_component
from goalmap.lsp.generation.missing import described_in_map, guess, missing_references
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.param_shapes import ARGUMENTS
from goalmap.lsp.session import Session
from goalmap.lsp.validate import check

if TYPE_CHECKING:
    from goalmap.lsp.extensions import (
        FormField,
        GenerateAll,
        GenerateComponent,
        MissingComponent,
        ResolveCommandParams,
        ResolvedCommand,
    )

FIELD: Final = "description"
MAX_QUESTIONS: Final = 20
_STRING: Final = {"kind": "string"}


def resolve(session: Session, params: ResolveCommandParams) -> ResolvedCommand:
    """Return the command with the fields to fill, or, once they are, the command to run."""
    command = params["command"]
    arguments = params.get("arguments") or []
    if command not in (GENERATE, GENERATE_ALL) or not arguments:
        return {"command": command, "arguments": arguments}
    check(command, arguments, ARGUMENTS[command])
    if arguments[0].get(FIELD):
        return {"command": command, "arguments": arguments}
    answers = {answer["id"]: answer.get("value") for answer in params.get("formAnswers") or []}
    fields: list[FormField]
    argument: GenerateComponent | GenerateAll
    if command == GENERATE:
        argument, fields = _answer_one(session, arguments[0], answers)
    else:
        argument, fields = _answer_all(session, arguments[0], answers)
    resolved: ResolvedCommand = {"command": command, "arguments": [argument, *arguments[1:]]}
    if fields:
        resolved["formFields"] = fields
    return resolved


def _fault(answer: Any) -> str | None:
    from goalmap.generation.prompt import validate_description

    return validate_description(answer)


# -- one component -----------------------------------------------------------------------------------------------------
def _answer_one(
    session: Session, argument: GenerateComponent, answers: Mapping[str, Any]
) -> tuple[GenerateComponent, list[FormField]]:
    goal = visible("/".join(argument["goal"]))
    question = f"Describe the {visible(component_type(argument['slot']))} for {goal} in one line"
    field: FormField = {"id": FIELD, "description": question, "type": _STRING, "required": True}
    if FIELD not in answers:
        return argument, [{**field, "default": _default(session, argument["uri"], argument)}]
    answer = answers[FIELD]
    error = _fault(answer)
    if error is not None:
        return argument, [{**field, "default": answer, "error": error}]
    return {**argument, "description": answer.strip()}, []


def _default(session: Session, map_uri: str, component: MissingComponent) -> str:
    library = session.library_at(map_uri)
    if library is None:
        return ""
    place = tuple(component["goal"]), component["slot"], component.get("index")
    try:
        return guess(library, reference_at(library.goal_map, *place))
    except EditError:
        return ""


# -- all that are missing ----------------------------------------------------------------------------------------------
def _answer_all(
    session: Session, argument: GenerateAll, answers: Mapping[str, Any]
) -> tuple[GenerateAll, list[FormField]]:
    library = library_of(session, argument["uri"])
    if argument.get("components") is None:
        argument = _with_components(session, library, argument)
    components: list[MissingComponent] = []
    fields: list[FormField] = []
    for number, component in enumerate(argument["components"]):
        name = f"{FIELD}.{number}"
        answer = answers.get(name)
        is_skipped = isinstance(answer, str) and not answer.strip()
        error = None if is_skipped or name not in answers else _fault(answer)
        if FIELD in component:
            components.append(component)
        elif name in answers and error is None:
            components.append({**component, "description": str(answer).strip()})
        else:
            components.append(component)
            question = f"{_question(component)} (leave it empty to skip it)"
            field: FormField = {"id": name, "description": question, "type": _STRING, "required": False}
            if error is not None:
                fields.append({**field, "default": cast("str", answer), "error": error})
            else:
                fields.append({**field, "default": _default(session, argument["uri"], component)})
    left_out = argument.get("leftOut")
    if fields and left_out:
        fields[0]["description"] += f", and {left_out} more another time"
    return {**argument, "components": components}, fields


def _question(component: MissingComponent) -> str:
    goal = visible("/".join(component["goal"]))
    kind = visible(component_type(component["slot"]))
    file = visible(component["file"])
    others = component.get("others") or ()
    more = f" and {len(others)} more" if others else ""
    return f"Describe the {kind} {file} for {goal}{more} in one line".replace("  ", " ")


def _with_components(session: Session, library: LibraryState, argument: GenerateAll) -> GenerateAll:
    """Return the argument with the components to ask about, and how many there are too many of for that."""
    from goalmap.workflows import shared_references

    goal = argument.get("goal")
    missing = missing_references(session, library, goal_path(goal) if goal is not None else None)
    shared = shared_references(missing, library.snapshot)
    if len(shared) <= MAX_QUESTIONS:
        return {**argument, "components": [missing_component(reference, others) for reference, others in shared]}
    components: list[MissingComponent] = []
    asked = left_out = 0
    for reference, others in shared:
        described = described_in_map(library, reference)
        if described is not None:
            components.append(missing_component(reference, others, description=described))
        elif asked < MAX_QUESTIONS:
            asked += 1
            components.append(missing_component(reference, others))
        else:
            left_out += 1
    return {**argument, "components": components, "leftOut": left_out}
