"""What Goalmap adds to the protocol: the params and results of methods of our own, and the arguments of commands.

Nothing imports this at run time. mypy and people read it, and so does tools/generate_lsp_types.py, which makes of
`METHODS` and `COMMANDS` the table that params are checked against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, NotRequired, TypeAlias, TypedDict

from goalmap.core.naming import Naming

if TYPE_CHECKING:
    from goalmap.lsp.types import Location, Position, TextDocumentIdentifier

NOT_NEGATIVE: Final = "not negative"
Natural: TypeAlias = Annotated[int, NOT_NEGATIVE]
GoalName: TypeAlias = list[str]
"""The names that lead to a goal, from the map's outermost object on."""


class TextDocumentPositionParams(TypedDict):
    """What the params of all requests about a place in a document have."""

    textDocument: TextDocumentIdentifier
    position: Position


class TextDocumentParams(TypedDict):
    """What the params of all requests about a document have."""

    textDocument: TextDocumentIdentifier


# -- methods that a client calls ---------------------------------------------------------------------------------------
class GoalAtParams(TextDocumentPositionParams):
    """`goalmap/goalAt`."""


class GoalAt(TypedDict):
    """The goal at a position, and the size of its prompt."""

    goal: GoalName
    title: str
    tokens: int
    estimated: bool


class ModelParams(TypedDict):
    """`goalmap/model`."""


class ModelInUse(TypedDict):
    """Which model would be asked now; where none could, null and what is missing."""

    model: str | None
    isLocal: bool
    problem: str | None


class PromptParams(TypedDict):
    """`goalmap/prompt`."""

    uri: str
    goal: GoalName


class Segment(TypedDict):
    """Where a stretch of a prompt came from. `start` and `end` count UTF-16 code units."""

    start: int
    end: int
    uri: str
    path: str
    targetLine: int


class PromptResult(TypedDict):
    """A goal's assembled prompt."""

    text: str
    tokens: int
    exact: bool
    missing: list[str]
    segments: list[Segment]
    uri: str
    error: str | None


class SetApiKeyParams(TypedDict):
    """`goalmap/setApiKey`; no key forgets the one there was."""

    key: NotRequired[str | None]
    origin: NotRequired[str | None]


class FormAnswer(TypedDict):
    """What the user filled in."""

    id: str
    value: NotRequired[Any]


class ResolveCommandParams(TypedDict):
    """`command/resolve`: the command that is about to run, and what its user answered."""

    command: str
    arguments: NotRequired[list[Any]]
    formAnswers: NotRequired[list[FormAnswer]]


class FormField(TypedDict):
    """A question to the user; `error` says what was wrong with the last answer, which is then the `default`."""

    id: str
    description: str
    type: dict[str, str]
    required: bool
    default: NotRequired[str]
    error: NotRequired[str]


class ResolvedCommand(TypedDict):
    """The command with the fields that are to be filled; without any, it is ready to run."""

    command: str
    arguments: list[Any]
    formFields: NotRequired[list[FormField]]


METHODS: Final[dict[str, type]] = {
    "command/resolve": ResolveCommandParams,
    "goalmap/goalAt": GoalAtParams,
    "goalmap/model": ModelParams,
    "goalmap/prompt": PromptParams,
    "goalmap/setApiKey": SetApiKeyParams,
}


# -- what an item carries until it is resolved -------------------------------------------------------------------------
class LensData(TypedDict):
    """The `data` of a code lens."""

    uri: str
    path: NotRequired[str]
    number: NotRequired[Natural]
    name: NotRequired[str]


class CompletionData(TypedDict):
    """The `data` of a completion item: a component of the library of a map."""

    uri: str
    path: str


DATA: Final[dict[str, type]] = {"codeLens/resolve": LensData, "completionItem/resolve": CompletionData}


# -- notifications of ours ---------------------------------------------------------------------------------------------
class GeneratedParams(TypedDict):
    """`goalmap/generated`: a job has ended."""

    job: str
    outcome: str
    mapUri: str
    message: str
    undoable: bool
    componentUri: NotRequired[str]


class ModelChangedParams(TypedDict):
    """`goalmap/modelChanged`."""

    model: str | None


class WrittenParams(TypedDict):
    """`goalmap/written`: a document that is open has been written on disk."""

    uri: str


class PromptChangedParams(TypedDict):
    """`goalmap/promptChanged`: prompts of this map may have changed."""

    uri: str


# -- commands ----------------------------------------------------------------------------------------------------------
class SlotPlace(TypedDict):
    """A place in a map: the slot of a goal, and which of its components where it has a list of them."""

    goal: GoalName
    slot: str
    index: NotRequired[Natural | None]


class MissingComponent(SlotPlace):
    """A component that is to be written, and the other places that name it."""

    file: str
    description: NotRequired[str]
    others: NotRequired[list[SlotPlace]]


class GenerateComponent(MissingComponent):
    """`goalmap.generateComponent`. `uri` is the map's, here and below."""

    uri: str
    naming: NotRequired[Naming]


class GenerateAll(TypedDict):
    """`goalmap.generateAll`: `components`, or all that `goal` lacks, or all that the map lacks."""

    uri: str
    goal: NotRequired[GoalName]
    components: NotRequired[list[MissingComponent]]
    naming: NotRequired[Naming]
    description: NotRequired[str]
    guess: NotRequired[bool]
    leftOut: NotRequired[Natural]


class CancelGeneration(TypedDict):
    """`goalmap.cancelGeneration`: a job, or all of them."""

    job: NotRequired[str]


class CreateEmpty(TypedDict):
    """`goalmap.createEmpty`: the component's path in the library."""

    uri: str
    path: str


class InterruptedGeneration(TypedDict):
    """`goalmap.finishGeneration`, `goalmap.discardGeneration` and `goalmap.reviewGeneration`: the record's `tx`."""

    uri: str
    tx: str


class Undo(TypedDict):
    """`goalmap.undo`: a job, or the library's newest."""

    uri: str
    job: NotRequired[str]


class PreviewPrompt(TypedDict):
    """`goalmap.previewPrompt`, a command of the client's."""

    uri: str
    goal: GoalName


class StartedJob(TypedDict):
    """The answer of the commands that generate."""

    job: str


ShowReferences: TypeAlias = "tuple[str, Position, list[Location]]"
"""The arguments of `goalmap.showReferences`, a command of the client's."""

COMMANDS: Final[dict[str, type]] = {
    "goalmap.cancelGeneration": CancelGeneration,
    "goalmap.createEmpty": CreateEmpty,
    "goalmap.discardGeneration": InterruptedGeneration,
    "goalmap.finishGeneration": InterruptedGeneration,
    "goalmap.generateAll": GenerateAll,
    "goalmap.generateComponent": GenerateComponent,
    "goalmap.reviewGeneration": InterruptedGeneration,
    "goalmap.undo": Undo,
}
