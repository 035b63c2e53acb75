"""The key that an editor's secret store hands over, bound to one origin from the moment it comes.

Settings may come from a workspace. They can name another address at any time, and must not take the key along to it.
"""

from __future__ import annotations

import os

from goalmap.lsp.session import Session
from goalmap.settings import DEFAULTS, Settings, StoredKey


class KeyKeeper:
    """Keeps the key in memory. `key.origin` is None, and the key is sent nowhere, until it is known where it belongs.

    A client that names no origin means the address that is in force. Before the settings have come that is not known:
    the key is bound when they have.
    """

    def __init__(self, session: Session) -> None:
        self.key: StoredKey | None = None
        self._session = session
        self._settings_came = False
        session.settings_listeners.append(self._settle)

    def take(self, key: str | None, address: str | None) -> None:
        """Keep `key` for the origin of `address`: see `set_api_key`. No key forgets the one there was."""
        if not key:
            self.key = None
        elif address is not None:
            self.key = _bound(key, address or _in_force(DEFAULTS))
        elif self._settings_came:
            self.key = _bound(key, _in_force(self._session.settings))
        else:
            self.key = StoredKey(key)

    def _settle(self) -> None:
        """Know the settings: called when they have been fetched, or were sent, for the first time and ever after."""
        self._settings_came = True
        if self.key is not None and self.key.origin is None:
            self.key = _bound(self.key.key, _in_force(self._session.settings))


def _bound(key: str, address: str) -> StoredKey:
    from goalmap.generation.model_settings import origin  # late: not needed for the first diagnostics

    return StoredKey(key, origin(address) or "an address that is none")


def _in_force(settings: Settings) -> str:
    from goalmap.generation.model_settings import DEFAULT_BASE_URL

    return settings.model_settings(os.environ).base_url or DEFAULT_BASE_URL
