"""A start imports nothing heavy, and the classes of lsprotocol, whose methods come later, are what they would be."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import trustme

from support.lsp_client import LspClient
from support.openai_endpoint import Endpoint, Reply

TESTS = Path(__file__).parents[1]
DESCRIBE_TYPES = TESTS / "support" / "describe_types.py"
# What features need, each for itself, and what would say that something has crept in.
HEAVY = {
    "argparse",
    "difflib",
    "email",
    "http",
    "httpx",
    "importlib.metadata",
    "jinja2",
    "multiprocessing",
    "openai",
    "platformdirs",
    "pydantic",
    "random",
    "rapidfuzz",
    "shutil",
    "ssl",
    "tempfile",
    "urllib.request",
    "xml",
}
# At its end, a server says which modules it has imported, and which of lsprotocol's classes it has had built.
TELLING_SERVER = """
import atexit, json, sys
from goalmap.cli.main import main
def tell():
    types = vars(sys.modules["lsprotocol.types"]).values()
    fields = {cls.__name__: type(vars(cls).get("__attrs_attrs__")).__name__ for cls in types if isinstance(cls, type)}
    print("told:", json.dumps([sorted(sys.modules), fields]), file=sys.stderr)
atexit.register(tell)
sys.exit(main(["lsp"]))
"""


def run(program: str, **environment: str) -> str:
    """Run `program` in a process of its own, and return what it prints."""
    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True, timeout=100
    ).stdout.strip()


async def test_nothing_heavy_is_imported_and_no_class_built_before_the_first_diagnostics(tmp_path: Path) -> None:
    (tmp_path / "goal_map.json").write_text('{"DEBUG": {"persona": "missing.txt"}}', encoding="utf-8")
    (tmp_path / "components" / "personas").mkdir(parents=True)
    uri = (tmp_path / "goal_map.json").as_uri()
    async with await LspClient.spawn([sys.executable, "-c", TELLING_SERVER]) as client:
        await client.initialize(workspaceFolders=[{"uri": tmp_path.as_uri(), "name": "library"}])
        client.open(uri, (tmp_path / "goal_map.json").read_text(encoding="utf-8"))
        published = await client.notification("textDocument/publishDiagnostics", lambda params: params["uri"] == uri)
        assert [diagnostic["code"] for diagnostic in published["diagnostics"]] == ["component.missing"]
        assert await client.shutdown_and_exit() == 0
        stderr = await client.stderr_text()
    modules, fields = json.loads(stderr.partition("told: ")[2])
    assert "goalmap.lsp.features.hover" in modules
    assert HEAVY & set(modules) == set()
    assert list(fields.values()).count("LateFields") > 500
    assert [name for name, kind in fields.items() if kind not in {"LateFields", "NoneType"}] == []


def test_every_type_is_what_it_would_have_been() -> None:
    """Compares all classes, enums and constants of lsprotocol, and what instances do, with those of a plain import."""
    described = f"import runpy; runpy.run_path({str(DESCRIBE_TYPES)!r}, run_name='__main__')"
    late, plain = (json.loads(run(program)) for program in (f"import goalmap.lsp; {described}", described))
    assert late["waiting"] > 500
    assert plain["waiting"] == 0
    assert late["types"].keys() == plain["types"].keys()
    for name, expected in plain["types"].items():
        assert late["types"][name] == expected
    assert late["behaviour"] == plain["behaviour"]


async def test_a_model_is_asked_over_tls_by_a_process_whose_asyncio_has_none(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Endpoint([Reply(text="Look.")], tls=context) as endpoint:
        assert endpoint.base_url.startswith("https:")
        program = f"""
from goalmap.lsp import lean_start
lean_start.import_asyncio()
import asyncio
from goalmap.generation.model import stream_completion
from goalmap.generation.model_settings import ModelSettings
async def main():
    settings = ModelSettings(base_url={endpoint.base_url!r})
    async for piece in stream_completion([{{"role": "user", "content": "Write."}}], settings):
        print(piece.text, end="")
print(asyncio.base_events.ssl)
asyncio.run(main())
"""
        printed = await asyncio.to_thread(run, program, SSL_CERT_FILE=str(tmp_path / "authority.pem"))
    assert printed.startswith("None")
    assert "Look." in printed


def test_a_class_is_built_once_by_threads_at_once() -> None:
    program = """
import goalmap.lsp
from concurrent.futures import ThreadPoolExecutor
from lsprotocol import types
with ThreadPoolExecutor(16) as pool:
    made = list(pool.map(lambda n: types.Range(types.Position(n, n), types.Position(n, n)), range(64)))
print([made.start.line for made in made] == list(range(64)), len({type(made.start) for made in made}))
"""
    assert run(program) == "True 1"


def test_it_can_be_turned_off() -> None:
    program = "import goalmap.lsp, lsprotocol.types as t; print(type(vars(t.Position)['__attrs_attrs__']).__name__)"
    assert run(program) == "LateFields"
    assert run(program, GOALMAP_LEAN_START="0") == "PositionAttributes"
