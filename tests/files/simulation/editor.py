"""An editor: a buffer that outlives its server, a user who types and saves, and the messages in between.

It is a careful one. It reloads a clean buffer when the disk has changed (if it reloads at all); it saves by way of one
open file, and takes what was changed here over to what it finds in that file. So whatever is lost is not its fault.
"""

from __future__ import annotations

import json
import os
from collections import deque
from pathlib import Path
from typing import Any

from goalmap.lsp import app, stdio

from .scheduler import Hub, Process
from .world import NOTE, REFERENCE, World

GENERATE, UNDO = "goalmap.generateComponent", "goalmap.undo"
DISCARD, FINISH = "goalmap.discardGeneration", "goalmap.finishGeneration"
QUIET_S = 0.02
LONGEST_AMBUSH_S = 0.3


class Editor:
    """The map in one editor; `reloads` and `announces` are how editors differ."""

    def __init__(self, world: World, number: int, *, reloads: bool, announces: str) -> None:
        self.world = world
        self.number = number
        self.reloads = reloads
        self.announces = announces  # an edit of the server's: before its answer, after it, or late
        self.process = Process(f"editor{number}")
        self.server: Process | None = None
        self.servers = 0
        self.is_open = False
        self.text = self.read()
        self.changed: dict[int, str] = {}  # the lines that are to be saved, as they were before
        self.version = 1
        self.typed = self.saved = 0
        self.jobs: dict[str, str] = {}  # under way, by id
        self._ended: set[str] = set()
        self._inbox: deque[tuple[Process, bytes]] = deque()
        self._loop: Any = None
        self._protocol: Any = None
        self._ids = 0
        self._answers: dict[int, Any] = {}
        self._disk_has_changed = False
        self._is_unannounced = False
        self._listener = world.hub.start(self.process, "listener", self._listen)
        world.editors.append(self)

    @property
    def is_dirty(self) -> bool:
        """Whether there is something to save."""
        return bool(self.changed)

    @property
    def has_unsaved_reference(self) -> bool:
        """Whether the buffer names a generated component that the disk does not."""
        lines = self.text.split("\n")
        return any("autogen_" in lines[at] for at in self.changed)

    @property
    def uri(self) -> str:
        """The map's."""
        return self.world.map.as_uri()

    def read(self) -> str:
        """Return what is on disk."""
        return self.world.map.read_text()

    @property
    def is_connected(self) -> bool:
        """Whether there is a server that lives, as far as anybody knows."""
        return self.server is not None and self.server.is_alive

    # -- the server
    def start_server(self) -> None:
        """Start a server and shake hands; the buffer, if there is one, is shown to it at once."""
        if self.is_connected:
            return
        self.servers += 1
        self.jobs.clear()
        self._answers.clear()
        self._loop = None
        # It is this editor's before it runs, since it asks whose it is.
        self.server = self.world.spawn(f"server{self.number}.{self.servers}", self._serve)
        while self._loop is None and self.is_connected:
            self.world.hub.sleep(0.001)
        goalmap = {"reloadsCleanFiles": True, "showsGenerated": True} if self.reloads else {"showsGenerated": True}
        capabilities = {
            "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
            "window": {"showMessage": {}},
            "experimental": {"goalmap": goalmap},
        }
        folder = {"uri": self.world.root.as_uri(), "name": "library"}
        params = {"processId": None, "capabilities": capabilities, "workspaceFolders": [folder], "rootUri": None}
        self.ask("initialize", params)
        self.notify("initialized", {})
        if self.is_open:
            self._show()

    def _serve(self) -> int:
        server = app.build()
        self._protocol = server.protocol
        return server.serve(stdio.open_stdio)

    def connected(self, loop: Any) -> None:
        """Know how to write to the server."""
        self._loop = loop

    def quit_server(self) -> None:
        """End it as an editor does that quits; what was not saved is kept for the next time."""
        if self.is_connected:
            self.ask("shutdown", None)
            self.notify("exit", None)

    def send(self, message: dict[str, Any]) -> None:
        """Write a message."""
        if self.is_connected and self._loop is not None and not self._loop.is_closed():
            body = json.dumps({"jsonrpc": "2.0", **message}).encode()
            self._loop.call_soon_threadsafe(self._protocol.receive, [body])

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self.send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> Any:
        """Send a request, and wait for its answer; None where the server dies first."""
        self._ids += 1
        number, server = self._ids, self.server
        self.send({"id": number, "method": method, "params": params})
        for _ in range(4000):
            if number in self._answers:
                return self._answers.pop(number)
            if not self.is_connected or self.server is not server:
                return None
            self.world.hub.sleep(QUIET_S / 4)
        self.world.wrong.append(f"fault: no answer to {method}")
        return None

    def execute(self, command: str, argument: dict[str, Any]) -> Any:
        """Run a command of the server's."""
        return self.ask("workspace/executeCommand", {"command": command, "arguments": [argument]})

    def receive(self, server: Process, data: bytes) -> None:
        """Take what the server wrote; it is read when this editor has the turn."""
        self._inbox.append((server, data))
        self._listener.wake()

    def see_disk_soon(self) -> None:
        """Know that the map on disk has changed."""
        self._disk_has_changed = True
        self._listener.wake()

    def _listen(self) -> None:
        while True:
            while self._inbox:
                server, data = self._inbox.popleft()
                self._handle(server, json.loads(data.partition(b"\r\n\r\n")[2]))
                self.world.hub.point()
            if self._is_unannounced:
                self._announce()
            if self._disk_has_changed:
                self._disk_has_changed = False
                self.reload()
                self.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": self.uri, "type": 2}]})
            if not self._inbox:
                self.world.hub.wait()

    def _handle(self, server: Process, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params")
        if method is None:
            if server is self.server:
                self._answers[message["id"]] = message.get("result")
                if "error" in message:
                    self.world.note(f"error: {message['error']}")
        elif method == "workspace/applyEdit":
            if server is self.server:
                self._apply(server, message["id"], params["edit"])
        elif "id" in message:
            if method == "window/showMessageRequest":
                self.world.say(server, "message", params["message"])
            self.send({"id": message["id"], "result": None})
        elif method == "window/showMessage":
            self.world.say(server, "message", params["message"])
        elif method == "goalmap/generated":
            self.jobs.pop(params["job"], None)
            self._ended.add(params["job"])
            self.world.say(server, "outcome", f"{params['outcome']}: {params['message']}")
        elif method == "goalmap/written":
            self.reload()

    def _apply(self, server: Process, number: int, edit: Any) -> None:
        (change,) = edit["documentChanges"]
        if not self.is_open or change["textDocument"]["version"] != self.version:
            self.send({"id": number, "result": {"applied": False, "failureReason": "the document has changed"}})
            return
        lines = self.text.split("\n")
        for one in change["edits"]:
            start, end = one["range"]["start"], one["range"]["end"]
            assert start["line"] == end["line"], "a reference is a string on one line"
            line = lines[start["line"]]
            lines[start["line"]] = line[: start["character"]] + one["newText"] + line[end["character"] :]
            self._note_change(start["line"], line, lines[start["line"]])
            if found := REFERENCE.search(lines[start["line"]]):
                server.committed.pop(found[1], None)  # what counts from here on is what it has put into the buffer
        self.world.note(f"takes the edit: {lines[change['edits'][0]['range']['start']['line']].strip()}")
        self._set("\n".join(lines), announce=self.announces == "before")
        self.send({"id": number, "result": {"applied": True}})
        if self.announces == "after":
            self._announce()
        self.world.moment(server, "placed")

    # -- the buffer
    def _show(self) -> None:
        self._is_unannounced = False
        document = {"uri": self.uri, "languageId": "json", "version": self.version, "text": self.text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def _set(self, text: str, *, announce: bool = True) -> None:
        self.text = text
        self.version += 1
        self._is_unannounced = True
        if announce:
            self._announce()

    def _announce(self) -> None:
        if self._is_unannounced and self.is_open:
            document = {"uri": self.uri, "version": self.version}
            self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": self.text}]})
        self._is_unannounced = False

    def _note_change(self, at: int, before: str, now: str) -> None:
        self.changed.setdefault(at, before)
        there = self.read().split("\n")
        if at < len(there) and there[at] == now:  # as after an undo on disk, which an editor need not write once more
            del self.changed[at]

    def reload(self) -> None:
        """Take over what is on disk, where nothing is to be saved."""
        if not self.is_open or self.is_dirty or not self.reloads:
            return
        text = self.read()
        if text != self.text and _is_whole(text):
            self.world.note("reloads the map")
            self._set(text)

    def open(self) -> None:
        """Open the map."""
        if not self.is_open:
            self.text = self.read()
            if not _is_whole(self.text):
                return
            self.version += 1
            self.is_open = True
            self._show()

    def close(self) -> None:
        """Close it; what was not saved is gone."""
        if self.is_open:
            self._forget_typed()
            self.is_open = self._is_unannounced = False
            self.changed.clear()
            self.notify("textDocument/didClose", {"textDocument": {"uri": self.uri}})

    def type(self) -> None:
        """Count up by hand."""
        self.open()
        if self.is_open:
            self.typed += 1
            self.world.note(f"types {self.typed}")
            text = self.text.replace(self._note(self.text), f'"note{self.number}": "{self.typed:06d}"')
            lines = self.text.split("\n")
            at = next(at for at, line in enumerate(lines) if f'"note{self.number}"' in line)
            self._note_change(at, lines[at], text.split("\n")[at])
            self._set(text)

    def revert(self) -> None:
        """Throw away what was not saved."""
        if self.is_open and self.is_dirty:
            text = self.read()
            if _is_whole(text):
                self.world.note("throws its changes away")
                self._forget_typed()
                self.changed.clear()
                self._set(text)

    def _forget_typed(self) -> None:
        self.typed = max(self.typed, self.saved)

    def _note(self, text: str) -> str:
        return next(match[0] for match in NOTE.finditer(text) if match[1] == str(self.number))

    def save(self) -> None:
        """Write the buffer over what is in the file, with what others have changed in it."""
        if not self.is_open:
            return
        hub = self.world.hub
        while self.world.is_being_saved:  # what two editors do to each other is not ours to judge
            hub.sleep(0.001)
        self.world.is_being_saved = True
        try:
            self._save(hub)
        finally:
            self.world.is_being_saved = False
        self.world.map_changed(self.process)
        if self.is_open:
            self._announce()
            self.notify("textDocument/didSave", {"textDocument": {"uri": self.uri}})

    def save_amid(self) -> None:
        """Save between somebody's last look at the map and its exchange; at once where nobody comes to that."""
        actor = self.world.hub.current
        if self.is_dirty and actor is not None:
            self.world.waiting_to_save.append(actor)
            self.world.hub.sleep(LONGEST_AMBUSH_S)
            if actor in self.world.waiting_to_save:
                self.world.waiting_to_save.remove(actor)
        self.save()

    def _save(self, hub: Hub) -> None:
        hub.point()
        try:
            descriptor = os.open(self.world.map, os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            hub.point()
            there = os.read(descriptor, 1 << 20).decode()
            text = _merge(self.text, self.changed, there)
            if text is None:
                return  # somebody else is saving it
            hub.point()
            os.ftruncate(descriptor, 0)
            hub.point()
            os.pwrite(descriptor, text.encode(), 0)
            self.world.touch(os.fstat(descriptor).st_ino, contents=True)
            self.world.note("saves the map")
            self.saved = int(self._note(text).split('"')[3])
            self.changed.clear()
            if text != self.text:
                self._set(text)
            hub.point()
        finally:
            os.close(descriptor)

    # -- the user's commands
    def generate(self, goal: str) -> None:
        """Ask for the component of a goal, as the map here names it."""
        self._announce()
        file = json.loads(self.text if self.is_open else self.read())[goal]["protocol"]
        if file.startswith("autogen"):
            return  # nothing is marked there
        place = {"uri": self.uri, "goal": [goal], "slot": "protocol", "index": None, "file": file}
        self.world.note(f"asks for {goal}")
        answer = self.execute(GENERATE, {**place, "naming": "autogen", "description": describe(goal)})
        if isinstance(answer, dict) and answer["job"] not in self._ended:
            self.jobs[answer["job"]] = goal

    def _is_elsewhere(self) -> bool:
        """Whether another editor's buffer names what may be removed: nobody can take it out of there."""
        return any(editor.has_unsaved_reference for editor in self.world.editors if editor is not self)

    def undo(self) -> None:
        """Take the last one back."""
        if self._is_elsewhere():
            return
        self.world.note("undoes")
        self.execute(UNDO, {"uri": self.uri})

    def settle_interrupted(self, command: str) -> None:
        """Use the quick fix of an interrupted generation."""
        journal = self.world.root / ".goalmap" / "journal"
        records = sorted(os.listdir(journal)) if journal.is_dir() else []
        if command == DISCARD and any(
            editor.has_unsaved_reference for editor in self.world.editors if editor is not self
        ):
            return  # nobody can take a reference out of a buffer that another server, or none, knows of
        if records:
            tx = Path(records[self.world.rng.randrange(len(records))]).stem
            self.world.note(f"{command} {tx}")
            self.execute(command, {"uri": self.uri, "tx": tx})

    def wait_for_jobs(self) -> None:
        """Wait until what was asked for has come, or the server is gone."""
        for _ in range(2000):
            if not self.jobs or not self.is_connected:
                return
            self.world.hub.sleep(QUIET_S)
        self.world.wrong.append(f"fault: {self.process.name} waits for ever for {self.jobs}")


def describe(goal: str) -> str:
    """Return the one description that everybody gives of a goal's component."""
    return f"the protocol of {goal}"


def _is_whole(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _merge(mine: str, changed: dict[int, str], theirs: str) -> str | None:
    """Return `theirs` with the lines of `mine` that were changed here and nowhere else; None where it is not whole."""
    if not _is_whole(theirs):
        return None
    lines = enumerate(zip(mine.split("\n"), theirs.split("\n"), strict=True))
    return "\n".join(my if at in changed and changed[at] == their else their for at, (my, their) in lines)
