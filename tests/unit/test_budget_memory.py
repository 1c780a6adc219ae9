"""The ledger in memory keeps every budget, whatever happens to the requests, and says what changes once."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llm_integration.budget import Budget, BudgetExceededError, MemoryLedger, SpendRequest
from tests.unit.budget_parts import (
    BILLS,
    BUDGETS,
    NOON,
    REQUESTS,
    ZERO,
    Bill,
    Oracle,
    Prices,
    WallClock,
    check,
    request,
)


def ledger(*budgets: Budget, clock: WallClock | None = None) -> MemoryLedger:
    """A ledger with the prices of the tests."""
    clock = clock or WallClock()
    return MemoryLedger(budgets, Prices(), clock, clock.steady)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was announced so far, and forget it."""
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    caplog.clear()
    return found


async def refused(guard: MemoryLedger, *requests: SpendRequest) -> list[bool]:
    """For each request whether it was refused."""
    found = []
    for asked in requests:
        try:
            await guard.reserve(asked)
            found.append(False)
        except BudgetExceededError:
            found.append(True)
    return found


class Machine(RuleBasedStateMachine):
    """Requests come, end in every way or not at all, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = WallClock()
        self.ledger = MemoryLedger(BUDGETS, Prices(), self.clock, self.clock.steady)
        self.oracle = Oracle()
        self.latest = NOON

    @rule(asked=REQUESTS)
    def reserve(self, asked: SpendRequest) -> None:
        try:
            grant = asyncio.run(self.ledger.reserve(asked))
        except BudgetExceededError:
            return
        self.oracle.granted(asked, grant, self.latest)

    @rule(number=st.integers(0, 50), bill=BILLS)
    def settle(self, number: int, bill: Bill) -> None:
        if self.oracle.open:
            self.oracle.settle(self.ledger, self.oracle.open[number % len(self.oracle.open)], bill)

    @rule(seconds=st.sampled_from([1, 600, 3_600, 30_000, 86_400, 31 * 86_400]))
    def pass_time(self, seconds: int) -> None:
        self.clock.move(seconds)
        self.latest = self.clock()

    @invariant()
    def no_budget_is_passed_and_no_cent_is_lost(self) -> None:
        check(self.ledger.state(), self.oracle, self.latest)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


async def test_what_a_request_may_cost_is_put_aside_and_then_replaced_by_the_bill() -> None:
    """Four hundredths are reserved, one is billed, the rest is free again."""
    guard = ledger(Budget(per="day", usd=1))
    grant = await guard.reserve(request())
    assert grant.reserved_usd == Decimal("0.04")
    (state,) = guard.state()
    assert (state.spent_usd, state.reserved_usd, state.reserved_tokens) == (ZERO, Decimal("0.04"), 2_000)
    guard.settle(grant, sent=True, cost_usd=Decimal("0.01"), prompt_tokens=900, completion_tokens=50)
    (state,) = guard.state()
    assert (state.spent_usd, state.reserved_usd) == (Decimal("0.01"), ZERO)
    assert (state.spent_tokens, state.reserved_tokens) == (950, 0)


@pytest.mark.parametrize("cost", [None, Decimal("nan"), Decimal(-1), Decimal("inf")])
async def test_a_cost_that_nobody_knows_keeps_its_reservation(cost: Decimal | None) -> None:
    """Unknown is not nothing: what it may have cost at most stays put aside; known tokens are counted."""
    guard = ledger(Budget(per="day", usd=Decimal("0.05")))
    guard.settle(
        await guard.reserve(request()), sent=True, cost_usd=cost, prompt_tokens=10, completion_tokens=1
    )
    (state,) = guard.state()
    assert (state.spent_usd, state.reserved_usd, state.spent_tokens) == (ZERO, Decimal("0.04"), 11)
    with pytest.raises(BudgetExceededError):
        await guard.reserve(request())


async def test_a_request_that_was_not_sent_gives_everything_back() -> None:
    """Settling it again, or a grant of somebody else, changes nothing."""
    guard = ledger(Budget(per="day", usd=Decimal("0.05")))
    grant = await guard.reserve(request())
    guard.settle(grant, sent=False)
    guard.settle(grant, sent=True, cost_usd=Decimal(3))
    (state,) = guard.state()
    assert (state.spent_usd, state.reserved_usd, state.reserved_tokens) == (ZERO, ZERO, 0)
    await guard.reserve(request())


async def test_more_than_the_highest_cost_is_counted_said_and_stops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The bill is the truth, also when it passes the budget; it is said once per model."""
    guard = ledger(Budget(per="day", usd=Decimal("0.1")))
    for _ in range(2):
        grant = await guard.reserve(request())
        guard.settle(grant, sent=True, cost_usd=Decimal("0.05"), prompt_tokens=1, completion_tokens=1)
    assert guard.state()[0].spent_usd == Decimal("0.1")
    assert [text for text in warnings(caplog) if "billed with 0.05 USD, more than" in text][1:] == []
    assert await refused(guard, request()) == [True]


async def test_a_new_window_begins_with_nothing_spent() -> None:
    """What is settled after midnight belongs to the day in which it was asked for."""
    clock = WallClock()
    guard = ledger(Budget(per="day", usd=Decimal("0.05")), clock=clock)
    late = await guard.reserve(request())
    clock.move(12 * 3_600)
    await guard.reserve(request())
    guard.settle(late, sent=True, cost_usd=Decimal("0.04"))
    assert guard.state()[0].spent_usd == 0


async def test_the_clock_put_back_opens_no_window_again() -> None:
    """Yesterday's budget is not there a second time."""
    clock = WallClock()
    guard = ledger(Budget(per="day", usd=Decimal("0.05")), clock=clock)
    await guard.reserve(request())
    clock.step(-86_400)
    assert await refused(guard, request()) == [True]


async def test_a_downgrade_grants_the_cheaper_model(caplog: pytest.LogCaptureFixture) -> None:
    """The grant names it with its own reservation, and it is announced once."""
    guard = ledger(
        Budget(
            per="day", usd=Decimal("0.05"), model="*/dear", on_exceeded="downgrade", downgrade_to="a/cheap"
        )
    )
    grants = [await guard.reserve(request()) for _ in range(3)]
    assert [(grant.model, grant.reserved_usd) for grant in grants] == [
        ("a/dear", Decimal("0.04")),
        ("a/cheap", Decimal("0.004")),
        ("a/cheap", Decimal("0.004")),
    ]
    (said,) = warnings(caplog)
    assert "asking a/cheap instead" in said


async def test_changes_of_state_are_announced_once(caplog: pytest.LogCaptureFixture) -> None:
    """Nearly spent, used up, room again: three lines, however many requests come."""
    clock = WallClock()
    guard = ledger(Budget(per="hour", usd=Decimal("0.05"), name="hourly"), clock=clock)
    assert guard.state()[0].state == "ok"
    grant = await guard.reserve(request())
    guard.settle(grant, sent=True, cost_usd=Decimal("0.04"))
    (said,) = warnings(caplog)
    assert said == "budget 'hourly' is nearly spent: 0.04 of 0.05 USD spent, 0 put aside"
    assert guard.state()[0].state == "near"
    assert await refused(guard, *[request()] * 3) == [True] * 3
    (said,) = warnings(caplog)
    assert said.startswith("budget 'hourly' is used up, signals wait: budget 'hourly' has no room")
    assert guard.state()[0].state == "reached"
    clock.move(3_600)
    assert await refused(guard, *[request("a/cheap")] * 3) == [False] * 3
    assert warnings(caplog) == ["budget 'hourly' has room again"]
    assert guard.state()[0].state == "ok"


async def test_requests_of_other_kinds_say_nothing_about_a_full_budget(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A budget of one symbol has no room again because another symbol passes."""
    guard = ledger(Budget(per="day", usd=Decimal("0.05"), symbol="ES"))
    await refused(guard, request(), request())
    warnings(caplog)
    assert await refused(guard, request(symbols={"NQ": 1})) == [False]
    assert guard.state()[0].state == "reached"
    assert warnings(caplog) == []


async def test_a_budget_that_warns_is_announced_and_passed(caplog: pytest.LogCaptureFixture) -> None:
    """Requests go on; the sums tell by how much."""
    guard = ledger(Budget(per="day", usd=Decimal("0.05"), on_exceeded="warn"))
    assert await refused(guard, *[request()] * 4) == [False] * 4
    (said,) = warnings(caplog)
    assert "is used up, requests go on" in said
    assert guard.state()[0].reserved_usd == Decimal("0.16")


async def test_without_budgets_and_prices_everything_passes() -> None:
    """Built with nothing it refuses nothing; the cost is unknown, not 0."""
    guard = MemoryLedger()
    grant = await guard.reserve(request())
    guard.settle(grant, sent=True, cost_usd=Decimal(1))
    assert (grant.model, grant.reserved_usd, guard.state()) == ("a/dear", None, [])
