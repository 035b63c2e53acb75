"""`command/resolve`: what a command needs to know from the user, asked by the client in its own way.

The form is that of gopls (golang/tools, "Interactive refactoring"): the client sends the command it is about to run;
fields that are to be filled come back, until the answers are valid; then the command, ready to run. The server keeps no
state in between: what has been answered is in the arguments that come back.

For one component there is one question. For all that are missing there is one each, and an empty answer leaves that one
out. Nobody answers two hundred questions in a row: of many, the first `MAX_QUESTIONS` are asked about that the map does
not describe; those that it does are generated as it says, and the rest is left for the next time.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from goalmap.core.edits import EditError, find_reference
from goalmap.core.goal_map import Reference
from goalmap.core.naming import component_type
from goalmap.core.text import visible
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.features.arguments import component_json, goal_of, library_of
from goalmap.lsp.features.code_actions import GENERATE, GENERATE_ALL, described_in_map, guess, missing_in
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.param_shapes import ARGUMENTS
from goalmap.lsp.session import Session
from goalmap.lsp.shapes import check

FIELD: Final = "description"
MAX_QUESTIONS: Final = 20

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this request."""
    capability = {"experimental": {"interactiveResolveProvider": {"kinds": ["command"]}}}
    server.request("command/resolve", capability)(session.answering(partial(resolve, session)))


def resolve(session: Session, params: Json) -> Any:
    """Return the command with the fields to fill, or, once they are, the command to run."""
    command = params["command"]
    arguments = params.get("arguments") or []
    done = {"command": command, "arguments": arguments}
    if command not in (GENERATE, GENERATE_ALL) or not arguments:
        return done
    check(command, arguments, ARGUMENTS[command])
    first: Json = arguments[0]
    if first.get(FIELD):
        return done
    answers = {answer["id"]: answer.get("value") for answer in params.get("formAnswers") or []}
    answer_into = _answer_one if command == GENERATE else _answer_all
    first, fields = answer_into(session, first, answers)
    answered: Json = {"command": command, "arguments": [first, *arguments[1:]]}
    return {**answered, "formFields": fields} if fields else answered


# -- one component -----------------------------------------------------------------------------------------------------
def _answer_one(session: Session, argument: Json, answers: Json) -> tuple[Json, list[Json]]:
    goal = visible("/".join(argument["goal"]))
    question = f"Describe the {visible(component_type(argument['slot']))} for {goal} in one line"
    field = {"id": FIELD, "description": question, "type": {"kind": "string"}, "required": True}
    if FIELD not in answers:
        return argument, [{**field, "default": _default(session, argument)}]
    error = _fault(answers[FIELD])
    if error is not None:
        return argument, [{**field, "default": answers[FIELD], "error": error}]
    return {**argument, FIELD: answers[FIELD].strip()}, []


def _default(session: Session, argument: Json) -> str:
    library = session.library_at(argument["uri"])
    if library is None:
        return ""
    try:
        place = tuple(argument["goal"]), argument["slot"], argument.get("index")
        return guess(library, find_reference(library.goal_map, *place))
    except EditError:
        return ""


def _fault(answer: Any) -> str | None:
    from goalmap.generation.prompt import validate_description

    return validate_description(answer)


# -- all that are missing ----------------------------------------------------------------------------------------------
def _answer_all(session: Session, argument: Json, answers: Json) -> tuple[Json, list[Json]]:
    library = library_of(session, argument)
    if argument.get("components") is None:
        argument = {**argument, **_listed(session, library, argument)}
    components: list[Json] = []
    fields: list[Json] = []
    for number, component in enumerate(argument["components"]):
        name = f"{FIELD}.{number}"
        if FIELD in component:
            components.append(component)
            continue
        answer = answers.get(name)
        is_blank = isinstance(answer, str) and not answer.strip()
        error = None if is_blank or name not in answers else _fault(answer)
        if name in answers and error is None:
            components.append({**component, FIELD: str(answer).strip()})
            continue
        components.append(component)
        default = _default(session, {**component, "uri": argument["uri"]})
        fault = {"default": answer, "error": error} if error is not None else {"default": default}
        question = f"{_question(component)} (leave it empty to skip it)"
        fields.append({"id": name, "description": question, "type": {"kind": "string"}, "required": False, **fault})
    left_out = argument.get("leftOut")
    if fields and left_out:
        fields[0]["description"] += f", and {left_out} more another time"
    return {**argument, "components": components}, fields


def _question(component: Json) -> str:
    goal = visible("/".join(component["goal"]))
    kind = visible(component_type(component["slot"]))
    file = visible(component["file"])
    others = component.get("others") or ()
    more = f" and {len(others)} more" if others else ""
    return f"Describe the {kind} {file} for {goal}{more} in one line".replace("  ", " ")


def _listed(session: Session, library: OpenLibrary, argument: Json) -> Json:
    """Return the components to ask about, and how many there are too many of for that."""
    from goalmap.workflows import shared_references

    missing = missing_in(session, library, goal_of(argument) if argument.get("goal") is not None else None)
    found = shared_references(missing, library.library)
    if len(found) <= MAX_QUESTIONS:
        return {"components": [component_json(reference, others) for reference, others in found]}
    components: list[Json] = []
    asked = left_out = 0
    for reference, others in found:
        described = _in_map(library, reference)
        if described is not None:
            components.append(component_json(reference, others, description=described))
        elif asked < MAX_QUESTIONS:
            asked += 1
            components.append(component_json(reference, others))
        else:
            left_out += 1
    return {"components": components, "leftOut": left_out}


def _in_map(library: OpenLibrary, reference: Reference) -> str | None:
    goal = library.goal_map.goal(reference.goal)
    return described_in_map(goal, reference.slot) if goal else None
