"""The trading system with the LLM sidecar built in: bars in, signals out, ratings beside them.

This is the composition root, the only file that knows every part. ``--help`` lists what it takes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import select
import shlex
import signal as signals
import socket
import sys
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from database import (
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    EmbeddedPostgres,
    Leftovers,
    Outbox,
    SessionRecorder,
)
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.budget import BudgetState, MemoryLedger, key_fingerprint
from llm_integration.config import environment, load_settings, read_json, suggestion
from llm_integration.domain import Bar, LLMAnalysis, Signal, TaskStatus
from llm_integration.errors import ConfigError, KeyRefusedError
from llm_integration.model_catalogue import ModelCatalogue, ModelWatch
from llm_integration.prompts import PromptLibrary
from llm_integration.record.continuing import (
    Continued,
    SessionError,
    folders_of_run,
    session_to_continue,
    take_up_outbox,
)
from llm_integration.record.embedded import default_base
from llm_integration.record.ledger import PostgresLedger
from llm_integration.record.outcomes import OutcomeStore
from llm_integration.record.postmaster import ServerBounds
from llm_integration.record.session_store import SessionStatus
from llm_integration.routing import router_for
from llm_integration.sidecar.outcomes import OutcomeSink
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from llm_integration.threads import in_thread
from llm_integration.times import zone_named
from llm_integration.worker.ownership import endpoint_of
from llm_integration.worker.supervision import Supervisor
from trading.command_line import build_parser
from trading.config import TradingConfig
from trading.dashboard import (
    Dashboard,
    DashboardState,
    PlainProgress,
    RatedSignal,
    RecentMessages,
    export_svg,
    restore_terminal,
    terminal_available,
)
from trading.errors import BarDataError, TradingError
from trading.feed import Bar as FeedBar
from trading.feed import BarFile, open_bars
from trading.feed import bars as feed_bars
from trading.figures import Progress, sidecar_figures
from trading.indicators import IndicatorSet
from trading.last_resort import LastResort
from trading.log_lines import configure_logging
from trading.stop_bounds import LAST_RESORT_SECONDS, PATIENT, STOP, StopBounds
from trading.strategy import MovingAverageCross, TradeSignal

logger = logging.getLogger("tradent")

HERE = Path(__file__).resolve().parent
SAMPLE_BARS = HERE / "data" / "EURUSD_1h.csv"
DEMO_BARS_PER_SECOND = 400.0
DEMO_REQUESTS_PER_MINUTE = 1_200
DEMO_LATENCY_SECONDS = (0.05, 0.4)
LEFTOVERS_SECONDS = 60.0
"""Longest wait at the start for what earlier runs left in their outboxes; the rest comes in meanwhile."""
SESSION_RETRY_SECONDS = 2.0
DRAIN_LOOK_SECONDS = 0.25
MOST_PACING_SECONDS = 5.0
MOST_WAITING_BARS = 50_000
MOST_SHOWN_LATER = 1_000
"""Unanswered signals whose answer the dashboard can still put beside their time and symbol."""
MOST_JUDGED = 20_000
"""The signals of a demo that its last lines judge: the latest so many."""
BLOCKS: Mapping[str, type[BaseModel]] = {
    "llm": LLMConfig,
    "database": DatabaseConfig,
    "trading": TradingConfig,
}


class UsageError(Exception):
    """Something the user has to change; shown as one line, exit status 2."""


REFUSALS = (UsageError, ConfigError, TradingError, BarDataError)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run depends on, checked.

    ``source`` is ``data`` as an absolute path, ``again`` the command that goes on with the run.
    """

    llm: LLMConfig
    database: DatabaseConfig
    trading: TradingConfig
    data: Path
    symbol: str
    demo: bool = False
    speed: float = 0.0
    follow: bool = False
    source: str = ""
    simulated: bool = False
    resume: bool = False
    session: str | None = None
    adopt: bool = False
    output_named: bool = False
    again: str = "--resume"
    dashboard: bool = False
    picture: Path | None = None


class TradingSystem:
    """Feed, strategy, database and sidecar of one session.

    ``setup_components()`` builds and connects, ``run()`` trades to the end of the feed or ``request_stop()``,
    and ``_cleanup()`` ends everything within bounds, whatever happened before.
    """

    def __init__(self, settings: Settings) -> None:
        llm = settings.llm
        self.settings = settings
        self.session_id = str(uuid.uuid4())
        self.progress = Progress()
        self.memory_store = SignalMemoryStore(llm.max_memory_signals, llm.memory_retention_minutes)
        self.strategy = MovingAverageCross(settings.trading, settings.symbol)
        self.indicators = IndicatorSet(llm.indicators_to_include)
        self.database: DatabaseManager | None = None
        self.recorder: SessionRecorder | None = None
        self.outbox: Outbox | None = None
        self.exporter: LLMCSVExporter | None = None
        self.outcomes: OutcomeSink | None = None
        self.worker: LLMWorker | None = None
        self.off_reason: str | None = None
        self.messages = RecentMessages()
        self.finished = False
        self._entered = False
        self.stop_bounds = STOP
        self._worker_id = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._leftovers: Leftovers | None = None
        self._ledger: PostgresLedger | MemoryLedger | None = None
        self._simulator: OpenRouterSimulator | None = None
        self._embedded: EmbeddedPostgres | None = None
        self._earlier: list[tuple[Signal, LLMAnalysis]] = []
        self._continued: Continued | None = None
        self._resume_after: datetime | None = None
        self._feed_ended = False
        self._unanswered: int | None = None
        self._waits_because: str | None = None
        self._answered: set[str] = set()
        self._history: deque[Bar] = deque(maxlen=llm.lookback_periods + 30)
        self._recent: deque[RatedSignal] = deque(maxlen=5)
        self._ended: deque[tuple[Signal, LLMAnalysis]] = deque(maxlen=MOST_JUDGED if settings.demo else 0)
        self._asked: dict[str, Signal] = {}
        self._background: list[asyncio.Task[None]] = []
        self._supervisor = Supervisor(clock=time.monotonic)
        self._model_watch: ModelWatch | None = None
        self._stop = asyncio.Event()
        self._feed: BarFile | None = None

    @property
    def stop_requested(self) -> bool:
        """True once the run was asked to end."""
        return self._stop.is_set()

    def request_stop(self) -> None:
        """End the run soon, as SIGINT does: no further bar, a short wait for answers."""
        self._stop.set()

    # Building

    async def set_up_unless_stopped(self) -> bool:
        """``setup_components``, cut short when the run is asked to end meanwhile: False."""
        setup = asyncio.create_task(self.setup_components(), name="set-up")
        await self._until_stopped(setup)
        if not setup.done():
            setup.cancel()
            await asyncio.wait({setup}, timeout=self.stop_bounds.answers)
        if not setup.done() or setup.cancelled():
            return False
        setup.result()
        return True

    async def setup_components(self) -> None:
        """Start and connect every part. Raises UsageError before any bar is traded."""
        self._feed = await in_thread(
            open_bars,
            self.settings.data,
            follow=self.settings.follow,
            zone=self.settings.llm.bars_timezone,
            symbol=self.settings.symbol,
        )
        self.progress.total_bars = None if self.settings.follow else len(self._feed.bars)
        await self._setup_database()
        await self._setup_outbox()
        await self._setup_session()
        await self._setup_sidecar()
        self._setup_recorder()
        self._setup_outcomes()
        logger.info("bars: %s", self._feed.reader.described)

    async def _setup_database(self) -> None:
        settings = self.settings.database
        try:
            dsn = await self._dsn()
            database = DatabaseManager.from_config(settings, dsn)
            database.simulated = self.settings.simulated
            self.database = database
            await database.connect()
        except DatabaseError as error:
            if settings.required:
                raise UsageError(f"database: {error}; check database.url or --database-url") from error
            logger.warning("database: %s; until it answers, results go to CSV (required is false)", error)

    async def _dsn(self) -> SecretStr | str:
        if not self.settings.database.embedded:
            return self.settings.database.url
        self._embedded = EmbeddedPostgres()
        return await self._embedded.start()

    async def _setup_outbox(self) -> None:
        """What waits for PostgreSQL is kept on disk; what earlier runs left there is stored first."""
        settings = self.settings.database
        folder = settings.outbox_folder
        if self.database is None or folder is None:
            return
        target = self.database.address
        with contextlib.suppress(OSError):  # it says so itself when it is needed
            await in_thread(folder.mkdir, parents=True, exist_ok=True)
        self.outbox = Outbox(
            folder, target=target, worker_id=self._worker_id, max_entries=settings.outbox_max_entries,
            endpoint=endpoint_of(self.settings.llm), simulated=self.settings.simulated,
        )  # fmt: skip
        self.outbox.start()
        self._leftovers = Leftovers(
            folder, self.database, target=target, worker_id=f"outbox:{self._worker_id}",
            lease_seconds=self.settings.llm.lease_seconds,
        )  # fmt: skip
        settled = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEFTOVERS_SECONDS):
                settled = await self._leftovers.settle()
        if self._goes_on and (settled is None or settled.waiting):
            # Answers that lie there are paid for; without them the session would ask for them again.
            raise UsageError(
                f"{self._flag} needs what earlier runs left in {self._leftovers.folder}, and"
                " PostgreSQL does not take it now; try again when it does"
            )

    async def _setup_session(self) -> None:
        if self.database is None:
            return
        try:
            await self._open_session(self.database)
        except DatabaseError as error:
            if self.settings.database.required:
                raise UsageError(f"database: {error}; check database.url or --database-url") from error
            if self._goes_on:
                raise UsageError(
                    f"{self._flag} needs PostgreSQL: {error}; start it, or leave {self._flag} out"
                ) from error
            self._start("opening of the session", partial(self._open_session_later, self.database))

    async def _open_session_later(self, database: DatabaseManager) -> None:
        """PostgreSQL was away at the start: the session is entered once it answers."""
        while True:
            await asyncio.sleep(SESSION_RETRY_SECONDS)
            try:
                await self._start_session(database)
            except DatabaseError as error:
                logger.debug("the session is not entered yet: %s", error)
            else:
                logger.info("PostgreSQL answers; session %s is entered", self.session_id)
                return

    async def _open_session(self, database: DatabaseManager) -> None:
        if self._goes_on:
            await self._go_on(database)
        await self._start_session(database)

    @property
    def _goes_on(self) -> bool:
        return self.settings.resume or self.settings.session is not None

    @property
    def _flag(self) -> str:
        return "--resume" if self.settings.resume else "--session"

    async def _go_on(self, database: DatabaseManager) -> None:
        """Take up an earlier session: its bars so far, its answers, and the folders it left them in."""
        settings = self.settings
        try:
            found = await session_to_continue(
                database,
                symbol=settings.symbol,
                sources=[str(settings.data), settings.source],
                simulated=settings.simulated,
                session_id=settings.session,
            )
            if found is None:
                logger.info("no session of %s to go on with; a new one starts", settings.symbol)
                return
            await take_up_outbox(
                found, database, here=self.outbox.folder if self.outbox else None,
                worker_id=f"outbox:{self._worker_id}", lease_seconds=settings.llm.lease_seconds,
            )  # fmt: skip
        except SessionError as error:
            raise UsageError(str(error)) from error
        self._continued, self.session_id = found, found.session_id
        if found.output is not None and not settings.output_named:
            llm = settings.llm.model_copy(update={"csv_output_directory": str(found.output)})
            self.settings = replace(settings, llm=llm)
        self._resume_after = await database.last_bar_time(self.session_id, settings.symbol)
        self._earlier = await database.session_analyses(self.session_id)
        logger.info(
            "session %s goes on after the bar of %s; %d of its signals are unanswered; files: %s",
            self.session_id, self._resume_after, found.unanswered, self.settings.llm.output_folder,
        )  # fmt: skip

    async def _start_session(self, database: DatabaseManager) -> None:
        await database.start_session(
            self.session_id,
            symbol=self.settings.symbol,
            mode=self._mode,
            source=self.settings.source,
            config=self.settings.llm.model_dump(mode="json"),
            endpoint=endpoint_of(self.settings.llm),
            folders=folders_of_run(
                self.settings.llm.output_folder, self.outbox.folder if self.outbox else None
            ),
        )
        self._entered = True

    async def _setup_sidecar(self) -> None:
        """The LLM's parts; a failure that is none of the settings' leaves trading without them."""
        try:
            await self._setup_llm()
        except REFUSALS:
            raise
        except Exception:
            logger.exception("the LLM cannot be set up; trading goes on without ratings")
            self.worker, self.off_reason = None, "its set-up failed, the log says why"

    @property
    def _mode(self) -> str:
        if not self.settings.simulated:
            return "live"
        return "simulated/demo" if self.settings.demo else "simulated"

    async def _setup_llm(self) -> None:
        config, key = self.settings.llm, self.settings.llm.api_key
        if self.settings.simulated:
            self._simulator = OpenRouterSimulator(
                seed=1, latency_seconds=DEMO_LATENCY_SECONDS, retired_models=()
            )  # whatever model the settings name: the demo shows how the system works
            await self._simulator.start()
            config = config.model_copy(update={"base_url": self._simulator.base_url})
            key = SecretStr(SIMULATED_KEY)
        models = None if self.settings.simulated else default_base() / "models"
        catalogue = ModelCatalogue(config.base_url, cache_folder=models)
        await catalogue.load()
        self._ledger = self._open_ledger(config, key, catalogue)
        self.exporter = LLMCSVExporter(config, statistics=self._summary)
        self.exporter.start()
        processor = LLMProcessor(
            config, api_key=key, guard=self._ledger, catalogue=catalogue, dialect_folder=models
        )
        self.worker = LLMWorker(
            config,
            self.memory_store,
            self.database,
            self.exporter,
            outbox=self.outbox,
            processor=processor,
            worker_id=self._worker_id,
            stores_signals=False,
            session=self.session_id,
            adopt=self.settings.adopt,
            any_endpoint=self._continued is not None or self.settings.adopt,
            catalogue=catalogue,
        )
        self.worker.subscribe(self._on_analysis)
        self.off_reason = self.worker.off_reason()
        if self.off_reason is None:
            self._start("model catalogue", catalogue.run)
            self._model_watch = ModelWatch(catalogue, config.models_named)
            self._start("model warnings", self._model_watch.run)
            if isinstance(self._ledger, PostgresLedger):
                self._start("ledger", self._ledger.run)
            logger.info("LLM on: %s at %s", config.model, config.base_url)
            processor.say_where()

    def _setup_recorder(self) -> None:
        if self.database is not None:
            self.recorder = SessionRecorder(
                self.database,
                self.session_id,
                self.settings.symbol,
                worker_id=None if self.off_reason else self._worker_id,
                off_reason=self.off_reason,
                outbox=self.outbox,
                handoff_seconds=self.settings.database.handoff_timeout_seconds,
            )

    def _setup_outcomes(self) -> None:
        """What becomes of signals is followed whether or not anybody rates them."""
        llm = self.settings.llm
        self.outcomes = OutcomeSink(llm, llm.output_folder, stored=self.database is not None)
        if self.database is not None:
            self._start("outcomes", partial(self.outcomes.store, OutcomeStore(self.database.connections)))

    def _open_ledger(
        self, config: LLMConfig, key: SecretStr | None, prices: ModelCatalogue
    ) -> PostgresLedger | MemoryLedger:
        """Every request passes it; with PostgreSQL its sums hold for all processes on this key."""
        if self.database is None:
            return MemoryLedger(config.budgets, prices)
        fingerprint = key_fingerprint(key.get_secret_value() if key else None, config.base_url)
        return PostgresLedger(
            self.database.connections, config.budgets, prices,
            key_fingerprint=fingerprint, worker_id=self._worker_id,
        )  # fmt: skip

    def _start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` behind the trading until it returns or the run ends; a crash restarts it."""
        self._background.append(asyncio.create_task(self._supervisor.keep(name, work), name=name))

    # Trading

    async def run(self) -> None:
        """Trade bar by bar to the end of the feed, then wait for the answers."""
        assert self._feed is not None  # noqa: S101  setup comes first
        if self.worker is not None:
            self._start("llm worker", self.worker.run)
        if self.recorder is not None:
            self._start("recorder", self.recorder.run)
        if self._leftovers is not None:
            self._start("leftovers", self._leftovers.run)
        self._restore_answers()
        with self._display():
            start = await self._replay()
            async for bar in feed_bars(
                self._feed,
                start=start,
                speed=self.settings.speed,
                follow=self.settings.follow,
                stop=self._stop,
                poll_seconds=self.settings.trading.follow_poll_seconds,
                in_thread=in_thread,
            ):
                await self._make_room()
                started = time.perf_counter()
                await self._on_bar(Bar(*bar))
                took = time.perf_counter() - started
                self.progress.longest_bar_seconds = max(self.progress.longest_bar_seconds, took)
            self._feed_ended = not self._stop.is_set()
            await self._drain()
            self.finished = not self._stop.is_set()

    async def _make_room(self) -> None:
        """A history read without pace waits for the writers; live bars never do."""
        if self.settings.speed > 0 or self.settings.follow:
            return
        deadline = time.monotonic() + MOST_PACING_SECONDS
        while self._writers_are_full():
            if time.monotonic() > deadline or self.stop_requested:
                return
            await asyncio.sleep(0.01)

    def _writers_are_full(self) -> bool:
        rows = self.exporter is not None and self.exporter.room < 1
        return rows or (self.recorder is not None and self.recorder.waiting[1] > MOST_WAITING_BARS)

    async def _replay(self) -> int:
        """On a resumed session: bring strategy and files up to the last stored bar; the number of bars."""
        if self._resume_after is None or self._feed is None:
            return 0
        count = self._feed.bars.count_until(self._resume_after)
        for index in range(count):
            if self.stop_requested:
                break
            await self._make_room()
            await self._on_bar(Bar(*self._feed.bars[index]), replayed=True)
            await asyncio.sleep(0)
        return count

    async def _on_bar(self, bar: Bar, *, replayed: bool = False) -> None:
        self._history.append(bar)
        self.progress.bars += 1
        self.progress.last_bar_at = bar.timestamp
        self.indicators.update(FeedBar(*bar))
        found = self.strategy.on_bar(FeedBar(*bar))
        signal = self._signal(found) if found is not None else None
        if signal is not None:
            self.progress.signals += 1
            if not replayed:
                await self._handle_new_signal(signal)
        if self.exporter is not None:
            self.exporter.record_bar(self.session_id, self.settings.symbol, bar, signal)
            if signal is not None and self.off_reason:
                self.exporter.write_analysis(signal, _unasked(signal, self.off_reason))
        if self.outcomes is not None:
            self.outcomes.record_bar(self.session_id, self.settings.symbol, bar, signal)
        if self.recorder is not None and not replayed:
            self.recorder.record_bar(bar)

    def _signal(self, found: TradeSignal) -> Signal:
        name = f"{self.session_id}|{found.symbol}|{found.timestamp.isoformat()}|{found.strategy}"
        bars = list(self._history)[-(self.settings.llm.lookback_periods + 15) :]
        return Signal(
            signal_id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
            timestamp=found.timestamp,
            symbol=found.symbol,
            signal_type=found.signal_type,
            entry_price=found.entry_price,
            stop_loss=found.stop_loss,
            target_price=found.target_price,
            indicators=self.indicators.values(),
            bars=tuple(bars),
            session_id=self.session_id,
            strategy=found.strategy,
        )

    async def _handle_new_signal(self, signal: Signal) -> None:
        """Signal and task to PostgreSQL in one round trip, then to the sidecar, then back to the bars.

        The loop waits for PostgreSQL no longer than ``database.handoff_timeout_seconds``; the recorder keeps
        what was not confirmed by then.
        """
        if self.recorder is not None:
            await self.recorder.record_signal(signal)
        if signal.signal_id in self._answered:
            self._answered.discard(signal.signal_id)
        elif self.off_reason is None:
            self._asked[signal.signal_id] = signal
            if len(self._asked) > MOST_SHOWN_LATER:
                del self._asked[next(iter(self._asked))]
            self.memory_store.add_signal({"signal_id": signal.signal_id, "signal_data": _as_data(signal)})

    def _restore_answers(self) -> None:
        """On a resumed session: the answers that PostgreSQL had go to the files and are not asked for."""
        for signal, analysis in self._earlier:
            if self.exporter is not None:
                self.exporter.write_analysis(signal, analysis)
            self._answered.add(signal.signal_id)
        self._earlier = []

    async def _restore_late_answers(self) -> None:
        """What another process answered of the session's earlier part after this one had looked."""
        if self.database is None:
            return
        try:
            self._earlier = await self.database.session_analyses(self.session_id)
        except DatabaseError as error:
            logger.warning("answers of other processes are not in the files: %s", error)
        self._restore_answers()

    async def _drain(self) -> None:
        """Wait for outstanding answers; a stop makes the wait short."""
        if self.worker is None or self.off_reason:
            return
        waiting = asyncio.create_task(self._all_answered(), name="drain")
        await self._until_stopped(waiting, self.settings.llm.drain_timeout_seconds)
        self._waits_because = self.worker.get_statistics()["reason"]
        if self.stop_requested:
            await asyncio.wait({waiting}, timeout=self.stop_bounds.answers)
        waiting.cancel()

    async def _until_stopped(self, work: asyncio.Task[Any], timeout: float | None = None) -> None:
        """Wait for ``work``, no longer than ``timeout`` and until the run is asked to end."""
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait({work, stopped}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    def _wants_a_key(self) -> bool:
        """The server refuses us and no key was given at all: nothing will change by itself."""
        assert self.worker is not None  # noqa: S101  the caller has checked
        if self.settings.simulated or self.settings.llm.api_key is not None:
            return False
        stopped_by: object = self.worker.get_statistics()["processor"]["stopped_by"]
        return stopped_by == KeyRefusedError.__name__

    async def _all_answered(self) -> None:
        assert self.worker is not None  # noqa: S101  the caller has checked
        while not self._wants_a_key():
            if not await self.worker.drain(DRAIN_LOOK_SECONDS):
                continue
            if self.database is None:
                return
            with contextlib.suppress(DatabaseError):
                if not await self._tasks_waiting(self.database):
                    return
            await asyncio.sleep(0.2)

    async def _tasks_waiting(self, database: DatabaseManager) -> int:
        """Open tasks of this session, and with --adopt those of others that are free."""
        stats = await database.get_llm_processing_stats(self.session_id)
        open_tasks = int(stats["pending"] + stats["processing"])
        if not open_tasks and self.settings.adopt:
            return await database.waiting_tasks(self._worker_id)
        return open_tasks

    # Ending

    async def _cleanup(self) -> None:
        """End every part, each within its bound, in the order in which they need each other.

        A part that fails or takes too long is said and left behind; the next run finds what it held.
        """
        if self.worker is not None:
            await self._step("the worker", self.worker.stop(self._bounds.worker), _bound_of_worker)
        if self.finished and self._continued is not None and not self.stop_requested:
            await self._step("late answers", self._restore_late_answers(), _bound_of_session)
        await asyncio.gather(*self._ends_of_stores())
        for task in self._background:
            task.cancel()
        if self._background:
            await asyncio.wait(self._background, timeout=self._bounds.background)
        await asyncio.gather(*self._ends_of_records())
        await asyncio.gather(*self._ends_of_connections())
        if self._embedded is not None:
            bounds = self._bounds
            server = ServerBounds(
                bounds.server_lock, bounds.server_fast, bounds.server_immediate, bounds.server_killed
            )
            await self._step("embedded PostgreSQL", self._embedded.stop(server), _bound_of_server)

    @property
    def _bounds(self) -> StopBounds:
        """What the next step of the end may take."""
        return self.stop_bounds if self.stop_requested else PATIENT

    async def _step(self, name: str, work: Awaitable[object], bound: Callable[[StopBounds], float]) -> None:
        """One step of the end; a signal in its midst makes its bound the short one."""
        task = asyncio.ensure_future(work)
        if not self.stop_requested:
            await self._until_stopped(task, bound(PATIENT))
        if self.stop_requested and not task.done():
            await asyncio.wait({task}, timeout=bound(self.stop_bounds))
        if not task.done():
            task.cancel()
            logger.warning("%s did not end in time and is left behind", name)
        elif not task.cancelled() and (error := task.exception()) is not None:
            logger.error("ending %s failed: %s", name, error or type(error).__name__, exc_info=error)

    def _ends_of_stores(self) -> Iterator[Awaitable[None]]:
        """Tables, files and ledger write what waits; each has a moment left to say what it could not."""
        seconds, bound = self._bounds.stores, _bound_of_stores
        if self.recorder is not None:
            yield self._step("the tables", self._flush(self.recorder, seconds - 0.2), bound)
        if self.exporter is not None:
            closed = in_thread(self.exporter.close, seconds - 0.6, flush_held=self._feed_ended)
            yield self._step("the CSV files", closed, bound)
        if self.outcomes is not None:
            yield self._step("the outcomes", in_thread(self.outcomes.close, seconds - 0.6), bound)
        if isinstance(self._ledger, PostgresLedger):
            yield self._step("the ledger", self._close_ledger(self._ledger, seconds - 0.2), bound)

    def _ends_of_records(self) -> Iterator[Awaitable[None]]:
        seconds, bound = self._bounds.session, _bound_of_session
        if self.database is not None and self._entered:
            yield self._step("the session", self._end_session(self.database, seconds - 0.1), bound)
        if self.database is not None and self.outcomes is not None:
            rest = self.outcomes.store_rest(OutcomeStore(self.database.connections), seconds - 0.1)
            yield self._step("the last outcomes", rest, bound)
        if self.outbox is not None:
            yield self._step("the outbox", in_thread(self.outbox.close, seconds - 0.1), bound)

    def _ends_of_connections(self) -> Iterator[Awaitable[None]]:
        if self.database is not None:
            yield self._step("the connections", self.database.close(), _bound_of_connections)
        if self._simulator is not None:
            yield self._step("the simulator", self._simulator.stop(), _bound_of_connections)

    async def _flush(self, recorder: SessionRecorder, seconds: float) -> None:
        if not await recorder.flush(seconds):
            self._report_unstored(recorder)

    async def _close_ledger(self, ledger: PostgresLedger, seconds: float) -> None:
        if unsettled := await ledger.close(seconds):
            logger.warning("%d request(s) are not in the ledger; their reservations stay", unsettled)

    async def _end_session(self, database: DatabaseManager, seconds: float) -> None:
        status: SessionStatus = "completed" if self.finished else "stopped"
        for attempt in (1, 2):
            try:
                async with asyncio.timeout(seconds / 2):
                    self._unanswered = await database.end_session(
                        self.session_id, status, feed_ended=self._feed_ended
                    )
                    return
            except (DatabaseError, TimeoutError) as error:
                if attempt == 2:
                    logger.warning("the session is not marked as %s: %s", status, error or "no answer")

    def leave_behind(self) -> None:
        """For the last moment of a process that is stuck: nobody is left who would do it. Never blocks."""
        if self._embedded is not None:
            self._embedded.abandon()
        if select.select([], [sys.stdout], [], 0)[1]:
            restore_terminal()

    def _report_unstored(self, recorder: SessionRecorder) -> None:
        kept = recorder.keep_waiting()
        signals, bars = recorder.waiting
        logger.error(
            "%d signals and %d bars did not reach PostgreSQL; %d of the signals are in the outbox for the"
            " next run, bars come again with --resume",
            signals, bars, kept,
        )  # fmt: skip

    # Showing

    def account(self) -> list[str]:
        """What this run brought, and what is still open: the lines it ends with."""
        stats = self.worker.get_statistics() if self.worker else {}
        waiting = self._waiting_line(stats)
        lines = [
            f"session {self.session_id} " + ("finished" if self.finished else "stopped"),
            f"bars {self.progress.bars}, signals {self.progress.signals}, rated {stats.get('rated', 0)}, "
            f"unrated {stats.get('unrated', 0)}, failed {stats.get('failed', 0)}, "
            f"expired {stats.get('expired', 0)}",
            _cost_line(stats)
            + (" (simulated)" if self.settings.simulated else "")
            + f", longest bar {self.progress.longest_bar_seconds * 1000:.1f} ms",
            f"files: {self.settings.llm.output_folder}",
            f"database: {self.database_hint()}",
        ]
        if (adopted := stats.get("adopted")) and (adopted["completed"] or adopted["failed"]):
            lines.insert(2, (
                f"of other sessions, for which it was asked: rated {adopted['rated']} of"
                f" {adopted['completed'] + adopted['failed'] + adopted['expired']},"
                f" cost {adopted['cost_usd']} USD"
            ))  # fmt: skip
        if waiting:
            lines.append(waiting)
        if self.off_reason is None and (waiting or not self.finished):
            lines.append(f"go on with: {self.settings.again}")
        return lines

    def _waiting_line(self, stats: Mapping[str, Any]) -> str | None:
        """How many signals are unanswered, and why; None when all have their end."""
        count = self._unanswered
        if count is None:  # PostgreSQL did not say
            count = stats.get("memory", {}).get("pending", 0)
        if not count:
            return None
        kept = "" if self.database is not None else "; without PostgreSQL they are gone with this process"
        wait = "1 signal waits" if count == 1 else f"{count} signals wait"
        return f"{wait}: {self._waits_because or 'their answers had not come yet'}{kept}"

    def database_hint(self) -> str:
        """How to look at the tables of this run."""
        if self.database is None:
            return "none; this run went to the files alone"
        if self._embedded is not None:
            look = 'python -m database "SELECT ..."'
            return f"embedded PostgreSQL in {self._embedded.location}; look with: {look}"
        return f"{self.database!r}"

    def state(self) -> DashboardState:
        """A snapshot for the dashboard and for the lines of progress; takes microseconds."""
        stats = self.worker.get_statistics() if self.worker else {}
        trouble = (self.recorder.error if self.recorder else None) or stats.get("database_error")
        return DashboardState(
            symbol=self.settings.symbol,
            strategy=self.strategy.name,
            session_id=self.session_id,
            simulated=self.settings.simulated,
            following=self.settings.follow,
            last_close=self._history[-1].close if self._history else None,
            llm_on=self.off_reason is None,
            llm_note=self.off_reason or stats.get("note") or self._notes(stats),
            database=trouble or ("none" if self.database is None else "connected"),
            database_ok=trouble is None and self.database is not None,
            recent=tuple(self._recent),
            messages=self.messages.lines,
            **self.progress.shown(),
            **sidecar_figures(stats),
        )

    def _notes(self, stats: Mapping[str, Any]) -> str:
        """What is not as it should be while the LLM is on: a model that is gone or down, a budget used up."""
        gone = list(self._model_watch.gone) if self._model_watch else []
        if stats.get("reason"):  # nothing is asked at all; the rest would only repeat it
            return "; ".join([*gone, stats["reason"]])
        models: Mapping[str, Any] = stats["processor"]["models"] if stats else {}
        notes = gone
        notes += [f"{name} is down: {each['reason']}" for name, each in models.items() if each["reason"]]
        notes += [f"budget {each.name} is used up" for each in self._budgets() if each.state == "reached"]
        return "; ".join(notes)

    async def _on_analysis(self, analysis: LLMAnalysis) -> None:
        """The host's own use of a rating would stand here; the sample shows it on the dashboard."""
        signal = self._asked.pop(analysis.signal_id, None)
        if signal is not None:
            self._remember(signal, analysis)

    def _remember(self, signal: Signal, analysis: LLMAnalysis) -> None:
        self._ended.append((signal, analysis))
        text = analysis.recommendations or analysis.analysis if analysis.rated else analysis.error
        self._recent.append(
            RatedSignal(
                timestamp=signal.timestamp,
                symbol=signal.symbol,
                signal_type=signal.signal_type,
                rating=analysis.rating,
                choppiness=analysis.choppiness,
                method=analysis.parse_method.value,
                status=analysis.status.value,
                text=text or "",
            )
        )

    async def judge(self) -> list[str]:
        """Whether the run's ratings were worth anything: lines for its end, and a page beside its files."""
        from trading.verdict import PAGE, write_verdict  # noqa: PLC0415  numpy, for the end of a demo alone

        folder = Path(self.settings.llm.output_folder)
        bars = [] if self._feed is None else list(self._feed.bars)
        note = "a simulated model rated these signals: nothing here says anything about a real one"
        try:
            sentence = await in_thread(write_verdict, list(self._ended), bars, folder, note=note)
        except OSError as error:
            return [f"worth: {folder / PAGE} cannot be written: {error.strerror or error}"]
        return [f"worth (of a simulated model): {sentence}", f"report: {folder / PAGE}"]

    def save_picture(self, file: Path) -> None:
        """Write the dashboard as it stands to an SVG file."""
        export_svg(self.state(), file)

    def _display(self) -> contextlib.AbstractContextManager[object]:
        trading = self.settings.trading
        if self.settings.dashboard:
            return Dashboard(self.state, refreshes_per_second=trading.dashboard_refreshes_per_second)
        return PlainProgress(self.state, interval_seconds=trading.progress_interval_seconds)

    def _summary(self) -> dict[str, Any]:
        return {"session_id": self.session_id, "symbol": self.settings.symbol, "bars": self.progress.bars,
                "signals": self.progress.signals, "simulated": self.settings.simulated,
                "waiting_for_database": self._waiting(), "restarts": dict(self._supervisor.crashes),
                "budgets": [asdict(each) for each in self._budgets()]}  # fmt: skip

    def _budgets(self) -> list[BudgetState]:
        return self._ledger.state() if self._ledger is not None else []

    def _waiting(self) -> dict[str, object]:
        """What PostgreSQL does not have yet, in memory and in the outbox."""
        signals, bars = self.recorder.waiting if self.recorder else (0, 0)
        return {
            "signals": signals,
            "bars": bars,
            "results": self.worker.unwritten if self.worker else 0,
            "outbox": self.outbox.statistics() if self.outbox else None,
        }


_bound_of_worker = attrgetter("whole_worker")
_bound_of_stores = attrgetter("stores")
_bound_of_session = attrgetter("session")
_bound_of_connections = attrgetter("connections")
_bound_of_server = attrgetter("server")


def _as_data(signal: Signal) -> dict[str, Any]:
    """What the sidecar takes as ``signal_data``."""
    return {
        "timestamp": signal.timestamp,
        "symbol": signal.symbol,
        "signal_type": signal.signal_type,
        "entry_price": signal.entry_price,
        "stop_loss": signal.stop_loss,
        "target_price": signal.target_price,
        "indicators": signal.indicators,
        "bars": signal.bars,
        "session_id": signal.session_id,
        "strategy": signal.strategy,
    }


def _unasked(signal: Signal, reason: str) -> LLMAnalysis:
    """Lets the bar of a signal into the file when nobody is going to answer it."""
    return LLMAnalysis(signal_id=signal.signal_id, status=TaskStatus.EXPIRED, error=f"LLM off: {reason}")


# The command line


def load(args: argparse.Namespace) -> Settings:
    """Settings from the command line over the configuration file. Raises ConfigError or UsageError."""
    file = args.config or HERE / "config.json"
    blocks = read_json(file)
    for name, block in blocks.items():
        if name not in BLOCKS:
            raise ConfigError(f"{file}: unknown block {name!r}{suggestion(name, BLOCKS)}")
        if not isinstance(block, dict):
            raise ConfigError(f"{file}: {name!r} must be an object of settings")
    folder = Path(file).absolute().parent
    llm = LLMConfig.from_file_values(blocks.get("llm", {}), where=f"{file}: llm", folder=folder)
    database = blocks.get("database", {})
    where = "--database-url" if args.database_url else "DATABASE_URL"
    if url := args.database_url or environment(beside=folder).get("DATABASE_URL"):
        load_settings(DatabaseConfig, {"url": url}, where)  # a fault is blamed on where it stands
        database = {**database, "url": url}
    trading = load_settings(TradingConfig, blocks.get("trading", {}), f"{file}: trading")
    settings = Settings(
        llm=_for_run(llm, args),
        database=load_settings(DatabaseConfig, database, f"{file}: database").in_folder(folder),
        trading=trading,
        data=_data(args),
        symbol=args.symbol or trading.symbol,
        demo=args.demo,
        source=str(_data(args).resolve()),
        simulated=args.demo or args.simulate,
        speed=args.speed if args.speed is not None else (DEMO_BARS_PER_SECOND if args.demo else 0.0),
        follow=args.follow,
        resume=args.resume,
        session=args.session,
        adopt=args.adopt,
        output_named=args.output is not None,
        again=_again(args),
        dashboard=not args.no_dashboard and terminal_available(),
        picture=args.picture,
    )
    # What cannot be computed or asked is an error before anything starts
    IndicatorSet(llm.indicators_to_include)
    _check_prompts(llm)
    return settings


def _check_prompts(llm: LLMConfig) -> None:
    library = PromptLibrary(llm.prompt_folder, llm.prompt_files)
    for name in (llm.prompt, *router_for(llm).prompts, *(shadow.prompt for shadow in llm.shadow)):
        if name is not None:
            library.get(name)


def _for_run(llm: LLMConfig, args: argparse.Namespace) -> LLMConfig:
    changes: dict[str, Any] = {}
    if args.timezone is not None:
        changes["bars_timezone"] = _zone(args.timezone)
    if args.output is not None:
        changes["csv_output_directory"] = str(args.output.absolute())
    if args.demo or args.simulate:
        changes["model"] = f"simulated/{llm.model.removeprefix('simulated/')}"
        changes["enabled"] = True
        changes["requests_per_minute"] = max(llm.requests_per_minute, DEMO_REQUESTS_PER_MINUTE)
        changes["tokens_per_minute"] = max(llm.tokens_per_minute, DEMO_REQUESTS_PER_MINUTE * 10_000)
    return llm.model_copy(update=changes)


def _again(args: argparse.Namespace) -> str:
    """The command that goes on with this run. An address of a database may hold a password: not shown."""
    words = ["python", "main_with_database.py"]
    for name in ("demo", "simulate", "follow"):
        words += [f"--{name}"] if getattr(args, name) else []
    for name in ("config", "data", "symbol", "timezone"):
        words += [f"--{name}", str(value)] if (value := getattr(args, name)) is not None else []
    words += ["--database-url", "..."] if args.database_url else []
    return " ".join([shlex.join(words), "--resume"])


def _cost_line(stats: Mapping[str, Any]) -> str:
    """What the answers cost, as far as it is known."""
    cost, unknown = stats.get("cost_usd", 0), stats.get("cost_unknown", 0)
    if not unknown:
        return f"cost {cost} USD"
    answers = "1 answer" if unknown == 1 else f"{unknown} answers"
    return f"cost {cost} USD, unknown for {answers}" if cost else f"cost unknown for {answers}"


def _zone(name: str) -> str:
    try:
        zone_named(name)
    except ValueError as error:
        raise UsageError(f"--timezone: {error}") from None
    return name


def _data(args: argparse.Namespace) -> Path:
    if args.data is not None:
        if not args.data.is_file():
            raise UsageError(f"{args.data}: no such file of bars; name one with --data, or try --demo")
        return Path(args.data)
    if not args.demo:
        raise UsageError("no bars: name a CSV file with --data, or try --demo")
    return SAMPLE_BARS


async def trade(settings: Settings) -> int:
    """One run, from set-up to clean-up; the exit status."""
    system = TradingSystem(settings)
    logging.getLogger().addHandler(system.messages)
    _stop_on_signals(system)
    try:
        try:
            ready = await system.set_up_unless_stopped()
        except REFUSALS as error:
            return _refuse(error)  # before the clean-up has anything to say
        if not ready:
            sys.stdout.write("stopped before the first bar\n")
            return 0
        gc.collect()
        gc.freeze()  # set-up's objects live to the end: no collection in mid-trade walks through them
        await system.run()
    finally:
        await system._cleanup()
    if settings.picture is not None:
        system.save_picture(settings.picture)
    report(system)
    if settings.demo and system.finished and not system.off_reason:
        sys.stdout.write("\n".join(await system.judge()) + "\n")
    return 0


def _stop_on_signals(system: TradingSystem) -> None:
    """The first signal ends the run in order, the second at once.

    Handlers of the interpreter, not of the event loop: they also work while a callback blocks that.
    """
    loop, asked = asyncio.get_running_loop(), False
    last_resort = LastResort(LAST_RESORT_SECONDS, system.leave_behind)
    last_resort.start()

    def stop() -> None:
        logger.warning("stopping; a second signal leaves at once")
        system.request_stop()

    def handle(_number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            restore_terminal()
            os._exit(1)
        asked = True
        last_resort.arm()
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is leaving already
            loop.call_soon_threadsafe(stop)

    for number in (signals.SIGINT, signals.SIGTERM):
        signals.signal(number, handle)


def report(system: TradingSystem) -> None:
    """What a run brought, what is still open and how to go on, in a few lines on stdout."""
    sys.stdout.write("\n".join(system.account()) + "\n")


def _refuse(error: Exception) -> int:
    """Say why the program does not start, in one line; the exit status."""
    sys.stderr.write(f"{build_parser().prog}: {error}\n")
    return 2


def _run(settings: Settings) -> int:
    """``trade`` on a loop of its own, whose end wants a thread; where none can be started it does without."""
    status: list[int] = []

    async def traded() -> None:
        status.append(await trade(settings))

    try:
        asyncio.run(traded())
    except RuntimeError:
        if not status:
            raise
        logger.debug("the event loop could not end in order", exc_info=True)
    return status[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit status."""
    args = build_parser().parse_args(arguments)
    try:
        settings = load(args)
        configure_logging(args.log_level, quiet=settings.dashboard)
        return _run(settings)
    except REFUSALS as error:
        return _refuse(error)
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        logger.debug("the run failed", exc_info=True)
        sys.stderr.write(
            f"{build_parser().prog}: {type(error).__name__}: {error} (--log-level DEBUG shows where)\n"
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
