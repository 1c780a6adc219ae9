"""One trade, followed bar by bar: the rules as one reads them, used live and afterwards alike. Pure.

Fill rules as in backtrader, vectorbt and NautilusTrader where these agree: a bar that opens beyond the stop
fills at that open; one that opens beyond the target fills at the target, as a limit order does at best; of
both touched inside one bar the stop is taken to have come first.
"""

from __future__ import annotations

from dataclasses import replace

from llm_integration.worth.outcome import Exit, Outcome, Reason, Trade
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.sessions import session_end_after

__all__ = ["Following", "fault_of"]


class Following:
    """``bar`` takes bars in order of time, each later than the one before; ``outcome`` is there at the end.

    Bars up to the entry may be given or left out, but for ``entry="close"`` the last one at or before the
    signal. What ``so_far`` says is what the bars given until then come to.
    """

    __slots__ = (
        "_best", "_end", "_entry", "_entry_at", "_held", "_last_at", "_last_close", "_rules", "_worst",
        "after", "outcome", "trade",
    )  # fmt: skip

    def __init__(self, trade: Trade, rules: ResolverRules) -> None:
        self.trade, self._rules = trade, rules
        self.outcome: Outcome | None = None
        self.after = trade.at or 0
        """Bars stamped later than this count."""
        self._entry, self._entry_at = 0.0, None if trade.at is None else trade.at
        self._held = 0
        self._best = self._worst = 0.0
        self._end: int | None = None
        self._last_at: int | None = None
        self._last_close = 0.0
        reason = fault_of(trade, rules)
        if reason is None and trade.fill_price is not None:
            self.after = self.after if trade.fill_at is None else trade.fill_at
            reason = self._enter(trade.fill_price, self.after)
        elif reason is None and rules.entry == "signal" and trade.entry_price is not None:
            reason = self._enter(trade.entry_price, self.after)
        if reason is not None:
            self.outcome = Outcome(trade.signal_id, Exit.UNRESOLVABLE, reason)

    def bar(self, at: int, opened: float, high: float, low: float, close: float) -> Outcome | None:
        """The next bar; what the trade has come to, once it has ended."""
        if self.outcome is not None:
            return self.outcome
        if at <= self.after:
            self._last_at, self._last_close = at, close
            return None
        if not self._held:
            self._begin(at, opened)
        elif self._end is not None and at >= self._end and self._last_at is not None:
            self._ended(self._last_at, Exit.TIME, self._last_close)
        if self.outcome is None:
            self._held += 1
            self._walk(at, opened, high, low, close)
            self._last_at, self._last_close = at, close
        return self.outcome

    def so_far(self) -> Outcome:
        """Its outcome, or where it stands."""
        if self.outcome is not None:
            return self.outcome
        entered = self._named or self._held > 0
        entry_at, entry = self._entry_at, self._entry
        if not entered and self._rules.entry == "close":
            if self._last_at is None:
                return Outcome(self.trade.signal_id, Exit.UNRESOLVABLE, Reason.NO_SIGNAL_BAR)
            entered, entry_at, entry = True, self._last_at, self._last_close
            if (reason := _fault_of_entry(self.trade, entry)) is not None:
                return Outcome(self.trade.signal_id, Exit.UNRESOLVABLE, reason)
        waiting = Outcome(self.trade.signal_id, Exit.OPEN)
        if not entered:  # the bar that it would enter with is still to come
            return waiting
        return replace(
            waiting, entry_at=entry_at, entry_price=entry, bars_held=self._held,
            reward_risk=self._reward_risk(entry),
        )  # fmt: skip

    def reported(self, price: float, at: int, how: Exit) -> Outcome:
        """What it comes to when the host says that it has ended: ``how``, at this price and time.

        Counted from where it has entered so far, else from the price that the signal names. Raises
        ValueError when nothing can be counted.
        """
        found, trade = self.so_far(), self.trade
        entry, entry_at = found.entry_price, found.entry_at
        if entry is None:
            entry = trade.entry_price if trade.fill_price is None else trade.fill_price
            entry_at = self.after
        reason = fault_of(trade, self._rules)
        if reason is None:
            reason = Reason.NO_ENTRY if entry is None else _fault_of_entry(trade, entry, with_target=False)
        if entry is None or reason is not None:
            raise ValueError((reason or Reason.NO_ENTRY).value)
        self._entry, self._entry_at = entry, entry_at
        return self._result(at, how, price)

    @property
    def _named(self) -> bool:
        """Whether it has a price to enter at that no bar needs to tell."""
        return self.trade.fill_price is not None or self._rules.entry == "signal"

    def _enter(self, price: float, at: int) -> Reason | None:
        self._entry, self._entry_at = price, at
        return _fault_of_entry(self.trade, price)

    def _begin(self, at: int, opened: float) -> None:
        """The first bar that counts."""
        reason: Reason | None = None
        if not self._named and self._rules.entry == "next_open":
            reason = self._enter(opened, at)
        elif not self._named:
            reason = Reason.NO_SIGNAL_BAR
            if self._last_at is not None:
                reason = self._enter(self._last_close, self._last_at)
        if reason is not None:
            self.outcome = Outcome(self.trade.signal_id, Exit.UNRESOLVABLE, reason)
        elif self._rules.session_end is not None:
            self._end = session_end_after(at, self._rules.session_end, self._rules.zone)

    def _walk(self, at: int, opened: float, high: float, low: float, close: float) -> None:
        trade, side, entry = self.trade, self.trade.side, self._entry
        stop, target = trade.stop or 0.0, trade.target  # there is a stop: fault_of has looked
        ahead, back = (high, low) if side > 0 else (low, high)
        if side * (opened - stop) <= 0:
            return self._ended(at, Exit.STOP, opened)
        if target is not None and side * (opened - target) >= 0:
            return self._ended(at, Exit.TARGET, target)
        reached = target is not None and side * (ahead - target) >= 0
        if side * (back - stop) <= 0:
            return self._ended(at, Exit.STOP, stop, ambiguous=reached)
        risk = abs(entry - stop)
        self._worst = min(self._worst, side * (back - entry) / risk)
        if reached and target is not None:
            return self._ended(at, Exit.TARGET, target)
        self._best = max(self._best, side * (ahead - entry) / risk)
        if self._held == self._rules.horizon_bars:
            self._ended(at, Exit.TIME, close)
        return None

    def _ended(self, at: int, how: Exit, price: float, *, ambiguous: bool = False) -> None:
        self.outcome = self._result(at, how, price, ambiguous=ambiguous)

    def _result(self, at: int, how: Exit, price: float, *, ambiguous: bool = False) -> Outcome:
        entry, side = self._entry, self.trade.side
        risk = abs(entry - (self.trade.stop or 0.0))
        gross = side * (price - entry) / risk
        reward = self._reward_risk(entry)
        return Outcome(
            self.trade.signal_id, how, None, self._entry_at, entry, at, price, self._held,
            gross, gross - self._rules.cost(stopped=how is Exit.STOP) / risk,
            reward if ambiguous else gross,
            max(self._best, gross), min(self._worst, gross), ambiguous, reward,
        )  # fmt: skip

    def _reward_risk(self, entry: float) -> float | None:
        target, side = self.trade.target, self.trade.side
        return None if target is None else side * (target - entry) / abs(entry - (self.trade.stop or 0.0))


def fault_of(trade: Trade, rules: ResolverRules) -> Reason | None:  # noqa: PLR0911  a list of faults
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


def _fault_of_entry(trade: Trade, entry: float, *, with_target: bool = True) -> Reason | None:
    if trade.stop is None or trade.side * (entry - trade.stop) <= 0:
        return Reason.ENTRY_AT_STOP
    if with_target and trade.target is not None and trade.side * (trade.target - entry) <= 0:
        return Reason.ENTRY_AT_TARGET
    return None
