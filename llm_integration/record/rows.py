"""Between signals and bars and their table rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import orjson

from llm_integration.domain import Bar, Signal, parse_time, stored_bars, to_price
from llm_integration.fairness import Steps, at_once
from llm_integration.record.bar_texts import BarTexts
from llm_integration.record.storable import LONGEST_NAME, clean_key, clean_text, json_bytes

__all__ = ["SIGNAL_COLUMNS", "Row", "bar_columns", "signal_from_row", "signal_in_pieces", "signal_row"]


class Row(Protocol):
    """A row as asyncpg gives it; a dictionary does as well."""

    def __getitem__(self, name: str, /) -> Any:
        """The value of a column that was selected."""
        ...

    def get(self, name: str, /) -> Any:
        """The value of a column, None if it was not selected."""
        ...


SIGNAL_COLUMNS: Mapping[str, str] = {
    "signal_id": "text",
    "session_id": "text",
    "symbol": "text",
    "timestamp": "timestamptz",
    "signal_type": "text",
    "entry_price": "float8",
    "stop_loss": "float8",
    "target_price": "float8",
    "indicators": "jsonb",
    "strategy": "text",
    "notes": "text",
    "context": "jsonb",
}
"""What ``signal_row`` gives, with the type that PostgreSQL reads it as."""


def signal_row(signal: Signal) -> dict[str, Any]:
    """The values of SIGNAL_COLUMNS, storable."""
    return {
        "signal_id": clean_key(signal.signal_id),
        "session_id": None if signal.session_id is None else clean_key(signal.session_id),
        "symbol": clean_text(signal.symbol, LONGEST_NAME),
        "timestamp": parse_time(signal.timestamp),
        "signal_type": clean_text(signal.signal_type, LONGEST_NAME),
        "entry_price": to_price(signal.entry_price),
        "stop_loss": to_price(signal.stop_loss),
        "target_price": to_price(signal.target_price),
        "indicators": orjson.Fragment(json_bytes(_plain(signal.indicators))),
        "strategy": clean_text(signal.strategy, LONGEST_NAME),
        "notes": clean_text(signal.notes),
        "context": _context(signal),
    }


def _plain(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return values if type(values) is dict else dict(values)


def _context(signal: Signal) -> orjson.Fragment | None:
    """The bars, and what was given with the signal and could not be used."""
    if not signal.bars and not signal.warnings:
        return None
    bars = _bar_texts.join(signal.bars)
    if not signal.warnings:
        return orjson.Fragment(b'{"bars":%b}' % bars)
    return orjson.Fragment(b'{"bars":%b,"warnings":%b}' % (bars, json_bytes([*signal.warnings])))


_bar_texts = BarTexts(most=2_048)


def signal_from_row(row: Row) -> Signal:
    """The signal of a row of ``trading_signals``, with the bars of the task's ``context`` if selected."""
    return at_once(signal_in_pieces(row, row.get("context")))


def signal_in_pieces(row: Row, context: object) -> Steps[Signal]:
    """``signal_from_row`` for an event loop, with a pause wherever this yields."""
    bars = context.get("bars") if isinstance(context, Mapping) else None
    return Signal(
        signal_id=row["signal_id"],
        timestamp=row["timestamp"],
        symbol=row["symbol"] or "",
        signal_type=row["signal_type"] or "",
        entry_price=to_price(row["entry_price"]),
        stop_loss=to_price(row["stop_loss"]),
        target_price=to_price(row["target_price"]),
        indicators=_indicators(row["indicators"]),
        bars=(yield from stored_bars(bars)) if isinstance(bars, list) else (),
        session_id=row["session_id"],
        strategy=row["strategy"],
        notes=row["notes"],
        warnings=_warnings(context),
    )


def _warnings(context: object) -> tuple[str, ...]:
    found = context.get("warnings") if isinstance(context, Mapping) else None
    return tuple([text for text in found if isinstance(text, str)]) if isinstance(found, list) else ()


def _indicators(value: object) -> dict[str, float | None]:
    """An outsider may have written anything into the JSON."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): to_price(number) for name, number in value.items()}


def bar_columns(bars: Iterable[Bar]) -> tuple[list[Any], ...]:
    """Six lists: times, opens, highs, lows, closes, volumes. Bars that are no bars are left out; a volume
    that is missing is None."""
    kept = [
        (moment, *numbers)
        for moment, numbers in (
            (parse_time(bar[0]), [to_price(number) for number in bar[1:6]]) for bar in bars
        )
        if moment is not None and None not in numbers[:4]
    ]
    return tuple(map(list, zip(*kept, strict=True))) if kept else ([],) * len(Bar._fields)
