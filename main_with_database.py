"""The trading system with the LLM sidecar built in: bars in, signals out, ratings beside them.

The front door of the bundled host: its parts are in ``trading/``, the sidecar is
``llm_integration.sidecar.Sidecar``. ``--help`` lists what it takes.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from database import DatabaseManager
from llm_integration import LLMAnalysis, LLMCSVExporter, LLMWorker, Signal
from llm_integration.ports import Feed
from llm_integration.record.embedded import default_base
from llm_integration.sidecar import DatabaseError, SessionError, Sidecar
from llm_integration.threads import in_thread
from trading.bar_loop import BarLoop
from trading.command_line import build_parser
from trading.dashboard import DashboardState, export_svg
from trading.errors import UsageError
from trading.feed import CsvFeed
from trading.log_lines import configure_logging
from trading.program import exit_status, run_to_the_end
from trading.ratings import Ratings
from trading.settings import SAMPLE_BARS, Settings, load
from trading.showing import Showing
from trading.stop_bounds import PATIENT, STOP, StopBounds
from trading.stopping import Stop, stop_on_signals

__all__ = ["SAMPLE_BARS", "Settings", "TradingSystem", "load", "main", "trade"]

logger = logging.getLogger("tradent")


class TradingSystem:
    """Feed, strategy and sidecar of one session.

    ``setup_components()`` builds and connects, ``run()`` trades to the end of the feed or ``request_stop()``,
    and ``_cleanup()`` ends everything within bounds, whatever happened before.
    """

    def __init__(self, settings: Settings, feed: Feed | None = None) -> None:
        if feed is not None:
            settings = replace(settings, source=feed.source)
        self.settings = settings
        self.stop = Stop()
        self.stop_bounds: StopBounds = STOP
        self.bar_loop = BarLoop(settings, feed or settings.csv_feed(in_thread), self.stop)
        self.ratings = Ratings(judged=settings.demo)
        self.sidecar = Sidecar(
            settings.llm,
            database=settings.database,
            session=settings.host_session(str(uuid.uuid4())),
            adopt=settings.adopt,
            simulate=settings.simulated,
            summary=self.bar_loop.summary,
            models_folder=default_base() / "models",
        )
        self.memory_store = self.sidecar.memory_store
        self.worker: LLMWorker | None = None
        self.exporter: LLMCSVExporter | None = None
        self.database: DatabaseManager | None = None
        self.showing = Showing(settings, self.bar_loop, self.sidecar, self.ratings)
        self.finished = False
        self._waits_because: str | None = None

    def request_stop(self) -> None:
        """End the run soon, as SIGINT does: no further bar, a short wait for answers."""
        self.stop.request()
        self.sidecar.hurry(self.stop_bounds.sidecar)

    async def set_up_unless_stopped(self) -> bool:
        """``setup_components``, cut short when the run is asked to end meanwhile: False."""
        setup = asyncio.create_task(self.setup_components(), name="set-up")
        await self.stop.until(setup)
        if not setup.done():
            setup.cancel()
            await asyncio.wait({setup}, timeout=self.stop_bounds.answers)
        if not setup.done() or setup.cancelled():
            return False
        setup.result()
        return True

    async def setup_components(self) -> None:
        """Start and connect every part. Raises, before any bar is traded, for what the user has to change."""
        await self.bar_loop.open()
        try:
            await self.sidecar.start()
        except SessionError as error:
            raise UsageError(str(error)) from error
        except DatabaseError as error:
            raise UsageError(f"database: {error}; check database.url or --database-url") from error
        parts = self.sidecar.parts
        self.worker, self.exporter = parts.rating.worker, parts.files
        self.database = parts.recording.manager if parts.recording is not None else None
        if self.worker is not None:
            self.worker.subscribe(self._on_analysis)
        if isinstance(self.bar_loop.feed, CsvFeed):
            logger.info("bars: %s", self.bar_loop.feed.described)

    async def run(self) -> None:
        """Trade bar by bar to the end of the feed, then wait for the answers."""
        with self.showing.display():
            async with aclosing(self.bar_loop.bars(self.sidecar)) as traded:
                async for bar, signal, known in traded:
                    if signal is not None and not known:
                        await self._handle_new_signal(signal)
                    self.sidecar.add_bar(bar, symbol=self.settings.symbol, signal=signal, stored=known)
            await self._wait_for_answers()
            self.finished = not self.stop.requested

    async def _handle_new_signal(self, signal: Signal) -> None:
        """Signal and task to PostgreSQL in one round trip, then to the sidecar, then back to the bars.

        The loop waits for PostgreSQL no longer than ``database.handoff_timeout_seconds``.
        """
        if await self.sidecar.record_signal(signal):
            self.ratings.asked(signal)

    async def _on_analysis(self, analysis: LLMAnalysis) -> None:
        """The host's own use of a rating would stand here; the sample shows it on the dashboard."""
        self.ratings.came(analysis)

    async def _wait_for_answers(self) -> None:
        """For those that are outstanding, no longer than settings say; a stop makes the wait short."""
        if self.sidecar.off_reason is not None:
            return
        waiting = asyncio.create_task(self.sidecar.drain_session(), name="drain")
        await self.stop.until(waiting, self.settings.llm.drain_timeout_seconds)
        self._waits_because = self.sidecar.statistics().get("reason")
        if self.stop.requested:
            await asyncio.wait({waiting}, timeout=self.stop_bounds.answers)
        waiting.cancel()

    async def _cleanup(self) -> None:
        """End every part, each within its bound; the next run finds what one that hangs has held."""
        self.sidecar.note_end(completed=self.finished, bars_ended=self.bar_loop.ended)
        await self.sidecar.close(PATIENT)

    def state(self) -> DashboardState:
        """A snapshot of the run."""
        return self.showing.state()

    async def report(self) -> list[str]:
        """What the run brought, what is open and how to go on; after a demo also what it was worth."""
        lines = self.showing.account(finished=self.finished, waits_because=self._waits_because)
        feed, folder = self.bar_loop.feed, Path(self.sidecar.config.output_folder)
        if self.settings.demo and self.finished and not self.sidecar.off_reason and isinstance(feed, CsvFeed):
            lines += await in_thread(self.ratings.judge, list(feed.table), folder)
        return lines


async def trade(settings: Settings, feed: Feed | None = None) -> int:
    """One run, from set-up to clean-up; the exit status. Without ``feed`` over the file of the settings."""
    system = TradingSystem(settings, feed)
    logging.getLogger().addHandler(system.showing.messages)
    stop_on_signals(system.request_stop, system.sidecar.abandon)
    try:
        if not await system.set_up_unless_stopped():
            sys.stdout.write("stopped before the first bar\n")
            return 0
        gc.collect()
        gc.freeze()  # set-up's objects live to the end: no collection in mid-trade walks through them
        await system.run()
    finally:
        await system._cleanup()
    if settings.picture is not None:
        export_svg(system.state(), settings.picture)
    sys.stdout.write("\n".join(await system.report()) + "\n")
    return 0


def main(arguments: Sequence[str] | None = None, feed: Feed | None = None) -> int:
    """Run the program, over the bars of ``feed`` if one is given; the exit status."""
    parser = build_parser()
    args = parser.parse_args(arguments)

    def work() -> int:
        settings = load(args, bars_from=feed.source if feed is not None else None)
        configure_logging(args.log_level, quiet=settings.dashboard)
        return run_to_the_end(trade(settings, feed))

    return exit_status(parser.prog, work)


if __name__ == "__main__":
    sys.exit(main())
