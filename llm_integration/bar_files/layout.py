"""How a file of bars is written, judged by its first lines: separator, columns, times, decimal sign. Pure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from llm_integration.bar_files.numbers import NumberStyle, number_style
from llm_integration.bar_names import PRICES, Roles, folded, roles
from llm_integration.times import TimeColumn, TimeRules, shown_cell

__all__ = ["Columns", "Layout", "cells_of", "columns_of", "further_header", "judge"]

DELIMITERS: Final = ";\t|,"
SPOKEN: Final = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}
NEEDED: Final = ("timestamp", *PRICES)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a line keeps what. ``time`` has two places when date and time of day are separate columns.

    ``names`` are those of the header, empty for a file without one. ``symbols`` are those of its columns,
    in a file that has several headers.
    """

    delimiter: str
    count: int
    time: tuple[int, ...]
    prices: tuple[int, int, int, int]
    volumes: tuple[int, ...]
    symbol: int | None = None
    names: tuple[str, ...] = ()
    more_headers: bool = False
    utc: bool = False
    """Whether the time's name says that it is UTC."""

    def name(self, place: int) -> str:
        """What a message calls a column."""
        return self.names[place].strip() if self.names else f"field {place + 1}"

    def times(self, cells: Sequence[str]) -> tuple[str, ...]:
        """The cells that give the time."""
        return tuple([cells[place] for place in self.time])


@dataclass(slots=True)
class Layout:
    """``Columns``, with the form of times and numbers. ``zone`` is that of times that name none."""

    columns: Columns
    numbers: NumberStyle
    times: TimeColumn
    form: str
    naive: bool = False
    plain: bool = False
    """Whether numbers are written as Python writes them."""

    def _zone(self, zone: object) -> str:
        if not self.naive:
            return "with its zone"
        return "UTC by its name" if self.columns.utc else f"zone {zone}"

    def described(self, zone: object) -> str:
        """How the file is read, in one line."""
        columns = self.columns
        parts = [f"separator {SPOKEN[columns.delimiter]}", "header" if columns.names else "no header"]
        named = " and ".join(shown_cell(columns.name(place)) for place in columns.time)
        parts.append(f"time {named} as {self.form}, {self._zone(zone)}")
        parts += [
            f"{price} {shown_cell(columns.name(place))}"
            for price, place in zip(PRICES, columns.prices, strict=True)
        ]
        volumes = [shown_cell(columns.name(place)) for place in columns.volumes]
        parts.append(f"volume {', or where that is 0 '.join(volumes)}" if volumes else "no volume")
        if columns.symbol is not None:
            parts.append(f"symbol {shown_cell(columns.name(columns.symbol))}")
        decimal = "point" if self.numbers.decimal == "." else "comma"
        grouping = {"": "", ".": ", thousands by point", ",": ", thousands by comma"}[self.numbers.grouping]
        return "; ".join([*parts, f"decimal {decimal}{grouping}"])


def cells_of(line: str, delimiter: str) -> list[str]:
    """The fields of a line; raises ValueError for quotes that do not match."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as error:
        raise ValueError(f"unbalanced quotes ({error})") from None


def columns_of(line: str, rules: TimeRules, delimiter: str = "") -> Columns:
    """The columns by a file's first line, a header or a bar; raises ValueError for what is neither."""
    candidates = [delimiter] if delimiter else [mark for mark in DELIMITERS if mark in line]
    for mark in candidates:
        try:
            cells = cells_of(line, mark)
        except ValueError:
            continue
        found = _of_header(cells, mark) or _of_bar(cells, mark, rules)
        if found is not None:
            return found
    raise ValueError(_what_is_wrong(line, candidates))


def _of_header(cells: Sequence[str], delimiter: str) -> Columns | None:
    found = roles(cells)
    time, more = found.time, False
    if not time and folded(cells[0]) == "price":  # a header of several lines, as yfinance writes
        time, more = (0,), True
    if (found.twice and not more) or not time or not found.priced:
        return None
    return _columns(cells, delimiter, found, time, more=more)


def _columns(
    cells: Sequence[str], delimiter: str, found: Roles, time: tuple[int, ...], *, more: bool
) -> Columns:
    opened, high, low, close = (place or 0 for place in found.prices)
    return Columns(
        delimiter, len(cells), time, (opened, high, low, close), found.volumes, found.symbol,
        tuple(cells), more, found.utc,
    )  # fmt: skip


def further_header(columns: Columns, cells: Sequence[str], symbol: str | None) -> Columns | None:
    """The columns after one more line of a header of several; None when the line is none.

    Of several instruments those of ``symbol`` are chosen; raises ValueError when there are none.
    """
    first = folded(cells[0])
    if first in ("date", "datetime", "timestamp") and not any(cell.strip() for cell in cells[1:]):
        return replace(columns, names=(cells[0], *columns.names[1:]), more_headers=False)
    if first not in ("ticker", "symbol"):
        return None
    tickers = dict.fromkeys(cell.strip() for cell in cells[1:])
    wanted = next(iter(tickers)) if symbol is None and len(tickers) == 1 else symbol or ""
    mine = [cell.strip().casefold() == wanted.strip().casefold() for cell in cells]
    if not any(mine):
        shown = ", ".join(shown_cell(ticker) for ticker in tickers)
        raise ValueError(f"the file has bars of {shown}; name one of them as the symbol")
    names = [name if own else "" for name, own in zip(columns.names, mine, strict=True)]
    return _columns(names, columns.delimiter, roles(names), (0,), more=True)


def _of_bar(cells: Sequence[str], delimiter: str, rules: TimeRules) -> Columns | None:
    """Columns in the usual order, for a first line that is a bar already."""
    for time in ((0,), (0, 1)):
        first = len(time)
        if len(cells) < first + 4 or (first == 2 and ":" not in cells[1]):
            continue
        column = TimeColumn(rules)
        column.add(tuple(cells[:first]))
        if column.empty or not all(map(_is_number, cells[first : first + 4])):
            continue
        volumes = (first + 4,) if len(cells) > first + 4 else ()
        return Columns(delimiter, len(cells), time, (first, first + 1, first + 2, first + 3), volumes)
    return None


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _what_is_wrong(line: str, delimiters: Sequence[str]) -> str:
    delimiter = max(delimiters, key=line.count, default=",")
    cells = cells_of(line, delimiter)
    found = roles(cells)
    if found.twice:
        return f"the header names {', '.join(found.twice)} twice"
    missing = [] if found.time else ["timestamp"]
    missing += [name for name, place in zip(PRICES, found.prices, strict=True) if place is None]
    return f"the header lacks {', '.join(missing)}; needed are {', '.join(NEEDED)}"


def judge(columns: Columns, rows: Sequence[Sequence[str]], rules: TimeRules, *, final: bool) -> Layout | None:
    """How the file is written, by the cells of its first bars; None while more of them may decide it.

    Raises ValueError when no more are to come and its times or numbers can be read in two ways.
    """
    times = TimeColumn(rules)
    times.extend([columns.times(cells) for cells in rows])
    form, problem, _ = times.form(of_the_first=True)
    try:
        numbers = number_style(
            [cells[place] for cells in rows for place in columns.prices], columns.delimiter
        )
    except ValueError:
        if final:
            raise
        return None
    if problem:
        if final:
            named = " and ".join(columns.name(place) for place in columns.time)
            raise ValueError(f"{named} {problem}; write years first")
        return None
    return Layout(columns, numbers, _chosen(form, rules), form, times.naive, numbers == NumberStyle())


def _chosen(form: str, rules: TimeRules) -> TimeColumn:
    column = TimeColumn(rules)
    column.choose(form)
    return column
