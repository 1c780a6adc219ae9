"""The loops of a worker as tasks of the host's event loop: started together, ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from llm_integration.availability import Kind
from llm_integration.one_line import one_line
from llm_integration.worker.parts import WorkerParts
from llm_integration.worker.ports import Processor
from llm_integration.worker.subscribers import Subscribers
from llm_integration.worker.supervision import Supervisor

__all__ = ["Loops"]

logger = logging.getLogger(__name__)

GIVE_BACK_SECONDS = 0.4
KINDS: tuple[Kind, ...] = ("work", "beat", "results")
"""What a worker asks PostgreSQL for. Once it has ended, what failed of it keeps no outage alive."""


class Loops:
    """Producers read answers, consumers store and deliver them: who produces ends before who consumes.

    A loop that crashes is started again by ``supervisor``.
    """

    def __init__(
        self, parts: WorkerParts, processor: Processor, subscribers: Subscribers, supervisor: Supervisor
    ) -> None:
        self._parts = parts
        self._processor = processor
        self._subscribers = subscribers
        self._supervisor = supervisor
        self._producers: list[asyncio.Task[None]] = []
        self._consumers: list[asyncio.Task[None]] = []
        self._one_at_a_time = asyncio.Lock()
        self._nothing_left = False
        self.ending = False

    @property
    def started(self) -> bool:
        """Whether the loops run, or have run."""
        return bool(self._consumers)

    def start(self, *more: tuple[str, Callable[[], Coroutine[Any, Any, None]]]) -> None:
        """Have all loops run, and ``more`` of them that end with the producers."""
        parts, lanes = self._parts, range(self._parts.shared.config.max_concurrency)
        self._consumers = [
            self._spawn("writer", parts.storing.run), self._spawn("delivery", parts.delivering.run)
        ]  # fmt: skip
        self._producers = [
            self._spawn("intake", parts.intake.run), self._spawn("housekeeping", parts.housekeeping.run),
            *(self._spawn(f"lane {number}", parts.lanes.run) for number in lanes),
            *(self._spawn(name, loop) for name, loop in more),
        ]  # fmt: skip

    def _spawn(self, name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        return asyncio.create_task(self._supervisor.keep(name, loop), name=f"sidecar {name}")

    async def end(self, timeout: float, *, finish_calls: bool) -> None:
        """End everything within ``timeout`` seconds and about one more.

        Whoever comes here second, a cancelled ``run`` during ``stop`` or the other way round, does what the
        first has left over.
        """
        self.ending, self._parts.housekeeping.looks = True, False
        async with self._one_at_a_time:
            if self._nothing_left:
                return
            clock = self._parts.shared.clock
            started = clock()
            if finish_calls and self._producers:
                await _cancel(self._producers[:1])  # the intake: nothing new is begun
                await self._let_finish(timeout - min(1.0, timeout / 4))
            await _cancel(self._producers)
            await self._parts.shadows.stop(0.1)
            await self._store_the_rest(max(0.1, timeout - (clock() - started)))
            if self._producers:
                await self._give_back()
            await self._subscribers.drain(0.2)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await self._processor.close()
            for kind in KINDS:
                self._parts.shared.availability.withdraw(kind)
            self._nothing_left = True

    def let_go(self) -> None:
        """The last word, which waits for nothing: what is left goes to host and outbox."""
        self._parts.storing.close()

    async def _let_finish(self, timeout: float) -> None:
        """Wait for the calls in flight, not for those that have not started."""
        self._parts.shared.book.line.clear()
        while not self._parts.ready.empty():
            self._parts.ready.get_nowait()
        clock, idle = self._parts.shared.clock, self._parts.shared.idle
        deadline = clock() + timeout
        while self._parts.replies.in_flight and clock() < deadline and self._processor.ready_in() <= 0:
            idle.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(0.05, max(0.001, deadline - clock()))):
                    await idle.wait()

    async def _store_the_rest(self, timeout: float) -> None:
        """Store and hand on everything that was read; what PostgreSQL does not take is the outbox's."""
        if not self._consumers:
            return
        storing = self._parts.storing
        storing.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await asyncio.wait(self._consumers[:1])
                await self._supervisor.keep("writer", storing.run)  # if that one was cancelled before
                await self._parts.elsewhere.look()
        storing.close()
        await _cancel(self._consumers)

    async def _give_back(self) -> None:
        """What was claimed and not answered is pending again, here and in PostgreSQL."""
        shared = self._parts.shared
        claims = shared.book.give_back()
        if shared.database is None:
            return
        try:
            async with asyncio.timeout(GIVE_BACK_SECONDS):
                if claims:
                    await shared.database.release(claims)
                await shared.database.retire_worker(shared.worker_id)
        except Exception as error:  # its lease runs out by itself
            reason = one_line(str(error) or type(error).__name__)
            logger.warning("tasks not handed back (%s); free in %g s", reason, shared.config.lease_seconds)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=0.5)
