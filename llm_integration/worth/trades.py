"""Bars and trades as columns of numbers, and what became of a trade. Pure.

Times are whole microseconds since 1970 in UTC, prices floats in the quote currency; a price that is missing
is NaN in a column and None in an object.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llm_integration.worth.rules import RESOLVER_VERSION

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
BARS: Final = "bars"


class Exit(StrEnum):
    """How a trade ended. ``open``: not at the end of the bars; it has no result."""

    STOP = "stop"
    TARGET = "target"
    TIME = "time"
    OPEN = "open"
    UNRESOLVABLE = "unresolvable"


class Reason(StrEnum):
    """Why nothing can be said about a trade, in the order in which it is looked for."""

    NO_SIDE = "no_side"
    NO_TIME = "no_time"
    NO_STOP = "no_stop"
    NO_TARGET = "no_target_without_time_limit"
    ZERO_RISK = "zero_risk"
    STOP_SIDE = "stop_on_wrong_side"
    NO_ENTRY = "no_entry_price"
    NO_SIGNAL_BAR = "no_bar_of_the_signal"
    ENTRY_AT_STOP = "entry_at_or_beyond_stop"
    ENTRY_AT_TARGET = "entry_at_or_beyond_target"
    NO_BARS = "no_bars"


EXITS: Final = tuple(Exit)
REASONS: Final = (None, *Reason)
"""A column of reasons holds places in this."""


def side_of(signal_type: str) -> int:
    """1 for a signal to buy, -1 for one to sell, 0 for neither."""
    kind = signal_type.strip().upper()
    return int(kind.startswith(("BUY", "LONG"))) - int(kind.startswith(("SELL", "SHORT")))


@dataclass(frozen=True, slots=True)
class Trade:
    """A signal as the resolver sees it; ``entry_price`` is its own, ``fill_*`` are what a host reports."""

    signal_id: str
    side: int
    at: int | None
    stop: float | None
    target: float | None = None
    entry_price: float | None = None
    fill_price: float | None = None
    fill_at: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one trade. ``r_*``, ``mfe`` (0 or more) and ``mae`` (0 or less) count in the risk taken.

    Of an ``open`` trade ``bars_held`` are those so far and there is no result. ``reward_risk`` is that of
    the actual entry, None without a target.
    """

    signal_id: str
    exit: Exit
    reason: Reason | None = None
    entry_at: int | None = None
    entry_price: float | None = None
    exit_at: int | None = None
    exit_price: float | None = None
    bars_held: int = 0
    r_gross: float | None = None
    r_net: float | None = None
    r_optimistic: float | None = None
    mfe: float | None = None
    mae: float | None = None
    ambiguous: bool = False
    reward_risk: float | None = None
    source: str = BARS
    resolver_version: str = RESOLVER_VERSION

    @property
    def resolved(self) -> bool:
        """True when there is a result."""
        return self.exit in (Exit.STOP, Exit.TARGET, Exit.TIME)


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
