"""`goalmap doctor`: print what Goalmap finds on this machine, for its user or for a bug report. It shows no key."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Final

from goalmap import __version__
from goalmap.cli.console import command, count, shown_path, styled
from goalmap.cli.library import add_root
from goalmap.core.exit_codes import FAILED, FINE
from goalmap.core.text import visible
from goalmap.files.errors import explain
from goalmap.files.loader import map_of

_PACKAGES: Final = ("pygls", "lsprotocol", "pydantic", "openai", "jinja2", "rapidfuzz", "platformdirs", "filelock")
_EXTRAS: Final = {"local": "xllamacpp", "tokens": "bpe-openai"}
_KEYS: Final = ("GOALMAP_API_KEY", "OPENAI_API_KEY")

# A name, a value, and whether it is as it should be; None where it can be neither right nor wrong.
Fact = tuple[str, str, bool | None]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_root(parser)


def run(options: argparse.Namespace) -> int:
    """Print the facts; return 1 where one of them keeps Goalmap from working."""
    facts = [*_program(), *_model(), *_library(options.root)]
    width = max(len(name) for name, _, _ in facts)
    for name, value, is_good in facts:
        marks = {True: styled("ok", "good", sys.stdout), False: styled("!!", "error", sys.stdout), None: "  "}
        print(f"{marks[is_good]}  {name.ljust(width)}  {visible(value)}")
    return FAILED if any(is_good is False for _, _, is_good in facts) else FINE


def _program() -> Iterator[Fact]:
    yield "goalmap", f"{__version__} in {os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}", True
    yield "python", f"{platform.python_version()} in {sys.executable}", sys.version_info >= (3, 11)
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}", None
    missing = [name for name in _PACKAGES if _version(name) is None]
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES if name not in missing)
    yield "packages", f"missing: {', '.join(missing)}" if missing else versions, not missing
    for extra, package in _EXTRAS.items():
        version = _version(package)
        installed = f"{package} {version}" if version else f"not installed (pip install 'goalmap[{extra}]')"
        yield f"extra {extra}", installed, None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _model() -> Iterator[Fact]:
    from goalmap.generation.errors import ModelError
    from goalmap.generation.local import LocalModel
    from goalmap.settings import DEFAULTS

    model = DEFAULTS.model_settings(os.environ)
    embedded: str
    is_installed = True
    try:
        weights = LocalModel().weights()
        embedded = f"{weights.name} in {weights.path}"
    except ModelError as error:
        embedded, is_installed = str(error), False
    if not model.is_configured:
        yield "model", "the local model" if is_installed else "none", is_installed
        yield "local model", embedded, is_installed
        return
    problem = model.problem()
    yield "model", str(problem) if problem else f"{model.name or 'the default'} at {model.address}", problem is None
    key = next((name for name in _KEYS if os.environ.get(name, "").strip()), None)
    if key is None:
        yield "key", f"none; {_KEYS[0]} and {_KEYS[1]} are not set", None
    else:
        use = "sent to this address" if model.sends_key else "not sent: it belongs to another address"
        yield "key", f"from {key}, {use}", model.sends_key
    yield "local model", embedded, None


def _library(root: str) -> Iterator[Fact]:
    map_path = map_of(os.path.abspath(root))
    if map_path is None:
        yield "library", f"none in {shown_path(root)}", None
        return
    from goalmap.cli.library import open_map
    from goalmap.files.recovery import pending

    folder = os.path.dirname(map_path)
    opened, faults = open_map(map_path)
    if opened is None:
        yield "library", f"{folder}: {faults[0].problem.message}", False
    else:
        goals = count(len(opened.goal_map.goals), "goal")
        yield "library", f"{folder}: {goals}, {count(len(opened.load().files), 'component')}", True
    yield from _file_system(folder)
    waiting = pending(folder)
    yield (
        "journal",
        f"{count(len(waiting), 'generation')} interrupted: run {command('recover', root=root)}" if waiting else "empty",
        (not waiting),
    )
    parked = os.path.join(folder, ".goalmap", "parked")
    if os.path.isdir(parked) and os.listdir(parked):
        yield "parked", f"{count(len(os.listdir(parked)), 'text')} in {parked}", None


def _file_system(folder: str) -> Iterator[Fact]:
    """Try what a commit needs, in a scratch folder beside the map: file systems differ."""
    try:
        scratch = tempfile.mkdtemp(prefix=".goalmap-doctor-", dir=folder)
    except OSError as error:
        yield "file system", f"nothing can be committed here: {explain(error)}", False
        return
    try:
        capabilities = _capabilities(scratch)
    except OSError as error:
        yield "file system", f"it fails: {explain(error)}", False
        return
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    has = [name for name, works in capabilities.items() if works]
    lacks = [name for name, works in capabilities.items() if not works]
    summary = f"has {', '.join(has)}" + (f"; works without {', '.join(lacks)}" if lacks else "")
    yield "file system", summary, capabilities["locks"]


def _capabilities(scratch: str) -> dict[str, bool]:
    from goalmap.files import os_layer

    for name in ("one", "two"):
        with open(os.path.join(scratch, name), "wb") as file:
            file.write(name.encode())
    with os_layer.LibraryDir.open(scratch) as folder, open(os.path.join(scratch, "one"), "r+b") as file:
        os_layer.sync_file(file.fileno())
        return {
            "locks": os_layer.try_lock(file.fileno()),
            "hard links": _works(lambda: os.link(os.path.join(scratch, "one"), os.path.join(scratch, "three"))),
            "exchange of names": folder.exchange("one", "two"),
            "sync of folders": os_layer.PLATFORM.syncs_folders and _works(lambda: _sync_folder(scratch)),
        }


def _works(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError:
        return False
    return True


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
