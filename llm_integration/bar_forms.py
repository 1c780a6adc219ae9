"""The forms in which hosts and feeds hand over bars, each told apart and read in one place. Pure.

Many bars are an iterable of single ones, a numpy array of rows, a pandas DataFrame, or a mapping of columns
or from times to bars. A single bar is a mapping or an object with names (``bar_names``), or a sequence that
begins with time, open, high, low, close, volume. A frame's time is a column or a level of its index; columns
of two levels hold one instrument each, and so may rows, by a column or a level ``symbol``.

``read_bars`` gives the bars of one instrument around a moment, in order of time, with what could not be
used in words. Times are judged by ``TimeColumn``.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, Protocol, cast

from llm_integration.bar_names import Roles, is_symbol_name, price_role, roles
from llm_integration.fairness import BARS_AT_ONCE, Steps
from llm_integration.times import TimeColumn, TimeRules, is_missing, parse_time, shown_cell

__all__ = ["MAX_BARS", "BarsRead", "Remark", "as_mapping", "is_frame", "parse_time", "read_bars"]

MAX_BARS: Final = 1_000
"""Most bars that are read of one collection: the last ones up to the wanted moment."""
MOST_SEARCHED: Final = 100_000
"""Most rows that are looked at for those of one instrument, the last ones."""
SAMPLED: Final = 40
"""Rows from which the form of a long collection's times is told."""
MOST_NAMED: Final = 5
MOST_SETS_OF_NAMES: Final = 64
ATTRIBUTES: Final = (
    "timestamp", "datetime", "date", "time", "open_time", "ts_event", "t", "open", "high", "low", "close",
    "volume", "o", "h", "l", "c", "v", "symbol", "ticker", "instrument",
)  # fmt: skip
"""What an object that is neither a mapping nor a sequence is asked for."""
ORDER: Final = ("timestamp", "open", "high", "low", "close", "volume")
"""What the items of a sequence are, and the columns of a frame without names."""
NOTHING: Final = (None, None, None, None, None)

Values = Sequence[Any]
"""Open, high, low, close and volume as they were given; None for what is not there."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a shape of input that somebody should know. ``kind`` is the same for all of a shape."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class BarsRead:
    """Bars as time and values, in order of time, and what was given and could not be used."""

    rows: list[tuple[datetime, Values]] = field(default_factory=list)
    remarks: tuple[Remark, ...] = ()
    naive: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """One bar before its time is judged."""

    time: Sequence[object]
    values: Values
    symbol: object = None
    named: bool = False
    """Whether it says of which instrument it is."""


class _UnusableError(Exception):
    """A collection that has no bars to use, with the remark."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.remark = Remark(kind, text)


class _Table(Protocol):
    """Rows by position. ``label`` names what gives the time, and ``utc`` whether by that name it is in UTC;
    ``named`` says that rows name instruments."""

    @property
    def label(self) -> str: ...
    @property
    def utc(self) -> bool: ...
    @property
    def named(self) -> bool: ...
    def __len__(self) -> int: ...
    def symbols(self, start: int, stop: int) -> Sequence[object]: ...
    def times(self, rows: Sequence[int]) -> Sequence[Sequence[object]]: ...
    def read(self, rows: Sequence[int]) -> Sequence[Raw]: ...


def is_frame(market: object) -> bool:
    """True for a pandas DataFrame, or what behaves like one."""
    return hasattr(market, "columns") and hasattr(market, "iloc")


def as_mapping(value: object) -> Mapping[Any, Any] | None:
    """A mapping, a pandas Series or a frame of one row by its names; None for anything else."""
    if type(value) is dict or isinstance(value, Mapping):
        return value
    try:
        given: Any = value
        if is_frame(given):
            given = given.iloc[0] if len(given) == 1 else None
        if hasattr(given, "index") and hasattr(given, "iloc"):
            return dict(zip(given.index.tolist(), given.tolist(), strict=True))
    except Exception:  # whatever a foreign object raises
        return None
    return None


def read_bars(market: object, *, symbol: str, until: datetime | None, rules: TimeRules) -> Steps[BarsRead]:
    """The last ``MAX_BARS`` bars of ``symbol`` stamped at or before ``until``, with pauses where it yields.

    Up to ``MAX_BARS`` bars may stand in any order and all are given, later ones too; more must rise or fall
    in time. Never raises: what a foreign container raises is a remark.
    """
    wanted = "".join(symbol.split()).casefold()
    try:
        table = _table(market, symbol)
        rows = (yield from _of_symbol(table, symbol)) if table.named else range(len(table))
        if not rows:
            return BarsRead()
        if table.utc:
            rules = replace(rules, zone=UTC)
        if len(rows) > MAX_BARS:
            rows = yield from _window(table, rows, until, rules)
        raws: list[Raw] = []
        column = TimeColumn(rules)
        for start in range(0, len(rows), BARS_AT_ONCE):
            piece = table.read(rows[start : start + BARS_AT_ONCE])
            if not table.named:  # single bars may say it though the first did not
                piece = [raw for raw in piece if not raw.named or _same(raw.symbol, wanted)]
            raws += piece
            column.extend([raw.time for raw in piece])
            yield
        return (yield from _judged(table, raws, column))
    except _UnusableError as problem:
        return BarsRead(remarks=(problem.remark,))
    except Exception as error:  # whatever a foreign container raises; the signal is worth more
        name = type(error).__name__
        return BarsRead(
            remarks=(Remark(f"raises {name}", f"the bars given with a signal cannot be read ({name})"),)
        )


def _judged(table: _Table, raws: list[Raw], column: TimeColumn) -> Steps[BarsRead]:
    times = yield from column.in_pieces()
    yield
    found = [
        (moment, raw.values) for moment, raw in zip(times.moments, raws, strict=True) if moment is not None
    ]
    if not all(earlier[0] <= later[0] for earlier, later in pairwise(found)):
        found.sort(key=itemgetter(0))
    if _several_a_day(found, column.zone):
        raise _UnusableError(
            f"{table.label} days",
            f"no bar can be used: {table.label} gives only days, and several bars on one",
        )
    remarks: tuple[Remark, ...] = ()
    if times.problem:
        lost = "no bar can be used" if not found else "bars are left out"
        remarks = (
            Remark(
                f"{table.label} {times.kind} {not found}",
                f"{lost}: {table.label}{_colon(times.kind)} {times.problem}",
            ),
        )
    return BarsRead(found, remarks, times.naive and not table.utc)


def _several_a_day(rows: Sequence[tuple[datetime, Values]], zone: tzinfo) -> bool:
    """Bars of minutes or hours of which only the days are known: every one would pass for closed all day."""
    moments = {moment for moment, _ in rows}
    if len(moments) == len(rows):
        return False
    return len({(moment, repr(values)) for moment, values in rows}) > len(moments) and not any(
        local.hour or local.minute or local.second
        for local in (moment.astimezone(zone) for moment in moments)
    )


def _colon(kind: str) -> str:
    return "" if kind in ("mixed", "two ways") else ":"


# Which rows


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and "".join(one.split()).casefold() == other


def _of_symbol(table: _Table, symbol: str) -> Steps[Sequence[int]]:
    """The rows of one instrument; raises _UnusableError when there is none."""
    wanted = "".join(symbol.split()).casefold()
    rows: list[int] = []
    others: Counter[str] = Counter()
    for start in range(max(0, len(table) - MOST_SEARCHED), len(table), BARS_AT_ONCE * 4):
        for at, given in enumerate(table.symbols(start, min(start + BARS_AT_ONCE * 4, len(table))), start):
            if given == symbol or _same(given, wanted):
                rows.append(at)
            elif len(others) < MOST_NAMED:
                others[shown_cell(given)] += 1
        yield
    if not rows or not wanted:
        raise _no_such(symbol, others)
    return rows


def _no_such(symbol: str, others: Iterable[str]) -> _UnusableError:
    return _UnusableError(
        "other instruments",
        f"no bar can be used: none is of the signal's symbol {shown_cell(symbol)}; given are "
        + ", ".join(others),
    )


def _window(
    table: _Table, rows: Sequence[int], until: datetime | None, rules: TimeRules
) -> Steps[Sequence[int]]:
    """``MAX_BARS`` of ordered rows, up to ``until``; the last or first ones if their times say nothing."""
    sample = TimeColumn(rules)
    step = max(1, len(rows) // SAMPLED)
    sample.extend(table.times([*rows[::step], rows[-1]]))
    form, problem, _ = sample.form()
    yield
    if problem:
        return rows[-MAX_BARS:]
    sample.choose(form)
    first, last = (sample.moment(table.times([rows[place]])[0]) for place in (0, -1))
    rising = first is None or last is None or first <= last
    if until is None:
        return rows[-MAX_BARS:] if rising else rows[:MAX_BARS]
    low, high = 0, len(rows)
    while low < high:  # the first place that is later, or of falling times the first that is not
        middle = (low + high) // 2
        moment = sample.moment(table.times([rows[middle]])[0])
        if (moment is not None and moment > until) == rising:
            high = middle
        else:
            low = middle + 1
        yield
    return rows[max(0, low - MAX_BARS) : low] if rising else rows[low : low + MAX_BARS]


# Which kind of collection


def _table(market: Any, symbol: str) -> _Table:
    if is_frame(market):
        return _FrameTable(market, symbol) if len(market) else _ItemTable(())
    if isinstance(market, Mapping):
        return _of_mapping(market, symbol)
    if hasattr(market, "iloc"):  # a Series of bars, whose labels are no positions
        return _ItemTable(market.tolist())
    if isinstance(market, Iterable) and not isinstance(market, (str, bytes)):
        if isinstance(market, (list, tuple)):
            return _ItemTable(market)
        if hasattr(market, "__len__") and hasattr(market, "__getitem__") and not isinstance(market, deque):
            return _ItemTable(cast("Sequence[object]", market))
        return _ItemTable([*market])
    raise _UnusableError(
        f"a {type(market).__name__}",
        "no bar can be used: bars should be a DataFrame or a collection of bars, "
        f"not a {type(market).__name__}",
    )


def _of_mapping(market: Mapping[Any, Any], symbol: str) -> _Table:
    """Columns by their names, bars by their times, or collections of bars by their symbols."""
    wanted = "".join(symbol.split()).casefold()
    mine = next((values for name, values in market.items() if wanted and _same(name, wanted)), None)
    if mine is not None:
        return _table(mine, symbol)
    columns = [
        (name, values)
        for name, values in market.items()
        if hasattr(values, "__len__")
        and hasattr(values, "__getitem__")
        and not isinstance(values, (str, Mapping))
    ]
    if sum(price_role(name) is not None for name, _ in columns) > 1:
        return _ColumnTable([name for name, _ in columns], [values for _, values in columns])
    if market and all(as_mapping(values) is not None for values in market.values()):
        return _ItemTable([_timed(moment, as_mapping(values) or {}) for moment, values in market.items()])
    raise _UnusableError(
        "a mapping", "no bar can be used: a mapping of bars should hold columns or bars by their times"
    )


def _timed(moment: object, bar: Mapping[Any, Any]) -> Mapping[Any, Any]:
    return bar if roles(bar).time else {**bar, "timestamp": moment}


def _values_of(given: Sequence[Any], found: Roles) -> list[Any]:
    prices = [None if place is None else given[place] for place in found.prices]
    return [*prices, _volume([given[place] for place in found.volumes])]


def _volume(given: Sequence[Any]) -> Any:
    """The first that is there and not 0: some platforms leave the volume 0 and count ticks beside it."""
    for value in given[:-1]:
        if not is_missing(value) and value not in (0, "0", "0.0"):
            return value
    last = given[-1] if given else None
    return last if not is_missing(last) or len(given) < 2 else given[0]


class _ItemTable:
    """Single bars, each read by its own form."""

    def __init__(self, items: Sequence[object]) -> None:
        self._items = items
        self._roles: dict[tuple[object, ...], Roles] = {}
        self.label = "the first item of each bar"
        self.utc = False
        self.named = len(items) > 0 and self._raw(items[0]).named
        first = items[0] if self.named else None
        self._symbol_key = next(filter(is_symbol_name, first), None) if type(first) is dict else None

    def __len__(self) -> int:
        return len(self._items)

    def symbols(self, start: int, stop: int) -> Sequence[object]:
        return [
            item[self._symbol_key]
            if type(item) is dict and self._symbol_key in item
            else self._raw(item).symbol
            for item in self._items[start:stop]
        ]

    def times(self, rows: Sequence[int]) -> Sequence[Sequence[object]]:
        return [self._raw(self._items[row]).time for row in rows]

    def read(self, rows: Sequence[int]) -> Sequence[Raw]:
        items = self._items
        if isinstance(rows, range) and rows.step == 1:
            return [self._raw(item) for item in items[rows.start : rows.stop]]
        return [self._raw(items[row]) for row in rows]

    def _raw(self, item: object) -> Raw:
        if type(item) is list or type(item) is tuple:
            return Raw(item[:1] or (None,), _five(item))
        try:
            return self._foreign(item)
        except Exception:  # whatever a foreign object raises: a bar of which nothing is known
            return Raw((None,), NOTHING)

    def _foreign(self, item: Any) -> Raw:
        if type(item) is dict or isinstance(item, Mapping):
            return self._named([*item.keys()], [*item.values()])
        if hasattr(item, "items") and hasattr(item, "index"):  # a Series; its name is the row's index
            return self._named(item.index.tolist(), item.tolist(), item.name)
        names = getattr(item, "_fields", None) or getattr(getattr(item, "dtype", None), "names", None)
        if names is not None:
            return self._named(names, [*(item.tolist() if hasattr(item, "tolist") else item)])
        if hasattr(item, "tolist"):
            item = item.tolist()  # a row of a numpy array
        if isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
            return Raw(item[:1] or (None,), _five(item))
        found = [(name, getattr(item, name, None)) for name in ATTRIBUTES]
        there = [pair for pair in found if pair[1] is not None]
        return self._named([name for name, _ in there], [value for _, value in there])

    def _named(self, names: Sequence[object], values: Sequence[Any], index: object = None) -> Raw:
        there = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
        key = tuple([name for name, _ in there])
        values = [value for _, value in there]
        found = self._roles.get(key)
        if found is None:
            found = roles(key)
            if not self._roles:  # those of the first bar stand for the others
                self.label = _column_label(key, found) if found.time else "the bars' index"
                self.utc = found.utc
            if len(self._roles) < MOST_SETS_OF_NAMES:
                self._roles[key] = found
        if found.twice:
            return Raw((None,), NOTHING)
        time = tuple([values[place] for place in found.time]) or (index,)
        symbol = None if found.symbol is None else values[found.symbol]
        return Raw(time, _values_of(values, found), symbol, found.symbol is not None)


def _five(item: Sequence[Any]) -> Values:
    values = item[1:6]
    return values if len(values) == 5 else [*values, *NOTHING[len(values) :]]


class _ColumnTable:
    """Columns of equal length by their names."""

    def __init__(self, names: Sequence[object], columns: Sequence[Any]) -> None:
        self._columns = columns
        self._found = roles(names)
        _check(self._found, names)
        self._length = min(len(column) for column in columns)
        self.label = _column_label(names, self._found)
        self.utc = self._found.utc
        self.named = self._found.symbol is not None

    def __len__(self) -> int:
        return self._length

    def symbols(self, start: int, stop: int) -> Sequence[object]:
        return [self._columns[self._found.symbol or 0][row] for row in range(start, stop)]

    def times(self, rows: Sequence[int]) -> Sequence[Sequence[object]]:
        return [tuple([self._columns[place][row] for place in self._found.time]) for row in rows]

    def read(self, rows: Sequence[int]) -> Sequence[Raw]:
        return [
            Raw(time, _values_of([column[row] for column in self._columns], self._found))
            for time, row in zip(self.times(rows), rows, strict=True)
        ]


def _column_label(names: Sequence[object], found: Roles) -> str:
    return " and ".join(f"column {shown_cell(names[place])}" for place in found.time)


def _check(found: Roles, names: Iterable[object], *, timed: bool = False) -> None:
    if found.twice:
        raise _UnusableError(
            f"twice {found.twice}", f"no bar can be used: two columns are named {', '.join(found.twice)}"
        )
    if not found.time and not timed:
        shown = ", ".join(shown_cell(name) for name in [*names][:MOST_NAMED])
        raise _UnusableError(
            f"no time {shown}", f"no bar can be used: none of the columns gives the time ({shown})"
        )


class _FrameTable:
    """The rows of a pandas DataFrame, of which only the needed ones are converted."""

    def __init__(self, frame: Any, symbol: str) -> None:
        self._frame = frame
        names, self._places = _flat(frame, symbol)
        found = roles(names)
        levels = [*getattr(frame.index, "names", [None])]
        level = _time_level(frame.index)
        self._level: int | None = None
        if level is not None and (not found.time or found.apart):
            self._level = level
        elif not found.time:
            self._level = _named_level(frame.index, levels)
        _check(found, names, timed=self._level is not None)
        self._found = found
        self.label = self._label(names, levels)
        self.utc = found.utc if self._level is None else roles([levels[self._level]]).utc
        self._symbol_level = (
            None if found.symbol is not None else _symbol_level(frame.index, levels, self._level)
        )
        self.named = found.symbol is not None or self._symbol_level is not None

    def __len__(self) -> int:
        return len(self._frame)

    def _label(self, names: Sequence[object], levels: Sequence[object]) -> str:
        if self._level is None:
            return _column_label(names, self._found)
        name = levels[self._level]
        return "the index" if name is None else f"index {shown_cell(name)}"

    def symbols(self, start: int, stop: int) -> Sequence[object]:
        if self._symbol_level is not None:
            return _level_cells(self._frame.index[start:stop], self._symbol_level)
        return self._cells(self._found.symbol or 0, range(start, stop))

    def times(self, rows: Sequence[int]) -> Sequence[Sequence[object]]:
        if self._level is None:
            return [*zip(*(self._cells(place, rows) for place in self._found.time), strict=True)]
        return [(cell,) for cell in _level_cells(self._frame.index[_pick(rows)], self._level)]

    def read(self, rows: Sequence[int]) -> Sequence[Raw]:
        found = self._found
        nothing = [None] * len(rows)
        prices = [nothing if place is None else self._cells(place, rows) for place in found.prices]
        volumes = [self._cells(place, rows) for place in found.volumes]
        volume = [_volume(cells) for cells in zip(*volumes, strict=True)] if volumes else nothing
        return [*map(Raw, self.times(rows), zip(*prices, volume, strict=True))]

    def _cells(self, place: int, rows: Sequence[int]) -> list[Any]:
        cells: list[Any] = self._frame.iloc[_pick(rows), self._places[place]].tolist()
        return cells


def _pick(rows: Sequence[int]) -> slice | list[int]:
    return slice(rows.start, rows.stop) if isinstance(rows, range) and rows.step == 1 else [*rows]


def _flat(frame: Any, symbol: str) -> tuple[list[object], list[int]]:
    """Names and places of the columns; of several levels, those of one instrument and the common ones."""
    columns = [*frame.columns]
    if len(columns) >= len(ORDER) - 1 and columns == [*range(len(columns))]:  # made of rows, without names
        return [*ORDER, *columns[len(ORDER) :]][: len(columns)], columns
    if not any(type(column) is tuple for column in columns):
        return columns, [*range(len(columns))]
    parts = [column if isinstance(column, tuple) else (column,) for column in columns]
    fields = _fields_level(parts)
    wanted = "".join(symbol.split()).casefold()
    names: list[object] = []
    places: list[int] = []
    others: dict[str, None] = {}
    for place, part in enumerate(parts):
        name, instrument = _split(part, fields)
        if not instrument or any(_same(text, wanted) for text in instrument):
            names.append(name)
            places.append(place)
        elif price_role(name) is not None and len(others) < MOST_NAMED:
            others[shown_cell(instrument[0])] = None
    if others and not any(price_role(name) for name in names):
        raise _no_such(symbol, others)
    return names, places


def _fields_level(columns: Sequence[tuple[object, ...]]) -> int:
    """The level that says open, high, low and close; the others say of what."""
    counts = [
        len({price_role(column[level]) for column in columns if len(column) > level} - {None})
        for level in range(max(map(len, columns)))
    ]
    return counts.index(max(counts))


def _split(column: tuple[object, ...], fields: int) -> tuple[object, list[object]]:
    """The field that a column of several levels holds, and what it is of: nothing for one common to all."""
    name = column[fields] if len(column) > fields else None
    if is_missing(name):  # an index that was made a column stands in the first level
        name = next((text for text in column if not is_missing(text)), "")
    rest = [text for at, text in enumerate(column) if at != fields and not is_missing(text) and text != name]
    return name, rest


def _level_cells(index: Any, level: int) -> list[Any]:
    cells: list[Any] = (index.get_level_values(level) if _depth(index) > 1 else index).tolist()
    return cells


def _depth(index: Any) -> int:
    return int(getattr(index, "nlevels", 1))


def _time_level(index: Any) -> int | None:
    """The level of the index that holds times, by their type; never one that counts rows."""
    for level in range(_depth(index)):
        values = index.levels[level] if _depth(index) > 1 else index
        kind = getattr(values, "inferred_type", "")
        if str(kind).startswith(("datetime", "period", "date")):
            return level
    return None


def _named_level(index: Any, names: Sequence[object]) -> int | None:
    """The level of the index that may hold times as text or numbers."""
    for level, name in enumerate(names):
        if name is not None and roles([name]).time:
            return level
    unnamed = [level for level, name in enumerate(names) if name is None]
    if _depth(index) > 1:
        return unnamed[0] if len(unnamed) == 1 else None
    return None if type(index).__name__ == "RangeIndex" else 0  # which only counts rows


def _symbol_level(index: Any, names: Sequence[object], time_level: int | None) -> int | None:
    """The level of the index that names instruments."""
    for level, name in enumerate(names):
        if level != time_level and name is not None and is_symbol_name(name):
            return level
    if _depth(index) < 2:
        return None
    texts = [
        level
        for level in range(_depth(index))
        if level != time_level and getattr(index.levels[level], "inferred_type", "") == "string"
    ]
    return texts[0] if len(texts) == 1 else None
