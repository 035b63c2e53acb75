"""Goalmap: the language server and command line for libraries of prompts."""

__version__ = "0.1.0"
