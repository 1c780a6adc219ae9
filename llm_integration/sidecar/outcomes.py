"""What becomes of signals, followed while bars come in, by a thread, into a file and PostgreSQL."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from llm_integration.config import LLMConfig
from llm_integration.csv_exporter.outcomes import OutcomeFile
from llm_integration.domain import Bar, LLMAnalysis, Signal
from llm_integration.record.outcomes import OutcomeStore
from llm_integration.sidecar.outcome_reader import OutcomeReader, Work
from llm_integration.sidecar.outcome_rows import UnsavedOutcomes
from llm_integration.threads import BackgroundThread
from llm_integration.times import zone_named
from llm_integration.worth.live import LiveOutcomes
from llm_integration.worth.outcome import Exit, OutcomeRecord
from llm_integration.worth.rules import ResolverRules

__all__ = ["OutcomeSink", "rules_of"]

logger = logging.getLogger(__name__)

MOST_EVENTS = 100_000
"""Bars, signals and reports that wait for the thread. Where a bar is left out, what is open is given up."""
EARLY_SIGNALS = 1_000
"""Signals that wait for the first bar: a host that hands over none pays for nothing else."""
GATHER_SECONDS = 0.025
SLICE_SECONDS, PAUSE_SECONDS = 0.0003, 0.0002
"""The interpreter's lock is shared with the trading loop: it is let go for a moment after each slice."""
CLOSING_POLL_SECONDS, CLOSE_MARGIN_SECONDS = 0.05, 0.4
RESTART_SECONDS = 1.0
MOST_WARNINGS = 10
FIELDS = ("timestamp", "symbol", "signal_type", "entry_price", "stop_loss", "target_price")


def rules_of(config: LLMConfig) -> ResolverRules:
    """The resolver's rules by these settings."""
    of = config.outcomes
    return ResolverRules(
        of.entry, of.horizon_bars, of.ends_at, zone_named(config.bars_timezone), of.spread, of.commission,
        of.slippage,
    )  # fmt: skip


class OutcomeSink:
    """A sink that follows each signal over the bars of its symbol, and takes what the host reports.

    ``accept``, ``record_bar``, ``report_fill`` and ``report_outcome`` may be called from any thread: they
    take microseconds, never wait, and raise for nothing that is in what they are given. Rows go to
    ``llm_outcomes.csv`` in ``folder``, if there is one, and if they are ``stored``, by ``store`` to
    PostgreSQL. What is open at the end is forgotten here: a run that is resumed with its bars from the
    beginning comes to it again, and ``worth`` tells all others from the bars that are stored.
    """

    def __init__(
        self, config: LLMConfig, folder: Path | None = None, *, stored: bool = False, waits: bool = False
    ) -> None:
        self.enabled = config.outcomes.enabled
        self._live = LiveOutcomes(rules_of(config))
        self._reader = OutcomeReader(self._live, zone_named(config.bars_timezone), self._look_up)
        self._byte_order_mark = config.csv_byte_order_mark
        self._file = self._file_in(folder)
        self._sync_seconds = config.batch_export_interval_seconds
        self._events: SimpleQueue[Work | None] = SimpleQueue()
        self._early: deque[Work] = deque(maxlen=EARLY_SIGNALS)
        self._unsaved, self._stored, self.waits = UnsavedOutcomes(), stored, waits
        self._thread = BackgroundThread("llm-outcomes", self._run, meanwhile="outcomes wait")
        self._hurry = threading.Event()
        self._deadline: float | None = None
        self._counts = {"ended": 0, "unknown": 0, "broken": 0, "bars_left_out": 0}

    def _file_in(self, folder: Path | None) -> OutcomeFile | None:
        return None if folder is None else OutcomeFile(
            folder, clock=time.monotonic, pause=partial(time.sleep, PAUSE_SECONDS),
            byte_order_mark=self._byte_order_mark,
        )  # fmt: skip

    def begin(self, folder: Path | None, *, stored: bool) -> None:
        """Where rows go is known now. With ``waits`` nothing is followed before, and what came then waits."""
        self._file, self._stored, self.waits = self._file_in(folder), stored, False
        if not self._events.empty():
            self._thread.ensure()

    # From any thread

    def start(self) -> None:
        """See Sink: the thread starts with the first bar."""

    def accept(self, signal: Mapping[str, Any]) -> None:
        """A signal has been handed over as ``{"signal_id": ..., "signal_data": {...}}``."""
        try:
            data = signal["signal_data"]
            given = {name: data.get(name) for name in FIELDS}
            self._early.append(partial(self._reader.accept_given, signal["signal_id"], given))
        except Exception:  # a foreign mapping: the store says what is wrong with it
            return
        if self._thread.running:
            self._take_early()

    def record_bar(self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None) -> None:
        """See Sink."""
        self._take_early()
        if self._events.qsize() >= MOST_EVENTS:
            self._leave_out()
        else:
            self._put(partial(self._reader.bar, symbol, bar, signal))

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> None:
        """See Sink: a signal that nobody has told of is followed from the bars at hand."""
        if self._thread.running:
            self._put(partial(self._reader.accept, signal))

    def report_fill(self, signal_id: str, price: float, at: datetime | str) -> None:
        """The host's order was filled at this price and time: R is counted from there."""
        self._report(partial(self._reader.fill, signal_id, price, at), signal_id)

    def report_outcome(
        self, signal_id: str, price: float, at: datetime | str, how: str | None, r_net: float | None
    ) -> None:
        """The host's trade has ended at this price and time; that stands over what bars tell.

        ``how`` is ``stop``, ``target`` or ``time``; None: the price says it. R is counted from the fill, else
        from where bars had it enter, else from the signal's own price; ``r_net`` is the host's, or R less the
        costs of ``llm.outcomes``.
        """
        self._report(partial(self._reader.outcome, signal_id, price, at, how, r_net), signal_id)

    def figures(self) -> dict[str, Any]:
        """Counters since the start; plain values."""
        live = self._live
        return {
            "enabled": self.enabled, "followed": live.followed, **self._counts, "given_up": live.given_up,
            "uncovered": live.uncovered, "repeated_bars": live.repeated, "waiting": self._events.qsize(),
            "unsaved": len(self._unsaved), "file": self._file.figures() if self._file else None,
        }  # fmt: skip

    def close(self, timeout: float = 10.0) -> bool:
        """Follow the bars that wait, write the rows and end the thread, within ``timeout``. It may block."""
        if self._deadline is None:
            self._deadline, self.waits = time.monotonic() + timeout, False
            self._hurry.set()
            self._events.put(None)
        if self._events.qsize() > 1 and not self._thread.ensure(now=True):
            self._run()
        ended = self._thread.join(timeout + CLOSE_MARGIN_SECONDS)
        if not ended:
            logger.warning("outcomes: the thread did not end; %d events wait", self._events.qsize())
        return ended

    async def store(self, store: OutcomeStore) -> None:
        """Bring outcomes to PostgreSQL as they come, until this is cancelled."""
        await self._unsaved.keep_saving(store)

    async def store_rest(self, store: OutcomeStore, seconds: float) -> None:
        """What is left after ``close``; what cannot be stored by then is said, and told anew by ``worth``."""
        await self._unsaved.save_rest(store, seconds)

    def _report(self, work: Work, signal_id: str) -> None:
        if self.enabled and self._deadline is None:
            self._take_early()
            self._put(work)
        else:
            why = "outcomes are switched off" if not self.enabled else "the sidecar has ended"
            self._warn("the report about signal %.100r is not taken: %s", signal_id, why)

    def _take_early(self) -> None:
        while self._early:
            try:
                self._put(self._early.popleft())
            except IndexError:  # another thread was faster
                return

    def _put(self, work: Work) -> None:
        if self.enabled and self._deadline is None:
            self._events.put(work)
            if not self.waits:
                self._thread.ensure()

    def _leave_out(self) -> None:
        self._counts["bars_left_out"] += 1
        if self._counts["bars_left_out"] == 1:
            logger.warning(
                "outcomes: %d bars wait already; further ones are left out, and what is open now is told by"
                " `worth` only", MOST_EVENTS,
            )  # fmt: skip

    # In its own thread

    def _run(self) -> None:
        while True:
            try:
                self._serve()
            except Exception as error:
                self._counts["broken"] += 1
                logger.exception("the thread of outcomes failed (%s); it goes on", type(error).__name__)
                if self._deadline is not None and time.monotonic() >= self._deadline:
                    return
                time.sleep(RESTART_SECONDS if self._deadline is None else CLOSING_POLL_SECONDS)
            else:
                return

    def _serve(self) -> None:
        lost, synced = self._counts["bars_left_out"], time.monotonic()
        while True:
            self._take_some(self._next_event(synced))
            if lost != self._counts["bars_left_out"]:
                lost = self._counts["bars_left_out"]
                self._live.lose_bars()
            if self._file:
                self._file.write()
                if time.monotonic() - synced >= self._sync_seconds:
                    self._file.sync()
                    synced = time.monotonic()
            if self._finished():
                break
        if self._file:
            self._file.sync()
            self._file.close()

    def _next_event(self, synced: float) -> Work | None:
        """The next thing to do; None when something else is due."""
        again = self._file.next_try() if self._file else None
        timeout = max(0.0, synced + self._sync_seconds - time.monotonic()) if again is None else again
        if self._deadline is not None:
            timeout = min(timeout, CLOSING_POLL_SECONDS)
        try:
            work = self._events.get(timeout=timeout)
        except Empty:
            return None
        self._hurry.wait(GATHER_SECONDS)
        return work

    def _finished(self) -> bool:
        if self._deadline is None:
            return False
        done = self._events.empty() and not (self._file and self._file.waiting)
        return done or time.monotonic() >= self._deadline

    def _take_some(self, first: Work | None) -> None:
        """All that waits, in slices."""
        until = time.monotonic() + SLICE_SECONDS
        work = first
        for _ in range(MOST_EVENTS):
            for record in self._done(work):
                if record is not None:
                    self._keep(record)
                if time.monotonic() >= until:
                    time.sleep(PAUSE_SECONDS)
                    until = time.monotonic() + SLICE_SECONDS
            if self._events.empty():
                break
            work = self._events.get()
        self._unsaved.tell()

    def _done(self, work: Work | None) -> Iterable[OutcomeRecord | None]:
        """What comes of it, and a moment to breathe; nothing that was handed over ends the thread."""
        if work is not None:
            try:
                yield from work()
            except Exception as error:
                self._counts["broken"] += 1
                self._warn("what was handed over cannot be used: %.200r (%s)", error, type(error).__name__)
        yield None

    def _keep(self, record: OutcomeRecord) -> None:
        if record.outcome.exit is not Exit.OPEN:
            self._counts["ended"] += 1
        if self._file:
            self._file.put(record)
        if self._stored:
            self._unsaved.put(record)

    def _look_up(self, signal_id: str, work: Work) -> None:
        """A signal that this process has not seen may be one of an earlier run, and stored."""

        def found(signal: Signal | None) -> None:
            if signal is None:
                self._counts["unknown"] += 1
                self._warn("a report about signal %.100r, which nobody has handed over", signal_id)
                return
            self._put(partial(self._reader.accept, signal))
            self._put(work)

        if not self._unsaved.look_up(signal_id, found):
            found(None)

    def _warn(self, text: str, *values: object) -> None:
        self._counts["warnings"] = self._counts.get("warnings", 0) + 1
        if self._counts["warnings"] <= MOST_WARNINGS:
            more = "; further ones are only counted" if self._counts["warnings"] == MOST_WARNINGS else ""
            logger.warning("outcomes: %s%s", text % values, more)
