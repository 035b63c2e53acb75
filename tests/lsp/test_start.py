"""A lean start imports little, and what it leaves for later is what it would have been."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from goalmap.lsp import lean_start
from support.lsp_client import LspClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

SUPPORT = Path(__file__).parents[1] / "support"
PLAIN = {**os.environ, "GOALMAP_LEAN_START": "0"}

# What is imported, and executed, when the first diagnostics of a server without features of its own are out.
THIRD_PARTY = {
    "lsprotocol",
    "lsprotocol.types",
    "lsprotocol.validators",
    "pygls",
    "pygls.constants",
    "pygls.exceptions",
    "pygls.feature_manager",
    "pygls.io_",
    "pygls.lsp",
    "pygls.lsp._base_server",
    "pygls.lsp.server",
    "pygls.progress",
    "pygls.protocol",
    "pygls.protocol.json_rpc",
    "pygls.protocol.language_server",
    "pygls.server",
    "pygls.uris",
}
OURS = {
    "goalmap",
    "goalmap.lsp",
    "goalmap.lsp.lean_start",
    "goalmap.lsp.lifecycle",
    "goalmap.lsp.protocol",
    "goalmap.lsp.server",
    "goalmap.lsp.shapes",
    "goalmap.lsp.wire",
}
# Our own, and what an interpreter starts with: its main program, hooks of editable installations and of sites.
STARTED_WITH = ("goalmap", "__", "_editable", "_virtualenv", "_distutils_hack", "sitecustomize", "usercustomize")
# Of the standard library: what would say that something has crept in. asyncio alone brings about eighty others.
HEAVY = {
    "_ssl",
    "argparse",
    "asyncio.sslproto",
    "dataclasses",
    "decimal",
    "difflib",
    "email",
    "http",
    "importlib.metadata",
    "multiprocessing",
    "pathlib",
    "pickle",
    "platform",
    "random",
    "shutil",
    "ssl",
    "tempfile",
    "unittest",
    "urllib.request",
    "uuid",
    "xml",
}


def python(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, check=True, timeout=100
    )


def in_lean_process(program: str) -> str:
    """Run `program` after a lean import of the server, and return what it prints."""
    lean = "from goalmap.lsp import lean_start\nwith lean_start.imports():\n    import goalmap.lsp.endpoint\n"
    return python("-c", lean + program).stdout.strip()


async def test_the_module_budget_at_the_first_diagnostics() -> None:
    async with await LspClient.spawn([sys.executable, str(SUPPORT / "demo_server.py")]) as client:
        await client.initialize()
        client.open("file:///a", "TODO")
        await client.notification("textDocument/publishDiagnostics")
        modules = set(await client.request("demo/modules"))
    builtin = {name for name in modules if name.partition(".")[0] in sys.stdlib_module_names}
    others = modules - builtin
    assert {name for name in others if name.startswith("goalmap")} <= OURS
    assert {name for name in others if not name.startswith(STARTED_WITH)} <= THIRD_PARTY
    assert modules & HEAVY == set()


async def test_the_whole_server_needs_no_other_library_for_its_first_diagnostics(tmp_path: Path) -> None:
    """One that answers and is told to go: what it has imported then, it says on stderr."""
    (tmp_path / "goal_map.json").write_text('{"DEBUG": {"persona": "missing.txt"}}', encoding="utf-8")
    (tmp_path / "components" / "personas").mkdir(parents=True)
    program = (
        "import atexit, json, sys\n"
        "from goalmap.cli.main import main\n"
        "from goalmap.lsp.lean_start import is_waiting\n"
        "def tell():\n"
        "    used = [name for name, module in list(sys.modules.items()) if not is_waiting(module)]\n"
        "    print('modules:', json.dumps(used), file=sys.stderr)\n"
        "atexit.register(tell)\n"
        "sys.exit(main(['lsp']))\n"
    )
    uri = (tmp_path / "goal_map.json").as_uri()
    async with await LspClient.spawn([sys.executable, "-c", program]) as client:
        await client.initialize(workspaceFolders=[{"uri": tmp_path.as_uri(), "name": "library"}])
        client.open(uri, (tmp_path / "goal_map.json").read_text(encoding="utf-8"))
        found = await client.notification("textDocument/publishDiagnostics", lambda params: params["uri"] == uri)
        assert [diagnostic["code"] for diagnostic in found["diagnostics"]] == ["component.missing"]
        assert await client.shutdown_and_exit() == 0
        stderr = await client.stderr_text()
    modules = set(json.loads(stderr.partition("modules: ")[2]))
    others = {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in others if not name.startswith(STARTED_WITH)} <= THIRD_PARTY
    assert modules & {"ssl", "_ssl", "uuid", "platform", "importlib.metadata", "urllib.request"} == set()


def test_every_type_is_what_it_would_have_been() -> None:
    """Compares all classes, enums and constants of lsprotocol, and what instances do, with those of a plain import."""
    lean = python(SUPPORT / "describe_types.py")
    plain = python(SUPPORT / "describe_types.py", env=PLAIN)
    waiting, classes = map(int, lean.stderr.split())
    assert waiting == classes > 500, "all of them had been left for later"
    assert plain.stderr.split()[0] == "0"
    lean_types, plain_types = json.loads(lean.stdout), json.loads(plain.stdout)
    assert lean_types["types"].keys() == plain_types["types"].keys()
    for name, expected in plain_types["types"].items():
        assert lean_types["types"][name] == expected
    assert lean_types["behaviour"] == plain_types["behaviour"]


def test_a_class_is_built_once_by_threads_at_once() -> None:
    assert (
        in_lean_process(
            "from concurrent.futures import ThreadPoolExecutor\n"
            "from lsprotocol import types\n"
            "with ThreadPoolExecutor(16) as pool:\n"
            "    made = list(pool.map(lambda n: types.Range(types.Position(n, n), types.Position(n, n)), range(64)))\n"
            "print([r.start.line for r in made] == list(range(64)), len({type(r.start) for r in made}))"
        )
        == "True 1"
    )


def test_late_modules_come_when_they_are_used() -> None:
    assert (
        in_lean_process(
            "import sys, ssl, uuid\n"
            "waited = [lean_start.is_waiting(sys.modules[name]) for name in sorted(lean_start.LATE_MODULES)]\n"
            "from ssl import SSLContext\n"
            "from pygls.protocol import json_rpc\n"
            "import cattrs, cattrs.errors\n"
            "error = cattrs.errors.ClassValidationError\n"
            "import pygls.protocol.language_server as language_server\n"
            "workspace = language_server.Workspace(None)\n"
            "import pygls.workspace\n"
            "print(all(waited), SSLContext is ssl.SSLContext, uuid.UUID(int=1).int,"
            " json_rpc.ClassValidationError is error, language_server.Workspace is pygls.workspace.Workspace,"
            " type(ssl), ssl.__spec__.loader.name)"
        )
        == "True True 1 True True <class 'module'> ssl"
    )


async def test_tls_works_after_a_lean_start() -> None:
    """Asyncio was told that there is `ssl`; a handshake with somebody who does not speak TLS proves that there is."""

    async def answer_in_plain_text(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is not TLS at all\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_in_plain_text, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    program = (
        "import asyncio\n"
        f"async def main():\n    await asyncio.open_connection('127.0.0.1', {port}, ssl=True)\n"
        "try:\n    asyncio.run(main())\nexcept Exception as error:\n    print(type(error).__mro__)"
    )
    async with server:
        printed = await asyncio.to_thread(in_lean_process, program)
    assert "ssl.SSLError" in printed


def test_it_can_be_turned_off() -> None:
    program = (
        "from goalmap.lsp import lean_start\nimport sys\nwith lean_start.imports():\n    import goalmap.lsp.endpoint\n"
        "print([name for name, module in sys.modules.items() if lean_start.is_waiting(module)])"
    )
    assert python("-c", program, env=PLAIN).stdout.strip() == "[]"


# -- what does not look as expected -----------------------------------------------------------------------------------


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that imports a text as a module with late classes."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lean_start, "LATE_CLASSES", frozenset({"odd"}))

    def lean_import(text: str) -> ModuleType:
        (tmp_path / "odd.py").write_text(text, encoding="utf-8")
        with lean_start.imports():
            import odd  # type: ignore[import-not-found]
        return odd  # type: ignore[no-any-return]

    yield lean_import
    sys.modules.pop("odd", None)


@pytest.mark.parametrize(
    "text",
    [
        "import attrs\n@attrs.define\nclass A:\n    x: int = 1\n",
        "import attrs\n@attrs.define()\nclass A:\n    x: int = 1\n",
        "from attrs import define\n@define\nclass A:\n    x: int = 1\n",
        "import attrs\n@attrs.frozen\nclass A:\n    x: int = 1\n",
        "import attr\n@attr.s(auto_attribs=True)\nclass A:\n    x: int = 1\n",
        "import attr\n@attr.s\nclass A:\n    x = attr.ib(default=1)\n",
        "import attr\n@attr.s(slots=True)\nclass A:\n    x = attr.ib(default=1)\n",
        "def other(cls):\n    cls.x = 1\n    return cls\n@other\nclass A: pass\n",
        "def other(cls):\n    class B(cls):\n        x = 1\n    return B\n@other\nclass A: pass\n",
        "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1\n",
        "class A:\n    x = 1\n    def __init__(self): pass\n",
        "class Base:\n    def __init__(self): self.x = 1\nclass A(Base):\n    def __init__(self): super().__init__()\n",
        "import attrs\n@attrs.define\nclass Base:\n    x: int = 1\n@attrs.define\nclass A(Base):\n    y: int = 2\n",
        "import attrs\n@attrs.define\nclass A:\n    x: int = 1\nONE = A()\n",
        "import enum\nclass A(enum.Enum):\n    x = 1\n    def __call__(self): return self\nA = A.x\nA.x = 1\n",
        "import typing\nclass A(typing.NamedTuple):\n    x: int = 1\n",
        "import abc\nclass A(metaclass=abc.ABCMeta):\n    x = 1\n",
    ],
)
def test_other_ways_to_declare_a_class_work_as_usual(odd: Any, text: str) -> None:
    assert odd(text).A().x == 1


def test_an_error_in_a_module_is_the_usual_error(odd: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        odd("class A: pass\n1 / 0\n")
    assert "odd" not in sys.modules


def test_classes_with_late_bases_are_late(odd: Any) -> None:
    module = odd(
        "import attrs\n@attrs.define\nclass Base:\n    x: int = 1\n"
        "@attrs.define\nclass A(Base):\n    y: int = 2\n@attrs.define\nclass B(Base):\n    z: int = 3\n"
    )
    assert lean_start.is_waiting(module.A)
    assert module.A(5) == module.A(5, 2)
    assert not lean_start.is_waiting(module.Base), "a class is built upon its bases"
    assert lean_start.is_waiting(module.B)


def test_what_is_left_for_later_keeps_its_order_and_its_documentation(odd: Any) -> None:
    module = odd(
        "import attrs, functools\n"
        "@attrs.define(eq=False)\n"
        "@functools.total_ordering\n"
        "class A:\n    'What it is.'\n    x: int\n"
        "    def __eq__(self, other): return self.x == other.x\n"
        "    def __lt__(self, other): return self.x < other.x\n"
    )
    assert lean_start.is_waiting(module.A)
    assert module.A.__doc__ == "What it is."
    assert not lean_start.is_waiting(module.A)
    assert module.A(2) >= module.A(2)
    assert repr(module.A(3)) == "A(x=3)"
