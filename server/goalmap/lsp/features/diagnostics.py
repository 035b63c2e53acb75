"""`textDocument/diagnostic`: for clients that pull."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goalmap.lsp.diagnostics.publisher import Publisher
from goalmap.lsp.positions import to_path
from goalmap.lsp.raw_json import RawJson

if TYPE_CHECKING:
    from goalmap.lsp.types import (
        DocumentDiagnosticParams,
        RelatedFullDocumentDiagnosticReport,
        RelatedUnchangedDocumentDiagnosticReport,
    )


def pull(
    publisher: Publisher, params: DocumentDiagnosticParams
) -> RawJson | RelatedFullDocumentDiagnosticReport | RelatedUnchangedDocumentDiagnosticReport:
    """Return the diagnostics of a document, or that they are still those of `previousResultId`."""
    session = publisher.session
    uri = params["textDocument"]["uri"]
    library = session.library_at(uri)
    path = to_path(uri)
    if library is None or path is None:
        return {"kind": "full", "items": []}
    publisher.publish_changed()
    items = publisher.items_of(library, path)
    result_id = publisher.result_id(path, items)
    if params.get("previousResultId") == result_id:
        return {"kind": "unchanged", "resultId": result_id}
    return RawJson(b'{"kind":"full","resultId":"%b","items":%b}' % (result_id.encode(), items))
