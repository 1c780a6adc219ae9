"""Claims: the right to ask about a task, as PostgreSQL gives it; while it is away, tasks go without."""

from __future__ import annotations

from llm_integration.worker.ownership import Ownership
from llm_integration.worker.recording import SignalRecording
from llm_integration.worker.shared import Shared
from llm_integration.worker.tasks import Task

__all__ = ["Claims"]


class Claims:
    """Claims tasks in hand, takes those that wait in PostgreSQL, and gives back what is not asked about."""

    def __init__(self, shared: Shared, recording: SignalRecording, ownership: Ownership) -> None:
        self._shared, self._book = shared, shared.book
        self._recording = recording
        self._ownership = ownership
        self.more_wait = False
        """Whether the last look at what waits in PostgreSQL left something there."""

    async def claim(self, tasks: list[Task]) -> list[Task]:
        """Those of ``tasks`` that may be asked about: all of them while PostgreSQL is away."""
        for task in tasks:
            if task.from_memory:
                self._ownership.meet(task.signal)
        database, availability = self._shared.database, self._shared.availability
        if database is None or not tasks:
            return tasks
        signals = [task.signal for task in tasks]
        if not availability.worth_asking:
            self._recording.keep(signals)
            return tasks
        await self._shared.turn()
        try:
            claims = await database.claim_signals(
                signals, worker_id=self._shared.worker_id, lease_seconds=self._shared.config.lease_seconds
            )
        except Exception as error:
            availability.failed(error)
            self._recording.keep(signals)
            return tasks
        availability.over()
        granted = self._book.claimed(tasks, claims)
        if len(granted) < len(tasks):  # others have these: there is room for the next ones
            if self._book.idle:
                self._shared.idle.set()
            self._shared.wake.set()
        return granted

    async def claim_waiting(self, room: int) -> list[Task]:
        """Up to ``room`` tasks that wait in PostgreSQL, or were abandoned there."""
        self.more_wait = False
        database, availability = self._shared.database, self._shared.availability
        if database is None or room <= 0 or not availability.worth_asking:
            return []
        try:
            found = await database.claim_waiting(
                worker_id=self._shared.worker_id, limit=room, lease_seconds=self._shared.config.lease_seconds,
                exclude=self._book.known,
            )  # fmt: skip
        except Exception as error:
            availability.failed(error)
            return []
        availability.over()
        self.more_wait = len(found) >= room
        now = self._shared.clock()
        tasks = [
            self._book.recover(claim, signal, now, own=self._ownership.is_own(signal))
            for claim, signal in found
        ]
        return [task for task in tasks if task is not None]

    async def release(self) -> None:
        """Hand back the claims on what is not asked about for now."""
        database, availability = self._shared.database, self._shared.availability
        claims = self._book.to_release()
        if not claims or database is None or not availability.worth_asking:
            return
        try:
            await database.release(claims)
        except Exception as error:  # they stay ours, and can be claimed again by us
            availability.failed(error)
            return
        availability.over()
