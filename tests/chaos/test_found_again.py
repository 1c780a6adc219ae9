"""A signal that reaches a worker twice, from PostgreSQL and from its host, is one signal and one request."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from llm_integration import LLMConfig, LLMWorker, SignalMemoryStore
from llm_integration.domain import Claim, Signal
from llm_integration.record.errors import DatabaseUnavailableError
from tests.chaos.program import soon
from tests.unit.worker_parts import MemoryDatabase, ScriptedProcessor, signal_mapping

NAME = "found again"


T = TypeVar("T", bound=MemoryDatabase)


def abandoned(database: T) -> T:
    """PostgreSQL with the task of a process that died."""
    data = signal_mapping(NAME)["signal_data"]
    claim = Claim(1, NAME, str(uuid.uuid4()))
    database.live[NAME] = claim
    database.waiting.append((claim, Signal.from_mapping(NAME, data)))
    return database


@asynccontextmanager
async def working(database: MemoryDatabase, processor: ScriptedProcessor) -> AsyncIterator[LLMWorker]:
    """A worker that has taken the abandoned task and asks about it."""
    config = LLMConfig(base_url="http://127.0.0.1:9/v1", max_concurrency=2, poll_interval=0.02)
    worker = LLMWorker(config, SignalMemoryStore(), database, processor=processor)
    running = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(10):
            await processor.called.wait()
        yield worker
    finally:
        await worker.stop(2)
        await running


def taken(worker: LLMWorker) -> bool:
    """Whether the worker has looked at everything in memory."""
    return not worker.memory_store.get_statistics()["pending"]


async def test_a_signal_being_asked_about_is_not_asked_again() -> None:
    """A resumed host finds it once more while its abandoned task is in hand already."""
    answer = asyncio.Event()
    database, processor = abandoned(MemoryDatabase()), ScriptedProcessor(answer)
    async with working(database, processor) as worker:
        worker.memory_store.add_signal(signal_mapping(NAME))
        await soon(lambda: taken(worker))
        answer.set()
        assert await worker.drain(10)
        assert worker.get_statistics()["refused_by_fence"] == 0
    assert len(processor.prompts) == 1
    assert set(database.results) == {NAME}


async def test_a_signal_in_hand_twice_is_pending_in_memory_again_after_a_stop() -> None:
    """What was not answered is given back to the host's memory too."""
    database, processor = abandoned(MemoryDatabase()), ScriptedProcessor(asyncio.Event())
    async with working(database, processor) as worker:
        worker.memory_store.add_signal(signal_mapping(NAME))
        await soon(lambda: taken(worker))
        await worker.stop(0.2)
        assert worker.memory_store.get_statistics()["pending"] == 1


async def test_a_signal_whose_answer_waits_for_postgresql_is_not_asked_again() -> None:
    """PostgreSQL went away before it took the answer, then the host finds the signal once more."""
    answer = asyncio.Event()
    database, processor = abandoned(MemoryDatabase()), ScriptedProcessor(answer)
    async with working(database, processor) as worker:
        database.fault = DatabaseUnavailableError("away")
        answer.set()
        await soon(lambda: worker.unwritten == 1)
        worker.memory_store.add_signal(signal_mapping(NAME))
        await soon(lambda: taken(worker))
        database.fault = None
        assert await worker.drain(20)
    assert len(processor.prompts) == 1
    assert set(database.results) == {NAME}


class SlowLook(MemoryDatabase):
    """The reply to a look for waiting tasks is on its way for long; the claims in it grow old meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.reply, self.claims = asyncio.Event(), 1

    async def claim_waiting(self, **options: Any) -> list[tuple[Claim, Signal]]:
        found = await super().claim_waiting(**options)
        if found:
            await self.reply.wait()
        return found

    async def claim_signals(self, signals: Sequence[Signal], **options: Any) -> dict[str, Claim]:
        self.claims += 1
        granted = await super().claim_signals(signals, **options)
        return {name: replace(claim, attempts=self.claims) for name, claim in granted.items()}


async def test_a_signal_that_was_answered_before_a_look_for_it_came_back_is_not_asked_again() -> None:
    """The host finds it, claims it anew and has its answer stored while the look's reply is on its way."""
    database, processor = abandoned(SlowLook()), ScriptedProcessor()
    config = LLMConfig(base_url="http://127.0.0.1:9/v1", max_concurrency=2, poll_interval=0.02)
    worker = LLMWorker(config, SignalMemoryStore(), database, processor=processor)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(database.looked.wait(), 5)
    worker.memory_store.add_signal(signal_mapping(NAME))
    assert await worker.drain(10)
    looks = database.looks
    database.reply.set()
    await soon(lambda: database.looks > looks)  # what the first one brought has been dealt with
    assert await worker.drain(10)
    await worker.stop(2)
    await running
    assert len(processor.prompts) == 1
    assert set(database.results) == {NAME}


async def test_a_signal_that_is_to_be_rated_again_is_asked_again() -> None:
    """A later claim than the one it was answered under is no old news: somebody wants another answer."""
    database, processor = abandoned(MemoryDatabase()), ScriptedProcessor()
    async with working(database, processor) as worker:
        assert await worker.drain(10)
        claim, signal = Claim(1, NAME, str(uuid.uuid4()), attempts=2), Signal.from_mapping(NAME, {})
        database.live[NAME] = claim
        database.waiting.append((claim, signal))
        await soon(lambda: len(processor.prompts) == 2)
        assert await worker.drain(10)


async def test_a_signal_that_was_answered_before_its_host_found_it_is_not_asked_again() -> None:
    """A resumed run answers an abandoned task, loses PostgreSQL, and then comes to the bar of its signal."""
    database, processor = abandoned(MemoryDatabase()), ScriptedProcessor()
    async with working(database, processor) as worker:
        assert await worker.drain(10)
        database.fault = DatabaseUnavailableError("away")
        worker.memory_store.add_signal(signal_mapping(NAME))
        await soon(lambda: taken(worker))
        assert await worker.drain(10)
    assert len(processor.prompts) == 1
    assert set(database.results) == {NAME}
