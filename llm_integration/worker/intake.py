"""Intake: takes waiting signals in hand, claims them, and makes requests of them for the lanes."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from llm_integration.fairness import EXPIRED_AT_ONCE, MANY_BARS, SIGNALS_AT_ONCE
from llm_integration.routing import Router
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker.batching import signals_per_request, sort_into_requests
from llm_integration.worker.claims import Claims
from llm_integration.worker.ports import Processor
from llm_integration.worker.reading import SignalReader
from llm_integration.worker.recording import SignalRecording
from llm_integration.worker.shared import Shared
from llm_integration.worker.tasks import Request, Task

__all__ = ["Intake"]

logger = logging.getLogger(__name__)

CLAIMED_TOGETHER = 32
"""While the rate limit has room, so many signals are claimed with one statement; the rest of them is next."""


class Intake:
    """Fills ``ready`` for the lanes, from what is in line, what waits in PostgreSQL, and what is in memory.

    ``expire`` ends a task that is too old, with the reason.
    """

    def __init__(
        self,
        shared: Shared,
        processor: Processor,
        ready: asyncio.Queue[Request],
        *,
        router: Router,
        formatters: Mapping[str | None, SignalFormatter],
        reader: SignalReader,
        recording: SignalRecording,
        claims: Claims,
        expire: Callable[[Task, str], None],
    ) -> None:
        self._shared, self._book = shared, shared.book
        self._config = shared.config
        self._processor = processor
        self._ready = ready
        self._router = router
        self._formatters = formatters
        self._reader = reader
        self._recording = recording
        self._claims = claims
        self._expire = expire
        self._told_full = False
        self._told_why_alone = False

    async def run(self) -> None:
        """Hand on requests as lanes have room, and store what has to wait; for ever."""
        wake = self._shared.wake
        while True:
            wake.clear()
            requests = await self._next_requests()
            for request in requests:
                await self._ready.put(request)
            more = await self._recording.store_waiting()
            if not requests and not more:
                await self._pause(wake)

    async def _pause(self, wake: asyncio.Event) -> None:
        """Until somebody wakes the intake, or until it is worth looking again though nothing has happened."""
        waits = [
            self._processor.ready_in(),
            0.0 if self._config.batch_size == 1 else self._processor.room()[1],
            max(0.001, wait) if (wait := self._book.line.wakes_in(self._shared.clock())) is not None else 0.0,
            self._recording.pause() or 0.0,
        ]
        pause = min([self._config.poll_interval, *(wait for wait in waits if wait > 0)])
        try:
            async with asyncio.timeout(pause):
                await wake.wait()
        except TimeoutError:
            return

    async def _next_requests(self) -> list[Request]:
        """Requests for the lanes that have none waiting; none while none may be sent."""
        lanes = self._config.max_concurrency - self._ready.qsize()
        if self._is_full():
            return []
        if self._processor.ready_in() > 0:
            self._book.put_line_back()
            await self._claims.release()
            await self._expire_waiting()
            return []
        await self._claims.release()
        size, requests = self._how_many(lanes)
        tasks = await self._collect(size * requests)
        if size > 1:
            await self._place_in_time(tasks)
        return self._requests(tasks, size)

    def full_reason(self) -> str | None:
        """Why no answer is bought at present; None when answers are."""
        unstored = self._book.answers.unstored
        if unstored < self._config.max_unwritten_results:
            return None
        return f"{unstored} results wait for PostgreSQL (max_unwritten_results)"

    def _is_full(self) -> bool:
        """No answer is bought that would only pile up; one message per change."""
        reason = self.full_reason()
        if reason is not None and not self._told_full:
            self._told_full = True
            logger.warning("%s; no further call is made until it takes them", reason)
        elif self._told_full and self._book.answers.unstored <= self._config.max_unwritten_results // 2:
            self._told_full = False
            logger.warning("there is room for results again, calls go on")
        return reason is not None

    # What is to be asked about next

    def _how_many(self, lanes: int) -> tuple[int, int]:
        """Signals per request, and requests.

        Batches are made when a request may be sent and not before, so that they hold whatever waits by then.
        """
        if self._config.batch_size == 1:
            return 1, lanes
        free, _ = self._processor.room()
        size = signals_per_request(
            self._config.batch_size, waiting=self._book.waiting, free=free, lanes=self._config.max_concurrency
        )
        return size, min(lanes, free)

    async def _collect(self, room: int) -> list[Task]:
        tasks = self._book.line.take(room, self._shared.clock())
        unclaimed = [task for task in tasks if task.claim is None]
        if unclaimed:
            tasks = [task for task in tasks if task.claim is not None] + await self._claims.claim(unclaimed)
        if not self._book.line and self._claims.more_wait:
            tasks += await self._claims.claim_waiting(room - len(tasks))
        return tasks + await self._from_memory(room - len(tasks))

    async def _from_memory(self, room: int) -> list[Task]:
        """Up to ``room`` signals of the host's. A few more are claimed with them, and come next."""
        if room <= 0:
            return []
        claimable = 0 if self._shared.database is None else min(CLAIMED_TOGETHER, self._processor.room()[0])
        wanted = max(room, claimable)  # not more claimed together than may be asked about at once
        tasks = await self._accept(min(wanted, SIGNALS_AT_ONCE))
        while tasks and len(tasks) < wanted:
            await self._shared.turn()
            more = await self._accept(min(wanted - len(tasks), SIGNALS_AT_ONCE))
            if not more:
                break
            tasks += more
        tasks = await self._claims.claim(tasks)
        for task in tasks[room:]:
            self._book.line.append(task)
        return tasks[:room]

    async def _accept(self, count: int) -> list[Task]:
        store = self._shared.store
        await self._reader.ahead(store.next_pending(count))
        tasks = [self._book.accept(entry, self._reader.read) for entry in store.take_pending(count)]
        return [task for task in tasks if task is not None]

    async def _place_in_time(self, tasks: Sequence[Task]) -> None:
        """Find out what signals with many bars show, which says who may be asked about with whom."""
        for task in tasks:
            if len(task.signal.bars) > MANY_BARS:
                for formatter in {id(one): one for one in self._formatters.values()}.values():
                    formatter.span(task.signal)
                await self._shared.turn()

    def _requests(self, tasks: Sequence[Task], size: int) -> list[Request]:
        backlog = self._book.waiting + len(tasks)
        chosen = []
        for task in tasks:
            choice = self._router.choose(task.signal, backlog=backlog)
            if task.model is not None:
                plan = replace(choice.plan, model=task.model, fallbacks=())
                choice = replace(choice, plan=plan, ensemble=())
            chosen.append((task, choice, self._formatters[choice.prompt]))
        requests = sort_into_requests(chosen, size, across_time=self._config.batch_across_time)
        if size > 1 and len(requests) == len(tasks) > 1 and not self._told_why_alone:
            self._told_why_alone = True
            logger.info(
                "signals of different times are asked about one by one, so that none sees what came after it;"
                " batch_across_time lets them share a request"
            )
        return requests

    async def look_for_waiting(self) -> None:
        """Take what waits in PostgreSQL, or was abandoned there, as far as there is room."""
        if self._processor.ready_in() <= 0:
            room = self._config.max_concurrency - len(self._book.line)
            for task in await self._claims.claim_waiting(room):
                self._book.line.append(task)

    async def _expire_waiting(self) -> None:
        """While no request may be sent, end the signals that have grown too old, a few at a time."""
        reason = self._processor.stopped_reason() or "no request could be sent"
        for number in itertools.count(1):
            task = self._book.take_expired(self._shared.clock(), self._reader.read)
            if task is None:
                return
            self._expire(task, reason)
            if number % EXPIRED_AT_ONCE == 0:
                await asyncio.sleep(0)
