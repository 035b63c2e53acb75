"""What the arguments of the commands that write mean. Their members and types have been checked: see `lsp.validate`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pygls.exceptions import JsonRpcInvalidParams

from goalmap.core.goal_map import GoalPath, Reference
from goalmap.core.naming import COMPONENTS, TEMPLATE_SLOT, unsafe_reason
from goalmap.files.report import Place
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.core.naming import Naming
    from goalmap.lsp.extensions import GenerateAll, MissingComponent, SlotPlace
    from goalmap.workflows import GenerateRequest


def library_of(session: Session, map_uri: str) -> LibraryState:
    """Return the library whose map `map_uri` is."""
    library = session.library_at(map_uri)
    if library is None:
        raise JsonRpcInvalidParams("uri must be that of a goal_map.json")
    return library


def goal_path(names: Sequence[str]) -> GoalPath:
    """Return the path of the goal that is named."""
    if not names:
        raise JsonRpcInvalidParams("goal must name a goal")
    return tuple(names)


def component_path(path: str) -> str:
    """Return `path`, which must be that of a component."""
    if not path.startswith(f"{COMPONENTS}/"):
        raise JsonRpcInvalidParams(f"path must be below {COMPONENTS}/")
    return path


def generate_request(library: LibraryState, component: MissingComponent, naming: Naming) -> GenerateRequest:
    """Return the request to write one component."""
    from goalmap.workflows import GenerateRequest

    if component["slot"] == TEMPLATE_SLOT:
        raise JsonRpcInvalidParams("slot must be the name of a slot of components")
    return GenerateRequest(
        library.map_path,
        goal_path(component["goal"]),
        component["slot"],
        component.get("index"),
        component["file"],
        component.get("description") or "",
        naming,
        others=tuple(
            Place(goal_path(other["goal"]), other["slot"], other.get("index"))
            for other in component.get("others") or ()
        ),
    )


def generate_requests(
    session: Session, library: LibraryState, argument: GenerateAll, components: Iterable[MissingComponent]
) -> list[GenerateRequest]:
    """Return the requests to write `components`; what cannot be called as the map has it gets a generated name."""
    naming = argument.get("naming") or session.settings.generation.naming
    return [
        generate_request(library, component, naming if _can_keep_its_name(component["file"]) else "autogen")
        for component in components
    ]


def _can_keep_its_name(file: str) -> bool:
    return bool(file) and unsafe_reason(file) is None


def missing_component(
    reference: Reference, others: Iterable[Place] = (), *, description: str | None = None
) -> MissingComponent:
    """Return the argument that names a missing component: a reference, and the other places that name it."""
    component: MissingComponent = {
        "goal": list(reference.goal),
        "slot": reference.slot,
        "index": reference.index,
        "file": reference.file,
    }
    places: list[SlotPlace] = [{"goal": list(other.goal), "slot": other.slot, "index": other.index} for other in others]
    if places:
        component["others"] = places
    if description is not None:
        component["description"] = description
    return component
