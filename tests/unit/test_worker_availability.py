"""A worker and what it knows of PostgreSQL together with the other parts of a sidecar."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from llm_integration.availability import Availability, Change
from llm_integration.config import LLMConfig
from llm_integration.worker import LLMWorker
from tests.unit.worker_parts import MemoryDatabase, ScriptedProcessor, signal_mapping


@asynccontextmanager
async def running(
    database: MemoryDatabase, shared: Availability, *, stopped: bool = False
) -> AsyncIterator[LLMWorker]:
    """A worker whose heart beats every twenty minutes; ``stopped``: its server takes no requests."""
    config = LLMConfig(base_url="http://127.0.0.1:9/v1", lease_seconds=3_600, poll_interval=0.05)
    processor = ScriptedProcessor(ready_in=3_600.0 if stopped else 0.0)
    worker = LLMWorker(config, db_manager=database, processor=processor, availability=shared)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await worker.stop(1.0)
        await task


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  states have no event
            await asyncio.sleep(0.01)


async def test_a_heartbeat_that_failed_is_tried_again_soon() -> None:
    """Not a third of a lease later: by then another worker could have the tasks."""
    database, shared = MemoryDatabase(), Availability(time.monotonic)
    database.fault = OSError("reset by peer")
    async with running(database, shared, stopped=True):
        await until(lambda: shared.error_of("beat") is not None)
        database.fault = None
        await until(lambda: shared.error_of("beat") is None)
        assert database.beats == 1


async def test_a_worker_asks_nothing_that_others_know_to_be_in_vain() -> None:
    """While nobody answers the ledger, a signal is rated without a claim, and its result says nothing new."""
    told: list[Change] = []
    now = [1_000.0]
    database, shared = MemoryDatabase(), Availability(lambda: now[0], listeners=(told.append,))
    async with running(database, shared) as worker:
        await until(lambda: database.looks > 0)
        shared.failed(OSError("no route to host"), "ledger")
        database.fault = OSError("no route to host")
        assert worker.memory_store.add_signal(signal_mapping("s-1"))
        await until(lambda: shared.error_of("results") is not None)
        assert shared.error_of("work") is None  # nobody asked for a claim
        assert worker.get_statistics()["database_error"] == "no route to host"
        database.fault = None
        now[0] += 1.0
        shared.over("ledger")
        await until(lambda: "s-1" in database.results and shared.error is None)
    assert [change.error for change in told] == ["no route to host", None]


async def test_a_worker_that_has_ended_keeps_no_outage_alive() -> None:
    """What it could not store is the outbox's; the end of the outage is for those to tell who still ask."""
    told: list[Change] = []
    database, shared = MemoryDatabase(), Availability(time.monotonic, listeners=(told.append,))
    database.fault = OSError("no route to host")
    async with running(database, shared, stopped=True):
        await until(lambda: shared.error_of("beat") is not None)
    assert shared.error is None
    shared.over("signals")
    assert [change.error for change in told] == ["no route to host", None]
