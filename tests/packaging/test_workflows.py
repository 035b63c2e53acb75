"""What GitHub and VS Code read of this repository: it is well-formed, and leads to things that are there."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.lsp_client import LspClient

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
# What a runner has to be given before it can make anything, and why.
SET_UP = {
    "choco install make --yes --no-progress": "Windows has no make",
    'git config --global --add safe.directory "$GITHUB_WORKSPACE"': "in a container, the folder is another user's",
}
TARGETS = frozenset(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in read(workflow)["jobs"].values():
        yield from job["steps"]


def workspace_file(name: str) -> Any:
    return json.loads((ROOT / ".vscode" / name).read_text())


# -- workflows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_step_that_runs_something_is_a_target_of_the_makefile(workflow: Path) -> None:
    ran = [step["run"] for step in steps(workflow) if "run" in step and step["run"] not in SET_UP]
    assert ran
    for command in ran:
        assert re.fullmatch(r"make [a-z-]+", command), command
        assert command.removeprefix("make ") in TARGETS


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_version(workflow: Path) -> None:
    for step in steps(workflow):
        assert ("run" in step) != ("uses" in step), step
        assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", step["uses"]), step


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_a_job_says_what_else(workflow: Path) -> None:
    assert read(workflow)["permissions"] == {"contents": "read"}
    for job in read(workflow)["jobs"].values():
        permissions = job.get("permissions", {})
        # Who may sign or publish runs nothing of the repository's.
        assert "write" not in permissions.values() or not [step for step in job["steps"] if "run" in step]


def test_the_pythons_that_are_tested_are_those_that_the_package_names() -> None:
    matrix = read(ROOT / ".github/workflows/test.yml")["jobs"]["python"]["strategy"]["matrix"]
    named = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert matrix["python"] == named
    assert {system.split("-")[0] for system in matrix["system"]} == {"ubuntu", "macos", "windows"}


def test_what_is_attached_and_published_was_built_by_the_targets_for_it() -> None:
    ran = [step.get("run") for step in steps(ROOT / ".github/workflows/release.yml")]
    assert {"make sdist", "make wheel", "make vsix", "make release-check", "make test"} <= set(ran)
    assert ran.index("make test") < ran.index("make wheel")


@pytest.mark.parametrize("form", ["bug.yml", "idea.yml"])
def test_the_forms_of_issues_ask_for_the_doctor(form: str) -> None:
    parsed = read(ROOT / ".github/ISSUE_TEMPLATE" / form)
    assert {"name", "description", "body"} <= parsed.keys()
    questions = [question for question in parsed["body"] if question["type"] != "markdown"]
    assert len({question["id"] for question in questions}) == len(questions)
    assert [q["id"] for q in questions if "`goalmap doctor`" in q["attributes"]["label"]] == ["doctor"]


# -- a release ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def faults(tmp_path: Path) -> Callable[[str], list[str]]:
    """Return what tells what does not agree, for a copy of the files that have a version; it is 0.1.0."""
    spec = importlib.util.spec_from_file_location("release_check", ROOT / "tools/release_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in {
        "server/goalmap/__init__.py": '__version__ = "0.1.0"\n',
        "vscode-client/package.json": '{"version": "0.1.0"}',
        "vscode-client/CHANGELOG.md": "## 0.1.0\n",
        "CHANGELOG.md": "# Changelog\n\n## 0.1.0 (2030-01-31)\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return lambda tag: module.faults(tmp_path, tag)


def test_a_release_whose_names_agree(faults: Callable[[str], list[str]]) -> None:
    assert faults("") == faults("v0.1.0") == []


def test_a_release_whose_names_differ(faults: Callable[[str], list[str]], tmp_path: Path) -> None:
    assert faults("v0.2.0") == ["the tag v0.2.0 is not v0.1.0"]
    (tmp_path / "CHANGELOG.md").write_text("## 0.1.0 (unreleased)\n")
    assert faults("v0.1.0") == ["CHANGELOG.md has no released 0.1.0"]
    (tmp_path / "vscode-client/package.json").write_text('{"version": "0.2.0"}')
    assert faults("") == ["the server is 0.1.0, the extension 0.2.0"]


def test_the_versions_in_the_repository_agree() -> None:
    done = subprocess.run([sys.executable, "tools/release_check.py"], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


# -- VS Code -----------------------------------------------------------------------------------------------------------


def test_tasks_are_targets_and_what_is_launched_first_is_a_task() -> None:
    tasks = {task["label"]: task["command"] for task in workspace_file("tasks.json")["tasks"]}
    assert all(command.removeprefix("make ") in TARGETS for command in tasks.values())
    first = [one["preLaunchTask"] for one in workspace_file("launch.json")["configurations"] if "preLaunchTask" in one]
    assert first
    assert set(first) <= tasks.keys()


async def test_the_debugger_finds_the_server_that_the_extension_starts(tmp_path: Path) -> None:
    (port,) = [
        one["connect"]["port"] for one in workspace_file("launch.json")["configurations"] if one["request"] == "attach"
    ]
    program, *arguments = workspace_file("debug.code-workspace")["settings"]["goalmap.server.command"]
    assert program == "python"  # the one that launch.json puts on the PATH
    listening = arguments.index("--listen") + 1
    assert arguments[listening] == f"127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", 0)) as free:
        arguments[listening] = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, *arguments, "lsp", "--stdio"]
    async with await LspClient.spawn(command, cwd=tmp_path) as client:
        assert (await client.initialize())["serverInfo"]["name"] == "goalmap"
        host, _, chosen = arguments[listening].partition(":")
        socket.create_connection((host, int(chosen))).close()
        assert await client.shutdown_and_exit() == 0


def test_what_the_makefile_names_exists() -> None:
    named = set(re.findall(r"(?<![\w./])(?:tests|tools)/[\w./-]+", (ROOT / "Makefile").read_text()))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_make_help_lists_every_target_that_is_for_people() -> None:
    assert shutil.which("make")
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {line.split()[0] for line in done.stdout.splitlines()} == phony
