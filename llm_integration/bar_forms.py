"""The forms in which hosts and feeds hand over bars, each told apart and read in one place. Pure.

A bar is a mapping or an object with names (any case; ``timestamp``, ``datetime``, ``date`` or ``time``), or a
sequence in the order timestamp, open, high, low, close, volume. Many bars are an iterable of them, a numpy
array of rows, or a pandas DataFrame, whose index gives the times if no column does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, cast

__all__ = ["FrameBars", "bar_values", "is_frame", "parse_time"]

TIME_NAMES = ("timestamp", "datetime", "date", "time")
PRICE_NAMES = ("open", "high", "low", "close", "volume")
NAMES = ("timestamp", *PRICE_NAMES)


def parse_time(value: object) -> datetime | None:
    """``value`` as an aware UTC datetime.

    Accepts datetimes (pandas' and numpy's too), dates, ISO 8601 text and epoch seconds or milliseconds. A
    naive time is taken as UTC. None for anything else.
    """
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    moment: datetime | None = None
    try:
        if value != value:  # noqa: PLR0124  pandas' NaT and NaN differ from themselves
            return None
        if hasattr(value, "to_pydatetime"):  # pandas' Timestamp is a datetime, but not as quick as one
            value = value.to_pydatetime(warn=False)
        elif hasattr(value, "dtype"):
            value = _python_scalar(value)
        if isinstance(value, datetime):
            moment = value
        elif isinstance(value, date):
            moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
        elif isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) > 1e11 else value
            moment = datetime.fromtimestamp(seconds, UTC)
        if moment is None:
            return None
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment if type(moment) is datetime and moment.tzinfo is UTC else moment.astimezone(UTC)
    except Exception:  # whatever a foreign object's own conversion raises
        return None


def _python_scalar(value: Any) -> object:
    """A scalar of numpy as one of Python; nanoseconds, which Python's times do not know, are cut off."""
    return (value.astype("datetime64[us]") if value.dtype.kind == "M" else value).item()


def bar_values(item: object) -> tuple[datetime | None, Sequence[Any]]:
    """Time, and open, high, low, close and volume as they were given; None for what is not there."""
    if (type(item) is list or type(item) is tuple) and len(item) == len(NAMES):
        return parse_time(item[0]), item[1:]
    if type(item) is dict:
        time, *prices = map(item.get, NAMES)
        if time is not None and not any(map(_missing, prices)):  # the usual names in lower case
            return parse_time(time), prices
    names = getattr(item, "_fields", None) or getattr(getattr(item, "dtype", None), "names", None)
    label = getattr(item, "name", None)
    pairs = isinstance(item, Mapping) or hasattr(item, "items")  # a Series, too
    if not pairs and hasattr(item, "tolist"):
        item = item.tolist()  # a row of a numpy array
    if pairs:
        items = cast("Mapping[object, Any]", item).items()
        named = {str(key).strip().lower(): value for key, value in items if value is not None}
    elif names is not None and isinstance(item, Sequence):
        named = {str(key).lower(): value for key, value in zip(names, item, strict=False)}
    elif isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
        return (parse_time(item[0]) if item else None), _padded(item[1:6])
    else:
        named = {name: getattr(item, name, None) for name in (*TIME_NAMES, *PRICE_NAMES)}
        named = {name: value for name, value in named.items() if value is not None}
    times = [named[name] for name in _time_columns(named)]
    if not times:  # a row of a DataFrame: a tuple with its index, or a Series named after it
        times = [_index_time(named.get("index", label))]
    return _joined_time(times), [named.get(name) for name in PRICE_NAMES]


def is_frame(market: object) -> bool:
    """True for a pandas DataFrame, or what behaves like one."""
    return hasattr(market, "columns") and hasattr(market, "iloc")


class FrameBars:
    """The bars of a pandas DataFrame, read by position, of which only the needed rows are converted."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        names = [_column_name(column) for column in frame.columns]
        self._columns = [names.index(name) if name in names else None for name in PRICE_NAMES]
        self._times = [names.index(name) for name in _time_columns(names)]

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def rising(self) -> bool:
        """True when the times are known to rise from each row to the next, or to stay the same."""
        times = self._frame.iloc[:, self._times[0]] if len(self._times) == 1 else self._frame.index
        return len(self._times) < 2 and bool(getattr(times, "is_monotonic_increasing", False))

    def values(self, start: int, stop: int) -> list[tuple[datetime | None, Sequence[Any]]]:
        """``bar_values`` of the rows from ``start`` to before ``stop``."""
        moments = self.moments(start, stop)
        nothing = [None] * len(moments)
        columns = [
            nothing if column is None else self._frame.iloc[start:stop, column].tolist()
            for column in self._columns
        ]
        return [*zip(moments, zip(*columns, strict=True), strict=True)]

    def moments(self, start: int, stop: int) -> list[datetime | None]:
        """The times of the rows from ``start`` to before ``stop``."""
        if not self._times:
            return [_index_time(value) for value in self._frame.index[start:stop].tolist()]
        columns = [self._frame.iloc[start:stop, column].tolist() for column in self._times]
        return [_joined_time(parts) for parts in zip(*columns, strict=True)]


def _missing(value: object) -> bool:
    return value is None


def _padded(values: Sequence[object]) -> list[object]:
    return [*values, *(None for _ in range(5 - len(values)))]


def _column_name(column: object) -> str:
    """The name of a column, of several levels the first, as some feeds add the symbol as a second."""
    first = column[0] if isinstance(column, tuple) and column else column
    return str(first).strip().lower()


def _time_columns(names: Iterable[str]) -> list[str]:
    """Where the time stands: one column, or ``date`` and ``time`` together.

    A date alone, with the time beside it ignored, would let every bar of the day pass for closed.
    """
    known = set(names)
    if not known & {"timestamp", "datetime"} and {"date", "time"} <= known:
        return ["date", "time"]
    return [name for name in TIME_NAMES if name in known][:1]


def _joined_time(parts: Sequence[object]) -> datetime | None:
    if len(parts) == 1:
        return parse_time(parts[0])
    day = parts[0].isoformat()[:10] if isinstance(parts[0], date) else str(parts[0]).strip()
    return parse_time(f"{day} {str(parts[1]).strip()}")


def _index_time(value: object) -> datetime | None:
    """An index of plain numbers counts rows, not seconds."""
    return None if isinstance(value, (int, float)) else parse_time(value)
