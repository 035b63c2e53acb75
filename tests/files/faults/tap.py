"""A tap on every call that the commit makes to the operating system: counted, killed, failed, interrupted, recorded.

It replaces the `os` of `goalmap.files.os_layer`, the only module of the commit that may call it, and that module's few
other ways to the system. No strace, so it runs wherever Python does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from goalmap.files import os_layer

# What changes the disk; a kill before any other call leaves what a kill before the next of these leaves.
CHANGING = frozenset(
    {"open", "mkdir", "unlink", "replace", "rename", "link", "write", "fsync", "posix_fallocate", "ftruncate", "fchown"}
    | {"fchmod", "setxattr", "rename_with_flag"}
)
LOOKING = frozenset(
    {"stat", "access", "listdir", "lseek", "read", "fstat", "close", "listxattr", "getxattr", "try_lock"}
)
# What does not fail on its own account, or whose failure says nothing about files.
NEVER_FAILS = frozenset({"lseek", "access", "close"})
KILLED = 137


class Killed(BaseException):
    """The process is dead: it does nothing more to the disk, whatever its handlers try."""


@dataclass
class Tap:
    """What to do at which call. Calls are numbered from 1."""

    kill_at: int = 0
    die_at: int = 0  # as a kill, but for what is to go on in this process: from there on all calls raise Killed
    kill_mid_write: bool = False  # the call to kill at is a write, of which half is done
    fail_at: int = 0
    fail_with: int = errno.EIO
    fail_for_good: bool = False
    fail_after: bool = False  # the call takes effect, and then says that it did not
    before: Callable[[int, str], None] | None = None
    after: Callable[[str, tuple[Any, ...], dict[str, Any], Any], None] | None = None
    calls: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    is_dead: bool = False
    _real: dict[str, Any] = field(default_factory=dict)

    def call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make one call, or what the plan has for it."""
        self.calls.append(_label(name, args))
        number = len(self.calls)
        if number == self.kill_at:
            if self.kill_mid_write:
                os.write(args[0], bytes(args[1])[: len(args[1]) // 2])
            os._exit(KILLED)
        if self.is_dead or number == self.die_at:
            self.is_dead = True
            if name != "close":  # which the system does for a dead process
                raise Killed
        if self.before is not None:
            self.before(number, name)
        fails = number == self.fail_at or (self.fail_for_good and 0 < self.fail_at < number)
        if fails and name not in NEVER_FAILS:
            if self.fail_after:
                real(*args, **kwargs)
            self.failed.append(self.calls[-1])
            raise OSError(self.fail_with, os.strerror(self.fail_with), None)
        result = real(*args, **kwargs)
        if self.after is not None:
            self.after(name, args, kwargs, result)
        return result

    def install(self) -> None:
        """Put the tap in."""
        self._real = {name: getattr(os_layer, name) for name in ("os", "rename_with_flag", "try_lock")}
        os_layer.os = _TappedOs(self)  # type: ignore[assignment]
        for name in ("rename_with_flag", "try_lock"):
            setattr(os_layer, name, self._tapped(name, self._real[name]))

    def remove(self) -> None:
        """Take the tap out: in a process forked off, which is to run undisturbed."""
        for name, real in self._real.items():
            setattr(os_layer, name, real)

    def _tapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.call(name, real, args, kwargs)


class _TappedOs:
    """The module `os` with its file calls tapped."""

    def __init__(self, tap: Tap) -> None:
        for name in CHANGING | LOOKING:
            if hasattr(os, name):
                setattr(self, name, tap._tapped(name, getattr(os, name)))  # noqa: SLF001 - its own

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def _label(name: str, args: tuple[Any, ...]) -> str:
    names = [str(arg) for arg in args if isinstance(arg, str)]
    creates = name == "open" and len(args) > 1 and args[1] & os.O_CREAT
    return f"{'create' if creates else name}({', '.join(names)})"


def changes_disk(label: str) -> bool:
    """Whether a call with this label may have changed the disk."""
    name = label.partition("(")[0]
    return name == "create" or (name in CHANGING and name != "open")
