"""A signal from outside, cleaned for showing, with the bars that had closed at its time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any, Final, NamedTuple

from llm_integration.config import LLMConfig
from llm_integration.domain import Signal, parse_time
from llm_integration.pieces import Steps
from llm_integration.signal_formatter.bars import FEW, READ_AT_ONCE, BarReader, ShownBar
from llm_integration.signal_formatter.measures import CHOPPINESS_PERIODS, EFFICIENCY_PERIODS
from llm_integration.signal_formatter.tables import common_places
from llm_integration.signal_formatter.text import clean, finite

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

    def __init__(self, config: LLMConfig) -> None:
        self.lookback = config.lookback_periods
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
        signal = self._cleaned(given, signal_id)
        closed = self._closed(signal.timestamp, given.bars if market is None else market)
        shown = closed[-self.lookback :]
        identity = signal_id if isinstance(signal_id, str) else signal.signal_id
        return Reading(signal, identity, shown, closed, common_places(shown))

    def read_ahead(self, signal: Signal) -> Steps[None]:
        """Read and write out the bars that ``read`` will find, with a pause wherever this yields."""
        until = signal.timestamp
        if until is None or len(signal.bars) <= READ_AT_ONCE:
            return
        try:
            yield from self.bars.read_ahead(signal.bars, until, max(self.lookback, BARS_FOR_MEASURES))
        except Exception:  # said by ``read``
            return
        shown = self._closed(until, signal.bars)[-self.lookback :]
        places = common_places(shown)
        for number, bar in enumerate(shown, 1):
            bar.text(places)
            if number % READ_AT_ONCE == 0:
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
        until = parse_time(given.timestamp)
        if until is None:
            return None
        shown = self._closed(until, given.bars, 1)
        newest = shown[-1].moment if shown else None
        return (newest or until, until)

    def _closed(self, until: datetime | None, market: object, wanted: int | None = None) -> list[ShownBar]:
        if market is None or until is None:
            return []
        try:
            return self.bars.closed(market, until, wanted or max(self.lookback, BARS_FOR_MEASURES))
        except Exception as error:  # a foreign container may raise anything; the signal is worth more
            logger.warning("the bars given with a signal cannot be read (%s)", type(error).__name__)
            return []

    def _cleaned(self, given: Signal | _Given, signal_id: object) -> Signal:
        return Signal(
            signal_id=clean(signal_id, MAX_ID_CHARS),
            timestamp=parse_time(given.timestamp),
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
        known = given if type(given) is dict or isinstance(given, Mapping) else {}
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
    inner = source.get("signal_data")
    data = inner if isinstance(inner, Mapping) else source
    return _Given._make([data.get(name) for name in _Given._fields]), source.get("signal_id")
