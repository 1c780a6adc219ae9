"""The table of bounds adds up, the program keeps to it whatever hangs, and the last resort comes after it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import main_with_database
from llm_integration import LLMConfig
from llm_integration.record.config import DatabaseConfig
from trading.config import TradingConfig
from trading.stop_bounds import LAST_RESORT_SECONDS, PROMISED_SECONDS, STOP, StopBounds

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_adds_up_to_less_than_what_is_promised() -> None:
    """All steps, then the last resort, then the promise; each step has a bound of its own."""
    assert STOP.total == pytest.approx(sum(asdict(STOP).values()))
    assert STOP.total < LAST_RESORT_SECONDS < PROMISED_SECONDS
    assert all(seconds > 0 for seconds in asdict(STOP).values())


def test_the_guarantees_name_the_promise() -> None:
    """What the document says is what the table keeps."""
    text = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    assert f"within {PROMISED_SECONDS:.0f} s" in text


class Hanging:
    """A part of which every method waits for ever, also when it is cancelled: like one on a dead disk."""

    connected = True

    def __init__(self) -> None:
        self.released = asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def hang(*_arguments: object, **_words: object) -> bool:
            while not self.released.is_set():
                try:
                    await self.released.wait()
                except asyncio.CancelledError:
                    continue
            return True

        return hang


class HangingThread:
    """An exporter or outbox whose ``close`` blocks its thread for longer than it was told."""

    def close(self, timeout: float, **_words: object) -> None:
        time.sleep(timeout + 1.0)


def system(bounds: StopBounds) -> main_with_database.TradingSystem:
    """A trading system of which nothing was set up yet."""
    settings = main_with_database.Settings(
        LLMConfig(), DatabaseConfig(), TradingConfig(), main_with_database.SAMPLE_BARS, "EURUSD"
    )
    found = main_with_database.TradingSystem(settings)
    found.stop_bounds = bounds
    return found


@pytest.mark.parametrize("asked", ["before", "meanwhile"])
async def test_parts_that_never_end_take_no_longer_than_the_table(asked: str) -> None:
    """Also when the signal comes in the midst of an end that had all the time it wanted."""
    bounds = replace(STOP, worker=0.2, worker_margin=0.1, stores=0.7, session=0.3, connections=0.2)
    stuck: Any = system(bounds)
    stuck.worker = stuck.recorder = stuck.database = stuck._simulator = stuck._embedded = hanging = Hanging()
    stuck.exporter = stuck.outbox = HangingThread()
    background = asyncio.create_task(hanging.run(), name="background")
    stuck._background.append(background)
    loop = asyncio.get_running_loop()
    loop.call_later(0.0 if asked == "before" else 0.3, stuck.request_stop)
    await asyncio.sleep(0)
    began = time.monotonic()
    try:
        await stuck._cleanup()
        took = time.monotonic() - began
    finally:
        hanging.released.set()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    assert took < bounds.total - bounds.answers + (0.3 if asked == "meanwhile" else 0.0)


async def test_a_part_that_fails_does_not_keep_the_others_from_their_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged with its cause."""

    class Failing:
        async def stop(self, _timeout: float) -> None:
            raise ZeroDivisionError("a fault")

    class Counting:
        ended = 0

        def close(self, _timeout: float, **_words: object) -> None:
            self.ended += 1

    faulty: Any = system(STOP)
    faulty.worker, faulty.exporter, faulty.outbox = Failing(), Counting(), Counting()
    await faulty._cleanup()
    assert (faulty.exporter.ended, faulty.outbox.ended) == (1, 1)
    assert "ending the worker failed: a fault" in caplog.text


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
