"""In whatever order a host ends its parts, each reply that was read reaches callbacks, file and record."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from database.db_manager import DatabaseManager
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, SignalMemoryStore
from llm_integration.csv_exporter import SIGNAL_FILE
from llm_integration.domain import LLMAnalysis
from llm_integration.record.outbox.thread import Outbox
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from tests.chaos.program import connected, outbox_entries, rows, soon
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.chaos.reading_log import note_replies
from tests.unit.test_readme import ROOT, embedding_example
from tests.unit.worker_parts import signal_mapping

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIGNALS = 120
READ_BEFORE_THE_END = 20
BETWEEN_STEPS_SECONDS = 0.01
"""Long enough for replies to come in between two steps."""
LATENCY_SECONDS = (0.0, 0.02)
IN_TIME_SECONDS = 1.0
Step = Callable[[], Awaitable[object]]


class Host:
    """A worker under load, and what became of each reply."""

    def __init__(
        self, folder: Path, simulator: OpenRouterSimulator, database: DatabaseManager | None
    ) -> None:
        self.folder, self.database = folder, database
        config = LLMConfig(
            base_url=simulator.base_url, csv_output_directory=str(folder), requests_per_minute=100_000,
            tokens_per_minute=10**10, poll_interval=0.1,
        )  # fmt: skip
        self.exporter = LLMCSVExporter(config)
        self.outbox = Outbox(folder / "outbox", target="x") if database is not None else None
        self.worker = LLMWorker(
            config, SignalMemoryStore(), database, self.exporter, outbox=self.outbox,
            processor=LLMProcessor(config, api_key=SecretStr(SIMULATED_KEY)),
        )  # fmt: skip
        self.read: list[str] = []
        self.heard: list[str | None] = []
        self.ids: dict[str, str] = {}
        self.worker.subscribe(self._on_analysis)
        self.running = asyncio.create_task(self.worker.run())

    async def _on_analysis(self, analysis: LLMAnalysis) -> None:
        self.heard.append(analysis.generation_id)
        self.ids[analysis.generation_id or ""] = analysis.signal_id

    async def under_load(self) -> None:
        """Return while calls are in flight and a few replies were read."""
        for number in range(SIGNALS):
            self.worker.memory_store.add_signal(signal_mapping(f"s{number}"))
        await soon(lambda: len(self.read) >= READ_BEFORE_THE_END)

    def steps(self) -> dict[str, Step]:
        """How a host may end its parts, by name."""
        steps: dict[str, Step] = {
            "cancel": self._cancel,
            "stop": lambda: self.worker.stop(2.0),
            "files": lambda: asyncio.to_thread(self.exporter.close, 2.0),
        }
        if self.database is not None:
            steps["database"] = self.database.close
        return steps

    async def _cancel(self) -> None:
        self.running.cancel()

    async def end(self) -> None:
        """What the end of the process does at the latest."""
        await self.worker.stop(2.0)
        await asyncio.wait({self.running}, timeout=5)
        assert self.running.done()
        await asyncio.to_thread(self.exporter.close, 2.0)
        if self.outbox is not None:
            await asyncio.to_thread(self.outbox.close)
        if self.database is not None:
            await self.database.close()

    async def stored(self, url: str) -> set[str]:
        """The signals whose results PostgreSQL or the outbox has."""
        async with connected(url) as link:
            found = {row[0] for row in await link.fetch("SELECT signal_id FROM llm_analysis_results")}
        entries = await asyncio.to_thread(outbox_entries, self.folder / "outbox")
        return found | {key for kind, key, _ in entries if kind == "outcome"}

    def lost(self, stored: set[str] | None) -> list[str]:
        """What was read and did not arrive everywhere, in words."""
        in_file = Counter(row["signal_id"] for row in rows(self.folder / SIGNAL_FILE))
        problems = [f"{name} heard {count} times" for name, count in Counter(self.heard).items() if count > 1]
        problems += [f"{name} written {count} times" for name, count in in_file.items() if count > 1]
        for generation in self.read:
            name = self.ids.get(generation)
            if name is None:
                problems.append(f"{generation} not heard")
                continue
            problems += [f"{name} not in the file"] if name not in in_file else []
            problems += [f"{name} not stored"] if stored is not None and name not in stored else []
        return problems


@asynccontextmanager
async def host(
    folder: Path, patch: pytest.MonkeyPatch, database: DatabaseManager | None = None
) -> AsyncIterator[Host]:
    async with OpenRouterSimulator(latency_seconds=LATENCY_SECONDS) as simulator:
        one = Host(folder, simulator, database)
        with patch.context() as inner:
            note_replies(one.read.append, inner)
            try:
                await one.under_load()
                yield one
            finally:
                await one.end()


async def take(one: Host, order: Sequence[str]) -> None:
    steps = one.steps()
    for name in order:
        await steps[name]()
        await asyncio.sleep(BETWEEN_STEPS_SECONDS)


async def test_no_order_of_ending_loses_a_reply_without_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancel, stop and close in all six orders, with replies coming in meanwhile."""
    for order in itertools.permutations(("cancel", "stop", "files")):
        async with host(tmp_path / "-".join(order), monkeypatch) as one:
            await take(one, order)
        assert one.lost(None) == [], order


@pytest.mark.postgres
@pytest.mark.parametrize("away", [False, True])
async def test_no_order_of_ending_loses_a_reply_with_postgresql(
    away: bool, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All 24 orders of cancel, stop, closing the files and closing the database, PostgreSQL well or away."""
    for order in itertools.permutations(("cancel", "stop", "files", "database")):
        async with connected(database_url) as link:
            await link.execute("TRUNCATE trading_signals, llm_analysis_results CASCADE")
        async with FaultProxy(postgres_target(database_url)) as proxy:
            database = DatabaseManager(
                proxy.postgres_url(database_url), statement_timeout=1.0, acquire_timeout=1.0
            )
            await database.connect()
            if away:
                await proxy.refuse()
            async with host(tmp_path / "-".join(order), monkeypatch, database) as one:
                await take(one, order)
        assert one.lost(await one.stored(database_url)) == [], order


@pytest.mark.postgres
async def test_an_outbox_that_was_closed_first_still_takes_what_comes(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outbox, database and files are closed, then run is cancelled: nothing is lost all the same."""
    database = DatabaseManager(database_url)
    await database.connect()
    async with host(tmp_path, monkeypatch, database) as one:
        assert one.outbox is not None
        await asyncio.to_thread(one.outbox.close)
        await take(one, ("database", "files", "cancel", "stop"))
    assert one.lost(await one.stored(database_url)) == []


async def test_stop_returns_at_once_when_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a cancelled run that has done everything, stop does not sit out its timeout."""
    async with host(tmp_path, monkeypatch) as one:
        one.running.cancel()
        await asyncio.wait({one.running})
        started = time.monotonic()
        await one.worker.stop(10.0)
        assert time.monotonic() - started < 0.2


@pytest.mark.postgres
async def test_a_cancelled_run_does_not_wait_for_a_silent_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL accepts and never answers: the end takes three seconds at most, the outbox has it all."""
    async with FaultProxy(postgres_target(database_url)) as proxy:
        database = DatabaseManager(proxy.postgres_url(database_url))
        await database.connect()
        async with host(tmp_path, monkeypatch, database) as one:
            proxy.black_hole()
            await soon(lambda: len(one.read) >= 2 * READ_BEFORE_THE_END)
            started = time.monotonic()
            one.running.cancel()
            await asyncio.wait({one.running}, timeout=10)
            assert time.monotonic() - started < 3.0
            assert set(one.read) == set(one.heard)
    assert one.lost(await one.stored(database_url)) == []


@pytest.mark.postgres
@pytest.mark.parametrize("way", ["refusing", "black hole"])
async def test_every_answer_reaches_the_host_in_a_second_while_postgresql_is_away(
    way: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL goes in mid-work and stays away: 120 answers are heard and written as they are read."""
    async with FaultProxy(postgres_target(database_url)) as proxy:
        database = DatabaseManager(
            proxy.postgres_url(database_url), statement_timeout=2.0, acquire_timeout=2.0
        )
        await database.connect()
        async with host(tmp_path, monkeypatch, database) as one:
            if way == "refusing":
                await proxy.refuse()
            else:
                proxy.black_hole()
            await soon(lambda: len(one.read) == SIGNALS, 30.0)
            await soon(lambda: len(one.heard) == SIGNALS, IN_TIME_SECONDS)
            await soon(lambda: len(rows(tmp_path / SIGNAL_FILE)) == SIGNALS, IN_TIME_SECONDS)
            assert one.worker.get_statistics()["unwritten"] > 32
            await proxy.heal()
            assert await one.worker.drain(20)
    assert one.lost(await one.stored(database_url)) == []
    assert await asyncio.to_thread(outbox_entries, tmp_path / "outbox") == []


# Real processes


PARTS = """
import asyncio
from llm_integration import LLMConfig, LLMCSVExporter, LLMWorker, SignalMemoryStore

async def main():
    config = LLMConfig()                      # environment and .env; or LLMConfig.load("config.json")
    store, exporter = SignalMemoryStore(), LLMCSVExporter(config)
    worker = LLMWorker(config, store, csv_exporter=exporter)
    worker.subscribe(lambda analysis: print(analysis.signal_id, analysis.rating, flush=True))
    running = asyncio.create_task(worker.run())
    try:
        for number in range(500):
            store.add_signal({"signal_id": f"ES-{number}", "signal_data": {
                "timestamp": "2026-01-05T10:00:00Z", "symbol": "ES", "signal_type": "BUY",
                "entry_price": 6900.0, "stop_loss": 6880.0, "target_price": 6940.0}})
        await worker.drain(60)                # your trading loop goes here
    finally:
        await worker.stop(10), await running, await asyncio.to_thread(exporter.close)

asyncio.run(main())
"""
"""The parts one by one, by a host that ends them itself."""
MANY_SIGNALS = 'sidecar.add_signal({"signal_id": "ES-1"'
TASK_GROUP = """
import asyncio
from llm_integration import LLMConfig, LLMCSVExporter, LLMWorker, SignalMemoryStore
from tests.unit.worker_parts import signal_mapping

async def trading(store):
    for number in range(500):
        store.add_signal(signal_mapping(f"ES-{number}"))
    await asyncio.sleep(0.7)
    raise ZeroDivisionError("the strategy has a bug")

async def main():
    config = LLMConfig()
    store, exporter = SignalMemoryStore(), LLMCSVExporter(config)
    worker = LLMWorker(config, store, csv_exporter=exporter)
    worker.subscribe(lambda analysis: print(analysis.signal_id, flush=True))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            group.create_task(trading(store))
    finally:
        await worker.stop(5)
        await asyncio.to_thread(exporter.close)

asyncio.run(main())
"""
RETURNS = (
    TASK_GROUP[: TASK_GROUP.index("    try:")]
    + """
    running = asyncio.create_task(worker.run())
    await trading(store)

asyncio.run(main())
"""
)


def without_finally(script: str) -> str:
    """The same by somebody who has not thought of errors."""
    kept = [line for line in script.splitlines() if line.strip() not in ("try:", "finally:")]
    return "\n".join(line[4:] if line.startswith("        ") else line for line in kept) + "\n"


def with_many_signals(script: str) -> str:
    """The README's example with five hundred signals in place of one."""
    assert MANY_SIGNALS in script
    many = script.replace(MANY_SIGNALS, '[sidecar.add_signal({"signal_id": f"ES-{number}"')
    many = many.replace('"target_price": 6940.0}})', '"target_price": 6940.0}}) for number in range(500)]')
    return many.replace("analysis.recommendations))", "flush=True))")


def replies_read(folder: Path) -> list[str]:
    """The generation ids of the replies that the script has read by now."""
    log = folder / "read.log"
    return log.read_text().split() if log.exists() else []


async def run_script(script: str, folder: Path, *, interrupt: bool) -> tuple[int, str, str]:
    """Run it against a simulator; with ``interrupt`` press Ctrl-C in mid-work. Status, output, complaints."""
    file = folder / "mine.py"
    file.write_text(script, encoding="utf-8")
    async with OpenRouterSimulator(latency_seconds=LATENCY_SECONDS) as simulator:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-W", "error", "-m", "tests.chaos.reading_log", str(file)),
            cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OPENROUTER_API_KEY": SIMULATED_KEY,
                "OPENROUTER_BASE_URL": simulator.base_url, "LLM_REQUESTS_PER_MINUTE": "100000",
                "LLM_TOKENS_PER_MINUTE": "1000000000", "READ_LOG": str(folder / "read.log"),
            },
        )  # fmt: skip
        if interrupt:  # replies that it has read: the server has sent some more, which are on their way
            await soon(lambda: len(replies_read(folder)) >= READ_BEFORE_THE_END)
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize(
    ("script", "interrupt"),
    [
        (with_many_signals(embedding_example()), True),
        (without_finally(PARTS), True),
        (TASK_GROUP, False),
        (RETURNS, False),
        (RETURNS.replace("0.7", "7"), True),
    ],
    ids=["README, Ctrl-C", "no finally, Ctrl-C", "task group", "main raises", "nothing is closed, Ctrl-C"],
)
async def test_a_process_that_ends_in_any_way_has_handed_on_what_it_read(
    script: str, interrupt: bool, tmp_path: Path
) -> None:
    """As many replies were read as the callback printed and as llm_signals.csv has, each signal once."""
    assert await ended_badly(script, tmp_path, interrupt=interrupt) == []


async def ended_badly(script: str, folder: Path, *, interrupt: bool) -> list[str]:
    """Run it; what was lost, doubled or left open at its end, in words."""
    status, output, errors = await run_script(script, folder, interrupt=interrupt)
    read = replies_read(folder)
    heard = [line.split()[0] for line in output.splitlines() if line.startswith("ES-")]
    written = [row["signal_id"] for row in rows(folder / LLMConfig().csv_output_directory / SIGNAL_FILE)]
    cause = "KeyboardInterrupt" if interrupt else "the strategy has a bug"
    checks = {
        f"it ended with {status}": status != 0,
        f"it did not end by {cause}": cause in errors,
        "a coroutine was never awaited": "never awaited" not in errors,
        "something was not closed": "ResourceWarning" not in errors,
        f"only {len(read)} replies were read": len(read) >= READ_BEFORE_THE_END,
        f"{len(heard)} heard, {len(written)} written": sorted(heard) == sorted(written),
        f"{len(read)} read, {len(set(heard))} of {len(heard)} heard": len(set(heard))
        == len(heard)
        == len(read),
    }
    return [text for text, holds in checks.items() if not holds]
