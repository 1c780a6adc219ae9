"""How a run is asked to end: by SIGINT and SIGTERM, or by whoever holds its ``Stop``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal as signals
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, TypeVar

from trading.dashboard import restore_terminal
from trading.last_resort import LastResort
from trading.stop_bounds import LAST_RESORT_SECONDS

__all__ = ["Stop", "stop_on_signals"]

logger = logging.getLogger("tradent")

T = TypeVar("T")


class Stop:
    """Whether the run is asked to end; cuts short what waits in its methods."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._wait: asyncio.Timeout | None = None

    @property
    def requested(self) -> bool:
        """True once the run was asked to end."""
        return self._asked.is_set()

    def request(self) -> None:
        """End the run soon: no further bar, a short wait for answers. In the event loop's thread."""
        if not self.requested and self._wait is not None:
            self._wait.reschedule(asyncio.get_running_loop().time())
        self._asked.set()

    async def until(self, work: asyncio.Task[Any], timeout: float | None = None) -> None:
        """Wait for ``work``, no longer than ``timeout`` and until the run is asked to end."""
        stopped = asyncio.create_task(self._asked.wait(), name="stop")
        await asyncio.wait({work, stopped}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    async def cuts(self, items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """The ``items`` until the run is asked to end, also in the midst of the wait for the next one."""
        try:
            while not self._asked.is_set():
                try:
                    async with asyncio.timeout(None) as self._wait:
                        item = await anext(items)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    if self._asked.is_set():
                        return
                    raise
                finally:
                    self._wait = None
                yield item
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()


def stop_on_signals(request: Callable[[], None], abandon: Callable[[], None]) -> None:
    """The first signal ends the run in order by ``request``, the second at once.

    Handlers of the interpreter, not of the event loop: they also work while a callback blocks that.
    ``abandon`` is called in a thread when nothing else ends the process; it must not block.
    """

    def leave_behind() -> None:
        abandon()
        if select.select([], [sys.stdout], [], 0)[1]:
            restore_terminal()

    loop, asked = asyncio.get_running_loop(), False
    last_resort = LastResort(LAST_RESORT_SECONDS, leave_behind)
    last_resort.start()

    def stop() -> None:
        logger.warning("stopping; a second signal leaves at once")
        request()

    def handle(_number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            restore_terminal()
            os._exit(1)
        asked = True
        last_resort.arm()
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is leaving already
            loop.call_soon_threadsafe(stop)

    for number in (signals.SIGINT, signals.SIGTERM):
        signals.signal(number, handle)
