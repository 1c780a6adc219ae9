"""No frame, list, mapping or file, whatever the form of its times, lets a bar from after the signal into a prompt.

Every bar's close tells its true time, so that a bar shown under a wrong one is found out, too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_integration import LLMConfig, SignalFormatter
from llm_integration.bar_files import BarDataError, open_bars
from llm_integration.domain import signal_in_pieces
from llm_integration.fairness import at_once
from llm_integration.times import TimeRules, zone_named

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FIRST = datetime(2000, 1, 1, tzinfo=UTC)
Written = Callable[[datetime], Any]

FORMS: dict[str, Written] = {
    "typed": lambda at: at,
    "naive": lambda at: at.replace(tzinfo=None),
    "Timestamp": pd.Timestamp,
    "datetime64": lambda at: np.datetime64(at.replace(tzinfo=None)),
    "ISO": lambda at: at.isoformat(),
    "with UTC": lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC",
    "another zone": lambda at: at.astimezone(ZoneInfo("Asia/Tokyo")).isoformat(),
    "dots": lambda at: f"{at:%Y.%m.%d %H:%M}",
    "compact": lambda at: f"{at:%Y%m%d %H:%M:%S}",
    "compact digits": lambda at: f"{at:%Y%m%d %H%M%S}",
    "fourteen digits": lambda at: int(f"{at:%Y%m%d%H%M%S}"),
    "twelve digits": lambda at: int(f"{at:%Y%m%d%H%M}"),
    "seconds": lambda at: int(at.timestamp()),
    "seconds as float": lambda at: at.timestamp(),
    "milliseconds": lambda at: int(at.timestamp() * 1_000),
    "milliseconds as text": lambda at: str(int(at.timestamp() * 1_000)),
    "microseconds": lambda at: int(at.timestamp()) * 10**6,
    "nanoseconds": lambda at: int(at.timestamp()) * 10**9,
    "nanoseconds as float": lambda at: at.timestamp() * 1e9,
    "German": lambda at: f"{at:%d.%m.%Y %H:%M:%S.000}",
    "day first": lambda at: f"{at:%d/%m/%Y %H:%M}",
    "month first": lambda at: f"{at:%m/%d/%Y %H:%M}",
    "afternoon": lambda at: f"{at:%m/%d/%Y %I:%M %p}",
    "words": lambda at: f"{at:%d %b %Y %H:%M}",
    "Excel's days": lambda at: (at - datetime(1899, 12, 30, tzinfo=UTC)) / timedelta(days=1),
    "two-digit years": lambda at: f"{at:%d.%m.%y %H:%M}",
    "only days": lambda at: f"{at:%Y-%m-%d}",
    "days since 1970": lambda at: (at - datetime(1970, 1, 1, tzinfo=UTC)).days,
}
COLUMNS = ("timestamp", "date", "time", "Datetime", "open_time", "ts_event", "t", "Gmt time")

Times = list[datetime]
Shape = Callable[[Times, list[Any], str], Any]


def prices(at: datetime) -> tuple[float, float, float, float]:
    """A bar whose close is the minute it belongs to."""
    minute = float((at - FIRST) // timedelta(minutes=1))
    return minute, minute, minute, minute


def frame(times: Times, cells: list[Any], name: str) -> pd.DataFrame:
    data = pd.DataFrame([prices(at) for at in times], columns=["open", "high", "low", "close"])
    return data.assign(**{name: pd.Series(cells, dtype="object")})


def records(times: Times, cells: list[Any], name: str) -> list[dict[str, Any]]:
    return [
        {name: cell, **dict(zip(("open", "high", "low", "close"), prices(at), strict=True))}
        for at, cell in zip(times, cells, strict=True)
    ]


def two_symbols(times: Times, cells: list[Any], name: str) -> pd.DataFrame:
    data = frame(times, cells, name)
    other = data.assign(symbol="NQ", open=0.5, high=0.5, low=0.5, close=0.5)
    return pd.concat([data.assign(symbol="ES"), other], ignore_index=True)


SHAPES: dict[str, Shape] = {
    "frame": frame,
    "frame with types": lambda times, cells, name: frame(times, cells, name).infer_objects(),
    "frame by index": lambda times, cells, name: frame(times, cells, name).set_index(name),
    "frame with the day beside": lambda times, cells, name: frame(times, cells, name).assign(
        day=[f"{at:%Y-%m-%d}" for at in times]
    ),
    "frame with a date beside": lambda times, cells, name: frame(times, cells, name).assign(
        date=[f"{at:%Y-%m-%d}" for at in times]
    )
    if name != "date"
    else frame(times, cells, name),
    "frame of two symbols": two_symbols,
    "frame by two levels": lambda times, cells, name: two_symbols(times, cells, name).set_index(["symbol", name]),
    "lists": lambda times, cells, _: [[cell, *prices(at)] for at, cell in zip(times, cells, strict=True)],
    "tuples": lambda times, cells, _: [(cell, *prices(at), 1) for at, cell in zip(times, cells, strict=True)],
    "mappings": records,
    "columns": lambda times, cells, name: {
        name: cells, **{key: [row[key] for row in records(times, cells, name)] for key in ("open", "high", "low", "close")}
    },
    "by their times": lambda times, cells, _: dict(zip(cells, records(times, cells, "x"), strict=True)),
    "Series": lambda times, cells, name: [pd.Series(row) for row in records(times, cells, name)],
}  # fmt: skip

times_of_bars = st.lists(
    st.integers(0, 60 * 24 * 60).map(lambda minute: datetime(2026, 3, 20, tzinfo=UTC) + timedelta(minutes=minute)),
    min_size=1, max_size=30, unique=True,
)  # fmt: skip


def shown(text: str) -> list[tuple[datetime, datetime]]:
    """The bars in a prompt: the time shown, and the true one by the close."""
    lines = [line.split(",") for line in text.splitlines() if line.count(",") == 5 and line[:4].isdigit()]
    return [
        (datetime.fromisoformat(cells[0]).replace(tzinfo=UTC), FIRST + timedelta(minutes=float(cells[4])))
        for cells in lines
    ]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    times=times_of_bars,
    shape=st.sampled_from(sorted(SHAPES)),
    name=st.sampled_from(COLUMNS),
    order=st.sampled_from(["rising", "falling", "as they came"]),
    at=st.floats(0, 1),
    signal_form=st.sampled_from(sorted(FORMS)),
)
def test_no_bar_from_after_the_signal_is_shown(
    form: str, times: Times, shape: str, name: str, order: str, at: float, signal_form: str
) -> None:
    """Whatever the shape, the form of its times and that of the signal's own; and none under a wrong time."""
    if order != "as they came":
        times = sorted(times, reverse=order == "falling")
    moment = sorted(times)[int(at * (len(times) - 1))]
    bars = SHAPES[shape](times, [FORMS[form](time) for time in times], name)
    data = {"timestamp": FORMS[signal_form](moment), "symbol": "ES", "bars": bars}
    config = LLMConfig(lookback_periods=40)
    direct = SignalFormatter(config, clock=lambda: NOW).format_signal_data(data)
    read = at_once(signal_in_pieces("s", data, TimeRules.at(NOW))).signal
    through_the_worker = SignalFormatter(config, clock=lambda: NOW).format_signal_data(read)
    for text in (direct, through_the_worker):
        for stamp, true in shown(text):
            assert stamp == true <= moment or (form == "only days" and stamp.date() == true.date())
    if not shown(through_the_worker):
        assert read.warnings


@settings(max_examples=60, deadline=None)
@given(
    times=times_of_bars,
    form=st.sampled_from(sorted(set(FORMS) - {"only days"})),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York"]),
)
def test_a_zone_moves_bars_and_signal_alike(times: Times, form: str, zone: str) -> None:
    """Local times read in their zone come back as the moments they were; none later than the signal."""
    local = ZoneInfo(zone)
    moment = sorted(times)[len(times) // 2]
    write = FORMS[form]
    cells = [write(at.astimezone(local).replace(tzinfo=UTC)) for at in times]
    data = {"timestamp": moment, "symbol": "ES", "bars": records(times, cells, "time")}
    naive = all(not isinstance(cell, datetime) or cell.tzinfo is None for cell in cells)
    read = at_once(signal_in_pieces("s", data, TimeRules.at(NOW, zone_named(zone))))
    text = SignalFormatter(LLMConfig(lookback_periods=40), clock=lambda: NOW).format_signal_data(read.signal)
    if read.naive and naive:
        assert all(stamp == true <= moment for stamp, true in shown(text))


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("Timestamp", "datetime64")])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=times_of_bars, delimiter=st.sampled_from([",", ";", "\t", "|"]), header=st.booleans())
def test_no_file_gives_a_bar_another_time(
    form: str, times: Times, delimiter: str, header: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A file of bars is refused with a word, or every bar has the time it was written with."""
    path: Path = tmp_path_factory.mktemp("bars") / "bars.csv"
    lines = StringIO()
    if header:
        lines.write(delimiter.join(("date", "open", "high", "low", "close")) + "\n")
    for at in sorted(times):
        lines.write(delimiter.join(map(str, (FORMS[form](at), *prices(at)))) + "\n")
    path.write_text(lines.getvalue())
    try:
        bars = open_bars(path, clock=lambda: NOW).bars
    except BarDataError:
        return  # in words, as test_bar_files shows
    true = [FIRST + timedelta(minutes=bar.close) for bar in bars]
    if form == "only days":
        true = [at.replace(hour=0, minute=0) for at in true]
    assert [bar.timestamp for bar in bars] == true
    assert len(bars) == len(times)
