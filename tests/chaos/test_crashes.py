"""A fault inside the sidecar itself: logged with its cause, restarted with longer pauses, counted."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import asyncpg
import pytest

from llm_integration import LLMConfig, LLMWorker, Sidecar, SignalMemoryStore
from llm_integration.csv_exporter import SUMMARY_FILE
from llm_integration.domain import LLMAnalysis, Signal
from llm_integration.model_catalogue import ModelWatch
from llm_integration.worker.supervision import Supervisor
from tests.unit.worker_parts import MemoryDatabase, ScriptedProcessor, signal_mapping


class Enough(BaseException):
    """Ends a loop that would go on for ever."""


async def test_a_loop_that_keeps_crashing_is_restarted_with_growing_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pause doubles to its bound and starts over after a long good run; every crash counts."""
    now, pauses = 0.0, []
    runs = [0.0, 0.0, 0.0, 0.0, 100.0, 0.0]

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def loop() -> None:
        nonlocal now
        if not runs:
            raise Enough
        now += runs.pop(0)
        raise ZeroDivisionError("the cause")

    supervisor = Supervisor(clock=lambda: now, sleep=sleep, first_pause=1.0, longest_pause=5.0)
    with caplog.at_level(logging.ERROR), pytest.raises(Enough):
        await supervisor.keep("writer", loop)
    assert pauses == [1.0, 2.0, 4.0, 5.0, 1.0, 2.0]
    assert supervisor.crashes == {"writer": 6}
    assert len(caplog.records) == 6
    assert all("the cause" in (record.exc_text or "") for record in caplog.records)


async def test_a_loop_that_returns_or_is_cancelled_is_not_restarted() -> None:
    """The end of the work and a cancellation are no crashes."""
    supervisor = Supervisor(clock=lambda: 0.0)

    async def done() -> None:
        return

    await supervisor.keep("done", done)
    task = asyncio.create_task(supervisor.keep("waiting", asyncio.Event().wait))  # type: ignore[arg-type]  # its result is not used
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert supervisor.crashes == {}


async def test_a_cancellation_from_inside_does_not_end_a_loop_silently() -> None:
    """What a loop waits for may be cancelled by somebody else; nobody has asked the loop itself to end."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ended.cancel()
    runs = 0

    async def loop() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            await ended

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    supervisor = Supervisor(clock=lambda: 0.0, sleep=sleep)
    await supervisor.keep("ledger", loop)
    assert (runs, supervisor.crashes) == (3, {"ledger": 2})


async def test_what_runs_behind_the_host_is_restarted_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ledger, recorder, leftovers, catalogue: the sidecar of the program starts all of them in this way."""
    runs = 0
    goes_on = asyncio.Event()

    async def loop() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise asyncpg.TargetServerAttributeNotMatched("no primary")
        goes_on.set()
        await asyncio.Event().wait()

    async def watch(_watch: ModelWatch) -> None:
        await loop()

    monkeypatch.setattr(ModelWatch, "run", watch)
    config = LLMConfig(csv_output_directory=str(tmp_path / "out"), model="simulated/m")
    async with Sidecar(config, simulate=True, summary=lambda: {"bars": 5}) as sidecar:
        await asyncio.wait_for(goes_on.wait(), 5)
        assert sidecar.statistics()["restarts"] == {"model warnings": 1}
    summary = json.loads((tmp_path / "out" / SUMMARY_FILE).read_text(encoding="utf-8"))
    assert (summary["run"]["restarts"], summary["run"]["bars"]) == ({"model warnings": 1}, 5)


class FaultySink:
    """Files that have a bug on the second row."""

    def __init__(self) -> None:
        self.calls = 0

    def start(self) -> None:
        """Nothing to start."""

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> bool:
        """Fails once."""
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("a bug in the files")
        return True


async def test_a_crash_on_the_way_to_the_files_costs_no_result(caplog: pytest.LogCaptureFixture) -> None:
    """One traceback, one count; every result is stored, and every callback hears of every one."""
    database, sink, store = MemoryDatabase(), FaultySink(), SignalMemoryStore()
    worker = LLMWorker(
        LLMConfig(base_url="http://127.0.0.1:9/v1", max_concurrency=2), store, database, sink,
        processor=ScriptedProcessor(),
    )  # fmt: skip
    seen: list[str] = []

    async def tell(analysis: LLMAnalysis) -> None:
        seen.append(analysis.signal_id)

    worker.subscribe(tell)
    running = asyncio.create_task(worker.run())
    with caplog.at_level(logging.ERROR):
        for number in range(6):
            store.add_signal(signal_mapping(f"s{number}"))
            assert await worker.drain(10)
        await worker.stop(2)
        await running
    names = {f"s{number}" for number in range(6)}
    assert set(database.results) == names
    assert worker.get_statistics()["sink_errors"] == 1
    assert worker.get_statistics()["crashes"] == {}
    assert sum("a bug in the files" in (record.exc_text or "") for record in caplog.records) == 1
    assert seen == sorted(names)
