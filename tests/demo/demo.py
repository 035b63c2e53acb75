"""The whole flow for the eyes of a newcomer: `make demo`.

A copy of the sample library loses one component. The real language server, on stdio, reports it, offers the quick fix,
asks its question, has the embedded model write, and commits. Everything shown is what the server answered, or what is
on disk.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "support"))

from lsp_client import LspClient  # noqa: E402 - a plain folder, found by the line above

LOST = "components/protocols/root_cause_analysis_drilldown.txt"
DESCRIPTION = "find the root cause of a production incident, step by step, from symptom to proof"
WIDTH = 100
GENERATION_TIMEOUT_S = 150.0

COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOURED else text


def step(number: int, title: str) -> None:
    print(f"\n{paint('1;36', f'{number}. {title}')}")


def show(text: str, *, limit: int = 0) -> None:
    lines = text.rstrip("\n").split("\n")
    for line in lines[:limit] if limit else lines:
        indent = "   " + line[: len(line) - len(line.lstrip())]
        print(textwrap.fill(line.strip(), WIDTH + 3, initial_indent=indent, subsequent_indent=indent))
    if limit and len(lines) > limit:
        print(paint("2", f"   … {len(lines) - limit} more lines"))


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="goalmap-demo-") as scratch:
        await flow(Path(scratch) / "library")


async def flow(library: Path) -> None:
    shutil.copytree(PROJECT / "components", library / "components")
    shutil.copy(PROJECT / "goal_map.json", library)
    (library / LOST).unlink()
    map_path = library / "goal_map.json"
    before = map_path.read_text("utf-8")

    step(1, "A library in which one component is missing")
    show(f"$ ls {library}\n{'  '.join(sorted(os.listdir(library)))}\n$ rm {LOST}")

    # Whatever endpoint this machine has is left alone: the demo is for everybody.
    hidden = {"OPENAI_API_KEY", "OPENAI_BASE_URL", "GOALMAP_API_KEY", "GOALMAP_MODEL_BASE_URL", "GOALMAP_MODEL_NAME"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    client = await LspClient.spawn([sys.executable, "-m", "goalmap", "lsp"], env=environment)
    async with client:
        await converse(client, library, map_path)
        code = await client.shutdown_and_exit()

    step(7, "What changed in the map: one string")
    after = map_path.read_text("utf-8")
    diff = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "goal_map.json", "goal_map.json", "", "", 1, ""
    )
    for line in diff:
        show(paint({"+": "32", "-": "31"}.get(line[0], "2"), line))

    step(8, "goalmap check")
    checked = subprocess.run(
        [sys.executable, "-m", "goalmap", "check", str(library)], capture_output=True, text=True, check=False
    )
    show(checked.stdout + checked.stderr)
    if checked.returncode or code or before.count("\n") != after.count("\n"):
        sys.exit("The demo did not end as it should: please report this.")
    print(f"\n{paint('1;32', 'That was the whole flow.')} For a library of yours: goalmap check PATH")


async def converse(client: LspClient, library: Path, map_path: Path) -> None:
    uri = map_path.as_uri()
    capabilities = {
        "window": {"workDoneProgress": True},
        "workspace": {"workspaceEdit": {"documentChanges": True}},
        "textDocument": {"publishDiagnostics": {"relatedInformation": True}},
        "experimental": {
            "interactiveResolve": {"inputTypes": ["string"]},
            "goalmap": {"reloadsCleanFiles": True, "showsGenerated": True},
        },
    }
    client.reply_to("window/workDoneProgress/create", lambda _: None)
    await client.initialize(capabilities, rootUri=library.as_uri())
    client.open(uri, map_path.read_text("utf-8"))

    step(2, "The language server finds it")
    published = await client.notification(
        "textDocument/publishDiagnostics", lambda p: p["uri"] == uri and p["diagnostics"]
    )
    for found in published["diagnostics"]:
        line, column = found["range"]["start"]["line"] + 1, found["range"]["start"]["character"] + 1
        show(f"goal_map.json:{line}:{column}  {paint('31', 'error')} {found['code']}: {found['message']}")
    [diagnostic] = published["diagnostics"]

    step(3, "Its quick fixes")
    asked = {"textDocument": {"uri": uri}, "range": diagnostic["range"], "context": {"diagnostics": [diagnostic]}}
    actions = await client.request("textDocument/codeAction", asked)
    for number, action in enumerate(actions):
        show(paint("1", f"› {action['title']}") if number == 0 else f"  {action['title']}")

    step(4, "The first one asks for a line")
    command = await client.request("command/resolve", actions[0]["command"])
    [field] = command["formFields"]
    show(f"{field['description']}:\n{paint('1', '> ' + DESCRIPTION)}")
    answers = [{"id": field["id"], "value": DESCRIPTION}]
    ready = await client.request("command/resolve", {**command, "formAnswers": answers})

    step(5, "A small language model on this machine writes")
    job = await client.request("workspace/executeCommand", ready)
    ended = await watch(client, job["job"])
    show(ended["message"])
    if ended["outcome"] != "committed":
        sys.exit("The demo did not end as it should: please report this.")
    component = Path(ended["componentUri"].removeprefix("file://"))
    print()
    show(paint("2", f"{component.relative_to(library)}, a draft by a tiny model, for you to finish:"))
    show(component.read_text("utf-8"))

    step(6, "Hovering DEBUG shows the prompt as it will run")
    client.change(uri, 2, {"text": map_path.read_text("utf-8")})
    lines = map_path.read_text("utf-8").split("\n")
    line = next(number for number, text in enumerate(lines) if '"DEBUG"' in text)
    position = {"line": line, "character": lines[line].index("DEBUG") + 1}
    hover = await client.request("textDocument/hover", {"textDocument": {"uri": uri}, "position": position})
    show(hover["contents"]["value"], limit=24)


async def watch(client: LspClient, job: str) -> dict[str, Any]:
    """Show the progress until the job has ended; return how it did."""
    awaited = ("$/progress", "goalmap/generated")
    while True:
        message = await client.wait_for(lambda m: m.get("method") in awaited, timeout_s=GENERATION_TIMEOUT_S)
        params = message["params"]
        if message["method"] == "goalmap/generated" and params["job"] == job:
            print("\r" + " " * (WIDTH + 4) + "\r" if COLOURED else "", end="")
            return dict(params)
        if message["method"] == "$/progress" and params["value"]["kind"] == "report":
            text = params["value"]["message"][:WIDTH]
            print(f"\r   {text:<{WIDTH}}" if COLOURED else f"   {text}", end="" if COLOURED else "\n", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
