"""Do these bars belong to these signals? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm_integration.worth.sections import RatedSignal
from llm_integration.worth.sessions import DAY
from llm_integration.worth.trades import BarColumns

__all__ = ["Coverage", "coverage", "other_prices"]

MOST_APART = 0.2
"""A share of the price: entries of signals that lie further from the bars, by the median, are of others."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The signals of one symbol that bars can tell something about, and the ids of the others."""

    covered: list[RatedSignal]
    uncovered: list[str]


def coverage(signals: Sequence[RatedSignal], bars: BarColumns | None) -> Coverage:
    """A signal is covered from one usual step before the first bar to one after the last."""
    if bars is None or not len(bars):
        return Coverage([], [signal.signal_id for signal in signals])
    step = int(np.median(np.diff(bars.times))) if len(bars) > 1 else DAY
    first, last = int(bars.times[0]) - step, int(bars.times[-1]) + step
    covered, uncovered = [], []
    for signal in signals:
        at = signal.trade.at
        if at is None or first <= at <= last:  # one without a time is unresolvable for that reason
            covered.append(signal)
        else:
            uncovered.append(signal.signal_id)
    return Coverage(covered, uncovered)


def other_prices(signals: Sequence[RatedSignal], bars: BarColumns) -> float | None:
    """By which share of the bars' price the signals' entries miss it, if that is too much to be theirs."""
    gaps = []
    for signal in signals:
        entry, at = signal.trade.entry_price, signal.trade.at
        if entry is None or at is None:
            continue
        place = max(0, int(np.searchsorted(bars.times, at, side="right")) - 1)
        close = float(bars.closes[place])
        if close:
            gaps.append(abs(entry / close - 1))
    middle = float(np.median(gaps)) if gaps else 0.0
    return middle if middle > MOST_APART else None
