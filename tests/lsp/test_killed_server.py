"""The server killed during a generation that was started from an editor, and what the library comes to afterwards.

It is killed for good (SIGKILL): while the model has not answered, while it writes, and before chosen and sampled calls
that the commit makes to the system. Then somebody recovers (the next server, or `goalmap recover`) and asks again.
Whatever happened, the library must be whole, with nothing left over, and a text that was safe is not paid for again.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import pytest

from goalmap.files.journal import Contents, peek
from goalmap.files.os_layer import LibraryDir
from support.editors import VSCODE, RawEditor
from support.lsp_client import LspClient, ServerEndedError
from support.openai_endpoint import Endpoint, Reply
from support.scene import GENERATED, MAP, SERVER, TEXT, Scene, committed, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from support.editors import Json

MINE: Final = MAP.replace("Find the cause of a failure.", "My words.")
KILLED: Final = Path(__file__).parents[1] / "files" / "faults" / "killed_server.py"
WRITING = Reply(text=TEXT, pause="writing", pause_after=4)
SILENT = Reply(text=TEXT, pause="silent", pause_after=-1)
AT_ONCE = Reply(text=TEXT, repeat=True)

# How the editor has the map: not at all, as it is on disk, with changes. The last is saved, or thrown away, after the
# server's death.
View: TypeAlias = Literal["closed", "clean", "dirty, then saved", "dirty, then thrown away"]
VIEWS: Final[tuple[View, ...]] = ("closed", "clean", "dirty, then saved", "dirty, then thrown away")

RECORD: Final = r"[0-9a-f]{24}\.gmj"
# The calls of a commit on disk, in their order, by their labels.
ON_DISK: Final = {
    "the record is not made": rf"create\({RECORD}",
    "the component is not written": r"create\(\.goalmap\.",
    "the component has no name": r"rename_with_flag\(\.goalmap\.",
    "the map is not written, and the component is published": r"create\(\.goal_map\.",
    "the new map has not its name": r"replace\(\.goal_map\.",
    "the names are not exchanged": r"rename_with_flag\(goal_map\.json, ",
    "the old map is not removed": r"unlink\(\.goal_map\..*\.tmp",
    "the record is not dropped": rf"replace\({RECORD}",
}
# A commit through a buffer ends with the component; the map is the editor's.
THROUGH_BUFFER: Final = {
    name: ON_DISK[name]
    for name in ("the component is not written", "the component has no name", "the record is not dropped")
}
POINTS: Final = [
    *(pytest.param("closed", where, id=f"closed, {name}") for name, where in list(ON_DISK.items())[::2]),
    *(pytest.param("clean", where, id=f"clean, {name}") for name, where in list(ON_DISK.items())[1::2]),
    *(pytest.param(VIEWS[2], where, id=f"dirty, {name}") for name, where in THROUGH_BUFFER.items()),
]
# The record is made by call 69, and the commit is done by call 280, more or less.
SAMPLE: Final = [(VIEWS[n % 4], call) for n, call in enumerate(random.Random(3).sample(range(70, 280), 4))]


class Trial:
    """A library, its editor, and the servers that the editor has one after the other."""

    def __init__(self, scene: Scene, endpoint: Endpoint, home: Path, view: View) -> None:
        self.scene, self.endpoint, self.home, self.view = scene, endpoint, home, view
        self.text = MINE if view == "dirty, then saved" else MAP
        self.was_paid = 0

    async def start(self, where: str | None = None) -> RawEditor:
        """Start a server; `where` is the call before which it dies."""
        command = SERVER if where is None else [sys.executable, str(KILLED), where]
        client = await LspClient.spawn(command, env=environment(self.endpoint.base_url, self.home))
        return RawEditor(client, self.scene, VSCODE)

    async def initialize(self, editor: RawEditor) -> None:
        """Shake hands."""
        folders = [{"uri": self.scene.root.as_uri(), "name": "library"}]
        await editor.client.initialize(editor.behaviour.capabilities, workspaceFolders=folders)

    async def generate(self, editor: RawEditor) -> str:
        """Begin a generation, with the map in the editor as it is to be."""
        await self.initialize(editor)
        if self.view != "closed":
            editor.open()
        await editor.marked("component.missing")
        if self.view.startswith("dirty"):
            editor.type("Find the cause of a failure.", "My words.")
        return await editor.generate()

    async def generate_whole(self, editor: RawEditor) -> None:
        """Generate, and have what went into the buffer saved, as far as the server lives."""
        outcome = await editor.outcome(await self.generate(editor))
        if outcome["outcome"] == "pending-save" and self.view == "dirty, then saved":
            editor.save()
            await editor.until(lambda: self.scene.records() == [])

    async def die(self, editor: RawEditor, act: Callable[[RawEditor], Coroutine[None, None, object]]) -> bool:
        """Have the editor `act` until its server is dead; kill it if it is not by then. Return whether it was."""
        try:
            await act(editor)
            editor.client.process.kill()
            died_by_itself = False
        except (ServerEndedError, ConnectionError):
            died_by_itself = True
        assert await editor.client.exit_code() == -signal.SIGKILL
        await editor.__aexit__()
        assert "Traceback" not in editor.client.stderr, editor.client.stderr
        return died_by_itself

    # -- what must be true -------------------------------------------------------------------------------------------
    def record(self) -> Contents | None:
        """Return what the one record holds, if there is one."""
        if not self.scene.records():
            return None
        with LibraryDir.open(str(self.scene.root / ".goalmap" / "journal")) as folder:
            (name,) = folder.names()
            return peek(folder, name)

    def is_committed(self) -> bool:
        """Whether the map on disk, which is the old or the new one in any case, has the reference and its text."""
        old, new = {MAP, self.text}, {committed(MAP), committed(self.text)}
        assert self.scene.map_text() in old | new, "I1"
        named = self.scene.map_text() in new
        assert not named or self.scene.generated.read_text(encoding="utf-8") == TEXT, "I2"
        return named

    async def recover_and_ask_again(self, editor: RawEditor, *, by_command: bool) -> None:
        """Check the library, recover, check, ask again, check."""
        was_committed = self.is_committed()
        if editor.is_modified and self.view == "dirty, then saved":
            self.scene.map.write_bytes(editor.text.encode())  # it has lost its server, and not what was typed
            was_committed = self.is_committed()
        record = self.record()
        is_safe = was_committed or (record is not None and record.text == TEXT.encode())
        pieces = record.raw.decode() if record is not None and record.text is None else ""
        self.was_paid = len(self.endpoint.requests)
        self.endpoint.add(AT_ONCE)
        again = await self.start()
        try:
            if by_command:
                await self.recover_by_command()
            await self.initialize(again)
            if not by_command:
                await self.recovered_by_server(again)
            assert self.is_committed() == is_safe, "I4"
            assert self.scene.records() == [], "I3"
            assert self.scene.parked() == ([pieces] if pieces else []), "I4"
            self.assert_tidy(has_component=is_safe)
            await again.outcome(await again.generate())
            assert len(self.endpoint.requests) == self.was_paid + (not is_safe), "I5"
            assert self.is_committed()
            assert self.scene.map_text() == committed(self.text)
            assert self.scene.records() == []
            self.assert_tidy(has_component=True)
            assert await again.client.shutdown_and_exit() == 0
        finally:
            await again.__aexit__()
        assert "Traceback" not in again.client.stderr, again.client.stderr

    def assert_tidy(self, *, has_component: bool) -> None:
        """I3: no orphan, and no temporary file."""
        mine = {"components/personas/detective.txt", "goal_map.json"}
        generated = {f"components/protocols/{GENERATED}"} if has_component else set()
        assert self.scene.files().keys() == mine | generated, "I3"

    async def recover_by_command(self) -> None:
        """Run `goalmap recover`."""
        command = [*SERVER[:-1], "recover"]
        env = environment(None, self.home)
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.scene.root, env=env, stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0

    async def recovered_by_server(self, editor: RawEditor) -> None:
        """Wait for what the server finds at its start; the quick fix finishes what it leaves to the user."""
        record = self.record()
        if record is not None and record.is_buffered and not self.is_committed():
            marks = await editor.marked("generation.interrupted")
            assert not self.is_committed(), "the map was changed behind the editor's back"
            await self.finish(editor, marks)
        await editor.until(lambda: self.scene.records() == [])

    async def finish(self, editor: RawEditor, marks: list[Json]) -> None:
        """Open the map, and do as the quick fix says."""
        editor.open()
        mark = next(mark for mark in marks if mark["code"] == "generation.interrupted")
        fixes = await editor.actions(mark["range"], mark)
        assert await editor.choose(next(fix for fix in fixes if fix["title"].startswith("Finish")))


@pytest.mark.parametrize(
    ("reply", "by_command"),
    [
        pytest.param(SILENT, True, id="before the model writes"),
        pytest.param(WRITING, True, id="while the model writes, recovered by command"),
        pytest.param(WRITING, False, id="while the model writes, recovered by the next server"),
    ],
)
async def test_killed_while_the_model_is_asked(
    reply: Reply, scene: Scene, endpoint: Endpoint, tmp_path: Path, *, by_command: bool
) -> None:
    endpoint.add(reply)
    trial = Trial(scene, endpoint, tmp_path / "home", "clean" if by_command else "closed")

    async def until_the_gate(editor: RawEditor) -> None:
        await trial.generate(editor)
        assert reply.pause is not None
        await endpoint.reached(reply.pause)
        if reply is WRITING:
            await editor.until(lambda: bool((record := trial.record()) and record.raw))

    editor = await trial.start()
    assert not await trial.die(editor, until_the_gate)
    assert len(endpoint.requests) == 1
    assert scene.map_text() == MAP
    await trial.recover_and_ask_again(editor, by_command=by_command)
    assert bool(scene.parked()) == (reply is WRITING)


@pytest.mark.parametrize(("view", "where"), POINTS)
async def test_killed_in_the_commit(view: View, where: str, scene: Scene, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.add(Reply(text=TEXT))
    trial = Trial(scene, endpoint, tmp_path / "home", view)
    editor = await trial.start(where)
    assert await trial.die(editor, trial.generate_whole), "there was no such call"
    assert len(endpoint.requests) == (where != ON_DISK["the record is not made"])
    await trial.recover_and_ask_again(editor, by_command=len(where) % 2 == 0)
    assert trial.was_paid == len(endpoint.requests) or where == ON_DISK["the record is not made"], "I5"


@pytest.mark.parametrize(("view", "call"), SAMPLE)
async def test_killed_anywhere(view: View, call: int, scene: Scene, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.add(Reply(text=TEXT))
    trial = Trial(scene, endpoint, tmp_path / "home", view)
    editor = await trial.start(str(call))
    await trial.die(editor, trial.generate_whole)
    await trial.recover_and_ask_again(editor, by_command=call % 2 == 0)


@pytest.mark.parametrize("view", VIEWS[2:])
async def test_killed_while_its_edit_is_on_the_way(
    view: View, scene: Scene, endpoint: Endpoint, tmp_path: Path
) -> None:
    """Between the component and the map: the editor is asked to apply the edit, and its server is gone."""
    endpoint.add(Reply(text=TEXT))
    trial = Trial(scene, endpoint, tmp_path / "home", view)
    editor = await trial.start()
    editor.before_edit = editor.client.process.kill
    assert await trial.die(editor, trial.generate_whole)
    assert len(editor.asked) == 1
    assert scene.generated.read_text(encoding="utf-8") == TEXT
    record = trial.record()
    assert record is not None
    assert record.is_buffered, "recovery would not wait for the editor"
    await trial.recover_and_ask_again(editor, by_command=view == VIEWS[2])
