"""What a request may cost at most. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from llm_integration.calls import Price
from llm_integration.llm_processor.guard import SpendRequest

__all__ = ["Cost", "Price", "PriceList", "highest_cost"]

SMALLEST_USD = Decimal("1e-12")
"""Amounts are rounded up to this; nobody bills less."""


class PriceList(Protocol):
    """Knows what models cost."""

    def price(self, model: str) -> Price | None:
        """The price of the model with this id; None when it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request may cost at most; ``usd`` is None when the price is not known."""

    usd: Decimal | None
    tokens: int


def highest_cost(price: Price | None, request: SpendRequest) -> Cost:
    """All of the prompt, and the longest reply allowed, at the highest that ``price`` may come to."""
    tokens = request.prompt_tokens + request.max_tokens
    if price is None or not price.known:  # a price list may hold anything; OpenRouter's has -1 for "varies"
        return Cost(None, tokens)
    usd = (
        request.prompt_tokens * price.highest_prompt
        + request.max_tokens * price.highest_completion
        + price.request
    )
    return Cost(usd.quantize(SMALLEST_USD, ROUND_CEILING), tokens)
