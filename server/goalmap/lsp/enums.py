"""The protocol's enumerations that we use, as the numbers and strings that JSON has.

Made by tools/generate_lsp_types.py from lsprotocol: change that, and run it.
"""

from __future__ import annotations

from typing import Final


class CodeActionKind:
    EMPTY: Final = ""
    QUICK_FIX: Final = "quickfix"
    REFACTOR: Final = "refactor"
    REFACTOR_EXTRACT: Final = "refactor.extract"
    REFACTOR_INLINE: Final = "refactor.inline"
    REFACTOR_MOVE: Final = "refactor.move"
    REFACTOR_REWRITE: Final = "refactor.rewrite"
    SOURCE: Final = "source"
    SOURCE_ORGANIZE_IMPORTS: Final = "source.organizeImports"
    SOURCE_FIX_ALL: Final = "source.fixAll"
    NOTEBOOK: Final = "notebook"


class CompletionItemKind:
    TEXT: Final = 1
    METHOD: Final = 2
    FUNCTION: Final = 3
    CONSTRUCTOR: Final = 4
    FIELD: Final = 5
    VARIABLE: Final = 6
    CLASS: Final = 7
    INTERFACE: Final = 8
    MODULE: Final = 9
    PROPERTY: Final = 10
    UNIT: Final = 11
    VALUE: Final = 12
    ENUM: Final = 13
    KEYWORD: Final = 14
    SNIPPET: Final = 15
    COLOR: Final = 16
    FILE: Final = 17
    REFERENCE: Final = 18
    FOLDER: Final = 19
    ENUM_MEMBER: Final = 20
    CONSTANT: Final = 21
    STRUCT: Final = 22
    EVENT: Final = 23
    OPERATOR: Final = 24
    TYPE_PARAMETER: Final = 25


class DiagnosticSeverity:
    ERROR: Final = 1
    WARNING: Final = 2
    INFORMATION: Final = 3
    HINT: Final = 4


class DiagnosticTag:
    UNNECESSARY: Final = 1
    DEPRECATED: Final = 2


class DocumentHighlightKind:
    TEXT: Final = 1
    READ: Final = 2
    WRITE: Final = 3


class InlayHintKind:
    TYPE: Final = 1
    PARAMETER: Final = 2


class InsertTextFormat:
    PLAIN_TEXT: Final = 1
    SNIPPET: Final = 2


class LSPErrorCodes:
    REQUEST_FAILED: Final = -32803
    SERVER_CANCELLED: Final = -32802
    CONTENT_MODIFIED: Final = -32801
    REQUEST_CANCELLED: Final = -32800


class MarkupKind:
    PLAIN_TEXT: Final = "plaintext"
    MARKDOWN: Final = "markdown"


class MessageType:
    ERROR: Final = 1
    WARNING: Final = 2
    INFO: Final = 3
    LOG: Final = 4
    DEBUG: Final = 5


class SymbolKind:
    FILE: Final = 1
    MODULE: Final = 2
    NAMESPACE: Final = 3
    PACKAGE: Final = 4
    CLASS: Final = 5
    METHOD: Final = 6
    PROPERTY: Final = 7
    FIELD: Final = 8
    CONSTRUCTOR: Final = 9
    ENUM: Final = 10
    INTERFACE: Final = 11
    FUNCTION: Final = 12
    VARIABLE: Final = 13
    CONSTANT: Final = 14
    STRING: Final = 15
    NUMBER: Final = 16
    BOOLEAN: Final = 17
    ARRAY: Final = 18
    OBJECT: Final = 19
    KEY: Final = 20
    NULL: Final = 21
    ENUM_MEMBER: Final = 22
    STRUCT: Final = 23
    EVENT: Final = 24
    OPERATOR: Final = 25
    TYPE_PARAMETER: Final = 26


class TextDocumentSyncKind:
    NONE: Final = 0
    FULL: Final = 1
    INCREMENTAL: Final = 2
