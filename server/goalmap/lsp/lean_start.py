"""A start in a fraction of the time: what pygls imports and a first answer does not need is made when it is first used.

Three quarters of `import pygls.lsp.server` are lsprotocol's 554 attrs classes, whose methods attrs writes and compiles
one by one (https://github.com/microsoft/lsprotocol/issues/441). A server that keeps to plain JSON uses a handful. So,
for imports inside of `with imports():`

* **late classes**: in the modules of LATE_CLASSES, a class statement yields the class at once, but its body is run, and
  its decorators applied, when somebody first makes an instance or asks for its fields. Same object, same name, same
  module; only `__slots__` are missing.
* **late modules**: those of LATE_MODULES are executed at the first use of one of their names.
* no garbage is collected: almost nothing that an import makes is garbage.

Nothing here changes an installed file or outlives the block, apart from what is still waiting to be used. A module that
does not look as expected (another way to declare classes, say) is imported as usual: see `_ClassLoader.exec_module`.
GOALMAP_LEAN_START=0 in the environment turns all of it off.
"""

from __future__ import annotations

import builtins
import gc
import os
import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from importlib.machinery import SourceFileLoader

LATE_CLASSES = frozenset({"lsprotocol.types", "pygls.protocol.json_rpc"})
# Decorators that may wait together with the class, by the module that has them.
LATE_DECORATORS = {"attrs": {"define"}, "functools": {"total_ordering"}}

# Module -> names that others import from it and then only call, or ask for attributes; None where nobody does.
LATE_MODULES: dict[str, frozenset[str]] = {
    # asyncio asks for both at the top, and needs them for connections with TLS only.
    "ssl": frozenset(),
    "asyncio.sslproto": frozenset(),
    "cattrs": frozenset(),
    "cattrs.errors": frozenset({"ClassValidationError"}),
    "lsprotocol.converters": frozenset(),
    # What pygls would keep documents with, and compute typed capabilities; see protocol.py.
    "pygls.capabilities": frozenset({"ServerCapabilitiesBuilder"}),
    "pygls.workspace": frozenset({"Workspace"}),
    "uuid": frozenset(),
}

_lock = RLock()


@contextmanager
def imports() -> Iterator[None]:
    """Make imports inside of the block lean, as far as the modules have not been imported before."""
    if os.environ.get("GOALMAP_LEAN_START") == "0":
        yield
        return
    collecting = gc.isenabled()
    gc.disable()
    sys.meta_path.insert(0, _finder)
    try:
        yield
    finally:
        sys.meta_path.remove(_finder)
        if collecting:
            # What has been imported stays: no collection needs to look at it again.
            gc.freeze()
            gc.enable()


class _Finder:
    """Finds what everybody finds, and loads it otherwise."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LATE_CLASSES and fullname not in LATE_MODULES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not hasattr(spec.loader, "get_code"):
            return None
        loader = _ClassLoader if fullname in LATE_CLASSES else _ModuleLoader
        spec.loader = loader(spec.loader)  # type: ignore[arg-type,assignment]
        return spec


_finder: Any = _Finder()


# -- late modules -----------------------------------------------------------------------------------------------------


class _LateModule(ModuleType):
    """A module that executes itself when a name is missing: before the first use, nearly all are."""

    def __getattr__(self, name: str) -> Any:
        # The import system, inspect and the like look for these in every module; they are no use of it.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        if name in LATE_MODULES[self.__name__] and _finder in sys.meta_path:
            return _LateName(self, name)
        with _lock:
            self._load()
        return getattr(self, name)

    def _load(self) -> None:
        if type(self) is not _LateModule:
            return  # another thread has been faster
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec = self.__spec__
        assert spec is not None
        loader: Any = spec.loader
        self.__loader__ = spec.loader = loader.usual
        loader.usual.exec_module(self)
        _replace_late_names(self)


class _ModuleLoader:
    """Makes a late module, and leaves it at that."""

    def __init__(self, usual: SourceFileLoader) -> None:
        self.usual = usual

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LateModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _LateName:
    """Stands for `from module import name` where the module has not been executed."""

    def __init__(self, module: ModuleType, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._module, self._name)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._module, self._name), name)


def _replace_late_names(loaded: ModuleType) -> None:
    """Give every module that has a stand-in for a name of `loaded` the real thing: `except` takes no stand-in."""
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("pygls"):
            continue
        for name, value in list(vars(module).items()):
            if type(value) is _LateName and value._module is loaded:  # noqa: SLF001
                setattr(module, name, getattr(loaded, value._name))  # noqa: SLF001


# -- late classes -----------------------------------------------------------------------------------------------------

# What is asked of an attrs class, or of its instances, before it is known; the rest comes with the first of these.
_TRIGGERS = (
    "__init__",
    "__eq__",
    "__repr__",
    "__doc__",
    "__match_args__",
    "__attrs_attrs__",
    "__attrs_props__",
    "__attrs_types_resolved__",
)
Decorator = "Callable[[type], type]"
_waiting: dict[type, tuple[Callable[[], None], list[Callable[[type], type]]]] = {}


class _UnexpectedModuleError(Exception):
    """A module does not declare its classes in the way that can wait."""


def _build(cls: type) -> bool:
    """Give `cls` all that it was declared with; False if it has it."""
    with _lock:
        if cls not in _waiting:
            return False
        body, decorators = _waiting.pop(cls)
        for base in cls.__bases__:
            _build(base)
        built: type = builtins.__build_class__(body, cls.__name__, *cls.__bases__)
        for decorate in decorators:
            built = decorate(built)
        for name in (*_TRIGGERS, "__annotations__"):
            if name in vars(cls):
                delattr(cls, name)
        for name, value in vars(built).items():
            if name not in {"__dict__", "__weakref__"}:
                setattr(cls, name, value)
        return True


class _Trigger:
    """Builds the class that it is asked on, then lets the question be answered."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        with _lock:
            waited = [_build(cls) for cls in owner.__mro__]
        if not any(waited) and vars(owner).get(self._name) is self:
            raise AttributeError(self._name)  # asked while it is being built
        return getattr(owner if instance is None else instance, self._name)


_triggers = {name: _Trigger(name) for name in _TRIGGERS}


class _LateAnnotations(_Trigger):
    """`typing.get_type_hints` reads a class's annotations from its `__dict__`, past every descriptor."""

    def __init__(self, cls: type) -> None:
        super().__init__("__annotations__")
        self._cls = cls

    def items(self) -> Any:
        _build(self._cls)
        return self._cls.__annotations__.items()


class _Declarations:
    """What a module with late classes sees instead of `__build_class__` and `__import__`, while it is executed."""

    def __init__(self, module_name: str) -> None:
        self._module_name = module_name
        self._classes: dict[type, bool] = {}  # whether a decorator was kept for it
        self._open = True

    def builtins(self) -> dict[str, Any]:
        """Return builtins for the module's globals; the statements `class` and `import` look there."""
        return {**vars(builtins), "__build_class__": self._build_class, "__import__": self._import}

    def close(self) -> None:
        """Raise _UnexpectedModuleError unless all late classes wait with a decorator; treat further ones as usual."""
        self._open = False
        if not all(kept and cls in _waiting for cls, kept in self._classes.items()):
            for cls in self._classes:
                _waiting.pop(cls, None)
            raise _UnexpectedModuleError(self._module_name)

    def _build_class(self, body: Any, name: str, *bases: Any, **keywords: Any) -> Any:
        code = body.__code__
        if not self._open or keywords or code.co_freevars or code.co_cellvars or not set(bases) <= self._classes.keys():
            return builtins.__build_class__(body, name, *bases, **keywords)
        cls = type(name, bases, {"__module__": self._module_name, "__qualname__": body.__qualname__, **_triggers})
        cls.__annotations__ = _LateAnnotations(cls)  # type: ignore[assignment]
        _waiting[cls] = (body, [])
        self._classes[cls] = False
        return cls

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  builtins' own name
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if self._open and level == 0 and name in LATE_DECORATORS:
            return _Decorators(name, self)
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    def keep(self, cls: type, decorate: Callable[[type], type]) -> bool:
        """Whether `decorate` will be applied to `cls` when that is built."""
        if cls not in self._classes or cls not in _waiting:
            return False
        _waiting[cls][1].append(decorate)
        self._classes[cls] = True
        return True


class _Decorators:
    """A module's decorators that can wait, and everything else of the module itself."""

    def __init__(self, module_name: str, declarations: _Declarations) -> None:
        self._module_name = module_name
        self._declarations = declarations

    def __getattr__(self, name: str) -> Any:
        if name not in LATE_DECORATORS[self._module_name]:
            return getattr(builtins.__import__(self._module_name), name)

        def decorator(cls: type | None = None, **options: Any) -> Any:
            if cls is None:
                return lambda cls: decorator(cls, **options)

            def decorate(built: type) -> type:
                # With slots, attrs would have to make a class of its own; this one is known to others already.
                late = {"slots": False} if name == "define" else {}
                decorated: type = getattr(builtins.__import__(self._module_name), name)(built, **options, **late)
                return decorated

            return cls if self._declarations.keep(cls, decorate) else decorate(cls)

        return decorator


class _ClassLoader:
    """Executes a module with late classes."""

    def __init__(self, usual: SourceFileLoader) -> None:
        self._usual = usual

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._usual.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        module.__loader__ = spec.loader = self._usual
        declarations = _Declarations(module.__name__)
        before = dict(vars(module))
        code: Any = self._usual.get_code(module.__name__)
        try:
            exec(code, vars(module).__setitem__("__builtins__", declarations.builtins()) or vars(module))  # noqa: S102
            declarations.close()
        except Exception:  # noqa: BLE001  whatever it is, the usual import does without it or raises it again
            vars(module).clear()
            vars(module).update(before)
            self._usual.exec_module(module)
        else:
            vars(module)["__builtins__"] = vars(builtins)
