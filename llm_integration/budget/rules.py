"""A budget made ready for use: which requests count in it, with how much, and how much is left. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction

from llm_integration.budget.prices import SMALLEST_USD, Cost
from llm_integration.budget.windows import Window, available_part, window_of
from llm_integration.config.budgets import Budget
from llm_integration.config.routes import time_span

__all__ = ["Rule", "Spend", "folded", "like_pattern", "matches", "rules_of"]

_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def folded(text: str) -> str:
    """``text`` with A to Z in lower case and the rest as it is: what PostgreSQL does under every locale."""
    return text.translate(_LOWER)


def matches(text: str, pattern: str) -> bool:
    """Whether folded ``text`` fits the folded ``pattern`` of ``*`` and ``?``.

    Takes time in proportion to the product of the lengths at worst, whatever the text is.
    """
    at = star = mark = 0
    seen_star = False
    place = 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, mark, seen_star = place, at, True
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            place, at = place + 1, at + 1
        elif seen_star:
            mark += 1
            place, at = star + 1, mark
        else:
            return False
    return pattern[place:].strip("*") == ""


def like_pattern(pattern: str) -> str:
    """``pattern`` as PostgreSQL's LIKE wants it."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


@dataclass(frozen=True, slots=True)
class Spend:
    """What was spent and what is put aside in one window."""

    spent_usd: Decimal = Decimal(0)
    reserved_usd: Decimal = Decimal(0)
    spent_tokens: int = 0
    reserved_tokens: int = 0

    def plus(self, other: Spend, sign: int = 1) -> Spend:
        """The sum, or with ``sign`` -1 the difference."""
        return Spend(
            self.spent_usd + sign * other.spent_usd,
            self.reserved_usd + sign * other.reserved_usd,
            self.spent_tokens + sign * other.spent_tokens,
            self.reserved_tokens + sign * other.reserved_tokens,
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One budget. ``scope`` names what it counts: budgets of the same scope share their sums."""

    budget: Budget
    zone: tzinfo
    model: str | None
    symbol: str | None

    @property
    def label(self) -> str:
        """The budget's name for messages."""
        return self.budget.label

    @property
    def scope(self) -> str:
        """Which requests and which windows; not how much."""
        return (
            f"{self.budget.per} {self.budget.timezone} model={self.model or '*'} symbol={self.symbol or '*'}"
        )

    @property
    def binding(self) -> bool:
        """Whether it keeps requests back; ``warn`` only speaks."""
        return self.budget.on_exceeded != "warn"

    def window(self, now: datetime) -> Window:
        """The calendar window that holds ``now``."""
        return window_of(self.budget.per, now, self.zone)

    def counts(self, model: str, symbols: Mapping[str, int]) -> bool:
        """Whether a request to ``model`` about ``symbols`` counts in it."""
        if self.model is not None and not matches(folded(model), self.model):
            return False
        return self.symbol is None or self._matching(symbols) > 0

    def share(self, cost: Cost, symbols: Mapping[str, int]) -> Cost:
        """The part of ``cost`` that its symbols bear, by the number of their signals, rounded up."""
        if self.symbol is None:
            return cost
        return Cost(
            None if cost.usd is None else self.share_usd(cost.usd, symbols),
            self.share_tokens(cost.tokens, symbols),
        )

    def share_usd(self, amount: Decimal, symbols: Mapping[str, int]) -> Decimal:
        """The part of an amount of dollars that its symbols bear."""
        if self.symbol is None:
            return amount
        units = int((amount / SMALLEST_USD).to_integral_value(ROUND_CEILING))
        return self._part(units, symbols) * SMALLEST_USD

    def share_tokens(self, tokens: int, symbols: Mapping[str, int]) -> int:
        """The part of a number of tokens that its symbols bear."""
        return tokens if self.symbol is None else self._part(tokens, symbols)

    def _part(self, units: int, symbols: Mapping[str, int]) -> int:
        whole = sum(symbols.values())
        return -(-units * self._matching(symbols) // whole) if whole else 0

    def _matching(self, symbols: Mapping[str, int]) -> int:
        pattern = self.symbol or "*"
        return sum(count for symbol, count in symbols.items() if matches(folded(symbol), pattern))

    def available_usd(self, now: datetime) -> Decimal | None:
        """How many dollars may be spent and put aside by ``now``; None without a bound."""
        if self.budget.usd is None:
            return None
        part = self._part_available(now)
        amount = self.budget.usd * part.numerator / part.denominator
        return amount if part == 1 else amount.quantize(SMALLEST_USD, ROUND_FLOOR)

    def available_tokens(self, now: datetime) -> int | None:
        """How many tokens may be spent and put aside by ``now``; None without a bound."""
        return None if self.budget.tokens is None else int(self.budget.tokens * self._part_available(now))

    def _part_available(self, now: datetime) -> Fraction:
        return available_part(now, self.hours, self.zone)

    @property
    def hours(self) -> tuple[time, time] | None:
        """The trading hours over which the budget becomes available."""
        return None if self.budget.trading_hours is None else time_span(self.budget.trading_hours)

    def has_room(self, spend: Spend, cost: Cost, now: datetime) -> bool:
        """Whether ``cost``, its own share, fits beside ``spend``. An unknown one fits no USD budget."""
        usd, tokens = self.available_usd(now), self.available_tokens(now)
        if usd is not None and (cost.usd is None or spend.spent_usd + spend.reserved_usd + cost.usd > usd):
            return False
        return tokens is None or spend.spent_tokens + spend.reserved_tokens + cost.tokens <= tokens


def rules_of(budgets: Iterable[Budget]) -> tuple[Rule, ...]:
    """The budgets made ready, in their order."""
    return tuple(
        Rule(
            budget,
            budget.zone,
            None if budget.model is None else folded(budget.model),
            None if budget.symbol is None else folded(budget.symbol),
        )
        for budget in budgets
    )
