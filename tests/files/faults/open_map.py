"""A user who has the map open in an editor, while servers, a command line and another editor write it.

The buffer outlives the servers. As careful editors do, this one reloads a buffer without changes when the disk has
another version, and saves only over the version that it has loaded; otherwise it takes what was changed here over to
what is there now.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import random

    from support.lsp_client import LspClient

    from .crowd import Crowd

# Whether a server's editor has the map open, and whether its user has always changed something.
View: TypeAlias = Literal["closed", "clean", "dirty"]
LOOK_S = 0.02
LONGEST_BEFORE_SAVE_S = 0.4
THROWN_AWAY = 0.1  # how often, instead of saved


class OpenMap:
    """The map in one editor, and what its user does with it."""

    def __init__(self, crowd: Crowd, number: int, rng: random.Random, *, reloads: bool) -> None:
        self.crowd, self.number, self.rng, self.reloads = crowd, number, rng, reloads
        self.base = crowd.map.read_bytes()  # what was loaded or saved last
        self.text = self.base.decode()
        self.version = 1
        self.typed = self.saved = 0  # what the user counts up, here and on disk
        self.changes: list[tuple[str, str]] = []  # lines, before and after, that are not on disk
        self._is_clean = asyncio.Event()
        self._client: LspClient | None = None

    @property
    def capabilities(self) -> dict[str, Any]:
        """What the editor declares."""
        glue = {"showsGenerated": True, "reloadsCleanFiles": self.reloads}
        edits = {"applyEdit": True, "workspaceEdit": {"documentChanges": True}}
        return {"workspace": edits, "experimental": {"goalmap": glue}}

    def open(self, client: LspClient) -> None:
        """Have a server, from now on: perhaps the next one, the buffer being what it was."""
        self._client = client
        client.reply_to("workspace/applyEdit", self._apply)
        client.open(self.crowd.map.as_uri(), self.text, version=self.version)

    def lose_server(self) -> None:
        """Have none, until the next one."""
        self._client = None

    def _server(self) -> LspClient | None:
        """Return the server, if it lives, as far as anybody knows."""
        client = self._client
        return client if client is not None and client.process.returncode is None else None

    def type(self) -> None:
        """Count up by hand."""
        self.typed += 1
        self._change(rf'"note{self.number}": "\d{{6}}"', f'"note{self.number}": "{self.typed:06d}"')

    async def follow(self) -> None:
        """Save what was changed, or throw it away, some time later; reload what others wrote."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self.changes:
                await asyncio.sleep(self.rng.uniform(0, LONGEST_BEFORE_SAVE_S))
                if self.rng.random() < THROWN_AWAY:
                    self.changes = []
                else:
                    self._save()
            if not self.changes:
                self._load(self.crowd.map.read_bytes())
                self._is_clean.set()

    async def until_clean(self) -> None:
        """Wait for that."""
        await self._is_clean.wait()

    def _save(self) -> None:
        new = self.text.encode()
        is_saved = self.crowd.save_by_rename(self.base, new, f"editor{self.number}.tmp")
        self.crowd.log(f"user {self.number} {'saves' if is_saved else 'cannot save'} {self._noted(self.text)}")
        if is_saved:
            self.base, self.changes, self.saved = new, [], self._noted(self.text)
            if (client := self._server()) is not None:
                client.save(self.crowd.map.as_uri())
        else:
            self._load(self.crowd.map.read_bytes())  # with what was changed here; saved at the next look

    def _load(self, data: bytes) -> None:
        """Take over what is on disk, and make the changes again that are not."""
        self.base, text = data, data.decode()
        for pattern, new in self.changes:
            text = re.sub(pattern, lambda _, new=new: new, text, count=1)  # type: ignore[misc]
        if text != self.text:
            self._set(text)
        if text.encode() == data:
            self.changes = []  # others have made them

    def _set(self, text: str) -> None:
        self.text = text
        self.version += 1
        if (client := self._server()) is not None:
            client.change(self.crowd.map.as_uri(), self.version, {"text": text})

    def _change(self, pattern: str, new: str) -> None:
        self.changes.append((pattern, new))
        self._is_clean.clear()
        self._set(re.sub(pattern, lambda _: new, self.text, count=1))

    def _apply(self, params: Any) -> dict[str, Any]:
        """Do what the server asks for, if it knows the buffer as it is."""
        (change,) = params["edit"]["documentChanges"]
        if change["textDocument"]["version"] != self.version:
            return {"applied": False, "failureReason": "the document has changed"}
        (edit,) = change["edits"]
        start, end = edit["range"]["start"], edit["range"]["end"]
        line = self.text.split("\n")[start["line"]]
        assert start["line"] == end["line"], "a reference is a string on one line"
        self._change(re.escape(line), line[: start["character"]] + edit["newText"] + line[end["character"] :])
        return {"applied": True}

    def _noted(self, text: str) -> int:
        return int(json.loads(text)["EDITOR"][f"note{self.number}"])

    def check(self) -> list[str]:
        """Return what is wrong in the end, when all is recovered."""
        there = self._noted(self.crowd.map.read_text())
        parked = self.crowd.parked(re.compile(rb'"note%d": "(\d{6})"' % self.number))
        if there >= self.saved or self.saved in parked:
            return []
        return [f"I7 user {self.number} had saved {self.saved}, and the map has {there}"]
