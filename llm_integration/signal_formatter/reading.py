"""A signal from outside, cleaned for showing, with the bars that had closed at its time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from llm_integration.config import LLMConfig
from llm_integration.domain import Signal, parse_time
from llm_integration.signal_formatter.bars import BarReader, ShownBar
from llm_integration.signal_formatter.measures import CHOPPINESS_PERIODS, EFFICIENCY_PERIODS
from llm_integration.signal_formatter.tables import common_places
from llm_integration.signal_formatter.text import clean, finite

__all__ = ["Reader", "Reading"]

logger = logging.getLogger(__name__)

SIGNAL_FIELDS: Final = tuple(field.name for field in fields(Signal))
BARS_FOR_MEASURES: Final = max(CHOPPINESS_PERIODS, EFFICIENCY_PERIODS) + 1

MOST_SETS_OF_NAMES: Final = 64
MOST_NAMES: Final = 64
"""Sets of indicator names that are remembered, and how large one may be."""
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
        self._names: dict[tuple[object, ...], list[tuple[str, str | None]]] = {}
        self.bars = BarReader()

    def read(self, source: Mapping[str, Any] | Signal, market: object = None) -> Reading:
        """``source`` and the bars of ``market``, else its own. Never raises on bad values."""
        data, signal_id = _fields(source)
        signal = self._cleaned(data, signal_id)
        closed = self._closed(signal.timestamp, data.get("bars") if market is None else market)
        shown = closed[-self.lookback :]
        identity = signal_id if isinstance(signal_id, str) else signal.signal_id
        return Reading(signal, identity, shown, closed, common_places(shown))

    def span(self, source: Mapping[str, Any] | Signal) -> tuple[datetime, datetime] | None:
        """From the newest bar that ``source`` shows to its own time; None without a time."""
        data, _ = _fields(source)
        until = parse_time(data.get("timestamp"))
        if until is None:
            return None
        shown = self._closed(until, data.get("bars"), 1)
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

    def _cleaned(self, data: Mapping[str, Any], signal_id: object) -> Signal:
        return Signal(
            signal_id=clean(signal_id, MAX_ID_CHARS),
            timestamp=parse_time(data.get("timestamp")),
            symbol=clean(data.get("symbol"), MAX_NAME_CHARS),
            signal_type=clean(data.get("signal_type"), MAX_NAME_CHARS),
            entry_price=finite(data.get("entry_price")),
            stop_loss=finite(data.get("stop_loss")),
            target_price=finite(data.get("target_price")),
            indicators=self._chosen(data.get("indicators")),
            strategy=clean(data.get("strategy"), MAX_NAME_CHARS),
            notes=clean(data.get("notes"), MAX_NOTE_CHARS),
        )

    def _chosen(self, given: object) -> dict[str, float | None]:
        """The indicators to show, by the name to show them under."""
        known = given if isinstance(given, Mapping) else {}
        names = tuple(known)
        chosen = self._names.get(names) or self._choose(known, names)
        return {shown: None if name is None else finite(known[name]) for shown, name in chosen}

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


def _fields(source: Mapping[str, Any] | Signal) -> tuple[Mapping[str, Any], object]:
    """The values of a signal by name, and its id."""
    if isinstance(source, Signal):
        return {name: getattr(source, name) for name in SIGNAL_FIELDS}, source.signal_id
    inner = source.get("signal_data")
    return (inner if isinstance(inner, Mapping) else source), source.get("signal_id")
