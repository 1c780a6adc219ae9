"""The budget around one request: money is set aside before it leaves and settled once it is over."""

from __future__ import annotations

from decimal import Decimal

from llm_integration.errors import BudgetExceededError
from llm_integration.llm_processor.bounds import Bounds
from llm_integration.llm_processor.call import Attempt, Call
from llm_integration.llm_processor.guard import Grant, SpendGuard, SpendRequest

__all__ = ["Spending"]

NOTHING = Decimal(0)


class Spending:
    """Speaks to the guard on behalf of requests."""

    def __init__(self, guard: SpendGuard) -> None:
        self._guard = guard
        self._bounds = Bounds()

    async def reserve(self, call: Call, model: str, *, timeout: float) -> Grant:
        """Leave to send the next request of ``call``, at its highest cost, within ``timeout`` seconds.

        Raises BudgetExceededError, also when the guard does not answer in time.
        """
        request = SpendRequest(model, call.prompt_tokens, call.max_tokens, call.symbols)
        try:
            return await self._bounds.within(timeout, self._guard.reserve(request))
        except TimeoutError:
            raise BudgetExceededError(f"the budget gave no answer within {timeout:.3g} s") from None

    def close(self) -> None:
        """No further request comes."""
        self._bounds.close()

    def settle(self, grant: Grant, attempt: Attempt) -> None:
        """What became of the request: never sent, refused unread (costs nothing), billed, or unknown."""
        usage = attempt.usage
        refused = attempt.refused and usage.cost is None
        self._guard.settle(
            grant,
            sent=attempt.sent,
            cost_usd=NOTHING if refused else usage.cost,
            prompt_tokens=0 if refused else usage.prompt_tokens,
            completion_tokens=0 if refused else usage.completion_tokens,
        )
