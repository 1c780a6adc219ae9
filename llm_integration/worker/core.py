"""LLMWorker: rates signals in the background of the host's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_integration.availability import Availability
from llm_integration.budget import MemoryLedger
from llm_integration.config import DEFAULT_BASE_URL, KEY_VARIABLE, LLMConfig
from llm_integration.fairness import Turns
from llm_integration.llm_processor import LLMProcessor
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.ports import Record
from llm_integration.response_parser import LLMResponseParser
from llm_integration.routing import CallPlan
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker.book import TaskBook
from llm_integration.worker.loops import Loops
from llm_integration.worker.ownership import Ownership, endpoint_of
from llm_integration.worker.parts import put_together
from llm_integration.worker.ports import AnalysisSink, Processor, WorkerOutbox
from llm_integration.worker.shared import Shared
from llm_integration.worker.status import status
from llm_integration.worker.subscribers import Callback, Subscribers
from llm_integration.worker.supervision import Supervisor

__all__ = ["LLMWorker"]

logger = logging.getLogger(__name__)

MODELS_FOLDER = Path(".tradent/models")
"""Where a worker that makes its own client keeps the list of models, in the folder of its settings."""
CANCELLED_SECONDS = 1.0
"""How long a cancelled ``run()`` goes on storing what was read."""


class LLMWorker:
    """Rates signals in the background of the host's event loop.

    ``run()`` is started as a task by the host and ends after ``stop()``, or when it is cancelled: in whatever
    order the host ends its parts, an answer that was read reaches them. With ``db_manager`` every task is
    claimed before it is asked and its result is fenced by that claim; without, results go to
    ``csv_exporter`` and the callbacks only. While the database is away, results are kept in ``outbox``, so
    that they outlive this process, and so are signals that wait in memory. With ``stores_signals=False`` the
    host stores its signals itself, before it hands them over. ``catalogue`` knows how much a model can read;
    the host that brings it keeps it fresh.

    At the start, and when a worker has died, the waiting tasks of ``session`` (None: of signals without one)
    are taken back, and those of the sessions that the host's signals name. With ``adopt`` the tasks of all
    sessions are worked off; the results of others are stored and not delivered here. Tasks meant for another
    ``base_url`` wait, unless ``any_endpoint``. ``availability`` is what other parts know of the same
    PostgreSQL, by the same ``clock``. Nothing in here raises into the host.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        memory_store: SignalMemoryStore | None = None,
        db_manager: Record | None = None,
        csv_exporter: AnalysisSink | None = None,
        *,
        outbox: WorkerOutbox | None = None,
        processor: Processor | None = None,
        formatter: SignalFormatter | None = None,
        parser: LLMResponseParser | None = None,
        worker_id: str | None = None,
        stores_signals: bool = True,
        session: str | None = None,
        adopt: bool = False,
        any_endpoint: bool = False,
        catalogue: ModelCatalogue | None = None,
        availability: Availability | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.config = config or LLMConfig()
        self.memory_store = memory_store or SignalMemoryStore(
            self.config.max_memory_signals, self.config.memory_retention_minutes
        )
        self.worker_id = worker_id or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._sink = csv_exporter
        models = self.config.folder / MODELS_FOLDER
        self._catalogue = catalogue or ModelCatalogue(self.config.base_url, cache_folder=models)
        self._own_processor = processor is None
        self._processor: Processor = processor or self._new_processor()
        self._subscribers = Subscribers()
        self._stopped = asyncio.Event()
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        turns = Turns()
        book = TaskBook(
            self.memory_store, max_age_seconds=self.config.signal_max_age_seconds,
            lease_seconds=self.config.lease_seconds,
        )  # fmt: skip
        self._shared = Shared(
            self.config, self.memory_store, book, db_manager, outbox, availability or Availability(clock),
            self.worker_id, clock=clock, wall=wall_clock, turn=turns.turn,
            wake=asyncio.Event(), idle=asyncio.Event(),
        )  # fmt: skip
        ownership = Ownership(
            db_manager, worker_id=self.worker_id, endpoint=endpoint_of(self.config), session=session,
            adopt=adopt, any_endpoint=any_endpoint,
        )  # fmt: skip
        self._parts = put_together(
            self._shared, self._processor, parser=parser or LLMResponseParser(), formatter=formatter,
            sink=csv_exporter, subscribers=self._subscribers, turns=turns, ownership=ownership,
            stores_signals=stores_signals, most_tokens=self._most_tokens,
        )  # fmt: skip
        self._supervisor = Supervisor(clock=clock)
        self._loops = Loops(self._parts, self._processor, self._subscribers, self._supervisor)

    def _new_processor(self) -> LLMProcessor:
        """A client for a host that brings none, with the budgets of the settings kept in memory."""
        guard = MemoryLedger(self.config.budgets, self._catalogue) if self.config.budgets else None
        return LLMProcessor(self.config, guard=guard, catalogue=self._catalogue, dialect_folder=MODELS_FOLDER)

    def _most_tokens(self, plan: CallPlan) -> int:
        """How long a prompt may be: by the settings, and by what the model can read beside its reply."""
        known = self._catalogue.find(plan.model)
        if known is None or known.context_length is None:
            return self.config.batch_max_tokens
        room = known.context_length - (plan.max_tokens or self.config.max_tokens)
        return max(1, min(self.config.batch_max_tokens, room))

    # The host's side

    def off_reason(self) -> str | None:
        """Why this worker asks nothing at all, in one line; None when it is on."""
        if not self.config.enabled:
            return "the llm block says enabled: false"
        if self.config.api_key is None and self.config.base_url == DEFAULT_BASE_URL:
            return f"there is no API key; set {KEY_VARIABLE} or put it into .env"
        return None

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Have ``callback`` called with each finished LLMAnalysis, rated or not.

        A plain callable runs in a thread of its own, an async one in a task of its own; neither can slow
        down the worker or the host. Returns a function that ends the subscription.
        """
        return self._subscribers.add(callback)

    def get_statistics(self) -> dict[str, Any]:
        """Counters and states: plain numbers and text, cheap enough to ask several times a second."""
        return status(
            self._parts, self._processor, self._subscribers,
            off=self.off_reason(), stopped=self._loops.ending, crashes=self._supervisor.crashes,
        )  # fmt: skip

    @property
    def unwritten(self) -> int:
        """Results that the database does not have yet."""
        return self._shared.book.answers.unstored

    async def run(self) -> None:
        """Work until ``stop()``. A crash inside is logged and restarted; only cancellation ends it early.

        A cancelled run ends calls in flight at once and takes up to three seconds to store and hand on what
        was read; it cannot be run again.
        """
        if self._loops.started or self._stopped.is_set():
            if self._loops.ending:
                return
            raise RuntimeError("this worker is running already")
        if reason := self.off_reason():
            logger.warning("LLM off: %s; trading goes on without ratings", reason)
            await self._stopped.wait()
            return
        self._start()
        try:
            await self._stopped.wait()
        finally:
            try:
                await self._loops.end(CANCELLED_SECONDS, finish_calls=False)
            finally:
                self._loops.let_go()
                self.memory_store.set_waker(None)
                self._stopped.set()
                self._ended.set()

    async def drain(self, timeout: float) -> bool:
        """Wait until every accepted signal has its end, stored and heard by every callback.

        True if that came within ``timeout`` seconds. Not for a callback to await: it would wait for itself.
        """
        book, idle = self._shared.book, self._shared.idle
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not book.idle:
                    idle.clear()
                    await idle.wait()
                await self._parts.storing.wait_until_empty()
                await self._parts.delivering.wait_until_empty()
                await self._subscribers.wait_until_heard()
        answers = book.answers
        return book.idle and not (answers.unstored or answers.undelivered or self._subscribers.waiting)

    async def stop(self, timeout: float = 10.0) -> None:
        """End the worker within ``timeout`` plus one second; at once when nothing is left to do.

        Calls in flight may finish within the timeout; what is unanswered then is ``pending`` again, for the
        next run.
        """
        if self._loops.ending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout + 1.0):
                    await self._ended.wait()
            return
        try:
            await self._loops.end(timeout, finish_calls=True)
        finally:
            self._stopped.set()
            if not self._loops.started:
                self._ended.set()  # else ``run`` has the last word

    # Starting

    def _start(self) -> None:
        if self._shared.database is None:
            logger.warning("no database: ratings go to CSV and callbacks only")
        if self._sink is not None:
            self._sink.start()
        if self._shared.outbox is not None:
            self._shared.outbox.start()
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self.memory_store.set_waker(self._wake_up)
        self._loops.start(*([("list of models", self._catalogue.run)] if self._own_processor else []))

    def _wake_up(self) -> None:
        """Called by the store after an addition, from any thread."""
        if threading.get_ident() == self._loop_thread:
            self._shared.wake.set()
        elif self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the host's loop is closed already
                self._loop.call_soon_threadsafe(self._shared.wake.set)
