"""A wall clock that steps an hour either way: limiter, leases, retention and ages do not care."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from database import DatabaseManager
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.domain import LLMAnalysis, Signal, TaskStatus
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.chaos.llm_parts import rows, wait_until
from tests.unit.worker_parts import signal_mapping

HOUR = timedelta(hours=1)
STEPS = [pytest.param(HOUR, id="an hour on"), pytest.param(-HOUR, id="an hour back")]


class Wall:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def epoch(self) -> float:
        """Seconds since 1970."""
        return self().timestamp()


def built(
    simulator: OpenRouterSimulator,
    wall: Wall,
    folder: Path,
    db: DatabaseManager,
    **settings: Any,
) -> tuple[LLMWorker, LLMCSVExporter]:
    """Everything that reads a wall clock reads ``wall``; what counts seconds has its own default clock."""
    config = LLMConfig(**{
        "base_url": simulator.base_url, "poll_interval": 0.02, "csv_output_directory": str(folder),
        "requests_per_minute": 100_000, "tokens_per_minute": 10**9, **settings,
    })  # fmt: skip
    exporter = LLMCSVExporter(config, now=wall)
    processor = LLMProcessor(config, api_key=SecretStr(SIMULATED_KEY), wall_clock=wall.epoch)
    return LLMWorker(config, None, db, exporter, processor=processor, wall_clock=wall), exporter


async def ended(worker: LLMWorker, exporter: LLMCSVExporter, running: asyncio.Task[None]) -> None:
    await worker.stop(1)
    await running
    await asyncio.to_thread(exporter.close, 2.0)


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_neither_expires_nor_delays_nor_frees_requests(
    step: timedelta, tmp_path: Path, db: DatabaseManager, database_url: str
) -> None:
    """Five requests a minute, an age of half an hour at most: five before the step, none after it."""
    wall = Wall()
    async with OpenRouterSimulator(seed=1) as simulator:
        worker, exporter = built(
            simulator, wall, tmp_path, db, requests_per_minute=5, signal_max_age_seconds=1_800
        )
        running = asyncio.create_task(worker.run())
        seen: list[LLMAnalysis] = []
        worker.subscribe(seen.append)
        for number in range(8):
            worker.memory_store.add_signal(signal_mapping(f"s{number}"))
        await wait_until(lambda: len(seen) == 5)
        wall.offset = step
        worker.memory_store.add_signal(signal_mapping("after"))
        assert not await worker.drain(0.3)
        assert simulator.counters["chat_requests"] == 5
        statistics = worker.get_statistics()
        assert (statistics["rated"], statistics["expired"], statistics["failed"]) == (5, 0, 0)
        assert all(0 <= (analysis.total_ms or -1) < 60_000 for analysis in seen)
        await ended(worker, exporter, running)
    assert len(rows(tmp_path)) == 5
    assert await statuses(database_url) == {"completed": 5, "pending": 4}


@pytest.mark.parametrize("step", STEPS)
async def test_ratings_go_on_over_a_step(
    step: timedelta, tmp_path: Path, db: DatabaseManager, database_url: str
) -> None:
    """Signals before and after the step are all rated, with durations that are durations."""
    wall = Wall()
    async with OpenRouterSimulator(seed=1) as simulator:
        worker, exporter = built(simulator, wall, tmp_path, db, memory_retention_minutes=30)
        running = asyncio.create_task(worker.run())
        for number in range(10):
            worker.memory_store.add_signal(signal_mapping(f"before{number}"))
        assert await worker.drain(5)
        wall.offset = step
        for number in range(10):
            worker.memory_store.add_signal(signal_mapping(f"after{number}"))
        assert await worker.drain(5)
        assert worker.memory_store.cleanup_old_signals() == 0  # nobody is older than the retention
        assert all(worker.memory_store.get_signal(f"before{number}") for number in range(10))
        await ended(worker, exporter, running)
    assert len(rows(tmp_path)) == 20
    for row in rows(tmp_path):
        assert 0 <= float(row["llm_processing_time_ms"]) < 60_000
    assert await statuses(database_url) == {"completed": 20}


async def statuses(url: str) -> dict[str, int]:
    """How many tasks are in which state."""
    link = await asyncpg.connect(url)
    try:
        found = await link.fetch("SELECT status, count(*) FROM llm_enhancement_tasks GROUP BY 1")
    finally:
        await link.close()
    return {row[0]: row[1] for row in found}


@pytest.mark.parametrize("step", STEPS)
async def test_a_lease_is_kept_by_the_databases_clock(
    step: timedelta, db: DatabaseManager, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers whose host clocks differ by an hour: a live lease holds, an ended one is taken back."""
    signal = Signal.from_mapping("s1", signal_mapping("s1")["signal_data"])
    claims = await db.claim_signals([signal], worker_id="first", lease_seconds=60)
    assert claims
    with ExitStack() as stack:
        step_host_clock(stack, monkeypatch, step)
        async with DatabaseManager(database_url) as other:
            assert not await other.claim_waiting(worker_id="second", limit=5, lease_seconds=60)
            await other.heartbeat("second", lease_seconds=60)
            assert not await other.claim_waiting(worker_id="second", limit=5, lease_seconds=60)
            await db.retire_worker("first")
            ((claim, _),) = await other.claim_waiting(worker_id="second", limit=5, lease_seconds=60)
            assert 0 <= claim.age_seconds < 60
    analysis = LLMAnalysis(signal_id="s1", status=TaskStatus.FAILED, error="too late")
    assert not await db.save_outcomes([(analysis, claims["s1"])])  # the fence holds as well


def step_host_clock(stack: ExitStack, monkeypatch: pytest.MonkeyPatch, step: timedelta) -> None:
    """From here on Python's own wall clock, for whoever asks it, is off by ``step``."""
    real = time.time
    patch = stack.enter_context(monkeypatch.context())
    patch.setattr(time, "time", lambda: real() + step.total_seconds())


def test_retention_counts_running_time() -> None:
    """What finished stays for its half hour of the store's clock, which no date has a part in."""
    now = [1_000.0]
    store = SignalMemoryStore(retention_minutes=30, clock=lambda: now[0])
    store.add_signal(signal_mapping("s1"))
    store.take_pending(1)
    store.finish("s1", TaskStatus.COMPLETED)
    now[0] += 29 * 60
    assert store.cleanup_old_signals() == 0
    now[0] += 2 * 60
    assert store.cleanup_old_signals() == 1
