"""What the client said of itself in `initialize`, resolved once. Nothing else reads its capabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from goalmap.lsp.validate import lookup

if TYPE_CHECKING:
    from goalmap.lsp.types import InitializeParams

# Commands that run in the client. One that it does not list is never sent to it.
PREVIEW: Final = "goalmap.previewPrompt"
SHOW_REFERENCES: Final = "goalmap.showReferences"
SUGGEST: Final = "editor.action.triggerSuggest"


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client's capabilities; each is off where the client does not name it."""

    # What it shows.
    shows_markdown: bool = True
    shows_progress: bool = False
    shows_documents: bool = False
    shows_messages_with_buttons: bool = False
    shows_related_information: bool = False
    shows_symbol_tree: bool = False
    shows_definition_links: bool = False
    shows_link_tooltips: bool = False
    shows_text_document_content: bool = False
    inserts_snippets: bool = False
    prepares_renames: bool = False
    folding_range_limit: int | None = None
    # What it edits.
    takes_versioned_edits: bool = False
    creates_files: bool = False
    renames_files: bool = False
    deletes_files: bool = False
    # What it asks for by itself, and what it can be asked.
    pulls_diagnostics: bool = False
    refreshes_code_lenses: bool = False
    refreshes_inlay_hints: bool = False
    watches_files: bool = False
    has_configuration: bool = False
    # What it adds to the protocol: docs/editors.md.
    commands: frozenset[str] = frozenset()
    asks_for_strings: bool = False
    reloads_clean_files: bool = False
    shows_generated: bool = False
    follows_prompts: bool = False
    # The options that it was started with.
    marks_json_syntax: bool = False
    is_trusted: bool = True

    @classmethod
    def of(cls, params: InitializeParams) -> Client:
        """Return what the client that sent `params` can do. Whatever is malformed counts as absent."""
        sent = _Reader(params.get("capabilities"))
        options = _Reader(params.get("initializationOptions"))
        content_format = sent.strings("textDocument.hover.contentFormat")
        limit = sent.at("textDocument.foldingRange.rangeLimit")
        resource_operations = sent.strings("workspace.workspaceEdit.resourceOperations")
        versioned = sent.has("workspace.workspaceEdit.documentChanges")
        # Some clients cannot extend their capabilities, and name the preview among their options.
        commands = sent.strings("experimental.goalmap.commands") | (
            {PREVIEW} if options.at("previewCommand") is True else set()
        )
        return cls(
            shows_markdown=not content_format or "markdown" in content_format,
            shows_progress=sent.has("window.workDoneProgress"),
            shows_documents=sent.has("window.showDocument.support"),
            shows_messages_with_buttons=sent.at("window.showMessage") is not None,
            shows_related_information=sent.has("textDocument.publishDiagnostics.relatedInformation"),
            shows_symbol_tree=sent.has("textDocument.documentSymbol.hierarchicalDocumentSymbolSupport"),
            shows_definition_links=sent.has("textDocument.definition.linkSupport"),
            shows_link_tooltips=sent.has("textDocument.documentLink.tooltipSupport"),
            shows_text_document_content=sent.at("workspace.textDocumentContent") is not None,
            inserts_snippets=sent.has("textDocument.completion.completionItem.snippetSupport"),
            prepares_renames=sent.has("textDocument.rename.prepareSupport"),
            folding_range_limit=limit if type(limit) is int and limit >= 0 else None,
            takes_versioned_edits=versioned,
            creates_files="create" in resource_operations,
            renames_files=versioned and "rename" in resource_operations,
            deletes_files="delete" in resource_operations,
            # One that cannot be told to pull again, such as Neovim 0.11, pulls after edits only: what changes on disk
            # it would not show. It is pushed to.
            pulls_diagnostics=sent.at("textDocument.diagnostic") is not None
            and sent.has("workspace.diagnostics.refreshSupport"),
            refreshes_code_lenses=sent.has("workspace.codeLens.refreshSupport"),
            refreshes_inlay_hints=sent.has("workspace.inlayHint.refreshSupport"),
            watches_files=sent.has("workspace.didChangeWatchedFiles.dynamicRegistration"),
            has_configuration=sent.has("workspace.configuration"),
            commands=frozenset(commands),
            asks_for_strings="string" in sent.strings("experimental.interactiveResolve.inputTypes"),
            reloads_clean_files=sent.at("experimental.goalmap.reloadsCleanFiles") is True,
            shows_generated=sent.at("experimental.goalmap.showsGenerated") is True,
            follows_prompts=sent.at("experimental.goalmap.livePrompt") is True,
            marks_json_syntax=options.at("jsonService") is True,
            is_trusted=options.at("trusted") is not False,
        )


class _Reader:
    """Reads JSON that nobody has checked."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def at(self, path: str) -> Any:
        """Return what lies at a dotted path; None where it ends early."""
        return lookup(self._value, path)

    def has(self, path: str) -> bool:
        """Whether what lies at a dotted path counts as true."""
        return bool(self.at(path))

    def strings(self, path: str) -> set[str]:
        """Return the strings in the array at a dotted path."""
        value = self.at(path)
        return {one for one in value if isinstance(one, str)} if isinstance(value, list) else set()
