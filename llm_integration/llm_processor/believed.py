"""How much of a usage can be believed.

A server may count wrongly, or in another unit. What exceeds what the request could have taken counts as the
most it could have taken, and what was said stays as a warning.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import NamedTuple

from llm_integration.calls import Usage

__all__ = ["Doubts", "Most", "bounded"]

logger = logging.getLogger(__name__)

DEAREST_TOKEN = Decimal("0.002")
"""USD; more than three times what any model takes for one. Bounds a bill where no price is known."""
MOST_DOUBTED_MODELS = 100


class Most(NamedTuple):
    """What a request can have taken: a token for each byte sent, the longest reply, and the USD put aside
    for it (None or 0: its price is not known).
    """

    prompt_tokens: int
    completion_tokens: int
    usd: Decimal | None = None

    @property
    def cost(self) -> Decimal:
        """The most it can have cost; without a known price, what the dearest of all models would take."""
        return self.usd or (self.prompt_tokens + self.completion_tokens) * DEAREST_TOKEN


def bounded(usage: Usage, most: Most, *, answered: bool) -> Usage:
    """``usage`` within what the request can have taken; with a warning for what exceeded it.

    Of an ``answered`` request a count of 0 is no count, and a cost of 0 at a known price is unknown: what
    was put aside for it then stays. A request that failed may have cost nothing.
    """
    prompt, completion, total, cost, cached, cache_write, reasoning, _, _ = usage
    if _plain(usage, most, answered=answered):
        return usage
    warnings = list(usage.warnings)

    def at_most(name: str, value: int | None, limit: int) -> int | None:
        if value is None or value <= limit:
            return value
        warnings.append(f"the server reported {value} {name}, this request can have taken {limit}")
        return limit

    if answered and (prompt == 0 or completion == 0):
        warnings.append("the server reported 0 tokens for a request that was answered; they are unknown")
        prompt, completion, total = prompt or None, completion or None, None
    prompt = at_most("prompt tokens", prompt, most.prompt_tokens)
    completion = at_most("completion tokens", completion, most.completion_tokens)
    if prompt is not None and completion is not None:
        total = prompt + completion
    return usage._replace(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=at_most("tokens", total or None, most.prompt_tokens + most.completion_tokens),
        cost=_believed_cost(cost, most, warnings, answered=answered),
        cached_tokens=at_most("cached tokens", cached, most.prompt_tokens),
        cache_write_tokens=at_most("tokens written to a cache", cache_write, most.prompt_tokens),
        reasoning_tokens=at_most("reasoning tokens", reasoning, most.completion_tokens),
        warnings=tuple(warnings),
    )


def _plain(usage: Usage, most: Most, *, answered: bool) -> bool:
    """Whether nothing about it is odd, which is the usual case."""
    prompt, completion, total, cost, cached, cache_write, reasoning, _, _ = usage
    if answered and (prompt == 0 or completion == 0 or total == 0 or (cost == 0 and most.usd)):
        return False
    return (
        (prompt or 0) <= most.prompt_tokens
        and (completion or 0) <= most.completion_tokens
        and (total or 0) <= most.prompt_tokens + most.completion_tokens
        and max(cached or 0, cache_write or 0) <= most.prompt_tokens
        and (reasoning or 0) <= most.completion_tokens
        and (cost is None or cost <= most.cost)
    )


def _believed_cost(
    cost: Decimal | None, most: Most, warnings: list[str], *, answered: bool
) -> Decimal | None:
    if cost is None:
        return None
    if answered and cost == 0 and most.usd:
        warnings.append("the server reported a cost of 0 USD for a model that has a price; it is unknown")
        return None
    if cost <= most.cost:
        return cost
    warnings.append(
        f"the server reported a cost of {cost:f} USD, this request can have cost {most.cost.normalize():f}"
    )
    return most.cost


class Doubts:
    """Says once per model that a server's numbers were not believed; each result has its own warnings."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def about(self, model: str, usage: Usage) -> None:
        """Log the first of the ``usage``'s warnings, if this model's were not told before."""
        if not usage.warnings or model in self._told or len(self._told) >= MOST_DOUBTED_MODELS:
            return
        self._told.add(model)
        logger.warning("model %s: %s; further ones stand in the results", model, usage.warnings[0])
