"""The trading system with the LLM sidecar built in: bars in, signals out, ratings beside them.

This is the composition root, the only file that knows every part. ``--help`` lists what it takes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal as signals
import sys
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from database import DatabaseConfig, DatabaseError, DatabaseManager, EmbeddedPostgres, SessionRecorder
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.config import environment, load_settings, read_json, suggestion
from llm_integration.domain import Bar, LLMAnalysis, Signal
from llm_integration.errors import ConfigError
from llm_integration.simulator import OpenRouterSimulator
from trading.config import TradingConfig
from trading.dashboard import Dashboard, DashboardState, Progress, RatingRow
from trading.errors import TradingError
from trading.feed import bars as feed_bars
from trading.feed import read_bars
from trading.indicators import IndicatorSet
from trading.strategy import MovingAverageCross, TradeSignal

logger = logging.getLogger("tradent")

HERE = Path(__file__).resolve().parent
SAMPLE_BARS = HERE / "data" / "EURUSD_1h.csv"
DEMO_KEY = "sk-or-v1-simulated"
DEMO_BARS_PER_SECOND = 400.0
DEMO_REQUESTS_PER_MINUTE = 1_200
DEMO_LATENCY_SECONDS = (0.05, 0.4)
SIGNAL_STOP_SECONDS = 10.0
"""How long SIGINT and SIGTERM wait for answers: shorter than the end of the feed does."""
BLOCKS = ("llm", "database", "trading")


class UsageError(Exception):
    """Something the user has to change; shown as one line, exit status 2."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run depends on, checked."""

    llm: LLMConfig
    database: DatabaseConfig
    trading: TradingConfig
    demo: bool
    data: Path
    symbol: str
    speed: float
    follow: bool
    resume: bool
    dashboard: bool
    picture: Path | None = None


@dataclass(slots=True)
class Progressed:
    """How far the run is."""

    bars: int = 0
    total_bars: int | None = None
    signals: int = 0
    longest_bar_seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)


class TradingSystem:
    """Feed, strategy, database and sidecar of one session.

    ``setup_components()`` builds and connects, ``run()`` trades until the feed ends or ``request_stop()``,
    ``_cleanup()`` ends everything within bounds whatever happened.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.session_id = str(uuid.uuid4())
        self.progress = Progressed()
        self.stop_requested = asyncio.Event()
        self.database: DatabaseManager | None = None
        self.recorder: SessionRecorder | None = None
        self.memory_store = SignalMemoryStore(settings.llm.max_memory_signals, settings.llm.memory_retention_minutes)
        self.exporter: LLMCSVExporter | None = None
        self.worker: LLMWorker | None = None
        self.off_reason: str | None = None
        self._simulator: OpenRouterSimulator | None = None
        self._embedded: EmbeddedPostgres | None = None
        self._dashboard: Dashboard | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._resume_after: Any = None
        self._history: deque[Bar] = deque(maxlen=settings.llm.lookback_periods + 50)
        self.strategy = MovingAverageCross(settings.trading, settings.symbol)
        self.indicators = IndicatorSet(settings.llm.indicators_to_include)
        self._stopped_by_user = False
        self._finished = False

    # Building

    async def setup_components(self) -> None:
        """Start and connect every part. Raises UsageError or DatabaseError before any bar is read."""
        await self._setup_database()
        await self._setup_session()
        await self._setup_llm()

    async def _setup_database(self) -> None:
        settings = self.settings.database
        url = settings.url.get_secret_value()
        try:
            if url == "embedded":
                self._embedded = await EmbeddedPostgres.start(HERE)
                logger.info("embedded PostgreSQL in %s", self._embedded.location)
                url = self._embedded.dsn
            self.database = DatabaseManager(
                url,
                pool_max=settings.pool_size,
                connect_timeout=settings.connect_timeout_seconds,
                statement_timeout=settings.statement_timeout_seconds,
            )
            await self.database.connect()
        except DatabaseError as error:
            raise UsageError(f"database: {error}; check database.url, or name another with --database-url") from error

    async def _setup_session(self) -> None:
        assert self.database is not None  # noqa: S101  set just before
        symbol = self.settings.symbol
        source = str(self.settings.data)
        if self.settings.resume and (unfinished := await self.database.find_unfinished_session(symbol, source)):
            self.session_id = unfinished
            self._resume_after = await self.database.last_bar_time(unfinished, symbol)
            logger.info("session %s goes on after bar %s", unfinished, self._resume_after)
        elif self.settings.resume:
            logger.info("there is no unfinished session of %s to resume; a new one starts", symbol)
        await self.database.start_session(
            self.session_id,
            symbol=symbol,
            mode="simulated/demo" if self.settings.demo else "live",
            source=source,
            config=self.settings.llm.model_dump(mode="json"),
        )

    async def _setup_llm(self) -> None:
        config = self.settings.llm
        assert self.database is not None  # noqa: S101  set before
        if self.settings.demo:
            self._simulator = OpenRouterSimulator(seed=1, latency_seconds=DEMO_LATENCY_SECONDS)
            await self._simulator.start()
            config = config.model_copy(update={"base_url": self._simulator.base_url})
        key = SecretStr(DEMO_KEY) if self.settings.demo else config.api_key
        self.worker = LLMWorker(
            config,
            self.memory_store,
            self.database,
            None,
            processor=LLMProcessor(config, api_key=key),
        )
        self.exporter = LLMCSVExporter(config, statistics=self._summary)
        self.worker.attach_sink(self.exporter)
        self.off_reason = self.worker.off_reason()
        self.recorder = SessionRecorder(
            self.database,
            self.session_id,
            self.settings.symbol,
            worker_id=self.worker.worker_id,
            handoff_seconds=self.settings.database.handoff_timeout_seconds,
        )
