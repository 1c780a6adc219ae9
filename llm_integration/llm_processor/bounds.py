"""Bounds on waits that mostly are equally long: one timer of the event loop for all of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ["Bounds"]

T = TypeVar("T")
EXPIRED = -math.inf


class Bounds:
    """What ``asyncio.timeout`` does, for many waits at once. For one event loop.

    Setting and taking back a timer for each request costs several times as much: the one timer stands at the
    earliest end that was asked for, and looks again when it gets there. A task has one bound at a time.
    """

    __slots__ = ("_ends", "_next", "_timer")

    def __init__(self) -> None:
        self._ends: dict[asyncio.Task[object], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """What ``work`` gives; TimeoutError, with ``work`` cancelled, if that takes more than ``seconds``."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be given a bound")
        cancelling = task.cancelling()
        loop = asyncio.get_running_loop()
        self._ends[task] = end = loop.time() + seconds
        if end < self._next:
            self._look_at(loop, end)
        try:
            result = await work
        except BaseException as error:
            expired = self._ends.pop(task) == EXPIRED
            # Who else cancelled the task in the meantime has the say, as with asyncio.timeout.
            if expired and task.uncancel() <= cancelling and isinstance(error, asyncio.CancelledError):
                raise TimeoutError from error
            raise
        if self._ends.pop(task) == EXPIRED:
            task.uncancel()
        return result

    def close(self) -> None:
        """Take the timer back if nobody waits any more."""
        if not self._ends and self._timer is not None:
            self._timer.cancel()
            self._timer, self._next = None, math.inf

    def _look_at(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._next = loop.call_at(when, self._look), when

    def _look(self) -> None:
        """End what has run out of time, and set the timer for the next."""
        self._timer, self._next = None, math.inf
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task, end in self._ends.items():
            if EXPIRED < end <= now:
                self._ends[task] = EXPIRED
                task.cancel()
        if left := [end for end in self._ends.values() if end > EXPIRED]:
            self._look_at(loop, min(left))
