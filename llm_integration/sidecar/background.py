"""What runs behind the host: named loops, restarted when they crash, cancelled at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from llm_integration.worker.supervision import Supervisor

__all__ = ["Background"]


class Background:
    """The loops of one sidecar. ``crashes`` counts by their names."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._supervisor = Supervisor(clock=time.monotonic)

    @property
    def crashes(self) -> dict[str, int]:
        """How often each loop was restarted."""
        return self._supervisor.crashes

    def start(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run ``loop`` until it returns or the sidecar ends; a crash restarts it."""
        self._tasks.append(asyncio.create_task(self._supervisor.keep(name, loop), name=f"sidecar {name}"))

    async def stop(self) -> None:
        """Cancel all, and wait for their end."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
