"""Creation of an empty component."""

from __future__ import annotations

import os

from goalmap.core.naming import COMPONENTS, unsafe_reason
from goalmap.files import os_layer
from goalmap.files.errors import CommitRefused, SlotChanged, explain
from goalmap.files.os_layer import CREATE_NEW, LibraryDir
from goalmap.files.safe_open import enter


def create_empty(root: str, component: str) -> str:
    """Create the empty file `component` (its path in the library, with `/`); return its path. Raises CommitRefused.

    One system call creates it, so it needs no record; nothing that exists is changed (I9).
    """
    reason = None if component.startswith(f"{COMPONENTS}/") else "is not a component's path"
    reason = reason or unsafe_reason(component)
    if reason:
        raise CommitRefused(f"{component!r} {reason}. Nothing was created.")
    path, name = os.path.split(os.path.join(*component.split("/")))
    try:
        with LibraryDir.open(root) as library, enter(library, path, make=True) as folder:
            os_layer.close(folder.open_file(name, CREATE_NEW, 0o666))
            folder.sync()  # the user has been told that it is there
    except FileExistsError as error:
        raise CommitRefused(f"{component} exists already. Nothing was created.") from error
    except SlotChanged as error:
        raise CommitRefused(f"Nothing was created: {error}.") from error
    except OSError as error:
        raise CommitRefused(f"{component} was not created: {explain(error)}.") from error
    return os.path.join(root, path, name)
