"""Put the server together: which function answers which method, and what the client is told of that."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pygls.exceptions import JsonRpcInvalidParams

from goalmap import __version__
from goalmap.lsp import command_names, stdio
from goalmap.lsp.diagnostics.publisher import Publisher
from goalmap.lsp.endpoint import GoalmapServer
from goalmap.lsp.enums import CodeActionKind
from goalmap.lsp.features import (
    code_actions,
    code_lens,
    completion,
    definition,
    diagnostics,
    document_links,
    file_operations,
    folding,
    hover,
    inlay_hints,
    prompt_document,
    references,
    rename,
    selection_range,
    symbols,
    workspace,
)
from goalmap.lsp.generation import commands, form
from goalmap.lsp.generation.jobs import Jobs
from goalmap.lsp.session import Session

if TYPE_CHECKING:
    from goalmap.lsp.client import Client


def build() -> GoalmapServer:
    """Return the server with all its features, before it is connected."""
    server = GoalmapServer("goalmap", __version__)
    session = Session(server)
    server.hooks = session
    publisher = Publisher(session)
    lenses = code_lens.LensRefresh(session)
    prompts = prompt_document.PromptWatch(session)
    jobs = Jobs(session)

    session.initialized_listeners.append(partial(workspace.begin, session))
    session.change_listeners[:0] = [lenses.changed, prompts.changed]
    session.idle_listeners += [publisher.publish_changed, lenses.tell, prompts.tell]
    session.gone_listeners.append(publisher.forget)
    session.save_listeners.append(partial(commands.recover_soon, jobs))
    session.shutdown_listeners.append(jobs.end)

    requests: dict[str, Callable[[Any], object]] = {
        "textDocument/codeAction": partial(code_actions.code_actions, session),
        "textDocument/codeLens": partial(code_lens.code_lenses, session),
        "codeLens/resolve": partial(code_lens.resolve, session),
        "textDocument/completion": partial(completion.completion, session),
        "completionItem/resolve": partial(completion.resolve, session),
        "textDocument/definition": partial(definition.definition, session),
        "textDocument/diagnostic": partial(diagnostics.pull, publisher),
        "textDocument/documentHighlight": partial(references.document_highlights, session),
        "textDocument/documentLink": partial(document_links.document_links, session),
        "textDocument/documentSymbol": partial(symbols.document_symbols, session),
        "textDocument/foldingRange": partial(folding.folding_ranges, session),
        "textDocument/hover": partial(hover.hover, session),
        "textDocument/inlayHint": partial(inlay_hints.inlay_hints, session),
        "textDocument/prepareRename": partial(rename.prepare_rename, session),
        "textDocument/references": partial(references.references, session),
        "textDocument/rename": partial(rename.rename, session),
        "textDocument/selectionRange": partial(selection_range.selection_ranges, session),
        "workspace/symbol": partial(symbols.workspace_symbols, session),
        "workspace/textDocumentContent": partial(prompt_document.text_document_content, session, prompts),
        "workspace/willRenameFiles": partial(file_operations.will_rename, session),
        "command/resolve": partial(form.resolve, session),
        "goalmap/goalAt": partial(prompt_document.goal_at, session),
        "goalmap/model": partial(commands.model, jobs),
        "goalmap/prompt": partial(prompt_document.prompt, session),
    }
    notifications: dict[str, Callable[[Any], object]] = {
        "workspace/didChangeConfiguration": partial(workspace.configuration_changed, session),
        "workspace/didChangeWatchedFiles": partial(workspace.files_changed, session),
        "workspace/didChangeWorkspaceFolders": partial(workspace.folders_changed, session),
        "workspace/didCreateFiles": partial(file_operations.did_create_or_delete, session),
        "workspace/didDeleteFiles": partial(file_operations.did_create_or_delete, session),
        "workspace/didRenameFiles": partial(file_operations.did_rename, session),
        "goalmap/setApiKey": partial(commands.set_api_key, jobs),
    }
    of_commands: dict[str, Callable[[Any], object]] = {
        command_names.GENERATE: partial(commands.generate, jobs),
        command_names.GENERATE_ALL: partial(commands.generate_all, jobs),
        command_names.UNDO: partial(commands.undo, jobs),
        command_names.FINISH: partial(commands.finish, jobs),
        command_names.DISCARD: partial(commands.discard, jobs),
        command_names.REVIEW: partial(commands.review, jobs),
        command_names.CREATE_EMPTY: partial(commands.create_empty, jobs),
    }
    for method, handler in requests.items():
        server.request(method)(session.disk_access.answering(handler))
    for method, handler in notifications.items():
        server.notification(method)(handler)
    for name, handler in of_commands.items():
        server.command(name)(partial(_with_first, handler))
    server.command(command_names.CANCEL)(lambda arguments: commands.cancel(jobs, arguments[0] if arguments else None))
    server.advertise(lambda: capabilities(session.client))
    return server


def _with_first(command: Callable[[Any], object], arguments: list[Any]) -> object:
    if not arguments:
        raise JsonRpcInvalidParams("the first argument must be an object")
    return command(arguments[0])


def capabilities(client: Client) -> dict[str, object]:
    """Return what `client` is told that this server can do, beside what the endpoint itself does."""
    served: dict[str, object] = {
        "codeActionProvider": {
            "codeActionKinds": [CodeActionKind.QUICK_FIX, code_actions.FIX_ALL_KIND],
            "resolveProvider": False,
        },
        "codeLensProvider": {"resolveProvider": True},
        "completionProvider": {"triggerCharacters": completion.TRIGGER_CHARACTERS, "resolveProvider": True},
        "definitionProvider": True,
        "documentHighlightProvider": True,
        "documentLinkProvider": {"resolveProvider": False},
        "documentSymbolProvider": True,
        "foldingRangeProvider": True,
        "hoverProvider": True,
        "inlayHintProvider": True,
        "referencesProvider": True,
        "renameProvider": {"prepareProvider": True} if client.prepares_renames else True,
        "selectionRangeProvider": True,
        "workspaceSymbolProvider": True,
        "workspace": {
            "fileOperations": dict.fromkeys(
                ("willRename", "didRename", "didCreate", "didDelete"), file_operations.FILTERS
            ),
            "textDocumentContent": {"schemes": [prompt_document.SCHEME]},
        },
        "experimental": {"interactiveResolveProvider": {"kinds": ["command"]}},
    }
    if client.pulls_diagnostics:
        served["diagnosticProvider"] = {
            "interFileDependencies": True,
            "workspaceDiagnostics": False,
            "identifier": "goalmap",
        }
    return served


def serve(*, tcp: tuple[str, int] | None = None) -> int:
    """Serve one editor on stdin and stdout, or the first that connects to `tcp`; return the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # A large map is hundreds of thousands of small tuples that live as long as it does: looking through them for
    # garbage every few hundred allocations costs more than reading the map.
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    gc.enable()
    return build().serve(partial(stdio.accept_one, *tcp) if tcp else stdio.open_stdio)
