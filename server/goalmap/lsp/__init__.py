"""The language server: the only code that knows the Language Server Protocol."""

from goalmap.lsp import lean_start

lean_start.import_lsprotocol()  # before pygls does
