"""Import asyncio and lsprotocol in a fourth of the time and memory.

Three quarters of `import pygls` are lsprotocol's 554 attrs classes, whose methods attrs writes and compiles one by one
(https://github.com/microsoft/lsprotocol/issues/441). A server that keeps to plain JSON makes no instance of nearly all
of them. So its classes get their methods when they are first used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from threading import RLock
from typing import Any

import attrs

_lock = RLock()
_define: Callable[..., Any] = attrs.define


def import_asyncio() -> None:
    """Import asyncio as on a Python that was built without `ssl`, which takes 6 MB and 10 ms.

    That is for a process of which we know every user of asyncio: it has no TLS of its own then. anyio, through which
    models are asked, brings one.
    """
    if "asyncio" not in sys.modules and "ssl" not in sys.modules:
        sys.modules["ssl"] = None  # type: ignore[assignment]  # an import of it fails
        try:
            import asyncio  # noqa: F401
        finally:
            del sys.modules["ssl"]


def import_lsprotocol() -> None:
    """Import `lsprotocol.types` with classes that wait; GOALMAP_LEAN_START=0 in the environment has it as usual."""
    if os.environ.get("GOALMAP_LEAN_START") != "0":
        attrs.define = _define_late  # type: ignore[assignment]
    try:
        import lsprotocol.types  # noqa: F401
    finally:
        attrs.define = _define


def _define_late(cls: type | None = None, **options: Any) -> Any:
    """Do as `attrs.define`, at the class's first instance, or when somebody asks attrs about its fields."""
    if cls is None:
        return lambda cls: _define_late(cls, **options)
    cls.__attrs_attrs__, cls.__init__ = LateFields(cls, options), _init_late  # type: ignore[attr-defined,misc]
    return cls


def _init_late(self: Any, *args: Any, **kwargs: Any) -> None:
    attrs.fields(type(self))
    self.__init__(*args, **kwargs)


class LateFields:
    """Stands in a class where attrs keeps the fields, `__attrs_attrs__`; whoever looks there has the class built."""

    __slots__ = ("_cls", "_options")

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        self._cls = cls
        self._options = options

    def __get__(self, instance: object, owner: type) -> Any:
        with _lock:
            if vars(self._cls).get("__attrs_attrs__") is self:
                # Slots would make another class of it, and others know this one. attrs leaves a class its own
                # `__init__` unless it is told otherwise: here that is the one that waits.
                _define(**{**self._options, "slots": False, "init": True})(self._cls)
        return owner.__attrs_attrs__  # type: ignore[attr-defined]
