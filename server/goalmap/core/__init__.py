"""Pure: text, maps, problems, prompts and edits. No protocol types, no I/O, no clocks."""
