"""The structures of the protocol that we read or send, for mypy and for people.

Made by tools/generate_lsp_types.py from lsprotocol: change that, and run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

ApplyKind: TypeAlias = Literal[1, 2]
CodeActionTag: TypeAlias = Literal[1]
CodeActionTriggerKind: TypeAlias = Literal[1, 2]
CompletionItemTag: TypeAlias = Literal[1]
CompletionTriggerKind: TypeAlias = Literal[1, 2, 3]
DiagnosticSeverity: TypeAlias = Literal[1, 2, 3, 4]
DiagnosticTag: TypeAlias = Literal[1, 2]
DocumentHighlightKind: TypeAlias = Literal[1, 2, 3]
FileChangeType: TypeAlias = Literal[1, 2, 3]
InlayHintKind: TypeAlias = Literal[1, 2]
InsertTextFormat: TypeAlias = Literal[1, 2]
InsertTextMode: TypeAlias = Literal[1, 2]
MarkupKind: TypeAlias = Literal["plaintext", "markdown"]
MessageType: TypeAlias = Literal[1, 2, 3, 4, 5]
SymbolKind: TypeAlias = Literal[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26
]
SymbolTag: TypeAlias = Literal[1]
TraceValue: TypeAlias = Literal["off", "messages", "verbose"]


class AnnotatedTextEdit(TypedDict):
    annotationId: str
    range: Range
    newText: str


class ApplyWorkspaceEditParams(TypedDict):
    edit: WorkspaceEdit
    label: NotRequired[str | None]
    metadata: NotRequired[WorkspaceEditMetadata | None]


class ApplyWorkspaceEditResult(TypedDict):
    applied: bool
    failureReason: NotRequired[str | None]
    failedChange: NotRequired[int | None]


class CancelParams(TypedDict):
    id: int | str


class ChangeAnnotation(TypedDict):
    label: str
    needsConfirmation: NotRequired[bool | None]
    description: NotRequired[str | None]


class ClientInfo(TypedDict):
    name: str
    version: NotRequired[str | None]


class CodeAction(TypedDict):
    title: str
    kind: NotRequired[str | None]
    diagnostics: NotRequired[Sequence[Diagnostic] | None]
    isPreferred: NotRequired[bool | None]
    disabled: NotRequired[CodeActionDisabled | None]
    edit: NotRequired[WorkspaceEdit | None]
    command: NotRequired[Command | None]
    data: NotRequired[Any]
    tags: NotRequired[Sequence[CodeActionTag] | None]


class CodeActionContext(TypedDict):
    diagnostics: Sequence[Diagnostic]
    only: NotRequired[Sequence[str] | None]
    triggerKind: NotRequired[CodeActionTriggerKind | None]


class CodeActionDisabled(TypedDict):
    reason: str


class CodeActionParams(TypedDict):
    textDocument: TextDocumentIdentifier
    range: Range
    context: CodeActionContext
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class CodeDescription(TypedDict):
    href: str


class CodeLens(TypedDict):
    range: Range
    command: NotRequired[Command | None]
    data: NotRequired[Any]


class CodeLensParams(TypedDict):
    textDocument: TextDocumentIdentifier
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class Command(TypedDict):
    title: str
    command: str
    tooltip: NotRequired[str | None]
    arguments: NotRequired[Sequence[Any] | None]


class CompletionContext(TypedDict):
    triggerKind: CompletionTriggerKind
    triggerCharacter: NotRequired[str | None]


class CompletionItem(TypedDict):
    label: str
    labelDetails: NotRequired[CompletionItemLabelDetails | None]
    kind: NotRequired[int | None]
    tags: NotRequired[Sequence[CompletionItemTag] | None]
    detail: NotRequired[str | None]
    documentation: NotRequired[str | MarkupContent | None]
    deprecated: NotRequired[bool | None]
    preselect: NotRequired[bool | None]
    sortText: NotRequired[str | None]
    filterText: NotRequired[str | None]
    insertText: NotRequired[str | None]
    insertTextFormat: NotRequired[InsertTextFormat | None]
    insertTextMode: NotRequired[InsertTextMode | None]
    textEdit: NotRequired[TextEdit | InsertReplaceEdit | None]
    textEditText: NotRequired[str | None]
    additionalTextEdits: NotRequired[Sequence[TextEdit] | None]
    commitCharacters: NotRequired[Sequence[str] | None]
    command: NotRequired[Command | None]
    data: NotRequired[Any]


class CompletionItemApplyKinds(TypedDict):
    commitCharacters: NotRequired[ApplyKind | None]
    data: NotRequired[ApplyKind | None]


class CompletionItemDefaults(TypedDict):
    commitCharacters: NotRequired[Sequence[str] | None]
    editRange: NotRequired[Range | EditRangeWithInsertReplace | None]
    insertTextFormat: NotRequired[InsertTextFormat | None]
    insertTextMode: NotRequired[InsertTextMode | None]
    data: NotRequired[Any]


class CompletionItemLabelDetails(TypedDict):
    detail: NotRequired[str | None]
    description: NotRequired[str | None]


class CompletionList(TypedDict):
    isIncomplete: bool
    items: Sequence[CompletionItem]
    itemDefaults: NotRequired[CompletionItemDefaults | None]
    applyKind: NotRequired[CompletionItemApplyKinds | None]


class CompletionParams(TypedDict):
    textDocument: TextDocumentIdentifier
    position: Position
    context: NotRequired[CompletionContext | None]
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class ConfigurationItem(TypedDict):
    scopeUri: NotRequired[str | None]
    section: NotRequired[str | None]


class ConfigurationParams(TypedDict):
    items: Sequence[ConfigurationItem]


class CreateFile(TypedDict):
    uri: str
    kind: NotRequired[str]
    options: NotRequired[CreateFileOptions | None]
    annotationId: NotRequired[str | None]


class CreateFileOptions(TypedDict):
    overwrite: NotRequired[bool | None]
    ignoreIfExists: NotRequired[bool | None]


class CreateFilesParams(TypedDict):
    files: Sequence[FileCreate]


class DefinitionParams(TypedDict):
    textDocument: TextDocumentIdentifier
    position: Position
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class DeleteFile(TypedDict):
    uri: str
    kind: NotRequired[str]
    options: NotRequired[DeleteFileOptions | None]
    annotationId: NotRequired[str | None]


class DeleteFileOptions(TypedDict):
    recursive: NotRequired[bool | None]
    ignoreIfNotExists: NotRequired[bool | None]


class DeleteFilesParams(TypedDict):
    files: Sequence[FileDelete]


class Diagnostic(TypedDict):
    range: Range
    message: str
    severity: NotRequired[DiagnosticSeverity | None]
    code: NotRequired[int | str | None]
    codeDescription: NotRequired[CodeDescription | None]
    source: NotRequired[str | None]
    tags: NotRequired[Sequence[DiagnosticTag] | None]
    relatedInformation: NotRequired[Sequence[DiagnosticRelatedInformation] | None]
    data: NotRequired[Any]


class DiagnosticRelatedInformation(TypedDict):
    location: Location
    message: str


class DidChangeConfigurationParams(TypedDict):
    settings: Any


class DidChangeTextDocumentParams(TypedDict):
    textDocument: VersionedTextDocumentIdentifier
    contentChanges: Sequence[TextDocumentContentChangeEvent]


class DidChangeWatchedFilesParams(TypedDict):
    changes: Sequence[FileEvent]


class DidChangeWorkspaceFoldersParams(TypedDict):
    event: WorkspaceFoldersChangeEvent


class DidCloseTextDocumentParams(TypedDict):
    textDocument: TextDocumentIdentifier


class DidOpenTextDocumentParams(TypedDict):
    textDocument: TextDocumentItem


class DidSaveTextDocumentParams(TypedDict):
    textDocument: TextDocumentIdentifier
    text: NotRequired[str | None]


class DocumentDiagnosticParams(TypedDict):
    textDocument: TextDocumentIdentifier
    identifier: NotRequired[str | None]
    previousResultId: NotRequired[str | None]
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class DocumentHighlight(TypedDict):
    range: Range
    kind: NotRequired[DocumentHighlightKind | None]


class DocumentHighlightParams(TypedDict):
    textDocument: TextDocumentIdentifier
    position: Position
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class DocumentLink(TypedDict):
    range: Range
    target: NotRequired[str | None]
    tooltip: NotRequired[str | None]
    data: NotRequired[Any]


class DocumentLinkParams(TypedDict):
    textDocument: TextDocumentIdentifier
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class DocumentSymbol(TypedDict):
    name: str
    kind: SymbolKind
    range: Range
    selectionRange: Range
    detail: NotRequired[str | None]
    tags: NotRequired[Sequence[SymbolTag] | None]
    deprecated: NotRequired[bool | None]
    children: NotRequired[Sequence[DocumentSymbol] | None]


class DocumentSymbolParams(TypedDict):
    textDocument: TextDocumentIdentifier
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class EditRangeWithInsertReplace(TypedDict):
    insert: Range
    replace: Range


class ExecuteCommandParams(TypedDict):
    command: str
    arguments: NotRequired[Sequence[Any] | None]
    workDoneToken: NotRequired[int | str | None]


class FileCreate(TypedDict):
    uri: str


class FileDelete(TypedDict):
    uri: str


class FileEvent(TypedDict):
    uri: str
    type: FileChangeType


class FileRename(TypedDict):
    oldUri: str
    newUri: str


class FoldingRange(TypedDict):
    startLine: int
    endLine: int
    startCharacter: NotRequired[int | None]
    endCharacter: NotRequired[int | None]
    kind: NotRequired[str | None]
    collapsedText: NotRequired[str | None]


class FoldingRangeParams(TypedDict):
    textDocument: TextDocumentIdentifier
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class FullDocumentDiagnosticReport(TypedDict):
    items: Sequence[Diagnostic]
    kind: NotRequired[str]
    resultId: NotRequired[str | None]


class Hover(TypedDict):
    contents: MarkupContent | str | MarkedStringWithLanguage | Sequence[str | MarkedStringWithLanguage]
    range: NotRequired[Range | None]


class HoverParams(TypedDict):
    textDocument: TextDocumentIdentifier
    position: Position
    workDoneToken: NotRequired[int | str | None]


class InitializeParams(TypedDict):
    capabilities: dict[str, object]
    processId: NotRequired[int | None]
    clientInfo: NotRequired[ClientInfo | None]
    locale: NotRequired[str | None]
    rootPath: NotRequired[str | None]
    rootUri: NotRequired[str | None]
    initializationOptions: NotRequired[Any]
    trace: NotRequired[TraceValue | None]
    workDoneToken: NotRequired[int | str | None]
    workspaceFolders: NotRequired[Sequence[WorkspaceFolder] | None]


class InitializeResult(TypedDict):
    capabilities: dict[str, object]
    serverInfo: NotRequired[ServerInfo | None]


class InitializedParams(TypedDict):
    pass


class InlayHint(TypedDict):
    position: Position
    label: str | Sequence[InlayHintLabelPart]
    kind: NotRequired[InlayHintKind | None]
    textEdits: NotRequired[Sequence[TextEdit] | None]
    tooltip: NotRequired[str | MarkupContent | None]
    paddingLeft: NotRequired[bool | None]
    paddingRight: NotRequired[bool | None]
    data: NotRequired[Any]


class InlayHintLabelPart(TypedDict):
    value: str
    tooltip: NotRequired[str | MarkupContent | None]
    location: NotRequired[Location | None]
    command: NotRequired[Command | None]


class InlayHintParams(TypedDict):
    textDocument: TextDocumentIdentifier
    range: Range
    workDoneToken: NotRequired[int | str | None]


class InsertReplaceEdit(TypedDict):
    newText: str
    insert: Range
    replace: Range


class Location(TypedDict):
    uri: str
    range: Range


class LocationLink(TypedDict):
    targetUri: str
    targetRange: Range
    targetSelectionRange: Range
    originSelectionRange: NotRequired[Range | None]


class LocationUriOnly(TypedDict):
    uri: str


class LogMessageParams(TypedDict):
    type: MessageType
    message: str


class MarkedStringWithLanguage(TypedDict):
    language: str
    value: str


class MarkupContent(TypedDict):
    kind: MarkupKind
    value: str


class MessageActionItem(TypedDict):
    title: str


class OptionalVersionedTextDocumentIdentifier(TypedDict):
    uri: str
    version: NotRequired[int | None]


class Position(TypedDict):
    line: int
    character: int


class PrepareRenameDefaultBehavior(TypedDict):
    defaultBehavior: bool


class PrepareRenameParams(TypedDict):
    textDocument: TextDocumentIdentifier
    position: Position
    workDoneToken: NotRequired[int | str | None]


class PrepareRenamePlaceholder(TypedDict):
    range: Range
    placeholder: str


class PublishDiagnosticsParams(TypedDict):
    uri: str
    diagnostics: Sequence[Diagnostic]
    version: NotRequired[int | None]


class Range(TypedDict):
    start: Position
    end: Position


class ReferenceContext(TypedDict):
    includeDeclaration: bool


class ReferenceParams(TypedDict):
    context: ReferenceContext
    textDocument: TextDocumentIdentifier
    position: Position
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class Registration(TypedDict):
    id: str
    method: str
    registerOptions: NotRequired[Any]


class RegistrationParams(TypedDict):
    registrations: Sequence[Registration]


class RelatedFullDocumentDiagnosticReport(TypedDict):
    items: Sequence[Diagnostic]
    relatedDocuments: NotRequired[Mapping[str, FullDocumentDiagnosticReport | UnchangedDocumentDiagnosticReport] | None]
    kind: NotRequired[str]
    resultId: NotRequired[str | None]


class RelatedUnchangedDocumentDiagnosticReport(TypedDict):
    resultId: str
    relatedDocuments: NotRequired[Mapping[str, FullDocumentDiagnosticReport | UnchangedDocumentDiagnosticReport] | None]
    kind: NotRequired[str]


class RenameFile(TypedDict):
    oldUri: str
    newUri: str
    kind: NotRequired[str]
    options: NotRequired[RenameFileOptions | None]
    annotationId: NotRequired[str | None]


class RenameFileOptions(TypedDict):
    overwrite: NotRequired[bool | None]
    ignoreIfExists: NotRequired[bool | None]


class RenameFilesParams(TypedDict):
    files: Sequence[FileRename]


class RenameParams(TypedDict):
    textDocument: TextDocumentIdentifier
    position: Position
    newName: str
    workDoneToken: NotRequired[int | str | None]


class SelectionRange(TypedDict):
    range: Range
    parent: NotRequired[SelectionRange | None]


class SelectionRangeParams(TypedDict):
    textDocument: TextDocumentIdentifier
    positions: Sequence[Position]
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]


class ServerInfo(TypedDict):
    name: str
    version: NotRequired[str | None]


class ShowDocumentParams(TypedDict):
    uri: str
    external: NotRequired[bool | None]
    takeFocus: NotRequired[bool | None]
    selection: NotRequired[Range | None]


class ShowDocumentResult(TypedDict):
    success: bool


class ShowMessageParams(TypedDict):
    type: MessageType
    message: str


class ShowMessageRequestParams(TypedDict):
    type: MessageType
    message: str
    actions: NotRequired[Sequence[MessageActionItem] | None]


class SnippetTextEdit(TypedDict):
    range: Range
    snippet: StringValue
    annotationId: NotRequired[str | None]


class StringValue(TypedDict):
    value: str
    kind: NotRequired[str]


class SymbolInformation(TypedDict):
    location: Location
    name: str
    kind: SymbolKind
    deprecated: NotRequired[bool | None]
    tags: NotRequired[Sequence[SymbolTag] | None]
    containerName: NotRequired[str | None]


class TextDocumentContentChangeEvent(TypedDict):
    range: NotRequired[Range]
    text: str
    rangeLength: NotRequired[int | None]


class TextDocumentContentParams(TypedDict):
    uri: str


class TextDocumentContentResult(TypedDict):
    text: str


class TextDocumentEdit(TypedDict):
    textDocument: OptionalVersionedTextDocumentIdentifier
    edits: Sequence[TextEdit | AnnotatedTextEdit | SnippetTextEdit]


class TextDocumentIdentifier(TypedDict):
    uri: str


class TextDocumentItem(TypedDict):
    uri: str
    languageId: str
    version: int
    text: str


class TextEdit(TypedDict):
    range: Range
    newText: str


class UnchangedDocumentDiagnosticReport(TypedDict):
    resultId: str
    kind: NotRequired[str]


class VersionedTextDocumentIdentifier(TypedDict):
    version: int
    uri: str


class WorkDoneProgressBegin(TypedDict):
    title: str
    kind: NotRequired[str]
    cancellable: NotRequired[bool | None]
    message: NotRequired[str | None]
    percentage: NotRequired[int | None]


class WorkDoneProgressCancelParams(TypedDict):
    token: int | str


class WorkDoneProgressCreateParams(TypedDict):
    token: int | str


class WorkDoneProgressEnd(TypedDict):
    kind: NotRequired[str]
    message: NotRequired[str | None]


class WorkDoneProgressReport(TypedDict):
    kind: NotRequired[str]
    cancellable: NotRequired[bool | None]
    message: NotRequired[str | None]
    percentage: NotRequired[int | None]


class WorkspaceEdit(TypedDict):
    changes: NotRequired[Mapping[str, Sequence[TextEdit]] | None]
    documentChanges: NotRequired[Sequence[TextDocumentEdit | CreateFile | RenameFile | DeleteFile] | None]
    changeAnnotations: NotRequired[Mapping[str, ChangeAnnotation] | None]


class WorkspaceEditMetadata(TypedDict):
    isRefactoring: NotRequired[bool | None]


class WorkspaceFolder(TypedDict):
    uri: str
    name: str


class WorkspaceFoldersChangeEvent(TypedDict):
    added: Sequence[WorkspaceFolder]
    removed: Sequence[WorkspaceFolder]


class WorkspaceSymbol(TypedDict):
    location: Location | LocationUriOnly
    name: str
    kind: SymbolKind
    data: NotRequired[Any]
    tags: NotRequired[Sequence[SymbolTag] | None]
    containerName: NotRequired[str | None]


class WorkspaceSymbolParams(TypedDict):
    query: str
    workDoneToken: NotRequired[int | str | None]
    partialResultToken: NotRequired[int | str | None]
