"""The one policy of availability: who waits for how long, and one message per change."""

from __future__ import annotations

import logging
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.availability import MEANWHILE, PAUSE_SECONDS, Availability, Change, Kind

KINDS: tuple[Kind, ...] = get_args(Kind)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class FullTableError(Exception):
    """PostgreSQL is there, but not for this."""

    answered = True


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def told() -> list[Change]:
    """What a listener was told."""
    return []


@pytest.fixture
def record(clock: Clock, told: list[Change]) -> Availability:
    """A record that has worked so far."""
    return Availability(clock, listeners=(told.append,))


def test_a_record_that_never_failed_is_worth_asking(record: Availability, told: list[Change]) -> None:
    """Nothing is announced, and successes change nothing."""
    record.over()
    record.over("beat")
    assert record.worth_asking
    assert record.error is None
    assert [record.retry_in(kind) for kind in KINDS] == [0.0] * len(KINDS)
    assert told == []


def test_after_a_failure_nobody_asks_for_a_moment(record: Availability, clock: Clock) -> None:
    """Whatever failed: where nobody answers, nobody else asks either until the pause is over."""
    record.failed(ConnectionError("refused"), "signals")
    assert not any(record.worth_asking_for(kind) for kind in KINDS)
    clock.now += PAUSE_SECONDS - 0.001
    assert not record.worth_asking
    clock.now += 0.001
    assert all(record.worth_asking_for(kind) for kind in KINDS)
    assert record.error == "refused"


def test_a_refusal_of_one_kind_holds_up_that_kind_only(record: Availability) -> None:
    """A missing table of bars is no reason not to ask for budgets."""
    record.failed(FullTableError("table market_data is missing"), "bars")
    assert not record.worth_asking_for("bars")
    assert record.worth_asking_for("budgets")
    assert record.worth_asking


def test_an_outage_is_over_when_what_failed_works_again(record: Availability, told: list[Change]) -> None:
    """A database whose disk is full still takes heartbeats: they do not end it."""
    record.failed(OSError("No space left on device"), "results")
    record.over("beat")
    assert record.error_of("results") == "No space left on device"
    assert len(told) == 1
    record.over("results")
    assert record.error is None
    assert record.worth_asking
    assert [change.error for change in told] == ["No space left on device", None]


def test_there_is_one_message_per_change(record: Availability, told: list[Change]) -> None:
    """However many kinds fail however often: one when the first fails, one when the last works again."""
    for kind in KINDS:
        record.failed(ConnectionError(f"no {kind}"), kind)
        record.failed(ConnectionError(f"no {kind}"), kind)
    for kind in KINDS:
        record.over(kind)
        record.over(kind)
    assert told == [Change(KINDS[0], f"no {KINDS[0]}"), Change(KINDS[-1])]


def test_the_error_is_that_of_a_kind_that_still_fails(record: Availability, clock: Clock) -> None:
    """What works again is no longer named, and each kind has its own reason."""
    record.failed(ConnectionError("first"), "signals")
    clock.now += 1
    record.failed(ConnectionError("second"), "bars")
    assert record.error == "second"
    record.over("bars")
    assert record.error == record.error_of("signals") == "first"
    assert record.error_of("bars") is None


def test_pauses_between_tries_double_up_to_a_bound(record: Availability, clock: Clock) -> None:
    """What has to be brought in is tried soon after a blip and seldom in a long outage; success resets it."""
    pauses = []
    for _ in range(7):
        record.failed(ConnectionError("away"), "ledger")
        pauses.append(record.retry_in("ledger"))
        clock.now += pauses[-1]
        assert record.retry_in("ledger") == 0.0
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert record.retry_in("results") == 0.0
    record.over("ledger")
    record.failed(ConnectionError("away"), "ledger")
    assert record.retry_in("ledger") == 0.25


def test_an_outage_of_months_overflows_nothing(record: Availability) -> None:
    """The pause stays at its bound after any number of failures."""
    for _ in range(5_000):
        record.failed(ConnectionError("away"), "results")
    assert record.retry_in("results") == 5.0


def test_what_nobody_asks_for_any_more_keeps_no_outage_alive(
    record: Availability, told: list[Change]
) -> None:
    """A part that has ended takes its failure along, silently, and the next outage is announced again."""
    record.failed(ConnectionError("away"), "bars")
    record.withdraw("bars")
    record.withdraw("signals")
    assert record.error is None
    assert len(told) == 1
    record.failed(ConnectionError("away again"))
    assert [change.error for change in told] == ["away", "away again"]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ConnectionError("refused"), "refused"),
        (TimeoutError(), "TimeoutError"),
        (OSError("two\nlines\r\x1b[31m"), "two?lines??[31m"),
        (ValueError("x" * 1_000), "x" * 299 + "…"),
        (RuntimeError("\u2028\u202e" + "é"), "??é"),
    ],
)
def test_what_a_server_said_is_one_bounded_line(record: Availability, error: Exception, shown: str) -> None:
    """It can forge no line of the log, and an error without words has the name of its type."""
    record.failed(error)
    assert record.error == shown


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_what_becomes_of_it(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    """Who reads the log learns what happened, why, and what it means for what waits."""
    record = Availability(Clock())
    with caplog.at_level(logging.WARNING):
        record.failed(ConnectionError("refused"), kind)
        record.over(kind)
    assert caplog.messages == [
        f"PostgreSQL does not answer (refused); {MEANWHILE[kind]}",
        "PostgreSQL answers again",
    ]


def test_a_database_that_refuses_is_told_from_one_that_is_away() -> None:
    """A table that is missing needs somebody who puts it back, an outage only patience."""
    told: list[Change] = []
    Availability(Clock(), listeners=(told.append,)).failed(FullTableError("table x is missing"), "signals")
    assert str(told[0]).startswith("PostgreSQL answers, but cannot store (table x is missing); ")


STEPS = st.tuples(st.sampled_from(["failed", "over", "withdraw"]), st.sampled_from(KINDS), st.floats(0, 20))


@given(st.lists(STEPS, max_size=40))
def test_messages_alternate_and_the_error_is_true(steps: list[tuple[str, Kind, float]]) -> None:
    """In any order of failures and successes no two outages are announced without an end between them, except
    where the end went unnoticed because nobody asked any more; and there is an error while something fails.
    """
    clock, told = Clock(), list[Change]()
    record, failing, withdrawn = Availability(clock, listeners=(told.append,)), set[Kind](), 0
    for step, kind, seconds in steps:
        clock.now += seconds
        if step == "failed":
            record.failed(ConnectionError(kind), kind)
            failing.add(kind)
        else:
            withdrawn += step == "withdraw" and failing == {kind}
            (record.over if step == "over" else record.withdraw)(kind)
            failing.discard(kind)
        assert (record.error is not None) == bool(failing)
        assert record.worth_asking or failing
        assert all(record.retry_in(each) == 0.0 for each in set(KINDS) - failing)
    begun = sum(change.error is not None for change in told)
    assert begun - (len(told) - begun) == withdrawn + bool(failing)
