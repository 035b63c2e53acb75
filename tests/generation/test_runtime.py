"""The program that runs the embedded model: which of its releases are used."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from goalmap.generation import local_server
from goalmap.generation.local import RUNTIME_BEFORE, RUNTIME_FROM, LocalModel
from goalmap.generation.weights import RUNTIME
from support.stand_ins import install_stand_in


@pytest.fixture
def own_model(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a model's file: the weights are there, whatever is missing."""
    path = tmp_path / "own.gguf"
    path.write_bytes(b"GGUF...")
    return {"GOALMAP_LOCAL_GGUF": str(path)}


def test_installers_are_told_the_same_bounds() -> None:
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    first, before = (".".join(map(str, bound)) for bound in (RUNTIME_FROM, RUNTIME_BEFORE))
    assert f"{RUNTIME}>={first},<{before}" in extras["optional-dependencies"]["local"]


@pytest.mark.parametrize("version", ["0.2.0", "0.2.14", "2026.4.8672.1", "2026.7.10068", "2026.11.1", "2027.1.12000"])
def test_another_release_is_refused_by_name_with_the_next_step(
    version: str, own_model: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(install_stand_in(tmp_path / "site", RUNTIME, version))
    said = LocalModel(environ=own_model).available()
    assert said is not None
    assert said.startswith(f"xllamacpp {version} cannot run the embedded model: it takes 2026.8 or newer")
    assert "pip install 'goalmap[local]'" in said


@pytest.mark.parametrize("version", ["2026.8.10229", "2026.9.11063", "2026.10.11549", "built-by-hand"])
def test_these_releases_are_used(
    version: str, own_model: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(install_stand_in(tmp_path / "site", RUNTIME, version))
    assert LocalModel(environ=own_model).available() is None


def test_old_and_new_releases_are_made_to_listen_on_the_loopback_interface_only() -> None:
    older, newer = SimpleNamespace(hostname=""), SimpleNamespace(hostnames=["192.0.2.1"])
    local_server.listen_on_loopback(older)
    local_server.listen_on_loopback(newer)
    assert older == SimpleNamespace(hostname="127.0.0.1")
    assert newer == SimpleNamespace(hostnames=["127.0.0.1"])
