"""The bars that had closed at a signal's time."""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from operator import gt, itemgetter, lt
from types import NoneType
from typing import TypeGuard

from llm_integration.domain import Bar, parse_time, plain_bars
from llm_integration.fairness import SHOWN_BARS_AT_ONCE, Steps
from llm_integration.signal_formatter.text import decimals, finite, number, price, shown_time
from llm_integration.times import EARLIEST

__all__ = ["BarReader", "ShownBar", "are_bars", "last_closed"]

MOST_SCANNED = 1_000
"""Of a longer collection only the part around the signal's time is read; it must be in time order."""
CACHED_BARS = 4_096
"""Bars that are remembered at least; with a long lookback it is ``CACHED_LOOKBACKS`` times that."""
CACHED_LOOKBACKS = 20
FEW = 64
"""Of a longer list it is found out whether it is in order, so that only what is shown has to be read."""

_PLAIN = {datetime, float, NoneType}


class ShownBar:
    """A bar read and checked once, and its line in the table, written once.

    ``source`` keeps the original alive, so that its identity stays its own. ``moment`` is None for a bar
    without a usable time, which is never shown. A value that is missing is None.
    """

    __slots__ = (
        "close",
        "high",
        "line",
        "low",
        "moment",
        "open",
        "places",
        "source",
        "volume",
        "written_places",
    )

    def __init__(self, source: object, moment: datetime | None, values: Sequence[object]) -> None:
        self.source = source
        self.moment = moment
        self.open, self.high, self.low, self.close, self.volume = map(finite, values)
        prices = (self.open, self.high, self.low, self.close)
        if prices == (None, None, None, None) or (moment is not None and moment < EARLIEST):
            self.moment = None  # nothing was traded, or nothing is known
        self.places = max(map(decimals, prices))
        self.written_places = -1
        self.line = ""

    def values(self) -> tuple[float | None, ...]:
        """Open, high, low, close and volume."""
        return (self.open, self.high, self.low, self.close, self.volume)

    def text(self, places: int) -> str:
        """``time,open,high,low,close,volume`` with ``places`` digits after the point."""
        if self.written_places != places and self.moment is not None:
            self.written_places = places
            prices = (price(value, places) for value in (self.open, self.high, self.low, self.close))
            self.line = ",".join((shown_time(self.moment), *prices, number(self.volume)))
        return self.line


def are_bars(market: object) -> TypeGuard[Sequence[Bar]]:
    """True for a list or tuple of ``Bar``; a long one is judged by its ends."""
    if not isinstance(market, (list, tuple)):
        return False
    if len(market) <= MOST_SCANNED:
        return plain_bars([*market], list)
    return plain_bars([market[0], market[-1]], list)


class BarReader:
    """Finds the bars to show; remembers those it has read, as most of them return with the next signal.

    A feed brings the very same objects again. A host that copies its bars for every signal brings equal ones.
    """

    def __init__(self, lookback: int = 0) -> None:
        self._most = max(CACHED_BARS, CACHED_LOOKBACKS * lookback)
        self._known: OrderedDict[int, ShownBar] = OrderedDict()
        self._copies: dict[int, Bar] = {}
        """Copies of a known bar by their ids, kept alive so that nothing else gets these."""
        self._equal: dict[Bar, ShownBar] = {}
        self._equal_before: dict[Bar, ShownBar] = {}

    def closed(self, market: Sequence[Bar], until: datetime, wanted: int) -> list[ShownBar]:
        """The last ``wanted`` bars stamped at or before ``until``, oldest first, each time once.

        Up to ``MOST_SCANNED`` bars may stand in any order; more must rise or fall in time. Of two bars
        with one time the later one in the collection counts. A naive time is UTC.
        """
        rows = _Rows(market, self)
        if len(rows) <= MOST_SCANNED and not rows.in_order:
            return last_closed(rows.read(0, len(rows)), until, wanted)
        margin = wanted
        while True:
            start, stop = _window(rows, until, margin)
            found = last_closed(rows.read(start, stop), until, wanted)
            if len(found) >= wanted or margin >= min(len(rows), MOST_SCANNED):
                return found
            margin *= 4  # repeated or empty bars took the room of others

    def shown(self, item: Bar) -> ShownBar:
        """``item`` as a checked bar, from memory if the very same object was read before."""
        if type(item) is not Bar:
            return ShownBar(item, None, (None,) * 5)  # among thousands of bars, so that nobody looked before
        known = self._known.get(id(item))
        return self._remember(item) if known is None else known

    def _remember(self, bar: Bar) -> ShownBar:
        known = self._equal_one(bar) if {*map(type, bar)} <= _PLAIN else None
        if known is None:
            known = ShownBar(bar, parse_time(bar.timestamp), bar[1:6])
        elif known.source is not bar:
            self._copies[id(bar)] = bar
        self._known[id(bar)] = known
        if len(self._known) > self._most:
            gone, _ = self._known.popitem(last=False)
            self._copies.pop(gone, None)
        return known

    def _equal_one(self, bar: Bar) -> ShownBar:
        """What is known of a bar with the same values; two generations, the older one is dropped at once."""
        known = self._equal.get(bar)
        if known is None:
            known = self._equal_before.get(bar) or ShownBar(bar, parse_time(bar.timestamp), bar[1:6])
            if len(self._equal) >= self._most:
                self._equal_before, self._equal = self._equal, {}
            self._equal[bar] = known
        return known

    def read_ahead(self, market: Sequence[Bar], until: datetime, wanted: int) -> Steps[None]:
        """Read what ``closed`` will look at, with a pause wherever this yields; its work is small then."""
        rows = _Rows(market, self)
        start, stop = 0, len(market)
        if stop > MOST_SCANNED or rows.in_order:
            start, stop = _window(rows, until, wanted)
        for at in range(start, stop, SHOWN_BARS_AT_ONCE):
            rows.read(at, min(at + SHOWN_BARS_AT_ONCE, stop))
            yield

    def shown_all(self, items: Sequence[Bar]) -> list[ShownBar]:
        """``shown`` for each, with one look at the memory for those that were read before."""
        known = self._known
        return [(known.get(id(item)) if type(item) is Bar else None) or self.shown(item) for item in items]


class _Rows:
    """Bars by position."""

    def __init__(self, items: Sequence[Bar], reader: BarReader) -> None:
        self._items = items
        self._reader = reader

    @property
    def in_order(self) -> bool:
        """Whether times rise, or fall, from each to the next. A short list is read as it is."""
        items = self._items
        if not FEW < len(items) <= MOST_SCANNED or {*map(type, items)} != {Bar}:
            return False
        times = [*map(itemgetter(0), items)]
        if {*map(type, times)} != {datetime}:
            return False
        try:
            return all(map(lt, times, islice(times, 1, None))) or all(map(gt, times, islice(times, 1, None)))
        except TypeError:  # naive times among aware ones
            return False

    def __len__(self) -> int:
        return len(self._items)

    def moment(self, index: int) -> datetime | None:
        return self._reader.shown(self._items[index]).moment

    def read(self, start: int, stop: int) -> list[ShownBar]:
        return self._reader.shown_all(self._items[start:stop])


def _window(rows: _Rows, until: datetime, size: int) -> tuple[int, int]:
    """Positions of the ``size`` bars up to ``until`` in ordered ``rows``."""
    if not len(rows):
        return 0, 0
    first, last = rows.moment(0), rows.moment(len(rows) - 1)
    if first is None or last is None or first <= last:
        stop = bisect.bisect_right(range(len(rows)), False, key=lambda index: _after(rows, index, until))
        return max(0, stop - size), stop
    start = bisect.bisect_left(range(len(rows)), True, key=lambda index: not _after(rows, index, until))
    return start, start + size


def _after(rows: _Rows, index: int, until: datetime) -> bool:
    moment = rows.moment(index)
    return moment is not None and moment > until


def last_closed(bars: list[ShownBar], until: datetime, wanted: int) -> list[ShownBar]:
    """Of ``bars`` in any order the last ``wanted`` stamped at or before ``until``, each time once."""
    closed = [bar for bar in bars if bar.moment is not None and bar.moment <= until]
    moments = [bar.moment for bar in closed if bar.moment is not None]
    if not all(map(lt, moments, islice(moments, 1, None))):
        by_time = dict(zip(moments, closed, strict=True))
        closed = [by_time[moment] for moment in sorted(by_time)]
    return closed[-wanted:]
