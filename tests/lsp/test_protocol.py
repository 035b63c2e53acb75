"""The protocol layer, proven on a small real server over real pipes: each test fails without its repair."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from goalmap.lsp.server import GoalmapServer
from support.lsp_client import LspClient, LspError, ServerEndedError, notification, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEMO = [sys.executable, str(Path(__file__).parents[1] / "support" / "demo_server.py")]
URI = "file:///a/goal_map.json"
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
NOT_INITIALIZED, CANCELLED, REQUEST_FAILED = -32002, -32800, -32803


@pytest.fixture
async def raw() -> AsyncIterator[LspClient]:
    """Start a server that has not been initialized."""
    async with await LspClient.spawn(DEMO) as client:
        yield client


@pytest.fixture
async def client(raw: LspClient) -> LspClient:
    """Start a server and shake hands."""
    await raw.initialize()
    return raw


def command(name: str, *arguments: Any) -> dict[str, Any]:
    return {"command": name, "arguments": list(arguments)}


def at(line: int, character: int = 0) -> dict[str, Any]:
    return {"textDocument": {"uri": URI}, "position": {"line": line, "character": character}}


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
    messages = [request(1, "initialize", {}), notification("textDocument/didOpen", opening)]
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


async def test_typed_objects_still_work(client: LspClient) -> None:
    location = await client.request("workspace/executeCommand", command("demo.typed"))
    assert location["range"] == {"start": {"line": 1, "character": 2}, "end": {"line": 3, "character": 4}}
    assert await client.notification("window/showMessage") == {"type": 3, "message": "typed"}


async def test_typed_requests_get_typed_results(client: LspClient) -> None:
    client.reply_to("workspace/applyEdit", lambda params: {"applied": params["label"] == "typed"})
    assert await client.request("workspace/executeCommand", command("demo.typedAsk")) is True


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
    client.send_raw(b"y" * 20_000 + b"\r\n\r\n")
    assert (await client.error(None)).code == PARSE_ERROR
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


async def test_params_that_a_feature_stumbles_over_are_refused(client: LspClient) -> None:
    """`context` is checked by nobody but lsprotocol, afterwards."""
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


# -- cancelling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params"), [("workspace/executeCommand", command("demo.wait", 1)), ("demo/wait", {"one": 1})]
)
async def test_cancel_ends_the_work_and_answers_once(client: LspClient, method: str, params: Any) -> None:
    running = client.begin_request(method, params)
    await client.notification("demo/started")
    client.notify("$/cancelRequest", {"id": running})
    assert (await client.error(running)).code == CANCELLED
    await client.settle()
    assert len(client.notifications("demo/stopped")) == 1, "the coroutine itself was cancelled"
    assert len(client.answers(running)) == 1
    order = [message.get("method", message.get("id")) for message in client.messages]
    assert order.index("demo/stopped") < order.index(running), "answered when it has ended, not before"


async def test_work_that_does_not_let_itself_be_cancelled_answers_with_its_result(client: LspClient) -> None:
    running = client.begin_request("workspace/executeCommand", command("demo.stubborn"))
    await client.notification("demo/started")
    client.notify("$/cancelRequest", {"id": running})
    assert await client.result(running) == "done all the same"
    await client.settle()
    assert len(client.answers(running)) == 1


async def test_a_request_that_is_cancelled_before_its_turn_is_not_run(client: LspClient) -> None:
    client.send(
        request("a", "demo/echo", {"it": "would be done at once"}),
        request("b", "demo/echo", {}),
        notification("$/cancelRequest", {"id": "a"}),
    )
    assert (await client.error("a")).code == CANCELLED
    assert await client.result("b") == {}
    assert len(client.answers("a")) == 1


async def test_an_id_may_be_used_again_after_its_cancel(client: LspClient) -> None:
    client.send(notification("$/cancelRequest", {"id": "a"}), request("a", "demo/echo", {"ran": True}))
    assert await client.result("a") == {"ran": True}


async def test_our_ids_and_the_clients_do_not_collide(client: LspClient) -> None:
    """Our first request has id 1, and so may a request of the client that runs meanwhile."""
    client.send(request(1, "demo/wait", {}))
    await client.notification("demo/started")
    client.reply_to("demo/question", lambda _: "fine")
    for _ in range(3):
        assert await client.request("workspace/executeCommand", command("demo.ask", "demo/question")) == "fine"
    client.notify("$/cancelRequest", {"id": 1})
    assert (await client.wait_for(lambda m: m.get("id") == 1 and "error" in m))["error"]["code"] == CANCELLED


async def test_progress_cancel_reaches_the_work(client: LspClient) -> None:
    for token in ("t", 7):
        running = client.begin_request("workspace/executeCommand", command("demo.progress", token))
        await client.notification("$/progress")
        client.notify("window/workDoneProgress/cancel", {"token": token})
        assert await client.result(running) == "cancelled by the user"


async def test_what_precedes_the_await_sees_the_documents_of_its_turn(client: LspClient) -> None:
    client.open(URI, "")
    client.send(request("then", "demo/then"), notification("textDocument/didSave", {"textDocument": {"uri": URI}}))
    assert await client.result("then") == [2, 3]


# -- requests of ours ------------------------------------------------------------------------------------------------


async def test_an_error_of_the_client_reaches_the_one_who_asked(client: LspClient) -> None:
    def refuse(_: Any) -> Any:
        raise LspError({"code": METHOD_NOT_FOUND, "message": "never heard of it"})

    client.reply_to("demo/question", refuse)
    refused = await client.error(client.begin_request("workspace/executeCommand", command("demo.ask", "demo/question")))
    assert (refused.code, refused.message) == (METHOD_NOT_FOUND, "never heard of it")


async def test_a_late_answer_is_ignored(client: LspClient) -> None:
    assert await client.request("workspace/executeCommand", command("demo.askBriefly")) == "no answer"
    asked = await client.wait_for(lambda m: m.get("method") == "demo/question")
    assert await client.notification("$/cancelRequest") == {"id": asked["id"]}
    before = len(client.messages)
    client.send({"jsonrpc": "2.0", "id": asked["id"], "result": "late"})
    client.send({"jsonrpc": "2.0", "id": "never asked", "error": {"code": 1, "message": "?"}})
    await client.settle()
    assert len(client.messages) == before + 1
    assert "Error" not in client.stderr


@pytest.mark.parametrize("error", [None, 5, {}, {"code": "x", "message": 3}])
async def test_a_malformed_error_of_the_client_is_an_error_all_the_same(client: LspClient, error: Any) -> None:
    asking = client.begin_request("workspace/executeCommand", command("demo.ask", "demo/question"))
    asked = await client.wait_for(lambda m: m.get("method") == "demo/question")
    client.send({"jsonrpc": "2.0", "id": asked["id"], "error": error} | ({} if error else {"result": 1}))
    if error is None:
        assert await client.result(asking) == 1
    else:
        assert "without saying why" in (await client.error(asking)).message


# -- the end ---------------------------------------------------------------------------------------------------------


async def test_exit_without_shutdown_is_code_1(client: LspClient) -> None:
    client.notify("exit")
    assert await client.exit_code() == 1


async def test_exit_before_initialize_is_code_1(raw: LspClient) -> None:
    raw.notify("exit")
    assert await raw.exit_code() == 1


async def test_shutdown_while_commands_run(client: LspClient) -> None:
    running = [client.begin_request("workspace/executeCommand", command("demo.wait", n)) for n in range(5)]
    stubborn = client.begin_request("workspace/executeCommand", command("demo.stubborn"))
    for _ in range(6):
        await client.notification("demo/started")
    assert await client.request("shutdown") is None
    assert [(await client.error(one)).code for one in running] == [CANCELLED] * 5
    assert await client.result(stubborn) == "done all the same"
    assert len(client.notifications("demo/stopped")) == 5
    client.notify("exit")
    assert await client.exit_code() == 0
    assert (await client.stderr_text()).count("on_shutdown") == 1


async def test_nothing_is_handled_after_exit(client: LspClient) -> None:
    client.send(notification("exit"), request("late", "demo/echo", {}))
    assert await client.exit_code() == 1
    with pytest.raises(ServerEndedError):
        await client.result("late")


async def test_the_end_of_stdin_ends_the_server(client: LspClient) -> None:
    running = client.begin_request("workspace/executeCommand", command("demo.wait", 1))
    await client.notification("demo/started")
    client.close_stdin()
    assert await client.exit_code() == 1
    assert (await client.error(running)).code == CANCELLED
    assert "on_shutdown" in await client.stderr_text()


async def test_the_end_of_stdin_after_shutdown_is_code_0(client: LspClient) -> None:
    await client.request("shutdown")
    client.close_stdin()
    assert await client.exit_code() == 0


async def test_the_end_of_the_clients_process_ends_the_server(raw: LspClient) -> None:
    """Somebody else keeps stdin open: this test."""
    editor = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    await raw.initialize(processId=editor.pid)
    await raw.settle()
    editor.send_signal(signal.SIGKILL)
    await editor.wait()
    assert await raw.exit_code() == 1


async def test_a_client_process_that_cannot_be_seen_is_not_watched(raw: LspClient) -> None:
    """The client's number may mean nothing here: it may live in another container."""
    editor = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await editor.wait()
    await raw.initialize(processId=editor.pid)
    assert await raw.shutdown_and_exit() == 0


@pytest.mark.parametrize("write", ["now", "later"])
async def test_a_closed_stdout_ends_the_server(write: str, tmp_path: Path) -> None:
    """It must not report the failure by writing, nor linger."""
    end_to_read, end_to_write = os.pipe()
    log = tmp_path / "stderr"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *DEMO, stdin=asyncio.subprocess.PIPE, stdout=end_to_write, stderr=stderr
        )
    os.close(end_to_write)
    os.close(end_to_read)
    assert process.stdin is not None
    if write == "now":
        body = json.dumps(request(1, "initialize", {"capabilities": {}})).encode()
        process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    async with asyncio.timeout(20):
        assert await process.wait() == 1
    assert log.read_bytes().count(b"Traceback") == 0
    process.stdin.close()


async def test_a_client_that_does_not_read_blocks_nobody() -> None:
    """Both sides write more than a pipe holds before either reads: a server that waits for its output hangs."""
    end_to_read, end_to_write = os.pipe()
    process = await asyncio.create_subprocess_exec(*DEMO, stdin=asyncio.subprocess.PIPE, stdout=end_to_write)
    os.close(end_to_write)
    assert process.stdin is not None
    floods = [request(n, "workspace/executeCommand", command("demo.flood", 3)) for n in range(1, 6)]
    big = request(6, "demo/echo", {"text": "y" * 2_000_000})
    async with asyncio.timeout(30):
        for message in (request(0, "initialize", {}), *floods, big, request(7, "shutdown")):
            body = json.dumps(message).encode()
            process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            await process.stdin.drain()
        process.stdin.close()
        with os.fdopen(end_to_read, "rb") as output:
            received = await asyncio.to_thread(output.read)
        assert await process.wait() == 0
    assert received.count(b"demo/flood") == 15
    assert b"y" * 2_000_000 in received


async def test_stdin_may_be_a_file_and_so_may_stdout(tmp_path: Path) -> None:
    messages = [
        request(1, "initialize", {"capabilities": {}}),
        request(2, "demo/echo", {"a": 1}),
        request(3, "shutdown"),
    ]
    bodies = [json.dumps(message).encode() for message in [*messages, notification("exit")]]
    given, got = tmp_path / "in", tmp_path / "out"
    given.write_bytes(b"".join(b"content-length:%d\r\nX: y\r\n\r\n%b" % (len(body), body) for body in bodies))
    with given.open("rb") as stdin, got.open("wb") as stdout:
        process = await asyncio.create_subprocess_exec(*DEMO, stdin=stdin, stdout=stdout)
    assert await process.wait() == 0
    assert b'"id":2,"result":{"a":1}' in got.read_bytes()
    assert b'"id":3,"result":null' in got.read_bytes()


async def test_an_empty_stdin_ends_the_server() -> None:
    process = await asyncio.create_subprocess_exec(
        *DEMO, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(20):
        assert await process.wait() == 1


async def test_a_failing_write_is_not_reported_by_a_write(caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody notices a closed output before it is written to: on Windows, for one."""

    class Closed:
        writes = 0

        def write(self, _: bytes) -> None:
            self.writes += 1
            raise BrokenPipeError

        def close(self) -> None:
            raise AssertionError("nothing is left to close")

    server, output = GoalmapServer("x", "1"), Closed()
    server.protocol.connected(output)
    for _ in range(3):
        server.notify("demo/note", {})
        server.protocol.handle_message(request(1, "no/such"))
    server.report_server_error(OSError("what pygls would pop up"), OSError)
    assert output.writes == 1
    assert caplog.text.count("does not read any more") == 1
