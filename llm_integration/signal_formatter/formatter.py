"""SignalFormatter: from a signal and its bars to the text that the model reads. Pure."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from llm_integration.config import LLMConfig
from llm_integration.domain import Signal, parse_time
from llm_integration.signal_formatter import instructions
from llm_integration.signal_formatter.bars import BarReader, ShownBar
from llm_integration.signal_formatter.measures import choppiness_index, efficiency_ratio
from llm_integration.signal_formatter.tables import BarTable, common_places, shared_tables
from llm_integration.signal_formatter.text import MISSING, clean, finite, number, price, shown_time

__all__ = ["SignalFormatter"]

SIGNAL_FIELDS: Final = tuple(field.name for field in fields(Signal))

logger = logging.getLogger(__name__)

CHOPPINESS_PERIODS: Final = 14
EFFICIENCY_PERIODS: Final = 10
BARS_FOR_MEASURES: Final = max(CHOPPINESS_PERIODS, EFFICIENCY_PERIODS) + 1

MAX_ID_CHARS: Final = 256
MAX_NAME_CHARS: Final = 64
MAX_NOTE_CHARS: Final = 500

BAR_COLUMNS: Final = "time UTC,open,high,low,close,volume"


@dataclass(frozen=True, slots=True)
class _Reading:
    """A signal cleaned for showing, the bars to show, and the closed bars that the measures look at."""

    signal: Signal
    shown: Sequence[ShownBar]
    closed: Sequence[ShownBar]
    places: int


class SignalFormatter:
    """Writes prompts. The same signal and settings always give the same text, and no value makes it fail.

    Each piece of data stands on one line of its own inside a ``<data>`` block; text from outside is cleaned
    of line breaks, invisible characters and angle brackets, and cut to a limit. Prices keep the digits that
    the bars have. Two formatters share nothing.
    """

    prompt_version: str = instructions.VERSION
    """Name and version of the prompt, to be stored with each answer."""
    system_prompt: str = instructions.SYSTEM
    """What to send as the system message beside either kind of prompt."""

    def __init__(self, config: LLMConfig | None = None) -> None:
        config = config or LLMConfig()
        self._lookback = config.lookback_periods
        self._indicators = [
            (name, name.lower(), clean(name, MAX_NAME_CHARS)) for name in config.indicators_to_include
        ]
        self._reader = BarReader()

    def format_signal_data(self, signal_data: Mapping[str, Any] | Signal, market_df: object = None) -> str:
        """The request to rate one signal.

        ``signal_data`` is a Signal or the host's mapping; ``market_df`` a pandas DataFrame or a collection of
        bars, oldest or newest first, and None for the bars of the signal itself. Shown are the last
        ``lookback_periods`` bars stamped at or before the signal's time. The measures look further back
        where there is more. A signal without a time gets no bars, as none can be shown to have closed.
        """
        reading = self._read(signal_data, market_df)
        return _assembled(
            "Give a second opinion on the trading signal in the data block.",
            [*self._signal_lines(reading), *_bar_lines(reading)],
            instructions.SINGLE_FORM,
        )

    def format_batch(self, signals: Iterable[Mapping[str, Any] | Signal]) -> str:
        """The request to rate several signals at once, answered by a JSON array with their ids.

        A mapping is ``{"signal_id": ..., "signal_data": {...}}``. The bars of a symbol stand there once for
        all of its signals, and each signal says up to which time it may be judged by them. No bar is later
        than the last of these times; but when signals of one symbol differ in time, the later ones' bars are
        in view of the earlier ones, which only the wording forbids to use. A caller to whom that matters puts
        no two times of a symbol into one batch. An id of visible ASCII without angle brackets, up to 256
        characters, is shown as it is.
        """
        readings = [self._read(signal, None) for signal in signals]
        tables = shared_tables([(reading.signal.symbol, reading.shown) for reading in readings])
        data = []
        for position, reading in enumerate(readings):
            data += [
                f"Signal {position + 1} of {len(readings)}",
                f"Signal id: {reading.signal.signal_id or MISSING}",
            ]
            data += [*self._signal_lines(reading), _bars_to_use(reading, position, tables), ""]
        for index, table in enumerate(tables, start=1):
            title = (
                f"Table {index}: bars of {table.symbol or 'an unnamed symbol'}, oldest first ({BAR_COLUMNS}):"
            )
            data += [title, *table.lines()]
        return _assembled(
            f"Give a second opinion on each of the {len(readings)} trading signals in the data block.",
            data,
            instructions.BATCH_FORM,
        )

    def _read(self, source: Mapping[str, Any] | Signal, market: object) -> _Reading:
        data, signal_id = _fields(source)
        signal = self._cleaned(data, signal_id)
        closed = self._closed(signal, data.get("bars") if market is None else market)
        shown = closed[-self._lookback :]
        return _Reading(signal, shown, closed, common_places(shown))

    def _closed(self, signal: Signal, market: object) -> list[ShownBar]:
        if market is None or signal.timestamp is None:
            return []
        try:
            return self._reader.closed(market, signal.timestamp, max(self._lookback, BARS_FOR_MEASURES))
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
        folded = {name.lower(): value for name, value in known.items() if isinstance(name, str)}
        return {
            shown: finite(known[name] if name in known else folded.get(lower))
            for name, lower, shown in self._indicators
        }

    def _signal_lines(self, reading: _Reading) -> list[str]:
        signal, places = reading.signal, reading.places
        closes = [bar.close for bar in reading.closed]
        choppiness = choppiness_index(
            [bar.high for bar in reading.closed],
            [bar.low for bar in reading.closed],
            closes,
            CHOPPINESS_PERIODS,
        )
        efficiency = efficiency_ratio(closes, EFFICIENCY_PERIODS)
        return [
            f"Symbol: {signal.symbol or MISSING}",
            f"Signal type: {signal.signal_type or MISSING}",
            f"Signal time: {_time(signal.timestamp)}",
            f"Entry price: {price(signal.entry_price, places)}",
            f"Stop loss: {price(signal.stop_loss, places)}",
            f"Target price: {price(signal.target_price, places)}",
            f"Risk: {_distance(signal.entry_price, signal.stop_loss)}",
            f"Reward: {_distance(signal.entry_price, signal.target_price)}",
            f"Risk/reward ratio: {_ratio(signal)}",
            *_contradiction(signal),
            f"Choppiness Index ({CHOPPINESS_PERIODS}): {_fixed(choppiness, 1)}",
            f"Efficiency ratio ({EFFICIENCY_PERIODS}): {_fixed(efficiency, 2)}",
            *(["Indicators:"] if signal.indicators else ()),
            *(f"{name}: {number(value)}" for name, value in signal.indicators.items()),
            # Free text comes after every fact, so that nothing in it is met before the fact it imitates.
            *([f"Strategy: {signal.strategy}"] if signal.strategy else ()),
            *([f"Notes: {signal.notes}"] if signal.notes else ()),
        ]


def _fields(source: Mapping[str, Any] | Signal) -> tuple[Mapping[str, Any], object]:
    """The values of a signal by name, and its id."""
    if isinstance(source, Signal):
        return {name: getattr(source, name) for name in SIGNAL_FIELDS}, source.signal_id
    inner = source.get("signal_data")
    return (inner if isinstance(inner, Mapping) else source), source.get("signal_id")


def _assembled(task: str, data: Iterable[str], form: str) -> str:
    parts = [instructions.HEADER, "", task, "", "<data>", *data, "</data>", "", instructions.SCALE, "", form]
    return "\n".join(parts)


def _bar_lines(reading: _Reading) -> list[str]:
    if reading.signal.timestamp is None:
        return [f"Closed bars: {MISSING} (the signal has no time, so none can be shown to have closed)"]
    if not reading.shown:
        return [f"Closed bars: {MISSING}"]
    title = f"Last {len(reading.shown)} closed bars, oldest first ({BAR_COLUMNS}):"
    return [title, *[bar.text(reading.places) for bar in reading.shown]]


def _bars_to_use(reading: _Reading, position: int, tables: Sequence[BarTable]) -> str:
    for index, table in enumerate(tables, start=1):
        if position in table.users:
            first, last = (_time(reading.shown[place].moment) for place in (0, -1))
            return f"Closed bars: table {index}, from {first} to {last}"
    return _bar_lines(reading)[0]


def _time(moment: datetime | None) -> str:
    return MISSING if moment is None else f"{shown_time(moment)} UTC"


def _fixed(value: float | None, places: int) -> str:
    return MISSING if value is None else f"{value:.{places}f}"


def _distance(entry: float | None, other: float | None) -> str:
    """How far a price lies from the entry, in price units and in percent of the entry."""
    if entry is None or other is None:
        return MISSING
    distance = abs(other - entry)
    share = distance / abs(entry) * 100 if entry else math.inf
    percent = f" ({share:.3g}%)" if math.isfinite(share) else ""
    return f"{distance:.6g}{percent}" if math.isfinite(distance) else MISSING


def _ratio(signal: Signal) -> str:
    entry, stop, target = signal.entry_price, signal.stop_loss, signal.target_price
    if entry is None or stop is None or target is None:
        return MISSING
    if entry == stop:
        return "undefined (the stop equals the entry)"
    if entry == target:
        return "inconsistent (the target equals the entry)"
    ratio = signal.risk_reward_ratio
    if ratio is None:
        return "inconsistent (stop and target lie on the same side of the entry)"
    return f"{ratio:.2f}" if ratio < 1e6 else f"{ratio:.3g}"


def _contradiction(signal: Signal) -> list[str]:
    """A line to flag a buy whose stop lies above its entry, or a sell whose stop lies below."""
    entry, stop = signal.entry_price, signal.stop_loss
    kind = signal.signal_type.upper()
    buys, sells = kind.startswith(("BUY", "LONG")), kind.startswith(("SELL", "SHORT"))
    if entry is None or stop is None or not ((buys and stop > entry) or (sells and stop < entry)):
        return []
    return [f"Price check: inconsistent (the stop lies {'above' if buys else 'below'} the entry)"]
