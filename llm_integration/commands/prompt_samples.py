"""Signals to try a prompt on: stored ones, or where there are none, a few that ship with the program."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from llm_integration.commands.settings import Settings, open_database
from llm_integration.config import LLMConfig
from llm_integration.domain import Bar, Signal
from llm_integration.record import DatabaseError

__all__ = ["Tried", "built_in", "signals_to_try"]

_AT = datetime(2024, 3, 1, 14, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tried:
    """``signals`` and where they come from; ``stored`` of them come from PostgreSQL."""

    signals: tuple[Signal, ...]
    stored: int
    source: str


async def signals_to_try(settings: Settings, count: int | None) -> Tried:
    """The ``count`` newest stored signals; the built-in ones for None, or where there are none to be had."""
    samples = built_in(settings.llm)
    if count is None:
        return Tried(samples, 0, f"{len(samples)} built-in signals")
    try:
        async with open_database(settings) as database:
            found = tuple(stored.signal for stored in await database.latest_signals(count))
    except DatabaseError as error:
        return Tried(samples, 0, f"{len(samples)} built-in signals, as PostgreSQL gives none: {error}")
    if not found:
        return Tried(samples, 0, f"{len(samples)} built-in signals, as none is stored")
    return Tried(found, len(found), f"{len(found)} stored signals")


def built_in(config: LLMConfig) -> tuple[Signal, ...]:
    """An ordinary signal, one without bars and indicators, one without a time or prices."""
    indicators = {name: 50.0 + place for place, name in enumerate(config.indicators_to_include)}
    return (
        Signal(
            "sample-1", _AT, "EURUSD", "BUY", 1.0853, 1.0823, 1.0913,
            indicators=indicators, bars=_bars(60), strategy="sample", notes="a note",
        ),
        Signal("sample-2", _AT, "ES", "SELL", 5100.25, 5110.0, 5080.75),
        Signal("sample-3", None, "", "", None, None, None),
    )  # fmt: skip


def _bars(number: int) -> tuple[Bar, ...]:
    """Hourly bars up to the sample's time, gently up and down."""
    closes = [round(1.08 + 0.004 * math.sin(place / 7) + place * 0.0001, 5) for place in range(number)]
    times = [_AT - timedelta(hours=number - 1 - place) for place in range(number)]
    return tuple(
        Bar(time, close, close + 0.0008, close - 0.0007, close, 1_000.0)
        for time, close in zip(times, closes, strict=True)
    )
