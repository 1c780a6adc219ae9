"""The shapes in which hosts hand over bars: the right bars are shown, none from later, none of another's.

Forty bars an hour or a day apart, and a signal at 10:00 on 5 January 2026 that lies among them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llm_integration import (
    InvalidSignalError,
    LLMConfig,
    LLMWorker,
    Signal,
    SignalFormatter,
    SignalMemoryStore,
)
from llm_integration.domain import Bar, Remark, signal_in_pieces
from llm_integration.fairness import at_once
from llm_integration.remarks import MOST_KINDS, Remarks
from llm_integration.times import TimeRules, zone_named
from tests.unit.worker_parts import MemoryDatabase, ScriptedProcessor, Sink, signal_mapping

SIGNAL = datetime(2026, 1, 5, 10, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOURS = [datetime(2026, 1, 4, tzinfo=UTC) + timedelta(hours=hour) for hour in range(40)]
DAYS = [datetime(2025, 12, 15, tzinfo=UTC) + timedelta(days=day) for day in range(40)]
NAMES = ["open", "high", "low", "close", "volume"]
OTHERS = 5_000.0
"""How much higher the prices of the other instrument are."""


def values(count: int = 40, more: float = 0.0) -> list[tuple[float, ...]]:
    return [
        (100.0 + n + more, 101.0 + n + more, 99.0 + n + more, 100.5 + n + more, 7.0 + n) for n in range(count)
    ]


def frame(more: float = 0.0, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(values(more=more), columns=NAMES).assign(**columns)


def indexed(index: Any, more: float = 0.0) -> pd.DataFrame:
    return frame(more).set_axis(index)


def days(form: str) -> list[str]:
    return [f"{day:{form}}" for day in DAYS]


def hours(form: str) -> list[str]:
    return [f"{hour:{form}}" for hour in HOURS]


def epochs(times: int = 1) -> list[int]:
    return [int(hour.timestamp()) * times for hour in HOURS]


def long() -> pd.DataFrame:
    ours, theirs = frame(timestamp=HOURS, symbol="ES"), frame(OTHERS, timestamp=HOURS, symbol="NQ")
    return pd.concat([ours, theirs], ignore_index=True)


def wide() -> pd.DataFrame:
    index = pd.DatetimeIndex(HOURS, name="Date")
    return pd.concat({"NQ": indexed(index, OTHERS), "ES": indexed(index)}, axis=1)


def rows(times: list[Any]) -> list[list[Any]]:
    return [[time, *row] for time, row in zip(times, values(), strict=True)]


def mappings(times: list[Any], name: str, names: list[str] = NAMES) -> list[dict[str, Any]]:
    return [
        {name: time, **dict(zip(names, row, strict=True))} for time, row in zip(times, values(), strict=True)
    ]


def binance(times: list[Any]) -> list[list[Any]]:
    return [
        [time, *(str(value) for value in row), time + 3_599_999, "1.5", 12, "0.5", "0.7", "0"]
        for time, row in zip(times, values(), strict=True)
    ]


def structured() -> Any:
    kinds = [("time", "i8"), ("open", "f8"), ("high", "f8"), ("low", "f8"), ("close", "f8"),
             ("tick_volume", "u8"), ("spread", "i4"), ("real_volume", "u8")]  # fmt: skip
    return np.array([(time, *row, 2, 0) for time, row in zip(epochs(), values(), strict=True)], dtype=kinds)


def excel(offset: float = 0.0) -> list[float]:
    return [(day - datetime(1899, 12, 30, tzinfo=UTC)).days + offset for day in DAYS]


HOURLY: dict[str, Callable[[], Any]] = {
    # MetaTrader 5: an epoch beside a date of the user's own
    "time in seconds and a date": lambda: frame(time=epochs(), date=hours("%Y-%m-%d")),
    "time in seconds and a date typed": lambda: frame(time=epochs(), date=[hour.date() for hour in HOURS]),
    "time in seconds and a session date": lambda: frame(time=epochs(), date="2026-01-06"),
    "time in milliseconds and a date in words": lambda: frame(time=epochs(1_000), date="Monday"),
    "mappings with time in seconds and a date": lambda: [
        {**bar, "date": "2026-01-04"} for bar in mappings(epochs(), "time")
    ],
    "rates as a structured array": structured,
    "t in milliseconds and a date": lambda: frame(t=epochs(1_000), date=hours("%Y-%m-%d")),
    "date and time apart": lambda: frame(date=hours("%Y.%m.%d"), time=hours("%H:%M")),
    "date typed and time as text": lambda: frame(Date=[hour.date() for hour in HOURS], Time=hours("%H:%M:%S")),
    "date and time as numbers": lambda: frame(
        date=[int(day) for day in hours("%Y%m%d")], time=[int(clock) for clock in hours("%H%M%S")]
    ),
    # Several instruments
    "long frame": long,
    "long frame, the other first": lambda: long()[::-1],
    "long frame, interleaved": lambda: long().sort_values("timestamp", kind="stable"),
    "long frame with ticker in capitals": lambda: long().rename(columns={"symbol": "TICKER"}),
    "long frame with blanks around the symbol": lambda: long().assign(symbol=lambda data: " " + data.symbol.str.lower()),
    "long frame with instrument": lambda: long().rename(columns={"symbol": "instrument"}),
    "long frame as mappings": lambda: long().to_dict("records"),
    "long frame as tuples with names": lambda: [*long().itertuples()],
    "long frame of categories": lambda: long().astype({"symbol": "category"}),
    "wide frame": wide,
    "wide frame, fields first": lambda: wide().swaplevel(axis=1),
    "wide frame, fields first and sorted": lambda: wide().swaplevel(axis=1).sort_index(axis=1),
    "wide frame with its index as a column": lambda: wide().reset_index(),
    "wide frame with named levels": lambda: wide().rename_axis(columns=["Ticker", "Price"]),
    "wide frame with capital names": lambda: wide().rename(columns=str.upper, level=1),
    "wide frame of one": lambda: wide()[["ES"]],
    # Index of two levels
    "index of symbol and timestamp": lambda: long().set_index(["symbol", "timestamp"]),
    "index of timestamp and symbol": lambda: long().set_index(["timestamp", "symbol"]).sort_index(),
    "index of two levels without names": lambda: long().set_index(["symbol", "timestamp"]).rename_axis([None, None]),
    "index of two levels, times as text": lambda: long().assign(
        timestamp=lambda data: data.timestamp.astype(str)
    ).set_index(["symbol", "timestamp"]),
    "index of two levels, epochs": lambda: long().assign(timestamp=epochs() * 2).set_index(["symbol", "timestamp"]),
    "index of ticker and date, as libraries stack": lambda: long().rename(
        columns={"symbol": "Ticker", "timestamp": "Date"}
    ).set_index(["Date", "Ticker"]),
    # Nanoseconds and their like
    "timestamp in nanoseconds": lambda: frame(timestamp=epochs(10**9)),
    "timestamp in nanoseconds as float": lambda: frame(timestamp=np.array(epochs(10**9), dtype="float64")),
    "timestamp in microseconds": lambda: frame(timestamp=epochs(10**6)),
    "timestamp in milliseconds as text": lambda: frame(timestamp=[str(time) for time in epochs(1_000)]),
    "timestamp in seconds, unsigned": lambda: frame(timestamp=np.array(epochs(), dtype="uint64")),
    "ts_event in nanoseconds": lambda: frame(ts_event=epochs(10**9)),
    "ts_event as index": lambda: indexed(pd.DatetimeIndex(HOURS, name="ts_event")),
    # Lists, newest first
    "lists of milliseconds as text, newest first": lambda: rows([str(time) for time in epochs(1_000)])[::-1],
    "lists of seconds, newest first": lambda: rows(epochs())[::-1],
    "lists of ISO text, newest first": lambda: rows(hours("%Y-%m-%dT%H:%M:%SZ"))[::-1],
    "mappings, newest first": lambda: mappings(epochs(1_000), "timestamp")[::-1],
    "bars, newest first": lambda: [Bar(time, *row) for time, row in zip(HOURS, values(), strict=True)][::-1],
    "frame, newest first": lambda: frame(timestamp=HOURS)[::-1],
    "tuples of microseconds, shuffled": lambda: [tuple(row) for row in rows(epochs(10**6))[::3] + rows(epochs(10**6))[1::3] + rows(epochs(10**6))[2::3]],
    # Names of exchanges and feeds
    "column open_time": lambda: frame(open_time=epochs(1_000)),
    "column Open time": lambda: frame().assign(**{"Open time": epochs(1_000), "Close time": [time + 3_599_999 for time in epochs(1_000)]}),
    "twelve fields of Binance": lambda: binance(epochs(1_000)),
    "twelve fields of Binance as text": lambda: [[*map(str, row)] for row in binance(epochs(1_000))],
    "t, o, h, l, c, v": lambda: mappings(epochs(1_000), "t", ["o", "h", "l", "c", "v"]),
    "frame of t, o, h, l, c, v": lambda: pd.DataFrame(mappings(epochs(1_000), "t", ["o", "h", "l", "c", "v"])),
    "columns by their names": lambda: {"t": epochs(), **{n[0]: [row[at] for row in values()] for at, n in enumerate(NAMES)}, "s": "ok"},
    "columns with long names": lambda: {"timestamp": hours("%Y-%m-%d %H:%M"), **{n: [row[at] for row in values()] for at, n in enumerate(NAMES)}},
    "bars by their times": lambda: dict(zip(hours("%Y-%m-%d %H:%M:%S"), mappings(HOURS, "x"), strict=True)),
    "numbered names": lambda: dict(zip(hours("%Y-%m-%d %H:%M:%S"), mappings(HOURS, "x", [f"{n}. {name}" for n, name in enumerate(NAMES, 1)]), strict=True)),
    "Gmt time": lambda: frame().assign(**{"Gmt time": hours("%d.%m.%Y %H:%M:00.000")}),
    "text with UTC": lambda: frame(date=hours("%Y-%m-%d %H:%M:%S UTC")),
    "MetaTrader's dots": lambda: frame(time=hours("%Y.%m.%d %H:%M")),
    "IBKR's blanks": lambda: frame(date=hours("%Y%m%d  %H:%M:%S")),
    "German words": lambda: frame(Zeitstempel=HOURS).rename(
        columns={"open": "Eröffnung", "high": "Hoch", "low": "Tief", "close": "Schluss", "volume": "Volumen"}
    ),
    # Periods and indexes
    "PeriodIndex": lambda: indexed(pd.period_range("2026-01-04", periods=40, freq="h")),
    "PeriodIndex with a name": lambda: indexed(pd.period_range("2026-01-04", periods=40, freq="h", name="bar")),
    "column of periods": lambda: frame(timestamp=pd.period_range("2026-01-04", periods=40, freq="h")),
    "index of epochs": lambda: indexed(pd.Index(epochs(), name="time")),
    "index of text": lambda: indexed(pd.Index(hours("%Y-%m-%d %H:%M"))),
    "index in New York": lambda: indexed(pd.DatetimeIndex(HOURS).tz_convert("America/New_York")),
    "an index of times beside a column of dates": lambda: frame(date=[hour.date() for hour in HOURS]).set_axis(pd.DatetimeIndex(HOURS)),
    "an index of times beside a time of day": lambda: frame(time=hours("%H:%M")).set_axis(pd.DatetimeIndex(HOURS)),
    "an index of times beside date and time": lambda: frame(date=hours("%d/%m/%Y"), time=hours("%H:%M")).set_axis(pd.DatetimeIndex(HOURS)),
    "a date and a timestamp of hours": lambda: frame(date=hours("%Y-%m-%d"), timestamp=hours("%H:%M:%S")),
    "an index of symbols": lambda: long().set_index("symbol"),
    "a frame without names": lambda: pd.DataFrame(rows(epochs(1_000))),
    "a frame without names and with more": lambda: pd.DataFrame(binance(epochs(1_000))),
    "frames by their symbols": lambda: {"NQ": frame(OTHERS, time=epochs()), "es ": frame(time=epochs())},
    "lists by their symbols": lambda: {"NQ": rows(HOURS)[:3], "ES": rows(HOURS)},
    "a Series of bars": lambda: pd.Series(mappings(HOURS, "time"), index=range(7, 47)),
    "array of numbers": lambda: np.array([[time, *row] for time, row in zip(epochs(), values(), strict=True)]),
}  # fmt: skip

DAILY: dict[str, Callable[[], Any]] = {
    "date as integers": lambda: frame(date=[int(day) for day in days("%Y%m%d")]),
    "date as floats": lambda: frame(date=[float(day) for day in days("%Y%m%d")]),
    "date as digits": lambda: frame(date=days("%Y%m%d")),
    "datetime as integers": lambda: frame(datetime=[int(f"{day}000000") for day in days("%Y%m%d")]),
    "index of integers": lambda: indexed(pd.Index([int(day) for day in days("%Y%m%d")], name="date")),
    "integers of numpy": lambda: frame(date=np.array([int(day) for day in days("%Y%m%d")], dtype="int32")),
    "tuples that begin with an integer": lambda: [(int(day), *row) for day, row in zip(days("%Y%m%d"), values(), strict=True)],
    "lists that begin with digits": lambda: rows(days("%Y%m%d")),
    "mappings with an integer": lambda: mappings([int(day) for day in days("%Y%m%d")], "date"),
    "array that begins with a number": lambda: np.array([(int(day), *row) for day, row in zip(days("%Y%m%d"), values(), strict=True)]),
    "columns with integers": lambda: {"date": [int(day) for day in days("%Y%m%d")], **{n: [row[at] for row in values()] for at, n in enumerate(NAMES)}},
    "slashes, day first": lambda: frame(date=days("%d/%m/%Y")),
    "slashes, month first": lambda: frame(Date=days("%m/%d/%Y")),
    "words": lambda: rows(days("%d %b %Y")),
    "dates": lambda: rows([day.date() for day in DAYS]),
}  # fmt: skip

UNUSABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "Excel's days": (lambda: frame(date=excel()), "column 'date': no time that can be read in one way (days as Excel"),
    "Excel's days with hours": (lambda: frame(date=excel(0.375)), "days as Excel counts them"),
    "Excel's days as text": (lambda: frame(date=[str(day) for day in excel(0.5)]), "days as Excel counts them"),
    "Excel's days as index": (lambda: indexed(pd.Index(excel())), "days as Excel counts them"),
    "Excel's days in tuples": (lambda: [(day, *row) for day, row in zip(excel(), values(), strict=True)], "days as Excel"),
    "Excel's days in mappings": (lambda: mappings(excel(), "date"), "days as Excel counts them"),
    "day or month": (lambda: frame(when=1, date=hours("%d/%m/%Y %H:%M")), "column 'date' can be read in two ways, such as '04/01/2026 00:00'"),
    "day or month in lists": (lambda: rows(hours("%m/%d/%Y %H:%M")), "the first item of each bar can be read in two ways, such as '01/04/2026 00:00'"),
    "day or month in mappings": (lambda: mappings(hours("%d-%m-%Y %H:%M"), "time"), "column 'time' can be read in two ways, such as '04-01-2026 00:00'"),
    "day or month in an index": (lambda: indexed(pd.Index(hours("%d/%m/%Y %H:%M"))), "the index can be read in two ways"),
    "day or month beside a time": (lambda: frame(date=hours("%d/%m/%Y"), time=hours("%H:%M")), "column 'date' and column 'time' can be read in two ways"),
    "hours or minutes": (lambda: frame(date=hours("%Y-%m-%d"), time=[hour.hour * 100 for hour in HOURS]), "can be read in two ways"),
    "units mixed": (lambda: rows([*epochs()[:20], *epochs(1_000)[20:]]), "written in several ways"),
    "two-digit years": (lambda: frame(date=hours("%d.%m.%y %H:%M")), "no time that can be read in one way in 40 of 40"),
    "only counted rows": (frame, "none of the columns gives the time"),
    "counted rows of a part": (lambda: frame().iloc[5:].set_axis(range(5, 40)), "none of the columns gives the time"),
    "a counter named time": (lambda: frame(time=range(40)), "column 'time': no time that can be read in one way"),
    "times of day alone": (lambda: frame(time=hours("%H:%M")), "column 'time': no time that can be read in one way"),
    "times of day taken for today's": (lambda: frame(date=hours("%Y-%m-%d"), time=pd.to_datetime(hours("2026-05-20 %H:%M"))), "no time that can be read in one way"),
    "days of hourly bars": (lambda: frame(date=hours("%Y-%m-%d")), "column 'date' gives only days, and several bars on one"),
    "days of hourly bars in lists": (lambda: rows([hour.date() for hour in HOURS]), "the first item of each bar gives only days"),
    "days of hourly bars as integers": (lambda: mappings([int(day) for day in hours("%Y%m%d")], "timestamp"), "gives only days"),
    "before 1980": (lambda: rows([f"{1930 + n}-01-05" for n in range(40)]), "before 1980 in 40 of 40"),
    "long frame of others": (lambda: long().replace("ES", "CL"), "none is of the signal's symbol 'ES'; given are 'CL', 'NQ'"),
    "wide frame of others": (lambda: wide()[["NQ"]], "none is of the signal's symbol 'ES'; given are 'NQ'"),
    "index of others": (lambda: long().replace("ES", "CL").set_index(["symbol", "timestamp"]), "given are 'CL', 'NQ'"),
    "mappings of others": (lambda: [{**bar, "symbol": "NQ"} for bar in mappings(epochs(), "t")], "given are 'NQ'"),
    "a frame with a symbol that is missing": (lambda: frame(timestamp=HOURS, symbol=None), "none is of the signal's symbol"),
    "two columns of closes": (lambda: frame(timestamp=HOURS, Close=1.0), "two columns are named close"),
    "prices that are text": (lambda: frame(timestamp=HOURS).astype(str).assign(open="n/a", timestamp=HOURS), "40 of 40 bars are left out: a price is missing or is no number"),
    "no prices": (lambda: pd.DataFrame({"timestamp": HOURS}), "a price is missing or is no number"),
    "frames by other symbols": (lambda: {"NQ": frame(time=epochs()), "CL": frame(time=epochs())}, "a mapping of bars should hold"),
    "a frame of numbers without names": (lambda: pd.DataFrame(values()), "column 'timestamp': no time that can be read"),
    "a number": (lambda: 7, "bars should be a DataFrame or a collection of bars, not a int"),
    "a text": (lambda: "2026-01-05,1,1,1,1", "not a str"),
    "a mapping": (lambda: {"open": 1.0}, "a mapping of bars should hold columns or bars by their times"),
    "later than tomorrow": (lambda: rows([hour + timedelta(days=3_000) for hour in HOURS]), "more than a day after now"),
}  # fmt: skip


def signal(bars: Any, **changes: Any) -> Signal:
    data = {"timestamp": SIGNAL, "symbol": "ES", "signal_type": "BUY", "entry_price": 120.0, "stop_loss": 119.0,
            "target_price": 125.0, "bars": bars, **changes}  # fmt: skip
    return at_once(signal_in_pieces("s", data, TimeRules.at(NOW))).signal


def formatter() -> SignalFormatter:
    return SignalFormatter(LLMConfig(lookback_periods=40), clock=lambda: NOW)


def shown(bars: Any) -> list[Bar]:
    """The bars that stand in the prompt, by the formatter alone."""
    text = formatter().format_signal_data({"timestamp": SIGNAL, "symbol": "ES", "bars": bars})
    lines = [line.split(",") for line in text.splitlines() if line.count(",") == 5 and line[:4].isdigit()]
    return [
        Bar(datetime.fromisoformat(first).replace(tzinfo=UTC), *map(float, rest)) for first, *rest in lines
    ]


def closed(times: list[datetime]) -> list[Bar]:
    bars = [Bar(time, *row) for time, row in zip(times, values(), strict=True)]
    return [bar for bar in bars if bar.timestamp <= SIGNAL]


@pytest.mark.parametrize("name", [*HOURLY, *DAILY])
def test_a_shape_of_bars_is_read(name: str) -> None:
    """Exactly the signal's own bars up to its time are shown, by the worker's way and by the formatter's."""
    make, times = (HOURLY[name], HOURS) if name in HOURLY else (DAILY[name], DAYS)
    expected = closed(times)
    found = signal(make())
    assert found.warnings == ()
    assert [bar for bar in found.bars if bar.timestamp <= SIGNAL] == expected
    assert [bar.timestamp for bar in found.bars] == sorted(bar.timestamp for bar in found.bars)
    assert shown(make()) == expected
    assert shown(found.bars) == expected


@pytest.mark.parametrize("name", UNUSABLE)
def test_bars_that_cannot_be_used_are_one_warning(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """None is shown; the signal says why in one line, and so does the log, once for all of a shape."""
    make, problem = UNUSABLE[name]
    found = signal(make())
    assert found.bars == ()
    (warning,) = found.warnings
    assert problem in warning
    assert warning.isprintable()
    assert len(warning) < 300
    if "a price is missing" in problem:
        return  # the formatter alone shows such a bar, with the price missing
    used = formatter()
    data = {"timestamp": SIGNAL, "symbol": "ES"}
    for _ in range(3):
        assert "Closed bars: missing" in used.format_signal_data({**data, "bars": make()})
    assert [record.getMessage() for record in caplog.records] == [warning]


def test_a_long_history_is_read_around_the_signal() -> None:
    """Of a hundred thousand rows, in either order, the thousand before the signal's time are taken."""
    times = [SIGNAL + timedelta(minutes=minute) for minute in range(-60_000, 40_000)]
    data = pd.DataFrame({"timestamp": times, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0})
    whole = [(time.timestamp(), 1.0, 1.0, 1.0, 1.0) for time in times]
    for bars in (data, data[::-1], data.set_index("timestamp"), whole, whole[::-1]):
        found = signal(bars).bars
        assert (len(found), found[-1].timestamp, found[-1].volume) == (1_000, SIGNAL, None)


def test_of_a_long_frame_of_two_the_right_one_is_read() -> None:
    """Thousands of rows of the other instrument behind it do not push it out."""
    times = pd.date_range("2025-12-01", periods=6_000, freq="10min", tz="UTC")
    one = pd.DataFrame(
        {"timestamp": times, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "symbol": "ES"}
    )
    both = pd.concat([one, one.assign(symbol="NQ", close=2.0)], ignore_index=True)
    for bars in (both, both[::-1], both.set_index(["symbol", "timestamp"]), both.to_dict("records")):
        found = signal(bars).bars
        assert (len(found), {bar.close for bar in found}) == (1_000, {1.0})
        assert max(bar.timestamp for bar in found) == SIGNAL


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        ("01/05/2026 10:00", "it can be read in two ways"), (46027.4, "days as Excel counts them"),
        ("soon", "no time that can be read in one way"), (SIGNAL + timedelta(days=900), "more than a day after now"),
        ("1970-01-01", "before 1980"), ([], "no time"), (True, "no time"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_signal_whose_time_cannot_be_read_shows_no_bars(timestamp: object, reason: str) -> None:
    """None can be shown to have closed; its warning names the time and the reason."""
    found = signal(rows(epochs()), timestamp=timestamp)
    assert found.timestamp is None
    (warning,) = found.warnings
    assert reason in warning
    assert "no bar is shown" in warning
    text = formatter().format_signal_data(found)
    assert "Closed bars: missing (the signal has no time" in text


def test_bars_that_are_all_later_are_a_warning() -> None:
    """A zone that was forgotten shows by it."""
    for bars in (rows(epochs()), tuple(Bar(time, 1.0, 1.0, 1.0, 1.0, 1.0) for time in HOURS)):
        found = signal(bars, timestamp=HOURS[0] - timedelta(hours=1))
        assert found.warnings == (
            "no bar is shown: the first of 40 is stamped 2026-01-04 00:00:00+00:00, "
            "after the signal's 2026-01-03 23:00:00+00:00",
        )


def test_times_without_a_zone_are_those_of_the_setting(caplog: pytest.LogCaptureFixture) -> None:
    """Bars and signal are read in it, as UTC without it, and that is said once."""
    bars = mappings(hours("%Y-%m-%d %H:%M"), "time")
    data = {"timestamp": "2026-01-05 10:00", "symbol": "ES", "bars": bars}
    for zone, first in (("UTC", "2026-01-04 00:00"), ("Europe/Berlin", "2026-01-03 23:00")):
        caplog.clear()
        used = SignalFormatter(LLMConfig(bars_timezone=zone, lookback_periods=40), clock=lambda: NOW)
        texts = {used.format_signal_data(data) for _ in range(3)}
        (text,) = texts
        assert f"\n{first},100" in text
        assert text.count("\n2026-01-0") == 35
        assert [record.getMessage() for record in caplog.records] == [
            f"times without a zone are taken as {zone}; bars_timezone names another"
        ]


@pytest.mark.parametrize("name", ["Gmt time", "time (UTC)", "timestamp_utc", "Date UTC"])
def test_a_name_that_says_utc_is_believed(name: str) -> None:
    """Such a column is UTC, whatever zone other times are in; and nothing is said about its zone."""
    text = [{**bar, name: at} for bar, at in zip(mappings(HOURS, "x"), hours("%Y-%m-%d %H:%M"), strict=True)]
    rules = TimeRules.at(NOW, zone_named("America/New_York"))
    for bars in (
        text,
        pd.DataFrame(text),
        pd.DataFrame(text).set_index(name),
        pd.DataFrame(text).to_dict("list"),
    ):
        read = at_once(signal_in_pieces("s", {"timestamp": SIGNAL, "symbol": "ES", "bars": bars}, rules))
        assert [bar.timestamp for bar in read.signal.bars] == HOURS
        assert not read.naive


def test_hours_of_a_clock_change_are_left_out_with_a_word() -> None:
    """The bar of the repeated hour is not guessed; its neighbours are read."""
    times = ["2025-10-26 01:30", "2025-10-26 02:30", "2025-10-26 03:30"]
    bars = [{"time": time, "open": 1, "high": 1, "low": 1, "close": 1} for time in times]
    rules = TimeRules.at(NOW, zone_named("Europe/Berlin"))
    read = at_once(signal_in_pieces("s", {"timestamp": SIGNAL, "symbol": "ES", "bars": bars}, rules)).signal
    assert [bar.timestamp.hour for bar in read.bars] == [23, 2]
    (warning,) = read.warnings
    assert "skips or repeats in Europe/Berlin in 1 of 3, such as '2025-10-26 02:30'" in warning


def last_row() -> pd.Series[Any]:
    return frame(timestamp=HOURS, rsi=np.float64(55.0), atr=np.float32(1.5), note="x").iloc[-1]


@pytest.mark.parametrize(
    "indicators",
    [
        {"rsi": 55.0, "atr": 1.5}, pd.Series({"rsi": 55.0, "atr": 1.5}), last_row(), frame(rsi=55.0, atr=1.5).tail(1),
        {"rsi": np.float64(55), "atr": np.float32(1.5)}, {"rsi": np.int64(55), "atr": "1.5"},
        pd.Series({"rsi": 55.0, "atr": 1.5}, dtype="object"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_indicators_are_read_by_their_names(indicators: Any) -> None:
    """A Series, a frame's last row and numpy's numbers are as good as a dict of floats."""
    found = signal(None, indicators=indicators)
    assert (found.indicators["rsi"], found.indicators["atr"]) == (55.0, 1.5)
    assert found.warnings == ()
    settings = LLMConfig(indicators_to_include=["rsi", "atr"])
    for source in (found, {"timestamp": SIGNAL, "symbol": "ES", "indicators": indicators}):
        text = SignalFormatter(settings, clock=lambda: NOW).format_signal_data(source)
        assert "rsi: 55\n" in text
        assert "atr: 1.5\n" in text


@pytest.mark.parametrize(
    ("indicators", "problem"),
    [
        ([55.0], "indicators, a list, cannot be read"), (frame(rsi=1.0), "indicators, a DataFrame, cannot be read"),
        (7, "indicators, a int, cannot be read"),
        ({"rsi": pd.Series([1.0, 2.0]), "atr": 1.0}, "indicators that are no numbers are missing: rsi (a Series)"),
        ({"rsi": [1.0, 2.0]}, "rsi (a list)"), ({"rsi": {"value": 1}}, "rsi (a dict)"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_indicators_that_cannot_be_read_are_a_warning(indicators: Any, problem: str) -> None:
    """What was given and is no number is never a silent "missing"."""
    (warning,) = signal(None, indicators=indicators).warnings
    assert problem in warning


def test_missing_indicators_are_no_warning() -> None:
    """None, NaN and text without a number are what early bars have."""
    given = {"rsi": None, "atr": float("nan"), "macd": "n/a", "sma": np.nan, "ema": pd.NA}
    assert signal(None, indicators=given).warnings == ()


@pytest.mark.parametrize("wrap", [pd.Series, lambda data: pd.Series(data, dtype="object"), lambda data: data])
def test_signal_data_may_be_a_series(wrap: Callable[[Any], Any]) -> None:
    """It is taken in and read as the mapping of the same names."""
    store = SignalMemoryStore()
    data = signal_mapping("s", entry_price=np.float64(1.1), symbol=np.str_("EURUSD"))["signal_data"]
    assert store.add_signal({"signal_id": "s", "signal_data": wrap(data)})
    kept = store.get_signal("s")
    assert kept is not None
    assert Signal.from_mapping("s", kept["signal_data"]) == Signal.from_mapping("s", data)
    assert store.add_signal(pd.Series({"signal_id": "t", "signal_data": wrap(data)}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad",
    [
        {"signal_id": "s", "signal_data": frame()}, {"signal_id": "s", "signal_data": [1, 2]},
        {"signal_id": "s", "signal_data": np.array([1.0])}, {"signal_id": pd.Series(["s"]), "signal_data": {}},
        {"signal_id": np.array(["s", "t"]), "signal_data": {}}, frame(), pd.Series([1, 2]), last_row(), None, 7,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_signal_is_one_clear_error(bad: Any) -> None:
    """Never another exception into the host's loop, whatever was handed over."""
    with pytest.raises(InvalidSignalError) as caught:
        SignalMemoryStore().add_signal(bad)
    assert "\n" not in str(caught.value)


def test_what_was_said_is_remembered_within_bounds(caplog: pytest.LogCaptureFixture) -> None:
    """A host that brings ever new shapes fills neither the log nor the memory."""
    remarks = Remarks(logging.getLogger("tradent"), "UTC")
    for number in range(2_000):
        remarks.tell([Remark(f"kind {number}", "text"), Remark("kind 0", "text")])
    assert len(caplog.records) == MOST_KINDS


async def test_the_warning_stands_in_the_result_and_once_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Every signal's result says what of it could not be used; the log says it once for the shape."""
    store, database = SignalMemoryStore(), MemoryDatabase()
    config = LLMConfig(base_url="http://127.0.0.1:1/v1")
    worker = LLMWorker(config, store, database, Sink(), processor=ScriptedProcessor())
    results: list[Any] = []
    worker.subscribe(results.append)
    for number in range(4):
        bars = frame(date=excel(), note=number)
        store.add_signal(signal_mapping(f"s-{number}", symbol="ES", timestamp=SIGNAL, bars=bars))
    running = asyncio.create_task(worker.run())
    with caplog.at_level(logging.WARNING):
        assert await worker.drain(10)
        await worker.stop(2)
    await running
    assert len(results) == 4
    for result in results:
        assert result.rated
        assert [warning for warning in result.warnings if "days as Excel counts them" in warning]
    assert sum("days as Excel counts them" in record.getMessage() for record in caplog.records) == 1
