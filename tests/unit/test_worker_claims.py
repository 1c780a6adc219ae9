"""Signals claimed together and ahead of their turn, and what becomes of them when it does not come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from llm_integration.config import LLMConfig
from llm_integration.domain import Claim, Signal
from llm_integration.errors import KeyRefusedError
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.worker import LLMWorker
from tests.unit.worker_parts import KeptOnDisk, MemoryDatabase, ScriptedProcessor, signal_mapping


class Claims(MemoryDatabase):
    """Notes how many signals were claimed with each statement, and may be away after the first."""

    def __init__(self, *, away_after: int = 1_000) -> None:
        super().__init__()
        self.statements: list[int] = []
        self.away_after = away_after

    async def claim_signals(
        self, signals: Sequence[Signal], *, worker_id: str, lease_seconds: float
    ) -> dict[str, Claim]:
        if len(self.statements) >= self.away_after:
            self.fault = OSError("connection refused")
        self.statements.append(len(signals))
        return await super().claim_signals(signals, worker_id=worker_id, lease_seconds=lease_seconds)


@asynccontextmanager
async def working(
    processor: ScriptedProcessor,
    database: MemoryDatabase,
    count: int,
    *,
    outbox: KeptOnDisk | None = None,
    **values: Any,
) -> AsyncIterator[LLMWorker]:
    """A worker of two lanes with ``count`` signals in its store."""
    settings = LLMConfig(**{"base_url": "http://127.0.0.1:9/v1", "max_concurrency": 2, **values})
    store = SignalMemoryStore()
    for number in range(count):
        store.add_signal(signal_mapping(f"s{number}"))
    worker = LLMWorker(settings, store, database, outbox=outbox, processor=processor)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await worker.stop(2)
        await task


async def test_a_backlog_is_claimed_with_few_statements() -> None:
    """Forty signals need two statements, not twenty, and each is asked about once."""
    database, processor = Claims(), ScriptedProcessor()
    async with working(processor, database, 40) as worker:
        assert await worker.drain(5)
    assert database.statements == [32, 8]
    assert set(database.results) == {f"s{number}" for number in range(40)}
    assert len(processor.prompts) == 40


async def test_no_more_is_claimed_than_may_be_asked_about() -> None:
    """With room for three requests three signals are claimed; the others stay free for others."""
    database, processor = Claims(), ScriptedProcessor(asyncio.Event(), asyncio.Event())
    processor.requests_left = 3
    async with working(processor, database, 10) as worker:
        async with asyncio.timeout(5):
            while len(processor.prompts) < 2:
                processor.called.clear()
                await processor.called.wait()
        assert database.statements[0] == 3
        # Two in flight, two that are next, and what is left of a claim of three.
        assert worker.memory_store.get_statistics()["pending"] >= 10 - (2 + 2 + 2)


async def test_what_was_claimed_ahead_is_pending_again_when_the_line_stops() -> None:
    """A refused key: everything not answered is back in memory, in order, and free in PostgreSQL."""
    database = Claims()

    class Refusing(ScriptedProcessor):
        async def complete(self, prompt: str, **options: Any) -> Any:
            self.wait = 30.0
            self.called.set()
            raise KeyRefusedError("401")

    processor = Refusing()
    async with working(processor, database, 12) as worker:
        async with asyncio.timeout(5):
            while len(database.released) < 12:
                database.given_back.clear()
                await database.given_back.wait()
        waiting = [entry["signal_id"] for entry in worker.memory_store.get_pending_signals(20)]
        assert waiting == [f"s{number}" for number in range(12)]
        assert set(database.released) == set(waiting)
        assert worker.get_statistics()["queued"] == 12


async def test_what_was_claimed_ahead_is_given_back_at_a_stop() -> None:
    """A stop leaves nothing of it claimed."""
    held = asyncio.Event()
    database, processor = Claims(), ScriptedProcessor(held, held)
    async with working(processor, database, 12) as worker:
        async with asyncio.timeout(5):
            while len(processor.prompts) < 2:
                processor.called.clear()
                await processor.called.wait()
        await worker.stop(0.4)
    assert database.statements == [12]
    assert set(database.released) == {f"s{number}" for number in range(12)}


async def test_what_is_asked_about_unclaimed_is_on_disk_meanwhile() -> None:
    """PostgreSQL is away when a signal comes: a kill in mid-call loses it no more than one that waits."""
    held = asyncio.Event()
    database, outbox = Claims(away_after=0), KeptOnDisk()
    processor = ScriptedProcessor(held)
    async with working(processor, database, 1, outbox=outbox) as worker:
        await asyncio.wait_for(processor.called.wait(), 5)
        assert list(outbox.signals) == ["s0"]
        held.set()
        assert not await worker.drain(0)
