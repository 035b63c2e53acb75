"""Generating components for an editor: its questions, jobs, buffer and progress."""
