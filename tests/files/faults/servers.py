"""The crowd once more, with language servers and a command line: real ones, that ask a real endpoint.

Each server works on four slots at a time; each is killed now and then, and the next one goes on. Whose text is safe by
then is read from the journal: no request for it may come afterwards. The editor of a server may have the map open
(open_map.py): then what it commits goes through the buffer wherever the disk lacks what the buffer has.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import string
import tempfile
import time
from pathlib import Path
from typing import Any

from goalmap.files.journal import peek, record_names
from goalmap.files.os_layer import Folder
from support.editors import GENERATE
from support.lsp_client import LspClient, ServerEndedError
from support.openai_endpoint import Endpoint, Reply, Request
from support.scene import SERVER, environment

from .crowd import Crowd, Result, start_process
from .open_map import OpenMap, View

AT_ONCE = 4
PATIENCE_S = 120.0
TRIES = 20
WORDS = 60
CAPABILITIES = {"experimental": {"goalmap": {"showsGenerated": True}}}


class Servers:
    """Who generates, and the endpoint that they ask."""

    def __init__(self, crowd: Crowd, endpoint: Endpoint, result: Result) -> None:
        self.crowd, self.endpoint, self.result = crowd, endpoint, result
        self.env = environment(endpoint.base_url, crowd.notes / "home")
        self.running: set[asyncio.subprocess.Process] = set()
        self.safe_since: dict[int, int] = {}  # by slot: how many requests there had been

    async def serve(self, numbers: list[int], editor: OpenMap | None, view: View) -> None:
        """Generate these slots through one server after the other."""
        left = list(numbers)
        following = asyncio.create_task(editor.follow()) if editor else None
        for _ in range(TRIES):
            if left:
                await self._serve_once(left, editor, view)
        self.result.wrong += [f"GOAL{number} was given up" for number in left]
        if editor and following:
            await editor.until_clean()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            self.result.wrong += editor.check()

    async def _serve_once(self, left: list[int], editor: OpenMap | None, view: View) -> None:
        client = await LspClient.spawn(SERVER, env=self.env)
        self.running.add(client.process)
        try:
            folder = {"uri": self.crowd.root.as_uri(), "name": "library"}
            await client.initialize(editor.capabilities if editor else CAPABILITIES, workspaceFolders=[folder])
            if editor:
                editor.open(client)
            for _ in range(len(left) * TRIES):
                if not left:
                    break
                await self._generate(client, left, editor, view)
            await client.shutdown_and_exit(timeout_s=PATIENCE_S)
        except (ServerEndedError, ConnectionError):
            await client.exit_code()  # killed: reaped before anybody else asks
        finally:
            if editor:
                editor.lose_server()
            self.running.discard(client.process)
            await client.__aexit__()
        if "Traceback" in client.stderr:
            self.result.wrong.append(client.stderr)

    async def _generate(self, client: LspClient, left: list[int], editor: OpenMap | None, view: View) -> None:
        """Generate some of these slots, and take out those that came about."""
        if editor and view == "dirty":
            editor.type()
        jobs = {await self._begin(client, number): number for number in left[:AT_ONCE]}
        outcomes: dict[int, str] = {}
        for job, number in jobs.items():
            ended = await client.notification(
                "goalmap/generated", lambda told, job=job: told["job"] == job, timeout_s=PATIENCE_S
            )
            outcomes[number] = ended["outcome"]
            self.result.outcomes[ended["outcome"]] += 1
            if ended["outcome"] in ("committed", "pending-save"):
                self._note_safe(number)
        if editor:
            await editor.until_clean()
        for number, outcome in outcomes.items():
            # What another one's recovery has finished is there, too; what waits for a save may be thrown away.
            if outcome == "committed" or self._is_there(number):
                left.remove(number)
        if editor and any(number in left for number in outcomes):
            await self._run("recover")

    async def _run(self, *arguments: str) -> None:
        """Run the command line."""
        process = await asyncio.create_subprocess_exec(
            *SERVER[:-1],
            *arguments,
            cwd=self.crowd.root,
            env=self.env,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self.running.add(process)
        _, said = await process.communicate()
        self.running.discard(process)
        if b"Traceback" in said:
            self.result.wrong.append(said.decode())

    async def _begin(self, client: LspClient, number: int) -> str:
        told = {"uri": self.crowd.map.as_uri(), "goal": [f"GOAL{number}"], "slot": "protocol", "index": None}
        told |= {"file": f"todo{number}.txt", "naming": "autogen", "description": f"describe slot <{number}>"}
        params = {"command": GENERATE, "arguments": [told]}
        answer: dict[str, Any] = await client.request("workspace/executeCommand", params, timeout_s=PATIENCE_S)
        return str(answer["job"])

    async def command(self, numbers: list[int]) -> None:
        """Generate these slots by the command line, one after the other."""
        for number in numbers:
            for _ in range(TRIES):
                await self._run("generate", f"GOAL{number}", "protocol", "--description", f"describe slot <{number}>")
                if self._is_there(number):
                    self._note_safe(number)  # somebody's recovery may have finished it
                    break
            else:
                self.result.wrong.append(f"GOAL{number} was given up")

    def _is_there(self, number: int) -> bool:
        """Whether the map has the reference; while the editor saves, it may be too early to tell."""
        return f'"autogen_protocol_for_goal{number}.txt"'.encode() in self.crowd.map.read_bytes()

    # -- kills, and who was paid
    async def kill(self, kills: int, rng: random.Random) -> None:
        """Kill one of them a moment after a request came, `kills` times."""
        for _ in range(kills):
            await self.endpoint.arrived(len(self.endpoint.requests) + 1)
            await asyncio.sleep(rng.uniform(0, 0.25))
            alive = sorted((one for one in self.running if one.returncode is None), key=lambda one: one.pid)
            if alive:
                os.kill(rng.choice(alive).pid, signal.SIGKILL)
                self.result.kills += 1
            self._look_into_journal()

    def _look_into_journal(self) -> None:
        journal = self.crowd.root / ".goalmap" / "journal"
        if not journal.is_dir():
            return
        with Folder.open(str(journal)) as folder:
            for name in record_names(folder):
                contents = peek(folder, name)
                if contents is not None and contents.header is not None and contents.text is not None:
                    self._note_safe(int(contents.header.goal[0].removeprefix("GOAL")))

    def _note_safe(self, number: int) -> None:
        self.safe_since.setdefault(number, len(self.endpoint.requests))

    def paid_again(self) -> list[str]:
        """Return who paid for what was safe (I5)."""
        found = []
        for at, request in enumerate(self.endpoint.requests):
            number = _slot_of(request)
            if at >= self.safe_since.get(number, at + 1):
                found.append(f"I5 paid again for GOAL{number}, whose text was safe")
        return found


def _texts(count: int, seed: int) -> list[str]:
    """Return texts that have nothing in common: a model that copies a component is not believed."""
    rng = random.Random(seed)
    return [
        " ".join("".join(rng.choices(string.ascii_lowercase, k=7)) for _ in range(WORDS)) + ".\n" for _ in range(count)
    ]


def _slot_of(request: Request) -> int:
    match = re.search(r"describe slot <(\d+)>", str(request.body))
    assert match is not None, request.body
    return int(match[1])


def play_servers(*, servers: int, view: View, slots: int, kills: int, seed: int) -> Result:
    """Play one round: the servers, and a command line that has half as many slots as each of them."""
    result, base = Result(), Path(tempfile.mkdtemp(prefix="goalmap-crowd-"))
    texts = _texts(slots + (kills + 1) * AT_ONCE * 2, seed)
    crowd = Crowd(base, slots, texts=frozenset(texts))
    others = [start_process(crowd.edit), start_process(crowd.read)]  # before there is a loop, which no fork survives
    start_s = time.monotonic()
    try:
        asyncio.run(_play(crowd, result, texts, servers=servers, view=view, slots=slots, kills=kills, seed=seed))
    finally:
        for child in others:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    result.seconds = time.monotonic() - start_s
    result.wrong += crowd.check()
    result.edits, result.reads = len(crowd.noted("edits")), len(crowd.noted("reads"))
    shutil.rmtree(base)
    return result


async def _play(
    crowd: Crowd, result: Result, texts: list[str], *, servers: int, view: View, slots: int, kills: int, seed: int
) -> None:
    async with Endpoint([Reply(text=text, chunk_chars=64) for text in texts]) as endpoint:
        everybody = Servers(crowd, endpoint, result)
        shares = 2 * servers + 1
        killer = asyncio.create_task(everybody.kill(kills, random.Random(seed)))
        async with asyncio.TaskGroup() as group:
            for n in range(servers):
                share = [number for number in range(slots) if number % shares in (2 * n, 2 * n + 1)]
                # Of editors whose user types, every other one does not reload: there even a clean map takes edits.
                editor = OpenMap(crowd, n, random.Random(seed + n), reloads=view == "clean" or n % 2 == 0)
                group.create_task(everybody.serve(share, editor if view != "closed" else None, view))
            group.create_task(everybody.command(list(range(shares - 1, slots, shares))))
        killer.cancel()
        result.paid = len(endpoint.requests)
        result.wrong += everybody.paid_again()
