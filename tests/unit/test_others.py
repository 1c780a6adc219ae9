"""Signals that other workers answer: each answer is handed on once, and an outage only delays it."""

from __future__ import annotations

import logging

import pytest

from llm_integration.domain import LLMAnalysis, Signal, TaskStatus
from llm_integration.worker import others
from llm_integration.worker.others import Others
from llm_integration.worker.outage import Outage
from tests.unit.worker_parts import MemoryDatabase, signal_mapping


class Bench:
    """Others on a clock of their own, and what they handed on."""

    def __init__(self, *, database: bool = True) -> None:
        self.now = 100.0
        self.database = MemoryDatabase()
        self.delivered: list[tuple[str, int | None]] = []
        self.others = Others(self.database if database else None, Outage(lambda: self.now), self._deliver)

    def _deliver(self, signal: Signal, analysis: LLMAnalysis) -> None:
        self.delivered.append((signal.signal_id, analysis.rating))

    def wait_for(self, *names: str) -> None:
        for name in names:
            self.others.wait_for(Signal.from_mapping(name, signal_mapping(name)["signal_data"]))

    def end(self, name: str, rating: int) -> None:
        self.database.results[name] = LLMAnalysis(name, TaskStatus.COMPLETED, rating=rating)


async def test_each_answer_is_handed_on_once() -> None:
    """Open ones are looked for again, also behind many that stay open; a repeated one is one."""
    bench = Bench()
    names = [f"s{number}" for number in range(60)]
    bench.wait_for(*names, "s1")
    bench.end("s1", 4)
    bench.end("s59", 2)
    await bench.others.look()
    await bench.others.look()
    bench.end("s30", 1)
    await bench.others.look()
    assert bench.delivered == [("s1", 4), ("s59", 2), ("s30", 1)]
    assert bench.others.waiting == 57


async def test_an_outage_delays_the_answers() -> None:
    """While PostgreSQL is away nothing is lost and it is not asked over and over."""
    bench = Bench()
    bench.wait_for("s1")
    bench.end("s1", 4)
    bench.database.fault = OSError("connection refused")
    await bench.others.look()
    bench.database.fault = None
    await bench.others.look()
    assert bench.delivered == []
    bench.now += 60
    await bench.others.look()
    assert bench.delivered == [("s1", 4)]


async def test_what_waits_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest are given up, which is said once."""
    monkeypatch.setattr(others, "MOST_WAITING", 3)
    bench = Bench()
    with caplog.at_level(logging.WARNING):
        bench.wait_for("s1", "s2", "s3", "s4", "s5")
    for number in range(1, 6):
        bench.end(f"s{number}", number)
    await bench.others.look()
    assert bench.delivered == [("s3", 3), ("s4", 4), ("s5", 5)]
    assert len(caplog.records) == 1


async def test_without_a_database_there_are_no_others() -> None:
    """Nothing is remembered for nobody."""
    bench = Bench(database=False)
    bench.wait_for("s1")
    assert bench.others.waiting == 0
    await bench.others.look()
