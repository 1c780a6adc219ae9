"""Calendar windows, also when clocks change, and budgets paced over trading hours."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_integration.budget.windows import (
    HEAD_START,
    Per,
    available_part,
    next_time_available,
    window_of,
)

NEW_YORK = ZoneInfo("America/New_York")
ZONES = [
    "UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/Santiago",
    "America/Havana", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca",
]  # fmt: skip
MOMENTS = st.datetimes(datetime(2000, 1, 2), datetime(2035, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis adds the zone


def at(text: str, zone: ZoneInfo = NEW_YORK) -> datetime:
    """A local time."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("per", "now", "start", "hours"),
    [
        ("hour", "2026-07-01 09:31:15", "2026-07-01 09:00", 1),
        ("day", "2026-07-01 00:00:00", "2026-07-01 00:00", 24),
        ("day", "2026-06-30 23:59:59", "2026-06-30 00:00", 24),
        ("day", "2026-03-08 12:00", "2026-03-08 00:00", 23),
        ("day", "2026-11-01 12:00", "2026-11-01 00:00", 25),
        ("month", "2026-02-28 23:59", "2026-02-01 00:00", 28 * 24),
        ("month", "2026-03-31 23:59", "2026-03-01 00:00", 31 * 24 - 1),
        ("month", "2026-12-31 23:59", "2026-12-01 00:00", 31 * 24),
    ],
)
def test_windows_follow_the_local_calendar(per: Per, now: str, start: str, hours: int) -> None:
    """A day has 23 or 25 hours when clocks change, and a month as many days as it has."""
    window = window_of(per, at(now), NEW_YORK)
    assert window.start == at(start)
    assert window.end - window.start == timedelta(hours=hours)


def test_the_hour_that_comes_twice_is_two_windows() -> None:
    """Half past one, before and after clocks go back, are different hours."""
    first = window_of("hour", datetime(2026, 11, 1, 5, 30, tzinfo=UTC), NEW_YORK)
    second = window_of("hour", datetime(2026, 11, 1, 6, 30, tzinfo=UTC), NEW_YORK)
    assert first.end == second.start


@settings(deadline=None)
@given(per=st.sampled_from(["hour", "day", "month"]), now=MOMENTS, zone=st.sampled_from(ZONES))
def test_every_moment_lies_in_its_window_and_the_next_window_follows(
    per: Per, now: datetime, zone: str
) -> None:
    """No moment without a budget, in no zone, at no change of clocks."""
    place = ZoneInfo(zone)
    window = window_of(per, now, place)
    assert now in window
    assert window.end not in window
    if per != "hour":  # hours of 30 minutes exist where clocks move by half an hour
        assert window_of(per, window.end, place).start == window.end
        assert window_of(per, window.start, place) == window
        assert window_of(per, window.end - timedelta(microseconds=1), place) == window


HOURS = (time(9, 30), time(16))
OVERNIGHT = (time(18), time(17))


@pytest.mark.parametrize(
    ("now", "part"),
    [
        ("2026-07-01 00:00", Fraction(0)),
        ("2026-07-01 09:29:59", Fraction(0)),
        ("2026-07-01 09:30", HEAD_START),
        ("2026-07-01 12:45", HEAD_START + (1 - HEAD_START) / 2),
        ("2026-07-01 16:00", Fraction(1)),
        ("2026-07-01 23:59", Fraction(1)),
    ],
)
def test_a_paced_budget_becomes_available_over_the_trading_hours(now: str, part: Fraction) -> None:
    """Nothing before the session, half at half time, all of it afterwards."""
    assert available_part(at(now), HOURS, NEW_YORK) == part


def test_hours_over_midnight_have_a_pause_in_which_nothing_is_added() -> None:
    """From six in the evening to five in the afternoon: the day begins and ends within the session."""
    parts = [
        available_part(at(f"2026-07-01 {text}"), OVERNIGHT, NEW_YORK) for text in ("00:00", "17:00", "18:00")
    ]
    assert parts[0] == HEAD_START
    assert parts[1] == parts[2] == HEAD_START + (1 - HEAD_START) * Fraction(17, 23)
    assert available_part(at("2026-07-01 23:59:59.999999"), OVERNIGHT, NEW_YORK) < 1


def test_trading_hours_that_the_clock_jumps_over_hold_nothing_back() -> None:
    """Between two and three there is no time at all on that morning."""
    skipped = (time(2), time(3))
    assert available_part(at("2026-03-08 01:00"), skipped, NEW_YORK) == 1


@settings(deadline=None)
@given(
    moments=st.tuples(MOMENTS, st.integers(0, 86_400)), zone=st.sampled_from(ZONES),
    hours=st.tuples(st.times(), st.times()).filter(lambda pair: pair[0] != pair[1]),
)  # fmt: skip
def test_what_is_available_grows_over_the_day_and_never_beyond_all(
    moments: tuple[datetime, int], zone: str, hours: tuple[time, time]
) -> None:
    """A later moment of the same day never has less."""
    place = ZoneInfo(zone)
    now, later = moments[0], moments[0] + timedelta(seconds=moments[1])
    part = available_part(now, hours, place)
    assert 0 <= part <= 1
    if later in window_of("day", now, place):
        assert part <= available_part(later, hours, place) <= 1


@settings(deadline=None)
@given(now=MOMENTS, zone=st.sampled_from(ZONES), part=st.fractions(0, 1, max_denominator=1000))
def test_waiting_until_the_time_named_is_enough_and_not_much_too_long(
    now: datetime, zone: str, part: Fraction
) -> None:
    """Who waits finds what was wanted; a second earlier it was not there."""
    place = ZoneInfo(zone)
    moment = next_time_available(part, now, HOURS, place)
    assert moment is not None
    assert moment >= now
    if moment in window_of("day", now, place):
        assert available_part(moment, HOURS, place) >= part
        earlier = moment - timedelta(seconds=1)
        if part and earlier > now:
            assert available_part(earlier, HOURS, place) < part
