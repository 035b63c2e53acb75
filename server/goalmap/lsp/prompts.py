"""Assembled prompts of the workspace, unsaved edits included."""

from __future__ import annotations

from goalmap.core.assembly import Prompt, assemble
from goalmap.core.goal_map import Goal
from goalmap.lsp.library_state import LibraryState
from goalmap.lsp.session import Session


def prompt_of(session: Session, library: LibraryState, goal: Goal) -> Prompt:
    """Return the prompt of `goal` as it would run if everything were saved now."""
    session.read_ahead(library, [library.snapshot.path(one.slot, one.file) for one in goal.references if one.file])
    return assemble(goal, library.snapshot, session.reader(library))
