"""Signals that wait in memory alone: when they are stored, in how many statements, and where in an outage."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from llm_integration.domain import Signal
from llm_integration.worker.reading import SignalReader
from llm_integration.worker.recording import AT_ONCE, WAITED_SECONDS, SignalRecording
from tests.unit.worker_parts import KeptOnDisk, MemoryDatabase, shared_parts, signal_mapping


class RefusedError(Exception):
    """PostgreSQL will never take it."""

    retryable = False


class Counting(MemoryDatabase):
    """Notes how many signals came with each statement."""

    def __init__(self) -> None:
        super().__init__()
        self.statements: list[int] = []

    async def record_signals(self, signals: Sequence[Signal], *, worker_id: str | None = None) -> int:
        self.statements.append(len(signals))
        return await super().record_signals(signals, worker_id=worker_id)


class Bench:
    """A recording on a clock of its own."""

    def __init__(self, *, database: bool = True) -> None:
        self.now = 100.0
        self.database, self.outbox = Counting(), KeptOnDisk()
        shared = shared_parts(self.database if database else None, self.outbox, clock=lambda: self.now)
        self.store = shared.store
        self.recording = SignalRecording(shared, SignalReader(shared.turn))

    def add(self, *names: str) -> None:
        for name in names:
            self.store.add_signal(signal_mapping(name))

    async def later(self, seconds: float = WAITED_SECONDS) -> bool:
        """What ``store_waiting`` says some time later."""
        self.now += seconds
        return await self.recording.store_waiting()


async def test_what_waits_together_is_stored_together() -> None:
    """Forty signals take two statements, in the order in which they were found."""
    bench = Bench()
    names = [f"s{number}" for number in range(AT_ONCE + 8)]
    bench.add(*names)
    assert await bench.later()
    assert not await bench.later(0)
    assert bench.database.recorded == names
    assert bench.database.statements == [AT_ONCE, 8]


async def test_a_signal_that_is_asked_about_at_once_is_left_to_its_claim() -> None:
    """Only what has waited for a while is stored, and what was taken meanwhile is not."""
    bench = Bench()
    bench.add("taken", "waits")
    assert not await bench.later(WAITED_SECONDS / 2)
    assert bench.database.recorded == []
    assert bench.recording.pause() == WAITED_SECONDS
    bench.store.take_pending(1)
    await bench.later()
    assert bench.database.recorded == ["waits"]
    assert bench.recording.pause() is None


async def test_in_an_outage_they_are_on_disk_and_stored_in_order_afterwards() -> None:
    """Nothing waits in memory alone, and PostgreSQL gets all of it with one statement when it is back."""
    bench = Bench()
    bench.database.fault = OSError("connection refused")
    bench.add("s0", "s1")
    await bench.later()
    bench.add("s2")
    await bench.later()
    assert list(bench.outbox.signals) == ["s0", "s1", "s2"]
    bench.database.fault = None
    await bench.later(60)
    assert bench.database.recorded == ["s0", "s1", "s2"]
    assert bench.database.statements[-1] == 3
    assert bench.outbox.signals == {}


async def test_what_is_rated_unclaimed_is_on_disk_too() -> None:
    """A signal in hand that PostgreSQL could not be told of survives a kill like one that waits."""
    bench = Bench()
    bench.recording.keep([Signal.from_mapping("s0", signal_mapping("s0")["signal_data"])])
    assert list(bench.outbox.signals) == ["s0"]
    await bench.later()
    assert bench.database.recorded == ["s0"]
    assert bench.outbox.signals == {}


async def test_a_refusal_for_good_is_told_and_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """What PostgreSQL will never take does not hold up the others."""
    bench = Bench()
    bench.database.fault = RefusedError("no such column")
    bench.add("s0")
    with caplog.at_level(logging.ERROR):
        await bench.later()
    assert "s0" in caplog.text
    assert "no such column" in caplog.text
    bench.database.fault = None
    bench.add("s1")
    await bench.later()
    assert bench.database.recorded == ["s1"]
    assert bench.outbox.signals == {}


async def test_without_a_database_nothing_is_followed_or_kept() -> None:
    """A host that stores its signals itself, or has no database, pays nothing for this."""
    bench = Bench(database=False)
    bench.add("s0")
    assert not await bench.later(60)
    bench.recording.keep([Signal.from_mapping("s1", {})])
    assert not bench.store.untold
    assert bench.recording.pause() is None
    assert bench.outbox.signals == {}
