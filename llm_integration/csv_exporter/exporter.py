"""LLMCSVExporter: the three output files, written in real time by one thread of their own."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from llm_integration.config import LLMConfig
from llm_integration.csv_exporter.lane import BATCH
from llm_integration.csv_exporter.writer import BarItem, Writer
from llm_integration.domain import Bar, LLMAnalysis, Signal
from llm_integration.threads import BackgroundThread

__all__ = ["LLMCSVExporter"]

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.025
"""After the first row of a lull the thread waits this long for more: fewer, larger writes."""
SPACING_SECONDS, BUSY_ROWS = 0.2, 8
"""After a write of so many rows the next one comes no sooner, unless a batch is together before that."""
CLOSING_POLL_SECONDS = 0.05
CLOSE_MARGIN_SECONDS = 0.5
FIRST_RESTART_SECONDS, LONGEST_RESTART_SECONDS = 0.1, 30.0
LATE_SECONDS = 2.0
"""How long an answer that comes after ``close``, or the end of the process, may take to reach its file."""
SCOPE = "outcomes this process has seen since started_at; the CSV files may hold earlier ones"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LLMCSVExporter:
    """Appends to ``llm_signals.csv`` and ``llm_strategy_results.csv``, keeps the summary up to date.

    ``write_analysis`` and ``record_bar`` may be called from any thread, an event loop's included: they
    take a microsecond and do no I/O. A row is on its way to the file within a fraction of a second;
    it is forced to the disk every ``batch_export_interval_seconds`` and by ``close``. At most
    ``csv_queue_size`` rows wait; while a full queue stays full (the disk is full or gone, a file is
    locked), new rows are left out, counted and announced once. PostgreSQL has them: ``rebuild``.
    Where no thread can be started rows wait, it is tried again, and ``close`` writes them itself. An answer
    that comes after ``close`` is written all the same; a process that ends without it closes the files.

    ``statistics`` is called in the thread for the ``run`` part of the summary, so it must be quick and
    safe there; its failure costs nothing else. ``set_statistics`` hands over a snapshot instead. Two
    processes may share a folder: the CSV files hold the rows of both, the summary is that of the one
    that wrote it last. ``clock`` is monotonic seconds, ``now`` the aware wall clock, ``pause`` sleeps.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        *,
        output_directory: str | Path | None = None,
        statistics: Callable[[], Mapping[str, object]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _utc_now,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        config = config or LLMConfig()
        self.directory = Path(output_directory or config.output_folder)
        self._now = now
        self._started_at = now()
        self._statistics_source = statistics
        self._snapshot: Mapping[str, object] = {}
        self._source_failed = False
        self._writer = Writer(
            self.directory,
            max_held=config.csv_max_held_bars,
            interval=config.batch_export_interval_seconds,
            clock=clock,
            pause=pause,
            statistics=self._summary,
            byte_order_mark=config.csv_byte_order_mark,
        )
        self._queue_size = config.csv_queue_size
        # Answers were paid for: bars may not take the last tenth of the room.
        self._bar_room = config.csv_queue_size - config.csv_queue_size // 10
        self._left_out = {"bars": 0, "analyses": 0}
        self._leaving_out = False
        self._enough = min(BATCH, config.csv_queue_size // 4)
        self._thread = WritingThread(self._writer, self.directory, clock)

    def start(self) -> None:
        """Start the thread, which opens and repairs the files. Does nothing when it runs already.

        RuntimeError after ``close``; where no thread can be started it is tried again with the next rows.
        """
        if self._thread.closing:
            raise RuntimeError("a closed LLMCSVExporter cannot be started again; build a new one")
        self._thread.start()

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> bool:
        """How ``signal`` ended: its row, if it was answered, and the end of the wait for its bar.

        False when it was left out: no room, or not a final outcome.
        """
        if not analysis.status.final or not self._admit("analyses", self._queue_size):
            return False
        self._writer.outcomes.append((signal, analysis))
        if self._thread.closing:
            self._thread.look_again()
        self._thread.ring()
        return True

    def record_bar(self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None) -> bool:
        """One closed bar, in bar order within its session and symbol, with the signal it brought.

        A bar not later than the last one of its session and symbol, in the file or handed over, is
        skipped, so a resumed session may be fed from its beginning, and a run that is to be written
        beside an earlier one needs a session id of its own. False when the bar was left out.
        """
        if not self._admit("bars", self._bar_room):
            return False
        self._writer.bars.append(BarItem(session_id, symbol, bar, signal))
        self._thread.ring()
        return True

    @property
    def room(self) -> int:
        """Bars that may be handed over before they are left out; a feed without pace can wait on it."""
        return max(0, self._bar_room - self._writer.waiting)

    def set_statistics(self, statistics: Mapping[str, object]) -> None:
        """The ``run`` part of the next summaries; copied at once, one level deep."""
        self._snapshot = dict(statistics)

    def get_statistics(self) -> dict[str, Any]:
        """Figures of this run: rows written, waiting, held back, left out; errors, per file. Cheap."""
        return {
            "running": self._thread.running,
            "thread_error": self._thread.error,
            "rows_left_out": dict(self._left_out),
            "thread_restarts": self._thread.restarts,
            **self._writer.figures(),
        }

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until nothing is left to write (bars held back for an answer stay); False at the timeout.

        Blocks: not for an event loop.
        """
        return self._thread.flush(timeout)

    def close(self, timeout: float = 10.0, *, flush_held: bool = True) -> bool:
        """Write what waits, force it to the disk, end the thread. True when everything is in the files.

        With ``flush_held`` bars that still wait for an answer are written too, as pending; without it
        they are left for a resumed run, which would skip bars that the file has. Returns within
        ``timeout`` plus half a second, even when the disk hangs. Blocks: from an event loop call it by
        ``asyncio.to_thread``. A second call waits again and changes nothing else.
        """
        return self._thread.close(timeout, flush_held=flush_held)

    def _admit(self, kind: str, limit: int) -> bool:
        waiting = self._writer.waiting
        if waiting >= limit or (self._thread.closing and kind == "bars"):
            self._leave_out(kind)
            return False
        if waiting >= self._enough:
            self._thread.gather_no_longer()
        if self._leaving_out and waiting < self._queue_size // 2:
            self._leaving_out = False
            logger.info("%s: rows are taken again; left out so far: %s", self.directory, self._left_out)
        return True

    def _leave_out(self, kind: str) -> None:
        self._left_out[kind] += 1
        if not self._leaving_out and not self._thread.closing:
            self._leaving_out = True
            logger.warning(
                "%s: %d rows wait already, further ones are left out of the CSV files and counted; "
                "an export from PostgreSQL brings them back",
                self.directory,
                self._queue_size,
            )

    def _summary(self) -> dict[str, object]:
        now = self._now()
        return {
            "generated_at": now,
            "started_at": self._started_at,
            "process_id": os.getpid(),
            "scope": SCOPE,
            **self._writer.summary.as_dict(),
            "export": self.get_statistics(),
            "run": self._run_statistics(),
        }

    def _run_statistics(self) -> Mapping[str, object]:
        if self._statistics_source is None:
            return self._snapshot
        try:
            return {**self._statistics_source(), **self._snapshot}
        except Exception as error:
            if not self._source_failed:
                self._source_failed = True
                logger.exception("the statistics for the summary failed (%s)", type(error).__name__)
            return self._snapshot


class WritingThread:
    """The thread that lets a Writer work: when it writes, when it waits for more, and how it ends.

    Rows that come soon after one another are gathered into fewer, larger writes. A failure of the thread's
    own starts it again after a pause; after ``close`` what comes late is written all the same.
    """

    def __init__(self, writer: Writer, folder: Path, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._folder = folder
        self._clock = clock
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._rung = False
        self._hurry = threading.Event()
        self._gathered = threading.Event()
        self._busy = False
        self._tickets: deque[threading.Event] = deque()
        self._thread = BackgroundThread("llm-csv-exporter", self._run, meanwhile="rows of the CSV files wait")
        self._started = self._late = self._done = False
        self._ending = threading.Lock()
        self._process = os.getpid()
        self._flush_held = True
        self._deadline = 0.0
        self._complete = False
        self.closing = False
        self.restarts = 0

    @property
    def running(self) -> bool:
        """True while it works."""
        return self._thread.running

    @property
    def error(self) -> str | None:
        """Why there is no thread although one is wanted."""
        return self._thread.error

    def start(self) -> None:
        """Start it; where none can be started it is tried again with the next rows."""
        self._started = True
        self._thread.ensure()
        atexit.register(self._close_at_exit)

    def gather_no_longer(self) -> None:
        """Enough rows wait for a write of their own."""
        if not self._gathered.is_set():
            self._gathered.set()

    def look_again(self) -> None:
        """A row came after ``close``: the thread that is ending looks once more, or another is started."""
        with self._ending:
            self._late = True
            if not self._done:
                return
            self._done = not self._thread.start_anew()
        atexit.register(self._close_at_exit)

    def flush(self, timeout: float) -> bool:
        """Wait until nothing is left to write; False at the timeout."""
        if self._complete:
            return True
        ticket = threading.Event()
        self._tickets.append(ticket)
        self._hurry_up()
        return ticket.wait(timeout)

    def close(self, timeout: float, *, flush_held: bool = True) -> bool:
        """Write what waits, and end; True when everything is in the files."""
        if not self.closing:
            self._flush_held = flush_held
            self._deadline = self._clock() + timeout
            self.closing = True
        self._hurry_up()
        waiting = not self._writer.idle or (self._started and not self._complete)
        if waiting and (self._late or not self._done) and not self._thread.ensure(now=True):
            self._run()
        if not self._thread.join(timeout + CLOSE_MARGIN_SECONDS):
            waiting_rows = self._writer.waiting
            logger.warning(
                "%s: the disk does not answer; %d rows are not written", self._folder, waiting_rows
            )
        else:
            atexit.unregister(self._close_at_exit)
        return self._complete if self._started or waiting else self._writer.idle

    def _close_at_exit(self) -> None:
        if os.getpid() == self._process:  # a forked child has the threads and files of nobody
            self.close(LATE_SECONDS)

    def _hurry_up(self) -> None:
        self._hurry.set()
        self._gathered.set()
        self.ring()

    def ring(self) -> None:
        """Something was handed over."""
        if self._started and not self.closing:
            self._thread.ensure()
        if not self._rung:
            self._rung = True
            self._bell.put(None)

    def _run(self) -> None:
        """The thread's life: it ends when nothing was handed over while it was ending."""
        self._done = False
        while not self._done:
            if self._late:
                self._late = False
                self._deadline = self._clock() + LATE_SECONDS
            self._serve_restarting()
            with self._ending:
                self._done = not self._late

    def _serve_restarting(self) -> None:
        delay = FIRST_RESTART_SECONDS
        while True:
            try:
                self._serve()
            except Exception as error:
                self.restarts += 1
                logger.exception("the CSV thread failed (%s); it starts again", type(error).__name__)
                if self.closing and self._clock() >= self._deadline:
                    return
                self._rest(delay)
                delay = min(delay * 2, LONGEST_RESTART_SECONDS)
            else:
                return

    def _rest(self, delay: float) -> None:
        """Wait after a failure, whoever is in a hurry; a close cuts it short at its own deadline."""
        pause = threading.Event()
        until = self._clock() + delay
        while (left := until - self._clock()) > 0:
            if self.closing and self._clock() >= self._deadline:
                return
            pause.wait(min(left, CLOSING_POLL_SECONDS))

    def _serve(self) -> None:
        self._writer.open()
        while True:
            more = self._writer.step()
            self._answer_tickets()
            if self.closing and self._finished():
                self._finish()
                return
            if not more:
                self._wait()

    def _answer_tickets(self) -> None:
        # Counted before looking: what was handed over before these tickets is then seen as waiting.
        count = len(self._tickets)
        if count and self._writer.idle:
            for _ in range(count):
                self._tickets.popleft().set()
        if not self._tickets and not self.closing:
            self._hurry.clear()
            self._gathered.clear()

    def _wait(self) -> None:
        ended = self._clock()
        timeout = self._writer.next_wake()
        if self.closing:
            self._writer.retry_soon()
            timeout = min(timeout, CLOSING_POLL_SECONDS)
        try:
            self._bell.get(timeout=timeout)
        except Empty:
            return
        self._rung = False
        if not self._hurry.wait(GATHER_SECONDS) and self._busy:
            self._gathered.wait(max(0.0, ended + SPACING_SECONDS - self._clock()))
        self._gathered.clear()
        self._busy = self._writer.waiting >= BUSY_ROWS

    def _finished(self) -> bool:
        if self._writer.idle and self._flush_held:
            self._writer.holdback.release_all()
        return self._writer.idle or self._clock() >= self._deadline

    def _finish(self) -> None:
        writer = self._writer
        writer.sync()
        writer.close()
        complete = writer.idle and not writer.failing
        if not complete:
            logger.warning("%s: closed with %d rows not written", self._folder, writer.waiting)
        self._complete = complete
        while self._tickets:
            self._tickets.popleft().set()
        logger.info(
            "%s: closed; rows of signals and bars written %d and %d, there already %d and %d; "
            "%d bars left for a resumed run, held back by %d unanswered signals",
            self._folder,
            writer.signal_lane.written,
            writer.bar_lane.written,
            writer.signal_lane.repeated,
            writer.bar_lane.repeated,
            writer.holdback.held,
            writer.holdback.unresolved,
        )
