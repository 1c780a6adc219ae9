"""The budgets of a process without a database: the same rules, over what this process has sent."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import cast

from llm_integration.budget.decision import Refuse, decide
from llm_integration.budget.prices import Cost, PriceList
from llm_integration.budget.rules import Rule, Spend, rules_of
from llm_integration.budget.sums import Bucket, RunningSums, steady_seconds
from llm_integration.budget.watch import BudgetState, Watch
from llm_integration.config.budgets import Budget
from llm_integration.errors import BudgetExceededError
from llm_integration.llm_processor.guard import Grant, SpendRequest

__all__ = ["MemoryLedger", "known_cost", "known_tokens"]

logger = logging.getLogger(__name__)

LARGEST_USD = Decimal("1e9")
FINEST_USD = Decimal("1e-15")
SHORTEST_WAIT_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class _Open:
    """A request on its way, and where it counts."""

    request: SpendRequest
    model: str
    cost: Cost
    counted: tuple[tuple[Rule, Bucket], ...]


class MemoryLedger:
    """A SpendGuard without a database. Not for several threads at once.

    ``clock`` gives the wall clock as an aware datetime; ``steady`` counts seconds whatever is done to it, so
    that a step of the wall clock neither gives a budget twice nor closes it for good. What was spent is
    forgotten with the process: a restart begins every window anew.
    """

    def __init__(
        self,
        budgets: Iterable[Budget] = (),
        prices: PriceList | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = steady_seconds,
    ) -> None:
        self._rules = rules_of(budgets)
        self._prices = prices or NoPrices()
        self._sums = RunningSums(self._rules, clock, steady)
        self._open: dict[str, _Open] = {}
        self._watch = Watch(self._rules, logger)

    async def reserve(self, request: SpendRequest) -> Grant:
        """Put the highest possible cost aside. Raises BudgetExceededError when a budget has no room."""
        now = self._sums.now()
        spends = self._sums.spends()
        decision = decide(self._rules, spends, request, now, self._prices)
        self._watch.decided(decision, request, spends, now)
        if isinstance(decision, Refuse):
            raise BudgetExceededError(decision.reason, retry_after=self._wait(decision))
        grant = Grant(str(uuid.uuid4()), decision.model, decision.cost.usd)
        self._open[grant.grant_id] = self._count(request, decision.model, decision.cost)
        return grant

    def _wait(self, refusal: Refuse) -> float | None:
        """What a step of the clock keeps may make room before the window ends."""
        renewed = self._sums.renewed_in(refusal.rules)
        if refusal.retry_after is None or renewed is None:
            return refusal.retry_after
        return min(refusal.retry_after, max(SHORTEST_WAIT_SECONDS, renewed))

    def _count(self, request: SpendRequest, model: str, cost: Cost) -> _Open:
        counted = {
            rule.scope: (rule, self._sums.present(rule))
            for rule in self._rules
            if rule.counts(model, request.symbols)
        }
        entry = _Open(request, model, cost, tuple(counted.values()))
        self._add(entry, reserved(entry.cost, None, None))
        return entry

    def settle(
        self,
        grant: Grant,
        *,
        sent: bool,
        cost_usd: Decimal | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
    ) -> None:
        """Replace the reservation by what was billed. Saying it twice changes nothing."""
        entry = self._open.pop(grant.grant_id, None)
        if entry is None:
            return
        self._add(entry, reserved(entry.cost, None, None), sign=-1)
        if not sent:
            return
        billed, tokens = known_cost(cost_usd), known_tokens(prompt_tokens, completion_tokens)
        self._add(entry, reserved(entry.cost, billed, tokens))
        self._watch.billed(entry.model, entry.cost.usd, billed)
        now = self._sums.now()
        self._watch.sums(self._sums.spends(), now)

    def state(self) -> list[BudgetState]:
        """How the budgets stand, in the order of the settings."""
        now = self._sums.now()
        return self._watch.states(self._sums.spends(), now)

    def _add(self, entry: _Open, amounts: Spend, sign: int = 1) -> None:
        for rule, bucket in entry.counted:  # which may be over by now, and then concerns nobody any more
            bucket.spend = bucket.spend.plus(_share(rule, amounts, entry.request), sign)


class NoPrices:
    """A price list that knows no model."""

    def price(self, model: str) -> None:
        """None: not known."""


def reserved(cost: Cost, billed: Decimal | None, tokens: int | None) -> Spend:
    """What a request counts as: known amounts are spent, in place of what was put aside for them."""
    return Spend(
        spent_usd=billed or Decimal(0),
        reserved_usd=Decimal(0) if billed is not None else cost.usd or Decimal(0),
        spent_tokens=tokens or 0,
        reserved_tokens=cost.tokens if tokens is None else 0,
    )


def _share(rule: Rule, amounts: Spend, request: SpendRequest) -> Spend:
    return Spend(
        rule.share_usd(amounts.spent_usd, request.symbols),
        rule.share_usd(amounts.reserved_usd, request.symbols),
        rule.share_tokens(amounts.spent_tokens, request.symbols),
        rule.share_tokens(amounts.reserved_tokens, request.symbols),
    )


def known_cost(cost: Decimal | None) -> Decimal | None:
    """A bill that can be true, finite and not negative; anything else is unknown."""
    if cost is None or not cost.is_finite() or not 0 <= cost < LARGEST_USD:
        return None
    return cost if cast("int", cost.as_tuple().exponent) >= -15 else cost.quantize(FINEST_USD, ROUND_CEILING)


def known_tokens(prompt: int | None, completion: int | None) -> int | None:
    """Tokens of both kinds together; unknown unless both are known."""
    if prompt is None or completion is None or prompt < 0 or completion < 0:
        return None
    return prompt + completion
