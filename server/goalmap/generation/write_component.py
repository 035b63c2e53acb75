"""From a brief to an accepted component: ask the model, check its reply, and ask once more where that is rejected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from goalmap.generation import prompt
from goalmap.generation.errors import ModelError
from goalmap.generation.model import stream_completion
from goalmap.generation.reply import LOOPING, MAX_CHARS, Accepted, LoopWatch, Rejected, accept
from goalmap.generation.tiny_model import draft

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from goalmap.generation.local import LocalModel
    from goalmap.generation.model import Delta
    from goalmap.generation.model_settings import ModelSettings
    from goalmap.generation.prompt import Brief

__all__ = ["ReplyRejected", "write_component"]

TINY_MODEL_NOTE = "This is a draft by a tiny local model: read it before you use it."

_log = logging.getLogger(__name__)

# Leaves room for the reply in the context of the embedded model, also where the estimate is too low by half: for some
# scripts it is.
_LOCAL_BUDGET_TOKENS = 3500
_FIRST_SEED, _SECOND_SEED = 1, 2


class ReplyRejected(ModelError):
    """The model's reply is no component; neither is its second one, where that could help.

    `raw` is the last reply as it came; `code` says what was wrong with it. A reply that was cut off by its limit of
    tokens is of kind `closed`, like any text that is incomplete; the others are `refused`.
    """

    def __init__(self, rejected: Rejected, raw: str) -> None:
        super().__init__("closed" if rejected.code == "cut" else "refused", rejected.reason, rejected.next_step)
        self.code = rejected.code
        self.raw = raw


async def write_component(
    brief: Brief,
    settings: ModelSettings,
    *,
    on_chunk: Callable[[str], None],
    on_restart: Callable[[], None] | None = None,
    local: LocalModel | None,
) -> Accepted:
    """Have a model write the component of `brief`, and return its text as it is to be saved.

    The model is the endpoint of `settings`, or `local` where no endpoint is configured. `on_chunk` gets each piece as
    it arrives, raw: the accepted text may lack what was wrapped around it. `on_restart` is called before the model is
    asked again, when the pieces so far are void. Raises `ModelError` or its subclass `ReplyRejected`. Cancelling closes
    the connection at once.
    """
    if settings.is_configured:
        return await _write(brief, settings, on_chunk, on_restart, is_tiny=False, is_local=False)
    if local is None:
        raise ModelError(
            "not-configured",
            "No model is set up.",
            "Set OPENAI_API_KEY, or GOALMAP_MODEL_BASE_URL for another endpoint.",
        )
    is_tiny = local.weights().tiny
    async with local.running() as endpoint:
        try:
            return await _write(brief, endpoint, on_chunk, on_restart, is_tiny=is_tiny, is_local=True)
        except ModelError as error:
            if error.kind not in {"connection", "closed"} or isinstance(error, ReplyRejected):
                raise
    # Raised here, so that the error of the connection is not shown as its cause.
    raise ModelError(
        "local",
        "The embedded model ended while it was writing.",
        "Run it again. If that does not help, there may be too little memory for it: set OPENAI_API_KEY or "
        "GOALMAP_MODEL_BASE_URL.",
    )


async def _write(
    brief: Brief,
    settings: ModelSettings,
    on_chunk: Callable[[str], None],
    on_restart: Callable[[], None] | None,
    *,
    is_tiny: bool,
    is_local: bool,
) -> Accepted:
    budget_tokens = _LOCAL_BUDGET_TOKENS if is_local else prompt.DEFAULT_BUDGET_TOKENS
    messages = prompt.messages(brief, budget_tokens=budget_tokens)

    def ask(seed: int | None) -> AsyncGenerator[Delta, None]:
        if is_tiny:
            return draft(brief, settings, seed=seed or _FIRST_SEED)
        return stream_completion(messages, settings, seed=seed)

    # Endpoints choose a seed themselves, and some know no such parameter.
    verdict, raw = await _one_reply(brief, ask(_FIRST_SEED if is_local else None), on_chunk)
    if isinstance(verdict, Rejected) and verdict.worth_retrying:
        _log.info("a reply was rejected (%s); asking once more", verdict.code)
        if on_restart is not None:
            on_restart()
        try:
            verdict, raw = await _one_reply(brief, ask(_SECOND_SEED), on_chunk)
        except ModelError as error:
            # An endpoint that knows no seed rejects the second request: the first reply's verdict stands.
            if error.kind != "rejected":
                raise
    if isinstance(verdict, Rejected):
        raise ReplyRejected(verdict, raw)
    return replace(verdict, warnings=(TINY_MODEL_NOTE, *verdict.warnings)) if is_tiny else verdict


async def _one_reply(
    brief: Brief, pieces: AsyncGenerator[Delta, None], on_chunk: Callable[[str], None]
) -> tuple[Accepted | Rejected, str]:
    """Return the verdict on one reply, and the reply as it came."""
    watch = LoopWatch()
    raw = ""
    finish_reason: str | None = None
    is_looping = False
    try:
        # Closing the iterator closes the connection: nobody pays for the rest of a loop.
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                raw += piece.text
                finish_reason = piece.finish_reason
                if piece.text:
                    on_chunk(piece.text)
                is_looping = watch.feed(piece.text)
                if is_looping or len(raw) > MAX_CHARS:
                    break
    except ModelError as error:
        if error.kind != "empty":
            raise
        return Rejected("empty", error.message, error.next_step), raw
    finally:
        _log.debug("the model replied (%s): %r", finish_reason, raw)
    if is_looping:
        return LOOPING, raw
    shown = [text for _, text in (*brief.examples, *brief.siblings)]
    # A long text takes half a second, in which an editor wants its answers.
    return await asyncio.to_thread(accept, raw, finish_reason=finish_reason, examples=shown), raw
