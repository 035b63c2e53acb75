"""Measure Goalmap beside other language servers, in one run: `make bench`.

Each server gets a document with the same references in its own language and a fresh process in each round; the servers
take turns, so that whatever else the machine does falls on all of them. Figures are medians over the rounds, and a
ratio is the median of the ratios within one round. A server that is not installed is left out, and said so.

    cold     start of the process until the first diagnostics have arrived
    open     from opening the document until its diagnostics have arrived
    edit     from a capital letter typed into a name until diagnostics that show it have arrived
    … cpu    the processor time that the server used for the same
    memory   its largest resident size
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from documents import Document, write
from plot import plot
from talk import CAPABILITIES, Server, ServerFailedError

HERE = Path(__file__).parent
REPO = HERE.parents[1]
PEERS = REPO / ".bench"
OURS = "goalmap"
UNITS = {"memory": "MB"}
FIGURES = ("cold", "cold cpu", "open", "open cpu", "edit", "edit cpu", "hover", "completion", "symbols", "memory")
PLOTTED = {"edit cpu": "Processor time for one typed letter", "open cpu": "Processor time to open a document"}


@dataclass(frozen=True)
class Contender:
    """A server: its command, its language, and what it has to be told."""

    name: str
    command: tuple[str, ...]
    language: str
    version: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] | None = None
    completes_only: bool = False  # nothing else is measured
    largest: int = 100_000  # references


def contenders(folder: Path) -> list[Contender]:
    """Return all servers, for documents in `folder`."""

    def json_server(name: str, schema: str, **more: Any) -> Contender:
        known = {"fileMatch": ["goal_map.json"], "url": (folder / schema).as_uri()}
        return Contender(
            name,
            ("vscode-json-language-server", "--stdio"),
            "json",
            options={"handledSchemaProtocols": ["file"], "provideFormatter": False},
            settings={"json": {"validate": {"enable": True}, "schemas": [known], "resultLimit": 1_000_000}},
            **more,
        )

    return [
        Contender(OURS, ("goalmap", "lsp"), "json", ("goalmap", "--version")),
        json_server("VS Code JSON", "schema.json"),
        # It can complete file names only from a schema that lists them, which makes everything else many times as slow.
        json_server("VS Code JSON, names listed", "schema-names.json", completes_only=True, largest=10_000),
        Contender(
            "rumdl",
            ("rumdl", "server", "--no-config", "--config", 'global.enable = ["MD057"]'),
            "markdown",
            ("rumdl", "--version"),
        ),
        Contender(
            "ruff",
            ("ruff", "server"),
            "python",
            ("ruff", "--version"),
            options={"settings": {"lint": {"select": ["F821"]}}},
        ),
    ]


def found(contender: Contender) -> str | None:
    """Return the program of a contender: of this environment, of `make bench-peers`, or of the path."""
    places = [str(Path(sys.executable).parent), str(PEERS / "venv/bin"), str(PEERS / "node_modules/.bin")]
    return shutil.which(contender.command[0], path=os.pathsep.join([*places, os.environ.get("PATH", "")]))


def measure(contender: Contender, document: Document, folder: Path) -> dict[str, float]:
    """Return the figures of one conversation with a fresh process."""
    program = found(contender)
    assert program is not None
    uri = (folder / document.name).as_uri()
    about = {"uri": uri}
    figures: dict[str, float] = {}
    with Server([program, *contender.command[1:]], folder) as server:
        answer, _ = server.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": folder.as_uri(),
                "workspaceFolders": [{"uri": folder.as_uri(), "name": "bench"}],
                "capabilities": CAPABILITIES,
                "initializationOptions": contender.options,
            },
        )
        offered = answer["capabilities"]
        server.notify("initialized", {})
        if contender.settings is not None:
            server.notify("workspace/didChangeConfiguration", {"settings": contender.settings})
        before_ms = server.cpu_ms()
        opened = {"uri": uri, "languageId": document.language, "version": 0, "text": document.text}
        sent_s = server.notify("textDocument/didOpen", {"textDocument": opened})
        count = _diagnostics(server, about)
        figures["open"] = (server.read_s - sent_s) * 1e3
        figures["cold"] = (server.read_s - server.started_s) * 1e3
        figures["cold cpu"] = server.cpu_ms()
        figures["open cpu"] = figures["cold cpu"] - before_ms
        figures["found"] = count
        if not contender.completes_only:
            edits = [edit for place in document.places for edit in _edit(server, about, place, count)]
            figures["edit"], figures["edit cpu"] = map(statistics.median, zip(*edits, strict=True))
        line, column = document.places[1]
        place = {"textDocument": about, "position": {"line": line, "character": column - 2}}
        for name, provider, method, params in (
            ("hover", "hoverProvider", "textDocument/hover", place),
            ("completion", "completionProvider", "textDocument/completion", place),
            ("symbols", "documentSymbolProvider", "textDocument/documentSymbol", {"textDocument": about}),
        ):
            if offered.get(provider) and (name == "completion" or not contender.completes_only):
                figures[name] = statistics.median(server.request(method, params)[1] for _ in range(3))
        figures["memory"] = server.peak_mb()
    kept = ("found", "completion") if contender.completes_only else figures
    return {name: figures[name] for name in kept}


def _diagnostics(server: Server, about: dict[str, str]) -> int:
    result, _ = server.request("textDocument/diagnostic", {"textDocument": about})
    return len(result["items"])


def _edit(server: Server, about: dict[str, str], place: tuple[int, int], count: int) -> list[tuple[float, float]]:
    """Type a letter and take it back; return the time and the processor time of each."""
    took = []
    for version, typed in enumerate(("X", ""), 1):
        line, column = place
        end = column + (not typed)
        where = {"start": {"line": line, "character": column}, "end": {"line": line, "character": end}}
        before_ms = server.cpu_ms()
        change = {"textDocument": {**about, "version": version}, "contentChanges": [{"range": where, "text": typed}]}
        sent_s = server.notify("textDocument/didChange", change)
        now = _diagnostics(server, about)
        if (now != count) != bool(typed):
            raise ServerFailedError(f"{now} diagnostics after typing {typed!r}, {count} before")
        took.append(((server.read_s - sent_s) * 1e3, server.cpu_ms() - before_ms))
    return took


def run(sizes: list[int], rounds: int, missing: float, seed: int) -> dict[str, Any]:
    """Measure all servers that are there; return everything that a reader needs to judge the figures."""
    results: dict[str, Any] = {"machine": machine(), "rounds": rounds, "missing": missing, "seed": seed, "sizes": {}}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="goalmap-bench-") as name:
            folder = Path(name).resolve()
            documents = write(folder, size, missing=missing, seed=seed)
            everybody = contenders(folder)
            present = [one for one in everybody if found(one) and size <= one.largest]
            results["absent"] = [one.name for one in everybody if not found(one)]
            results["versions"] = {one.name: version(one) for one in present}
            got: dict[str, list[dict[str, float]]] = {one.name: [] for one in present}
            failed: dict[str, str] = {}
            for number in range(rounds):
                for one in present if number % 2 == 0 else present[::-1]:
                    if one.name in failed:
                        continue
                    try:
                        got[one.name].append(measure(one, documents[one.language], folder))
                    except ServerFailedError as error:
                        failed[one.name] = str(error)
            results["sizes"][size] = {
                "figures": {name: _medians(figures) for name, figures in got.items() if figures},
                "ratios": {
                    name: _ratios(got[OURS], figures) for name, figures in got.items() if name != OURS and figures
                },
                "failed": failed,
            }
            say(table(size, results["sizes"][size]))
    return results


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in rounds), 2) for name in rounds[0]}


def _ratios(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> dict[str, float]:
    return {
        name: round(statistics.median(a[name] / b[name] for a, b in zip(ours, theirs, strict=False) if b[name]), 3)
        for name in FIGURES
        if name in ours[0] and name in theirs[0]
    }


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def version(contender: Contender) -> str:
    """Return what a contender calls itself."""
    program = found(contender)
    if contender.version and program:
        return subprocess.run(
            [program, *contender.version[1:]], capture_output=True, text=True, check=False
        ).stdout.strip()
    for folder in Path(program or ".").resolve().parents:
        package = folder / "package.json"
        if package.exists():
            found_there = json.loads(package.read_text())
            return f"{found_there.get('name')} {found_there.get('version')}"
    return "unknown"


def table(size: int, result: dict[str, Any]) -> str:
    """Return one size as a table for a page, in milliseconds and megabytes; below, ours as a ratio to each."""
    head = ["", *FIGURES, "found"]
    rows = [head, ["---"] * len(head)]
    for name, figures in result["figures"].items():
        rows.append([name, *(_shown(figures.get(figure)) for figure in FIGURES), f"{figures['found']:.0f}"])
    for name, ratios in result["ratios"].items():
        shown = (f"{ratios[figure]:.3g}×" if figure in ratios else "–" for figure in FIGURES)
        rows.append([f"*ours to {name}*", *shown, ""])
    lines = [f"**{size:,} references** (ms; memory in MB)", "", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join([*lines, *(f"\n{name} failed: {why}" for name, why in result["failed"].items()), ""])


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Measure, and write the figures, the tables and the plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--missing", type=float, default=0.05, help="share of references that name nothing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "performance", help="where the results go")
    options = parser.parse_args()
    if sys.platform != "linux":
        parser.error("processor time and memory are read from /proc: this needs Linux")
    results = run(options.sizes, options.rounds, options.missing, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    tables = [table(size, result) for size, result in results["sizes"].items()]
    (options.out / "tables.md").write_text("# The figures of one run\n\n" + "\n".join(tables))
    for figure, title in PLOTTED.items():
        lines: dict[str, dict[int, float]] = {}
        for size, result in results["sizes"].items():
            for name, figures in result["figures"].items():
                if figure in figures:
                    lines.setdefault(name, {})[size] = figures[figure]
        (options.out / f"{figure.replace(' ', '-')}.svg").write_text(plot(title, UNITS.get(figure, "ms"), lines))
    for name in results["absent"]:
        say(f"{name} is not installed: left out. 'make bench-peers' installs it.")
    say(f"Written to {options.out}")
    return 1 if any(result["failed"] for result in results["sizes"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
