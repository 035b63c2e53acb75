"""The crowd once more, with language servers and a command line: real ones, that ask a real endpoint.

Each server works on four slots at a time; each is killed now and then, and the next one goes on. Whose text is safe by
then is read from the journal: no request for it may come afterwards.
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

    async def serve(self, numbers: list[int]) -> None:
        """Generate these slots through one server after the other."""
        left = list(numbers)
        for _ in range(TRIES):
            if left:
                await self._serve_once(left)
        self.result.wrong += [f"GOAL{number} was given up" for number in left]

    async def _serve_once(self, left: list[int]) -> None:
        client = await LspClient.spawn(SERVER, env=self.env)
        self.running.add(client.process)
        try:
            folder = {"uri": self.crowd.root.as_uri(), "name": "library"}
            await client.initialize(CAPABILITIES, workspaceFolders=[folder])
            for _ in range(len(left) * TRIES):
                if not left:
                    break
                jobs = {await self._begin(client, number): number for number in left[:AT_ONCE]}
                for job, number in jobs.items():
                    ended = await client.notification(
                        "goalmap/generated", lambda told, job=job: told["job"] == job, timeout_s=PATIENCE_S
                    )
                    if ended["outcome"] == "committed":
                        self._note_safe(number)
                        left.remove(number)
                    elif self._is_there(number):  # the other server's recovery has finished it
                        left.remove(number)
            await client.shutdown_and_exit(timeout_s=PATIENCE_S)
        except (ServerEndedError, ConnectionError):
            await client.exit_code()  # killed: reaped before anybody else asks
        finally:
            self.running.discard(client.process)
            await client.__aexit__()
        if "Traceback" in client.stderr:
            self.result.wrong.append(client.stderr)

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
                arguments = ["generate", f"GOAL{number}", "protocol", "--description", f"describe slot <{number}>"]
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


def play_servers(*, servers: int, slots: int, kills: int, seed: int) -> Result:
    """Play one round: the servers, and a command line that has half as many slots as each of them."""
    result, base = Result(), Path(tempfile.mkdtemp(prefix="goalmap-crowd-"))
    texts = _texts(slots + (kills + 1) * AT_ONCE * 2, seed)
    crowd = Crowd(base, slots, texts=frozenset(texts))
    others = [start_process(crowd.edit), start_process(crowd.read)]  # before there is a loop, which no fork survives
    start_s = time.monotonic()
    try:
        asyncio.run(_play(crowd, result, texts, servers=servers, slots=slots, kills=kills, seed=seed))
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
    crowd: Crowd, result: Result, texts: list[str], *, servers: int, slots: int, kills: int, seed: int
) -> None:
    async with Endpoint([Reply(text=text, chunk_chars=64) for text in texts]) as endpoint:
        everybody = Servers(crowd, endpoint, result)
        shares = 2 * servers + 1
        killer = asyncio.create_task(everybody.kill(kills, random.Random(seed)))
        async with asyncio.TaskGroup() as group:
            for n in range(servers):
                group.create_task(
                    everybody.serve([number for number in range(slots) if number % shares in (2 * n, 2 * n + 1)])
                )
            group.create_task(everybody.command(list(range(shares - 1, slots, shares))))
        killer.cancel()
        result.paid = len(endpoint.requests)
        result.wrong += everybody.paid_again()
