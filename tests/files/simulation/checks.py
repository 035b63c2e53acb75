"""What must hold of a library when everything has settled; the numbers are those of docs/commit.md."""

from __future__ import annotations

import json
import re
from collections import Counter

from .world import NOTE, REFERENCE, Act, Text, World


def buffers_are_told(world: World) -> None:
    """I11: what a server has committed on disk, the buffer of its editor has, too."""
    on_disk = dict(REFERENCE.findall(world.map.read_text()))
    for editor in world.editors:
        if editor.server is None or not editor.is_connected or not editor.is_open:
            continue
        buffer = dict(REFERENCE.findall(editor.text))
        for goal, file in editor.server.committed.items():
            if on_disk[goal] == file and buffer[goal] != file:
                world.wrong.append(
                    f"I11 {editor.server.name} has put {file} on disk, and its editor's buffer still has {buffer[goal]}"
                )


def check(world: World) -> None:
    """Note all that is wrong in the end."""
    wrong, files = world.wrong, world.files()
    try:
        json.loads(files["goal_map.json"])
    except (KeyError, ValueError) as error:
        wrong.append(f"I1 the map is broken: {error!r}")
        return
    final = files["goal_map.json"].decode()
    named = set(dict(REFERENCE.findall(final)).values())
    components = {path.rpartition("/")[2] for path in files if path.startswith("components/")}
    wrong += [
        f"I2 the map names {file}, which is not there"
        for file in sorted(named - world.excused)
        if _is_ours(file, components)
    ]
    wrong += [f"I3 {file} is an orphan" for file in sorted(components - named)]
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        if folder == ".goalmap/journal" or name.endswith(".tmp") or name.startswith(".goal_map"):
            wrong.append(f"I3 {path} is left")
    held = b"\0".join(files[path] for path in files if path.startswith(("components/", ".goalmap/parked/")))
    for text in world.texts:
        if text.safe_s is not None and text.text.encode() not in held:
            _check_taken_back(world, text)
    _check_edits(world, final, files)
    for act in world.acts:
        _check_told(world, act)


def _is_ours(file: str, components: set[str]) -> bool:
    return file.startswith("autogen_") and file not in components


def _check_taken_back(world: World, text: Text) -> None:
    """I4: a text may only be gone where somebody asked for an undo, and could have been told of it before."""
    safe_s = text.safe_s or 0.0
    undone = [(at_s, process) for at_s, process in world.undos if at_s > safe_s]
    if not undone:
        world.wrong.append(f"I4 text {text.number} for {text.goal} is lost")
        return
    undone_s, process = undone[-1]
    if text.committer is not None and text.committer.is_dead:
        return  # it was killed before it could tell, or after it had
    # Whoever undoes the newest one may be a moment faster than who tells of it; but not one and the same.
    told = [said for said in world.said if text.file in said.text and said.at_s >= safe_s]
    if not any(said.process is not process or said.at_s <= undone_s for said in told):
        world.wrong.append(
            f"I4 text {text.number} for {text.goal} was undone before anybody was told that it was there"
        )


def _check_edits(world: World, final: str, files: dict[str, bytes]) -> None:
    """I7: what a user has saved is in the map, or kept, and they were told."""
    now = {number: int(value) for number, value in NOTE.findall(final)}
    for editor in world.editors:
        if now[str(editor.number)] >= editor.saved:
            continue
        wanted = f'"note{editor.number}": "{editor.saved:06d}"'.encode()
        kept = [path for path, data in files.items() if path.startswith(".goalmap/parked/") and wanted in data]
        if not kept:
            world.wrong.append(
                f"I7 {editor.process.name} had saved {editor.saved}, the map has {now[str(editor.number)]}"
            )


def _check_told(world: World, act: Act) -> None:
    """I11: it was told to somebody, once. A process that was killed after it cannot tell."""
    if act.process.is_dead:
        return
    told = [said for said in world.said if said.at_s >= act.at_s and act.name in said.text]
    if act.what == "finished":  # who waits for a save has told before that it does
        told += [said for said in world.said if said.process is act.process and act.name in said.text]
    if act.what == "parked":  # by one that was killed when it had told, and once more by the next
        told = told or [said for said in world.said if act.name in said.text]
    if act.what == "undone":
        told = [said for said in told if said.process is act.process]
    if not told:
        world.wrong.append(f"I11 {_kind(act.process.name)} has {act.what} {_short(act.name)}, and nobody was told")
    elif act.what == "parked" and len(told) > 1:
        by = Counter(f"{_kind(said.process.name)} ({said.kind})" for said in told)
        world.wrong.append(f"I11 {act.what} {_short(act.name)} was told {len(told)} times: {dict(by)}")


def _kind(name: str) -> str:
    return re.sub(r"[\d.]+$", "", name)


def _short(name: str) -> str:
    """Return a name without what differs from one schedule to the next."""
    return re.sub(r"[0-9a-f]{12,}", "…", name)


def kind_of(wrong: str) -> str:
    """Return what equal violations of different schedules have in common."""
    wrong = re.sub(r"[0-9a-f]{12,}", "…", wrong)
    wrong = re.sub(r"(server|editor|recover|generate|undo)[\d.]+", r"\1", wrong)
    return re.sub(r"\b(text|saved|has|GOAL|goal|todo) ?\d+(\.txt)?", r"\1 N", wrong)
