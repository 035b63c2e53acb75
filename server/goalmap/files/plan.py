"""Step 2 of a commit (transaction.py): find every reason for which it would fail before a model is paid."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from goalmap.core.edits import EditError, reference_at
from goalmap.core.goal_map import parse
from goalmap.core.naming import (
    COMPONENTS,
    MAP_NAME,
    autogen_file,
    folder_of,
    same_for_some_systems,
    unsafe_reason,
    unsafe_slot_reason,
)
from goalmap.files import os_layer, safe_open
from goalmap.files.atomic import MapFile
from goalmap.files.commit import has_reference, name_taker
from goalmap.files.errors import CommitRefused
from goalmap.files.journal import Header, new_tx, peek, receipt_names, record_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from goalmap.core.goal_map import GoalMap
    from goalmap.files.request import GenerateRequest
    from goalmap.files.store import Store


def plan(store: Store, request: GenerateRequest) -> Header:
    """Return the header of a generation's record; raise CommitRefused where its commit would fail."""
    with MapFile(store) as map_file:
        state = map_file.read()
        _refuse_unwritable_map(map_file, state.status)
    text = state.text if request.map_text is None else request.map_text
    goal_map = parse(text)
    if request.map_text is not None:
        _refuse_overtaken(store, parse(state.text), request)
    on_disk = _value(goal_map, request)
    if on_disk != request.file:
        what = "this reference" if on_disk is None else f"{request.file!r} there, but {on_disk!r}"
        raise CommitRefused(f"{MAP_NAME} on disk does not have {what}. Save it, then ask again.")
    reason = unsafe_slot_reason(request.slot)
    if reason:
        raise CommitRefused(f"The slot's name {request.slot!r} {reason}: it can have no folder. Rename the slot.")
    folder = folder_of(request.slot, _component_folders(store))
    if request.naming == "referenced":
        reason = unsafe_reason(request.file)
        if reason:
            raise CommitRefused(f"{request.file!r} {reason}. Change the reference, or generate under a new name.")
    taken = _refuse_existing(store, folder, request)
    reserved = {same_for_some_systems(name) for name in _reserved_names(store, folder)}
    file = request.file
    if request.naming == "autogen":
        file = autogen_file(request.slot, request.goal[-1], name_taker(taken | reserved, goal_map, folder))
    return Header(
        tx=new_tx(),
        kind="generate",
        root=store.root_path,
        goal=request.goal,
        slot=request.slot,
        index=request.index,
        old=request.file,
        file=file,
        folder=folder,
        naming=request.naming,
        key=request.key,
        # Only where the disk does not have it: a reference on disk that somebody removes later is a conflict.
        unsaved=request.map_text is not None and _value(parse(state.text), request) != request.file,
        others=request.others,
        job=request.job,
        reviewed=request.reviewed,
    )


def _refuse_overtaken(store: Store, on_disk: GoalMap, request: GenerateRequest) -> None:
    """Refuse a request from an editor whose buffer lacks a commit to the same reference (I5).

    The user would pay for a second component, and lose one of the two when saving.
    """
    if _value(on_disk, request) == request.file:
        return
    for receipt in receipt_names(store.receipts):
        contents = peek(store.receipts, receipt)
        header = contents.header if contents else None
        if contents is None or header is None or header.old != request.file:
            continue
        if header.places[0] == request.places[0] and has_reference(on_disk, header, contents.file):
            raise CommitRefused(
                f"{MAP_NAME} on disk has {contents.file!r} there by now, which was generated for this reference. "
                "Load the map again, or save it, then ask again if you want another one."
            )


def _value(goal_map: GoalMap, request: GenerateRequest) -> str | None:
    try:
        return reference_at(goal_map, request.goal, request.slot, request.index).file
    except EditError:
        return None


def _refuse_unwritable_map(map_file: MapFile, status: os.stat_result) -> None:
    if not status.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not map_file.folder.is_writable(
        map_file.name
    ):
        raise CommitRefused(f"{MAP_NAME} is read-only. Make it writable, then ask again.")
    if not map_file.folder.is_writable():
        raise CommitRefused(f"The folder of {MAP_NAME} is read-only. Make it writable, then ask again.")
    if not os_layer.may_copy_owner(status):
        raise CommitRefused(
            f"{MAP_NAME} belongs to another user, which a commit would change. Ask its owner, or copy the library."
        )
    around = map_file.folder.lstat(".")
    if around is not None and around.st_dev != status.st_dev:
        raise CommitRefused(
            f"{MAP_NAME} is mounted by itself and cannot be replaced in one step. Mount its folder instead."
        )


def _component_folders(store: Store) -> set[str]:
    try:
        with safe_open.enter(store.root, COMPONENTS) as folder:
            return {f"{COMPONENTS}/{name}" for name in folder.names()}
    except FileNotFoundError:
        return set()


def _refuse_existing(store: Store, folder: str, request: GenerateRequest) -> set[str]:
    """Return the folded names in the folder; refuse where the component exists or its folder is not writable."""
    path = os.path.join(*folder.split("/"))
    if request.naming == "referenced":
        path = os.path.join(path, *request.file.split("/")[:-1])
    nearest, is_there = safe_open.nearest(store.root, path)
    with nearest:
        if not nearest.is_writable():
            raise CommitRefused(f"The folder {nearest.path} is read-only. Make it writable, then ask again.")
        taken = {same_for_some_systems(name) for name in nearest.names()} if is_there else set()
    if unsafe_reason(request.file) is None:
        parent, name = os.path.split(os.path.join(*folder.split("/"), *request.file.split("/")))
        nearest, is_there = safe_open.nearest(store.root, parent)
        with nearest:
            if is_there and nearest.lstat(name) is not None:
                raise CommitRefused(f"{folder}/{request.file} exists: there is nothing to generate.")
        if request.naming == "referenced" and same_for_some_systems(name) in taken:
            raise CommitRefused(
                f"{folder} has a file whose name differs from {name!r} only in case. Use that one, or rename it."
            )
    return taken


def _reserved_names(store: Store, folder: str) -> Iterator[str]:
    """Yield the names that generations under way have taken for their components."""
    for name in record_names(store.journal):
        contents = peek(store.journal, name)
        if contents is not None and contents.header is not None and contents.header.folder == folder:
            yield contents.file
