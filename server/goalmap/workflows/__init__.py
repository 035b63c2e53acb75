"""Generating a component, undo and recovery: what the language server and the command line share.

`generate` makes a record in the journal before a model is asked, appends each piece of its reply to the record, and
commits once the reply is complete. Disk work runs in a thread, never on the event loop. An error that a user can do
something about is not raised: it is in the `Outcome`, with the next step and the command line's exit code.
"""

from goalmap.files.request import GenerateRequest
from goalmap.workflows.brief import make_brief, missing_references, planned_file, shared_references
from goalmap.workflows.generate import Verdict, generate, generate_all, uncancellable
from goalmap.workflows.outcome import Kind, Neighbours, Outcome, PendingSave, Reporter, Summary
from goalmap.workflows.undo_and_recover import Recovered, Undone, describe, recover, undo

__all__ = [
    "GenerateRequest",
    "Kind",
    "Neighbours",
    "Outcome",
    "PendingSave",
    "Recovered",
    "Reporter",
    "Summary",
    "Undone",
    "Verdict",
    "describe",
    "generate",
    "generate_all",
    "make_brief",
    "missing_references",
    "planned_file",
    "recover",
    "shared_references",
    "uncancellable",
    "undo",
]
