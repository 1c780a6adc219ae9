"""What became of one trade, bar by bar: the rules as one reads them. ``resolve_many`` does the same at speed.

Fill rules as in backtrader, vectorbt and NautilusTrader where these agree: a bar that opens beyond the stop
fills at that open; one that opens beyond the target fills at the target, as a limit order does at best; of
both touched inside one bar the stop is taken to have come first.
"""

from __future__ import annotations

import math
from bisect import bisect_right

from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.sessions import session_end_after
from llm_integration.worth.trades import BarColumns, Exit, Outcome, Reason, Trade

__all__ = ["resolve"]


def resolve(trade: Trade, bars: BarColumns, rules: ResolverRules) -> Outcome:
    """What became of ``trade`` over ``bars``."""
    reason = _fault(trade, rules)
    if reason is not None:
        return Outcome(trade.signal_id, Exit.UNRESOLVABLE, reason)
    entered = _entered(trade, bars, rules)
    if isinstance(entered, Reason):
        return Outcome(trade.signal_id, Exit.UNRESOLVABLE, entered)
    if entered is None:  # the bar that it would enter with is still to come
        return Outcome(trade.signal_id, Exit.OPEN)
    entry = entered[0]
    if trade.side * (entry - _known(trade.stop)) <= 0:
        return Outcome(trade.signal_id, Exit.UNRESOLVABLE, Reason.ENTRY_AT_STOP)
    if trade.target is not None and trade.side * (trade.target - entry) <= 0:
        return Outcome(trade.signal_id, Exit.UNRESOLVABLE, Reason.ENTRY_AT_TARGET)
    return _walk(trade, bars, rules, entered)


def _known(price: float | None) -> float:
    return math.nan if price is None else price


def _fault(trade: Trade, rules: ResolverRules) -> Reason | None:  # noqa: PLR0911  a list of faults
    """What is wrong with the signal whatever the bars say."""
    if trade.side == 0:
        return Reason.NO_SIDE
    if trade.at is None:
        return Reason.NO_TIME
    if trade.stop is None:
        return Reason.NO_STOP
    if trade.target is None and not rules.limited:
        return Reason.NO_TARGET
    if trade.entry_price is not None and trade.entry_price == trade.stop:
        return Reason.ZERO_RISK
    if trade.entry_price is not None and trade.side * (trade.entry_price - trade.stop) < 0:
        return Reason.STOP_SIDE
    if trade.target is not None and trade.side * (trade.target - trade.stop) <= 0:
        return Reason.STOP_SIDE
    if rules.entry == "signal" and trade.fill_price is None and trade.entry_price is None:
        return Reason.NO_ENTRY
    return None


def _entered(trade: Trade, bars: BarColumns, rules: ResolverRules) -> tuple[float, int, int] | Reason | None:
    """The price, the time and the first bar that counts; None while that bar is to come."""
    times = bars.times
    assert trade.at is not None  # noqa: S101  _fault has looked
    following = bisect_right(times, trade.at)
    if trade.fill_price is not None:
        at = trade.at if trade.fill_at is None else trade.fill_at
        return trade.fill_price, at, bisect_right(times, at)
    if rules.entry == "signal":
        return _known(trade.entry_price), trade.at, following
    if rules.entry == "close":
        if following == 0:
            return Reason.NO_SIGNAL_BAR
        return float(bars.closes[following - 1]), int(times[following - 1]), following
    if following == len(times):
        return None
    return float(bars.opens[following]), int(times[following]), following


def _walk(trade: Trade, bars: BarColumns, rules: ResolverRules, entered: tuple[float, int, int]) -> Outcome:
    entry, entry_at, first = entered
    side, stop, target = trade.side, _known(trade.stop), trade.target
    risk = abs(entry - stop)
    best = worst = 0.0
    end = None
    if rules.session_end is not None and first < len(bars):
        end = session_end_after(int(bars.times[first]), rules.session_end, rules.zone)

    def ended(at: int, how: Exit, price: float, *, ambiguous: bool = False) -> Outcome:
        gross = side * (price - entry) / risk
        reward = None if target is None else side * (target - entry) / risk
        return Outcome(
            trade.signal_id, how, None, entry_at, entry, int(bars.times[at]), price, at - first + 1,
            gross, gross - rules.cost(stopped=how is Exit.STOP) / risk,
            reward if ambiguous else gross,
            max(best, gross), min(worst, gross), ambiguous, reward,
        )  # fmt: skip

    for at in range(first, len(bars)):
        opened = float(bars.opens[at])
        high, low = float(bars.highs[at]), float(bars.lows[at])
        ahead, back = (high, low) if side > 0 else (low, high)
        if side * (opened - stop) <= 0:
            return ended(at, Exit.STOP, opened)
        if target is not None and side * (opened - target) >= 0:
            return ended(at, Exit.TARGET, target)
        stopped = side * (back - stop) <= 0
        reached = target is not None and side * (ahead - target) >= 0
        if stopped:
            return ended(at, Exit.STOP, stop, ambiguous=reached)
        worst = min(worst, side * (back - entry) / risk)
        if reached and target is not None:
            return ended(at, Exit.TARGET, target)
        best = max(best, side * (ahead - entry) / risk)
        over = end is not None and at + 1 < len(bars) and int(bars.times[at + 1]) >= end
        if over or at - first + 1 == rules.horizon_bars:
            return ended(at, Exit.TIME, float(bars.closes[at]))
    return Outcome(
        trade.signal_id, Exit.OPEN, None, entry_at, entry, bars_held=max(len(bars) - first, 0),
        reward_risk=None if target is None else side * (target - entry) / risk,
    )  # fmt: skip
