"""Commands that run in the client: only those that it says it has are ever sent to it."""

from __future__ import annotations

from typing import Final

from goalmap.lsp.session import Session

# Show the prompt of {"uri": <the map's>, "goal": [path]}.
PREVIEW: Final = "goalmap.previewPrompt"
# Show (uri, position, locations), all as the protocol has them.
SHOW_REFERENCES: Final = "goalmap.showReferences"
# Offer completions at the cursor.
SUGGEST: Final = "editor.action.triggerSuggest"


def has_command(session: Session, command: str) -> bool:
    """Whether the client runs `command`: it lists it in the capability `experimental.goalmap.commands`.

    `initializationOptions.previewCommand` says the same of `PREVIEW`: some clients cannot extend their capabilities.
    """
    options = session.server.initialize_params.get("initializationOptions")
    if command == PREVIEW and isinstance(options, dict) and options.get("previewCommand") is True:
        return True
    known = session.server.client_capability("experimental.goalmap.commands")
    return isinstance(known, list) and command in known
