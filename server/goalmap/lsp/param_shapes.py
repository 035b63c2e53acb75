"""What the params of each method, and the arguments of each command, must be.

Made by tools/generate_lsp_types.py from lsprotocol: change that, and run it.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Shape: TypeAlias = Any
# A shape that is a string says what is expected.
ANY: Final = "anything"
NATURAL: Final = "an integer that is not negative"
ID: Final = "an integer or a string"
_WORKSPACE_FOLDER: Final[Shape] = {"uri": str}
_INITIALIZE_PARAMS: Final[Shape] = {
    "capabilities?": dict,
    "processId?": int,
    "rootUri?": str,
    "workspaceFolders?": [_WORKSPACE_FOLDER],
}
_INITIALIZED_PARAMS: Final[Shape] = {}
_CANCEL_PARAMS: Final[Shape] = {"id": ID}
_WORK_DONE_PROGRESS_CANCEL_PARAMS: Final[Shape] = {"token": ID}
_TEXT_DOCUMENT_ITEM: Final[Shape] = {"uri": str, "version": int, "text": str}
_DID_OPEN_TEXT_DOCUMENT_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_ITEM}
_VERSIONED_TEXT_DOCUMENT_IDENTIFIER: Final[Shape] = {"version": int, "uri": str}
_POSITION: Final[Shape] = {"line": NATURAL, "character": NATURAL}
_RANGE: Final[Shape] = {"start": _POSITION, "end": _POSITION}
_TEXT_DOCUMENT_CONTENT_CHANGE_EVENT: Final[Shape] = {"range?": _RANGE, "text": str}
_DID_CHANGE_TEXT_DOCUMENT_PARAMS: Final[Shape] = {
    "textDocument": _VERSIONED_TEXT_DOCUMENT_IDENTIFIER,
    "contentChanges": [_TEXT_DOCUMENT_CONTENT_CHANGE_EVENT],
}
_TEXT_DOCUMENT_IDENTIFIER: Final[Shape] = {"uri": str}
_DID_CLOSE_TEXT_DOCUMENT_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER}
_DID_SAVE_TEXT_DOCUMENT_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "text?": str}
_CODE_ACTION_CONTEXT: Final[Shape] = {"only?": [str]}
_CODE_ACTION_PARAMS: Final[Shape] = {
    "textDocument": _TEXT_DOCUMENT_IDENTIFIER,
    "range": _RANGE,
    "context": _CODE_ACTION_CONTEXT,
}
_CODE_LENS_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER}
_CODE_LENS: Final[Shape] = {}
_COMPLETION_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "position": _POSITION}
_COMPLETION_ITEM: Final[Shape] = {"detail?": str}
_DEFINITION_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "position": _POSITION}
_DOCUMENT_DIAGNOSTIC_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "previousResultId?": str}
_DOCUMENT_HIGHLIGHT_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "position": _POSITION}
_DOCUMENT_LINK_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER}
_DOCUMENT_SYMBOL_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER}
_FOLDING_RANGE_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER}
_HOVER_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "position": _POSITION}
_INLAY_HINT_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "range": _RANGE}
_PREPARE_RENAME_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "position": _POSITION}
_REFERENCE_CONTEXT: Final[Shape] = {"includeDeclaration?": bool}
_REFERENCE_PARAMS: Final[Shape] = {
    "context?": _REFERENCE_CONTEXT,
    "textDocument": _TEXT_DOCUMENT_IDENTIFIER,
    "position": _POSITION,
}
_RENAME_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "position": _POSITION, "newName": str}
_SELECTION_RANGE_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "positions": [_POSITION]}
_DID_CHANGE_CONFIGURATION_PARAMS: Final[Shape] = {}
_FILE_EVENT: Final[Shape] = {"uri": str}
_DID_CHANGE_WATCHED_FILES_PARAMS: Final[Shape] = {"changes": [_FILE_EVENT]}
_WORKSPACE_FOLDERS_CHANGE_EVENT: Final[Shape] = {"added?": [_WORKSPACE_FOLDER], "removed?": [_WORKSPACE_FOLDER]}
_DID_CHANGE_WORKSPACE_FOLDERS_PARAMS: Final[Shape] = {"event": _WORKSPACE_FOLDERS_CHANGE_EVENT}
_FILE_CREATE: Final[Shape] = {"uri": str}
_CREATE_FILES_PARAMS: Final[Shape] = {"files": [_FILE_CREATE]}
_FILE_DELETE: Final[Shape] = {"uri": str}
_DELETE_FILES_PARAMS: Final[Shape] = {"files": [_FILE_DELETE]}
_FILE_RENAME: Final[Shape] = {"oldUri": str, "newUri": str}
_RENAME_FILES_PARAMS: Final[Shape] = {"files": [_FILE_RENAME]}
_EXECUTE_COMMAND_PARAMS: Final[Shape] = {"command": str, "arguments?": [ANY]}
_WORKSPACE_SYMBOL_PARAMS: Final[Shape] = {"query?": str}
_TEXT_DOCUMENT_CONTENT_PARAMS: Final[Shape] = {"uri": str}
_FORM_ANSWER: Final[Shape] = {"id": str}
_RESOLVE_COMMAND_PARAMS: Final[Shape] = {"command": str, "arguments?": [ANY], "formAnswers?": [_FORM_ANSWER]}
_GOAL_AT_PARAMS: Final[Shape] = {"textDocument": _TEXT_DOCUMENT_IDENTIFIER, "position": _POSITION}
_MODEL_PARAMS: Final[Shape] = {}
_PROMPT_PARAMS: Final[Shape] = {"uri": str, "goal": [str]}
_SET_API_KEY_PARAMS: Final[Shape] = {"key?": str, "origin?": str}
_LENS_DATA: Final[Shape] = {"uri": str, "path?": str, "number?": NATURAL, "name?": str}
_COMPLETION_DATA: Final[Shape] = {"uri": str, "path": str}
_CANCEL_GENERATION: Final[Shape] = {"job?": str}
_CREATE_EMPTY: Final[Shape] = {"uri": str, "path": str}
_INTERRUPTED_GENERATION: Final[Shape] = {"uri": str, "tx": str}
_SLOT_PLACE: Final[Shape] = {"goal": [str], "slot": str, "index?": NATURAL}
_MISSING_COMPONENT: Final[Shape] = {
    "goal": [str],
    "slot": str,
    "index?": NATURAL,
    "file": str,
    "description?": str,
    "others?": [_SLOT_PLACE],
}
_GENERATE_ALL: Final[Shape] = {
    "uri": str,
    "goal?": [str],
    "components?": [_MISSING_COMPONENT],
    "naming?": ("autogen", "referenced"),
    "description?": str,
    "guess?": bool,
    "leftOut?": NATURAL,
}
_GENERATE_COMPONENT: Final[Shape] = {
    "goal": [str],
    "slot": str,
    "index?": NATURAL,
    "file": str,
    "description?": str,
    "others?": [_SLOT_PLACE],
    "uri": str,
    "naming?": ("autogen", "referenced"),
}
_UNDO: Final[Shape] = {"uri": str, "job?": str}

PARAMS: Final[dict[str, Shape]] = {
    "initialize": _INITIALIZE_PARAMS,
    "initialized": _INITIALIZED_PARAMS,
    "shutdown": {},
    "$/cancelRequest": _CANCEL_PARAMS,
    "window/workDoneProgress/cancel": _WORK_DONE_PROGRESS_CANCEL_PARAMS,
    "textDocument/didOpen": _DID_OPEN_TEXT_DOCUMENT_PARAMS,
    "textDocument/didChange": _DID_CHANGE_TEXT_DOCUMENT_PARAMS,
    "textDocument/didClose": _DID_CLOSE_TEXT_DOCUMENT_PARAMS,
    "textDocument/didSave": _DID_SAVE_TEXT_DOCUMENT_PARAMS,
    "textDocument/codeAction": _CODE_ACTION_PARAMS,
    "textDocument/codeLens": _CODE_LENS_PARAMS,
    "codeLens/resolve": {**_CODE_LENS, "data?": _LENS_DATA},
    "textDocument/completion": _COMPLETION_PARAMS,
    "completionItem/resolve": {**_COMPLETION_ITEM, "data?": _COMPLETION_DATA},
    "textDocument/definition": _DEFINITION_PARAMS,
    "textDocument/diagnostic": _DOCUMENT_DIAGNOSTIC_PARAMS,
    "textDocument/documentHighlight": _DOCUMENT_HIGHLIGHT_PARAMS,
    "textDocument/documentLink": _DOCUMENT_LINK_PARAMS,
    "textDocument/documentSymbol": _DOCUMENT_SYMBOL_PARAMS,
    "textDocument/foldingRange": _FOLDING_RANGE_PARAMS,
    "textDocument/hover": _HOVER_PARAMS,
    "textDocument/inlayHint": _INLAY_HINT_PARAMS,
    "textDocument/prepareRename": _PREPARE_RENAME_PARAMS,
    "textDocument/references": _REFERENCE_PARAMS,
    "textDocument/rename": _RENAME_PARAMS,
    "textDocument/selectionRange": _SELECTION_RANGE_PARAMS,
    "workspace/didChangeConfiguration": _DID_CHANGE_CONFIGURATION_PARAMS,
    "workspace/didChangeWatchedFiles": _DID_CHANGE_WATCHED_FILES_PARAMS,
    "workspace/didChangeWorkspaceFolders": _DID_CHANGE_WORKSPACE_FOLDERS_PARAMS,
    "workspace/didCreateFiles": _CREATE_FILES_PARAMS,
    "workspace/didDeleteFiles": _DELETE_FILES_PARAMS,
    "workspace/didRenameFiles": _RENAME_FILES_PARAMS,
    "workspace/willRenameFiles": _RENAME_FILES_PARAMS,
    "workspace/executeCommand": _EXECUTE_COMMAND_PARAMS,
    "workspace/symbol": _WORKSPACE_SYMBOL_PARAMS,
    "workspace/textDocumentContent": _TEXT_DOCUMENT_CONTENT_PARAMS,
    "command/resolve": _RESOLVE_COMMAND_PARAMS,
    "goalmap/goalAt": _GOAL_AT_PARAMS,
    "goalmap/model": _MODEL_PARAMS,
    "goalmap/prompt": _PROMPT_PARAMS,
    "goalmap/setApiKey": _SET_API_KEY_PARAMS,
}

ARGUMENTS: Final[dict[str, Shape]] = {
    "goalmap.cancelGeneration": [_CANCEL_GENERATION],
    "goalmap.createEmpty": [_CREATE_EMPTY],
    "goalmap.discardGeneration": [_INTERRUPTED_GENERATION],
    "goalmap.finishGeneration": [_INTERRUPTED_GENERATION],
    "goalmap.generateAll": [_GENERATE_ALL],
    "goalmap.generateComponent": [_GENERATE_COMPONENT],
    "goalmap.reviewGeneration": [_INTERRUPTED_GENERATION],
    "goalmap.undo": [_UNDO],
}
