"""Signals that other workers answer: each answer is handed on once, and an outage only delays it."""

from __future__ import annotations

import logging

import pytest

from llm_integration.domain import LLMAnalysis, Signal, TaskStatus
from llm_integration.worker import book
from llm_integration.worker.delivering import Delivering
from llm_integration.worker.elsewhere import Elsewhere
from llm_integration.worker.ownership import Ownership
from llm_integration.worker.tally import Tally
from llm_integration.worker.tasks import Task
from tests.unit.worker_parts import MemoryDatabase, shared_parts, signal_mapping


class Bench:
    """A look for others' answers on a clock of its own, and what it handed on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.database = MemoryDatabase()
        self.delivered: list[tuple[str, int | None]] = []
        shared = shared_parts(self.database, clock=lambda: self.now)
        self.book = shared.book
        tally = Tally(Ownership(None, worker_id="me", endpoint="x"), health_window=50)
        self.elsewhere = Elsewhere(shared, Delivering(shared, None, self._heard), tally)

    def _heard(self, analysis: LLMAnalysis) -> None:
        self.delivered.append((analysis.signal_id, analysis.rating))

    def wait_for(self, *names: str) -> None:
        """Others hold the tasks of these signals of the host's."""
        signals = [Signal.from_mapping(name, signal_mapping(name)["signal_data"]) for name in names]
        assert self.book.claimed([Task(signal, self.now, self.now + 60) for signal in signals], {}) == []

    def end(self, name: str, rating: int) -> None:
        self.database.results[name] = LLMAnalysis(name, TaskStatus.COMPLETED, rating=rating)


async def test_each_answer_is_handed_on_once() -> None:
    """Open ones are looked for again, also behind many that stay open; a repeated one is one."""
    bench = Bench()
    names = [f"s{number}" for number in range(60)]
    bench.wait_for(*names, "s1")
    bench.end("s1", 4)
    bench.end("s59", 2)
    await bench.elsewhere.look()
    await bench.elsewhere.look()
    bench.end("s30", 1)
    await bench.elsewhere.look()
    assert bench.delivered == [("s1", 4), ("s59", 2), ("s30", 1)]
    assert len(bench.book.awaited_elsewhere) == 57


async def test_an_outage_delays_the_answers() -> None:
    """While PostgreSQL is away nothing is lost and it is not asked over and over."""
    bench = Bench()
    bench.wait_for("s1")
    bench.end("s1", 4)
    bench.database.fault = OSError("connection refused")
    await bench.elsewhere.look()
    bench.database.fault = None
    await bench.elsewhere.look()
    assert bench.delivered == []
    bench.now += 60
    await bench.elsewhere.look()
    assert bench.delivered == [("s1", 4)]


async def test_what_waits_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest are given up, which is said once."""
    monkeypatch.setattr(book, "MOST_ELSEWHERE", 3)
    bench = Bench()
    with caplog.at_level(logging.WARNING):
        bench.wait_for("s1", "s2", "s3", "s4", "s5")
    for number in range(1, 6):
        bench.end(f"s{number}", number)
    await bench.elsewhere.look()
    assert bench.delivered == [("s3", 3), ("s4", 4), ("s5", 5)]
    assert len(caplog.records) == 1


async def test_what_the_host_never_asked_for_is_not_awaited() -> None:
    """A task from PostgreSQL that another worker got is that one's alone."""
    bench = Bench()
    signal = Signal.from_mapping("s1", signal_mapping("s1")["signal_data"])
    bench.book.claimed([Task(signal, bench.now, bench.now + 60, from_memory=False)], {})
    bench.end("s1", 4)
    await bench.elsewhere.look()
    assert bench.delivered == []
