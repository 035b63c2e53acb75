"""The arguments of the commands that write, checked: whatever a client sends, it is told what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pygls.exceptions import JsonRpcInvalidParams

from goalmap.core.goal_map import GoalPath, Reference
from goalmap.core.naming import COMPONENTS, TEMPLATE_SLOT, unsafe_reason
from goalmap.files.report import Place
from goalmap.lsp.session import OpenLibrary, Session

if TYPE_CHECKING:
    from goalmap.workflows import GenerateRequest

_NAMINGS: Final = ("autogen", "referenced")

Json = dict[str, Any]


def first_of(arguments: list[Any]) -> Json:
    """Return the first argument, an object."""
    if not arguments or not isinstance(arguments[0], dict):
        raise JsonRpcInvalidParams("the first argument must be an object")
    return arguments[0]


def library_of(session: Session, argument: Json) -> OpenLibrary:
    """Return the library whose map `uri` is."""
    uri = argument.get("uri")
    library = session.library_at(uri) if isinstance(uri, str) else None
    if library is None:
        raise JsonRpcInvalidParams("uri must be that of a goal_map.json")
    return library


def goal_of(argument: Json) -> GoalPath:
    """Return the path of the goal that is named."""
    goal = argument.get("goal")
    if not isinstance(goal, list) or not goal or not all(isinstance(part, str) for part in goal):
        raise JsonRpcInvalidParams("goal must be a list of names")
    return tuple(goal)


def component_of(argument: Json) -> str:
    """Return the path of the component that is named."""
    path = argument.get("path")
    if not isinstance(path, str) or not path.startswith(f"{COMPONENTS}/"):
        raise JsonRpcInvalidParams(f"path must be below {COMPONENTS}/")
    return path


def description_of(argument: Json) -> str:
    """Return the description; empty where there is none."""
    description = argument.get("description") or ""
    if not isinstance(description, str):
        raise JsonRpcInvalidParams("description must be a string")
    return description


def request_of(library: OpenLibrary, argument: Json) -> GenerateRequest:
    """Return what is asked for with one component."""
    from goalmap.workflows import GenerateRequest

    slot, index, file = argument.get("slot"), argument.get("index"), argument.get("file")
    naming = argument.get("naming", "autogen")
    if not isinstance(slot, str) or slot == TEMPLATE_SLOT:
        raise JsonRpcInvalidParams("slot must be the name of a slot of components")
    if not (index is None or (type(index) is int and index >= 0)):
        raise JsonRpcInvalidParams("index must be a number, or null for a slot that is a string")
    if not isinstance(file, str):
        raise JsonRpcInvalidParams("file must be the name that the map holds now")
    if naming not in _NAMINGS:
        raise JsonRpcInvalidParams("naming must be autogen or referenced")
    return GenerateRequest(
        library.map_path,
        goal_of(argument),
        slot,
        index,
        file,
        description_of(argument),
        naming,
        others=tuple(_places_of(argument.get("others") or [])),
    )


def _places_of(others: Any) -> Iterator[Place]:
    """Yield further places that name the same component."""
    if not isinstance(others, list):
        raise JsonRpcInvalidParams("others must be a list of places")
    for other in others:
        slot, index = (other.get("slot"), other.get("index")) if isinstance(other, dict) else (None, None)
        if not isinstance(slot, str) or not (index is None or (type(index) is int and index >= 0)):
            raise JsonRpcInvalidParams("others must be objects with goal, slot and index")
        yield Place(goal_of(other), slot, index)


def component_requests(session: Session, library: OpenLibrary, argument: Json) -> list[GenerateRequest]:
    """Return what is asked for with each of `components`; what has no name of its own gets a new one."""
    components = argument["components"]
    if not isinstance(components, list) or not all(isinstance(component, dict) for component in components):
        raise JsonRpcInvalidParams("components must be a list of objects")
    naming = argument.get("naming", session.settings.generation.naming)
    return [
        request_of(library, {**component, "naming": naming if _can_keep_its_name(component.get("file")) else "autogen"})
        for component in components
    ]


def _can_keep_its_name(file: Any) -> bool:
    return isinstance(file, str) and bool(file) and unsafe_reason(file) is None


def component_json(reference: Reference, others: Iterable[Place] = (), **more: Any) -> Json:
    """Return what names a missing component among `components`: a reference, and the other places that name it."""
    places = [{"goal": list(other.goal), "slot": other.slot, "index": other.index} for other in others]
    if places:
        more = {"others": places, **more}
    return {
        "goal": list(reference.goal),
        "slot": reference.slot,
        "index": reference.index,
        "file": reference.file,
        **more,
    }
