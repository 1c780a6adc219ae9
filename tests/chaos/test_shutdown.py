"""Stopping while everything around is stuck: within the timeout plus a second; a second SIGTERM at once."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from database.db_manager import DatabaseManager
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.csv_exporter import RESULT_FILE, SIGNAL_FILE
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.chaos.program import Program, connected, soon
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.chaos.truth import slice_of_bars
from tests.unit.worker_parts import signal_mapping

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

TIMEOUT = 1.0
STATES = ("well", "black-holed database", "refusing database", "hanging model", "locked files", "everything")
PROGRAM_SECONDS = 24.0
"""What the bounds of the parts add up to after SIGTERM: answers 5, worker 4, tables 3, files 5.5,
background 1, outbox 2, session 2, connections 1; and half a second."""
AT_ONCE_SECONDS = 1.0


class Sidecar:
    """A worker with a real database behind a proxy, a real server for a model, and real files."""

    def __init__(
        self, worker: LLMWorker, exporter: LLMCSVExporter, database: DatabaseManager, proxy: FaultProxy,
        simulator: OpenRouterSimulator,
    ) -> None:  # fmt: skip
        self.worker, self.exporter, self.database = worker, exporter, database
        self.proxy, self.simulator = proxy, simulator
        self.locks = ExitStack()

    async def bring_into(self, state: str) -> None:
        """Let ``state`` come about, with signals that wait for what is stuck."""
        everything = state == "everything"
        if state == "locked files" or everything:
            self.lock_files()
        if state == "hanging model" or everything:
            self.simulator.script(*["hang"] * 4)
        if state == "black-holed database" or everything:
            self.proxy.black_hole()
        if state == "refusing database":
            await self.proxy.refuse()
        before = self.simulator.counters["chat_requests"]
        for number in range(4):
            self.worker.memory_store.add_signal(signal_mapping(f"{state}-{number}"))
        await soon(lambda: self.simulator.counters["chat_requests"] >= before + 4, 15.0)

    def lock_files(self) -> None:
        """Hold the locks of both files."""
        for name in (RESULT_FILE, SIGNAL_FILE):
            handle = self.locks.enter_context((self.exporter.directory / name).open("rb"))
            fcntl.flock(handle, fcntl.LOCK_EX)


@asynccontextmanager
async def sidecar(url: str, folder: Path) -> AsyncIterator[Sidecar]:
    """A running one that has answered a first signal."""
    async with (
        OpenRouterSimulator(hang_seconds=60.0) as simulator,
        FaultProxy(postgres_target(url)) as proxy,
    ):
        config = LLMConfig(
            base_url=simulator.base_url, csv_output_directory=str(folder), poll_interval=0.1,
            requests_per_minute=100_000,
        )  # fmt: skip
        database = DatabaseManager(proxy.postgres_url(url), statement_timeout=0.5, acquire_timeout=0.5)
        await database.connect()
        exporter = LLMCSVExporter(config)
        processor = LLMProcessor(config, api_key=SecretStr(SIMULATED_KEY))
        worker = LLMWorker(config, SignalMemoryStore(), database, exporter, processor=processor)
        running = asyncio.create_task(worker.run())
        one = Sidecar(worker, exporter, database, proxy, simulator)
        try:
            worker.memory_store.add_signal(signal_mapping("first"))
            await soon(
                lambda: (folder / SIGNAL_FILE).exists() and b"first" in (folder / SIGNAL_FILE).read_bytes()
            )
            yield one
        finally:
            one.locks.close()
            await worker.stop(0.1)
            await asyncio.wait({running}, timeout=5.0)
            await asyncio.to_thread(exporter.close, 2.0)
            await database.close()


@pytest.mark.parametrize("state", STATES)
async def test_every_part_stops_in_time(state: str, database_url: str, tmp_path: Path) -> None:
    """worker.stop and exporter.close keep their timeout plus one second, database.close its own second."""
    async with sidecar(database_url, tmp_path) as one:
        await one.bring_into(state)
        started = time.monotonic()
        await one.worker.stop(TIMEOUT)
        stopped = time.monotonic()
        await asyncio.to_thread(one.exporter.close, TIMEOUT)
        closed = time.monotonic()
        await one.database.close()
        ended = time.monotonic()
    assert stopped - started < TIMEOUT + 1
    assert closed - stopped < TIMEOUT + 1
    assert ended - closed < 2


@asynccontextmanager
async def stuck_program(url: str, folder: Path, *, locked: bool = False) -> AsyncIterator[Program]:
    """The program with PostgreSQL black-holed and the model hanging; ``locked``: its files too."""
    async with (
        OpenRouterSimulator(hang_seconds=120.0) as simulator,
        FaultProxy(postgres_target(url)) as proxy,
    ):
        program = Program(
            folder, proxy.postgres_url(url), simulator.base_url, slice_of_bars(folder, 0, 1_000), speed=100.0
        )
        await program.start()
        try:
            await program.until(lambda: program.answers_written() >= 3)
            with ExitStack() as locks:
                for name in (RESULT_FILE, SIGNAL_FILE) if locked else ():
                    handle = locks.enter_context((program.out / name).open("rb"))
                    fcntl.flock(handle, fcntl.LOCK_EX)
                simulator.script(*["hang"] * 1_000)
                proxy.black_hole()
                await program.until(lambda: "PostgreSQL does not" in program.log)
                yield program
        finally:
            await program.close()


async def test_sigterm_ends_a_stuck_program_within_its_bounds(database_url: str, tmp_path: Path) -> None:
    """It says what waits, leaves with status 0, and its signals are in the outbox for the next run."""
    async with stuck_program(database_url, tmp_path) as program:
        started = time.monotonic()
        program.send(signal.SIGTERM)
        assert await program.ended(60) == 0
        assert time.monotonic() - started < PROGRAM_SECONDS
        assert "go on with --resume" in program.stdout
        assert "the next run stores them" in program.log
        async with connected(database_url) as link:
            assert await link.fetchval("SELECT status FROM trading_sessions") == "running"


async def test_a_second_sigterm_leaves_at_once(database_url: str, tmp_path: Path) -> None:
    """Whoever is in a hurry waits for nobody, whatever is stuck."""
    async with stuck_program(database_url, tmp_path, locked=True) as program:
        program.send(signal.SIGTERM)
        await program.until(lambda: "a second signal leaves at once" in program.log)
        assert program.running
        started = time.monotonic()
        program.send(signal.SIGTERM)
        assert await program.ended() == 1
        assert time.monotonic() - started < AT_ONCE_SECONDS
