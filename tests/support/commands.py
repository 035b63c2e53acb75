"""Runs the command as its users do: in a process of its own, without a terminal, in a home of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.openai_endpoint import EndpointProcess, Reply

KEY = "sk-canary-5f1e0c"

# What a person's environment may hold and a test must not depend on.
_DROPPED = ("OPENAI_", "GOALMAP_", "NO_COLOR", "COLUMNS", "PYTHON", "COVERAGE", "XDG_")
_POWERLESS = ("setpriv", "--inh-caps=-dac_override,-dac_read_search", "--bounding-set=-dac_override,-dac_read_search")


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Its stdout by lines."""
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """Its stdout, which is JSON."""
        return json.loads(self.out)


@dataclass
class Command:
    """`goalmap`, run in `folder`."""

    folder: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment that it runs in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
        return {**kept, "HOME": str(self.home), **self.env, **(extra or {})}

    def argv(self, *arguments: str | Path) -> list[str]:
        """Return its command line."""
        return [*self.prefix, sys.executable, "-m", "goalmap", *map(str, arguments)]

    def without_privileges(self, *arguments: str | Path) -> Finished:
        """Run it as somebody whom permissions bind: where the tests are root's, without root's power over files."""
        powerless = dataclasses.replace(self, prefix=() if os.geteuid() else _POWERLESS)
        return powerless(*arguments)

    def __call__(
        self, *arguments: str | Path, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> Finished:
        """Run it to its end; a traceback is never an answer."""
        done = subprocess.run(
            self.argv(*arguments),
            cwd=self.folder,
            env=self.environment(env),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr)

    def on_terminal(self, *arguments: str | Path, typed: str = "", env: Mapping[str, str] | None = None) -> Finished:
        """Run it in a terminal, and type once it asks; `out` is the screen."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            self.argv(*arguments),
            cwd=self.folder,
            env=self.environment({"TERM": "xterm", **(env or {})}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        screen = b""
        try:
            while data := os.read(ours, 4096):
                screen += data
                if typed and screen.endswith(b"\n> "):
                    os.write(ours, typed.encode())
                    typed = ""
        except OSError:
            pass  # Linux says EIO once the other side is closed
        os.close(ours)
        return Finished(process.wait(timeout=60), screen.decode(), "")

    def start(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start it and do not wait; a terminal's Ctrl-C is `send_signal(SIGINT)`."""
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # In the background of a shell without job control it is ignored, and that would be inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads, and a test
            encoding="utf-8",
        )


def write_files(folder: Path, files: Mapping[str, str | bytes | dict[str, Any] | list[Any] | None]) -> None:
    """Write files by their paths: texts, bytes, JSON values; None makes a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            path.write_bytes(text.encode())


@contextmanager
def endpoint(goalmap: Command, *script: Reply) -> Iterator[EndpointProcess]:
    """Run an endpoint that gives these replies, and have the command ask it."""
    with EndpointProcess(script) as running:
        goalmap.env = {"GOALMAP_MODEL_BASE_URL": running.base_url, "GOALMAP_API_KEY": KEY}
        yield running


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a library but its state."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".goalmap" not in path.parts
    }


def state(folder: Path, name: str) -> list[Path]:
    """Return what is in a folder of the library's state."""
    path = folder / ".goalmap" / name
    return sorted(path.iterdir()) if path.is_dir() else []
