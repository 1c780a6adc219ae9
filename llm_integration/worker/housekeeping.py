"""Housekeeping: the worker's lease, tasks that wait in PostgreSQL, other workers' answers, old signals."""

from __future__ import annotations

import asyncio

from llm_integration.fairness import CLEANED_AT_ONCE
from llm_integration.worker.elsewhere import Elsewhere
from llm_integration.worker.intake import Intake
from llm_integration.worker.ownership import Ownership
from llm_integration.worker.shared import Shared

__all__ = ["Housekeeping"]


class Housekeeping:
    """What is done every few seconds, in one loop. ``looks`` is off while the worker is ending."""

    def __init__(self, shared: Shared, intake: Intake, *, elsewhere: Elsewhere, ownership: Ownership) -> None:
        self._shared = shared
        self._intake = intake
        self._elsewhere = elsewhere
        self._ownership = ownership
        self.looks = True

    async def run(self) -> None:
        """Beat, look and clean up, each in its own time; for ever."""
        config, clock = self._shared.config, self._shared.clock
        next_cleanup = clock() + config.cleanup_interval_minutes * 60
        next_beat = next_look = clock()
        while True:
            now = clock()
            if now >= next_beat:
                await self._beat()
                # Soon after a failure: the lease runs out, and it is how a quiet worker learns of an end.
                retry = self._shared.availability.retry_in("beat")
                next_beat = clock() + retry if retry else now + config.lease_seconds / 3
            if now >= next_look:
                next_look = now + config.poll_interval
                if self.looks:
                    await self._tell_whose_tasks()
                    await self._intake.look_for_waiting()
                    await self._elsewhere.look()
                self._shared.wake.set()
            if now >= next_cleanup:
                next_cleanup = now + config.cleanup_interval_minutes * 60
                while self._shared.store.cleanup_old_signals(CLEANED_AT_ONCE):  # noqa: ASYNC110  gives way, waits for nothing
                    await asyncio.sleep(0)
            await asyncio.sleep(max(0.01, min(next_beat, next_look, next_cleanup) - clock()))

    async def _beat(self) -> None:
        database, availability = self._shared.database, self._shared.availability
        if database is None:
            return
        try:
            await database.heartbeat(self._shared.worker_id, lease_seconds=self._shared.config.lease_seconds)
        except Exception as error:
            availability.failed(error, "beat")
        else:
            availability.over("beat")

    async def _tell_whose_tasks(self) -> None:
        if self._shared.availability.worth_asking:
            try:
                await self._ownership.tell()
            except Exception as error:
                self._shared.availability.failed(error)
