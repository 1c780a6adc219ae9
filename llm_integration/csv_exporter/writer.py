"""The work of the CSV thread, one bounded step at a time: take what was handed over, order it, write it.

The interpreter's lock is shared with the trading loop, so no slice of Python here is longer than about
half a millisecond; between two slices the lock is let go for a moment (``pause``).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from llm_integration.csv_exporter.escape import id_cell
from llm_integration.csv_exporter.health import Health
from llm_integration.csv_exporter.holdback import HoldBack
from llm_integration.csv_exporter.index import BarIndex, BarKey, Row, SignalIndex
from llm_integration.csv_exporter.lane import BATCH, Lane
from llm_integration.csv_exporter.pending import PendingRows, fill
from llm_integration.csv_exporter.rows import (
    RESULT_COLUMNS,
    RESULT_FILE,
    SIGNAL_COLUMNS,
    SIGNAL_FILE,
    StreamKey,
    answer_cells,
    bar_cells,
    outcome_cells,
    signal_cells,
    signal_row,
    stream_key,
)
from llm_integration.csv_exporter.summary import SUMMARY_FILE, Summary, remove_stale_drafts, replace_file
from llm_integration.domain import Bar, LLMAnalysis, Signal, parse_time

__all__ = ["BarItem", "Writer"]

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.0003
"""How long bars, and how long outcomes, are turned into rows in one go."""
SLICE = 64
"""Rows moved to their file's queue in one go."""
PAUSE_SECONDS = 0.0002
MAX_CACHED_STREAMS = 10_000
CLOSING_RETRY_SECONDS = 0.05


class BarItem(NamedTuple):
    """One bar as it was handed over."""

    session_id: str | None
    symbol: str
    bar: Bar
    signal: Signal | None


class Writer:
    """Everything the thread owns. ``step`` does a bounded piece of work; only it touches the files."""

    def __init__(
        self,
        directory: Path,
        *,
        max_held: int,
        interval: float,
        clock: Callable[[], float],
        pause: Callable[[float], None],
        statistics: Callable[[], Mapping[str, object]],
        byte_order_mark: bool = False,
    ) -> None:
        self.bars: deque[BarItem] = deque()
        self.outcomes: deque[tuple[Signal, LLMAnalysis]] = deque()
        self.summary = Summary()
        self.holdback = HoldBack(max_held)
        self.broken = 0
        self.filled = 0
        self._clock = clock
        self._sleep = pause
        self._interval = interval
        self._statistics = statistics
        self._pending = PendingRows()
        self._signal_index, self._bar_index = SignalIndex(), BarIndex(self._pending.see)
        self.signal_lane: Lane[str] = Lane(
            directory / SIGNAL_FILE, SIGNAL_COLUMNS, self._signal_index, self._pause, byte_order_mark
        )
        self.bar_lane: Lane[BarKey] = Lane(
            directory / RESULT_FILE, RESULT_COLUMNS, self._bar_index, self._pause, byte_order_mark
        )
        self._summary_path = directory / SUMMARY_FILE
        self._summary_health = Health(str(self._summary_path), "it is tried again at the next interval")
        self._accepted: dict[StreamKey, datetime] = {}
        self._keys: dict[tuple[object, object], StreamKey] = {}
        self._next_sync = clock() + interval

    @property
    def waiting(self) -> int:
        """Rows handed over and not yet in their file, those held back not counted."""
        return len(self.bars) + len(self.outcomes) + len(self.signal_lane.rows) + len(self.bar_lane.rows)

    @property
    def idle(self) -> bool:
        """True when nothing is left that could be written."""
        return not self.waiting and not self.holdback.has_ready

    @property
    def failing(self) -> bool:
        """True when the last attempt at one of the CSV files failed."""
        return any(lane.health.cause is not None for lane in (self.signal_lane, self.bar_lane))

    def open(self) -> None:
        """Open and repair both files; one that cannot be opened is tried again with its first row."""
        remove_stale_drafts(self._summary_path.parent)
        self.signal_lane.open(self._clock())
        self.bar_lane.open(self._clock())

    def step(self) -> bool:
        """Take in a slice, write when a batch is together. True when there is more to do at once."""
        self._take_outcomes()
        self._take_bars()
        self._take_ready()
        more = self._more_to_take()
        self._write(self.signal_lane, more=more)
        self._write(self.bar_lane, more=more)
        if self._clock() >= self._next_sync:
            self.sync()
        if more := self._more_to_take() or self._due(self.signal_lane) or self._due(self.bar_lane):
            self._pause()
        return more

    def retry_soon(self) -> None:
        """Shorten the waits after failures: the end is near."""
        latest = self._clock() + CLOSING_RETRY_SECONDS
        for lane in (self.signal_lane, self.bar_lane):
            lane.health.retry_at = min(lane.health.retry_at, latest)

    def next_wake(self) -> float:
        """Seconds until something is due without anybody handing anything over."""
        now = self._clock()
        due = [self._next_sync]
        due += [lane.health.retry_at for lane in (self.signal_lane, self.bar_lane) if lane.rows]
        return max(0.0, min(due) - now)

    def sync(self) -> None:
        """Fill late answers in, force both files to the disk and replace the summary."""
        now = self._clock()
        self._fill(now)
        self._next_sync = now + self._interval
        self.signal_lane.sync(now)
        self.bar_lane.sync(now)
        try:
            replace_file(self._summary_path, self._statistics())
        except OSError as error:
            self._summary_health.failed(error, now)
        else:
            self._summary_health.worked(now)

    def _fill(self, now: float) -> None:
        """Rows that were written as pending get the answers that came since; those that cannot, next time."""
        if not self._pending.endings or self.bar_lane.rows:
            return
        try:
            cells = fill(self.bar_lane.file, self._pending.endings, self._pause)
        except OSError as error:
            self.bar_lane.health.failed(error, now)
            return
        self.filled += len(cells)
        self._pending.filled(set(self._pending.endings))

    def close(self) -> None:
        """Let go of the files."""
        self.signal_lane.file.close()
        self.bar_lane.file.close()

    def figures(self) -> dict[str, Any]:
        """Figures of the files and of what is held back."""
        return {
            "rows_waiting": self.waiting,
            "bars_held_back": self.holdback.held,
            "signals_holding_bars": self.holdback.unresolved,
            "bars_written_without_outcome": self.holdback.given_up,
            "bars_filled_in_later": self.filled,
            "rows_broken": self.broken,
            "files": {
                SIGNAL_FILE: self.signal_lane.as_dict(),
                RESULT_FILE: self.bar_lane.as_dict(),
            },
        }

    def _pause(self) -> None:
        self._sleep(PAUSE_SECONDS)

    def _more_to_take(self) -> bool:
        bars_blocked = len(self.bar_lane.rows) >= BATCH
        return bool(self.outcomes) or ((bool(self.bars) or self.holdback.has_ready) and not bars_blocked)

    def _due(self, lane: Lane[Any]) -> bool:
        return bool(lane.rows) and self._clock() >= lane.health.retry_at

    def _write(self, lane: Lane[Any], *, more: bool) -> None:
        if len(lane.rows) >= BATCH or not more:
            lane.write(self._clock())

    def _take_outcomes(self) -> None:
        end = self._clock() + SLICE_SECONDS
        while self.outcomes and self._clock() < end:
            signal, analysis = self.outcomes.popleft()
            try:
                self._accept_outcome(signal, analysis)
            except Exception as error:
                self._count_broken(error)

    def _accept_outcome(self, signal: Signal, analysis: LLMAnalysis) -> None:
        answer = answer_cells(analysis)
        ending = outcome_cells(analysis, answer)
        self.holdback.resolve(signal.signal_id, ending)
        self._pending.resolve(id_cell(signal.signal_id), ending)
        self.summary.add(analysis)
        if analysis.answered:
            data = signal_row(signal, analysis, answer).encode()
            self.signal_lane.put(Row(id_cell(signal.signal_id), data))

    def _take_bars(self) -> None:
        end = self._clock() + SLICE_SECONDS
        while self.bars and len(self.bar_lane.rows) < BATCH and self._clock() < end:
            item = self.bars.popleft()
            try:
                self._accept_bar(item)
            except Exception as error:
                self._count_broken(error)

    def _accept_bar(self, item: BarItem) -> None:
        key = self._key(item.session_id, item.symbol)
        time = _utc(item.bar.timestamp)
        seen = self._seen_until(key)
        if seen is not None and time <= seen:
            self.bar_lane.repeated += 1
            if item.signal is not None:
                self.holdback.forget(item.signal.signal_id)
            return
        cells = bar_cells(key, item.bar)
        self._accepted[key] = time
        if item.signal is None:
            self.holdback.add(key, time, cells)
        else:
            self.holdback.add(key, time, cells + signal_cells(item.signal), item.signal.signal_id)

    def _take_ready(self) -> None:
        room = BATCH - len(self.bar_lane.rows)
        for bar in self.holdback.take(min(room, SLICE)):
            self._pending.see(bar.row)
            self.bar_lane.put(Row((bar.key, bar.time), bar.row.encode()))

    def _seen_until(self, key: StreamKey) -> datetime | None:
        accepted, written = self._accepted.get(key), self._bar_index.last_time(key)
        if accepted is None or written is None:
            return accepted or written
        return max(accepted, written)

    def _key(self, session_id: object, symbol: object) -> StreamKey:
        raw = (session_id, symbol)
        key = self._keys.get(raw)
        if key is None:
            if len(self._keys) >= MAX_CACHED_STREAMS:
                self._keys.clear()
            key = self._keys[raw] = stream_key(session_id, symbol)
        return key

    def _count_broken(self, error: Exception) -> None:
        self.broken += 1
        if self.broken == 1:
            logger.error(
                "a row could not be put into words (%s); it is left out, and further ones are only counted",
                type(error).__name__,
                exc_info=error,
            )


def _utc(time: datetime) -> datetime:
    if type(time) is datetime and time.tzinfo is UTC:
        return time
    moment = parse_time(time)
    if moment is None:
        raise ValueError("a bar without a time cannot be placed in the file")
    return moment
