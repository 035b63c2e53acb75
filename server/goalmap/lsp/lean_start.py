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
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from operator import itemgetter
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
    "cattrs": frozenset({"Converter"}),
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


def is_waiting(thing: ModuleType | type) -> bool:
    """Whether the module or the class is late and has not been used yet."""
    return type(thing) is _LateModule or thing in _waiting


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

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # One lock for each module, as the import system has: a common one could meet those in the wrong order.
        self.__dict__["__late__"] = RLock()

    def __getattr__(self, name: str) -> Any:
        # The import system, inspect and the like look for these in every module; they are no use of it.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        if name in LATE_MODULES[self.__name__] and _finder in sys.meta_path:
            return _LateName(self, name)
        lock = vars(self).get("__late__")
        if lock is not None:
            with lock:
                self._load()
        return self.__getattribute__(name)

    def _load(self) -> None:
        spec: Any = self.__spec__
        if "__late__" not in vars(self) or not isinstance(spec.loader, _ModuleLoader):
            return  # another thread has been faster, or this one asks while it executes the module
        late_loader = spec.loader
        spec.loader = self.__dict__["__loader__"] = late_loader.usual
        try:
            late_loader.usual.exec_module(self)
        except BaseException:
            spec.loader = self.__dict__["__loader__"] = late_loader
            raise
        del self.__dict__["__late__"]
        self.__class__ = ModuleType  # type: ignore[assignment]
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
_OF_EVERY_CLASS = {"__dict__", "__weakref__"}
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
        # First the deletions: from Python 3.14 on, deleting __annotations__ takes along what computes them.
        for name in _UNBUILT & vars(cls).keys() - vars(built).keys():
            delattr(cls, name)
        for name, value in vars(built).items():
            if name not in _OF_EVERY_CLASS:
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


# All that a class has while it waits.
_UNBUILT = {*_TRIGGERS, "__annotations__", "__module__", "__hash__"}
_ALL_UNBUILT = _UNBUILT | _OF_EVERY_CLASS
_triggers_of = itemgetter(*_TRIGGERS)


class _LateAnnotations(_Trigger):
    """`typing.get_type_hints` reads a class's annotations from its `__dict__`, past every descriptor."""

    cls: type

    def __init__(self) -> None:
        super().__init__("__annotations__")

    def items(self) -> Any:
        _build(self.cls)
        return self.cls.__annotations__.items()


class _Declarations:
    """What a module with late classes sees instead of `__build_class__` and `__import__`, while it is executed."""

    def __init__(self, module_name: str) -> None:
        self._module_name = module_name
        self._classes: set[type] = set()
        self._open = True

    def builtins(self) -> dict[str, Any]:
        """Return builtins for the module's globals; the statements `class` and `import` look there."""
        return {**vars(builtins), "__build_class__": self._build_class, "__import__": self._import}

    def close(self, namespace: dict[str, Any]) -> None:
        """Build what nothing decorates, and treat further classes as usual.

        Raise _UnexpectedModuleError if anything but the decorators that wait has dealt with a class: looked into it,
        which has built it, given it something, or put another class into its place.
        """
        self._open = False
        for cls in self._classes:
            untouched = vars(cls).keys() <= _ALL_UNBUILT and _triggers_of(vars(cls)) == _triggers_of(_triggers)
            if cls not in _waiting or not untouched or namespace.get(cls.__name__) is not cls:
                for late in self._classes:
                    _waiting.pop(late, None)
                raise _UnexpectedModuleError(self._module_name)
        for cls in self._classes:
            if not _waiting[cls][1]:
                _build(cls)

    def _build_class(self, body: Any, name: str, *bases: Any, **keywords: Any) -> Any:
        code = body.__code__
        if not self._open or keywords or code.co_freevars or code.co_cellvars or not self._classes.issuperset(bases):
            return builtins.__build_class__(body, name, *bases, **keywords)
        annotations = _LateAnnotations()
        own = {"__module__": self._module_name, "__qualname__": body.__qualname__, "__annotations__": annotations}
        cls = annotations.cls = type(name, bases, {**_triggers, **own})
        _waiting[cls] = (body, [])
        self._classes.add(cls)
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

            def decorate(built: type, **more_options: Any) -> type:
                usual = getattr(builtins.__import__(self._module_name), name)
                decorated: type = usual(built, **options, **more_options)
                return decorated

            # With slots, attrs would have to make a class of its own; this one is known to others already.
            late = partial(decorate, slots=False) if name == "define" else decorate
            return cls if self._declarations.keep(cls, late) else decorate(cls)

        return decorator


class _ClassLoader:
    """Executes a module with late classes."""

    def __init__(self, usual: SourceFileLoader) -> None:
        self._usual = usual

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._usual.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec: Any = module.__spec__
        module.__loader__ = spec.loader = self._usual
        namespace = vars(module)
        before = dict(namespace)
        declarations = _Declarations(module.__name__)
        namespace["__builtins__"] = declarations.builtins()
        try:
            exec(self._usual.get_code(module.__name__), namespace)  # type: ignore[arg-type]  # noqa: S102
            declarations.close(namespace)
        except Exception:  # noqa: BLE001  whatever it is, the usual import does without it or raises it again
            namespace.clear()
            namespace.update(before)
            self._usual.exec_module(module)
        else:
            namespace["__builtins__"] = vars(builtins)
