"""Signals that are followed as bars come in, by the rules of the resolver, to the last bit. Pure.

Each bar costs a step for each signal of its symbol that is open, and nothing else. A signal is followed if a
bar stamped at or before it was seen, or its first bar is one: what came between is then known. All others
are left to ``worth``, which has all bars; so are those for which there is no room.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from llm_integration.worth.following import Following
from llm_integration.worth.outcome import HOST, Exit, Outcome, OutcomeRecord, Trade
from llm_integration.worth.rules import ResolverRules

__all__ = ["BarRow", "LiveOutcomes", "UnknownSignalError"]

MOST_FOLLOWED: Final = 10_000
"""Open signals; of more than that the one that has been followed for the longest is given up."""
MOST_KNOWN: Final = 20_000
"""Signals that a host may still report on, the latest so many."""
MOST_SYMBOLS: Final = 2_000
RECENT_BARS: Final = 100
"""Of each symbol, for signals and fills that are told of late."""
AT_ONCE: Final = 16
BarRow = tuple[int, float, float, float, float]
"""Time, open, high, low, close."""


class UnknownSignalError(KeyError):
    """Nobody has handed over a signal of this id, or it was too long ago."""


@dataclass(slots=True)
class _Known:
    """A signal; ``following`` is None while nobody follows it. ``reported``: by the host, how it ended."""

    symbol: str
    trade: Trade
    following: Following | None = None
    reported: bool = False


@dataclass(slots=True)
class _Symbol:
    recent: deque[BarRow] = field(default_factory=lambda: deque(maxlen=RECENT_BARS))
    open: dict[str, Following] = field(default_factory=dict)


class LiveOutcomes:
    """The open signals of all symbols. Belongs to one thread; what ends is yielded.

    ``given_up`` counts signals that there was no room for, ``uncovered`` those whose bars were not seen,
    ``repeated`` bars that came again.
    """

    def __init__(self, rules: ResolverRules, *, most_followed: int = MOST_FOLLOWED) -> None:
        self._rules, self._described = rules, rules.as_json()
        self._most = most_followed
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._open: OrderedDict[str, str] = OrderedDict()
        self._symbols: dict[str, _Symbol] = {}
        self.given_up = self.uncovered = self.repeated = 0

    @property
    def followed(self) -> int:
        """Signals that are open."""
        return len(self._open)

    def accept(self, symbol: str, trade: Trade) -> Iterator[OutcomeRecord]:
        """Follow a signal from now on, once. Its outcome, if it has one by now."""
        if trade.signal_id in self._known:
            return
        known = self._known[trade.signal_id] = _Known(symbol, trade)
        if len(self._known) > MOST_KNOWN:
            self._forget_oldest()
        yield from self._follow(known)

    def bar(self, symbol: str, bar: BarRow) -> Iterator[OutcomeRecord | None]:
        """The next bar of a symbol. None in between is a moment to let others work."""
        stream = self._stream(symbol)
        if stream is None:
            return
        if stream.recent and bar[0] <= stream.recent[-1][0]:
            self.repeated += 1
            return
        if not stream.recent:
            self._drop_uncovered(stream, bar[0])
        stream.recent.append(bar)
        for number, (name, following) in enumerate(list(stream.open.items()), start=1):
            ended = following.bar(*bar)
            if ended is not None:
                self._close(name)
                yield self._record(following.trade, ended)
            if number % AT_ONCE == 0:
                yield None

    def fill(self, signal_id: str, price: float, at: int) -> Iterator[OutcomeRecord]:
        """The host was filled: the signal is counted from there. Raises UnknownSignalError.

        Its outcome, or ``open`` with the fill, which is to be kept: if bars since then are not at hand any
        more it is ``worth`` that goes on from it.
        """
        known = self._find(signal_id)
        if known.reported:
            return
        known.trade = replace(known.trade, fill_price=price, fill_at=at)
        self._close(signal_id)
        told = list(self._follow(known))
        yield from told
        if not told:
            following = known.following or Following(known.trade, self._rules)
            yield self._record(known.trade, following.so_far())

    def report(
        self, signal_id: str, price: float, at: int, how: Exit | None = None, r_net: float | None = None
    ) -> OutcomeRecord:
        """The host says how it ended; that stands over whatever bars tell.

        ``how`` None: where the price lies says it. Raises UnknownSignalError, and ValueError when no R can be
        counted for it.
        """
        known = self._find(signal_id)
        following = known.following
        counted = following or Following(known.trade, self._rules)
        found = counted.reported(price, at, how or _how(known.trade, price))
        if following is None or not found.bars_held:  # nothing is known of the way there
            found = replace(found, mfe=None, mae=None)
        if r_net is not None:
            found = replace(found, r_net=r_net)
        known.reported = True
        self._close(signal_id)
        return self._record(known.trade, replace(found, source=HOST))

    def lose_bars(self) -> None:
        """Bars were left out: what is open cannot be told any more, and nothing of before is at hand."""
        self.given_up += len(self._open)
        for name in list(self._open):
            self._give_up(name)
        self._symbols.clear()

    def _follow(self, known: _Known) -> Iterator[OutcomeRecord]:
        """From the bars at hand on."""
        known.following = following = Following(known.trade, self._rules)
        stream = self._stream(known.symbol)
        if following.outcome is None and stream is not None:
            if stream.recent and stream.recent[0][0] > following.after:
                stream = None
            else:
                for bar in stream.recent:
                    following.bar(*bar)
        if following.outcome is not None:
            yield self._record(known.trade, following.outcome)
        elif stream is None:
            known.following = None
            self.uncovered += 1
        else:
            stream.open[known.trade.signal_id] = following
            self._open[known.trade.signal_id] = known.symbol
            if len(self._open) > self._most:
                self.given_up += 1
                self._give_up(next(iter(self._open)))

    def _drop_uncovered(self, stream: _Symbol, at: int) -> None:
        """The first bar of a symbol has come: a signal from before it may have missed some."""
        for name, following in list(stream.open.items()):
            if following.after < at:
                self.uncovered += 1
                self._give_up(name)

    def _stream(self, symbol: str) -> _Symbol | None:
        stream = self._symbols.get(symbol)
        if stream is None and len(self._symbols) < MOST_SYMBOLS:
            stream = self._symbols[symbol] = _Symbol()
        return stream

    def _find(self, signal_id: str) -> _Known:
        try:
            return self._known[signal_id]
        except KeyError:
            raise UnknownSignalError(signal_id) from None

    def _give_up(self, signal_id: str) -> None:
        self._close(signal_id)
        if signal_id in self._known:
            self._known[signal_id].following = None

    def _close(self, signal_id: str) -> None:
        symbol = self._open.pop(signal_id, None)
        if symbol is not None:
            self._symbols[symbol].open.pop(signal_id, None)

    def _forget_oldest(self) -> None:
        name, _ = self._known.popitem(last=False)
        if name in self._open:
            self.given_up += 1
            self._close(name)

    def _record(self, trade: Trade, outcome: Outcome) -> OutcomeRecord:
        return OutcomeRecord(outcome, self._described, trade.fill_price, trade.fill_at)


def _how(trade: Trade, price: float) -> Exit:
    """Which end a price is one of."""
    stop, target = trade.stop, trade.target
    if stop is not None and trade.side * (price - stop) <= 0:
        return Exit.STOP
    reached = target is not None and trade.side * (price - target) >= 0
    return Exit.TARGET if reached and not math.isnan(price) else Exit.TIME
