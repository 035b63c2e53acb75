"""A missing component, from the request to the commit, and back: what the language server and the command line share.

`generate` joins the layers below: the record of the journal is there before a model is asked, each piece of its answer
goes into the record, and the commit is carried through once the answer is whole. What the disk may hold up runs in a
thread of its own, never on the event loop. Nothing here raises what a user can do something about: it is in the
`Outcome`, with the next step and the command line's exit code.
"""

from goalmap.files.request import GenerateRequest
from goalmap.workflows.brief import make_brief, missing_references, planned_file, shared_references
from goalmap.workflows.generate import PendingSave, Verdict, generate, generate_all, uncancellable
from goalmap.workflows.outcome import Kind, Neighbours, Outcome, Reporter, Summary
from goalmap.workflows.undo_and_recover import Recovered, Undone, describe, pending, recover, undo

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
    "pending",
    "planned_file",
    "recover",
    "shared_references",
    "uncancellable",
    "undo",
]
