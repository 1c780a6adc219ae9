"""Bars that several signals share, each shown once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from llm_integration.fairness import TABLE_LINES_AT_ONCE, Steps
from llm_integration.signal_formatter.bars import ShownBar

__all__ = ["BarTable", "common_places", "shared_tables"]


def common_places(bars: Iterable[ShownBar]) -> int:
    """The digits after the point that the most precise of ``bars`` needs."""
    return max([bar.places for bar in bars], default=0)


@dataclass(slots=True)
class BarTable:
    """Bars of one symbol by time, and the positions of the signals that are judged by them."""

    symbol: str
    users: set[int] = field(default_factory=set)
    bars: dict[datetime, ShownBar] = field(default_factory=dict)

    def accepts(self, symbol: str, bars: Sequence[ShownBar]) -> bool:
        """True unless a bar here has the time of one of ``bars`` and differs, as in another timeframe."""
        if not symbol or symbol != self.symbol:
            return False
        return all(
            known is bar or known.values() == bar.values()
            for bar in bars
            if bar.moment is not None and (known := self.bars.get(bar.moment)) is not None
        )

    def add(self, user: int, bars: Sequence[ShownBar]) -> None:
        """Show ``bars`` to the signal at position ``user``."""
        self.users.add(user)
        self.bars.update((bar.moment, bar) for bar in bars if bar.moment is not None)

    def lines(self) -> Steps[list[str]]:
        """The rows of the table, oldest first, with a pause wherever this yields."""
        places = common_places(self.bars.values())
        lines: list[str] = []
        for number, moment in enumerate(sorted(self.bars), 1):
            lines.append(self.bars[moment].text(places))
            if number % TABLE_LINES_AT_ONCE == 0:
                yield
        return lines


def shared_tables(
    signals: Iterable[tuple[str, Sequence[ShownBar]]],
) -> Steps[list[BarTable]]:
    """As few tables as hold the bars of all signals, given as symbol and bars; pauses where it yields."""
    tables: list[BarTable] = []
    for position, (symbol, bars) in enumerate(signals):
        if not bars:
            continue
        yield
        table = next((table for table in tables if table.accepts(symbol, bars)), None)
        if table is None:
            table = BarTable(symbol)
            tables.append(table)
        table.add(position, bars)
    return tables
