"""Whether a request may be sent, to which model, and if not, when to ask again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from llm_integration.budget.prices import Cost, PriceList, highest_cost
from llm_integration.budget.rules import Rule, Spend
from llm_integration.budget.windows import next_time_available
from llm_integration.llm_processor.guard import SpendRequest

__all__ = ["SOON_SECONDS", "Allowed", "Decision", "Downgrade", "Refuse", "decide"]

SOON_SECONDS = 15.0
"""When to ask again if only requests that are still on their way stand in the way."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Send it as it is. ``over`` are the budgets that only warn and have no room for it."""

    model: str
    cost: Cost
    over: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Downgrade:
    """Send it to ``model`` instead, for ``rules`` have no room for the one asked for."""

    model: str
    cost: Cost
    rules: tuple[Rule, ...]
    over: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not send it; ``retry_after`` seconds from now there may be room. None: waiting alone brings none."""

    rules: tuple[Rule, ...]
    reason: str
    retry_after: float | None


Decision = Allowed | Downgrade | Refuse


def decide(
    rules: Sequence[Rule],
    spends: Mapping[str, Spend],
    request: SpendRequest,
    now: datetime,
    prices: PriceList,
) -> Decision:
    """What to do with ``request``. ``spends`` holds the present window of every scope; missing is nothing.

    A budget without room that downgrades sends the request to its cheaper model, which must fit into every
    budget it counts in, those that stop included. When no cheaper model is left to try, the request is
    refused. A model without a known price has no room in a budget in USD.
    """
    model, passed, tried = request.model, list[Rule](), set[str]()
    while True:
        tried.add(model)
        case = _Case(spends, request, model, highest_cost(prices.price(model), request), now)
        full = [rule for rule in rules if case.full(rule)]
        binding = [rule for rule in full if rule.binding]
        over = tuple(rule for rule in full if not rule.binding)
        if not binding:
            return (
                Downgrade(model, case.cost, tuple(passed), over)
                if passed
                else Allowed(model, case.cost, over)
            )
        cheaper = [rule for rule in binding if rule.budget.downgrade_to not in (None, *tried)]
        if not cheaper:
            return case.refusal(binding)
        passed += [rule for rule in cheaper if rule not in passed]
        model = cheaper[0].budget.downgrade_to or model


@dataclass(frozen=True, slots=True)
class _Case:
    """One model tried for a request."""

    spends: Mapping[str, Spend]
    request: SpendRequest
    model: str
    cost: Cost
    now: datetime

    def full(self, rule: Rule) -> bool:
        if not rule.counts(self.model, self.request.symbols):
            return False
        return not rule.has_room(self.spend(rule), self.share(rule), self.now)

    def spend(self, rule: Rule) -> Spend:
        return self.spends.get(rule.scope, Spend())

    def share(self, rule: Rule) -> Cost:
        return rule.share(self.cost, self.request.symbols)

    def refusal(self, stops: Sequence[Rule]) -> Refuse:
        waits = [_wait(rule, self.spend(rule), self.share(rule), self.now) for rule in stops]
        known = [wait for wait in waits if wait is not None]
        worst = stops[0] if len(known) == len(waits) else stops[waits.index(None)]
        reason = _reason(worst, self.spend(worst), self.share(worst), self.model)
        return Refuse(tuple(stops), reason, max(known) if len(known) == len(waits) else None)


def _wait(rule: Rule, spend: Spend, cost: Cost, now: datetime) -> float | None:
    """Seconds until ``cost`` may fit; None if it never does by itself."""
    budget = rule.budget
    if budget.usd is not None and (cost.usd is None or cost.usd > budget.usd):
        return None
    if budget.tokens is not None and cost.tokens > budget.tokens:
        return None
    window_ends = (rule.window(now).end - now).total_seconds()
    settled = Spend(spend.spent_usd, Decimal(0), spend.spent_tokens, 0)
    if rule.has_room(settled, cost, now):
        return min(SOON_SECONDS, window_ends)
    needed = max(
        Fraction(spend.spent_usd + (cost.usd or 0)) / Fraction(budget.usd) if budget.usd else Fraction(0),
        Fraction(spend.spent_tokens + cost.tokens, budget.tokens) if budget.tokens else Fraction(0),
    )
    paced = next_time_available(needed, now, rule.hours, rule.zone)
    return window_ends if paced is None else max(0.001, (paced - now).total_seconds())


def _reason(rule: Rule, spend: Spend, cost: Cost, model: str) -> str:
    budget = rule.budget
    if budget.usd is not None and cost.usd is None:
        return (
            f"the price of {model} is not known, so it fits no budget in USD ({rule.label!r}); "
            'give that budget tokens in place of usd, or on_exceeded "warn"'
        )
    parts = []
    if budget.usd is not None and cost.usd is not None:
        parts.append(
            f"{usd(budget.usd)} USD, {usd(spend.spent_usd)} spent, {usd(spend.reserved_usd)} put aside, "
            f"this request may cost {usd(cost.usd)}"
        )
    if budget.tokens is not None:
        parts.append(
            f"{budget.tokens:,} tokens, {spend.spent_tokens:,} used, {spend.reserved_tokens:,} put aside, "
            f"this request may take {cost.tokens:,}"
        )
    paced = f" available over {budget.trading_hours}" if budget.trading_hours else ""
    return f"budget {rule.label!r}{paced} has no room: {'; '.join(parts)}"


def usd(amount: Decimal) -> str:
    """An amount for messages, to a hundredth of a cent where that says it all."""
    rounded = amount.quantize(Decimal("0.0001"))
    return f"{(rounded if rounded == amount or amount >= 1 else amount).normalize():f}"
