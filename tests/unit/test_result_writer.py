"""Finished analyses are handed on in slices, each exactly once, also when the writer is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from llm_integration.domain import LLMAnalysis, Signal, TaskStatus
from llm_integration.worker.jobs import Job
from llm_integration.worker.writer import HANDED_ON_AT_ONCE, LARGEST_BATCH, ResultWriter
from tests.unit.worker_parts import signal_mapping

IDS = [f"s{number}" for number in range(LARGEST_BATCH)]


class Handed:
    """A callback of the host, and a turnstile that notes how much had come by each turn."""

    def __init__(self, *, closed: bool = False) -> None:
        self.ids: list[str] = []
        self.by_turn: list[int] = []
        self.waiting = asyncio.Event()
        self._open = asyncio.Event()
        if not closed:
            self._open.set()

    def deliver(self, analysis: LLMAnalysis) -> None:
        self.ids.append(analysis.signal_id)

    async def turn(self) -> None:
        self.by_turn.append(len(self.ids))
        self.waiting.set()
        await self._open.wait()


def filled(handed: Handed) -> ResultWriter:
    writer = ResultWriter(None, None, handed.deliver, batch_size=100, turn=handed.turn)
    for name in IDS:
        signal = Signal.from_mapping(name, signal_mapping(name)["signal_data"])
        writer.put(Job(signal, 0.0, 1.0), LLMAnalysis(name, TaskStatus.FAILED, error="no answer"))
    return writer


async def test_results_are_handed_on_a_few_in_each_turn() -> None:
    """A whole batch would hold up the host's loop; nobody is told that all is written before it is."""
    handed = Handed()
    writer = filled(handed)
    empty = asyncio.create_task(writer.wait_until_empty())
    assert await writer.write_batch()
    assert handed.by_turn == list(range(HANDED_ON_AT_ONCE, LARGEST_BATCH, HANDED_ON_AT_ONCE))
    await asyncio.wait_for(empty, 1)
    assert handed.ids == IDS
    assert writer.unwritten == 0


async def test_a_cancelled_writer_hands_on_what_is_written_already() -> None:
    """Nothing that PostgreSQL has is kept from files and callbacks, and nothing comes twice."""
    handed = Handed(closed=True)
    writer = filled(handed)
    task = asyncio.create_task(writer.write_batch())
    await asyncio.wait_for(handed.waiting.wait(), 1)
    assert handed.ids == IDS[:HANDED_ON_AT_ONCE]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert handed.ids == IDS
