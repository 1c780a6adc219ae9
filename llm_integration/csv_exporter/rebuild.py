"""Both CSV files written anew from PostgreSQL's rows, replacing the present ones in one step each.

A row comes out byte for byte as the exporter would have written it. Everything here blocks and belongs
in a thread; ``pause`` lets other threads run between slices of work.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Generic, Self, TypeVar

from llm_integration.csv_exporter.escape import id_cell
from llm_integration.csv_exporter.files import AppendFile
from llm_integration.csv_exporter.index import BarIndex, BarKey, Index, Row, SignalIndex
from llm_integration.csv_exporter.rows import (
    NO_SIGNAL,
    PENDING,
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
from llm_integration.csv_exporter.summary import draft_of
from llm_integration.domain import Bar, LLMAnalysis, Signal, parse_time

__all__ = ["BarRow", "Rebuild", "Rebuilt", "lines_of", "rebuild"]

K = TypeVar("K", bound=Hashable)
BarRow = tuple[str | None, str, Bar, Signal | None]
"""Session id, symbol, bar, and the signal it brought."""
_SLICE = 64
_PAUSE_SECONDS = 0.0005
_LOCK_RETRY_SECONDS = 0.02
_CHUNK = 32_768


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Rows written from what was given, and rows kept from the files that were there."""

    signal_rows: int
    bar_rows: int
    kept_signal_rows: int
    kept_bar_rows: int


_Lock = Callable[[ExitStack, "AppendFile[Any]"], int]


class _Draft(Generic[K]):
    """The new version of one file, beside it until it is complete."""

    def __init__(
        self, path: Path, columns: Sequence[str], make: Callable[[], Index[K]], *, byte_order_mark: bool
    ) -> None:
        self._path, self._columns, self._make = path, columns, make
        self._index = make()
        self._draft = draft_of(path)
        self._out: BinaryIO = self._draft.open("wb")
        self._out.write(",".join(columns).encode("utf-8-sig" if byte_order_mark else "utf-8") + b"\n")
        self.rows = self.kept = 0

    def put(self, row: Row[K]) -> bool:
        """Write ``row`` unless one of its key is there."""
        if not self._index.fresh([row]):
            return False
        self._out.write(row.data)
        self._index.add(row.key)
        self.rows += 1
        return True

    def replace(self, lock: _Lock, pause: Callable[[], None], *, keep_others: bool) -> None:
        """Take the file's place while nobody appends to it."""
        present = AppendFile(self._path, self._columns, self._make(), pause=pause)
        try:
            with ExitStack() as stack:
                fd = lock(stack, present)
                if keep_others:
                    self._keep(fd, pause)
                self._out.flush()
                os.fsync(self._out.fileno())
                self._out.close()
                self._draft.replace(self._path)
        finally:
            present.close()

    def _keep(self, fd: int, pause: Callable[[], None]) -> None:
        for number, line in enumerate(lines_of(fd)):
            key = self._index.key_of(line.decode("utf-8", "replace")) if number else None
            if key is not None and self.put(Row(key, line)):
                self.kept += 1
            if number % _SLICE == 0:
                pause()

    def discard(self) -> None:
        """Remove the draft, if it is still one."""
        with suppress(OSError):
            self._out.close()
        with suppress(OSError):
            self._draft.unlink(missing_ok=True)


class Rebuild:
    """New versions of both files, filled piece by piece, for a caller that pages through a database.

    First every outcome, then the bars, then ``finish``::

        with Rebuild(directory) as files:
            files.add_outcomes(outcomes)    # (signal, analysis), in the order they were processed
            files.add_bars(bars)            # (session_id, symbol, bar, signal or None), in bar order
            files.finish()

    Left without ``finish``, by an error for instance, nothing has changed. The LLM cells of all signals
    are kept in memory until the end. A bar whose signal has no outcome is written as pending or, without
    ``flush_held``, ends its session and symbol, so that a resumed run can go on from there. With
    ``byte_order_mark`` both begin with the mark by which Excel knows UTF-8.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        flush_held: bool = True,
        byte_order_mark: bool = False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        self._flush_held = flush_held
        self._sleep = pause
        self._done = 0
        self._endings: dict[str, str] = {}
        self._stopped: set[StreamKey] = set()
        self._signals: _Draft[str] = _Draft(
            folder / SIGNAL_FILE, SIGNAL_COLUMNS, SignalIndex, byte_order_mark=byte_order_mark
        )
        try:
            self._bars: _Draft[BarKey] = _Draft(
                folder / RESULT_FILE, RESULT_COLUMNS, BarIndex, byte_order_mark=byte_order_mark
            )
        except OSError:
            self._signals.discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.discard()
        self._bars.discard()

    def add_outcomes(self, outcomes: Iterable[tuple[Signal, LLMAnalysis]]) -> None:
        """Final outcomes of signals; those that were answered become rows of ``llm_signals.csv``."""
        for signal, analysis in outcomes:
            answer = answer_cells(analysis)
            if analysis.status.final:
                self._endings[signal.signal_id] = outcome_cells(analysis, answer)
            if analysis.answered:
                row = signal_row(signal, analysis, answer).encode()
                self._signals.put(Row(id_cell(signal.signal_id), row))
            self._breathe()

    def add_bars(self, bars: Iterable[BarRow]) -> None:
        """Bars with the signals they brought; rows of ``llm_strategy_results.csv``."""
        for session_id, symbol, bar, signal in bars:
            self._add_bar(stream_key(session_id, symbol), bar, signal)
            self._breathe()

    def finish(self, *, keep_others: bool = True, lock_timeout: float = 10.0) -> Rebuilt:
        """Put both files in place.

        ``keep_others`` carries over what the present files have beyond what was given: rows of other
        sessions, and those that a running exporter has appended since the database was read.
        BlockingIOError when another process keeps a file locked for ``lock_timeout`` seconds.
        """
        give_up_at = time.monotonic() + lock_timeout

        def lock(stack: ExitStack, file: AppendFile[Any]) -> int:
            while True:
                try:
                    return stack.enter_context(file.locked())
                except BlockingIOError:
                    if time.monotonic() >= give_up_at:
                        raise
                    self._sleep(_LOCK_RETRY_SECONDS)

        self._signals.replace(lock, self._pause, keep_others=keep_others)
        self._bars.replace(lock, self._pause, keep_others=keep_others)
        return Rebuilt(
            self._signals.rows - self._signals.kept,
            self._bars.rows - self._bars.kept,
            self._signals.kept,
            self._bars.kept,
        )

    def _add_bar(self, key: StreamKey, bar: Bar, signal: Signal | None) -> None:
        moment = parse_time(bar.timestamp)
        if moment is None or key in self._stopped:
            return
        ending = NO_SIGNAL if signal is None else self._endings.get(signal.signal_id)
        if ending is None and not self._flush_held:
            self._stopped.add(key)
            return
        middle = "" if signal is None else signal_cells(signal)
        row = f"{bar_cells(key, bar)}{middle}{ending or PENDING}"
        self._bars.put(Row((key, moment), row.encode()))

    def _breathe(self) -> None:
        self._done += 1
        if self._done % _SLICE == 0:
            self._pause()

    def _pause(self) -> None:
        self._sleep(_PAUSE_SECONDS)


def rebuild(
    bars: Iterable[BarRow],
    outcomes: Iterable[tuple[Signal, LLMAnalysis]],
    directory: str | Path,
    *,
    flush_held: bool = True,
    keep_others: bool = True,
    lock_timeout: float = 10.0,
) -> Rebuilt:
    """Both files of ``directory`` anew, from all ``outcomes`` and ``bars``. See Rebuild; it blocks."""
    with Rebuild(directory, flush_held=flush_held) as files:
        files.add_outcomes(outcomes)
        files.add_bars(bars)
        return files.finish(keep_others=keep_others, lock_timeout=lock_timeout)


def lines_of(fd: int) -> Iterator[bytes]:
    """The complete lines of a file, with their ends."""
    offset, rest = 0, b""
    while data := os.pread(fd, _CHUNK, offset):
        offset += len(data)
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line + b"\n"
