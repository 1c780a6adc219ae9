"""What became of one trade, over bars that are all there. ``resolve_many`` does the same at speed."""

from __future__ import annotations

from bisect import bisect_right

from llm_integration.worth.following import Following
from llm_integration.worth.outcome import Outcome, Trade
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.trades import BarColumns

__all__ = ["resolve"]


def resolve(trade: Trade, bars: BarColumns, rules: ResolverRules) -> Outcome:
    """What became of ``trade`` over ``bars``."""
    following = Following(trade, rules)
    begin = max(0, bisect_right(bars.times, following.after) - 1)  # entry="close" wants the signal's bar
    if following.outcome is None:
        for at in range(begin, len(bars)):
            ended = following.bar(
                int(bars.times[at]), float(bars.opens[at]), float(bars.highs[at]), float(bars.lows[at]),
                float(bars.closes[at]),
            )  # fmt: skip
            if ended is not None:
                return ended
    return following.so_far()
