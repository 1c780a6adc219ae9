"""The bundled strategy: two moving averages cross, the stop lies some average true ranges away.

A BUY when the fast average of the closes rises above the slow one, a SELL when it falls below, at the close
of the bar that did it. The stop loss is ``stop_atr_multiple`` average true ranges from the entry, the target
``reward_multiple`` times as far on the other side. It is here to be understood, not to earn money.

Both averages and the true range are simple means over the last bars and start from the bars themselves each
time, so a decision is a function of the last ``warm_up_bars`` bars: a process that replays those decides
exactly as one that never stopped.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise
from typing import Literal

from llm_integration import Bar
from trading.config import TradingConfig

__all__ = ["MovingAverageCross", "TradeSignal"]

HUNDREDTH = 2


@dataclass(frozen=True, slots=True)
class TradeSignal:
    """What the strategy wants done. ``timestamp`` is that of the bar at whose close it was decided."""

    timestamp: datetime
    symbol: str
    signal_type: Literal["BUY", "SELL"]
    entry_price: float
    stop_loss: float
    target_price: float
    strategy: str


class MovingAverageCross:
    """Takes bars, gives signals; the same bars always give the same signals."""

    def __init__(self, config: TradingConfig, symbol: str | None = None) -> None:
        self._config = config
        self.symbol = symbol or config.symbol
        self.name = f"sma_cross_{config.fast_period}_{config.slow_period}"
        # One close more than an average needs: the true range of a bar looks at the close before it.
        self._bars: deque[Bar] = deque(maxlen=max(config.slow_period, config.atr_period + 1))
        self._above: bool | None = None

    @property
    def warm_up_bars(self) -> int:
        """How many bars before a point in time decide what happens at it; replay these after a restart."""
        return self._bars.maxlen or 0

    def on_bar(self, bar: Bar) -> TradeSignal | None:
        """Take in the next closed bar; the signal it gives, if it gives one."""
        self._bars.append(bar)
        if len(self._bars) < self.warm_up_bars:
            return None
        above, before = self._fast_above_slow(), self._above
        if above is None:
            return None
        self._above = above
        return None if before is None or above == before else self._signal(bar, rising=above)

    def _fast_above_slow(self) -> bool | None:
        """None when the averages are equal, which is not a side to be on."""
        fast, slow = (
            self._average_close(self._config.fast_period),
            self._average_close(self._config.slow_period),
        )
        return None if fast == slow else fast > slow

    def _average_close(self, period: int) -> float:
        newest_first = islice(reversed(self._bars), period)
        return math.fsum(bar.close for bar in newest_first) / period

    def _average_true_range(self) -> float:
        """Simple mean of max(high, previous close) - min(low, previous close)."""
        newest_first = islice(reversed(self._bars), self._config.atr_period + 1)
        ranges = (
            max(bar.high, before.close) - min(bar.low, before.close) for bar, before in pairwise(newest_first)
        )
        return math.fsum(ranges) / self._config.atr_period

    def _signal(self, bar: Bar, *, rising: bool) -> TradeSignal | None:
        true_range = self._average_true_range()
        if true_range <= 0:
            return None  # nothing has moved: no distance to put a stop at
        risk = self._config.stop_atr_multiple * true_range
        # To a hundredth of the true range: the further digits would come from the arithmetic alone.
        decimals = HUNDREDTH - math.floor(math.log10(true_range))
        stop = round(bar.close - risk if rising else bar.close + risk, decimals)
        target = round(bar.close + (bar.close - stop) * self._config.reward_multiple, decimals + 4)
        if bar.close in (stop, target):
            return None
        return TradeSignal(
            timestamp=bar.timestamp,
            symbol=self.symbol,
            signal_type="BUY" if rising else "SELL",
            entry_price=bar.close,
            stop_loss=stop,
            target_price=target,
            strategy=self.name,
        )
