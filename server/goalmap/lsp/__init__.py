"""The language server: the only code that knows the Language Server Protocol."""
