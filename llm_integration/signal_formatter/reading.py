"""A signal from outside, cleaned for showing, with the bars that had closed at its time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, Final, NamedTuple, TypeGuard

from llm_integration.bar_forms import as_mapping, read_bars
from llm_integration.config import LLMConfig
from llm_integration.domain import Signal, signal_time
from llm_integration.fairness import SHOWN_BARS_AT_ONCE, Steps, at_once
from llm_integration.remarks import Remarks
from llm_integration.signal_formatter.bars import FEW, BarReader, ShownBar, are_bars, last_closed
from llm_integration.signal_formatter.measures import CHOPPINESS_PERIODS, EFFICIENCY_PERIODS
from llm_integration.signal_formatter.tables import common_places
from llm_integration.signal_formatter.text import clean, finite
from llm_integration.times import TimeRules, zone_named

__all__ = ["Reader", "Reading"]

logger = logging.getLogger(__name__)

BARS_FOR_MEASURES: Final = max(CHOPPINESS_PERIODS, EFFICIENCY_PERIODS) + 1

MOST_SETS_OF_NAMES: Final = 64
MOST_NAMES: Final = 64
"""Sets of indicator names that are remembered, how large one may be, and how many other names are."""
MOST_SPANS: Final = 128
MAX_ID_CHARS: Final = 256
MAX_NAME_CHARS: Final = 64
MAX_NOTE_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Reading:
    """A signal cleaned for showing, the bars to show, and the closed bars that the measures look at.

    ``source_id`` is the signal's id as it came, for telling signals apart.
    """

    signal: Signal
    source_id: str
    shown: Sequence[ShownBar]
    closed: Sequence[ShownBar]
    places: int

    @property
    def newest(self) -> datetime | None:
        """The latest time of which the shown bars tell."""
        return self.shown[-1].moment if self.shown else None

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """From the newest shown bar to the signal's own time; None without a time."""
        until = self.signal.timestamp
        return None if until is None else (self.newest or until, until)


class Reader:
    """Cleans signals and finds their bars, as the settings want it; remembers the bars it has read."""

    def __init__(self, config: LLMConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.lookback = config.lookback_periods
        self._clock = clock
        self._zone = zone_named(config.bars_timezone)
        self._remarks = Remarks(logger, config.bars_timezone)
        self._indicators = [
            (name, name.lower(), clean(name, MAX_NAME_CHARS)) for name in config.indicators_to_include
        ]
        self._known: dict[str, str] = {}
        self._names: dict[tuple[object, ...], list[tuple[str, str | None]]] = {}
        self.bars = BarReader(self.lookback)
        self._spans: dict[int, tuple[Signal, tuple[datetime, datetime] | None]] = {}
        """Of signals with many bars, by their ids as objects; they live as long."""

    def read(self, source: Mapping[str, Any] | Signal, market: object = None) -> Reading:
        """``source`` and the bars of ``market``, else its own. Never raises on bad values."""
        given, signal_id = _given(source)
        rules = TimeRules.at(self._clock(), self._zone)
        moment, remarks, naive = signal_time(given.timestamp, rules, with_bars=False)
        if not isinstance(given, Signal):  # whoever made the signal has said it
            self._remarks.tell(remarks, naive=naive)
        signal = self._cleaned(given, signal_id, moment)
        closed = self._closed(given.symbol, moment, given.bars if market is None else market, rules)
        shown = closed[-self.lookback :]
        identity = signal_id if isinstance(signal_id, str) else signal.signal_id
        return Reading(signal, identity, shown, closed, common_places(shown))

    def read_ahead(self, signal: Signal) -> Steps[None]:
        """Read and write out the bars that ``read`` will find, with a pause wherever this yields."""
        until = signal.timestamp
        if until is None or len(signal.bars) <= SHOWN_BARS_AT_ONCE or not are_bars(signal.bars):
            return
        try:
            yield from self.bars.read_ahead(signal.bars, until, max(self.lookback, BARS_FOR_MEASURES))
        except Exception:  # said by ``read``
            return
        shown = self._closed(signal.symbol, until, signal.bars)[-self.lookback :]
        places = common_places(shown)
        for number, bar in enumerate(shown, 1):
            bar.text(places)
            if number % SHOWN_BARS_AT_ONCE == 0:
                yield

    def span(self, source: Mapping[str, Any] | Signal) -> tuple[datetime, datetime] | None:
        """From the newest bar that ``source`` shows to its own time; None without a time."""
        given, _ = _given(source)
        if not isinstance(given, Signal) or len(given.bars) <= FEW:
            return self._span(given)
        known, span = self._spans.get(id(given), (None, None))
        if known is not given:
            if len(self._spans) >= MOST_SPANS:
                self._spans.clear()
            self._spans[id(given)] = given, (span := self._span(given))
        return span

    def _span(self, given: Signal | _Given) -> tuple[datetime, datetime] | None:
        rules = TimeRules.at(self._clock(), self._zone)
        until, _, _ = signal_time(given.timestamp, rules, with_bars=False)
        if until is None:
            return None
        shown = self._closed(given.symbol, until, given.bars, rules, 1)
        newest = shown[-1].moment if shown else None
        return (newest or until, until)

    def _closed(
        self,
        symbol: object,
        until: datetime | None,
        market: object,
        rules: TimeRules | None = None,
        wanted: int | None = None,
    ) -> list[ShownBar]:
        if market is None or until is None:
            return []
        wanted = wanted or max(self.lookback, BARS_FOR_MEASURES)
        try:
            if not isinstance(market, (list, tuple)) and _is_stream(market):
                market = [*market]
            if are_bars(market):
                return self.bars.closed(market, until, wanted)
        except Exception as error:  # a foreign container may raise anything; the signal is worth more
            logger.warning("the bars given with a signal cannot be read (%s)", type(error).__name__)
            return []
        rules = rules or TimeRules.at(self._clock(), self._zone)
        name = symbol.strip() if isinstance(symbol, str) else ""
        read = at_once(read_bars(market, symbol=name, until=until, rules=rules))
        self._remarks.tell(read.remarks, naive=read.naive)
        return last_closed([ShownBar(None, *row) for row in read.rows], until, wanted)

    def _cleaned(self, given: Signal | _Given, signal_id: object, moment: datetime | None) -> Signal:
        return Signal(
            signal_id=clean(signal_id, MAX_ID_CHARS),
            timestamp=moment,
            symbol=self._name(given.symbol),
            signal_type=self._name(given.signal_type),
            entry_price=finite(given.entry_price),
            stop_loss=finite(given.stop_loss),
            target_price=finite(given.target_price),
            indicators=self._chosen(given.indicators),
            strategy=self._name(given.strategy),
            notes=clean(given.notes, MAX_NOTE_CHARS),
        )

    def _name(self, given: object) -> str:
        """``clean``; remembered, as symbols, sides and strategies come again with every signal."""
        if type(given) is not str or len(given) > MAX_NAME_CHARS:
            return clean(given, MAX_NAME_CHARS)
        name = self._known.get(given)
        if name is None:
            name = clean(given, MAX_NAME_CHARS)
            if len(self._known) < MOST_NAMES:
                self._known[given] = name
        return name

    def _chosen(self, given: object) -> dict[str, float | None]:
        """The indicators to show, by the name to show them under."""
        known = (given if type(given) is dict else as_mapping(given)) or {}
        names = tuple(known)
        chosen = self._names.get(names) or self._choose(known, names)
        return {
            shown: None if name is None
            else value if type(value := known[name]) is float and -inf < value < inf
            else finite(value)
            for shown, name in chosen
        }  # fmt: skip

    def _choose(self, known: Mapping[Any, Any], names: tuple[Any, ...]) -> list[tuple[str, str | None]]:
        """Which name stands for which indicator; remembered, as a strategy gives the same ones every time."""
        folded = {name.lower(): name for name in names if isinstance(name, str)}
        chosen = [
            (shown, name if name in known else folded.get(lower)) for name, lower, shown in self._indicators
        ]
        plain = len(names) <= MOST_NAMES and all(type(name) is str and len(name) <= 64 for name in names)
        if plain and len(self._names) < MOST_SETS_OF_NAMES:
            self._names[names] = chosen
        return chosen


def _is_stream(market: object) -> TypeGuard[Iterable[object]]:
    """True for what can only be gone through: a generator, a deque, a set."""
    return isinstance(market, Iterable) and not (
        hasattr(market, "__getitem__") and not isinstance(market, deque)
    )


class _Given(NamedTuple):
    """What a host's mapping says, by the names of Signal; anything may be anything."""

    timestamp: Any
    symbol: Any
    signal_type: Any
    entry_price: Any
    stop_loss: Any
    target_price: Any
    indicators: Any
    bars: Any
    strategy: Any
    notes: Any


def _given(source: Mapping[str, Any] | Signal) -> tuple[Signal | _Given, object]:
    """The values of a signal, and its id."""
    if isinstance(source, Signal):
        return source, source.signal_id
    inner = as_mapping(source.get("signal_data"))
    data = source if inner is None else inner
    return _Given._make([data.get(name) for name in _Given._fields]), source.get("signal_id")
