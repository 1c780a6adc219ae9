"""Bars in every form that hosts use come to the same, by way of the worker and by the formatter alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llm_integration import LLMConfig, Signal, SignalFormatter
from llm_integration.domain import Bar, bars_in_pieces, parse_time
from llm_integration.fairness import at_once

T0 = datetime(2026, 1, 5, 9, tzinfo=UTC)
BARS = [Bar(T0 + timedelta(minutes=n), 1.1 + n / 100, 1.2 + n / 100, 1.0, 1.15, 100.0 + n) for n in range(60)]
COLUMNS = ["Open", "High", "Low", "Close", "Volume"]


@dataclass
class Candle:
    """A bar of a host's own."""

    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None


def by_index() -> pd.DataFrame:
    """As yfinance and many others hand it out."""
    return pd.DataFrame(
        [bar[1:] for bar in BARS], columns=COLUMNS, index=pd.DatetimeIndex([bar[0] for bar in BARS])
    )


FORMS: dict[str, Any] = {
    "bars": tuple(BARS),
    "list of bars": list(BARS),
    "mappings": [bar._asdict() for bar in BARS],
    "mappings in capitals": [
        {"Time": bar[0].isoformat(), **dict(zip(COLUMNS, bar[1:], strict=True))} for bar in BARS
    ],
    "date and time": [
        {"date": f"{bar[0]:%Y-%m-%d}", "time": f"{bar[0]:%H:%M}", **bar._asdict(), "timestamp": None}
        for bar in BARS
    ],
    "rows": [list(bar) for bar in BARS],
    "rows with epochs": [[bar[0].timestamp(), *bar[1:]] for bar in BARS],
    "objects": [Candle(*bar) for bar in BARS],
    "DataFrame by index": by_index(),
    "DataFrame by column": by_index().rename_axis("Date").reset_index(),
    "itertuples": list(by_index().itertuples()),
    "iterrows": [row for _, row in by_index().iterrows()],
    "array of rows": np.array([[bar[0].timestamp(), *bar[1:]] for bar in BARS]),
    "records": by_index().set_axis([bar[0].timestamp() for bar in BARS]).rename_axis("Date").to_records(),
    "iterator": iter(BARS),
}  # fmt: skip


def mapping(bars: Any) -> dict[str, Any]:
    return {
        "timestamp": BARS[-5].timestamp, "symbol": "EURUSD", "signal_type": "BUY", "entry_price": 1.15,
        "stop_loss": 1.1, "target_price": 1.3, "bars": bars,
    }  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_signal_has_its_bars(form: str) -> None:
    """None is lost, none is changed, and the prompt is the same."""
    given = mapping(FORMS[form])
    signal = Signal.from_mapping("s", given)
    assert signal.bars == tuple(BARS)
    formatter = SignalFormatter(LLMConfig())
    expected = formatter.format_signal_data(mapping(BARS))
    assert formatter.format_signal_data(signal) == expected
    if form != "iterator":
        assert at_once(bars_in_pieces(FORMS[form])) == signal.bars
        assert formatter.format_signal_data(given) == expected
        assert formatter.format_signal_data(mapping(None), FORMS[form]) == expected


class Hostile(Mapping[str, Any]):
    """Raises whatever is asked."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(key)

    def __iter__(self) -> Any:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


@pytest.mark.parametrize(
    "bars",
    [
        [Hostile()], [{"timestamp": T0, "open": np.array([1.0, 2.0]), "high": 1, "low": 1, "close": 1}], 7,
        [None, 3, "x", [], {}, (1, 2)], pd.DataFrame(), pd.DataFrame({"close": [1.0]}),
        pd.DataFrame({"open": ["x"]}), np.array(5.0), [np.float64(1.0)], object(), "bars", b"bars",
        [float("nan")] * 6,
    ],
)  # fmt: skip
def test_what_is_no_bar_is_left_out(bars: Any) -> None:
    """Whatever it is, and without an error."""
    assert Signal.from_mapping("s", mapping(bars)).bars == ()
    assert at_once(bars_in_pieces(bars)) == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pd.Timestamp("2026-01-05T09:00:00.123456789Z"), datetime(2026, 1, 5, 9, 0, 0, 123456, UTC)),
        (pd.Timestamp("2026-01-05T10:00", tz="Europe/Paris"), T0),
        (pd.Timestamp("2026-01-05T09:00"), T0),
        (np.datetime64("2026-01-05T09:00"), T0),
        (np.datetime64("2026-01-05T09:00:00.000000001"), T0),
        (np.datetime64("NaT", "ns"), None),
        (np.int64(T0.timestamp() * 1000), T0),
        (np.array([1, 2]), None),
        (pd.NaT, None),
        (np.nan, None),
        ("2026-01-05 09:00", T0),
        (T0.timestamp(), T0),
        (T0.date(), datetime(2026, 1, 5, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_plain_one_in_utc(given: object, expected: datetime | None) -> None:
    """Not a Timestamp, which looks like one and is several times as slow."""
    found = parse_time(given)
    assert found == expected
    assert found is None or (type(found) is datetime and found.tzinfo is UTC)
