"""Handing finished analyses to the host's own callbacks without letting one of them hurt anybody."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import queue
from collections.abc import Awaitable, Callable
from typing import Any

from llm_integration.domain import LLMAnalysis
from llm_integration.threads import BackgroundThread

__all__ = ["Callback", "Subscribers"]

logger = logging.getLogger(__name__)

Callback = Callable[[LLMAnalysis], Awaitable[Any] | Any]

QUEUE_LENGTH = 1_000
"""Analyses that may wait for one callback; past it the newest are not delivered to it, and counted."""


class Subscribers:
    """The callbacks and what each of them still has to get.

    An async callback runs on the event loop, one analysis at a time, in a task of its own. A plain one
    runs in a thread of its own, so that it may block. Each has a queue of 1,000.
    """

    def __init__(self) -> None:
        self._all: list[_AsyncSubscriber | _ThreadSubscriber] = []

    def add(self, callback: Callback) -> Callable[[], None]:
        """Register ``callback``; the function returned takes it off again."""
        is_async = inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(
            getattr(callback, "__call__", None)  # noqa: B004  a callable object may have an async __call__
        )
        subscriber = _AsyncSubscriber(callback) if is_async else _ThreadSubscriber(callback)
        self._all.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._all:
                self._all.remove(subscriber)
                subscriber.abandon()

        return unsubscribe

    def deliver(self, analysis: LLMAnalysis) -> None:
        """Queue ``analysis`` for every callback; O(callbacks), never blocks."""
        for subscriber in self._all:
            subscriber.offer(analysis)

    @property
    def waiting(self) -> int:
        """Analyses that a callback has not had, or not to its end."""
        return sum(subscriber.waiting for subscriber in self._all)

    async def wait_until_heard(self) -> None:
        """Return once every callback has had everything so far."""
        for subscriber in list(self._all):
            await subscriber.finish()

    async def drain(self, timeout: float) -> None:
        """Wait, at most ``timeout`` seconds, until every callback has had everything; then let go."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.wait_until_heard()
        for subscriber in self._all:
            subscriber.left(subscriber.abandon())

    def statistics(self) -> dict[str, int]:
        """How many callbacks there are, how often they failed, what they wait for and did not get."""
        return {
            "callbacks": len(self._all),
            "callback_errors": sum(subscriber.errors for subscriber in self._all),
            "callback_waiting": self.waiting,
            "callback_dropped": sum(subscriber.dropped for subscriber in self._all),
        }


class _Subscriber:
    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.errors = 0
        self.dropped = 0
        self._reported: set[type[BaseException]] = set()

    def left(self, count: int) -> None:
        """The end has come before it had these."""
        if count:
            self.dropped += count
            logger.warning("callback %s did not get %d analyses before the end", self.name, count)

    @property
    def name(self) -> str:
        return getattr(self.callback, "__qualname__", type(self.callback).__name__)

    def failed(self, error: Exception) -> None:
        self.errors += 1
        if type(error) not in self._reported:
            self._reported.add(type(error))
            logger.error(
                "callback %s failed; it keeps getting analyses, later %ss are only counted",
                self.name, type(error).__name__, exc_info=error,
            )  # fmt: skip

    def overflowed(self) -> None:
        self.dropped += 1
        if self.dropped == 1:
            logger.warning(
                "callback %s is too slow: %d analyses wait, newer ones pass it by", self.name, QUEUE_LENGTH
            )


class _AsyncSubscriber(_Subscriber):
    def __init__(self, callback: Callback) -> None:
        super().__init__(callback)
        self._queue: asyncio.Queue[LLMAnalysis] = asyncio.Queue(QUEUE_LENGTH)
        self._task: asyncio.Task[None] | None = None
        self._in_hand = 0

    @property
    def waiting(self) -> int:
        return self._queue.qsize() + self._in_hand

    def offer(self, analysis: LLMAnalysis) -> None:
        try:
            self._queue.put_nowait(analysis)
        except asyncio.QueueFull:
            self.overflowed()
        self._go_on()

    def _go_on(self) -> None:
        """Have the task run; it may have been cancelled with everything else of the host's."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"callback {self.name}")

    async def _run(self) -> None:
        while True:
            analysis = await self._queue.get()
            self._in_hand = 1
            try:
                await self.callback(analysis)
            except Exception as error:
                self.failed(error)
            finally:
                self._in_hand = 0
                self._queue.task_done()

    async def finish(self) -> None:
        if self.waiting:
            self._go_on()
            await self._queue.join()

    def abandon(self) -> int:
        """End it; how many analyses it will not have."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        return self.waiting


class _ThreadSubscriber(_Subscriber):
    def __init__(self, callback: Callback) -> None:
        super().__init__(callback)
        self._queue: queue.Queue[LLMAnalysis | None] = queue.Queue(QUEUE_LENGTH)
        self._thread = BackgroundThread(
            f"callback {self.name}", self._run, meanwhile="its analyses wait and are counted"
        )
        self._thread.ensure()  # now, at set-up, where a limit shows early
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def waiting(self) -> int:
        return self._queue.unfinished_tasks

    def offer(self, analysis: LLMAnalysis) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self._queue.put_nowait(analysis)
        except queue.Full:
            self.overflowed()
        self._thread.ensure()

    def _run(self) -> None:
        while True:
            analysis = self._queue.get()
            try:
                if analysis is None:
                    return
                outcome = self.callback(analysis)
                if inspect.isawaitable(outcome) and self._loop is not None:
                    asyncio.run_coroutine_threadsafe(_awaited(outcome), self._loop).result(timeout=60)
            except Exception as error:
                self.failed(error)
            finally:
                self._queue.task_done()

    async def finish(self) -> None:
        while self.waiting:  # a thread's queue can wake no event of the loop
            self._thread.ensure()
            await asyncio.sleep(0.005)

    def abandon(self) -> int:
        """End the thread once it has had everything; how many analyses it will not have."""
        if not self._thread.running:
            return self.waiting
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        return 0


async def _awaited(outcome: Awaitable[Any]) -> Any:
    return await outcome
