"""No two files import each other, directly or by way of others, imports for type checking included."""

from __future__ import annotations

import graphlib

import grimp


def test_imports_have_an_order() -> None:
    graph = grimp.build_graph("goalmap", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError, which names the modules of a circle
