"""Signals on the bundled EUR/USD bars, as a host hands them over."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from llm_integration.domain import Bar

__all__ = ["INDICATORS", "bars", "signal_data", "signals"]

DATA = Path(__file__).resolve().parent.parent / "data" / "EURUSD_1h.csv"
INDICATORS = (
    "sma_20", "ema_50", "rsi_14", "macd", "macd_signal", "atr_14", "adx_14", "stoch_k", "cci_20", "obv",
)  # fmt: skip


@cache
def bars() -> tuple[Bar, ...]:
    """Every bundled bar."""
    with DATA.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return tuple(Bar(datetime.fromisoformat(row[0]), *map(float, row[1:6])) for row in rows)


def signal_data(at: int, lookback: int = 20) -> dict[str, Any]:
    """The signal on the bar at index ``at``: a buy with ten indicators and ``lookback`` bars."""
    known = bars()
    bar = known[at]
    return {
        "timestamp": bar.timestamp,
        "symbol": "EURUSD",
        "signal_type": "BUY",
        "entry_price": bar.close,
        "stop_loss": round(bar.close - 0.0021, 5),
        "target_price": round(bar.close + 0.0042, 5),
        "indicators": {name: 1.0 + number / 7 + at / 9973 for number, name in enumerate(INDICATORS)},
        "bars": known[at + 1 - lookback : at + 1],
    }


def signals(prefix: str, lookback: int = 20) -> Iterator[dict[str, Any]]:
    """Signals without end, one on each bar, over and over; ids are unique under one ``prefix``."""
    first = max(lookback, 20)
    places = itertools.cycle(range(first, len(bars())))
    for number, at in enumerate(places):
        yield {"signal_id": f"{prefix}-{number}", "signal_data": signal_data(at, lookback)}
