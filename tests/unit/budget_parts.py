"""What the budget tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

from hypothesis import strategies as st

from llm_integration.budget import Budget, BudgetState, Grant, Price, Rule, Spend, SpendRequest, rules_of
from llm_integration.llm_processor.guard import SpendGuard

ZERO = Decimal(0)
NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)
PRICES = {
    "a/dear": Price(Decimal("0.00001"), Decimal("0.00003")),
    "a/cheap": Price(Decimal("0.000001"), Decimal("0.000003")),
    "a/free": Price(Decimal(0), Decimal(0)),
}


class Prices:
    """A price list of three models, and none for all others."""

    def price(self, model: str) -> Price | None:
        """The price in dollars per token."""
        return PRICES.get(model)


class WallClock:
    """A clock that stands still until it is moved, and a steady one that is moved with it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now
        self.steady_seconds = 0.0

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self.now += timedelta(seconds=seconds)
        self.steady_seconds += seconds

    def step(self, seconds: float) -> None:
        """Set the clock: no time passes."""
        self.now += timedelta(seconds=seconds)

    def steady(self) -> float:
        """Seconds that have passed."""
        return self.steady_seconds


def request(
    model: str = "a/dear",
    prompt_tokens: int = 1_000,
    max_tokens: int = 1_000,
    symbols: Mapping[str, int] | None = None,
) -> SpendRequest:
    """A request; by default one that may cost 0.04 USD."""
    return SpendRequest(model, prompt_tokens, max_tokens, {"ES": 1} if symbols is None else symbols)


BUDGETS = (
    Budget(per="hour", usd=Decimal("0.2"), name="hourly"),
    Budget(per="day", usd=Decimal("0.5"), tokens=40_000, name="daily"),
    Budget(per="day", usd=Decimal("0.15"), symbol="ES*", name="futures"),
    Budget(
        per="day",
        usd=Decimal("0.1"),
        model="*/DEAR",
        on_exceeded="downgrade",
        downgrade_to="a/cheap",
        name="dear",
    ),
    Budget(per="month", tokens=30_000, symbol="NQ", model="a/*", name="nasdaq"),
    Budget(per="month", usd=Decimal("0.01"), on_exceeded="warn", name="a word"),
)
"""Budgets of every kind, small enough to be reached by a few requests."""

SYMBOLS = st.dictionaries(
    st.sampled_from(["ESZ6", "es", "NQ", "EUR/USD", "x%_\\"]), st.integers(1, 5), min_size=1
)
REQUESTS = st.builds(
    SpendRequest,
    model=st.sampled_from(["a/dear", "a/cheap", "a/free"]),
    prompt_tokens=st.integers(0, 5_000),
    max_tokens=st.integers(1, 4_000),
    symbols=SYMBOLS,
)


@dataclass(frozen=True)
class Bill:
    """How a request ends. ``part`` is the billed part of the highest cost, None when nobody says it."""

    sent: bool
    part: Fraction | None
    tokens_known: bool


BILLS = st.builds(
    Bill, st.booleans(), st.none() | st.fractions(0, 1, max_denominator=7), st.booleans()
) | st.just(Bill(True, None, False))


@dataclass
class _Entry:
    request: SpendRequest
    grant: Grant
    made: datetime
    bill: Bill | None = None


class Oracle:
    """What the sums must be, worked out anew each time from everything that happened."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []

    def granted(self, request: SpendRequest, grant: Grant, made: datetime) -> None:
        """This was granted."""
        self.entries.append(_Entry(request, grant, made))

    @property
    def open(self) -> list[_Entry]:
        """Requests without an end."""
        return [entry for entry in self.entries if entry.bill is None]

    def settle(self, ledger: SpendGuard, entry: _Entry, bill: Bill) -> None:
        """End a request, here and in the ledger."""
        entry.bill = bill
        ledger.settle(
            entry.grant,
            sent=bill.sent,
            cost_usd=_billed(entry),
            prompt_tokens=entry.request.prompt_tokens if bill.tokens_known else None,
            completion_tokens=1 if bill.tokens_known else None,
        )

    def totals(self, budget: Budget, now: datetime) -> tuple[Decimal, Decimal, int, int]:
        """Spent and reserved dollars, spent and reserved tokens of the present window."""
        (rule,) = rules_of([budget])
        window = rule.window(now)
        sums = Spend()
        for entry in self.entries:
            if entry.made in window and rule.counts(entry.grant.model, entry.request.symbols):
                sums = sums.plus(Spend(*_amounts(entry, rule)))
        return sums.spent_usd, sums.reserved_usd, sums.spent_tokens, sums.reserved_tokens


def _billed(entry: _Entry) -> Decimal | None:
    bill, most = entry.bill, entry.grant.reserved_usd
    if bill is None or not bill.sent or bill.part is None or most is None:
        return None
    return (most * bill.part.numerator / bill.part.denominator).quantize(Decimal("1e-12"), ROUND_FLOOR)


def _amounts(entry: _Entry, rule: Rule) -> tuple[Decimal, Decimal, int, int]:
    bill, symbols = entry.bill, entry.request.symbols
    if bill is not None and not bill.sent:
        return Decimal(0), Decimal(0), 0, 0
    cost, known = _billed(entry), bill is not None and bill.tokens_known
    reserved_usd = entry.grant.reserved_usd if cost is None else None
    most = entry.request.prompt_tokens + entry.request.max_tokens
    return (
        rule.share_usd(cost or Decimal(0), symbols),
        rule.share_usd(reserved_usd or Decimal(0), symbols),
        rule.share_tokens(entry.request.prompt_tokens + 1 if known else 0, symbols),
        rule.share_tokens(0 if known else most, symbols),
    )


def check(states: Sequence[BudgetState], oracle: Oracle, now: datetime) -> None:
    """The sums are what they must be, and no budget that binds is passed."""
    for budget, state in zip(BUDGETS, states, strict=True):
        sums = (state.spent_usd, state.reserved_usd, state.spent_tokens, state.reserved_tokens)
        assert sums == oracle.totals(budget, now), budget.label
        if budget.on_exceeded != "warn":
            assert budget.usd is None or state.spent_usd + state.reserved_usd <= budget.usd
            assert budget.tokens is None or state.spent_tokens + state.reserved_tokens <= budget.tokens
