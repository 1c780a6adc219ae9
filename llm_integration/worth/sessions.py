"""When sessions end. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_integration.worth.trades import Ints

__all__ = ["DAY", "EPOCH", "microseconds", "moment_of", "session_end_after", "session_ends_after"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
"""Microseconds."""
MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(at: int) -> datetime:
    """The time so many microseconds after 1970 began, in UTC."""
    return EPOCH + timedelta(microseconds=at)


def session_end_after(moment: int, end: time, zone: tzinfo) -> int:
    """The first ``end`` of a day in ``zone`` that comes after ``moment``; microseconds since 1970."""
    day = (EPOCH + timedelta(microseconds=moment)).astimezone(zone).date()
    for after in range(-1, 3):
        found = _on(day + timedelta(days=after), end, zone)
        if found > moment:
            return found
    raise AssertionError("a zone is less than two days away from UTC")


def session_ends_after(moments: Ints, end: time, zone: tzinfo) -> Ints:
    """The same for many moments."""
    import numpy as np  # noqa: PLC0415  who follows single trades does without it

    if not len(moments):
        return moments.copy()
    days = np.unique(moments // DAY)
    near = np.unique(np.concatenate([days + after for after in range(-2, 4)]))
    ends = np.array([_on(_date(int(day)), end, zone) for day in near], dtype=np.int64)
    return ends[np.searchsorted(ends, moments, side="right")]


def _date(day: int) -> date:
    return (EPOCH + timedelta(days=day)).date()


def _on(day: date, end: time, zone: tzinfo) -> int:
    return (datetime.combine(day, end, tzinfo=zone).astimezone(UTC) - EPOCH) // MICROSECOND
