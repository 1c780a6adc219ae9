"""The end of a sidecar: its steps in their order, each within its bound, whatever hangs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from operator import attrgetter

from llm_integration.sidecar.bounds import CLOSE, CloseBounds

__all__ = ["Ending", "Step", "Work"]

logger = logging.getLogger(__name__)

Work = Callable[[CloseBounds], Awaitable[object]]
"""Ends one part; it is told the bounds, so that the part can stop waiting a moment before its step does."""


class Step:
    """Parts that end side by side, within ``seconds`` of the bounds."""

    def __init__(self, seconds: Callable[[CloseBounds], float]) -> None:
        self.seconds = seconds
        self.works: list[tuple[str, Work]] = []

    def add(self, name: str, work: Work) -> None:
        """Have ``work`` end the part that messages call ``name``."""
        self.works.append((name, work))


class Ending:
    """Whoever builds a part adds its end to one of the steps; ``close`` takes them in their order.

    A part that fails or takes too long is said and left behind; the others still have their ends. ``hurry``
    makes the step under way, and those that follow, short ones.
    """

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._bounds = CLOSE
        self._hurried = False
        self._bell: asyncio.Future[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        # The last to end stands first: the stack calls them in reverse order.
        self.server = self._step("server")
        self.connections = self._step("connections")
        self.records = self._step("session")
        self.background = self._step("background")
        self.stores = self._step("stores")
        self.late_answers = self._step("late_answers")
        self.worker = self._step("whole_worker")

    def _step(self, bound: str) -> Step:
        step = Step(attrgetter(bound))
        self._stack.push_async_callback(self._run, step)
        return step

    @property
    def hurried(self) -> bool:
        """True once somebody is in a hurry."""
        return self._hurried

    def hurry(self, bounds: CloseBounds = CLOSE) -> None:
        """From now on ``bounds`` hold, whatever ``close`` was told."""
        self._bounds, self._hurried = bounds, True
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    async def close(self, bounds: CloseBounds = CLOSE) -> None:
        """Take all steps. Whoever calls it second waits for the same end.

        A caller that is cancelled meanwhile waits for the end all the same: nothing is cut off.
        """
        if self._closing is None:
            self._bounds = self._bounds if self._hurried else bounds
            self._closing = asyncio.create_task(self._stack.aclose(), name="end of the sidecar")
        cancelled: asyncio.CancelledError | None = None
        while not self._closing.done():
            try:
                await asyncio.wait({self._closing})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        self._closing.result()

    async def _run(self, step: Step) -> None:
        ends = [asyncio.create_task(_told(work, self._bounds), name=name) for name, work in step.works]
        cancelled = await self._wait(ends, step)
        for end in ends:
            if not end.done():
                end.cancel()
                logger.warning("%s did not end in time and is left behind", end.get_name())
            elif not end.cancelled() and (fault := end.exception()) is not None:
                logger.error(
                    "ending %s failed: %s", end.get_name(), fault or type(fault).__name__, exc_info=fault
                )
        if cancelled is not None:
            raise cancelled

    async def _wait(self, ends: list[asyncio.Task[None]], step: Step) -> asyncio.CancelledError | None:
        """Until all have ended or the time is up; a hurry in its midst begins the shorter time."""
        if self._bell is None:
            self._bell = asyncio.get_running_loop().create_future()
        hurried, until = self._hurried, time.monotonic() + step.seconds(self._bounds)
        cancelled: asyncio.CancelledError | None = None
        while (left := [end for end in ends if not end.done()]) and time.monotonic() < until:
            watched = left if hurried else [*left, self._bell]
            try:
                await asyncio.wait(
                    watched, timeout=until - time.monotonic(), return_when=asyncio.FIRST_COMPLETED
                )
            except asyncio.CancelledError as error:
                cancelled = error
            if self._hurried and not hurried:
                hurried, until = True, time.monotonic() + step.seconds(self._bounds)
        return cancelled


async def _told(work: Work, bounds: CloseBounds) -> None:
    await work(bounds)
