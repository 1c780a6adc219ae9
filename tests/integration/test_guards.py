"""What the whole sidecar does to PostgreSQL, the wire and the event loop, counted instead of timed."""

from __future__ import annotations

import asyncio
import builtins
import fcntl
import io
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster, BlockBusterFunction, BlockingError
from pydantic import SecretStr

from database import DatabaseManager
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, Signal, SignalMemoryStore
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.unit.worker_parts import ScriptedProcessor, signal_mapping

pytestmark = pytest.mark.postgres

BARS = [
    (f"2026-01-05T{hour:02d}:00:00+00:00", 1.1 + hour / 1000, 1.11, 1.09, 1.1, 100.0 + hour)
    for hour in range(11)
]


class Statements:
    """Every statement that goes over connections made with ``setup``."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.noted = asyncio.Event()

    async def setup(self, link: Any) -> None:
        """For asyncpg's pool: called with each connection that is taken from it."""
        link.add_query_logger(self._note)  # a set: the same connection may come again

    def _note(self, record: Any) -> None:
        self.seen.append(record.query)
        self.noted.set()

    def naming(self, *words: str) -> list[str]:
        """Those that contain every one of ``words``."""
        return [query for query in self.seen if all(word in query for word in words)]


@asynccontextmanager
async def working(
    url: str, statements: Statements, processor: ScriptedProcessor, concurrency: int
) -> AsyncIterator[LLMWorker]:
    """A worker on PostgreSQL with a scripted model."""
    config = LLMConfig(base_url="http://127.0.0.1:1/v1", max_concurrency=concurrency, poll_interval=600)
    async with DatabaseManager(url, setup=statements.setup) as database:
        worker = LLMWorker(config, SignalMemoryStore(), database, processor=processor)
        running = asyncio.create_task(worker.run())
        yield worker
        await worker.stop(2)
        await running


async def test_results_that_come_together_share_their_statements(database_url: str) -> None:
    """32 signals found together and answered together: a statement serves several of them."""
    count = 32
    statements, answer = Statements(), asyncio.Event()
    processor = ScriptedProcessor(*[answer] * count)
    async with working(database_url, statements, processor, count) as worker:
        for number in range(count):
            worker.memory_store.add_signal(signal_mapping(f"s-{number}", bars=BARS))
        async with asyncio.timeout(20):
            while len(processor.prompts) < count:
                processor.called.clear()
                await processor.called.wait()
        answer.set()
        assert await worker.drain(20)
        assert worker.get_statistics()["rated"] == count
    assert statements.naming("INSERT INTO llm_analysis_results")
    assert len(statements.seen) <= count // 2


async def test_a_backlog_is_stored_and_claimed_with_few_statements(database_url: str) -> None:
    """96 signals that wait take three statements to be stored, and four to be claimed, by their ids alone."""
    count = 96
    statements, processor = Statements(), ScriptedProcessor(ready_in=30.0)
    async with working(database_url, statements, processor, 8) as worker:
        for number in range(count):
            worker.memory_store.add_signal(signal_mapping(f"s-{number}", bars=BARS))
        async with asyncio.timeout(20):
            while len(statements.naming("INSERT INTO trading_signals")) < 3:
                statements.noted.clear()
                await statements.noted.wait()
            assert not worker.memory_store.untold
        processor.wait = 0.0
        worker.memory_store.add_signal(signal_mapping("wakes the worker", bars=BARS))
        assert await worker.drain(20)
        assert worker.get_statistics()["rated"] == count + 1
    assert 3 <= len(statements.naming("claim_id = gen_random_uuid()", "signal_id = ANY")) <= 4
    assert len(statements.naming("INSERT INTO trading_signals", "INSERT INTO trading_sessions")) <= 4


async def test_one_signal_at_a_time_takes_two_statements_each(database_url: str) -> None:
    """One to store and claim it, one for its result; nothing else is asked per signal."""
    count = 10
    statements = Statements()
    async with working(database_url, statements, ScriptedProcessor(), 1) as worker:
        for number in range(count):
            worker.memory_store.add_signal(signal_mapping(f"s-{number}", bars=BARS))
            assert await worker.drain(20)
    about_signals = statements.naming("INSERT INTO trading_signals") + statements.naming(
        "INSERT INTO llm_analysis_results"
    )
    assert about_signals
    assert len(statements.seen) <= 2 * count + 14  # connecting, and a look at whose tasks wait


async def test_a_host_stores_a_signal_and_its_task_in_one_statement(database_url: str) -> None:
    """What the bar loop waits for is one round trip."""
    statements = Statements()
    async with DatabaseManager(database_url, setup=statements.setup) as database:
        worker = LLMWorker(LLMConfig(base_url="http://127.0.0.1:1/v1"), SignalMemoryStore(), database)
        await asyncio.sleep(0)  # asyncpg tells of a statement a turn of the loop later
        before = len(statements.seen)
        signal = Signal.from_mapping("s-1", signal_mapping("s-1", bars=BARS)["signal_data"])
        await database.record_signal(signal, worker_id=worker.worker_id)
        await asyncio.sleep(0)
        assert len(statements.seen) - before == 1


async def test_nothing_goes_over_the_wire_twice(simulated: OpenRouterSimulator, tmp_path: Path) -> None:
    """A request is the prompt, once, and little around it."""
    worker, _ = build(simulated, None, tmp_path)
    running = asyncio.create_task(worker.run())
    worker.memory_store.add_signal(signal_mapping("s-1", bars=BARS))
    assert await worker.drain(20)
    analysis = worker.get_statistics()["recent"][0]
    await worker.stop(2)
    await running
    sent = json.dumps(simulated.requests[-1].body)
    assert len(simulated.requests) == 1
    assert sent.count("2026-01-05 10:00") <= analysis.prompt_text.count("2026-01-05 10:00") + 1
    assert len(sent) <= 1.2 * len(analysis.prompt_text) + 3_000


@pytest.fixture
async def simulated() -> AsyncIterator[OpenRouterSimulator]:
    """A stand-in for OpenRouter on the test's own loop."""
    async with OpenRouterSimulator(seed=1) as simulator:
        yield simulator


def build(
    simulator: OpenRouterSimulator, database: DatabaseManager | None, folder: Path
) -> tuple[LLMWorker, LLMCSVExporter]:
    config = LLMConfig(
        base_url=simulator.base_url, requests_per_minute=10_000, tokens_per_minute=10**9,
        csv_output_directory=str(folder), cleanup_interval_minutes=0.001, poll_interval=0.05,
        batch_export_interval_seconds=0.05,
    )  # fmt: skip
    exporter = LLMCSVExporter(config)
    processor = LLMProcessor(config, api_key=SecretStr(SIMULATED_KEY))
    return LLMWorker(config, SignalMemoryStore(), database, exporter, processor=processor), exporter


@contextmanager
def nothing_blocks() -> Iterator[None]:
    """Every call that waits for a disk, a lock or the clock raises when it is made on an event loop."""
    guard = BlockBuster()
    further = {
        "fcntl.flock": fcntl, "fcntl.lockf": fcntl, "os.fsync": os, "os.open": os, "builtins.open": builtins,
        "io.open": io,
    }  # fmt: skip
    for name, module in further.items():
        guard.functions[name] = BlockBusterFunction(module, name.rpartition(".")[2])
    guard.activate()
    try:
        yield
    finally:
        guard.deactivate()


BLOCKING: dict[str, Callable[[Path], object]] = {
    "time.sleep": lambda path: time.sleep(0.001),
    "open": lambda path: open(path, "w"),  # noqa: PTH123, SIM115  the builtin is the subject, and it raises
    "Path.open": lambda path: path.open("w"),
    "os.open": lambda path: os.open(path, os.O_RDONLY),
    "os.fsync": lambda path: os.fsync(1),
    "fcntl.flock": lambda path: fcntl.flock(1, fcntl.LOCK_EX),
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKING)
async def test_the_guard_itself_sees_blocking_calls(name: str, tmp_path: Path) -> None:
    """Without this the next test could not fail."""
    with nothing_blocks(), pytest.raises(BlockingError):
        BLOCKING[name](tmp_path / "file")


async def test_a_whole_run_makes_no_blocking_call_on_the_loop(
    simulated: OpenRouterSimulator, database_url: str, tmp_path: Path
) -> None:
    """Start, 60 signals over HTTP into PostgreSQL and CSV, a callback, statistics, stop: nothing blocks."""
    async with DatabaseManager(database_url, pool_min=4) as database:
        worker, exporter = build(simulated, database, tmp_path)
        delivered: list[str] = []

        async def note(analysis: Any) -> None:
            delivered.append(analysis.signal_id)

        worker.subscribe(note)
        with nothing_blocks():
            running = asyncio.create_task(worker.run())
            for number in range(60):
                worker.memory_store.add_signal(signal_mapping(f"s-{number}", bars=BARS))
                if number % 10 == 0:
                    await asyncio.sleep(0)
                    worker.get_statistics()
            assert await worker.drain(30)
            await worker.stop(3)
            await running
            assert await asyncio.to_thread(exporter.close)
        statistics = worker.get_statistics()
    assert statistics["rated"] == 60
    assert statistics["crashes"] == {}
    assert statistics["database_error"] is None
    assert len(delivered) == 60
    assert len((tmp_path / "llm_signals.csv").read_text().splitlines()) == 61
