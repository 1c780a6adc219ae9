"""``resolve`` for many trades at once: the same rules, one bar of every open trade in each step. Pure.

A test holds the two together to the last bit. Trades that are still open after ``STEPS`` bars are few, and
are followed one by one over stretches of bars that double.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.sessions import session_ends_after
from llm_integration.worth.trades import (
    EXITS,
    NO_TIME,
    REASONS,
    BarColumns,
    Flags,
    Floats,
    Ints,
    Outcome,
    Reason,
    TradeColumns,
)

__all__ = ["OutcomeColumns", "resolve_many"]

STEPS = 256
STRETCH = 1_024
_STOP, _TARGET, _TIME, _OPEN, _UNRESOLVABLE = range(len(EXITS))
FAR = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class OutcomeColumns:
    """Outcomes in the order of their trades; fields as in Outcome, missing values as in trades.py.

    ``exits`` are places in EXITS, ``reasons`` places in REASONS.
    """

    exits: Ints
    reasons: Ints
    entry_at: Ints
    entry_price: Floats
    exit_at: Ints
    exit_price: Floats
    bars_held: Ints
    r_gross: Floats
    r_net: Floats
    r_optimistic: Floats
    mfe: Floats
    mae: Floats
    ambiguous: Flags
    reward_risk: Floats

    @classmethod
    def blank(cls, count: int) -> OutcomeColumns:
        """All unknown."""
        values: dict[str, Any] = {}
        for column in fields(cls):
            if column.name in ("entry_at", "exit_at"):
                values[column.name] = np.full(count, NO_TIME, dtype=np.int64)
            elif column.name in ("exits", "reasons", "bars_held"):
                values[column.name] = np.zeros(count, dtype=np.int64)
            elif column.name == "ambiguous":
                values[column.name] = np.zeros(count, dtype=np.bool_)
            else:
                values[column.name] = np.full(count, np.nan)
        return cls(**values)

    def objects(self, trades: TradeColumns) -> Iterator[Outcome]:
        """One Outcome after the other."""
        columns = [getattr(self, column.name).tolist() for column in fields(self)]
        for signal_id, row in zip(trades.ids, zip(*columns, strict=True), strict=True):
            yield Outcome(
                signal_id, EXITS[row[0]], REASONS[row[1]], _time(row[2]), _price(row[3]), _time(row[4]),
                _price(row[5]), row[6], _price(row[7]), _price(row[8]), _price(row[9]), _price(row[10]),
                _price(row[11]), row[12], _price(row[13]),
            )  # fmt: skip


def _time(value: int) -> int | None:
    return None if value == NO_TIME else value


def _price(value: float) -> float | None:
    return None if math.isnan(value) else value


def resolve_many(trades: TradeColumns, bars: BarColumns, rules: ResolverRules) -> OutcomeColumns:
    """What became of each of ``trades`` over the bars of their instrument."""
    found = OutcomeColumns.blank(len(trades))
    first = _enter(trades, bars, rules, found)
    live = np.flatnonzero(found.exits != _UNRESOLVABLE)
    live = live[first[live] < len(bars)]
    if len(live):
        _Walk(trades, bars, rules, found, first).go(live)
    return found


def _enter(trades: TradeColumns, bars: BarColumns, rules: ResolverRules, found: OutcomeColumns) -> Ints:
    """Fill in who entered where and who cannot; the first bar that counts, ``len(bars)`` if it is to come."""
    found.exits[:] = _OPEN
    side, stop, target = trades.sides, trades.stops, trades.targets
    filled = ~np.isnan(trades.fills)
    following = np.searchsorted(bars.times, trades.at, side="right")
    first = following.astype(np.int64)
    if rules.entry == "next_open":
        price, at = _picked(bars.opens, following), _picked_times(bars.times, following)
    elif rules.entry == "close":
        price, at = _picked(bars.closes, following - 1), _picked_times(bars.times, following - 1)
    else:
        price, at = trades.entries.copy(), trades.at.copy()
    fill_at = np.where(trades.fills_at == NO_TIME, trades.at, trades.fills_at)
    price, at = np.where(filled, trades.fills, price), np.where(filled, fill_at, at)
    first = np.where(filled, np.searchsorted(bars.times, fill_at, side="right"), first)
    no_target = np.isnan(target)
    nothing = np.zeros(len(trades), dtype=np.bool_)
    faults = {
        Reason.NO_SIDE: side == 0,
        Reason.NO_TIME: trades.at == NO_TIME,
        Reason.NO_STOP: np.isnan(stop),
        Reason.NO_TARGET: nothing if rules.limited else no_target,
        Reason.ZERO_RISK: trades.entries == stop,
        Reason.STOP_SIDE: (side * (trades.entries - stop) < 0) | (side * (target - stop) <= 0),
        Reason.NO_ENTRY: np.isnan(price) if rules.entry == "signal" else nothing,
        Reason.NO_SIGNAL_BAR: (following == 0) & ~filled if rules.entry == "close" else nothing,
        Reason.ENTRY_AT_STOP: side * (price - stop) <= 0,
        Reason.ENTRY_AT_TARGET: side * (target - price) <= 0,
    }
    for reason in reversed(faults):  # the first that holds is written last
        found.reasons[faults[reason]] = REASONS.index(reason)
    unresolvable = found.reasons > 0
    found.exits[unresolvable] = _UNRESOLVABLE
    entered = ~unresolvable & ~np.isnan(price)
    found.entry_price[entered], found.entry_at[entered] = price[entered], at[entered]
    found.bars_held[entered] = len(bars) - first[entered]
    risk = np.abs(price - stop)
    reward = entered & ~no_target
    found.reward_risk[reward] = (side * (target - price))[reward] / risk[reward]
    return first


def _picked(column: Floats, places: Ints) -> Floats:
    there = (places >= 0) & (places < len(column))
    picked = np.full(len(places), np.nan)
    picked[there] = column[places[there]]
    return picked


def _picked_times(column: Ints, places: Ints) -> Ints:
    there = (places >= 0) & (places < len(column))
    picked = np.full(len(places), NO_TIME, dtype=np.int64)
    picked[there] = column[places[there]]
    return picked


class _Walk:
    """Follows entered trades to their end; what it finds stands in ``found``."""

    def __init__(
        self,
        trades: TradeColumns,
        bars: BarColumns,
        rules: ResolverRules,
        found: OutcomeColumns,
        first: Ints,
    ) -> None:
        self._bars, self._rules, self._found, self._first = bars, rules, found, first
        self._side, self._stop, self._target = trades.sides, trades.stops, trades.targets
        self._best, self._worst = np.zeros(len(trades)), np.zeros(len(trades))
        self._last = np.full(len(trades), FAR, dtype=np.int64)
        if rules.horizon_bars is not None:
            self._last = first + (rules.horizon_bars - 1)

    def go(self, live: Ints) -> None:
        """Follow the trades at the places ``live``."""
        self._end_sessions(live)
        step = 0
        while len(live) and step < STEPS:
            live = self._step(live, self._first[live] + step)
            step += 1
            live = live[self._first[live] + step < len(self._bars)]
        for trade in live:
            self._follow(int(trade), int(self._first[trade]) + step)

    def _end_sessions(self, live: Ints) -> None:
        """The last bar before the session's end, if a bar behind it shows that the session is over."""
        rules, times = self._rules, self._bars.times
        if rules.session_end is None:
            return
        ends = session_ends_after(times[self._first[live]], rules.session_end, rules.zone)
        behind = np.searchsorted(times, ends, side="left")
        over = behind < len(times)
        self._last[live[over]] = np.minimum(self._last[live[over]], behind[over] - 1)

    def _step(self, live: Ints, at: Ints) -> Ints:
        """One bar for each; those that are still open."""
        bars = self._bars
        side, stop, target = self._side[live], self._stop[live], self._target[live]
        opens, highs, lows = bars.opens[at], bars.highs[at], bars.lows[at]
        buys = side > 0
        ahead, back = np.where(buys, highs, lows), np.where(buys, lows, highs)
        gap_stop = side * (opens - stop) <= 0
        gap_target = ~gap_stop & (side * (opens - target) >= 0)
        gap = gap_stop | gap_target
        touched = side * (ahead - target) >= 0
        stopped = ~gap & (side * (back - stop) <= 0)
        reached = ~gap & ~stopped & touched
        through = ~(gap | stopped)
        self._note(live, back, ahead, through, reached)
        timed = through & ~reached & (at >= self._last[live])
        self._close(live, at, gap_stop, _STOP, opens)
        self._close(live, at, gap_target | reached, _TARGET, target)
        self._close(live, at, stopped, _STOP, stop, ambiguous=touched)
        self._close(live, at, timed, _TIME, bars.closes[at])
        return live[through & ~reached & ~timed]

    def _note(self, live: Ints, back: Floats, ahead: Floats, through: Flags, reached: Flags) -> None:
        """How far the price went against the trades and with them inside a bar that did not stop them."""
        side, entry = self._side[live], self._found.entry_price[live]
        risk = np.abs(entry - self._stop[live])
        worst, best = side * (back - entry) / risk, side * (ahead - entry) / risk
        held = live[through]
        self._worst[held] = np.minimum(self._worst[held], worst[through])
        with_it = through & ~reached
        self._best[live[with_it]] = np.maximum(self._best[live[with_it]], best[with_it])

    def _close(
        self,
        live: Ints,
        at: Ints,
        which: Flags,
        how: int,
        prices: Floats,
        *,
        ambiguous: Flags | None = None,
    ) -> None:
        """Write the end of those of ``live`` that ``which`` marks."""
        if not which.any():
            return
        found, trades = self._found, live[which]
        entry = found.entry_price[trades]
        risk = np.abs(entry - self._stop[trades])
        gross = self._side[trades] * (prices[which] - entry) / risk
        found.exits[trades] = how
        found.exit_at[trades], found.exit_price[trades] = self._bars.times[at[which]], prices[which]
        found.bars_held[trades] = at[which] - self._first[trades] + 1
        found.r_gross[trades] = found.r_optimistic[trades] = gross
        found.r_net[trades] = gross - self._rules.cost(stopped=how == _STOP) / risk
        found.mfe[trades] = np.maximum(self._best[trades], gross)
        found.mae[trades] = np.minimum(self._worst[trades], gross)
        if ambiguous is not None:
            both = trades[ambiguous[which]]
            found.ambiguous[both] = True
            found.r_optimistic[both] = found.reward_risk[both]

    def _follow(self, trade: int, at: int) -> None:
        """One trade over stretches of bars, each twice as long as the one before."""
        size = STRETCH
        live = np.array([trade], dtype=np.int64)
        while at < len(self._bars):
            until = min(at + size, len(self._bars), int(min(self._last[trade], FAR - 1)) + 1)
            ending = self._first_event(trade, at, until)
            stretch = slice(at, ending)
            if ending > at:
                self._note_stretch(trade, stretch)
            if ending < until:
                if not len(self._step(live, np.array([ending], dtype=np.int64))):
                    return
                ending += 1
            at, size = ending, size * 2

    def _first_event(self, trade: int, at: int, until: int) -> int:
        """The first bar at which the trade may end; ``until`` if there is none."""
        bars, buys = self._bars, self._side[trade] > 0
        stop, target = self._stop[trade], self._target[trade]
        highs, lows = bars.highs[at:until], bars.lows[at:until]
        touched = (lows <= stop) | (highs >= target) if buys else (highs >= stop) | (lows <= target)
        if self._last[trade] < until:
            touched[int(self._last[trade]) - at] = True
        place = int(touched.argmax())
        return at + place if touched[place] else until

    def _note_stretch(self, trade: int, stretch: slice) -> None:
        bars, side = self._bars, int(self._side[trade])
        entry = self._found.entry_price[trade]
        risk = abs(entry - self._stop[trade])
        top, bottom = bars.highs[stretch].max(), bars.lows[stretch].min()
        ahead, back = (top, bottom) if side > 0 else (bottom, top)
        self._worst[trade] = min(self._worst[trade], side * (back - entry) / risk)
        self._best[trade] = max(self._best[trade], side * (ahead - entry) / risk)
