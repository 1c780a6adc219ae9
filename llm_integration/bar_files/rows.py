"""One line of a file of bars: what it says, or what is wrong with it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from llm_integration.bar_files.layout import Layout, cells_of
from llm_integration.bar_files.table import EPOCH, Values
from llm_integration.bar_names import PRICES
from llm_integration.times import shown_cell

__all__ = ["Row", "parse_row"]

Row = tuple[int, Values]
"""Microseconds since 1970, then the values."""

MICROSECOND = timedelta(microseconds=1)
MAX_PRICE = 1e15
"""Far above any market; below it no sum or product of prices overflows."""
ROUNDING = 1e-9
"""How far, relative to the price, high and low may miss open and close: adjusted prices are rounded."""
NOTHING = frozenset({"", "-", "null", "none", "n/a", "na"})
"""Cells that say that there is no value."""


def parse_row(line: str, layout: Layout) -> Row | None:
    """What one line says, None when it has a time and no prices at all; raises ValueError with the problem,
    in words, when it is not a bar."""
    columns = layout.columns
    cells = cells_of(line, columns.delimiter)
    if len(cells) != columns.count and not _only_empty(cells[columns.count :], cells, columns.count):
        raise ValueError(f"{len(cells)} fields where the {_first_line(layout)} has {columns.count}")
    moment = layout.times.moment(columns.times(cells))
    if moment is None:
        raise ValueError(_no_time(layout, columns.times(cells)))
    try:
        opened, high, low, close = _prices(layout, cells)
        volume = _volume(layout, cells)
    except ValueError:
        if all(cells[place].strip().casefold() in NOTHING for place in columns.prices):
            return None
        raise _bad_number(cells, layout) from None
    sound = low <= opened <= high and low <= close <= high
    if not sound:
        top, bottom = max(opened, high, close), min(opened, low, close)
        allowed = ROUNDING * max(abs(top), abs(bottom))
        if top - high <= allowed and low - bottom <= allowed:
            high, low, sound = top, bottom, True
    if not sound or low < -MAX_PRICE or high > MAX_PRICE or "_" in line:
        _check_prices(cells, layout)
    if volume is not None and (not 0 <= volume < math.inf or "_" in line):
        _check_volume(volume, cells, layout)
    return (moment - EPOCH) // MICROSECOND, (opened, high, low, close, volume)


def _prices(layout: Layout, cells: Sequence[str]) -> list[float]:
    if layout.plain:
        try:
            return [float(cells[place]) for place in layout.columns.prices]
        except ValueError:
            pass  # perhaps with the sign of a currency, or the first one with thousands
    return [layout.numbers.number(cells[place]) for place in layout.columns.prices]


def _only_empty(rest: Sequence[str], cells: Sequence[str], count: int) -> bool:
    """Some platforms end every line with a separator, but not the header."""
    return len(cells) > count and not any(cell.strip() for cell in rest)


def _first_line(layout: Layout) -> str:
    return "header" if layout.columns.names else "first line"


def _no_time(layout: Layout, cells: Sequence[str]) -> str:
    shown = " ".join(shown_cell(cell) for cell in cells)
    if len(cells) == 2:
        shown = shown_cell(" ".join(cells))
    return f"{shown} is not a time: {layout.times.reason(cells)}; times here are {layout.form}"


def _volume(layout: Layout, cells: Sequence[str]) -> float | None:
    """The first volume that is there and not 0; None where no column has any."""
    found: float | None = None
    for place in layout.columns.volumes:
        cell = cells[place]
        if layout.plain and cell.isdigit() and (value := float(cell)):
            return value
        if cell.strip().casefold() in NOTHING:
            continue
        value = layout.numbers.volume(cell)
        if value != 0:
            return value
        found = value
    return found


def _bad_number(cells: Sequence[str], layout: Layout) -> ValueError:
    columns = layout.columns
    for name, place in (*zip(PRICES, columns.prices, strict=True), *_named_volumes(layout)):
        cell = cells[place].strip()
        if not cell:
            if name == "volume":
                continue
            return ValueError(f"{name} is empty")
        try:
            layout.numbers.volume(cell) if name == "volume" else layout.numbers.number(cell)
        except ValueError:
            return ValueError(f"{name} is not a number: {shown_cell(cell)}")
    raise AssertionError("every value of the line is a number")


def _named_volumes(layout: Layout) -> list[tuple[str, int]]:
    return [("volume", place) for place in layout.columns.volumes]


def _check_prices(cells: Sequence[str], layout: Layout) -> None:
    """Say exactly what is wrong with prices that the quick test of ``parse_row`` did not pass."""
    numbers: dict[str, float] = {}
    for name, place in zip(PRICES, layout.columns.prices, strict=True):
        cell = cells[place].strip()
        numbers[name] = layout.numbers.number(cell)
        if not math.isfinite(numbers[name]) or "_" in cell:
            raise ValueError(f"{name} is not a finite number: {shown_cell(cell)}")
        if abs(numbers[name]) > MAX_PRICE:
            raise ValueError(f"{name} {shown_cell(cell)} is no price: larger than {MAX_PRICE:g}")
    opened, high, low, close = numbers.values()
    if high < low - ROUNDING * abs(low):
        raise ValueError(f"high {high} is below low {low}")
    for name, price in (("open", opened), ("close", close)):
        if not low - ROUNDING * abs(low) <= price <= high + ROUNDING * abs(high):
            raise ValueError(f"{name} {price} lies outside low {low} to high {high}")


def _check_volume(volume: float, cells: Sequence[str], layout: Layout) -> None:
    if volume < 0:
        raise ValueError(f"volume {volume} is negative")
    shown = ", ".join(shown_cell(cells[place].strip()) for place in layout.columns.volumes)
    if not math.isfinite(volume) or "_" in shown:
        raise ValueError(f"volume is not a finite number: {shown}")
