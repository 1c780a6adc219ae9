"""Loops that are restarted when they crash, so that one fault never ends the sidecar or its host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class Supervisor:
    """Runs named coroutine functions for ever; a crash is logged with its cause and waited out.

    The pause doubles from ``first_pause`` to ``longest_pause`` seconds and starts over once the loop has
    run for longer than the longest pause. ``crashes`` counts per name.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
        first_pause: float = 0.1,
        longest_pause: float = 30.0,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._first = first_pause
        self._longest = longest_pause
        self.crashes: dict[str, int] = {}

    async def keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run ``loop`` until it returns; restart it after each exception. Cancellation passes through.

        A cancellation that nobody asked of this task came from inside, and is a crash like others.
        """
        pause = self._first
        while True:
            started = self._clock()
            try:
                await loop()
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and _asked_to_end():
                    raise
                self.crashes[name] = self.crashes.get(name, 0) + 1
                if self._clock() - started > self._longest:
                    pause = self._first
                logger.exception(
                    "the sidecar's %s crashed; it restarts in %.1f s, trading goes on", name, pause
                )
                await self._sleep(pause)
                pause = min(pause * 2, self._longest)
            else:
                return


def _asked_to_end() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
