"""What a prompt can say about a signal: every fact as a text, under the names that prompt files use."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from llm_integration.domain import Signal
from llm_integration.signal_formatter.bars import ShownBar
from llm_integration.signal_formatter.measures import (
    CHOPPINESS_PERIODS,
    EFFICIENCY_PERIODS,
    choppiness_index,
    efficiency_ratio,
)
from llm_integration.signal_formatter.reading import Reading
from llm_integration.signal_formatter.text import MISSING, number, price, shown_time

__all__ = ["bar_lines", "signal_facts"]

BAR_PARTS = ("time", "open", "high", "low", "close", "volume")


def signal_facts(reading: Reading, used: frozenset[str]) -> dict[str, Any]:
    """The values of ``signal`` for a prompt that mentions the names in ``used``."""
    signal, places = reading.signal, reading.places
    facts: dict[str, Any] = {
        "id": signal.signal_id or MISSING,
        "position": "1",
        "table": "",
        "symbol": signal.symbol or MISSING,
        "type": signal.signal_type or MISSING,
        "time": _time(signal.timestamp),
        "entry": price(signal.entry_price, places),
        "stop": price(signal.stop_loss, places),
        "target": price(signal.target_price, places),
        "risk": _distance(signal.entry_price, signal.stop_loss),
        "reward": _distance(signal.entry_price, signal.target_price),
        "risk_reward": _ratio(signal),
        "price_check": _contradiction(signal),
        "indicators": "\n".join([f"{name}: {number(value)}" for name, value in signal.indicators.items()]),
        "strategy": signal.strategy or "",
        "notes": signal.notes or "",
        "bar_count": str(len(reading.shown)),
        "no_bars": _no_bars(reading),
    }
    if "first_bar" in used or "last_bar" in used:
        facts["first_bar"] = _time(reading.shown[0].moment) if reading.shown else MISSING
        facts["last_bar"] = _time(reading.newest)
    if "choppiness_index" in used or "efficiency_ratio" in used:
        facts |= _measures(reading)
    if "bars" in used:
        facts["bars"] = bar_lines(reading)
    if "bar_rows" in used:
        facts["bar_rows"] = [_row(bar, places) for bar in reading.shown]
    if "indicator_rows" in used or "indicator" in used:
        values = {name: number(value) for name, value in signal.indicators.items()}
        facts["indicator"] = values
        facts["indicator_rows"] = [{"name": name, "value": value} for name, value in values.items()]
    return facts


def bar_lines(reading: Reading) -> str:
    """The shown bars, a line each, oldest first."""
    places = reading.places
    return "\n".join([
        bar.line if bar.written_places == places else bar.text(places) for bar in reading.shown
    ])  # fmt: skip


def _measures(reading: Reading) -> dict[str, str]:
    closed = reading.closed
    closes = [bar.close for bar in closed]
    choppiness = choppiness_index(
        [bar.high for bar in closed], [bar.low for bar in closed], closes, CHOPPINESS_PERIODS
    )
    return {
        "choppiness_index": _fixed(choppiness, 1),
        "efficiency_ratio": _fixed(efficiency_ratio(closes, EFFICIENCY_PERIODS), 2),
    }


def _row(bar: ShownBar, places: int) -> dict[str, str]:
    return dict(zip(BAR_PARTS, bar.text(places).split(","), strict=True))


def _no_bars(reading: Reading) -> str:
    if reading.shown:
        return ""
    if reading.signal.timestamp is None:
        return f"{MISSING} (the signal has no time, so none can be shown to have closed)"
    return MISSING


def _time(moment: datetime | None) -> str:
    return MISSING if moment is None else f"{shown_time(moment)} UTC"


def _fixed(value: float | None, places: int) -> str:
    return MISSING if value is None else f"{value:.{places}f}"


def _distance(entry: float | None, other: float | None) -> str:
    """How far a price lies from the entry, in price units and in percent of the entry."""
    if entry is None or other is None:
        return MISSING
    distance = abs(other - entry)
    share = distance / abs(entry) * 100 if entry else math.inf
    percent = f" ({share:.3g}%)" if math.isfinite(share) else ""
    return f"{distance:.6g}{percent}" if math.isfinite(distance) else MISSING


def _ratio(signal: Signal) -> str:
    entry, stop, target = signal.entry_price, signal.stop_loss, signal.target_price
    if entry is None or stop is None or target is None:
        return MISSING
    if entry == stop:
        return "undefined (the stop equals the entry)"
    if entry == target:
        return "inconsistent (the target equals the entry)"
    ratio = signal.risk_reward_ratio
    if ratio is None:
        return "inconsistent (stop and target lie on the same side of the entry)"
    return f"{ratio:.2f}" if ratio < 1e6 else f"{ratio:.3g}"


def _contradiction(signal: Signal) -> str:
    """What is odd about a buy whose stop lies above its entry, or a sell whose stop lies below."""
    entry, stop = signal.entry_price, signal.stop_loss
    kind = signal.signal_type.upper()
    buys, sells = kind.startswith(("BUY", "LONG")), kind.startswith(("SELL", "SHORT"))
    if entry is None or stop is None or not ((buys and stop > entry) or (sells and stop < entry)):
        return ""
    return f"inconsistent (the stop lies {'above' if buys else 'below'} the entry)"
