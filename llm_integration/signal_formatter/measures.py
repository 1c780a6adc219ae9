"""Classical measures of how choppy a market was, from the bars that had closed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, cast

__all__ = ["CHOPPINESS_PERIODS", "EFFICIENCY_PERIODS", "choppiness_index", "efficiency_ratio"]

CHOPPINESS_PERIODS: Final = 14
"""Bars behind the Choppiness Index of a prompt; its label in the prompt names the number."""
EFFICIENCY_PERIODS: Final = 10


def choppiness_index(
    highs: Sequence[float | None],
    lows: Sequence[float | None],
    closes: Sequence[float | None],
    periods: int = 14,
) -> float | None:
    """How much ground was covered per unit of range won; near 100 sideways, low in a trend.

    ``100 * log10(sum of true ranges / (highest high - lowest low)) / log10(periods)`` over the last
    ``periods`` bars, by E. W. Dreiss; as in https://library.tradingtechnologies.com/trade/chrt-ti-choppiness-index.html
    The first true range needs the close before it, so ``periods + 1`` bars, oldest first. A gap before the
    window can lift it over 100.

    None with fewer bars, with a missing value among them, or when the price did not move.
    """
    columns = zip(highs[-periods:], lows[-periods:], closes[-periods - 1 : -1], strict=False)
    window = [row for row in columns if None not in row] if periods > 1 else []
    if len(window) < periods:
        return None
    total, top, bottom = 0.0, -math.inf, math.inf
    for high, low, before in cast("list[tuple[float, float, float]]", window):
        # Comparisons rather than max() and min(), which cost several times as much here.
        total += (high if high > before else before) - (low if low < before else before)
        top = high if high > top else top
        bottom = low if low < bottom else bottom
    span = top - bottom
    if not (0 < span < math.inf and 0 < total < math.inf):
        return None
    value = 100 * (math.log10(total) - math.log10(span)) / math.log10(periods)
    return value if math.isfinite(value) else None


def efficiency_ratio(closes: Sequence[float | None], periods: int = 10) -> float | None:
    """Net change over the path walked, between 0 (no progress) and 1 (a straight line).

    ``|close - close periods ago| / sum of |close - previous close|``, by P. J. Kaufman, Smarter Trading
    (McGraw-Hill 1995). Needs ``periods + 1`` closes, oldest first.

    None with fewer, with a missing one among them, or when no close differs from the one before.
    """
    window = [close for close in closes[-periods - 1 :] if close is not None]
    if periods < 1 or len(window) <= periods:
        return None
    path = sum([abs(later - earlier) for earlier, later in pairwise(window)])
    return abs(window[-1] - window[0]) / path if 0 < path < math.inf else None
