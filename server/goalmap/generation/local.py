"""The embedded model: llama.cpp's own server in a subprocess, asked like any other endpoint.

It is started at the first use, stopped after a time without use, and ends when its standard input closes, so it cannot
outlive the process that started it. It listens on the loopback interface only, with a random key.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Self

from goalmap.generation.errors import ModelError
from goalmap.generation.model_settings import ModelSettings
from goalmap.generation.weights import RUNTIME, find_weights, has_runtime, install_local_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from goalmap.generation.weights import Weights

__all__ = ["LocalModel", "install_local_model"]

IDLE_S = 300.0

# The releases of the runtime that work: from the first, up to but not including the last. pyproject.toml says the same
# to installers; but what is installed need not have been installed by its rules.
RUNTIME_FROM, RUNTIME_BEFORE = (2026, 8), (2026, 11)

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 5.0
# The first token waits for the whole prompt to be read, on one thread of a machine that may be busy.
_REPLY_TIMEOUT_S = 120.0
_CONTEXT_TOKENS = 4096
_CONTEXT_TOKENS_OF_OWN = 8192
_MAX_OUTPUT_TOKENS = 1024
_KEPT_STDERR_CHARS = 2000

_log = logging.getLogger(__name__)


class LocalModel:
    """The embedded model of one process; an asynchronous context manager that stops it at the end.

    Making one does nothing yet: its file is looked for, and its process started, on first use. `environ` is where
    `GOALMAP_LOCAL_GGUF` is looked up, by default the environment of this process.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, idle_s: float = IDLE_S) -> None:
        self.stopped = asyncio.Event()
        self.stopped.set()
        self._environ = os.environ if environ is None else environ
        self._idle_s = idle_s
        self._lock = asyncio.Lock()
        self._users = 0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: asyncio.Task[str] | None = None
        self._settings: ModelSettings | None = None
        # The loop references tasks weakly; these must not be collected before they end.
        self._stopping: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The id of the model's process while it runs, else None."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def available(self) -> str | None:
        """Return None if the model can be started, else what is missing and what to install or set."""
        try:
            self.weights()
        except ModelError as error:
            return str(error)
        return None

    def weights(self) -> Weights:
        """Return the file of the model. Raises `ModelError` where it, or the program that runs it, is missing."""
        weights = find_weights(self._environ)
        _check_runtime()
        return weights

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ModelSettings]:
        """Keep the model running during a block, and return how to reach it. Raises `ModelError`.

        It is started if it does not run, and stops `idle_s` after its last use.
        """
        self._users += 1
        try:
            async with self._lock:
                settings = await self._ensure_started()
            yield settings
        finally:
            self._users -= 1
            self._restart_idle_timer()

    async def stop(self) -> None:
        """Stop the model if it runs, and wait until its process is gone. It can be started again."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        async with self._lock:
            await self._end_process()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _restart_idle_timer(self) -> None:
        """Count the idle time from now, unless somebody uses the model."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._users == 0 and self._process is not None:
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s, self._stop_idle)

    def _stop_idle(self) -> None:
        async def stop() -> None:
            async with self._lock:
                if self._users == 0:
                    await self._end_process()

        self._stopping = asyncio.create_task(stop())

    async def _ensure_started(self) -> ModelSettings:
        if self._process is not None and self._process.returncode is None and self._settings is not None:
            return self._settings
        await self._end_process()
        weights = self.weights()
        try:
            self._settings = await self._launch(weights)
        except BaseException:
            await self._end_process()
            raise
        return self._settings

    async def _launch(self, weights: Weights) -> ModelSettings:
        n_ctx = _CONTEXT_TOKENS if weights.tiny else _CONTEXT_TOKENS_OF_OWN
        # A second thread spins while it waits, and on a busy machine costs the tiny model more than it brings.
        n_threads = 1 if weights.tiny else max(1, (os.cpu_count() or 1) // 2)
        command = [sys.executable, "-P", "-m", "goalmap.generation.local_server"]
        command += [str(weights.path), str(n_ctx), str(n_threads)]
        # Without the user's keys: the model needs none.
        environ = {name: value for name, value in os.environ.items() if not name.upper().endswith("_API_KEY")}
        environ |= {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUTF8": "1"}
        _log.info("starting the embedded model %s", weights.path.name)
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ,
            # Not the library's folder: a process keeps its folder from being moved on some systems.
            cwd=weights.path.parent,
        )
        self.stopped.clear()
        self._stderr = asyncio.create_task(_drain(process.stderr))
        self._watching = asyncio.create_task(self._watch(process))
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                hello = await process.stdout.readline() if process.stdout is not None else b""
        except TimeoutError:
            hello = b""
        try:
            endpoint = json.loads(hello)
        except ValueError:
            raise await self._failed_start(weights) from None
        return ModelSettings(
            base_url=endpoint["base_url"],
            name=weights.name,
            api_key=endpoint["api_key"],
            timeout_s=_REPLY_TIMEOUT_S,
            max_output_tokens=_MAX_OUTPUT_TOKENS,
            max_retries=0,
        )

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Forget a process that ends by itself, such as one killed for lack of memory. The next use starts another."""
        await process.wait()
        if self._process is process and self._settings is not None:
            _log.warning("the embedded model ended by itself (%s)", process.returncode)
            self._process = self._settings = None
            self.stopped.set()

    async def _failed_start(self, weights: Weights) -> ModelError:
        stderr = self._stderr
        await self._end_process()
        lines = (await stderr if stderr is not None else "").strip().splitlines()
        _log.warning("the embedded model did not start: %s", " | ".join(lines[-5:]))
        return ModelError(
            "local",
            f"The embedded model {weights.path.name} did not start.",
            "Check that the file is a chat model that llama.cpp can run, and that there is memory for it; the log has "
            "the details. Or set OPENAI_API_KEY or GOALMAP_MODEL_BASE_URL.",
        )

    async def _end_process(self) -> None:
        process, self._process, self._settings = self._process, None, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
            if self._stderr is not None:
                await self._stderr
            self.stopped.set()


def _check_runtime() -> None:
    """Raise `ModelError` unless the program that runs the model is there, in a release that works."""
    from importlib import metadata

    next_step = "Run `pip install 'goalmap[local]'`, or set OPENAI_API_KEY or GOALMAP_MODEL_BASE_URL."
    if not has_runtime():
        raise ModelError("not-configured", "The program that runs the embedded model is not installed.", next_step)
    try:
        version = metadata.version(RUNTIME)
        release = tuple(int(part) for part in version.split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return  # built by hand, or renamed: assume that it works
    if not RUNTIME_FROM <= release < RUNTIME_BEFORE:
        first, before = (".".join(map(str, bound)) for bound in (RUNTIME_FROM, RUNTIME_BEFORE))
        raise ModelError(
            "not-configured",
            f"{RUNTIME} {version} cannot run the embedded model: it takes {first} or newer, and older than {before}.",
            next_step,
        )


async def _drain(stderr: asyncio.StreamReader | None) -> str:
    """Read until the process ends; return the last characters."""
    kept = ""
    while stderr is not None and (block := await stderr.read(4096)):
        kept = (kept + block.decode("utf-8", "replace"))[-_KEPT_STDERR_CHARS:]
    return kept
