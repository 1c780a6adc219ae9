"""What a request may cost at most. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from llm_integration.llm_processor.guard import SpendRequest

__all__ = ["Cost", "Price", "PriceList", "highest_cost"]

SMALLEST_USD = Decimal("1e-12")
"""Amounts are rounded up to this; nobody bills less."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per prompt token, per completion token, and per request on top.

    ``cache_write`` is the price of a prompt token that is written to a cache, ``reasoning`` that of a token
    of thoughts; 0 where the list names none.
    """

    prompt: Decimal
    completion: Decimal
    request: Decimal = Decimal(0)
    cache_write: Decimal = Decimal(0)
    reasoning: Decimal = Decimal(0)

    @property
    def known(self) -> bool:
        """True when each part is an amount that somebody can ask for."""
        parts = (self.prompt, self.completion, self.request, self.cache_write, self.reasoning)
        return all(part.is_finite() and part >= 0 for part in parts)

    @property
    def highest_prompt(self) -> Decimal:
        """The most a token of the prompt may cost: any of them may be written to a cache."""
        return _together(self.prompt, self.cache_write)

    @property
    def highest_completion(self) -> Decimal:
        """The most a token of the reply may cost: any of them may be a thought."""
        return _together(self.completion, self.reasoning)


def _together(usual: Decimal, other: Decimal) -> Decimal:
    """A higher price takes the place of the usual one (Anthropic's cache writes), a lower one comes on top of
    it (Gemini's, which are the storage alone).
    """
    return other if other >= usual else usual + other


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
