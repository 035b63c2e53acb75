"""The other writing actions: an empty component, and an edit of the map that is not part of a generation."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from goalmap.core.naming import COMPONENTS, MAP_NAME, unsafe_reason
from goalmap.files import os_layer
from goalmap.files.atomic import MapFile
from goalmap.files.commit import let_go
from goalmap.files.errors import Refused, SlotChanged, Unreadable, explain
from goalmap.files.journal import Header, Record, new_tx
from goalmap.files.os_layer import CREATE_NEW, Folder
from goalmap.files.recovery import recover_locked
from goalmap.files.safe_open import enter
from goalmap.files.store import LOCK_WAIT_S, LockBusy, locked

if TYPE_CHECKING:
    from goalmap.files.report import Tell


def create_empty(root: str, component: str) -> str:
    """Create the empty file `component` (its path in the library, with `/`); return its path. Raises Refused.

    One call makes it, so there is nothing to recover; nothing that exists is touched (I9).
    """
    reason = None if component.startswith(f"{COMPONENTS}/") else "is not a component's path"
    reason = reason or unsafe_reason(component)
    if reason:
        raise Refused(f"{component!r} {reason}. Nothing was created.")
    path, name = os.path.split(os.path.join(*component.split("/")))
    try:
        with Folder.open(root) as library, enter(library, path, make=True) as folder:
            os_layer.close(folder.open_file(name, CREATE_NEW, 0o666))
            folder.sync()  # the user has been told that it is there
    except FileExistsError as error:
        raise Refused(f"{component} exists already. Nothing was created.") from error
    except SlotChanged as error:
        raise Refused(f"Nothing was created: {error}.") from error
    except OSError as error:
        raise Refused(f"{component} was not created: {explain(error)}.") from error
    return os.path.join(root, path, name)


def replace_map_text(
    map_path: str, expected: bytes, new: bytes, *, tell: Tell, lock_timeout_s: float = LOCK_WAIT_S
) -> None:
    """Put `new` in the place of the map's bytes, whole and durably, if they are `expected`; raise Refused if not.

    The map's other promises hold too: lock, mode, owner, link, nobody's edit lost. A kill leaves nothing that recovery
    would not remove.
    """
    root = os.path.dirname(os.path.abspath(map_path))
    written = new.decode()

    def edit(text: str) -> str | None:
        if text.encode() == new:
            return None
        if text.encode() != expected:
            raise SlotChanged(f"{MAP_NAME} has changed on disk. Load it again, then repeat what you did")
        return written

    try:
        with locked(root, timeout_s=lock_timeout_s, tell=tell) as store:
            recover_locked(store)
            record = Record.create(store.journal, Header(tx=new_tx(), kind="edit", root=root))
            with contextlib.closing(record), MapFile(store) as map_file:
                try:
                    map_file.replace(record.header.tx, edit)
                finally:
                    map_file.settle(record.header.tx)
                    let_go(store, record)
    except LockBusy as error:
        raise Refused(f"{MAP_NAME} was not changed: {error}.") from error
    except (SlotChanged, Unreadable) as error:
        raise Refused(f"{error}. Nothing was changed.") from error
    except OSError as error:
        raise Refused(f"{MAP_NAME} may not have been changed: {explain(error)}. Look at it, then try again.") from error
