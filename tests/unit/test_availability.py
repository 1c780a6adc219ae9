"""The one policy of availability: who waits for how long, and one message per change."""

from __future__ import annotations

import logging
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.availability import (
    FORGOTTEN_AFTER_SECONDS,
    MEANWHILE,
    PAUSE_SECONDS,
    Availability,
    Change,
    Kind,
)

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
    """A part that has ended takes its failure along, silently; the next answer that anybody gets is the end
    of the outage, and the next outage is announced again.
    """
    record.failed(ConnectionError("away"), "bars")
    record.withdraw("bars")
    record.withdraw("signals")
    assert record.error is None
    assert record.worth_asking
    assert len(told) == 1
    record.over("beat")
    assert [change.error for change in told] == ["away", None]
    record.failed(ConnectionError("away again"))
    assert [change.error for change in told] == ["away", None, "away again"]


def test_an_outage_that_outlives_a_part_is_not_announced_twice(
    record: Availability, told: list[Change]
) -> None:
    """Nobody was answered between the end of one part and the failure of the next: it is the same outage."""
    record.failed(ConnectionError("away"), "results")
    record.withdraw("results")
    record.failed(ConnectionError("still away"), "ledger")
    record.over("ledger")
    assert [change.error for change in told] == ["away", None]


def test_what_nobody_tries_again_is_forgotten_once_others_are_answered(
    record: Availability, told: list[Change], clock: Clock
) -> None:
    """Budgets were asked in the outage, and then no signal came for an hour: its end is told all the same."""
    record.failed(ConnectionError("away"), "budgets")
    clock.now += FORGOTTEN_AFTER_SECONDS - 1
    record.over("beat")
    assert record.error_of("budgets") == "away"
    clock.now += 1
    assert len(told) == 1  # nobody has said since that the record is there
    record.over("beat")
    assert record.error is None
    assert [change.error for change in told] == ["away", None]


@pytest.mark.parametrize("failing", KINDS)
@pytest.mark.parametrize("answered", [True, False])
def test_a_kind_that_fails_for_ever_starves_no_other(
    record: Availability, clock: Clock, failing: Kind, answered: bool
) -> None:
    """One table is locked, and each call about it ends without an answer, twice as often as others may ask:
    as soon as PostgreSQL has answered anybody, the others go on, and only that kind has to wait.
    """
    others = [kind for kind in KINDS if kind != failing]
    record.failed(ConnectionError("no answer in time"), failing)
    if answered:
        record.over(others[0])
    for _ in range(20):
        record.failed(ConnectionError("no answer in time"), failing)
        assert [record.worth_asking_for(kind) for kind in others] == [answered] * len(others)
        assert not record.worth_asking_for(failing)
        clock.now += PAUSE_SECONDS / 2


def test_a_brief_fault_of_one_part_costs_the_others_nothing_once_anybody_is_answered(
    record: Availability, clock: Clock
) -> None:
    """One connection broke: the part that lost it tries again after a quarter of a second, and all go on."""
    record.failed(ConnectionError("reset"), "ledger")
    assert not record.worth_asking_for("work")
    clock.now += record.retry_in("ledger")
    record.over("ledger")
    assert record.worth_asking_for("work")
    record.failed(ConnectionError("reset"), "beat")
    record.over("results")
    assert record.worth_asking_for("work")
    record.failed(ConnectionError("gone"), "results")  # after that answer: it may be a new outage
    assert not record.worth_asking_for("work")


def test_a_refusal_is_an_answer_for_all_others(record: Availability) -> None:
    """Who is refused for a table that is missing has been answered: nobody else waits for PostgreSQL."""
    record.failed(ConnectionError("no answer in time"), "results")
    record.failed(FullTableError("table market_data is missing"), "bars")
    assert record.worth_asking
    assert not record.worth_asking_for("results")
    assert not record.worth_asking_for("bars")


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
    """In any order of failures and successes beginnings and ends of outages are told in turns, an end only
    when PostgreSQL has answered and nothing fails that was tried in the last minute; and there is an error
    while something fails.
    """
    clock, told = Clock(), list[Change]()
    record, failed_at = Availability(clock, listeners=(told.append,)), dict[Kind, float]()
    for step, kind, seconds in steps:
        clock.now += seconds
        if step == "failed":
            record.failed(ConnectionError(kind), kind)
            failed_at[kind] = clock.now
        else:
            (record.over if step == "over" else record.withdraw)(kind)
            failed_at.pop(kind, None)
            if step == "over":
                oldest = clock.now - FORGOTTEN_AFTER_SECONDS
                failed_at = {each: at for each, at in failed_at.items() if at > oldest}
        assert (record.error is not None) == bool(failed_at)
        assert record.worth_asking or failed_at
        assert all(record.retry_in(each) == 0.0 for each in set(KINDS) - set(failed_at))
        if failed_at or step == "over":
            assert bool(told and told[-1].error) == bool(failed_at)
    assert [change.error is None for change in told] == [bool(number % 2) for number in range(len(told))]
