"""Signals that wait in memory are stored meanwhile, so that they outlive the process."""

from __future__ import annotations

import logging

from llm_integration.domain import Signal
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.worker.jobs import one_line
from llm_integration.worker.outage import Outage
from llm_integration.worker.ports import TaskDatabase, WorkerOutbox

__all__ = ["Registry"]

logger = logging.getLogger(__name__)

AT_ONCE = 32
"""Signals stored before the intake looks again for something to ask."""


class Registry:
    """Stores what a host has only handed over in memory: at once in the database, else in the outbox.

    A host that stores its signals itself, as the bundled one does, needs none.
    """

    def __init__(
        self,
        memory_store: SignalMemoryStore,
        database: TaskDatabase | None,
        outbox: WorkerOutbox | None,
        outage: Outage,
        worker_id: str,
    ) -> None:
        self._store = memory_store
        self._database = database
        self._outbox = outbox
        self._outage = outage
        self._worker_id = worker_id
        self._through = 0
        self._kept: dict[str, Signal] = {}

    async def store_waiting(self) -> bool:
        """Store some of the signals that wait and are not stored yet, in order; True if there are more."""
        if self._database is None:
            return False
        if self._kept and self._outage.worth_asking:
            await self._store_kept(self._database)
        found = self._store.waiting_after(self._through, AT_ONCE)
        for entry in found:
            self._through = entry.number
            await self._store_one(self._database, Signal.from_mapping(entry.signal_id, entry.signal_data))
        return len(found) == AT_ONCE or (bool(self._kept) and self._outage.worth_asking)

    async def _store_one(self, database: TaskDatabase, signal: Signal) -> bool:
        if not self._outage.worth_asking:
            self._keep(signal)
            return False
        try:
            await database.record_signal(signal, worker_id=self._worker_id)
        except Exception as error:
            if not getattr(error, "retryable", True):
                logger.error(
                    "signal %s is refused by PostgreSQL: %s",
                    one_line(signal.signal_id), one_line(str(error), 300),
                )  # fmt: skip
                return True
            self._outage.failed(error)
            self._keep(signal)
            return False
        self._outage.over()
        return True

    def _keep(self, signal: Signal) -> None:
        if self._outbox is not None and signal.signal_id not in self._kept:
            self._outbox.keep_signal(signal)
            self._kept[signal.signal_id] = signal

    async def _store_kept(self, database: TaskDatabase) -> None:
        """PostgreSQL may be back: store what was kept, in order."""
        for signal in list(self._kept.values())[:AT_ONCE]:
            if not await self._store_one(database, signal):
                return
            del self._kept[signal.signal_id]
            if self._outbox is not None:
                self._outbox.forget_signal(signal)
