"""Calendar windows of budgets in a time zone, and how much of a paced budget is available by now. Pure.

All moments are aware datetimes; sums over time are taken in UTC, so that no hour is lost or counted twice
when clocks change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from fractions import Fraction
from typing import Literal

__all__ = ["HEAD_START", "Per", "Window", "available_part", "next_time_available", "window_of"]

Per = Literal["hour", "day", "month"]

HEAD_START = Fraction(1, 20)
"""Part of a paced budget that is available at once when the trading hours begin, for the first requests."""


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start`` up to, not including, ``end``; both in UTC."""

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def window_of(per: Per, now: datetime, zone: tzinfo) -> Window:
    """The calendar hour, day or month in ``zone`` that holds ``now``."""
    local = now.astimezone(zone)
    if per == "hour":  # of the two hours that are called the same when clocks go back, the one we are in
        start = now.astimezone(UTC) - timedelta(
            minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
        return Window(start, start + timedelta(hours=1))
    if per == "day":
        day = local.date()
        return Window(_instant(day, time(), zone), _instant(day + timedelta(days=1), time(), zone))
    first = local.date().replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return Window(_instant(first, time(), zone), _instant(following, time(), zone))


def _instant(day: date, clock: time, zone: tzinfo) -> datetime:
    """A local time as UTC; one that is skipped when clocks go forward is the moment they do."""
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)


def _sessions(now: datetime, hours: tuple[time, time], zone: tzinfo) -> list[Window]:
    """The trading hours within the local day of ``now``: one stretch, or two when they run over midnight."""
    day = window_of("day", now, zone)
    opens, closes = (_instant(now.astimezone(zone).date(), clock, zone) for clock in hours)
    if hours[1] == time():
        closes = day.end
    if hours[0] < hours[1] or hours[1] == time():
        stretches = [Window(opens, closes)]
    else:
        stretches = [Window(day.start, closes), Window(opens, day.end)]
    return [stretch for stretch in stretches if stretch.start < stretch.end]


def available_part(now: datetime, hours: tuple[time, time] | None, zone: tzinfo) -> Fraction:
    """How much of a day's budget may be used by ``now``, from 0 to 1.

    Without trading hours all of it. With them: nothing before they begin; then HEAD_START plus the rest in
    proportion to the trading time that has passed of this calendar day; all of it once they are over. Hours
    that run over midnight count as two stretches of the day, and nothing is added between them.
    """
    if hours is None:
        return Fraction(1)
    sessions = _sessions(now, hours, zone)
    if not sessions:  # the clock was put forward over all of them
        return Fraction(1)
    if now < sessions[0].start:
        return Fraction(0)
    whole = sum((stretch.end - stretch.start for stretch in sessions), timedelta())
    passed = sum(
        (min(now, stretch.end) - stretch.start for stretch in sessions if now > stretch.start), timedelta()
    )
    return HEAD_START + (1 - HEAD_START) * Fraction(_microseconds(passed), _microseconds(whole))


def next_time_available(
    part: Fraction, now: datetime, hours: tuple[time, time] | None, zone: tzinfo
) -> datetime | None:
    """When ``part`` of the day's budget is available; None if that is not a matter of waiting today."""
    if hours is None or part > 1:
        return None
    sessions = _sessions(now, hours, zone)
    whole = sum((stretch.end - stretch.start for stretch in sessions), timedelta())
    share = max(Fraction(0), (part - HEAD_START) / (1 - HEAD_START))
    wanted = timedelta(microseconds=-((-share.numerator * _microseconds(whole)) // share.denominator))
    for stretch in sessions:
        length = stretch.end - stretch.start
        if wanted <= length:
            return max(now, stretch.start + wanted)
        wanted -= length
    return None


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
