"""Check params before a feature sees them: one function over one table.

Features take plain JSON, typed for mypy by `lsp.types` and `lsp.extensions`. The table is made of the same definitions
(`lsp.param_shapes`), so what mypy relies on is what has been checked. A method or a command that has no shape cannot be
registered.

A shape is one of

* a type (`str`, `int`, `bool`, `dict`, `list`): a value of exactly that type, so that true is no integer;
* `NATURAL`: an integer that is not negative;
* `ID`: an integer or a string;
* `ANY`: whatever comes;
* a tuple of strings: one of these;
* `[shape]`: an array, each of whose elements is of that shape;
* `{"name": shape, "other?": shape}`: an object with these members; one whose name ends in "?" may be missing or null.
  Members that are not named are of no interest.
"""

from __future__ import annotations

from typing import Any, Final

from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from goalmap.lsp import param_shapes
from goalmap.lsp.param_shapes import ANY, ARGUMENTS, NATURAL, PARAMS

Shape = param_shapes.Shape

Params = dict[str, Any]

_KIND_NAMES: Final[dict[type, str]] = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    dict: "an object",
    list: "an array",
}


def shape_of(name: str, given: Shape | None = None) -> Shape:
    """Return the shape that a method or a command is to be registered with; raise ValueError where it has none."""
    shape = PARAMS.get(name, ARGUMENTS.get(name)) if given is None else given
    if shape is None:
        raise ValueError(f"{name} has no shape: see tools/generate_lsp_types.py")
    return shape


def check(name: str, value: Any, shape: Shape) -> None:
    """Raise JsonRpcInvalidParams if `value`, which came for the method or command `name`, is not of `shape`.

    The message names the first member that is at fault and what it must be. It quotes nothing that was sent.
    """
    fault = _fault(value, shape)
    if fault is not None:
        path, expected = fault
        what = f"{path.removeprefix('.')!r} must be {expected}" if path else f"{expected} is expected"
        raise JsonRpcInvalidParams(f"Invalid params of {name}: {what}")


def _fault(value: Any, shape: Shape) -> tuple[str, str] | None:
    """Return which part of `value` is at fault, as a path such as ".positions[0].line", and what it must be."""
    kind = type(shape)
    if kind is type:
        return None if type(value) is shape else ("", _KIND_NAMES[shape])
    if kind is dict:
        if type(value) is not dict:
            return "", _KIND_NAMES[dict]
        for name, inner in shape.items():
            if name[-1] == "?":
                name = name[:-1]  # noqa: PLW2901
                member = value.get(name)
                if member is None:
                    continue
            else:
                member = value.get(name)
            if (fault := _fault(member, inner)) is not None:
                return f".{name}{fault[0]}", fault[1]
        return None
    if kind is list:
        if type(value) is not list:
            return "", _KIND_NAMES[list]
        for number, item in enumerate(value):
            if (fault := _fault(item, shape[0])) is not None:
                return f"[{number}]{fault[0]}", fault[1]
        return None
    if kind is tuple:
        return None if type(value) is str and value in shape else ("", " or ".join(map(repr, shape)))
    if shape == ANY:
        return None
    fits = type(value) is int and value >= 0 if shape == NATURAL else type(value) in (int, str)
    return None if fits else ("", shape)


def message_id(message: Any) -> int | str | None:
    """Return the message's id; None where it has none that JSON-RPC allows."""
    value = message.get("id") if isinstance(message, dict) else None
    return value if type(value) in (int, str) else None


def cancelled_id(message: Any) -> int | str | None:
    """Return which request `message` cancels; None where it cancels none."""
    if not isinstance(message, dict) or message.get("method") != "$/cancelRequest":
        return None
    return message_id(message.get("params"))


def response_error(error: Any) -> JsonRpcException:
    """Return the exception for the error object of a response, however malformed."""
    fields = error if isinstance(error, dict) else {}
    from lsprotocol.types import ResponseError

    code, text = fields.get("code"), fields.get("message")
    exception: JsonRpcException = JsonRpcException.from_error(
        ResponseError(
            code=code if type(code) is int else JsonRpcException.CODE,
            message=text if isinstance(text, str) else "The client refused without saying why",
            data=fields.get("data"),
        )
    )
    return exception


def lookup(value: Any, path: str) -> Any:
    """Return what lies at the dotted `path` below plain JSON, None where it ends early."""
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def merge(into: Params, fragment: Params) -> None:
    """Add `fragment` to `into`: objects are merged, everything else is replaced."""
    for name, value in fragment.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        elif isinstance(value, dict):
            into[name] = {}
            merge(into[name], value)
        else:
            into[name] = value
