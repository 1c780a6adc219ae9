"""Asking for money before a request is sent, and saying afterwards what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

__all__ = ["Grant", "SpendGuard", "SpendRequest"]


@dataclass(frozen=True, slots=True)
class SpendRequest:
    """One request about to be sent, at its highest possible size.

    ``symbols`` says how many of the signals in it belong to each symbol.
    """

    model: str
    prompt_tokens: int
    max_tokens: int
    symbols: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one request: to ``model``, which may be cheaper than the one asked for.

    ``reserved_usd`` is None when the model's price is not known.
    """

    grant_id: str
    model: str
    reserved_usd: Decimal | None


class SpendGuard(Protocol):
    """Keeps spending within the budgets; every request passes it, retries included."""

    async def reserve(self, request: SpendRequest) -> Grant:
        """Put the highest possible cost of ``request`` aside. Raises BudgetExceededError without room."""
        ...

    def settle(
        self,
        grant: Grant,
        *,
        sent: bool,
        cost_usd: Decimal | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
    ) -> None:
        """Replace the reservation by what was billed; O(1), never waits.

        Not ``sent``: the reservation is given back. Sent with ``cost_usd`` None: the cost is unknown and
        the reservation stays.
        """
        ...
