"""Signals that wait in memory alone are stored, or kept on disk, so that they outlive the process."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from llm_integration.domain import Signal
from llm_integration.fairness import SIGNALS_AT_ONCE
from llm_integration.one_line import one_line
from llm_integration.ports import Record
from llm_integration.worker.reading import SignalReader
from llm_integration.worker.shared import Shared

__all__ = ["SignalRecording"]

logger = logging.getLogger(__name__)

AT_ONCE = 32
"""Signals stored, with one statement, before the intake looks again for something to ask."""
WAITED_SECONDS = 0.25
"""How long a signal may wait in memory alone. What is asked about sooner is stored by its claim."""


class SignalRecording:
    """Stores what a host has only handed over in memory: at once in the database, else in the outbox.

    With ``on=False`` it does nothing, for a host that stores its signals itself, as the bundled one does.
    """

    def __init__(self, shared: Shared, reader: SignalReader, *, on: bool = True) -> None:
        self._shared = shared
        self._reader = reader
        self._database = shared.database if on else None
        if self._database is not None:
            shared.store.follow_arrivals()

    def pause(self) -> float | None:
        """Seconds until it is worth looking again, None if nothing waits to be stored."""
        return WAITED_SECONDS if self._database is not None and self._shared.store.untold else None

    async def store_waiting(self) -> bool:
        """Store some of the signals that wait and are not stored yet, in order; True if there are more."""
        if self._database is None:
            return False
        book, availability = self._shared.book, self._shared.availability
        kept = book.next_unrecorded(AT_ONCE)
        if kept and availability.worth_asking and await self._record(self._database, kept):
            self._forget(kept)
        found: list[Signal] = []
        for number, entry in enumerate(self._shared.store.arrivals(AT_ONCE, WAITED_SECONDS), 1):
            found.append(await self._reader.read_in_turns(entry))
            if number % SIGNALS_AT_ONCE == 0:
                await self._shared.turn()
        if found and not await self._record(self._database, found):
            self.keep(found)
        return len(found) == AT_ONCE or (bool(book.next_unrecorded(1)) and availability.worth_asking)

    def keep(self, signals: Iterable[Signal]) -> None:
        """The database is away: these are to be in the outbox until it has them."""
        if self._database is None or self._shared.outbox is None:
            return
        for signal in self._shared.book.unrecorded(signals):
            self._shared.outbox.keep_signal(signal)

    def _forget(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            if self._shared.book.recorded(signal) and self._shared.outbox is not None:
                self._shared.outbox.forget_signal(signal)

    async def _record(self, database: Record, signals: Sequence[Signal]) -> bool:
        """True once the database has them, or refuses them for good; False while it is away."""
        availability = self._shared.availability
        if not availability.worth_asking:
            return False
        await self._shared.turn()
        try:
            await database.record_signals(signals, worker_id=self._shared.worker_id)
        except Exception as error:
            if getattr(error, "retryable", True):
                availability.failed(error)
                return False
            logger.error(
                "%d signal(s) from %s on are refused by PostgreSQL: %s",
                len(signals), one_line(signals[0].signal_id), one_line(str(error), 300),
            )  # fmt: skip
            return True
        availability.over()
        return True
