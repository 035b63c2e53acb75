"""Clients that keep one file open and behave, where it matters to a commit, like the editors that people use.

What differs between editors: whether a clean buffer follows the disk by itself, when the server hears of a change, and
what becomes of an edit that the server asks for. Here each of these is a switch; `Behaviour` has the usual ones.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from support.lsp_client import LspClient, LspError
from support.scene import SERVER, Scene, argument, environment

if TYPE_CHECKING:
    from collections.abc import Callable

Json = Any
GENERATE: Final = "goalmap.generateComponent"
REQUEST_FAILED: Final = -32803


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How an editor differs.

    `reloads`: it declares that clean buffers follow the disk, and they do: by themselves (`itself`), or when the
    server says what it wrote (`glue`). `versioned`: it knows versions, and refuses an edit for another one.
    `edits`: what becomes of an edit. `apply`: it is made and announced. `late`: it is made, and announced only by
    `announce`. `lie`: the answer is that it was applied, and nothing is done. `refuse`, `fail`: it says no, or answers
    with an error. `silent`: it does not answer.
    """

    reloads: Literal["itself", "glue"] | None = None
    versioned: bool = True
    edits: Literal["apply", "late", "lie", "refuse", "fail", "silent"] = "apply"
    asks: bool = True
    leaves_messages: bool = False  # one with buttons stays on the screen, and nobody presses any

    @property
    def capabilities(self) -> Json:
        """What such an editor declares."""
        experimental: Json = {}
        if self.reloads is not None:
            experimental["goalmap"] = {"reloadsCleanFiles": True, "showsGenerated": True}
        if self.asks:
            experimental["interactiveResolve"] = {"inputTypes": ["string"]}
        return {
            "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": self.versioned}},
            "window": {"workDoneProgress": True, **({"showMessage": {}} if self.leaves_messages else {})},
            "experimental": experimental,
        }

    def but(self, **changes: Any) -> Behaviour:
        """Return it with some switches changed."""
        return dataclasses.replace(self, **changes)


VSCODE: Final = Behaviour(reloads="itself")
NEOVIM: Final = Behaviour(reloads="glue")
# eglot has the buffer's changes wait for half a second of rest, also those that the server asked for.
EMACS: Final = Behaviour(reloads="glue", edits="late")
PLAIN: Final = Behaviour(asks=False)


class RawEditor:
    """An editor that has a library's map open."""

    def __init__(self, client: LspClient, scene: Scene, behaviour: Behaviour) -> None:
        self.client = client
        self.scene = scene
        self.behaviour = behaviour
        self.text = scene.map_text()
        self.version = 1
        self.is_open = False
        self.is_modified = False
        self.asked: list[tuple[int | None, str]] = []  # the edits that came: the version they are for, the new text
        self.before_edit: Callable[[], None] = lambda: None  # what the user does while an edit is on its way
        self._unannounced = False
        client.reply_to("window/workDoneProgress/create", lambda _: None)
        client.reply_to("window/showDocument", lambda _: {"success": True})
        if not behaviour.leaves_messages:
            client.reply_to("window/showMessageRequest", lambda _: None)
        if behaviour.edits != "silent":
            client.reply_to("workspace/applyEdit", self._apply)

    @classmethod
    async def start(
        cls, scene: Scene, behaviour: Behaviour, *, base_url: str | None, home: Path, **initialize: Json
    ) -> Self:
        """Start a server for an editor, and open the map."""
        client = await LspClient.spawn(SERVER, env=environment(base_url, home))
        editor = cls(client, scene, behaviour)
        folders = [{"uri": scene.root.as_uri(), "name": "library"}]
        await client.initialize(behaviour.capabilities, workspaceFolders=folders, **initialize)
        editor.open()
        return editor

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.__aexit__()

    # -- the user ------------------------------------------------------------------------------------------------------
    def open(self) -> None:
        """Open the map as it is on disk."""
        self.text = self.scene.map_text()
        self.version += 1
        self.is_open, self.is_modified = True, False
        self.client.open(self.scene.uri, self.text, version=self.version)

    def type(self, old: str, new: str, *, announce: bool = True) -> None:
        """Replace `old`, which is there once, by `new`."""
        assert self.text.count(old) == 1, (old, self.text)
        self.text = self.text.replace(old, new)
        self.is_modified = True
        self.version += 1
        self._unannounced = True
        if announce:
            self.announce()

    def announce(self) -> None:
        """Tell the server what the buffer holds by now, if it does not know."""
        if self._unannounced:
            self._unannounced = False
            self.client.change(self.scene.uri, self.version, {"text": self.text})

    def save(self) -> None:
        """Write the buffer to disk."""
        self.announce()
        self.scene.map.write_bytes(self.text.encode())
        self.is_modified = False
        self.client.save(self.scene.uri)

    def close(self) -> None:
        """Close the map; what was not saved is gone."""
        self._unannounced = False
        self.is_open = self.is_modified = False
        self.client.close(self.scene.uri)

    def reload(self) -> None:
        """Take over what is on disk, as an editor does with a clean buffer."""
        if self.is_open and not self.is_modified and self.text != self.scene.map_text():
            self.text = self.scene.map_text()
            self.version += 1
            self._unannounced = True
            self.announce()

    # -- generating ----------------------------------------------------------------------------------------------------
    async def generate(self, **more: Json) -> str:
        """Start the generation of the missing component, and return its job."""
        told = argument(self.scene, **{"description": "root cause analysis of production incidents", **more})
        answer = await self.execute(GENERATE, told)
        return str(answer["job"])

    async def execute(self, command: str, *arguments: Json) -> Json:
        """Run a command of the server's."""
        return await self.client.request("workspace/executeCommand", {"command": command, "arguments": list(arguments)})

    async def outcome(self, job: str) -> Json:
        """Wait for the end of a job, as `goalmap/generated` tells it; take over what was written."""
        ended = await self.client.notification("goalmap/generated", lambda params: params["job"] == job)
        if self.behaviour.reloads is not None:
            self.reload()
        return ended

    async def diagnostics(self, accept: Callable[[list[str]], bool]) -> list[Json]:
        """Wait until the codes that the map is marked with are accepted, and return the marks."""
        wanted = self.scene.uri

        def fits(params: Json) -> bool:
            return params["uri"] == wanted and accept([mark["code"] for mark in params["diagnostics"]])

        return (await self.client.notification("textDocument/publishDiagnostics", fits))["diagnostics"]  # type: ignore[no-any-return]

    async def marked(self, code: str) -> list[Json]:
        """Wait for a mark."""
        return await self.diagnostics(lambda codes: code in codes)

    async def clean(self) -> None:
        """Wait until nothing is marked."""
        await self.diagnostics(lambda codes: not codes)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Look again until `holds`, at the pace of the server's answers."""
        async with asyncio.timeout(20):
            while not holds():
                await self.client.settle()

    # -- the server's edits --------------------------------------------------------------------------------------------
    def _apply(self, params: Json) -> Json:
        version, changes = self._changes(params["edit"])
        self.asked.append((version, "".join(change["newText"] for change in changes)))
        self.before_edit()
        if self.behaviour.edits == "fail":
            raise LspError({"code": REQUEST_FAILED, "message": "not now"})
        if self.behaviour.edits == "refuse" or (self.behaviour.versioned and version != self.version):
            return {"applied": False, "failureReason": "the document has changed"}
        if self.behaviour.edits != "lie":
            lines = self.text.splitlines(keepends=True)
            for change in changes:
                start, end = change["range"]["start"], change["range"]["end"]
                assert start["line"] == end["line"], "a reference is a string on one line"
                line = lines[start["line"]]
                lines[start["line"]] = line[: start["character"]] + change["newText"] + line[end["character"] :]
            self.text = "".join(lines)
            self.version += 1
            self.is_modified = self._unannounced = True
            if self.behaviour.edits != "late":
                self.announce()
        return {"applied": True}

    def _changes(self, edit: Json) -> tuple[int | None, list[Json]]:
        if self.behaviour.versioned:
            (change,) = edit["documentChanges"]
            assert change["textDocument"]["uri"] == self.scene.uri
            return change["textDocument"]["version"], change["edits"]
        assert edit.keys() == {"changes"}
        return None, edit["changes"][self.scene.uri]


def path_of(uri: str) -> Path:
    """Return the path of a file's URI."""
    return Path(unquote(urlsplit(uri).path))
