"""Budgets in memory under a wall clock that is set, wrong for a moment, or put right again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.budget import Budget, BudgetExceededError, MemoryLedger
from llm_integration.budget.sums import MOST_CARRIED, steady_seconds
from tests.unit.budget_parts import NOON, Prices, WallClock, request

YEAR, DAY, HOUR, MINUTE = 365 * 86_400, 86_400, 3_600, 60
STEPS = [
    10 * YEAR, -10 * YEAR, YEAR, 31 * DAY, -31 * DAY, DAY, -DAY, 2 * HOUR, HOUR, -HOUR, 59 * MINUTE,
    30 * MINUTE, -30 * MINUTE, 5 * MINUTE, -5 * MINUTE,
]  # fmt: skip
LENGTHS = {"hour": HOUR, "day": DAY, "month": 31 * DAY}
PERIODS: Any = list(LENGTHS)


def ledger(clock: WallClock, *budgets: Budget) -> MemoryLedger:
    """A ledger with the prices of the tests."""
    return MemoryLedger(budgets, Prices(), clock, clock.steady)


def room(guard: MemoryLedger, model: str = "a/dear") -> bool:
    """Whether one more request was granted, which takes 0.04 USD, or a tenth of it of the cheap model."""
    try:
        asyncio.run(guard.reserve(request(model)))
    except BudgetExceededError:
        return False
    return True


def one_request(per: Any) -> Budget:
    """A budget with room for one request."""
    return Budget(per=per, usd=Decimal("0.05"), name="one")


@pytest.mark.parametrize("per", PERIODS)
@pytest.mark.parametrize("step", STEPS)
def test_a_wrong_moment_closes_nothing(per: Any, step: float) -> None:
    """The clock is read once ten years ahead, or a day behind: then everything is as it was before."""
    clock = WallClock(NOON + timedelta(minutes=30))
    guard = ledger(clock, one_request(per))
    clock.step(step)
    guard.state()
    clock.step(-step)
    assert room(guard)
    assert not room(guard)
    clock.move(LENGTHS[per])
    assert room(guard)


@pytest.mark.parametrize("per", PERIODS)
@pytest.mark.parametrize("step", STEPS)
def test_what_was_spent_in_a_wrong_moment_counts_and_is_forgotten_in_time(per: Any, step: float) -> None:
    """Not for ten years, and not with the next reading."""
    clock = WallClock(NOON + timedelta(minutes=30))
    guard = ledger(clock, one_request(per))
    guard.state()
    clock.step(step)
    assert room(guard)
    clock.step(-step)
    assert not room(guard)
    clock.move(2 * LENGTHS[per])
    assert room(guard)


@pytest.mark.parametrize("per", PERIODS)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_gives_no_budget_twice(per: Any, step: float) -> None:
    """What was spent counts until its window has really lasted its length, and no longer than two windows."""
    clock = WallClock(NOON.replace(day=1, hour=0, minute=0))
    guard = ledger(clock, one_request(per))
    clock.move(LENGTHS["hour"] / 2)
    assert room(guard)
    clock.step(step)
    assert not room(guard)
    clock.move(LENGTHS[per] - LENGTHS["hour"] / 2 - MINUTE)
    assert not room(guard)
    clock.move(LENGTHS[per] + 2 * MINUTE)
    assert room(guard)


@pytest.mark.parametrize("steps", [1, 3, 20, MOST_CARRIED + 20])
def test_many_steps_give_no_budget_twice_either(steps: int) -> None:
    """An hour on each minute is one budget in the hour, and memory does not grow with them."""
    clock = WallClock()
    guard = ledger(clock, Budget(per="hour", usd=Decimal("0.2")))
    granted = 0
    for _ in range(steps):
        granted += room(guard)
        clock.move(30 * MINUTE / steps)
        clock.step(HOUR)
    assert granted <= 5
    assert len(guard._sums._carried["hour UTC model=* symbol=*"]) <= MOST_CARRIED


def test_a_refusal_says_when_what_a_step_keeps_is_over() -> None:
    """Who waits for the end of the wall clock's month would wait for weeks."""
    clock = WallClock(NOON.replace(day=31, hour=23))
    guard = ledger(clock, one_request("month"))
    grant = asyncio.run(guard.reserve(request()))
    guard.settle(grant, sent=True, cost_usd=Decimal("0.04"))
    clock.step(2 * HOUR)
    with pytest.raises(BudgetExceededError) as refused:
        asyncio.run(guard.reserve(request()))
    assert refused.value.retry_after == HOUR
    clock.move(HOUR)
    assert room(guard)


def test_the_money_of_a_request_that_ends_after_a_step_is_given_back() -> None:
    """It is taken out of the window that it was put aside in."""
    clock = WallClock()
    guard = ledger(clock, one_request("hour"))
    grant = asyncio.run(guard.reserve(request()))
    clock.step(HOUR)
    assert not room(guard)
    guard.settle(grant, sent=True, cost_usd=Decimal("0.001"), prompt_tokens=1, completion_tokens=1)
    assert guard.state()[0].spent_usd == Decimal("0.001")
    assert room(guard)


def test_a_clock_that_stands_still_closes_no_budget_for_good() -> None:
    """After two hours of the steady clock the hour is a new one."""
    clock = WallClock(NOON + timedelta(minutes=30))
    guard = ledger(clock, one_request("hour"))
    assert room(guard)
    for _ in range(8):
        clock.move(10 * MINUTE)
        clock.step(-10 * MINUTE)
        assert not room(guard)
    clock.move(10 * MINUTE)
    clock.step(-10 * MINUTE)
    assert room(guard)


MOVES = st.tuples(st.sampled_from(["move", "step"]), st.sampled_from([s for s in STEPS if abs(s) <= DAY]))


@given(st.lists(MOVES | st.tuples(st.just("move"), st.integers(1, HOUR)), max_size=40))
def test_whatever_the_clock_does_an_hour_holds_no_more_than_two_budgets(moves: list[tuple[str, int]]) -> None:
    """Two, because an hour that is no calendar hour reaches into two; and there is always room in time."""
    clock = WallClock()
    guard = ledger(clock, one_request("hour"))
    granted: list[float] = []
    for kind, seconds in moves:
        if kind == "step":
            clock.step(seconds)
        else:
            clock.move(abs(seconds))
        if room(guard):
            granted.append(clock.steady())
    for at in granted:
        assert sum(at <= other < at + HOUR - MINUTE for other in granted) <= 2
    clock.move(2 * HOUR)
    assert room(guard)


def test_the_steady_clock_runs() -> None:
    """It never goes back."""
    times = [steady_seconds() for _ in range(100)]
    assert times == sorted(times)
