"""Stopping while everything around is stuck: a part within its timeout plus a second, the whole program
within what ``trading.stop_bounds`` promises; a second SIGTERM at once.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from database.db_manager import DatabaseManager
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.csv_exporter import RESULT_FILE, SIGNAL_FILE
from llm_integration.record.placement import choose_place
from llm_integration.record.postmaster import folder_of, processes_in, read_postmaster
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.chaos.altered_program import AlteredProgram
from tests.chaos.program import Program, connected, soon
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.chaos.test_disk import small_disk
from tests.chaos.truth import slice_of_bars
from tests.integration.test_embedded import folder_for_a_cluster
from tests.unit.worker_parts import signal_mapping
from trading.stop_bounds import PROMISED_SECONDS

__all__ = ["small_disk"]

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

TIMEOUT = 1.0
STATES = ("well", "black-holed database", "refusing database", "hanging model", "locked files", "everything")
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
async def running(
    program: Program, simulator: OpenRouterSimulator, answers: int = 3, said: str = ""
) -> AsyncIterator[Program]:
    """The program with its first answers written, and something ``said``; from then on the model hangs."""
    await program.start()
    try:
        await program.until(lambda: program.answers_written() >= answers and said in program.log)
        simulator.script(*["hang"] * 1_000)
        yield program
    finally:
        await program.close()


@asynccontextmanager
async def stuck_program(
    url: str, folder: Path, state: str = "silent", output: Path | None = None, said: str = ""
) -> AsyncIterator[Program]:
    """The program with the model hanging and PostgreSQL black-holed, or in another ``state``."""
    async with (
        OpenRouterSimulator(hang_seconds=120.0) as simulator,
        FaultProxy(postgres_target(url)) as proxy,
    ):
        program = Program(
            folder, proxy.postgres_url(url), simulator.base_url, slice_of_bars(folder, 0, 1_000), speed=100.0,
            output=output,
        )  # fmt: skip
        async with running(program, simulator, said=said):
            with ExitStack() as locks:
                if state in ("locked files", "everything"):
                    for name in (RESULT_FILE, SIGNAL_FILE):
                        handle = locks.enter_context((program.out / name).open("rb"))
                        fcntl.flock(handle, fcntl.LOCK_EX)
                if state in ("silent", "everything"):
                    proxy.black_hole()
                if state == "refusing":
                    await proxy.refuse()
                if state in ("silent", "refusing", "everything"):
                    await program.until(lambda: "PostgreSQL does not" in program.log)
                yield program


async def stop_and_measure(program: Program) -> int:
    """SIGTERM, and the exit status of a whole process that has ended within what is promised."""
    started = time.monotonic()
    program.send(signal.SIGTERM)
    status = await program.ended(60)
    took = time.monotonic() - started
    assert took < PROMISED_SECONDS, f"{took:.1f} s\n{program.log[-3000:]}"
    return status


async def test_sigterm_ends_a_stuck_program_within_its_bounds(database_url: str, tmp_path: Path) -> None:
    """It says what waits, leaves with status 0, and its signals are in the outbox for the next run."""
    async with stuck_program(database_url, tmp_path) as program:
        assert await stop_and_measure(program) == 0
        assert "go on with: " in program.stdout
        assert "the next run stores them" in program.log
        async with connected(database_url) as link:
            assert await link.fetchval("SELECT status FROM trading_sessions") == "running"


@pytest.mark.parametrize("state", ["hanging model", "refusing", "locked files", "everything"])
async def test_sigterm_ends_the_program_in_every_state(state: str, database_url: str, tmp_path: Path) -> None:
    """The whole process is gone within ten seconds, with status 0, whatever it waits for."""
    async with stuck_program(database_url, tmp_path, state) as program:
        assert await stop_and_measure(program) == 0


async def test_sigterm_ends_a_program_whose_disk_is_full(
    database_url: str, tmp_path: Path, small_disk: Path
) -> None:
    """Neither the rows that wait for room nor PostgreSQL's silence hold it up."""
    full = os.strerror(errno.ENOSPC)
    async with stuck_program(database_url, tmp_path, output=small_disk / "out", said=full) as program:
        assert await stop_and_measure(program) == 0


@pytest.fixture
def base() -> Iterator[Path]:
    """The base folder of an embedded server of the test's own."""
    with folder_for_a_cluster() as folder:
        yield folder


@asynccontextmanager
async def with_embedded_server(
    base: Path, folder: Path, callback: str = "good"
) -> AsyncIterator[AlteredProgram]:
    """The program with an embedded server, the model hanging, and a callback of the host."""
    async with OpenRouterSimulator(hang_seconds=120.0) as simulator:
        program = AlteredProgram(
            folder, "embedded", simulator.base_url, slice_of_bars(folder, 0, 1_000), speed=100.0, base=base,
            callback=callback,
        )  # fmt: skip
        async with running(program, simulator, answers=1):
            yield program


def family_of(base: Path) -> list[int]:
    """All processes of the server."""
    return processes_in(folder_of(choose_place(base).data))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which processes are the server's")
@pytest.mark.parametrize("frozen", ["nothing", "the server", "the server and its children", "its children"])
async def test_sigterm_ends_a_program_with_a_frozen_server(frozen: str, base: Path, tmp_path: Path) -> None:
    """Its own server is gone with it, however much of that was frozen."""
    async with with_embedded_server(base, tmp_path) as program:
        found = read_postmaster(choose_place(base).data)
        assert found is not None
        family = family_of(base)
        children = [pid for pid in family if pid != found.pid]
        chosen = {"nothing": [], "the server": [found.pid], "its children": children}.get(frozen, family)
        for pid in chosen:
            os.kill(pid, signal.SIGKILL if frozen == "killed a moment ago" else signal.SIGSTOP)
        assert await stop_and_measure(program) == 0
        assert family_of(base) == []


@pytest.mark.parametrize(
    ("callback", "status"),
    [("never ends", 0), ("blocks a thread", 0), ("refuses to end", 1), ("blocks the loop", 1)],
)
async def test_sigterm_ends_a_program_whose_callback_blocks(
    callback: str, status: int, base: Path, tmp_path: Path
) -> None:
    """In order where that is possible; else a thread ends the process, says so, and ends the server, too."""
    async with with_embedded_server(base, tmp_path, callback) as program:
        assert await stop_and_measure(program) == status
        assert ("still blocks" in program.log) is bool(status)
        await soon(lambda: family_of(base) == [])


async def test_a_second_sigterm_leaves_at_once_though_the_loop_is_blocked(base: Path, tmp_path: Path) -> None:
    """The handler does not need the event loop."""
    async with with_embedded_server(base, tmp_path, "blocks the loop") as program:
        program.send(signal.SIGTERM)
        started = time.monotonic()
        await asyncio.sleep(0.2)  # two signals at the same moment are one to the kernel
        program.send(signal.SIGTERM)
        assert await program.ended() == 1
        assert time.monotonic() - started < AT_ONCE_SECONDS


async def test_sigterm_ends_a_program_that_is_still_connecting(database_url: str, tmp_path: Path) -> None:
    """Before the first bar, with a PostgreSQL that takes connections and says nothing."""
    async with FaultProxy(postgres_target(database_url)) as proxy:
        proxy.black_hole()
        program = Program(
            tmp_path, proxy.postgres_url(database_url), "http://127.0.0.1:9/v1",
            slice_of_bars(tmp_path, 0, 10), database={"connect_timeout_seconds": 60.0},
        )  # fmt: skip
        await program.start()
        try:
            await program.until(lambda: proxy.open_connections > 0)
            assert await stop_and_measure(program) == 0
            assert "stopped before the first bar" in program.stdout
        finally:
            await program.close()


async def test_sigterm_ends_a_program_that_waits_for_the_start_of_its_server(
    base: Path, tmp_path: Path
) -> None:
    """Another process holds the lock under which the embedded server is started, and does not let go."""
    place = choose_place(base)
    with (place.folder / "start.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = AlteredProgram(
            tmp_path, "embedded", "http://127.0.0.1:9/v1", slice_of_bars(tmp_path, 0, 10), base=base
        )
        await program.start()
        try:
            await program.until(lambda: waits_for_a_lock(program))
            assert await stop_and_measure(program) == 0
            assert "stopped before the first bar" in program.stdout
        finally:
            await program.close()


def waits_for_a_lock(program: Program) -> bool:
    """True once the program has the lock file of the server open."""
    assert program.process is not None
    descriptors = Path(f"/proc/{program.process.pid}/fd")
    with suppress(OSError):
        return any("start.lock" in str(each.readlink()) for each in descriptors.iterdir())
    return False


async def test_a_second_sigterm_leaves_at_once(database_url: str, tmp_path: Path) -> None:
    """Whoever is in a hurry waits for nobody, whatever is stuck."""
    async with stuck_program(database_url, tmp_path, "everything") as program:
        program.send(signal.SIGTERM)
        await program.until(lambda: "a second signal leaves at once" in program.log)
        assert program.running
        started = time.monotonic()
        program.send(signal.SIGTERM)
        assert await program.ended() == 1
        assert time.monotonic() - started < AT_ONCE_SECONDS
