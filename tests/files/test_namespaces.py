"""Two containers that share a library: who lives is told by locks, not by process ids, which mean nothing elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from goalmap.files.errors import CommitRefused
from goalmap.files.recovery import pending
from goalmap.files.transaction import AlreadyDone, Generation
from support.told import begin, recover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from files.conftest import Library

_ELSEWHERE: Final = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
_AS_USER: Final = [*_ELSEWHERE, "--user", "--map-root-user"]

# Says what it has done on stdout, and waits for a line on stdin wherever the test may look.
OWNER: Final = """
import os, sys
from goalmap.files.recovery import recover
from goalmap.files.request import GenerateRequest
from goalmap.files.transaction import begin
what, map_path = sys.argv[1:]
def say(word):
    print(os.getpid(), word, flush=True)
    sys.stdin.readline()
if what == "recover":
    reports = []
    recover(os.path.dirname(map_path), tell=reports.append)
    say([one.has_owner for report in reports for one in report.pending])
else:
    request = GenerateRequest(map_path, ("Technical", "DEBUG"), "protocol", None, "drill.txt", "root causes")
    generation = begin(request, tell=print)
    generation.append("Drill ")
    if what == "finished":
        generation.finish("Drill down.\\n")
    say("ready")
"""


def _unshare() -> list[str]:
    """Return the command that runs another one in a PID namespace of its own; skip where nothing makes one."""
    said = "there is no `unshare` here"
    if shutil.which("unshare"):
        for command in (_ELSEWHERE, _AS_USER):
            tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
            if tried.returncode == 0:
                return command
            said = tried.stderr.strip()
    pytest.skip(f"NOT TESTED: locks across PID namespaces, since this system makes none: {said}")


class Elsewhere:
    """A process in another PID namespace."""

    def __init__(self, command: list[str], what: str, library: Library) -> None:
        self.process = subprocess.Popen(
            [*command, sys.executable, "-c", OWNER, what, str(library.map)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        pid, _, self.said = self.process.stdout.readline().strip().partition(" ")
        assert pid == "1", "it is in no namespace of its own"

    def kill(self) -> None:
        """End it, and wait until it has."""
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def elsewhere(library: Library) -> Iterator[Callable[[str], Elsewhere]]:
    """Start something in another PID namespace."""
    command, running = _unshare(), []

    def start(what: str) -> Elsewhere:
        running.append(Elsewhere(command, what, library))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.communicate()


def test_an_owner_in_another_namespace_is_alive_until_it_dies(
    library: Library, elsewhere: Callable[[str], Elsewhere]
) -> None:
    owner = elsewhere("finished")
    (waiting,) = recover(str(library.root)).pending
    assert waiting.has_owner
    assert pending(str(library.root)) == []
    with pytest.raises(CommitRefused, match="being generated right now"):
        begin(library.request())
    assert library.components() == {"components/personas/detective.txt": "You look twice.\n"}
    owner.kill()
    assert len(pending(str(library.root))) == 1
    done = begin(library.request())
    assert isinstance(done, AlreadyDone), "its text is not paid for again"
    assert library.reference() == done.result.file
    assert library.records() == []


def test_an_owner_in_another_namespace_that_dies_while_the_model_writes(
    library: Library, elsewhere: Callable[[str], Elsewhere]
) -> None:
    owner = elsewhere("writing")
    assert [one.has_owner for one in recover(str(library.root)).pending] == [True]
    owner.kill()
    assert len(recover(str(library.root)).parked) == 1
    assert list(library.parked().values()) == ["Drill "]


def test_recovery_in_another_namespace_leaves_our_generation_alone(
    library: Library, elsewhere: Callable[[str], Elsewhere]
) -> None:
    generation = library.finished()
    assert elsewhere("recover").said == "[True]"
    assert isinstance(generation, Generation)
    committed = generation.commit()
    assert library.reference() == committed.file
    assert library.parked() == {}
