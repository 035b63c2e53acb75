"""Params are of the shape that features rely on, or their sender is told which member is not."""

from __future__ import annotations

from typing import Any

import pytest
from pygls.exceptions import JsonRpcInvalidParams

from goalmap.lsp import app
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.param_shapes import ANY, ARGUMENTS, ID, NATURAL, PARAMS
from goalmap.lsp.validate import check

PLACE = {"textDocument": {"uri": "file:///m"}, "position": {"line": 0, "character": 3}}

_START = {"line": 0, "character": 0}
AT_RANGE = {"textDocument": {"uri": "file:///m"}, "range": {"start": _START, "end": _START}}


def fault(value: Any, shape: Any) -> str:
    with pytest.raises(JsonRpcInvalidParams) as caught:
        check("a/method", value, shape)
    return caught.value.message.removeprefix("Invalid params of a/method: ")


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (PLACE, PARAMS["textDocument/hover"]),
        ({**PLACE, "more": [1]}, PARAMS["textDocument/hover"]),
        ({"a": None}, {"a?": int}),
        ({}, {"a?": int}),
        ({"a": [{"b": True}, {"b": False}]}, {"a": [{"b": bool}]}),
        ([], [str]),
        ("x", ID),
        (0, ID),
        (0, NATURAL),
        ("two", ("one", "two")),
        (None, ANY),
    ],
)
def test_what_is_of_a_shape_passes(value: Any, shape: Any) -> None:
    check("a/method", value, shape)


@pytest.mark.parametrize(
    ("value", "shape", "message"),
    [
        ([], {"a": int}, "an object is expected"),
        ({}, {"a": int}, "'a' must be an integer"),
        ({"a": True}, {"a": int}, "'a' must be an integer"),
        ({"a": 1.0}, {"a": int}, "'a' must be an integer"),
        ({"a": 0}, {"a?": str}, "'a' must be a string"),
        ({"a": [{"b": [0, -1]}]}, {"a": [{"b": [NATURAL]}]}, "'a[0].b[1]' must be an integer that is not negative"),
        ({"a": 0.5}, {"a": ID}, "'a' must be an integer or a string"),
        ({"a": []}, {"a": ("one", "two")}, "'a' must be 'one' or 'two'"),
        ("abc", [str], "an array is expected"),
        ([3], [str], "'[0]' must be a string"),
    ],
)
def test_the_member_at_fault_is_named(value: Any, shape: Any, message: str) -> None:
    assert fault(value, shape) == message


@pytest.mark.parametrize("wrong", ["a" * 1_000_000, ["a" * 1_000_000], [["a"]] * 100_000, {"a": "b" * 1_000_000}])
def test_a_complaint_is_short_whatever_was_sent(wrong: Any) -> None:
    """One fault is said, and nothing that was sent is quoted."""
    assert len(fault({"textDocument": {"uri": "x"}, "positions": wrong}, PARAMS["textDocument/selectionRange"])) < 80


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("initialize", {"workspaceFolders": [{"uri": "file:///w"}]}),
        ("initialize", {"capabilities": None, "processId": None, "rootUri": None}),
        ("textDocument/didOpen", {"textDocument": {"uri": "file:///m", "version": 1, "text": ""}}),
        ("textDocument/codeAction", {**AT_RANGE, "context": {"only": ["source.fixAll"]}}),
        ("textDocument/completion", {**PLACE, "context": []}),
        ("textDocument/references", PLACE),
        ("textDocument/references", {**PLACE, "context": {}}),
        ("workspace/symbol", {}),
        ("workspace/didChangeWatchedFiles", {"changes": [{"uri": "file:///m"}]}),
        ("workspace/didChangeWorkspaceFolders", {"event": {"added": [{"uri": "file:///w"}]}}),
    ],
)
def test_nobody_is_refused_for_what_is_not_read_or_can_mean_one_thing_only(method: str, params: Any) -> None:
    """Such as the snippet of gopls' guide for Neovim sends, and clients that write their own params."""
    check(method, params, PARAMS[method])


def test_a_method_or_a_command_without_a_shape_cannot_be_registered() -> None:
    server = GoalmapServer("x", "1")
    with pytest.raises(ValueError, match="my/method has no shape"):
        server.request("my/method")(lambda _: None)
    with pytest.raises(ValueError, match=r"my\.command has no shape"):
        server.command("my.command")(lambda _: None)


def test_every_shape_is_of_something_that_is_served() -> None:
    assert app.build().protocol.shapes == {**PARAMS, **ARGUMENTS}
