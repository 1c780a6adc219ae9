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
from llm_integration.budget.watch import BudgetState, Watch
from llm_integration.config.budgets import Budget
from llm_integration.errors import BudgetExceededError
from llm_integration.llm_processor.guard import Grant, SpendRequest

__all__ = ["MemoryLedger", "known_cost", "known_tokens"]

logger = logging.getLogger(__name__)

LARGEST_USD = Decimal("1e9")
FINEST_USD = Decimal("1e-15")


@dataclass(frozen=True, slots=True)
class _Open:
    """A request on its way, and the windows it counts in: scope and beginning."""

    request: SpendRequest
    model: str
    cost: Cost
    counted: tuple[tuple[Rule, datetime], ...]


class MemoryLedger:
    """A SpendGuard without a database. Not for several threads at once.

    ``clock`` gives the wall clock as an aware datetime. What was spent is forgotten with the process: a
    restart begins every window anew.
    """

    def __init__(
        self,
        budgets: Iterable[Budget] = (),
        prices: PriceList | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._rules = rules_of(budgets)
        self._prices = prices or NoPrices()
        self._clock = clock
        self._latest = clock()
        self._sums: dict[str, tuple[datetime, Spend]] = {}
        self._open: dict[str, _Open] = {}
        self._watch = Watch(self._rules, logger)

    async def reserve(self, request: SpendRequest) -> Grant:
        """Put the highest possible cost aside. Raises BudgetExceededError when a budget has no room."""
        now = self._now()
        spends = self._spends(now)
        decision = decide(self._rules, spends, request, now, self._prices)
        self._watch.decided(decision, request, spends, now)
        if isinstance(decision, Refuse):
            raise BudgetExceededError(decision.reason, retry_after=decision.retry_after)
        grant = Grant(str(uuid.uuid4()), decision.model, decision.cost.usd)
        self._open[grant.grant_id] = self._count(request, decision.model, decision.cost, now)
        return grant

    def _count(self, request: SpendRequest, model: str, cost: Cost, now: datetime) -> _Open:
        counted = {
            rule.scope: (rule, rule.window(now).start)
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
        now = self._now()
        self._watch.sums(self._spends(now), now)

    def state(self) -> list[BudgetState]:
        """How the budgets stand, in the order of the settings."""
        now = self._now()
        return self._watch.states(self._spends(now), now)

    def _add(self, entry: _Open, amounts: Spend, sign: int = 1) -> None:
        for rule, start in entry.counted:
            begun, sums = self._sums.get(rule.scope, (start, Spend()))
            if begun < start:
                begun, sums = start, Spend()
            if begun == start:  # what belongs to a window that is over concerns nobody any more
                share = _share(rule, amounts, entry.request)
                self._sums[rule.scope] = begun, sums.plus(share, sign)

    def _spends(self, now: datetime) -> dict[str, Spend]:
        spends = {}
        for rule in self._rules:
            begun, sums = self._sums.get(rule.scope, (now, Spend()))
            if begun == rule.window(now).start:
                spends[rule.scope] = sums
        return spends

    def _now(self) -> datetime:
        """A wall clock that is put back must not open a window again that was used up."""
        self._latest = max(self._latest, self._clock())
        return self._latest


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
