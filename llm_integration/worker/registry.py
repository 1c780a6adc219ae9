"""Signals that wait in memory are stored meanwhile, so that they outlive the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice

from llm_integration.domain import Signal
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.worker.jobs import one_line
from llm_integration.worker.outage import Outage
from llm_integration.worker.ports import TaskDatabase, WorkerOutbox
from llm_integration.worker.reading import SignalReader

__all__ = ["Registry"]

logger = logging.getLogger(__name__)

AT_ONCE = 32
"""Signals stored, with one statement, before the intake looks again for something to ask."""
READ_AT_ONCE = 8
"""Signals read from the host's mappings before its loop gets its turn."""
WAITED_SECONDS = 0.25
"""How long a signal may wait in memory alone. What is asked about sooner is stored by its claim."""


class Registry:
    """Stores what a host has only handed over in memory: at once in the database, else in the outbox.

    A host that stores its signals itself, as the bundled one does, needs none. ``turn`` is awaited before a
    piece of computing.
    """

    def __init__(
        self,
        memory_store: SignalMemoryStore,
        database: TaskDatabase | None,
        outbox: WorkerOutbox | None,
        outage: Outage,
        worker_id: str,
        *,
        turn: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0),
        reader: SignalReader | None = None,
    ) -> None:
        self._store = memory_store
        self._database = database
        self._outbox = outbox
        self._outage = outage
        self._worker_id = worker_id
        self._turn = turn
        self._reader = reader or SignalReader(turn)
        self._kept: dict[str, Signal] = {}
        if database is not None:
            memory_store.follow_arrivals()

    def pause(self) -> float | None:
        """Seconds until it is worth looking again, None if nothing waits to be stored."""
        return WAITED_SECONDS if self._database is not None and self._store.untold else None

    async def store_waiting(self) -> bool:
        """Store some of the signals that wait and are not stored yet, in order; True if there are more."""
        if self._database is None:
            return False
        if self._kept and self._outage.worth_asking:
            await self._store_kept(self._database)
        found: list[Signal] = []
        for number, entry in enumerate(self._store.arrivals(AT_ONCE, WAITED_SECONDS), 1):
            found.append(await self._reader.read_in_turns(entry))
            if number % READ_AT_ONCE == 0:
                await self._turn()
        if found and not await self._record(self._database, found):
            self.keep(found)
        return len(found) == AT_ONCE or (bool(self._kept) and self._outage.worth_asking)

    def keep(self, signals: Iterable[Signal]) -> None:
        """The database is away: these are to be in the outbox until it has them."""
        if self._database is None or self._outbox is None:
            return
        for signal in signals:
            if signal.signal_id not in self._kept:
                self._outbox.keep_signal(signal)
                self._kept[signal.signal_id] = signal

    def settled(self, signal: Signal) -> None:
        """The database has the signal, or refuses it for good."""
        if self._kept.pop(signal.signal_id, None) is not None and self._outbox is not None:
            self._outbox.forget_signal(signal)

    async def _record(self, database: TaskDatabase, signals: Sequence[Signal]) -> bool:
        """True once the database has them, or refuses them for good; False while it is away."""
        if not self._outage.worth_asking:
            return False
        await self._turn()
        try:
            await database.record_signals(signals, worker_id=self._worker_id)
        except Exception as error:
            if getattr(error, "retryable", True):
                self._outage.failed(error)
                return False
            logger.error(
                "%d signal(s) from %s on are refused by PostgreSQL: %s",
                len(signals), one_line(signals[0].signal_id), one_line(str(error), 300),
            )  # fmt: skip
            return True
        self._outage.over()
        return True

    async def _store_kept(self, database: TaskDatabase) -> None:
        """PostgreSQL may be back: store what was kept, in order."""
        signals = list(islice(self._kept.values(), AT_ONCE))
        if not await self._record(database, signals):
            return
        for signal in signals:
            self.settled(signal)
