"""The crowd once more, with language servers and a command line: real ones, that ask a real endpoint.

Each server works on four slots at a time; each is killed now and then, and the next one goes on. Whose text is safe by
then is read from the journal: no request for it may come afterwards. The editor of a server may have the map open
(open_map.py): then what it commits goes through the buffer wherever the disk lacks what the buffer has.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
import signal
import string
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goalmap.files.journal import peek, record_names
from goalmap.files.os_layer import LibraryDir
from support.editors import GENERATE
from support.lsp_client import LspClient, ServerEndedError
from support.openai_endpoint import Endpoint, Reply, Request
from support.scene import environment

from .crowd import Crowd, Onlookers, Result
from .open_map import OpenMap, View

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 4
PATIENCE_S = 120.0
TRIES = 20
WORDS = 60
LOGGED = Path(__file__).with_name("logged.py")
CAPABILITIES = {"experimental": {"goalmap": {"showsGenerated": True}}}


class Servers:
    """Who generates, and the endpoint that they ask."""

    def __init__(self, crowd: Crowd, endpoint: Endpoint, result: Result, kills: int) -> None:
        self.crowd, self.endpoint, self.result = crowd, endpoint, result
        self.tries = TRIES + kills  # all of which one of them may get
        self.env = environment(endpoint.base_url, crowd.notes / "home")
        self.running: set[asyncio.subprocess.Process] = set()
        self.arrived_s: list[float] = []  # of each request
        self.safe_since: dict[int, int] = {}  # by slot: how many requests there had been

    async def serve(self, numbers: list[int], editor: OpenMap | None, view: View) -> None:
        """Generate these slots through one server after the other."""
        left = list(numbers)
        following = asyncio.create_task(editor.follow()) if editor else None
        for _ in range(self.tries):
            if left:
                await self._serve_once(left, editor, view)
        self.result.wrong += [f"GOAL{number} was given up" for number in left]
        if editor and following:
            await editor.until_clean()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _serve_once(self, left: list[int], editor: OpenMap | None, view: View) -> None:
        client = await LspClient.spawn(self._goalmap("lsp"), env=self.env)
        self.crowd.log(f"server {client.process.pid} starts, for {left}")
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
        except (ServerEndedError, ConnectionError) as error:
            self.crowd.log(f"server {client.process.pid} ended: {type(error).__name__}")
            await client.exit_code()  # killed: reaped before anybody else asks
        finally:
            if editor:
                editor.lose_server()
            self.running.discard(client.process)
            await client.__aexit__()
            (self.crowd.logs / f"{client.process.pid}.stderr").write_text(client.stderr)
            messages = "\n".join(map(json.dumps, client.messages))
            (self.crowd.logs / f"{client.process.pid}.messages").write_text(messages)
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
            self.crowd.log(f"server {client.process.pid}: GOAL{number} {ended['outcome']}: {ended.get('message')}")
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
            *self._goalmap(*arguments),
            cwd=self.crowd.root,
            env=self.env,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self.running.add(process)
        self.crowd.log(f"command {process.pid} starts: {arguments}")
        _, said = await process.communicate()
        self.running.discard(process)
        self.crowd.log(f"command {process.pid} ended with {process.returncode}: {said.decode(errors='replace')}")
        if b"Traceback" in said:
            self.result.wrong.append(said.decode())

    def _goalmap(self, *arguments: str) -> list[str]:
        """Return the command that runs Goalmap, with a log."""
        return [sys.executable, str(LOGGED), str(self.crowd.logs), *arguments]

    async def _begin(self, client: LspClient, number: int) -> str:
        told = {"uri": self.crowd.map.as_uri(), "goal": [f"GOAL{number}"], "slot": "protocol", "index": None}
        told |= {"file": f"todo{number}.txt", "naming": "autogen", "description": f"describe slot <{number}>"}
        params = {"command": GENERATE, "arguments": [told]}
        answer: dict[str, Any] = await client.request("workspace/executeCommand", params, timeout_s=PATIENCE_S)
        return str(answer["job"])

    async def command(self, numbers: list[int]) -> None:
        """Generate these slots by the command line, one after the other."""
        for number in numbers:
            for _ in range(self.tries):
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
                victim = rng.choice(alive)
                self.crowd.log(f"kill {victim.pid}")
                os.kill(victim.pid, signal.SIGKILL)
                self.result.kills += 1
            self._look_into_journal()

    def _look_into_journal(self) -> None:
        journal = self.crowd.root / ".goalmap" / "journal"
        if not journal.is_dir():
            return
        with LibraryDir.open(str(journal)) as folder:
            for name in record_names(folder):
                contents = peek(folder, name)
                if contents is not None and contents.header is not None and contents.text is not None:
                    self._note_safe(int(contents.header.goal[0].removeprefix("GOAL")))

    async def log_requests(self) -> None:
        """Log each request as it comes."""
        for at in itertools.count():
            request = await self.endpoint.arrived(at + 1)
            self.arrived_s.append(time.monotonic())
            self.crowd.log(f"request {at} for GOAL{_slot_of(request)}")

    def _note_safe(self, number: int) -> None:
        if number not in self.safe_since:
            self.crowd.log(f"GOAL{number} is safe, after {len(self.endpoint.requests)} requests")
        self.safe_since.setdefault(number, len(self.endpoint.requests))

    def paid_again(self) -> list[str]:
        """Return who paid for what was safe (I5)."""
        found = []
        for at, request in enumerate(self.endpoint.requests):
            number = _slot_of(request)
            is_safe = at >= self.safe_since.get(number, at + 1)
            if is_safe and not self.crowd.was_displaced(number, self.arrived_s[at]):
                found.append(f"I5 paid again for GOAL{number}, whose text was safe, by request {at}")
        return found


def texts_for(slots: int, kills: int, seed: int) -> list[str]:
    """Return more texts than are needed, which have nothing in common: a model that copies is not believed."""
    rng, count = random.Random(seed), slots + (kills + 1) * AT_ONCE * 2
    return [
        " ".join("".join(rng.choices(string.ascii_lowercase, k=7)) for _ in range(WORDS)) + ".\n" for _ in range(count)
    ]


def _slot_of(request: Request) -> int:
    match = re.search(r"describe slot <(\d+)>", str(request.body))
    assert match is not None, request.body
    return int(match[1])


def play_servers(
    crowd: Crowd,
    result: Result,
    texts: list[str],
    *,
    servers: int,
    view: View,
    kills: int,
    seed: int,
    patience_s: float,
) -> Callable[[], list[str]]:
    """Play one round: the servers, and a command line that has half as many slots as each of them.

    Return what says, once all is recovered, whether the users of the servers' editors have lost something.
    """
    onlookers = Onlookers([crowd])  # before there is a loop, which no fork survives
    editors: list[OpenMap] = []
    start_s = time.monotonic()
    try:
        asyncio.run(
            asyncio.wait_for(
                _play(crowd, result, texts, editors, servers=servers, view=view, kills=kills, seed=seed), patience_s
            )
        )
    finally:
        result.seconds = time.monotonic() - start_s
        result.wrong += onlookers.end()
    return lambda: [complaint for editor in editors for complaint in editor.check()]


async def _play(
    crowd: Crowd,
    result: Result,
    texts: list[str],
    editors: list[OpenMap],
    *,
    servers: int,
    view: View,
    kills: int,
    seed: int,
) -> None:
    ledger = crowd.logs / "requests.jsonl"
    async with Endpoint([Reply(text=text, chunk_chars=64) for text in texts], ledger=ledger) as endpoint:
        everybody = Servers(crowd, endpoint, result, kills)
        shares = 2 * servers + 1
        aside = [
            asyncio.create_task(everybody.kill(kills, random.Random(seed))),
            asyncio.create_task(everybody.log_requests()),
        ]
        async with asyncio.TaskGroup() as group:
            for n in range(servers):
                share = [number for number in range(crowd.slots) if number % shares in (2 * n, 2 * n + 1)]
                editor = None
                if view != "closed":
                    # Of editors whose user types, every other one does not reload: there even a clean map takes edits.
                    reloads = view == "clean" or n % 2 == 0
                    editor = OpenMap(crowd, n, random.Random(seed + n), reloads=reloads)
                    editors.append(editor)
                group.create_task(everybody.serve(share, editor, view))
            group.create_task(everybody.command(list(range(shares - 1, crowd.slots, shares))))
        for task in aside:
            task.cancel()
        for ended in await asyncio.gather(*aside, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        result.paid = len(endpoint.requests)
        result.wrong += everybody.paid_again()
