"""`command/resolve`: what a command needs to know from the user, asked by the client in its own way.

The form is that of gopls (golang/tools, "Interactive refactoring"): the client sends the command it is about to run;
fields that are to be filled come back, until the answers are valid; then the command, ready to run. The server keeps no
state in between.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from goalmap.core.edits import EditError, find_reference
from goalmap.core.naming import component_type
from goalmap.core.text import visible
from goalmap.lsp.features.code_actions import GENERATE, GENERATE_ALL, guess
from goalmap.lsp.server import GoalmapServer
from goalmap.lsp.session import Session

FIELD: Final = "description"

Json = dict[str, Any]


def register(server: GoalmapServer, session: Session) -> None:
    """Serve this request."""
    capability = {"experimental": {"interactiveResolveProvider": {"kinds": ["command"]}}}
    server.request("command/resolve", capability)(partial(resolve, session))


def resolve(session: Session, params: Json) -> Any:
    """Return the command with the fields to fill, or, once they are, the command to run."""
    command = params.get("command")
    arguments = params.get("arguments") or []
    done = {"command": command, "arguments": arguments}
    if command not in (GENERATE, GENERATE_ALL) or not arguments or not isinstance(arguments[0], dict):
        return done
    first: Json = arguments[0]
    if first.get(FIELD):
        return done
    answers = {answer.get("id"): answer.get("value") for answer in params.get("formAnswers") or []}
    if FIELD in answers:
        from goalmap.generation.prompt import validate_description

        error = validate_description(answers[FIELD])
        if error is None:
            return {"command": command, "arguments": [{**first, FIELD: answers[FIELD].strip()}, *arguments[1:]]}
        return {**done, "formFields": [{**_field(session, command, first), "default": answers[FIELD], "error": error}]}
    return {**done, "formFields": [_field(session, command, first)]}


def _field(session: Session, command: str, argument: Json) -> Json:
    field: Json = {"id": FIELD, "type": {"kind": "string"}, "required": True}
    goal = visible("/".join(map(str, argument.get("goal") or ())))
    if command == GENERATE_ALL:
        question = f"What should the missing components of {goal} do? One line for all of them"
        return {**field, "description": question, "default": ""}
    slot = str(argument.get("slot", ""))
    question = f"Describe the {visible(component_type(slot))} for {goal} in one line"
    return {**field, "description": question, "default": _default(session, argument)}


def _default(session: Session, argument: Json) -> str:
    library = session.library_at(str(argument.get("uri", "")))
    if library is None:
        return ""
    try:
        place = tuple(argument.get("goal") or ()), str(argument.get("slot")), argument.get("index")
        return guess(library, find_reference(library.goal_map, *place))
    except EditError:
        return ""
