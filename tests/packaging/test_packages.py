"""The packages as they are published: built, looked into, installed, and run."""

from __future__ import annotations

import email
import email.policy
import json
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

import pytest

from support.markdown import anchors, targets

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Built:
    """What `python -m build` makes: a source package, and the wheel that is made of that."""

    sdist: Path
    wheel: Path

    def metadata(self) -> EmailMessage:
        with zipfile.ZipFile(self.wheel) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            return cast("EmailMessage", email.message_from_bytes(archive.read(name), policy=email.policy.default))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def goalmap(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone, beside the dependencies that the tests run with; return its command."""
    home = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, built.wheel], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    # A path file in a folder that a path file names is not read: the editable install stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = [python, "-P", "-c", "import goalmap; print(goalmap.__file__)"]
    assert subprocess.run(where, capture_output=True, text=True, check=True).stdout.startswith(str(site))
    return home / "bin/goalmap"


def in_repository(*folders: str) -> set[str]:
    """Return the files below `folders` that are, or will be, under version control."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


def test_the_source_package_holds_what_it_takes_to_build_and_no_more(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    at_top = {"CHANGELOG.md", "LICENSE", "README.md", "goal_map.json", "pyproject.toml"}
    added = {"PKG-INFO", ".gitignore"}
    assert "docs/diagnostics.md" in names
    assert names == in_repository("server", "docs", "components", "tools") | at_top | added


def test_the_wheel_holds_the_program_and_no_more(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {path.removeprefix("server/") for path in in_repository("server")}
    assert names == sources | {"goalmap/docs/diagnostics.md"}


def test_the_page_of_the_package_has_no_link_that_leads_nowhere(built: Built) -> None:
    metadata = built.metadata()
    text = metadata.get_payload()
    assert isinstance(text, str)
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert text.startswith("# Goalmap\n")
    for target in targets(text):
        assert target.startswith("https://") or target.removeprefix("#") in anchors(text), target


def test_both_packages_have_one_description(built: Built) -> None:
    """The wheel is built from the source package, whose README is the repository's."""
    with tarfile.open(built.sdist) as archive:
        (name,) = [name for name in archive.getnames() if name.endswith("/PKG-INFO")]
        file = archive.extractfile(name)
        assert file is not None
        assert email.message_from_bytes(file.read(), policy=email.policy.default).get_payload() == (
            built.metadata().get_payload()
        )


def test_the_installed_command_works(built: Built, goalmap: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run([goalmap, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert run("--version") == f"goalmap {built.metadata()['Version']}\n"
    assert "goalmap show SUMMARIZE" in run("init")
    assert run("check") == "No problems in 2 goals and 7 components\n"
    assert json.loads(run("schema"))["definitions"]


def test_the_installed_server_links_to_a_page_that_is_there(goalmap: Path) -> None:
    code = "from goalmap.lsp.diagnostics.as_json import documentation; print(documentation('map.syntax'))"
    command = [goalmap.with_name("python"), "-P", "-c", code]
    address = urlsplit(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    page = Path(unquote(address.path))
    assert page.is_relative_to(goalmap.parents[1])
    assert address.fragment in anchors(page.read_text())
