"""What a caller sees of a request: the tokens it takes at most, and the call once it was answered."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from llm_integration.tokens import estimated_tokens

__all__ = ["Completion", "estimate_tokens", "prompt_tokens"]

MESSAGE_TOKENS = 16
"""What the frame around system and user message takes, at most."""


class Completion(NamedTuple):  # a frozen dataclass of as many fields costs ten times as much to make
    """One answered call.

    ``cost_usd`` sums what all attempts of this call reported; None when the answering attempt reported
    nothing. ``api_ms`` is the time of the answering attempt, ``wait_ms`` everything before it: waiting
    for the rate limit, earlier attempts, pauses between them. ``model_requested`` is the first model of the
    plan, ``model_sent`` the one that the answering request named: a fallback, or with ``downgraded`` what
    the budget allowed. ``model_served``, ``provider`` and ``service_tier`` are as the server named them; of
    the prompt tokens ``cached_tokens`` were read from a cache and ``cache_write_tokens`` written to one, and
    ``reasoning_tokens`` of the completion's were thoughts. ``warnings`` are for the person who reads the
    result: what the server said that could not be true, where the answer was found, fields that the server
    refuses and was not sent, an error beside the reply.
    """

    text: str
    finish_reason: str | None = None
    model_requested: str | None = None
    model_served: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    attempts: int = 1
    api_ms: float = 0.0
    wait_ms: float = 0.0
    model_sent: str | None = None
    downgraded: bool = False
    response_format: str | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    service_tier: str | None = None
    warnings: tuple[str, ...] = ()


@lru_cache(maxsize=32)
def _system_tokens(system: str) -> int:
    return estimated_tokens(system)  # the same few texts again and again


def prompt_tokens(prompt: str, system: str | None) -> int:
    """The tokens of a prompt, at most, which both the rate limit and the budget put aside."""
    return estimated_tokens(prompt) + _system_tokens(system or "") + MESSAGE_TOKENS


def estimate_tokens(prompt: str, system: str | None, max_tokens: int) -> int:
    """The tokens of one request, at most: its prompt, and the longest reply allowed."""
    return prompt_tokens(prompt, system) + max_tokens
