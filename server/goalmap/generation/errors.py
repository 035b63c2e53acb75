"""What a generation raises when no model gives a reply that can be used."""

from __future__ import annotations

from typing import Literal

FailureKind = Literal[
    "not-configured",
    "bad-settings",
    "connection",
    "tls",
    "unauthorized",
    "not-found",
    "rate-limited",
    "rejected",
    "redirected",
    "server-error",
    "timeout",
    "closed",
    "garbage",
    "empty",
    "refused",
    "local",
]


class ModelError(Exception):
    """The model gave no reply that could be used; nothing was committed.

    `kind` is for programs, `message` and `next_step` are sentences for people. `retry_after_s` is how long the
    endpoint asked to wait, if it said so. `retryable` is true where nothing had arrived yet and the same request
    may succeed by itself.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        next_step: str,
        *,
        retry_after_s: float | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, next_step)
        self.kind = kind
        self.message = message
        self.next_step = next_step
        self.retry_after_s = retry_after_s
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}"
