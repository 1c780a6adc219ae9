"""What a CSV file already holds, learnt from its lines, so that no row is written twice.

Memory stays small over millions of rows: 8 bytes for a signal id, one time for a stream of bars.
"""

from __future__ import annotations

import csv
from array import array
from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from llm_integration.csv_exporter.rows import StreamKey, is_whole_result_row, is_whole_signal_row
from llm_integration.domain import parse_time

__all__ = ["BarIndex", "BarKey", "IdSet", "Index", "Row", "SignalIndex", "cells_of"]

K = TypeVar("K", bound=Hashable)
_PARTS = 1_024

BarKey = tuple[StreamKey, datetime]


@dataclass(frozen=True, slots=True)
class Row(Generic[K]):
    """One line of a file, encoded, and the key under which it may stand there once."""

    key: K
    data: bytes


class Index(Protocol[K]):
    """Knows which rows a file holds."""

    def learn(self, line: str) -> None:
        """Take note of a line found in the file; a line that is none of ours is ignored."""

    def add(self, key: K) -> None:
        """Take note of a row just written."""

    def fresh(self, rows: Sequence[Row[K]]) -> list[Row[K]]:
        """Those of ``rows`` that the file does not hold, each once, in the same order."""

    def key_of(self, line: str) -> K | None:
        """The key of a line of the file; None for one that is none of ours."""

    def is_whole(self, line: str) -> bool:
        """Whether a last line that lacks its end has lost nothing else."""

    def clear(self) -> None:
        """Forget everything: the file is a new one."""


class IdSet:
    """A set of strings in 8 bytes each, without ever pausing to grow.

    It keeps Python's salted 64-bit hash, not the text: two ids of a million collide once in some 37
    million runs. Small sorted arrays instead of one big table, so that no step takes long.
    """

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(_PARTS)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, text: str) -> bool:
        value = hash(text)
        part = self._parts[value % _PARTS]
        at = bisect_left(part, value)
        return at < len(part) and part[at] == value

    def add(self, text: str) -> bool:
        """True when ``text`` was not in the set."""
        value = hash(text)
        part = self._parts[value % _PARTS]
        at = bisect_left(part, value)
        if at < len(part) and part[at] == value:
            return False
        part.insert(at, value)
        self._count += 1
        return True


class SignalIndex:
    """Signal ids (as their cells) in ``llm_signals.csv``."""

    def __init__(self) -> None:
        self._ids = IdSet()

    def __len__(self) -> int:
        return len(self._ids)

    def key_of(self, line: str) -> str | None:
        """The second cell of a line."""
        cells = line.split(",", 2)
        if len(cells) < 3:
            return None
        return cells[1] if '"' not in cells[0] and cells[1][:1] != '"' else _cell(line, 1)

    def learn(self, line: str) -> None:
        """See Index."""
        if (key := self.key_of(line)) is not None:
            self._ids.add(key)

    def add(self, key: str) -> None:
        """See Index."""
        self._ids.add(key)

    def fresh(self, rows: Sequence[Row[str]]) -> list[Row[str]]:
        """See Index."""
        seen: set[str] = set()
        kept = []
        for row in rows:
            if row.key not in seen and row.key not in self._ids:
                seen.add(row.key)
                kept.append(row)
        return kept

    def is_whole(self, line: str) -> bool:
        """See Index."""
        return is_whole_signal_row(cells_of(line, strict=True))

    def clear(self) -> None:
        """See Index."""
        self._ids = IdSet()


class BarIndex:
    """The last bar time of each stream in ``llm_strategy_results.csv``.

    Bars of a stream stand there in order, so everything up to that time is there. ``see`` is shown each line.
    """

    def __init__(self, see: Callable[[str], None] = lambda _line: None) -> None:
        self._last: dict[StreamKey, datetime] = {}
        self._see = see

    def key_of(self, line: str) -> BarKey | None:
        """Stream and time of a line."""
        cells = line.split(",", 3)
        if '"' in line[: sum(map(len, cells[:3])) + 2]:
            cells = cells_of(line)
        if len(cells) < 4 or (time := parse_time(cells[1])) is None:
            return None
        return StreamKey(cells[0], cells[2]), time

    def learn(self, line: str) -> None:
        """See Index."""
        if (key := self.key_of(line)) is not None:
            self.add(key)
            self._see(line)

    def add(self, key: BarKey) -> None:
        """See Index."""
        stream, time = key
        last = self._last.get(stream)
        if last is None or time > last:
            self._last[stream] = time

    def last_time(self, stream: StreamKey) -> datetime | None:
        """The time of the stream's last bar in the file; None when there is none."""
        return self._last.get(stream)

    def fresh(self, rows: Sequence[Row[BarKey]]) -> list[Row[BarKey]]:
        """See Index."""
        last: dict[StreamKey, datetime] = {}
        kept = []
        for row in rows:
            stream, time = row.key
            known = last.get(stream) or self._last.get(stream)
            if known is None or time > known:
                last[stream] = time
                kept.append(row)
        return kept

    def is_whole(self, line: str) -> bool:
        """See Index."""
        return is_whole_result_row(cells_of(line, strict=True), line)

    def clear(self) -> None:
        """See Index."""
        self._last = {}


def cells_of(line: str, *, strict: bool = False) -> list[str]:
    """The cells of a line; ``strict``: none if a quote is not closed."""
    try:
        return next(csv.reader([line], strict=strict), [])
    except csv.Error:
        return []


def _cell(line: str, at: int) -> str | None:
    cells = cells_of(line)
    return cells[at] if len(cells) > at else None
