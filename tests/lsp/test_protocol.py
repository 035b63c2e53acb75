"""The protocol layer, proven on a small real server over real pipes: each test fails without its repair."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.demo import (
    CANCELLED,
    DEMO,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NOT_INITIALIZED,
    PARSE_ERROR,
    REQUEST_FAILED,
    URI,
    at,
    command,
)
from support.lsp_client import LspClient, notification, request

if TYPE_CHECKING:
    pass


# -- a session -------------------------------------------------------------------------------------------------------


async def test_a_whole_session(raw: LspClient) -> None:
    answer = await raw.initialize({"general": {"positionEncodings": ["utf-32", "utf-8"]}})
    assert answer["serverInfo"] == {"name": "demo", "version": "1.2.3"}
    raw.open(URI, "one\n TODO two")
    pushed = await raw.notification("textDocument/publishDiagnostics")
    assert [d["range"]["start"] for d in pushed["diagnostics"]] == [{"line": 1, "character": 1}]
    raw.change(URI, 2, {"text": "fine"})
    assert (await raw.notification("textDocument/publishDiagnostics"))["diagnostics"] == []
    pulled = await raw.request("textDocument/diagnostic", {"textDocument": {"uri": URI}})
    assert pulled == {"kind": "full", "items": []}
    assert await raw.request("textDocument/hover", at(0)) == {"contents": "fine"}
    assert await raw.request("workspace/executeCommand", command("demo.echo", {"class": 1})) == [{"class": 1}]
    running = raw.begin_request("workspace/executeCommand", command("demo.wait", 1))
    await raw.notification("demo/started")
    raw.notify("$/cancelRequest", {"id": running})
    assert (await raw.error(running)).code == CANCELLED
    raw.close(URI)
    assert await raw.shutdown_and_exit() == 0
    assert "Traceback" not in await raw.stderr_text()


async def test_over_tcp() -> None:
    process = await asyncio.create_subprocess_exec(*DEMO, "--tcp", stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    host, port = (await process.stdout.readline()).decode().split()
    reader, writer = await asyncio.open_connection(host, int(port))
    for message in (request(1, "initialize", {"capabilities": {}}), request(2, "shutdown"), notification("exit")):
        body = json.dumps(message).encode()
        writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    received = await reader.read()
    assert received.count(b'"result"') == 2
    assert await process.wait() == 0
    writer.close()


# -- capabilities ----------------------------------------------------------------------------------------------------


async def test_what_features_advertise_arrives(raw: LspClient) -> None:
    capabilities = (await raw.initialize({"textDocument": {"rename": {}}}))["capabilities"]
    assert capabilities["experimental"] == {"demo": True}
    assert capabilities["workspace"]["textDocumentContent"] == {"schemes": ["demo"]}
    assert capabilities["workspace"]["workspaceFolders"]["supported"]
    assert capabilities["textDocumentSync"] == {"openClose": True, "change": 2, "save": {"includeText": False}}
    assert capabilities["hoverProvider"] is True
    assert capabilities["renameProvider"] == {"prepareProvider": True}
    assert "demo.echo" in capabilities["executeCommandProvider"]["commands"]


async def test_a_capability_may_depend_on_the_client(raw: LspClient) -> None:
    assert "renameProvider" not in (await raw.initialize({}))["capabilities"]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["utf-8", "utf-16"], "utf-8"), (["x", "utf-32", "utf-8"], "utf-32"), ([], "utf-16"), (None, "utf-16")],
)
async def test_position_encoding_is_the_clients_first_of_ours(
    raw: LspClient, offered: list[str] | None, chosen: str
) -> None:
    answer = await raw.initialize({} if offered is None else {"general": {"positionEncodings": offered}})
    assert answer["capabilities"]["positionEncoding"] == chosen


# -- documents -------------------------------------------------------------------------------------------------------


async def test_documents_reach_the_hooks_as_they_came(client: LspClient) -> None:
    text = "a\u2028b\x0cc\x85d\r\ne"
    span = {"start": {"line": 1, "character": 1}, "end": {"line": 1, "character": 1}}
    client.open(URI, text, version=7, language_id="jsonc")
    client.change(URI, 8, {"range": span, "text": "\x0b", "unknown": {"class": None}})
    client.save(URI)
    assert await client.request("textDocument/hover", at(0)) == {"contents": "a\u2028b\x0cc\x85d\r"}
    client.close(URI)
    assert await client.request("demo/heard") == [
        ["initialized"],
        ["open", URI, "jsonc", 7],
        ["change", URI, 8, [{"range": span, "text": "\x0b", "unknown": {"class": None}}]],
        ["save", URI, None],
        ["close", URI],
    ]


async def test_publishing_waits_until_the_input_is_drained(client: LspClient) -> None:
    uris = {f"file:///{n}": f"TODO {n}" for n in range(3)}
    client.send(
        *(
            notification(
                "textDocument/didOpen", {"textDocument": {"uri": u, "languageId": "", "version": 1, "text": text}}
            )
            for u, text in uris.items()
        ),
        *(
            notification(
                "textDocument/didChange",
                {"textDocument": {"uri": "file:///0", "version": n}, "contentChanges": [{"text": "TODO " * n}]},
            )
            for n in range(2, 40)
        ),
        request("last", "demo/echo", {}),
    )
    await client.result("last")
    await client.settle()
    published = [params["uri"] for params in client.notifications("textDocument/publishDiagnostics")]
    assert sorted(published) == sorted(uris), "one publication per document, not one per change"
    order = [message.get("id", message.get("method")) for message in client.messages]
    assert order.index("last") < order.index("textDocument/publishDiagnostics"), "answers come first"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a pipe be made larger than one read")
async def test_publishing_waits_for_what_the_kernel_still_holds() -> None:
    """The input is there before the server is, and is more than it reads at once."""
    import fcntl

    one_mebibyte = 1 << 20
    end_to_read, end_to_write = os.pipe()
    fcntl.fcntl(end_to_write, fcntl.F_SETPIPE_SZ, one_mebibyte)
    opening = {"textDocument": {"uri": URI, "languageId": "", "version": 1, "text": "TODO"}}
    messages = [request(1, "initialize", {"capabilities": {}}), notification("textDocument/didOpen", opening)]
    for version in range(2, 100):
        changes = [{"text": f"TODO {version}".ljust(9_000)}]
        changed = {"textDocument": {"uri": URI, "version": version}, "contentChanges": changes}
        messages.append(notification("textDocument/didChange", changed))
    bodies = [json.dumps(message).encode() for message in [*messages, request(2, "shutdown"), notification("exit")]]
    os.write(end_to_write, b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies[:-2]))
    process = await asyncio.create_subprocess_exec(*DEMO, stdin=end_to_read, stdout=asyncio.subprocess.PIPE)
    os.close(end_to_read)
    assert process.stdout is not None
    await process.stdout.readuntil(b"publishDiagnostics")
    with os.fdopen(end_to_write, "wb") as stdin:
        stdin.write(b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies[-2:]))
    assert (await process.stdout.read()).count(b"publishDiagnostics") == 0, "it was published once"
    assert await process.wait() == 0


async def test_a_change_that_is_malformed_is_not_applied_in_part(client: LspClient) -> None:
    client.open(URI, "whole")
    client.change(URI, 2, {"text": "half"}, {"range": {"start": {"line": 0}}, "text": ""})
    assert await client.request("textDocument/hover", at(0)) == {"contents": "whole"}


# -- plain JSON ------------------------------------------------------------------------------------------------------

AWKWARD = {"class": 1, "_x": [{"$y": None}], "type_name": "kept", "jsonrpc": "1.0", "id": 9, "a b": {"jsonrpc": "2.0"}}


async def test_custom_requests_keep_every_key(client: LspClient) -> None:
    assert await client.request("demo/echo", AWKWARD) == AWKWARD


async def test_custom_notifications_keep_every_key(client: LspClient) -> None:
    client.notify("demo/note", AWKWARD)
    assert await client.notification("demo/noted") == AWKWARD


async def test_command_arguments_keep_every_key_and_any_number(client: LspClient) -> None:
    for arguments in ([], [AWKWARD], [AWKWARD, None, 3, "four"]):
        assert await client.request("workspace/executeCommand", command("demo.echo", *arguments)) == arguments


async def test_results_of_our_requests_stay_plain(client: LspClient) -> None:
    client.reply_to("demo/question", lambda params: {"asked": params, **AWKWARD})
    answer = await client.request("workspace/executeCommand", command("demo.ask", "demo/question", AWKWARD))
    assert answer == {"asked": AWKWARD, **AWKWARD}


async def test_a_lone_surrogate_survives(client: LspClient) -> None:
    assert await client.request("demo/surrogate") == "\ud800"


# -- refusals: every request is answered once ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"\xff\xfe\xfa", b'{"a": 1' + b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b"9" * 5000],
    ids=["half", "empty", "not UTF-8", "open", "deep", "long number"],
)
async def test_what_is_not_json_gets_a_parse_error(client: LspClient, body: bytes) -> None:
    client.send_body(body)
    assert (await client.error(None)).code in {PARSE_ERROR, INVALID_REQUEST}
    assert await client.request("demo/echo", {"still": "alive"}) == {"still": "alive"}


async def test_a_header_without_a_length_gets_a_parse_error(client: LspClient) -> None:
    client.send_raw(b"Content-Type: x\r\n\r\n")
    assert (await client.error(None)).code == PARSE_ERROR
    await client.settle()
    client.send_raw(b"y" * 20_000 + b"\r\n\r\n")
    assert (await client.error(None)).code == PARSE_ERROR
    await client.settle()


async def test_headers_with_line_feeds_alone_are_understood(client: LspClient) -> None:
    body = b'{"jsonrpc":"2.0","id":"lf","method":"demo/echo","params":{"a":1}}'
    client.send_raw(b"Content-Length: %d\n\n%b" % (len(body), body))
    assert await client.result("lf") == {"a": 1}
    await client.settle()


@pytest.mark.parametrize(
    "message",
    [
        [],
        [request(5, "demo/echo")],
        "text",
        None,
        {},
        {"jsonrpc": "1.0", "method": "demo/echo"},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "method": 3},
        {"jsonrpc": "2.0", "id": None, "method": "demo/echo"},
        {"jsonrpc": "2.0", "id": {"a": 1}, "method": "demo/echo"},
        {"jsonrpc": "2.0", "id": True, "method": "demo/echo"},
    ],
    ids=json.dumps,
)
async def test_json_that_is_no_message_is_an_invalid_request(client: LspClient, message: Any) -> None:
    client.send(message)
    assert (await client.error(None)).code == INVALID_REQUEST
    await client.settle()


async def test_an_invalid_request_with_an_id_is_answered_under_it(client: LspClient) -> None:
    client.send({"id": 77, "method": "demo/echo"})
    assert (await client.error(77)).code == INVALID_REQUEST


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/hover", None),
        ("textDocument/hover", [1]),
        ("textDocument/hover", {"position": {"line": 0, "character": 0}}),
        ("textDocument/hover", {"textDocument": {"uri": URI}}),
        ("textDocument/hover", {"textDocument": {"uri": URI}, "position": {"line": "0", "character": 0}}),
        ("textDocument/hover", {"textDocument": {"uri": URI}, "position": {"line": -1, "character": 0}}),
        ("textDocument/diagnostic", {"textDocument": {"uri": 3}}),
        ("textDocument/codeAction", {"textDocument": {"uri": URI}, "range": {"start": {"line": 0, "character": 0}}}),
        ("workspace/executeCommand", {}),
        ("workspace/executeCommand", {"command": "demo.echo", "arguments": {"not": "a list"}}),
        ("workspace/executeCommand", {"command": "no.such"}),
    ],
    ids=str,
)
async def test_malformed_params_are_refused(client: LspClient, method: str, params: Any) -> None:
    refused = await client.error(client.begin_request(method, params))
    assert refused.code == INVALID_PARAMS
    assert len(refused.message) > len("Invalid params"), "the message says what is wrong"


async def test_the_answer_names_the_member_at_fault(client: LspClient) -> None:
    span = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    refused = await client.error(
        client.begin_request("textDocument/codeAction", {"textDocument": {"uri": URI}, "range": span})
    )
    assert refused.code == INVALID_PARAMS
    assert "context" in refused.message


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/didOpen", {"textDocument": {"uri": URI}}),
        ("textDocument/didChange", {"textDocument": {"uri": URI, "version": 1}, "contentChanges": [{}]}),
        ("textDocument/didClose", 5),
        ("$/cancelRequest", {"id": [1]}),
        ("$/cancelRequest", None),
        ("$/setTrace", {}),
        ("window/workDoneProgress/cancel", {"token": {}}),
        ("demo/crash", {}),
        ("no/such", {}),
    ],
)
async def test_malformed_notifications_are_logged_and_answered_by_nothing(
    client: LspClient, method: str, params: Any
) -> None:
    before = len(client.messages)
    client.notify(method, params)
    await client.settle()
    assert len(client.messages) == before + 1, "nothing but the answer to settle"


async def test_unknown_methods_are_refused(client: LspClient) -> None:
    for method in ("no/such", "textDocument/completion", "$/no", "notebookDocument/didOpen", ""):
        assert (await client.error(client.begin_request(method, {}))).code == METHOD_NOT_FOUND


async def test_requests_before_initialize_are_refused(raw: LspClient) -> None:
    refused = await raw.error(raw.begin_request("textDocument/hover", at(0)))
    assert refused.code == NOT_INITIALIZED
    raw.open(URI, "ignored")
    await raw.initialize()
    assert await raw.request("demo/heard") == [["initialized"]]


async def test_a_second_initialize_is_refused(client: LspClient) -> None:
    assert (await client.error(client.begin_request("initialize", {"capabilities": {}}))).code == INVALID_REQUEST


async def test_requests_after_shutdown_are_refused(client: LspClient) -> None:
    await client.request("shutdown")
    for method in ("demo/echo", "shutdown", "initialize", "no/such"):
        assert (await client.error(client.begin_request(method, {}))).code == INVALID_REQUEST
    client.notify("exit")
    assert await client.exit_code() == 0


async def test_errors_of_features(client: LspClient) -> None:
    wanted = await client.error(client.begin_request("demo/fail", {"wanted": True}))
    assert (wanted.code, wanted.message, wanted.data) == (REQUEST_FAILED, "No luck. Try again.", {"try": "again"})
    ours = await client.error(client.begin_request("demo/fail"))
    assert (ours.code, ours.message) == (INTERNAL_ERROR, "demo/fail failed: ZeroDivisionError: a fault of ours")
    assert (await client.error(client.begin_request("demo/unencodable"))).code == INTERNAL_ERROR
    assert client.notifications("window/showMessage") == [], "nothing pops up"
