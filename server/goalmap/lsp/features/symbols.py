"""`textDocument/documentSymbol` and `workspace/symbol`: categories, goals, slots and components by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from goalmap.core.goal_map import path_of
from goalmap.core.text import visible
from goalmap.lsp.enums import SymbolKind
from goalmap.lsp.open_map import open_map
from goalmap.lsp.positions import START_OF_FILE, Positions
from goalmap.lsp.raw_json import RawJson, json_string, raw_json
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.core.symbol_tree import Node
    from goalmap.lsp import types
    from goalmap.lsp.types import DocumentSymbolParams, Range, SymbolInformation, WorkspaceSymbolParams

MAX_FOUND: Final = 128
_KINDS: Final[dict[str, types.SymbolKind]] = {
    "category": SymbolKind.NAMESPACE,
    "goal": SymbolKind.CLASS,
    "slot": SymbolKind.PROPERTY,
}


def document_symbols(session: Session, params: DocumentSymbolParams) -> RawJson | list[SymbolInformation] | None:
    """Return the outline of a map, as a tree where the client can show one; None for any other document."""
    from goalmap.core.symbol_tree import tree, walk  # late: not needed for the first diagnostics

    library = open_map(session, params)
    if library is None:
        return None
    positions = session.map_positions(library)
    nodes = tree(library.goal_map)
    if session.client.shows_symbol_tree:
        return raw_json(f"[{','.join(map(_SymbolWriter(positions).json, nodes))}]")
    return [
        {
            "name": _shown(node.name),
            "kind": _KINDS[node.kind],
            "location": {"uri": library.map_uri, "range": _range(node, positions)},
            "containerName": visible("/".join(node.path if node.kind == "slot" else node.path[:-1])),
        }
        for node in walk(nodes)
    ]


class _SymbolWriter:
    """Writes DocumentSymbols as JSON at once: a map has thousands, and their dicts would take most of the memory."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._names: dict[str, str] = {}

    def json(self, node: Node) -> str:
        """Return one symbol with those in it."""
        positions = self._positions
        line, key_start, key_end = node.key_span
        end_line, end = node.end
        start = max(key_start - 1, 0)
        if not positions.are_columns(line, end_line):
            start, key_start, key_end = (positions.units(line, column) for column in (start, key_start, key_end))
            end = positions.units(end_line, end)
        name = self._names.get(node.name)
        if name is None:
            name = self._names[node.name] = json_string(_shown(node.name))
        detail = f',"detail":{json_string(visible(node.detail))}' if node.detail else ""
        children = f',"children":[{",".join(map(self.json, node.children))}]' if node.children else ""
        return (
            f'{{"name":{name},"kind":{_KINDS[node.kind]},'
            f'"range":{{"start":{{"line":{line},"character":{start}}},"end":{{"line":{end_line},"character":{end}}}}},'
            f'"selectionRange":{{"start":{{"line":{line},"character":{key_start}}},'
            f'"end":{{"line":{line},"character":{key_end}}}}}{detail}{children}}}'
        )


def _shown(name: str) -> str:
    # VS Code refuses a whole outline for one symbol without a name.
    return visible(name) if name.strip() else '""'


def _range(node: Node, positions: Positions) -> Range:
    return {"start": positions.position(*node.start), "end": positions.position(*node.end)}


def workspace_symbols(session: Session, params: WorkspaceSymbolParams) -> list[SymbolInformation]:
    """Return the goals and components of all libraries whose names are like the query, best first, not too many."""
    names: list[str] = []
    places: list[tuple[str, types.SymbolKind, str, Callable[[], Range]]] = []
    for library in list(session.libraries.values()):
        session.refresh_if_stale(library)
        positions = session.map_positions(library)
        for goal_range in library.goal_map.goal_index.ranges:
            goal = path_of(goal_range.container)
            names.append(goal[-1])
            places.append(
                (library.map_uri, _KINDS["goal"], "/".join(goal[:-1]), partial(positions.range, goal_range.key_span))
            )
        for path in sorted(library.snapshot.files):
            folder, _, name = path.rpartition("/")
            names.append(name)
            places.append((library.uri(path), SymbolKind.FILE, folder, lambda: START_OF_FILE))
    return [
        {
            "name": _shown(names[at]),
            "kind": kind,
            "containerName": visible(within),
            "location": {"uri": uri, "range": range_()},
        }
        for at in search(params.get("query") or "", names)
        for uri, kind, within, range_ in (places[at],)
    ]


def search(query: str, names: list[str]) -> list[int]:
    """Return which names are like `query`, best first: those that hold it, then those that nearly do."""
    wanted = query.casefold().strip()
    if not wanted:
        return list(range(min(len(names), MAX_FOUND)))
    folded = [name.casefold() for name in names]
    held = [at for at, name in enumerate(folded) if wanted in name]
    held.sort(key=lambda at: (not folded[at].startswith(wanted), len(folded[at]), folded[at]))
    if len(held) < MAX_FOUND:
        from rapidfuzz import fuzz, process  # late: 40 ms that few sessions need

        near = process.extract(wanted, folded, scorer=fuzz.partial_ratio, limit=MAX_FOUND, score_cutoff=75)
        already = set(held)
        held += [at for _, _, at in near if at not in already]
    return held[:MAX_FOUND]
