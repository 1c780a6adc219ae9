"""What every side of the benchmarks is, and calls with a bound on how many are under way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.samples import signals
from llm_integration import LLMConfig, SignalFormatter

__all__ = ["KEY", "MODEL", "Caller", "Calls", "Setup"]

KEY = "sk-or-v1-not-a-key"
MODEL = "google/gemini-3.5-flash-lite"


@dataclass(frozen=True, slots=True)
class Setup:
    """Where to call, how many calls at once, where to store."""

    base_url: str
    concurrency: int = 8
    dsn: str = ""
    folder: str = ""
    lookback: int = 20
    slow_disk: float = 0.0
    tag: str = "side"


class Caller(Protocol):
    """One side."""

    async def open(self, setup: Setup) -> None:
        """Get ready: connect, warm up what is warmed up once per process."""

    def prepare(self, count: int) -> None:
        """Make the next ``count`` signals or prompts, so that this is not part of what is measured."""

    async def burst(self, count: int) -> None:
        """Make the prepared calls as fast as the concurrency allows."""

    async def one(self) -> None:
        """Make one more call, or hand over one more signal."""

    def backlog(self) -> int:
        """Calls under way or waiting."""

    async def close(self) -> None:
        """Let go of everything."""


class Calls:
    """What the other sides share: calls with a bound on how many are under way."""

    async def open(self, setup: Setup) -> None:
        self._setup = setup
        self._gate = asyncio.Semaphore(setup.concurrency)
        formatter = SignalFormatter(LLMConfig(lookback_periods=setup.lookback))
        self._system = formatter.system_prompt
        some = itertools.islice(signals(setup.tag, setup.lookback), 64)
        self._prompts = [formatter.format_signal_data(signal["signal_data"]) for signal in some]
        self._next = itertools.cycle(range(len(self._prompts)))
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = 0
        self._close: Callable[[], Awaitable[Any]] | None = None
        await self.connect()
        await self.call(0)

    async def connect(self) -> None:
        raise NotImplementedError

    async def call(self, number: int) -> None:
        raise NotImplementedError

    def messages(self, number: int) -> list[dict[str, str]]:
        return [
            {"role": "system", "content": self._system},
            {"role": "user", "content": self._prompts[number]},
        ]

    def prepare(self, count: int) -> None:
        """Nothing: the prompts are there."""

    async def burst(self, count: int) -> None:
        left = iter(range(count))

        async def lane() -> None:
            for _ in left:
                await self.call(next(self._next))

        await asyncio.gather(*(lane() for _ in range(self._setup.concurrency)))

    async def one(self) -> None:
        task = asyncio.create_task(self._gated())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gated(self) -> None:
        async with self._gate:
            try:
                await self.call(next(self._next))
            except Exception:  # a peer may stumble over a hostile reply; its loop lag is what is looked at
                self._failed += 1

    def backlog(self) -> int:
        return len(self._tasks)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        if self._close is not None:
            await self._close()
