"""How each budget stands, and what has to be said about it: once, not with every request."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from llm_integration.budget.decision import Allowed, Decision, Downgrade, Refuse, usd
from llm_integration.budget.rules import Rule, Spend
from llm_integration.budget.windows import Window
from llm_integration.llm_processor.guard import SpendRequest

__all__ = ["NEAR", "BudgetState", "Watch"]

NEAR = Decimal("0.8")
"""Part of a budget that is spent when a first warning is due."""

Standing = Literal["ok", "near", "reached"]


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How one budget stands in its present window. Limits that are not set are None.

    ``available_usd`` and ``available_tokens`` are what trading hours have set free so far. ``state`` is
    ``near`` from 80% spent on, ``reached`` while requests find no room.
    """

    name: str
    state: Standing
    spent_usd: Decimal
    reserved_usd: Decimal
    limit_usd: Decimal | None
    available_usd: Decimal | None
    spent_tokens: int
    reserved_tokens: int
    limit_tokens: int | None
    available_tokens: int | None
    on_exceeded: str
    window_start: datetime
    window_end: datetime


@dataclass(slots=True)
class _Standing:
    window: Window | None = None
    reached: bool = False
    said_near: bool = False
    said_reached: bool = False
    to_say_room: bool = False


class Watch:
    """Follows decisions and sums. ``logger`` is that of the ledger it serves."""

    def __init__(self, rules: Sequence[Rule], logger: logging.Logger) -> None:
        self._rules = rules
        self._logger = logger
        self._standings = [_Standing() for _ in rules]
        self._dearer_models: set[str] = set()
        self.overbilled = 0
        """Requests that were billed with more than their highest possible cost."""

    def sums(self, spends: Mapping[str, Spend], now: datetime) -> None:
        """These are the sums of the present windows: warn of budgets that are nearly spent."""
        for rule, standing in zip(self._rules, self._standings, strict=True):
            self._turn(rule, standing, now)
            spend = spends.get(rule.scope, Spend())
            if _near(rule, spend) and not standing.said_near:
                standing.said_near = True
                self._logger.warning("budget %r is nearly spent: %s", rule.label, _so_far(rule, spend))

    def decided(
        self, decision: Decision, request: SpendRequest, spends: Mapping[str, Spend], now: datetime
    ) -> None:
        """This was decided about ``request``."""
        full = decision.rules if isinstance(decision, (Refuse, Downgrade)) else ()
        over = () if isinstance(decision, Refuse) else decision.over
        for rule, standing in zip(self._rules, self._standings, strict=True):
            self._turn(rule, standing, now)
            if rule in full or rule in over:
                self._reach(rule, standing, decision, spends)
            elif isinstance(decision, Allowed) and rule.counts(request.model, request.symbols):
                self._room(rule, standing)

    def _turn(self, rule: Rule, standing: _Standing, now: datetime) -> None:
        """A new window begins with nothing said."""
        window = rule.window(now)
        if window != standing.window:
            standing.window = window
            standing.to_say_room = standing.to_say_room or standing.said_reached
            standing.reached = standing.said_near = standing.said_reached = False

    def _reach(
        self, rule: Rule, standing: _Standing, decision: Decision, spends: Mapping[str, Spend]
    ) -> None:
        standing.reached, standing.to_say_room = True, False
        if standing.said_reached:
            return
        standing.said_reached = True
        so_far = _so_far(rule, spends.get(rule.scope, Spend()))
        if isinstance(decision, Refuse):
            self._logger.warning("budget %r is used up, signals wait: %s", rule.label, decision.reason)
        elif isinstance(decision, Downgrade) and rule.binding:
            self._logger.warning(
                "budget %r is used up, asking %s instead: %s", rule.label, decision.model, so_far
            )
        else:
            self._logger.warning("budget %r is used up, requests go on: %s", rule.label, so_far)

    def _room(self, rule: Rule, standing: _Standing) -> None:
        standing.reached = False
        if standing.to_say_room:
            standing.to_say_room = False
            self._logger.warning("budget %r has room again", rule.label)

    def billed(self, model: str, reserved: Decimal | None, cost: Decimal | None) -> None:
        """A request was billed; more than was thought possible is said once per model."""
        if reserved is None or cost is None or cost <= reserved:
            return
        self.overbilled += 1
        if model not in self._dearer_models and len(self._dearer_models) < 100:
            self._dearer_models.add(model)
            self._logger.warning(
                "a request to %s was billed with %s USD, more than the %s USD it could cost by its price; "
                "budgets count what was billed",
                model[:100], usd(cost), usd(reserved),
            )  # fmt: skip

    def states(self, spends: Mapping[str, Spend], now: datetime) -> list[BudgetState]:
        """How the budgets stand, in their order."""
        found = []
        for rule, standing in zip(self._rules, self._standings, strict=True):
            self._turn(rule, standing, now)
            spend, window = spends.get(rule.scope, Spend()), rule.window(now)
            found.append(
                BudgetState(
                    name=rule.label,
                    state="reached" if standing.reached else "near" if _near(rule, spend) else "ok",
                    spent_usd=spend.spent_usd,
                    reserved_usd=spend.reserved_usd,
                    limit_usd=rule.budget.usd,
                    available_usd=rule.available_usd(now),
                    spent_tokens=spend.spent_tokens,
                    reserved_tokens=spend.reserved_tokens,
                    limit_tokens=rule.budget.tokens,
                    available_tokens=rule.available_tokens(now),
                    on_exceeded=rule.budget.on_exceeded,
                    window_start=window.start,
                    window_end=window.end,
                )
            )
        return found


def _near(rule: Rule, spend: Spend) -> bool:
    limit_usd, limit_tokens = rule.budget.usd, rule.budget.tokens
    return (limit_usd is not None and spend.spent_usd >= NEAR * limit_usd) or (
        limit_tokens is not None and spend.spent_tokens >= NEAR * limit_tokens
    )


def _so_far(rule: Rule, spend: Spend) -> str:
    parts = []
    if rule.budget.usd is not None:
        parts.append(
            f"{usd(spend.spent_usd)} of {usd(rule.budget.usd)} USD spent, {usd(spend.reserved_usd)} put aside"
        )
    if rule.budget.tokens is not None:
        parts.append(
            f"{spend.spent_tokens:,} of {rule.budget.tokens:,} tokens used, "
            f"{spend.reserved_tokens:,} put aside"
        )
    return ", ".join(parts)
