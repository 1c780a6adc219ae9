"""Bars and rated signals for the tests of ``worth``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from llm_integration.bar_files import read_bars
from llm_integration.commands.worth_source import bar_columns
from llm_integration.worth.sections import RatedSignal
from llm_integration.worth.trades import BarColumns, Floats, Ints, Trade

EURUSD = Path(__file__).parents[2] / "data" / "EURUSD_1h.csv"
HEADER = (
    "timestamp,signal_id,symbol,signal_type,entry_price,stop_loss,target_price,risk_reward_ratio,llm_rating,"
    "llm_choppiness,llm_analysis,llm_recommendations,llm_processing_time_ms,llm_model_used,processed_at"
)


@cache
def real_bars() -> BarColumns:
    """The bundled bars of EUR/USD."""
    return bar_columns(read_bars(EURUSD))


def signals(count: int, *, seed: int = 1, skill: float = 0.0, symbol: str = "EURUSD") -> list[RatedSignal]:
    """Rated signals on the bundled bars; with ``skill`` the rating knows where the price went."""
    rng = np.random.default_rng(seed)
    bars = real_bars()
    places = np.sort(rng.choice(np.arange(200, len(bars) - 100), size=count, replace=False))
    return [_signal(f"s{at}", int(at), bars, rng, skill, symbol) for at in places]


def _signal(
    name: str, at: int, bars: BarColumns, rng: np.random.Generator, skill: float, symbol: str
) -> RatedSignal:
    side = int(rng.choice([1, -1]))
    close = float(bars.closes[at])
    ahead = side * (float(bars.closes[at + 8]) - close)
    guess = np.sign(ahead) * 2 if rng.random() < skill else rng.integers(-2, 3)
    trade = Trade(name, side, int(bars.times[at]), close - side * 0.002, close + side * 0.004, close)
    said: Literal["yes", "no"] = "yes" if rng.random() < 0.5 else "no"
    return RatedSignal(trade, symbol, "rated", int(3 + guess), said, "author/model", "default 1", 0.001)


def with_ratings(given: Sequence[RatedSignal], ratings: Ints | Floats) -> list[RatedSignal]:
    """The same signals, rated otherwise."""
    return [replace(one, rating=int(rating)) for one, rating in zip(given, ratings, strict=True)]


def signal_row(signal: RatedSignal) -> str:
    """A line of llm_signals.csv."""
    trade = signal.trade
    moment = np.datetime64(trade.at or 0, "us")
    side = "BUY" if trade.side > 0 else "SELL"
    rating = "" if signal.rating is None else signal.rating
    return (
        f"{moment}Z,{trade.signal_id},{signal.symbol},{side},{trade.entry_price},{trade.stop},{trade.target},2.0,"
        f"{rating},{signal.choppiness or ''},text,text,12,{signal.model},{moment}Z"
    )


def signal_file(folder: Path, given: Sequence[RatedSignal], name: str = "llm_signals.csv") -> Path:
    """A file of signals."""
    path = folder / name
    path.write_text("\n".join([HEADER, *map(signal_row, given)]) + "\n")
    return path
