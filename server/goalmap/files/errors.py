"""The errors of a commit. Each message says where the text is, and what the user can do next."""

from __future__ import annotations

import errno
from typing import ClassVar

from goalmap.core.exit_codes import CONFLICT, FAILED, NOT_COMMITTED, SAVED_ELSEWHERE


class CommitError(Exception):
    """A commit failed. `str()` is a message with the next step; `exit_code` is that of the command line."""

    exit_code: ClassVar[int] = FAILED


class CommitRefused(CommitError):
    """It could not be begun: nothing was paid for and nothing was changed."""


class SavedElsewhere(CommitError):
    """The text could not be kept in the library. It is in `path`, or nowhere but in `text` where `path` is None."""

    exit_code = SAVED_ELSEWHERE

    def __init__(self, message: str, *, text: str, path: str | None) -> None:
        super().__init__(message)
        self.text = text
        self.path = path


class NotCommitted(CommitError):
    """The text is safe in the library's journal; the map does not (surely) name it yet."""

    exit_code = NOT_COMMITTED


class Conflict(CommitError):
    """The map no longer has what the text was written for. The text is kept in the file `parked`."""

    exit_code = CONFLICT

    def __init__(self, message: str, *, parked: str) -> None:
        super().__init__(message)
        self.parked = parked


class SlotChanged(Exception):  # internal: becomes a Conflict once the text is parked
    """The reference, or the component's file, has changed meanwhile. The message completes "Not committed: "."""


class MapUnreadable(Exception):  # internal: becomes CommitRefused before a model was asked, else NotCommitted
    """The map is no complete, valid JSON file now. The message says why and what to do."""


_MEANINGS = {
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "your disk quota is used up; make room",
    errno.EACCES: "permission denied; check who may write here",
    errno.EPERM: "the system does not allow it; check who owns the file",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk reports an error; check it before you go on",
    errno.ELOOP: "a link is in the way, which Goalmap does not follow; remove it",
    errno.ENOTDIR: "a link or a file is in a folder's place; remove it",
    errno.EISDIR: "a folder is in a file's place; remove it",
    errno.EBUSY: "the file is mounted by itself and cannot be replaced in one step; mount its folder instead",
    errno.EXDEV: "the file is mounted by itself and cannot be replaced in one step; mount its folder instead",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.ENOLCK: "the file system has no locks; enable them, or work on a local copy",
    errno.EMFILE: "too many open files; close some programs",
}


def explain(error: OSError) -> str:
    """Return the cause of `error`, what to do about it, and the path, as part of a sentence."""
    meaning = _MEANINGS.get(error.errno or 0, (error.strerror or str(error) or "input/output error").lower())
    return f"{meaning} ({error.filename!s})" if error.filename else meaning
