"""What must be true of a message's params before a feature sees them: one table, and one function that holds to it.

Features take plain JSON and rely on what `SHAPES` says of it: on no other member, and on no other type. A method or a
command that has no shape cannot be registered.

A shape is one of

* a type (`str`, `int`, `bool`, `dict`, `list`): a value of exactly that type, so that true is no integer;
* `NATURAL`: an integer that is not negative;
* `ID`: an integer or a string;
* `ANY`: whatever comes;
* a tuple of strings: one of these;
* `[shape]`: an array, each of whose items is of that shape;
* `{"name": shape, "other?": shape}`: an object with these members; one whose name ends in "?" may be missing or null.
  Members that are not named are of no interest.
"""

from __future__ import annotations

from typing import Any, Final

from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

Params = dict[str, Any]
Shape = Any


class _Special:
    """A shape that is no type."""

    def __init__(self, name: str) -> None:
        self.name = name


ANY: Final = _Special("anything")
NATURAL: Final = _Special("an integer that is not negative")
ID: Final = _Special("an integer or a string")

_KIND_NAMES: Final[dict[type, str]] = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    dict: "an object",
    list: "an array",
}

_NOTHING: Final[Shape] = {}
_DOCUMENT: Final[Shape] = {"textDocument": {"uri": str}}
_POSITION: Final[Shape] = {"line": NATURAL, "character": NATURAL}
_RANGE: Final[Shape] = {"start": _POSITION, "end": _POSITION}
_PLACE: Final[Shape] = {**_DOCUMENT, "position": _POSITION}
_FILES: Final[Shape] = {"files": [{"uri": str}]}
_RENAMES: Final[Shape] = {"files": [{"oldUri": str, "newUri": str}]}
_FOLDERS: Final[Shape] = [{"uri": str}]
_NAMING: Final[Shape] = ("autogen", "referenced")
_GOAL: Final[Shape] = [str]
_SLOT_PLACE: Final[Shape] = {"goal": _GOAL, "slot": str, "index?": NATURAL}
_COMPONENT: Final[Shape] = {**_SLOT_PLACE, "file": str, "description?": str, "others?": [_SLOT_PLACE]}

SHAPES: Final[dict[str, Shape]] = {
    "initialize": {
        "processId?": int,
        "capabilities?": dict,
        "rootUri?": str,
        "workspaceFolders?": _FOLDERS,
        "initializationOptions?": ANY,
    },
    "initialized": _NOTHING,
    "shutdown": _NOTHING,
    "$/cancelRequest": {"id": ID},
    "window/workDoneProgress/cancel": {"token": ID},
    # -- documents
    "textDocument/didOpen": {"textDocument": {"uri": str, "languageId?": str, "version": int, "text": str}},
    # All changes are checked before the first is applied: half of them would leave a text that nobody has.
    "textDocument/didChange": {
        "textDocument": {"uri": str, "version": int},
        "contentChanges": [{"range?": _RANGE, "text": str}],
    },
    "textDocument/didClose": _DOCUMENT,
    "textDocument/didSave": {**_DOCUMENT, "text?": str},
    # -- features
    "textDocument/codeAction": {
        **_DOCUMENT,
        "range": _RANGE,
        "context": {"diagnostics?": [dict], "only?": [str]},
    },
    "textDocument/codeLens": _DOCUMENT,
    "codeLens/resolve": {"data?": {"uri": str, "path?": str, "number?": NATURAL, "name?": str}},
    "textDocument/completion": _PLACE,
    "completionItem/resolve": {"detail?": str, "data?": {"uri": str, "path": str}},
    "textDocument/definition": _PLACE,
    "textDocument/diagnostic": {**_DOCUMENT, "previousResultId?": str},
    "textDocument/documentHighlight": _PLACE,
    "textDocument/documentLink": _DOCUMENT,
    "textDocument/documentSymbol": _DOCUMENT,
    "textDocument/foldingRange": _DOCUMENT,
    "textDocument/hover": _PLACE,
    "textDocument/inlayHint": {**_DOCUMENT, "range": _RANGE},
    "textDocument/prepareRename": _PLACE,
    "textDocument/references": {**_PLACE, "context?": {"includeDeclaration?": bool}},
    "textDocument/rename": {**_PLACE, "newName": str},
    "textDocument/selectionRange": {**_DOCUMENT, "positions": [_POSITION]},
    # -- the workspace
    "workspace/didChangeConfiguration": {"settings?": ANY},
    "workspace/didChangeWatchedFiles": {"changes": [{"uri": str}]},
    "workspace/didChangeWorkspaceFolders": {"event": {"added?": _FOLDERS, "removed?": _FOLDERS}},
    "workspace/didCreateFiles": _FILES,
    "workspace/didDeleteFiles": _FILES,
    "workspace/didRenameFiles": _RENAMES,
    "workspace/willRenameFiles": _RENAMES,
    "workspace/executeCommand": {"command": str, "arguments?": list},
    "workspace/symbol": {"query?": str},
    "workspace/textDocumentContent": {"uri": str},
    # -- our own
    "command/resolve": {"command": str, "arguments?": list, "formAnswers?": [{"id": str, "value?": ANY}]},
    "goalmap/goalAt": _PLACE,
    "goalmap/model": {},
    "goalmap/prompt": {"uri": str, "goal": _GOAL},
    "goalmap/setApiKey": {"key?": str, "origin?": str},
    # -- the arguments of commands
    "goalmap.cancelGeneration": [{"job?": str}],
    "goalmap.createEmpty": [{"uri": str, "path": str}],
    "goalmap.discardGeneration": [{"uri": str, "tx": str}],
    "goalmap.finishGeneration": [{"uri": str, "tx": str}],
    "goalmap.reviewGeneration": [{"uri": str, "tx": str}],
    "goalmap.generateAll": [
        {
            "uri": str,
            "goal?": _GOAL,
            "components?": [_COMPONENT],
            "naming?": _NAMING,
            "description?": str,
            "guess?": bool,
            "leftOut?": NATURAL,
        }
    ],
    "goalmap.generateComponent": [{"uri": str, **_COMPONENT, "naming?": _NAMING}],
    "goalmap.undo": [{"uri": str, "job?": str}],
}


def shape_of(name: str, given: Shape | None = None) -> Shape:
    """Return the shape that a method or a command is to be registered with; raise ValueError where it has none."""
    shape = SHAPES.get(name) if given is None else given
    if shape is None:
        raise ValueError(f"{name} has no shape: what its params must be is to be said in goalmap.lsp.shapes")
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
    return None if _is_special(value, shape) else ("", shape.name)


def _is_special(value: Any, shape: _Special) -> bool:
    if shape is NATURAL:
        return type(value) is int and value >= 0
    return shape is ANY or type(value) in (int, str)


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
