"""The bars that had closed at a signal's time, whatever form they come in."""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import gt, itemgetter, lt
from typing import Any, Protocol, cast

from llm_integration.bar_forms import FrameBars, bar_values, is_frame, parse_time
from llm_integration.domain import Bar
from llm_integration.pieces import Steps
from llm_integration.signal_formatter.text import decimals, finite, number, price, shown_time

__all__ = ["BarReader", "ShownBar"]

MOST_SCANNED = 1_000
"""Of a longer collection only the part around the signal's time is read; it must be in time order."""
CACHED_BARS = 4_096
"""Bars that are remembered at least; with a long lookback it is ``CACHED_LOOKBACKS`` times that."""
CACHED_LOOKBACKS = 20
FEW = 64
"""Of a longer list it is found out whether it is in order, so that only what is shown has to be read."""
READ_AT_ONCE = 25
"""Bars read, or written, in one go by who gives way in between: a fifth of a millisecond."""

_PLAIN = {datetime, float}


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
        if prices == (None, None, None, None):
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


class _Rows(Protocol):
    """Bars by position. ``in_order`` means that times rise, or fall, from each to the next."""

    @property
    def in_order(self) -> bool: ...
    def __len__(self) -> int: ...
    def moment(self, index: int) -> datetime | None: ...
    def read(self, start: int, stop: int) -> list[ShownBar]: ...


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

    def closed(self, market: object, until: datetime, wanted: int) -> list[ShownBar]:
        """The last ``wanted`` bars stamped at or before ``until``, oldest first, each time once.

        ``market`` is a DataFrame or an iterable of bars: Bar, mappings, or sequences in the order of Bar.
        Up to ``MOST_SCANNED`` bars may stand in any order; more must rise or fall in time. Of two bars
        with one time the later one in the collection counts. A naive time is UTC.
        """
        rows = self._rows(market)
        if len(rows) <= MOST_SCANNED and not rows.in_order:
            return _last(rows.read(0, len(rows)), until, wanted)
        margin = wanted
        while True:
            start, stop = _window(rows, until, margin)
            found = _last(rows.read(start, stop), until, wanted)
            if len(found) >= wanted or margin >= min(len(rows), MOST_SCANNED):
                return found
            margin *= 4  # repeated or empty bars took the room of others

    def _rows(self, market: object) -> _Rows:
        if type(market) is tuple or type(market) is list:
            return _ListRows(market, self)
        if is_frame(market):
            return _FrameRows(market)
        if isinstance(market, Iterable) and not isinstance(market, (str, bytes, Mapping)):
            return _ListRows(market if isinstance(market, (list, tuple)) else list(market), self)
        return _ListRows((), self)

    def shown(self, item: object) -> ShownBar:
        """``item`` as a checked bar, from memory if the very same object was read before."""
        if type(item) is not Bar:
            return ShownBar(item, *bar_values(item))
        known = self._known.get(id(item))
        return self._remember(item) if known is None else known

    def _remember(self, bar: Bar) -> ShownBar:
        known = self._equal_one(bar) if {*map(type, bar)} == _PLAIN else None
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

    def read_ahead(self, market: object, until: datetime, wanted: int) -> Steps[None]:
        """Read what ``closed`` will look at, with a pause wherever this yields; its work is small then."""
        if not isinstance(market, (list, tuple)) or len(market) <= READ_AT_ONCE:
            return
        rows = _ListRows(market, self)
        start, stop = 0, len(market)
        if stop > MOST_SCANNED or rows.in_order:
            start, stop = _window(rows, until, wanted)
        for at in range(start, stop, READ_AT_ONCE):
            rows.read(at, min(at + READ_AT_ONCE, stop))
            yield

    def shown_all(self, items: Sequence[object]) -> list[ShownBar]:
        """``shown`` for each, with one look at the memory for those that were read before."""
        known = self._known
        return [(known.get(id(item)) if type(item) is Bar else None) or self.shown(item) for item in items]


class _ListRows:
    def __init__(self, items: Sequence[object], reader: BarReader) -> None:
        self._items = items
        self._reader = reader

    @property
    def in_order(self) -> bool:
        """Known of bars alone, and asked of a long list only: a short one is read as it is."""
        items = self._items
        if not FEW < len(items) <= MOST_SCANNED or {*map(type, items)} != {Bar}:
            return False
        times = [*map(itemgetter(0), cast("Sequence[Bar]", items))]
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


class _FrameRows:
    """The rows of a pandas DataFrame."""

    def __init__(self, frame: Any) -> None:
        self._frame = FrameBars(frame)

    @property
    def in_order(self) -> bool:
        return len(self._frame) <= MOST_SCANNED and self._frame.rising

    def __len__(self) -> int:
        return len(self._frame)

    def moment(self, index: int) -> datetime | None:
        return self._frame.moments(index, index + 1)[0]

    def read(self, start: int, stop: int) -> list[ShownBar]:
        return [ShownBar(None, moment, values) for moment, values in self._frame.values(start, stop)]


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


def _last(bars: list[ShownBar], until: datetime, wanted: int) -> list[ShownBar]:
    closed = [bar for bar in bars if bar.moment is not None and bar.moment <= until]
    moments = [bar.moment for bar in closed if bar.moment is not None]
    if not all(map(lt, moments, islice(moments, 1, None))):
        by_time = dict(zip(moments, closed, strict=True))
        closed = [by_time[moment] for moment in sorted(by_time)]
    return closed[-wanted:]
