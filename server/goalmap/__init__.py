"""Goalmap: the language server and command line for libraries of prompts."""
