"""What must be true of a message's params before a feature sees them.

Features take plain JSON and rely on the fields that the specification requires. The few that nearly every request has
are checked here, in a microsecond; the rest by lsprotocol's types, once a feature has stumbled (`complaint`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

if TYPE_CHECKING:
    from collections.abc import Callable

    from cattrs import Converter

Params = dict[str, Any]

# Of every other request on a document, the URI alone is checked.
_POSITION_METHODS = frozenset(
    {
        "textDocument/completion",
        "textDocument/declaration",
        "textDocument/definition",
        "textDocument/documentHighlight",
        "textDocument/hover",
        "textDocument/implementation",
        "textDocument/prepareRename",
        "textDocument/references",
        "textDocument/signatureHelp",
        "textDocument/typeDefinition",
    }
)
_RANGE_METHODS = frozenset({"textDocument/codeAction", "textDocument/inlayHint", "textDocument/rangeFormatting"})
# What a feature raises when a field is missing or of another type; anything else is a fault of ours.
STUMBLES = (KeyError, TypeError, AttributeError, IndexError, ValueError)


def checked(method: str, params: Any) -> Params:
    """Return `params`, {} where there are none; raise JsonRpcInvalidParams that names the field at fault."""
    if params is None:
        params = {}
    if type(params) is not dict:
        raise JsonRpcInvalidParams(f"Invalid params of {method}: an object is expected")
    own_check = _CHECKS.get(method)
    try:
        if own_check is not None:
            own_check(params)
        elif method.startswith("textDocument/"):
            _identifier(params)
            if method in _POSITION_METHODS:
                _position(params, "position")
            elif method in _RANGE_METHODS:
                _range(params)
    except _Malformed as error:
        raise JsonRpcInvalidParams(f"Invalid params of {method}: {error}") from None
    return params


class _Malformed(Exception):
    """Says which field is not what it must be."""


def _field(owner: Any, name: str, kind: type) -> Any:
    value = owner.get(name) if type(owner) is dict else None
    if type(value) is not kind:
        raise _Malformed(f"{name!r} must be {_KIND_NAMES[kind]}")
    return value


_KIND_NAMES: dict[type, str] = {str: "a string", int: "an integer", dict: "an object", list: "an array"}


def _identifier(params: Params) -> Params:
    document: Params = _field(params, "textDocument", dict)
    _field(document, "uri", str)
    return document


def _position(owner: Any, name: str) -> None:
    position = _field(owner, name, dict)
    if _field(position, "line", int) < 0 or _field(position, "character", int) < 0:
        raise _Malformed(f"{name!r} must not be negative")


def _range(owner: Any) -> None:
    span = _field(owner, "range", dict)
    _position(span, "start")
    _position(span, "end")


def _open(params: Params) -> None:
    document = _identifier(params)
    _field(document, "version", int)
    _field(document, "text", str)


def _change(params: Params) -> None:
    # All changes are checked before the first is applied: half of them would leave a text that nobody has.
    _field(_identifier(params), "version", int)
    for change in _field(params, "contentChanges", list):
        _field(change, "text", str)
        if change.get("range") is not None:
            _range(change)


def _save(params: Params) -> None:
    _identifier(params)
    if params.get("text") is not None:
        _field(params, "text", str)


def _rename(params: Params) -> None:
    _identifier(params)
    _position(params, "position")
    _field(params, "newName", str)


def _command(params: Params) -> None:
    _field(params, "command", str)
    if params.get("arguments") is not None:
        _field(params, "arguments", list)


def _initialize(params: Params) -> None:
    if params.get("capabilities") is not None:
        _field(params, "capabilities", dict)
    # Clients that know no process leave it out or send null.
    if params.get("processId") is not None:
        _field(params, "processId", int)


def _message_id(value: Any) -> bool:
    return type(value) in (int, str)


def _id(params: Params) -> None:
    if not _message_id(params.get("id")):
        raise _Malformed("'id' must be an integer or a string")


def _token(params: Params) -> None:
    if not _message_id(params.get("token")):
        raise _Malformed("'token' must be an integer or a string")


_CHECKS: dict[str, Callable[[Params], None]] = {
    "initialize": _initialize,
    "$/cancelRequest": _id,
    "$/setTrace": lambda params: _field(params, "value", str),
    "window/workDoneProgress/cancel": _token,
    "workspace/executeCommand": _command,
    "textDocument/didOpen": _open,
    "textDocument/didChange": _change,
    "textDocument/didSave": _save,
    "textDocument/rename": _rename,
}


def complaint(method: str, params: Any, error: BaseException, converter: Converter) -> str | None:
    """Return what lsprotocol finds wrong with `params`, None where `error` cannot be the client's fault.

    Slow, and only for a feature that raised `error`.
    """
    if not isinstance(error, STUMBLES):
        return None
    from lsprotocol import types

    message_type = types.METHOD_TO_TYPES.get(method, (None,))[0]
    if message_type is None:
        return None
    from cattrs import transform_error

    try:
        converter.structure({"jsonrpc": "2.0", "id": 0, "method": method, "params": params}, message_type)
    except Exception as found:  # noqa: BLE001  cattrs and lsprotocol's hooks raise many kinds; all mean the same
        return "; ".join(transform_error(found, path="params"))
    return None


def message_id(message: Any) -> int | str | None:
    """Return the message's id; None where it has none that JSON-RPC allows."""
    value = message.get("id") if isinstance(message, dict) else None
    return value if _message_id(value) else None


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
