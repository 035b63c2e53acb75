"""Libraries on paper, and an editor that works on them with the real server in the same process.

A paper is the files of a workspace in one string:

    -- goal_map.json --
    {"DEBUG": {"protocol": "dr$0ill.txt"}}
    -- components/protocols/drill.txt --
    Ask why, five times.

`$0` is the cursor; its file is opened. `⟦…⟧` marks ranges of a file. After a file's name, `(unsaved)` gives the text
that the editor has open while the disk holds another one or none, `(open)` opens the file as it is, and `(crlf)` gives
it Windows line ends. All of it is taken out before the server sees anything.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import quote, unquote, urlsplit

from goalmap.lsp import app
from support.lsp_client import LspError

Json = Any
Encoding = Literal["utf-8", "utf-16", "utf-32"]
TIMEOUT_S = 20.0
ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")

CASES = Path(__file__).parents[1] / "cases"

_HEAD = re.compile(r"^-- (?P<path>\S+?)(?P<flags>(?: \(\w+\))*) --\n", re.MULTILINE)
_MARK = re.compile(r"\$0|⟦|⟧")
_LINE_END = re.compile(r"\r\n|\r|\n")
_UNIT_BYTES = {"utf-8": 1, "utf-16": 2, "utf-32": 4}
_CODEC = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}

# What a capable editor declares; a test takes from it what its editor lacks.
FULL_CLIENT: Json = {
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True}},
        "definition": {"linkSupport": True},
        "documentLink": {"tooltipSupport": True},
        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
        "rename": {"prepareSupport": True},
    },
    "workspace": {
        "workspaceEdit": {"documentChanges": True, "resourceOperations": ["create", "rename", "delete"]},
        "fileOperations": {"willRename": True, "didRename": True},
        "textDocumentContent": {},
        "codeLens": {"refreshSupport": True},
        "inlayHint": {"refreshSupport": True},
    },
}


class Place(NamedTuple):
    """A file of the paper and an offset in it, in code points."""

    path: str
    offset: int


@dataclass
class Paper:
    """A workspace, read from a string."""

    on_disk: dict[str, str] = field(default_factory=dict)
    opened: dict[str, str] = field(default_factory=dict)
    cursor: Place | None = None
    ranges: list[tuple[str, int, int]] = field(default_factory=list)


def read_paper(text: str) -> Paper:
    """Return the files and marks of a paper."""
    paper = Paper()
    heads = list(_HEAD.finditer(text))
    assert heads, "a paper begins with the name of a file: -- goal_map.json --"
    for number, head in enumerate(heads):
        body = text[head.end() : heads[number + 1].start() if number + 1 < len(heads) else len(text)]
        if "(crlf)" in head["flags"]:
            body = body.replace("\n", "\r\n")
        path = head["path"]
        content, cursor, ranges = _without_marks(body)
        paper.ranges += [(path, start, end) for start, end in ranges]
        if cursor is not None:
            paper.cursor = Place(path, cursor)
        if "(unsaved)" in head["flags"]:
            paper.opened[path] = content
        else:
            paper.on_disk[path] = content
            if cursor is not None or "(open)" in head["flags"]:
                paper.opened.setdefault(path, content)
    return paper


def _without_marks(body: str) -> tuple[str, int | None, list[tuple[int, int]]]:
    kept: list[str] = []
    length = 0
    at = 0
    cursor = None
    opened: list[int] = []
    ranges: list[tuple[int, int]] = []
    for mark in _MARK.finditer(body):
        kept.append(body[at : mark.start()])
        length += mark.start() - at
        at = mark.end()
        if mark[0] == "$0":
            cursor = length
        elif mark[0] == "⟦":
            opened.append(length)
        else:
            ranges.append((opened.pop(), length))
    kept.append(body[at:])
    return "".join(kept), cursor, sorted(ranges)


def paper_names() -> list[str]:
    """Return the names of the papers that tests share."""
    return sorted(path.stem for path in CASES.glob("*.paper"))


def paper_text(name: str) -> str:
    """Return a shared paper."""
    return (CASES / f"{name}.paper").read_bytes().decode()


class Editor:
    """An editor without a screen: it has a paper's files open, asks the server, and applies what comes back."""

    def __init__(
        self,
        folder: Path,
        paper: str,
        *,
        encoding: Encoding = "utf-16",
        capabilities: Json = None,
        client_name: str = "Paper",
        options: Json = None,
        roots: Sequence[str] = ("",),
        patience_s: float | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.encoding = encoding
        self.paper = read_paper(paper)
        self.messages: list[Json] = []
        self._ids = 0
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._versions: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        for path, text in self.paper.on_disk.items():
            self.write(path, text)
        self.server = app.build()
        self.session: Any = self.server.hooks
        # What a disk that is not slow does at once must not depend on how busy the machine is.
        self.session.disk_access.patience.limit_s = TIMEOUT_S if patience_s is None else patience_s
        self.server.protocol.set_writer(_Output(self))
        capabilities = FULL_CLIENT if capabilities is None else capabilities
        self.capabilities = {**capabilities, "general": {"positionEncodings": [encoding]}}
        self.advertised = self.request(
            "initialize",
            {
                "processId": None,
                "rootUri": None,
                "workspaceFolders": [{"uri": self.uri(root), "name": root} for root in roots],
                "clientInfo": {"name": client_name},
                "capabilities": self.capabilities,
                "initializationOptions": options,
            },
        )["capabilities"]
        # What `initialized` starts in the background, done before the first request.
        self._loop.run_until_complete(self.session.discover(_take))
        for path, text in self.paper.opened.items():
            self.open(path, text)

    # -- files ---------------------------------------------------------------------------------------------------------
    def full(self, path: str) -> Path:
        """Return where a file of the paper is."""
        return self.folder / path

    def write(self, path: str, text: str) -> None:
        """Put a file on disk, behind the editor's back."""
        self.full(path).parent.mkdir(parents=True, exist_ok=True)
        self.full(path).write_bytes(text.encode())

    def uri(self, path: str) -> str:
        """Return the URI of a file of the paper."""
        return "file://" + quote(str(self.folder / path) if path else str(self.folder))

    def path(self, uri: str) -> str:
        """Return the file of the paper that a URI names."""
        return Path(unquote(urlsplit(uri).path)).relative_to(self.folder).as_posix()

    def text(self, path: str) -> str:
        """Return a file's text as the editor has it, else as it is on disk."""
        return self.texts[path] if path in self.texts else self.full(path).read_bytes().decode()

    def open(self, path: str, text: str | None = None) -> None:
        """Open a file with its text on disk, or with an unsaved one."""
        self.texts[path] = self.text(path) if text is None else text
        self._versions[path] = 1
        language = "json" if path.endswith(".json") else "plaintext"
        document = {"uri": self.uri(path), "languageId": language, "version": 1, "text": self.texts[path]}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def type(self, path: str, start: int, end: int, text: str) -> None:
        """Replace code points `start` to `end` of an open file, and tell the server."""
        old = self.texts[path]
        self.texts[path] = old[:start] + text + old[end:]
        self._versions[path] += 1
        change = {"range": {"start": self.position(old, start), "end": self.position(old, end)}, "text": text}
        document = {"uri": self.uri(path), "version": self._versions[path]}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})

    # -- places --------------------------------------------------------------------------------------------------------
    def position(self, text: str, offset: int) -> Json:
        """Return the protocol's position of a code point offset in `text`."""
        ends = [match.end() for match in _LINE_END.finditer(text) if match.end() <= offset]
        start = ends[-1] if ends else 0
        units = len(text[start:offset].encode(_CODEC[self.encoding], "surrogatepass")) // _UNIT_BYTES[self.encoding]
        return {"line": len(ends), "character": units}

    def offset(self, text: str, position: Json) -> int:
        """Return the code point offset of a position; it must be one that `text` has."""
        starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        start = starts[position["line"]]
        line = _LINE_END.split(text[start:], maxsplit=1)[0]
        data = line.encode(_CODEC[self.encoding], "surrogatepass")
        size = position["character"] * _UNIT_BYTES[self.encoding]
        assert size <= len(data), f"{position} is behind the end of its line {line!r}"
        return start + len(data[:size].decode(_CODEC[self.encoding], "surrogatepass"))

    def under(self, path: str, range_: Json) -> str:
        """Return the text of a range."""
        text = self.text(path)
        return text[self.offset(text, range_["start"]) : self.offset(text, range_["end"])]

    def span(self, path: str, range_: Json) -> tuple[str, int, int]:
        """Return a range as the paper marks them."""
        text = self.text(path)
        return path, self.offset(text, range_["start"]), self.offset(text, range_["end"])

    @property
    def here(self) -> Json:
        """`textDocument` and `position` of the cursor."""
        assert self.paper.cursor is not None, "the paper has no $0"
        return self.at(*self.paper.cursor)

    def at(self, path: str, offset: int) -> Json:
        """Return `textDocument` and `position` of a place."""
        return {**self.document(path), "position": self.position(self.text(path), offset)}

    def document(self, path: str) -> Json:
        """Return `textDocument` of a file."""
        return {"textDocument": {"uri": self.uri(path)}}

    # -- messages ------------------------------------------------------------------------------------------------------
    def request(self, method: str, params: Json = None) -> Json:
        """Send a request and return its result; raise LspError for an error."""
        return self.result(self.begin(method, params))

    def begin(self, method: str, params: Json = None) -> int:
        """Send a request, and return its number at once."""
        self._ids += 1
        self._send({"id": self._ids, "method": method, "params": params})
        return self._ids

    def result(self, number: int) -> Json:
        """Wait for the answer to a request and return its result; raise LspError for an error."""
        answer = self._loop.run_until_complete(self._answer(number))
        if "error" in answer:
            raise LspError(answer["error"])
        return answer["result"]

    def is_answered(self, number: int) -> bool:
        """Whether the answer to a request has come."""
        return any(message.get("id") == number and "method" not in message for message in self.messages)

    def hear(self, method: str, accept: Callable[[Json], bool]) -> Json:
        """Wait for a notification of the server that `accept`s, and return its params; forget those before it."""

        async def wait() -> Json:
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    for params in self.received(method):
                        if accept(params):
                            return params
                    self._news.clear()
                    await self._news.wait()

        return self._loop.run_until_complete(wait())

    async def _answer(self, msg_id: int) -> Json:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                for message in self.messages:
                    if message.get("id") == msg_id and "method" not in message:
                        self.messages.remove(message)
                        return message
                self._news.clear()
                await self._news.wait()

    def notify(self, method: str, params: Json = None) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def received(self, method: str) -> list[Json]:
        """Return the params of all requests and notifications `method` of the server so far, and forget them."""
        found = [message for message in self.messages if message.get("method") == method]
        for message in found:
            self.messages.remove(message)
        return [message.get("params") for message in found]

    def let_settle(self) -> None:
        """Let the server finish what it does in the background."""

        async def settle() -> None:
            async with asyncio.timeout(TIMEOUT_S):
                while others := asyncio.all_tasks() - {asyncio.current_task()}:
                    await asyncio.wait(others)

        self._loop.run_until_complete(settle())

    def _send(self, message: Json) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()

        async def deliver() -> None:
            self.server.protocol.receive([body])

        self._loop.run_until_complete(deliver())

    def heard(self, message: Json) -> None:
        """Take a message of the server."""
        self.messages.append(message)
        self._news.set()

    def close(self) -> None:
        """End what the server still does."""
        self._loop.run_until_complete(self.server.protocol.cancel_all(TIMEOUT_S))
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- edits ---------------------------------------------------------------------------------------------------------
    def apply(self, edit: Json) -> None:
        """Make a WorkspaceEdit: in open files as typing, in others on disk; rename files."""
        for change in _changes(edit):
            if change.get("kind") == "rename":
                self._rename(self.path(change["oldUri"]), self.path(change["newUri"]))
                continue
            assert "kind" not in change, change
            path = self.path(change["textDocument"]["uri"])
            version = change["textDocument"].get("version")
            assert version in (None, self._versions.get(path)), "the edit is for another version"
            self.apply_to(path, change["edits"])

    def apply_to(self, path: str, edits: Json) -> None:
        """Make TextEdits, which must not overlap."""
        text = self.text(path)
        spans = sorted(
            (self.offset(text, edit["range"]["start"]), self.offset(text, edit["range"]["end"]), edit["newText"])
            for edit in edits
        )
        assert all(one[1] <= two[0] for one, two in pairwise(spans)), "edits overlap"
        for start, end, new in reversed(spans):
            if path in self.texts:
                self.type(path, start, end, new)
            else:
                text = text[:start] + new + text[end:]
                self.write(path, text)

    def _rename(self, old: str, new: str) -> None:
        assert not self.full(new).exists(), f"{new} exists"
        self.full(new).parent.mkdir(parents=True, exist_ok=True)
        self.full(old).rename(self.full(new))


def _changes(edit: Json) -> Iterator[Json]:
    for uri, edits in edit.get("changes", {}).items():
        yield {"textDocument": {"uri": uri}, "edits": edits}
    yield from edit.get("documentChanges", [])


async def _take(_: object) -> None:
    """Take in a library that was found, and do no more."""


class _Output:
    """Takes what the server writes."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    def write(self, data: bytes) -> None:
        """Hand the message on: the server writes each one whole."""
        self._editor.heard(json.loads(data.split(b"\r\n\r\n", 1)[1]))
