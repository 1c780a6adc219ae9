"""The parts of a sidecar: each is built, and pushes its end; the ends are called in reverse order."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from llm_integration.budget import MemoryLedger, key_fingerprint
from llm_integration.config import LLMConfig
from llm_integration.llm_processor import LLMProcessor
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.record import DatabaseConfig, DatabaseError, DatabaseManager, Leftovers, Outbox
from llm_integration.record.embedded import EmbeddedPostgres
from llm_integration.record.ledger import PostgresLedger
from llm_integration.record.outcomes import OutcomeStore
from llm_integration.record.postmaster import ServerBounds
from llm_integration.sidecar.bounds import CLOSE
from llm_integration.sidecar.outcomes import OutcomeSink
from llm_integration.sinks import SinkList
from llm_integration.threads import in_thread
from llm_integration.worker import LLMWorker
from llm_integration.worker.ownership import endpoint_of
from llm_integration.worker.supervision import Supervisor

__all__ = ["Parts"]

logger = logging.getLogger(__name__)

_SERVER = ServerBounds(lock=0.3, fast=0.8, immediate=0.3, killed=0.2)


class Parts:
    """Builds everything with ``open``, from the record to the worker, and ends it with ``close``.

    What is built first ends last: the worker ends before the sinks that take its results, those before the
    outbox and the connections.
    """

    def __init__(
        self,
        config: LLMConfig,
        store: SignalMemoryStore,
        sinks: SinkList,
        block: DatabaseConfig | None,
        outcomes: OutcomeSink,
        *,
        session: str | None,
        adopt: bool,
    ) -> None:
        self._config, self._store, self._sinks, self._block = config, store, sinks, block
        self._session, self._adopt, self._outcomes = session, adopt, outcomes
        self._worker_id = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.supervisor = Supervisor(clock=time.monotonic)
        self.worker: LLMWorker | None = None
        self.outbox: Outbox | None = None

    async def open(self) -> None:
        """Build and connect. Raises DatabaseError if PostgreSQL is required; ``close`` is due even then."""
        manager = await self._connect()
        self.outbox = await self._open_outbox(manager)
        models = self._config.folder / ".tradent" / "models"
        catalogue = ModelCatalogue(self._config.base_url, cache_folder=models)
        await catalogue.load()
        ledger = self._open_ledger(manager, catalogue)
        if manager is not None and self._outcomes.enabled:
            outcomes = OutcomeStore(manager.connections)
            rest = partial(self._outcomes.store_rest, outcomes, CLOSE.outcomes - 0.1)
            self._at_the_end("the outcomes", rest, CLOSE.outcomes)
            self._run("outcomes", partial(self._outcomes.store, outcomes))
        self._at_the_end("the tasks behind the worker", self._stop_tasks, CLOSE.background)
        self._sinks.start()
        closing = partial(self._sinks.close, CLOSE.sinks)
        self._at_the_end("the sinks", closing, CLOSE.sinks + CLOSE.sinks_margin)
        self._start_worker(manager, catalogue, ledger, models)

    async def close(self) -> None:
        """End what was built, each part within its bound of ``CLOSE``."""
        await self._stack.aclose()

    def _start_worker(
        self,
        manager: DatabaseManager | None,
        catalogue: ModelCatalogue,
        ledger: PostgresLedger | MemoryLedger,
        models: Path,
    ) -> None:
        processor = LLMProcessor(self._config, guard=ledger, catalogue=catalogue, dialect_folder=models)
        worker = self.worker = LLMWorker(
            self._config, self._store, manager, self._sinks, outbox=self.outbox, processor=processor,
            worker_id=self._worker_id, catalogue=catalogue, session=self._session, adopt=self._adopt,
        )  # fmt: skip
        self._at_the_end("the worker", partial(worker.stop, CLOSE.worker), CLOSE.worker + CLOSE.worker_margin)
        self._run("worker", worker.run)
        if worker.off_reason() is None:
            processor.say_where()
            self._run("model catalogue", catalogue.run)
            if isinstance(ledger, PostgresLedger):
                self._run("ledger", ledger.run)

    async def _connect(self) -> DatabaseManager | None:
        if self._block is None:
            return None
        url = self._block.url
        if self._block.embedded:
            server = EmbeddedPostgres()
            self._at_the_end("embedded PostgreSQL", partial(server.stop, _SERVER), CLOSE.server)
            url = SecretStr(await server.start())
        manager = DatabaseManager.from_config(self._block, url)
        manager.simulated = self._config.model.startswith("simulated/")
        self._at_the_end("the connections", manager.close, CLOSE.connections)
        try:
            await manager.connect()
            if self._session is not None:
                await manager.start_session(self._session, endpoint=endpoint_of(self._config))
        except DatabaseError as error:
            if self._block.required:
                raise
            logger.warning("%s; until it answers, results go to the other sinks", error)
        return manager

    async def _open_outbox(self, manager: DatabaseManager | None) -> Outbox | None:
        folder = self._block.outbox_folder if self._block is not None else None
        if manager is None or folder is None or self._block is None:
            return None
        outbox = Outbox(
            folder, target=manager.address, worker_id=self._worker_id,
            max_entries=self._block.outbox_max_entries, endpoint=endpoint_of(self._config),
            simulated=manager.simulated,
        )  # fmt: skip
        outbox.start()
        self._at_the_end("the outbox", partial(in_thread, outbox.close, CLOSE.outbox - 0.1), CLOSE.outbox)
        leftovers = Leftovers(
            folder, manager, target=manager.address, worker_id=f"outbox:{self._worker_id}",
            lease_seconds=self._config.lease_seconds,
        )  # fmt: skip
        self._run("leftovers", leftovers.run)
        return outbox

    def _open_ledger(
        self, manager: DatabaseManager | None, prices: ModelCatalogue
    ) -> PostgresLedger | MemoryLedger:
        """Every request passes it; with PostgreSQL its sums hold for all processes on this key."""
        if manager is None:
            return MemoryLedger(self._config.budgets, prices)
        key = self._config.api_key.get_secret_value() if self._config.api_key else None
        ledger = PostgresLedger(
            manager.connections, self._config.budgets, prices,
            key_fingerprint=key_fingerprint(key, self._config.base_url), worker_id=self._worker_id,
        )  # fmt: skip
        self._at_the_end("the ledger", partial(ledger.close, CLOSE.ledger - 0.1), CLOSE.ledger)
        return ledger

    def _run(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self.supervisor.keep(name, loop), name=f"sidecar {name}"))

    async def _stop_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _at_the_end(self, name: str, work: Callable[[], Awaitable[Any]], seconds: float) -> None:
        self._stack.push_async_callback(_end, name, work, seconds)


async def _end(name: str, work: Callable[[], Awaitable[Any]], seconds: float) -> None:
    """One step of the end. Whoever is cancelled in it goes on to its bound first: nothing is cut off."""
    task = asyncio.ensure_future(work())
    until = time.monotonic() + seconds
    cancelled: asyncio.CancelledError | None = None
    while not task.done() and (left := until - time.monotonic()) > 0:
        try:
            await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError as error:
            cancelled = error
    if not task.done():
        task.cancel()
        logger.warning("%s did not end within %.1f s and is left behind", name, seconds)
    elif not task.cancelled() and (fault := task.exception()) is not None:
        logger.error("ending %s failed: %s", name, fault or type(fault).__name__, exc_info=fault)
    if cancelled is not None:
        raise cancelled
