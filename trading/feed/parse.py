"""One line of a CSV of bars: which column is which, and what the line says. Pure."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from trading.feed.table import EPOCH
from trading.text import shown

__all__ = ["Columns", "Row", "parse_row"]

Row = tuple[int, tuple[float, float, float, float, float]]
"""Microseconds since 1970, then open, high, low, close, volume."""

VALUES = ("open", "high", "low", "close", "volume")
DELIMITERS = ",;\t"
MICROSECOND = timedelta(microseconds=1)
EARLIEST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
LATEST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
MAX_PRICE = 1e15
"""Far above any market; below it no sum or product of prices overflows."""
NUMBER_ONLY = re.compile(r"[0-9]{9,}(\.[0-9]*)?")
EARLIEST_EPOCH = datetime(1980, 1, 1, tzinfo=UTC).timestamp()
LATEST_EPOCH = datetime(2100, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a file keeps what. ``time`` has two places when date and time of day are separate columns."""

    delimiter: str
    count: int
    time: tuple[int, ...]
    values: tuple[int, ...]

    @classmethod
    def from_header(cls, line: str) -> Columns:
        """Read the header; raises ValueError for missing or repeated names."""
        delimiter = max(DELIMITERS, key=line.count)
        names = [name.strip().lower() for name in _cells(line, delimiter)]
        time = _time_columns(names)
        missing = ([] if time else ["timestamp"]) + [name for name in VALUES if name not in names]
        if missing:
            raise ValueError(
                f"the header lacks {', '.join(missing)}; needed are timestamp, {', '.join(VALUES)}"
            )
        used = [*time, *VALUES]
        for name in used:
            if names.count(name) > 1:
                raise ValueError(f"the header names {name} twice")
        places = [names.index(name) for name in used]
        return cls(delimiter, len(names), tuple(places[: len(time)]), tuple(places[len(time) :]))


def _time_columns(names: Sequence[str]) -> tuple[str, ...]:
    for name in ("timestamp", "datetime"):
        if name in names:
            return (name,)
    return tuple(name for name in ("date", "time") if name in names)


def parse_row(line: str, columns: Columns) -> Row:
    """What one line says; raises ValueError with the problem, in words, when it is not a bar."""
    cells = _cells(line, columns.delimiter)
    if len(cells) != columns.count:
        raise ValueError(f"{len(cells)} fields where the header has {columns.count}")
    moment = _microseconds(" ".join(cells[place] for place in columns.time).strip())
    try:
        values = tuple(float(cells[place]) for place in columns.values)
    except ValueError:
        raise _bad_number(cells, columns) from None
    opened, high, low, close, volume = values
    sound = low <= opened <= high and low <= close <= high and 0 <= volume < math.inf
    if not sound or low < -MAX_PRICE or high > MAX_PRICE or "_" in line:
        _check_values(cells, columns)
    return moment, (opened, high, low, close, volume)


def _cells(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as error:
        raise ValueError(f"unbalanced quotes ({error})") from None


def _microseconds(text: str) -> int:
    if text.isascii() and NUMBER_ONLY.fullmatch(text):
        return _epoch(text)
    microseconds = _iso(text)
    if microseconds is None:
        raise ValueError(
            f"{shown(text)} is not a time; write ISO 8601, such as 2017-01-31T22:00:00Z, "
            "or seconds or milliseconds since 1970"
        )
    return microseconds


def _iso(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    microseconds = (aware - EPOCH) // MICROSECOND
    # The calendar's first and last day have hours with an offset that do not exist in UTC.
    return microseconds if EARLIEST <= microseconds <= LATEST else None


def _epoch(text: str) -> int:
    """Seconds or milliseconds. The bounds keep a time written as 201701312200 from being taken for either."""
    for per_second in (1, 1_000):
        seconds = float(text) / per_second
        if EARLIEST_EPOCH <= seconds < LATEST_EPOCH:
            return round(seconds * 1_000_000)
    raise ValueError(f"{shown(text)} is not a time in seconds or milliseconds since 1970 (1980 to 2099)")


def _bad_number(cells: Sequence[str], columns: Columns) -> ValueError:
    for name, place in zip(VALUES, columns.values, strict=True):
        cell = cells[place].strip()
        if not cell:
            return ValueError(f"{name} is empty")
        try:
            float(cell)
        except ValueError:
            return ValueError(f"{name} is not a number: {shown(cell)}")
    raise AssertionError("every value of the line is a number")


def _check_values(cells: Sequence[str], columns: Columns) -> None:
    """Say exactly what is wrong with a line that the quick test of ``parse_row`` did not pass."""
    numbers: dict[str, float] = {}
    for name, place in zip(VALUES, columns.values, strict=True):
        cell = cells[place].strip()
        numbers[name] = float(cell)
        if not math.isfinite(numbers[name]) or "_" in cell:
            raise ValueError(f"{name} is not a finite number: {shown(cell)}")
        if name != "volume" and abs(numbers[name]) > MAX_PRICE:
            raise ValueError(f"{name} {shown(cell)} is no price: larger than {MAX_PRICE:g}")
    opened, high, low, close, volume = numbers.values()
    if high < low:
        raise ValueError(f"high {high} is below low {low}")
    for name, price in (("open", opened), ("close", close)):
        if not low <= price <= high:
            raise ValueError(f"{name} {price} lies outside low {low} to high {high}")
    if volume < 0:
        raise ValueError(f"volume {volume} is negative")
