"""What the arguments of the commands that write mean. They are of their commands' shapes already; see `shapes`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from goalmap.core.goal_map import GoalPath, Reference
from goalmap.core.naming import COMPONENTS, TEMPLATE_SLOT, unsafe_reason
from goalmap.files.report import Place
from goalmap.lsp.open_library import OpenLibrary
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.workflows import GenerateRequest

Json = dict[str, Any]


def first_of(arguments: list[Any]) -> Json:
    """Return the first argument, an object."""
    if not arguments:
        raise JsonRpcInvalidParams("the first argument must be an object")
    first: Json = arguments[0]
    return first


def library_of(session: Session, argument: Json) -> OpenLibrary:
    """Return the library whose map `uri` is."""
    library = session.library_at(argument["uri"])
    if library is None:
        raise JsonRpcInvalidParams("uri must be that of a goal_map.json")
    return library


def goal_of(argument: Json) -> GoalPath:
    """Return the path of the goal that is named."""
    if not argument["goal"]:
        raise JsonRpcInvalidParams("goal must name a goal")
    return tuple(argument["goal"])


def component_of(argument: Json) -> str:
    """Return the path of the component that is named."""
    path: str = argument["path"]
    if not path.startswith(f"{COMPONENTS}/"):
        raise JsonRpcInvalidParams(f"path must be below {COMPONENTS}/")
    return path


def description_of(argument: Json) -> str:
    """Return the description; empty where there is none."""
    return argument.get("description") or ""


def request_of(library: OpenLibrary, argument: Json) -> GenerateRequest:
    """Return what is asked for with one component."""
    from goalmap.workflows import GenerateRequest

    slot = argument["slot"]
    if slot == TEMPLATE_SLOT:
        raise JsonRpcInvalidParams("slot must be the name of a slot of components")
    return GenerateRequest(
        library.map_path,
        goal_of(argument),
        slot,
        argument.get("index"),
        argument["file"],
        description_of(argument),
        argument.get("naming") or "autogen",
        others=tuple(
            Place(goal_of(other), other["slot"], other.get("index")) for other in argument.get("others") or ()
        ),
    )


def component_requests(session: Session, library: OpenLibrary, argument: Json) -> list[GenerateRequest]:
    """Return what is asked for with each of `components`; what has no name of its own gets a new one."""
    naming = argument.get("naming") or session.settings.generation.naming
    return [
        request_of(library, {**component, "naming": naming if _can_keep_its_name(component["file"]) else "autogen"})
        for component in argument["components"]
    ]


def _can_keep_its_name(file: str) -> bool:
    return bool(file) and unsafe_reason(file) is None


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
