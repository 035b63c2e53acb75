"""Write down all that `lsprotocol.types` is, as JSON: what it must be after `import goalmap.lsp` and without it.

Each class is first touched in another way, so that every way of meeting a late class is met.
"""

from __future__ import annotations

import copy
import enum
import inspect
import json
import re
import sys
import typing
from typing import Any

import attrs
import pygls.lsp.server
from lsprotocol import converters, types

ADDRESS = re.compile(" at 0x[0-9a-f]+")
FIRST_TOUCHES = [
    inspect.signature,
    attrs.fields,
    attrs.has,
    typing.get_type_hints,
    lambda cls: cls.__doc__,
    lambda cls: cls.__annotations__,
    lambda cls: cls.__match_args__,
    lambda cls: copy.copy(cls.__new__(cls)) == 3,
    lambda cls: attrs.resolve_types(cls, types.ALL_TYPES_MAP, {}),
    lambda cls: type("Further", (cls,), {}).__init__,
]


def touch(number: int, cls: type) -> None:
    """Meet a class for the first time; incomplete instances may complain."""
    try:
        FIRST_TOUCHES[number % len(FIRST_TOUCHES)](cls)
    except (AttributeError, NameError) as error:
        if "Late" in str(error):
            raise


def describe(value: Any) -> Any:
    """Return what there is to know about a name of the module."""
    if isinstance(value, type) and issubclass(value, enum.Enum):
        return [value.__name__, value.__doc__, {member.name: member.value for member in value}]
    if isinstance(value, type) and attrs.has(value):
        return {
            "name": (value.__module__, value.__qualname__, value.__doc__),
            "bases": [base.__name__ for base in value.__bases__],
            "fields": [
                (
                    field.name,
                    repr(field.default),
                    ADDRESS.sub("", repr(field.validator)),
                    field.kw_only,
                    field.eq,
                    field.init,
                    repr(field.type),
                )
                for field in attrs.fields(value)
            ],
            "signature": str(inspect.signature(value)),
            "match": value.__match_args__,
            "annotations": repr(value.__annotations__),
            "hash": value.__hash__ is None,
            "own": sorted(
                name
                for name in vars(value)
                # Made by slots, or by their absence.
                if name not in {"__dict__", "__weakref__", "__slots__", "__getstate__", "__setstate__"}
                and not inspect.ismemberdescriptor(vars(value)[name])
                # attrs keeps what it knows of a class on it, told by its own tests.
                and not name.startswith("__attrs_")
                # Left behind by copying, and by the compiler.
                and name not in {"__slotnames__", "__static_attributes__"}
            ),
        }
    if isinstance(value, (type, typing.TypeVar)) or callable(value):
        return getattr(value, "__qualname__", repr(value))
    if isinstance(value, dict):
        return {str(key): repr(entry) for key, entry in value.items()}
    return repr(value)


def behaviour() -> list[Any]:
    """Return what instances do."""
    start, end = types.Position(line=1, character=2), types.Position(3, 4)
    seen: list[Any] = [start < end, start == types.Position(1, 2), start != end, repr(start), start == (1, 2)]
    for wrong in (lambda: types.Position(-1, 0), lambda: setattr(start, "line", -5), lambda: hash(start)):
        try:
            wrong()
        except (TypeError, ValueError) as error:
            seen.append(str(error))
    converter = converters.get_converter()
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "processId": None,
            "rootUri": "file:///a",
            "capabilities": {"general": {"positionEncodings": ["utf-8"]}, "textDocument": {"hover": {}}},
            "workspaceFolders": [{"uri": "file:///a", "name": "a"}],
        },
    }
    typed = converter.structure(message, types.InitializeRequest)
    seen += [repr(typed), converter.unstructure(typed), repr(copy.deepcopy(typed)) == repr(typed)]
    seen.append(repr(attrs.evolve(start, line=9)))
    server = pygls.lsp.server.LanguageServer("pygls", "1")
    seen.append(sorted(server.protocol.fm.builtin_features))
    return seen


def main() -> None:
    """Write the description to stdout, with how many classes had been left for later."""
    names = sorted(name for name in vars(types) if not name.startswith("__"))
    classes = [
        value
        for name in names
        if isinstance(value := vars(types)[name], type)
        and value.__module__ == "lsprotocol.types"
        and not issubclass(value, enum.Enum)
        and name != "LSPObject"  # the one without fields, and without attrs
    ]
    waiting = sum(type(vars(cls)["__attrs_attrs__"]).__name__ == "LateFields" for cls in classes)
    for number, cls in enumerate(classes):
        touch(number, cls)
    described = {name: describe(vars(types)[name]) for name in names if name not in {"attrs", "functools"}}
    json.dump({"waiting": waiting, "types": described, "behaviour": behaviour()}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
