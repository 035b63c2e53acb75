"""A server under a hail of messages, right and wrong, many of them cancelled.

Every request is answered exactly once, and afterwards the server's view of the documents is the client's: what it says
of them is what a fresh server says of the same texts. GOALMAP_FUZZ_S sets how long it goes on; `make fuzz` takes two
minutes.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from goalmap.lsp import app
from goalmap.lsp.param_shapes import ANY, ARGUMENTS, ID, NATURAL, PARAMS
from support.lsp_client import LspClient

SECONDS = float(os.environ.get("GOALMAP_FUZZ_S", "6"))
SEED = int(os.environ.get("GOALMAP_FUZZ_SEED", "20261122"))
SERVER = [sys.executable, "-m", "goalmap", "lsp"]
MAP = {
    "T": {"DEBUG": {"persona": "p.txt", "constraints": ["c.txt", "x.txt"], "description": "ü😀"}},
    "R": {"persona": "q.txt", "template": "t.md"},
}
FILES = {
    "components/personas/p.txt": "You are P.\n",
    "components/constraints/c.txt": "No guessing.\r\nNone.\n",
    "components/templates/t.md": "{{ persona }} {{ x }}\n",
}
PIECES = ['"', "{", "}", "[", "]", ",", ":", "\n", "\r\n", "\r", "a", "ü", "😀", "\u2028", "\\", ' "k": "v.txt",', "\t"]
POSITIONED = ["hover", "completion", "definition", "references", "documentHighlight", "prepareRename"]
WHOLE = ["documentSymbol", "documentLink", "foldingRange", "selectionRange", "codeLens", "diagnostic"]
NONSENSE: list[Any] = [None, 3, "x", [], {}, {"textDocument": None}, {"textDocument": {"uri": 3}}, {"uri": "file:///x"}]
LINE_END = re.compile("\r\n|\r|\n")


class Document:
    """The client's own text, and positions in it."""

    def __init__(self, uri: str, text: str) -> None:
        self.uri, self.text, self.version = uri, text, 1

    def position(self, offset: int) -> dict[str, int]:
        lines = LINE_END.split(self.text[:offset])
        # Between \r and \n is no place of its own: it is the end of the line before.
        if self.text[offset - 1 : offset + 1] == "\r\n":
            return self.position(offset - 1)
        return {"line": len(lines) - 1, "character": len(lines[-1].encode("utf-16-le")) // 2}

    def edit(self, rng: random.Random) -> dict[str, Any]:
        start, end = sorted(min(rng.randint(0, len(self.text)), len(self.text)) for _ in range(2))
        end = min(end, start + rng.choice([0, 0, 1, 3, 40]))
        start, end = (offset - (self.text[offset - 1 : offset + 1] == "\r\n") for offset in (start, end))
        new = "".join(rng.choice(PIECES) for _ in range(rng.randint(0, 3)))
        change = {"range": {"start": self.position(start), "end": self.position(end)}, "text": new}
        self.text = self.text[:start] + new + self.text[end:]
        self.version += 1
        return change


def write_library(folder: Path) -> None:
    for path, text in {**FILES, "goal_map.json": json.dumps(MAP, indent=2, ensure_ascii=False)}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())


async def views(client: LspClient, documents: list[Document]) -> list[Any]:
    """Return what a server says of the documents."""
    found = []
    for document in documents:
        params = {"textDocument": {"uri": document.uri}}
        methods = ("documentSymbol", "documentLink", "foldingRange")
        found += [await client.request(f"textDocument/{method}", params) for method in methods]
        report = await client.request("textDocument/diagnostic", params)
        found.append([(d["code"], d["range"], d["message"]) for d in report["items"]])
    return found


CAPABILITIES = {
    "textDocument": {"diagnostic": {}, "documentSymbol": {"hierarchicalDocumentSymbolSupport": True}},
    "general": {"positionEncodings": ["utf-16"]},
}


async def test_every_request_is_answered_once_and_no_edit_is_lost(tmp_path: Path) -> None:
    write_library(tmp_path)
    rng = random.Random(SEED)
    texts = {**FILES, "goal_map.json": json.dumps(MAP, indent=2, ensure_ascii=False)}
    documents = [Document((tmp_path / path).as_uri(), text) for path, text in texts.items()]
    asked: list[int | str] = []
    answered: Counter[Any] = Counter()

    async def count_answers() -> None:
        await client.settle()
        answered.update(m["id"] for m in client.take_all() if "method" not in m and m.get("id") is not None)

    async with await LspClient.spawn(SERVER) as client:
        await client.initialize(CAPABILITIES, rootUri=tmp_path.as_uri())
        for document in documents:
            client.open(document.uri, document.text)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for _ in range(50):
                one_message(client, rng, rng.choice([documents[-1], *documents]), asked)
            await count_answers()
            if len(documents[-1].text) > 4000:  # keep it a map, more or less
                reset(client, documents[-1], texts["goal_map.json"])
        while any(answered[msg_id] == 0 for msg_id in asked):  # what takes longer; the test's own timeout ends it
            await client.wait_for(lambda m: "method" not in m)
            await count_answers()
        assert [msg_id for msg_id in asked if answered[msg_id] != 1] == []
        seen = await views(client, documents)
        assert await client.shutdown_and_exit() == 0
    async with await LspClient.spawn(SERVER) as fresh:
        await fresh.initialize(CAPABILITIES, rootUri=tmp_path.as_uri())
        for document in documents:
            fresh.open(document.uri, document.text)
        assert await views(fresh, documents) == seen
        assert await fresh.shutdown_and_exit() == 0
    assert len(asked) > SECONDS  # it did ask


def reset(client: LspClient, document: Document, text: str) -> None:
    document.text = text
    document.version += 1
    client.change(document.uri, document.version, {"text": text})


def one_message(client: LspClient, rng: random.Random, document: Document, asked: list[int | str]) -> None:
    kind = rng.random()
    identifier = {"textDocument": {"uri": document.uri}}
    if kind < 0.45:
        changes = [document.edit(rng) for _ in range(rng.randint(1, 3))]
        client.change(document.uri, document.version, *changes)
    elif kind < 0.75:
        position = document.position(rng.randint(0, len(document.text)))
        if rng.random() < 0.1:
            position = {"line": rng.choice([0, 10**6]), "character": 10**6}
        asked.append(
            client.begin_request(f"textDocument/{rng.choice(POSITIONED)}", {**identifier, "position": position})
        )
    elif kind < 0.85:
        place = document.position(rng.randint(0, len(document.text)))
        asked.append(client.begin_request(f"textDocument/{rng.choice(WHOLE)}", {**identifier, "positions": [place]}))
    elif kind < 0.92:
        method = rng.choice([*POSITIONED, *WHOLE, "codeAction", "rename"])
        method = rng.choice(
            [f"textDocument/{method}", "workspace/executeCommand", "goalmap/prompt", "command/resolve", "no/such"]
        )
        asked.append(client.begin_request(method, rng.choice(NONSENSE)))
    elif kind < 0.96:
        client.notify(rng.choice(["textDocument/didChange", "textDocument/didClose", "no/such"]), rng.choice(NONSENSE))
    else:
        client.send_body(rng.choice([b"{", b"[]", b"3", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"1.0","id":1}', b"\xff"]))
    if asked and rng.random() < 0.2:
        client.notify("$/cancelRequest", {"id": rng.choice(asked[-5:])})


# -- every method, with params that are nearly right ------------------------------------------------------------------
INTERNAL_ERROR = -32603
JSON_VALUES: list[Any] = [
    *[
        None,
        True,
        False,
        0,
        -1,
        3,
        2**31,
        10**30,
        0.5,
        "",
        "x",
        "\0",
        "\ud800",
        "//[",
        "a" * 5000,
        [],
        {},
        [[]],
        [None],
    ],
    *[{"uri": "file:///x"}, {"uri": "goalmap-prompt:////[?x"}, "file://[", "file:///%00", "untitled:x", ["a"] * 3000],
    *[json.loads("[" * 200 + "]" * 200), {"a": {"b": [1]}}, "components/../x", "autogen", "goalmap.undo"],
]


def served() -> list[str]:
    """Return every method and command that the server has a handler for, `exit` and what ends the session excepted."""
    protocol = app.build().protocol
    return sorted(protocol.shapes.keys() - {"initialize", "initialized", "shutdown"})


def example(rng: random.Random, shape: Any, texts: list[str], name: str = "") -> Any:
    """Return a value of `shape`, whose strings are such as the server knows where `name` says what they are."""
    if shape is str:
        likely = [text for text in texts if ("uri" in name.lower()) == text.startswith(("file:", "goalmap-prompt:"))]
        return rng.choice(likely)
    if shape in (int, NATURAL, ID):
        return rng.choice([0, 1, 2, 5, 40, 10**6])
    if shape is bool:
        return rng.random() < 0.5
    if shape is dict or shape is list:
        return shape()
    if shape == ANY:
        return rng.choice(JSON_VALUES)
    if isinstance(shape, tuple):
        return rng.choice(shape)
    if isinstance(shape, list):
        return [example(rng, shape[0], texts, name) for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    members = [(key.rstrip("?"), inner) for key, inner in shape.items() if key[-1] != "?" or rng.random() < 0.7]
    return {key: example(rng, inner, texts, key) for key, inner in members}


def spoilt(rng: random.Random, value: Any) -> Any:
    """Return `value` with one part of it exchanged for something else, left out, or added to."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        if rng.random() < 0.1:
            return {other: inner for other, inner in value.items() if other != key}
        return {**value, key: spoilt(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], spoilt(rng, value[at]), *value[at + 1 :]]
    return rng.choice(JSON_VALUES)


async def test_no_params_of_any_method_are_a_fault_of_ours(tmp_path: Path) -> None:
    """Whatever is wrong with a request, the answer says so, and names the member; a notification is dropped."""
    write_library(tmp_path)
    rng = random.Random(SEED)
    documents = [(tmp_path / path).as_uri() for path in ("goal_map.json", *FILES)]
    texts = [*documents, tmp_path.as_uri(), "p.txt", "x.txt", "T", "DEBUG", "persona", "constraints", "description"]
    texts += ["components/personas/p.txt", "components/constraints/new.txt", "goalmap.generateComponent", "1"]
    texts += [f"goalmap-prompt:{tmp_path}/goal_map.json?%5B%22T%22,%22DEBUG%22%5D", "goalmap.generateAll"]
    methods = served()
    asked: dict[int, tuple[str, Any]] = {}
    answered: Counter[int] = Counter()
    errors: list[Any] = []

    def take_answers() -> None:
        for message in client.take_all():
            if "method" not in message and message["id"] in asked:
                answered[message["id"]] += 1
                if "error" in message:
                    errors.append((asked[message["id"]], message["error"]))

    # A model that nobody runs: what is asked of it fails at once.
    env = {**os.environ, "GOALMAP_MODEL_BASE_URL": "http://127.0.0.1:9/v1", "HOME": str(tmp_path / "home")}
    async with await LspClient.spawn(SERVER, env=env) as client:
        client.reply_to("window/showMessageRequest", lambda _: None)
        client.reply_to("workspace/applyEdit", lambda _: {"applied": False})
        await client.initialize({**CAPABILITIES, "workspace": {"applyEdit": True}}, rootUri=tmp_path.as_uri())
        text = (tmp_path / "goal_map.json").read_text()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            client.open(documents[0], text)
            for _ in range(50):
                method = rng.choice(methods)
                params = example(rng, {**PARAMS, **ARGUMENTS}[method], texts)
                params = spoilt(rng, params) if rng.random() < 0.7 else params
                if isinstance({**PARAMS, **ARGUMENTS}[method], list):  # a command
                    method, params = "workspace/executeCommand", {"command": method, "arguments": params}
                if rng.random() < 0.2:
                    client.notify(method, params)
                else:
                    asked[client.begin_request(method, params)] = method, params
            # What has begun to generate would only keep the rest waiting.
            cancel = {"command": "goalmap.cancelGeneration", "arguments": []}
            asked[client.begin_request("workspace/executeCommand", cancel)] = "workspace/executeCommand", cancel
            await client.settle()
            take_answers()
        while asked.keys() - answered.keys():  # what takes longer; the test's own timeout ends it
            await client.wait_for(lambda m: "method" not in m)
            take_answers()
        assert [asked[number] for number in asked if answered[number] != 1] == []
        assert {error["message"]: sent for sent, error in errors if error["code"] == INTERNAL_ERROR} == {}
        assert 0 < len(errors) < len(asked), "some were wrong, and some were right"
        assert await client.shutdown_and_exit() == 0
        assert "Traceback" not in await client.stderr_text()
