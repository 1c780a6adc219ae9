"""The table of bounds adds up, the program keeps to it whatever hangs, and the last resort comes after it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest

import main_with_database
from llm_integration import LLMConfig, LLMCSVExporter, LLMWorker
from llm_integration.record import DatabaseConfig, DatabaseManager, EmbeddedPostgres, Outbox, SessionRecorder
from llm_integration.record.ledger import PostgresLedger
from llm_integration.sidecar import CloseBounds
from llm_integration.sidecar.ending import Ending
from llm_integration.simulator import OpenRouterSimulator
from trading.config import TradingConfig
from trading.stop_bounds import LAST_RESORT_SECONDS, PROMISED_SECONDS, STOP

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_adds_up_to_less_than_what_is_promised() -> None:
    """All steps, then the last resort, then the promise; each step has a bound of its own."""
    steps = asdict(STOP)
    steps.update(steps.pop("sidecar"))
    assert STOP.total == pytest.approx(sum(steps.values()))
    assert STOP.total < LAST_RESORT_SECONDS < PROMISED_SECONDS
    assert all(seconds > 0 for seconds in steps.values())


def test_the_guarantees_name_the_promise() -> None:
    """What the document says is what the table keeps."""
    text = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    assert f"within {PROMISED_SECONDS:.0f} s" in text


class Stuck:
    """A part of which every method waits for ever, also when it is cancelled: like one on a dead disk."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def hang(self, *_arguments: object, **_words: object) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


def block_a_thread(_part: object, timeout: float, **_words: object) -> None:
    """An exporter's or outbox's ``close`` that blocks its thread for longer than it was told."""
    time.sleep(timeout + 1.0)


HANGING: list[tuple[type, str]] = [
    (LLMWorker, "stop"), (SessionRecorder, "flush"), (PostgresLedger, "close"),
    (DatabaseManager, "end_session"), (DatabaseManager, "close"), (EmbeddedPostgres, "stop"),
]  # fmt: skip


def settings(folder: Path) -> main_with_database.Settings:
    """A simulated run over the sample's bars, with an embedded server."""
    llm = LLMConfig(csv_output_directory=str(folder / "out"), model="simulated/m")
    block = DatabaseConfig(outbox_directory=str(folder / "box"))
    return main_with_database.Settings(
        llm, block, TradingConfig(), main_with_database.SAMPLE_BARS, "EURUSD", simulated=True
    )


@pytest.mark.postgres
@pytest.mark.parametrize("asked", ["before", "meanwhile"])
async def test_parts_that_never_end_take_no_longer_than_the_table(
    asked: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the signal comes in the midst of an end that had all the time it wanted."""
    stuck = Stuck()

    async def start(_server: EmbeddedPostgres) -> str:
        return database_url

    quick = replace(STOP.sidecar, worker=0.2, worker_margin=0.1, stores=0.7, session=0.3, connections=0.2)
    system = main_with_database.TradingSystem(settings(tmp_path))
    system.stop_bounds = bounds = replace(STOP, sidecar=quick)
    monkeypatch.setattr(EmbeddedPostgres, "start", start)
    await system.setup_components()
    parts, worker = system.sidecar.parts, system.worker
    parts.background.start("a loop that never ends", stuck.hang)
    await asyncio.sleep(0)
    simulators: list[OpenRouterSimulator] = []

    async def hang_as_well(simulator: OpenRouterSimulator) -> None:
        simulators.append(simulator)
        await stuck.hang()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenRouterSimulator, "stop", hang_as_well)
        for part, method in HANGING:
            patch.setattr(part, method, stuck.hang)
        for thread in (LLMCSVExporter, Outbox):
            patch.setattr(thread, "close", block_a_thread)
        loop = asyncio.get_running_loop()
        loop.call_later(0.0 if asked == "before" else 0.3, system.request_stop)
        await asyncio.sleep(0)
        began = time.monotonic()
        await system._cleanup()
        took = time.monotonic() - began
    stuck.released.set()
    assert parts.recording is not None
    assert parts.recording.outbox is not None
    assert parts.files is not None
    assert worker is not None
    await worker.stop(1.0)
    for simulator in simulators:
        await simulator.stop()
    await parts.recording.manager.close()
    for ended in (parts.files, parts.recording.outbox):
        await asyncio.to_thread(ended.close, 5.0)
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=5.0)
    assert took < bounds.total - bounds.answers + (0.3 if asked == "meanwhile" else 0.0)


async def test_a_part_that_fails_does_not_keep_the_others_from_their_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged with its cause."""
    ended: list[str] = []

    async def fail(_bounds: CloseBounds) -> None:
        raise ZeroDivisionError("a fault")

    async def end(name: str, _bounds: CloseBounds) -> None:
        ended.append(name)

    ending = Ending()
    ending.worker.add("the worker", fail)
    for step, name in ((ending.stores, "files"), (ending.records, "outbox"), (ending.server, "server")):
        step.add(name, partial(end, name))
    await asyncio.gather(ending.close(), ending.close())
    assert ended == ["files", "outbox", "server"]
    assert "ending the worker failed: a fault" in caplog.text


async def test_whoever_is_cancelled_at_the_end_goes_on_to_its_bound() -> None:
    """Nothing is cut off: the part has ended when the cancellation comes through."""
    ended, begun, goes_on = [], asyncio.Event(), asyncio.Event()

    async def end(_bounds: CloseBounds) -> None:
        begun.set()
        await goes_on.wait()
        ended.append("files")

    ending = Ending()
    ending.stores.add("files", end)
    closing = asyncio.create_task(ending.close())
    await begun.wait()
    closing.cancel()
    await asyncio.sleep(0)
    assert not closing.done()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert ended == ["files"]


BLOCKED = """
import signal, sys, time
from trading.last_resort import LastResort
last = LastResort(0.5, lambda: sys.stdout.write("before\\n") and sys.stdout.flush())
last.start()
signal.signal(signal.SIGUSR1, lambda *_: last.arm())
signal.raise_signal(signal.SIGUSR1)
while True:
    time.sleep(3600)
"""


def test_the_last_resort_ends_a_process_that_is_blocked() -> None:
    """With status 1 and one line, after its last deed."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert time.monotonic() - began < 20
    assert (done.returncode, done.stdout) == (1, "before\n")
    assert done.stderr.count("\n") == 1
    assert "still blocks" in done.stderr
