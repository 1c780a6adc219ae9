"""What a host hands over about signals, bars and its trades: read, and given to who follows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo
from functools import partial
from typing import Any

from llm_integration.domain import Bar, Signal, parse_time, signal_in_pieces, signal_time, to_price
from llm_integration.fairness import at_once
from llm_integration.times import TimeRules
from llm_integration.worth.live import LiveOutcomes, UnknownSignalError
from llm_integration.worth.outcome import Exit, OutcomeRecord, Trade, side_of
from llm_integration.worth.sessions import microseconds

__all__ = ["OutcomeReader", "Work"]

Work = Callable[[], Iterable[OutcomeRecord | None]]
"""Something to do, and what comes of it; None is a moment to let others work."""


class OutcomeReader:
    """Times without a zone are of ``zone``. ``look_up`` gets reports about signals that are unknown here.

    Each method gives what comes of it, when it is gone through. A report that cannot be used raises
    ValueError then, with the signal and the reason.
    """

    def __init__(self, live: LiveOutcomes, zone: tzinfo, look_up: Callable[[str, Work], None]) -> None:
        self._live, self._zone, self._look_up = live, zone, look_up

    def accept_given(self, signal_id: str, data: Mapping[str, Any]) -> Iterable[OutcomeRecord | None]:
        """A signal as its host gave it."""
        rules = TimeRules.at(zone=self._zone)
        yield from self.accept(at_once(signal_in_pieces(signal_id, data, rules)).signal)

    def accept(self, signal: Signal) -> Iterable[OutcomeRecord | None]:
        """A signal that has been read."""
        at = None if signal.timestamp is None else microseconds(signal.timestamp)
        trade = Trade(
            signal.signal_id, side_of(signal.signal_type), at, signal.stop_loss, signal.target_price,
            signal.entry_price,
        )  # fmt: skip
        yield from self._live.accept(signal.symbol, trade)

    def bar(self, symbol: str, bar: Bar, signal: Signal | None) -> Iterable[OutcomeRecord | None]:
        """A closed bar, and the signal that it brought. One without a time or a price counts for nothing."""
        if signal is not None:
            yield from self.accept(signal)
        moment = parse_time(bar[0])
        opened, high, low, close = [to_price(value) for value in bar[1:5]]
        if moment is None or opened is None or high is None or low is None or close is None:
            return
        yield from self._live.bar(symbol, (microseconds(moment), opened, high, low, close))

    def fill(self, signal_id: str, price: object, at: object) -> Iterable[OutcomeRecord | None]:
        """The host was filled."""
        number, moment = self._price_and_time(signal_id, price, at)
        try:
            yield from self._live.fill(signal_id, number, moment)
        except UnknownSignalError:
            self._look_up(signal_id, partial(self.fill, signal_id, price, at))

    def outcome(
        self, signal_id: str, price: object, at: object, how: object, r_net: object
    ) -> Iterable[OutcomeRecord | None]:
        """The host's trade has ended."""
        number, moment = self._price_and_time(signal_id, price, at)
        if how not in (None, Exit.STOP, Exit.TARGET, Exit.TIME):
            raise ValueError(
                f"signal {signal_id!r:.100}: exit {how!r:.100} is not 'stop', 'target' or 'time'"
            )
        net = to_price(r_net)
        if r_net is not None and net is None:
            raise ValueError(f"signal {signal_id!r:.100}: r_net {r_net!r:.100} is no number")
        try:
            yield self._live.report(signal_id, number, moment, None if how is None else Exit(str(how)), net)
        except UnknownSignalError:
            self._look_up(signal_id, partial(self.outcome, signal_id, price, at, how, r_net))
        except ValueError as error:
            raise ValueError(f"signal {signal_id!r:.100}: no R can be counted ({error})") from None

    def _price_and_time(self, signal_id: str, price: object, at: object) -> tuple[float, int]:
        number = to_price(price)
        moment = signal_time(at, TimeRules.at(zone=self._zone), with_bars=False)[0]
        if number is None or moment is None:
            raise ValueError(f"signal {signal_id!r:.100}: {price!r:.100} at {at!r:.100} is no price and time")
        return number, microseconds(moment)
