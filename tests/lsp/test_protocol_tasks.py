"""Work that is cancelled, requests of the server, and every way in which a session ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from goalmap.lsp.endpoint import GoalmapServer
from support.demo import (
    CANCELLED,
    DEMO,
    METHOD_NOT_FOUND,
    URI,
    command,
)
from support.lsp_client import LspClient, LspError, ServerEndedError, notification, request

if TYPE_CHECKING:
    pass


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


async def test_requests_of_ours_are_given_up_when_the_client_shuts_down(client: LspClient) -> None:
    """It answers none of them any more: neither what it was asked before, nor what the end would ask it."""
    client.notify("demo/askTwice", {})
    asked = await client.wait_for(lambda m: m.get("method") == "demo/question")
    assert await client.request("shutdown") is None
    assert await client.notification("$/cancelRequest") == {"id": asked["id"]}
    for _ in range(2):
        assert await client.notification("demo/refused") == {"code": CANCELLED}
    assert [m.get("method") for m in client.messages].count("demo/question") == 1
    client.send({"jsonrpc": "2.0", "id": asked["id"], "result": "late"})
    client.notify("exit")
    assert await client.exit_code() == 0
    assert "Error" not in await client.stderr_text()


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
        for message in (request(0, "initialize", {"capabilities": {}}), *floods, big, request(7, "shutdown")):
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


def test_a_failing_write_is_not_reported_by_a_write(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody notices a closed output before it is written to: on Windows, for one."""

    class Closed:
        writes = 0

        def write(self, _: bytes) -> None:
            self.writes += 1
            raise BrokenPipeError

        def close(self) -> None:
            raise AssertionError("nothing is left to close")

    server, output = GoalmapServer("x", "1"), Closed()
    exit_codes: list[int] = []
    monkeypatch.setattr(server, "stop", exit_codes.append)
    server.protocol.set_writer(output)
    for _ in range(3):
        server.notify("demo/note", {})
        server.protocol.handle_message(request(1, "no/such"))
    server.report_server_error(OSError("what pygls would pop up"), OSError)
    assert output.writes == 1
    assert caplog.text.count("does not read any more") == 1
    assert exit_codes == [1]


def test_a_fault_is_said_in_the_log_and_pops_up_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    class Open:
        sent = b""

        def write(self, data: bytes) -> None:
            self.sent += data

        def close(self) -> None:
            raise AssertionError("nothing was to be closed")

    server, output = GoalmapServer("x", "1"), Open()
    server.protocol.set_writer(output)
    server.report_server_error(OSError("what pygls would pop up"), OSError)
    assert output.sent == b""
    assert "what pygls would pop up" in caplog.text
