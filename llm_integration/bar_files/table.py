"""Many bars in few bytes."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import overload

from llm_integration.domain import Bar

__all__ = ["EPOCH", "BarTable", "Values"]

Values = tuple[float, float, float, float, float | None]
"""Open, high, low, close and volume."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIDTH = 5


class BarTable(Sequence[Bar]):
    """A read-only sequence of bars in time order, 48 bytes each; slices are lists.

    A million ``Bar`` objects would hold 270 MB that every full garbage collection walks through, pausing
    the trading loop; here a bar becomes an object only when it is asked for.
    """

    __slots__ = ("_times", "_values")

    def __init__(self) -> None:
        self._times = array("q")
        self._values = array("d")

    def add(self, microseconds: int, values: Values) -> None:
        """Append the bar stamped ``microseconds`` after 1970: open, high, low, close, volume or None."""
        self._times.append(microseconds)
        opened, high, low, close, volume = values
        self._values.extend((opened, high, low, close, math.nan if volume is None else volume))

    def count_until(self, moment: datetime) -> int:
        """How many bars are stamped at or before ``moment`` (aware)."""
        return bisect_right(self._times, (moment - EPOCH) // timedelta(microseconds=1))

    def __len__(self) -> int:
        return len(self._times)

    @overload
    def __getitem__(self, index: int) -> Bar: ...
    @overload
    def __getitem__(self, index: slice) -> list[Bar]: ...
    def __getitem__(self, index: int | slice) -> Bar | list[Bar]:
        if isinstance(index, slice):
            return [self._bar(i) for i in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"bar {index} of {len(self)}")
        return self._bar(index)

    def __iter__(self) -> Iterator[Bar]:
        return map(self._bar, range(len(self)))

    def __repr__(self) -> str:
        return f"<BarTable of {len(self)} bars>"

    def _bar(self, index: int) -> Bar:
        start = index * WIDTH
        moment = EPOCH + timedelta(microseconds=self._times[index])
        opened, high, low, close, volume = self._values[start : start + WIDTH]
        return Bar(moment, opened, high, low, close, None if math.isnan(volume) else volume)
