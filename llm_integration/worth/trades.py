"""Bars and trades as columns of numbers. Pure.

Times are whole microseconds since 1970 in UTC, prices floats in the quote currency; a price that is missing
is NaN in a column and None in an object.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llm_integration.worth.outcome import BARS, Exit, Outcome, Reason, Trade, side_of

__all__ = [
    "BARS",
    "EXITS",
    "NO_TIME",
    "REASONS",
    "BarColumns",
    "Exit",
    "Flags",
    "Floats",
    "Ints",
    "Outcome",
    "Reason",
    "Trade",
    "TradeColumns",
    "side_of",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
NO_TIME: Final = np.iinfo(np.int64).min
EXITS: Final = tuple(Exit)
REASONS: Final = (None, *Reason)
"""A column of reasons holds places in this."""


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars of one instrument in the order of their times, which rise strictly."""

    times: Ints
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats

    @classmethod
    def of(cls, rows: Iterable[tuple[int, float, float, float, float]]) -> BarColumns:
        """From rows of time, open, high, low and close. Raises ValueError when the times do not rise."""
        table = list(rows)
        times = np.array([row[0] for row in table], dtype=np.int64)
        if len(times) > 1 and not bool((np.diff(times) > 0).all()):
            raise ValueError("bars must be in order of time, each time once")
        prices = np.array([row[1:] for row in table], dtype=np.float64).reshape(len(table), 4)
        return cls(times, *(np.ascontiguousarray(prices[:, at]) for at in range(4)))

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Many trades of one instrument, in any order."""

    ids: Sequence[str]
    sides: Ints
    at: Ints
    stops: Floats
    targets: Floats
    entries: Floats
    fills: Floats
    fills_at: Ints

    @classmethod
    def of(cls, trades: Sequence[Trade]) -> TradeColumns:
        """The same as columns."""
        return cls(
            [trade.signal_id for trade in trades],
            np.array([trade.side for trade in trades], dtype=np.int64),
            _times([trade.at for trade in trades]),
            _prices([trade.stop for trade in trades]),
            _prices([trade.target for trade in trades]),
            _prices([trade.entry_price for trade in trades]),
            _prices([trade.fill_price for trade in trades]),
            _times([trade.fill_at for trade in trades]),
        )

    def __len__(self) -> int:
        return len(self.sides)


def _times(values: Sequence[int | None]) -> Ints:
    return np.array([NO_TIME if value is None else value for value in values], dtype=np.int64)


def _prices(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
