"""The smallest server on the protocol layer that uses all of it: documents are whole texts, a "TODO" is a fault."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

from pygls.exceptions import JsonRpcException

from goalmap.lsp import stdio
from goalmap.lsp.endpoint import GoalmapServer, Hooks, RequestFailed

Params = dict[str, Any]


class Documents(Hooks):
    """Keeps open texts and publishes where "TODO" stands, when the input is drained."""

    def __init__(self, server: GoalmapServer) -> None:
        self.server = server
        self.texts: dict[str, str] = {}
        self.dirty: set[str] = set()
        self.heard: list[list[Any]] = []
        self.client: Any = {}

    def on_initialize(self, params: Any) -> None:
        self.client = params["capabilities"]

    def on_initialized(self) -> None:
        self.heard.append(["initialized"])

    def on_open(self, uri: str, language_id: str, version: int, text: str) -> None:
        self.heard.append(["open", uri, language_id, version])
        self.texts[uri] = text
        self.dirty.add(uri)

    def on_change(self, uri: str, version: int, content_changes: list[Params]) -> None:
        self.heard.append(["change", uri, version, content_changes])
        for change in content_changes:
            self.texts[uri] = change["text"] if "range" not in change else self.texts[uri] + change["text"]
        self.dirty.add(uri)

    def on_close(self, uri: str) -> None:
        self.heard.append(["close", uri])
        del self.texts[uri]

    def on_save(self, uri: str, text: str | None) -> None:
        self.heard.append(["save", uri, text])

    def on_idle(self) -> None:
        for uri in sorted(self.dirty):
            body = b'{"uri":%b,"diagnostics":%b}' % (json.dumps(uri).encode(), self.diagnostics(uri))
            self.server.notify("textDocument/publishDiagnostics", body)
        self.dirty.clear()

    def on_shutdown(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write("on_shutdown\n")

    def diagnostics(self, uri: str) -> bytes:
        """Return the diagnostics of a text, ready to send."""
        found = [
            {"range": span(line, text.index("TODO"), 4), "message": "to do"}
            for line, text in enumerate(self.texts.get(uri, "").split("\n"))
            if "TODO" in text
        ]
        return json.dumps(found).encode()


def span(line: int, start: int, length: int) -> Params:
    """Return a range on one line."""
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": start + length}}


def build() -> GoalmapServer:  # noqa: PLR0915  a list of features, one after the other
    """Return the server with its features."""
    server = GoalmapServer("demo", "1.2.3")
    documents = Documents(server)
    server.hooks = documents
    server.advertise({"experimental": {"demo": True}, "workspace": {"textDocumentContent": {"schemes": ["demo"]}}})
    server.advertise(
        {
            "hoverProvider": True,
            "diagnosticProvider": {"interFileDependencies": True, "workspaceDiagnostics": False},
        }
    )
    rename = {"renameProvider": {"prepareProvider": True}}
    server.advertise(lambda: rename if documents.client.get("textDocument") else {})

    @server.request("textDocument/hover")
    def hover(params: Params) -> Params | None:
        line = params["position"]["line"]
        lines = documents.texts[params["textDocument"]["uri"]].split("\n")
        return {"contents": lines[line]} if line < len(lines) else None

    @server.request("textDocument/diagnostic")
    def pull(params: Params) -> bytes:
        return b'{"kind":"full","items":%b}' % documents.diagnostics(params["textDocument"]["uri"])

    @server.request("textDocument/codeAction")
    def code_action(params: Params) -> list[Any]:
        return [{"title": str(code)} for code in params["context"]["diagnostics"]]

    @server.request("demo/echo", shape={})
    def echo(params: Params) -> Params:
        return params

    @server.request("demo/heard", shape={})
    def heard(_: Params) -> list[Any]:
        return documents.heard

    @server.request("demo/then", shape={})
    def then(_: Params) -> Any:
        count_then = len(documents.heard)

        async def later() -> list[int]:
            await asyncio.sleep(0)
            return [count_then, len(documents.heard)]

        return later()

    @server.request("demo/fail", shape={})
    def fail(params: Params) -> None:
        if params.get("wanted"):
            raise RequestFailed("No luck. Try again.", data={"try": "again"})
        raise ZeroDivisionError("a fault of ours")

    @server.request("demo/surrogate", shape={})
    def surrogate(_: Params) -> str:
        return "\ud800"

    @server.request("demo/unencodable", shape={})
    def unencodable(_: Params) -> Any:
        return object()

    @server.notification("demo/note", shape={})
    def note(params: Params) -> None:
        server.notify("demo/noted", params)

    @server.notification("demo/crash", shape={})
    async def crash(_: Params) -> None:
        raise ZeroDivisionError("a fault of ours")

    async def wait(arguments: list[Any]) -> None:
        server.notify("demo/started", arguments)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            server.notify("demo/stopped", arguments)

    server.command("demo.wait", shape=list)(wait)
    server.request("demo/wait", shape={})(lambda params: wait([params]))

    @server.command("demo.echo", shape=list)
    def echo_command(arguments: list[Any]) -> list[Any]:
        return arguments

    @server.command("demo.stubborn", shape=list)
    async def stubborn(_: list[Any]) -> str:
        server.notify("demo/started")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return "done all the same"

    @server.command("demo.ask", shape=list)
    async def ask(arguments: list[Any]) -> Any:
        return await server.ask(*arguments)

    @server.command("demo.askBriefly", shape=list)
    async def ask_briefly(_: list[Any]) -> str:
        try:
            return str(await server.ask("demo/question", timeout_s=0.01))
        except TimeoutError:
            return "no answer"

    @server.notification("demo/askTwice", shape={})
    async def ask_twice(_: Params) -> None:
        for _ in range(2):
            try:
                await server.ask("demo/question")
            except JsonRpcException as error:
                server.notify("demo/refused", {"code": error.code})

    @server.command("demo.progress", shape=list)
    async def progress(arguments: list[Any]) -> str:
        (token,) = arguments
        work = asyncio.current_task()
        assert work is not None
        server.on_progress_cancel(token, work.cancel)
        server.notify("$/progress", {"token": token, "value": {"kind": "begin", "title": "Waiting"}})
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "cancelled by the user"
        return "unreachable"

    @server.command("demo.flood", shape=list)
    def flood(arguments: list[Any]) -> int:
        (count,) = arguments
        filler = b'{"filler":"%b"}' % (b"x" * 100_000)
        for _ in range(count):
            server.notify("demo/flood", filler)
        return int(count)

    return server


def main() -> int:
    """Serve on stdio, or on a port of the loopback with --tcp."""
    server = build()
    if "--tcp" in sys.argv:
        announce = lambda host, port: print(host, port, flush=True)  # noqa: E731, T201
        return server.serve(lambda: stdio.accept_one("127.0.0.1", 0, announce))
    return server.serve(stdio.open_stdio)


if __name__ == "__main__":
    sys.exit(main())
