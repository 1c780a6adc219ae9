"""Results reach the host in order, each once and in time, whatever PostgreSQL makes of them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from llm_integration.domain import Claim, LLMAnalysis, Signal, TaskStatus
from llm_integration.fairness import HANDED_ON_AT_ONCE
from llm_integration.worker.delivering import Delivering
from llm_integration.worker.shared import Shared
from llm_integration.worker.storing import Storing
from llm_integration.worker.tasks import Task
from tests.unit.worker_parts import KeptOnDisk, MemoryDatabase, Sink, no_turns, shared_parts, signal_mapping

MANY = [f"s{number}" for number in range(139)]
IN_TIME_SECONDS = 1.0


class Writer:
    """Storing and delivering, joined as in a worker."""

    def __init__(self, shared: Shared, host: Host) -> None:
        self.book = shared.book
        self.delivering = Delivering(shared, host.sink, host.deliver)
        self.storing = Storing(shared, self.delivering)

    @property
    def elsewhere(self) -> list[str]:
        """Signals whose answers are awaited from other workers."""
        return self.book.awaited_elsewhere


class Host:
    """Callback and files of a host."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.sink = Sink()
        self.outbox = KeptOnDisk()

    def deliver(self, analysis: LLMAnalysis) -> None:
        self.ids.append(analysis.signal_id)

    def writer(
        self,
        database: MemoryDatabase | None,
        *,
        lease_seconds: float = 20.0,
        turn: Callable[[], Awaitable[None]] = no_turns,
    ) -> Writer:
        return Writer(
            shared_parts(database, self.outbox, turn=turn, lease_seconds=lease_seconds, write_batch_size=100),
            self,
        )

    async def has(self, count: int, seconds: float = IN_TIME_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while len(self.ids) < count:  # noqa: ASYNC110  a list has no event
                await asyncio.sleep(0.005)


class Hanging(MemoryDatabase):
    """PostgreSQL behind a black hole: every statement takes for ever until it is healed."""

    def __init__(self) -> None:
        super().__init__()
        self.healed = asyncio.Event()

    async def claim_signals(
        self, signals: Sequence[Signal], *, worker_id: str, lease_seconds: float
    ) -> dict[str, Claim]:
        await self.healed.wait()
        return await super().claim_signals(signals, worker_id=worker_id, lease_seconds=lease_seconds)


class Picky(MemoryDatabase):
    """Refuses for good every statement that holds one of some signals."""

    class NeverError(Exception):
        retryable = False

    def __init__(self, *poison: str) -> None:
        super().__init__()
        self.poison = set(poison)

    async def save_outcomes(self, outcomes: Sequence[tuple[LLMAnalysis, Claim | None]]) -> set[str]:
        if self.poison & {analysis.signal_id for analysis, _ in outcomes}:
            raise self.NeverError("this can never be stored")
        return await super().save_outcomes(outcomes)


def put(writer: Writer, *names: str) -> None:
    for name in names:
        signal = Signal.from_mapping(name, signal_mapping(name)["signal_data"])
        writer.storing.put(Task(signal, 0.0, 1.0), LLMAnalysis(name, TaskStatus.COMPLETED, rating=3))


@asynccontextmanager
async def working(writer: Writer) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(writer.storing.run()), asyncio.create_task(writer.delivering.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize("away", ["refusing", "silent"])
async def test_the_host_has_every_result_within_a_second_while_postgresql_is_away(away: str) -> None:
    """139 results come in while nothing can be stored: all are in files and callbacks, in order, once."""
    database = Hanging() if away == "silent" else MemoryDatabase()
    if away == "refusing":
        database.fault = OSError("connection refused")
    host = Host()
    writer = host.writer(database)
    async with working(writer):
        for names in _parts(MANY, 20):
            put(writer, *names)
            await asyncio.sleep(0.02)
        await host.has(len(MANY))
        assert host.ids == MANY
        assert [row[0].signal_id for row in host.sink.rows] == MANY
        assert writer.book.answers.unstored == len(MANY)
        assert set(host.outbox.held) == set(MANY)
        database.fault = None
        if isinstance(database, Hanging):
            database.healed.set()
        await asyncio.wait_for(writer.storing.wait_until_empty(), 10)
    assert list(database.results) == MANY
    assert host.ids == MANY
    assert host.outbox.held == {}


def _parts(names: Sequence[str], size: int) -> list[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


async def test_results_are_handed_on_a_few_in_each_turn() -> None:
    """A whole batch would hold up the host's loop; nobody is told that all is handed on before it is."""
    host, turns = Host(), []

    async def turn() -> None:
        turns.append(len(host.ids))

    writer = host.writer(None, turn=turn)
    put(writer, *MANY)
    async with working(writer):
        await asyncio.wait_for(writer.delivering.wait_until_empty(), 5)
    assert host.ids == MANY
    steps = [later - earlier for earlier, later in itertools.pairwise([0, *turns])]
    assert max(steps) == HANDED_ON_AT_ONCE


async def test_a_result_that_postgresql_refuses_in_time_is_not_handed_on() -> None:
    """Another worker has finished the task: the host gets that one's answer, not two."""
    host, database = Host(), MemoryDatabase()
    database.elsewhere.add("theirs")
    writer = host.writer(database, lease_seconds=0.0)
    async with working(writer):
        put(writer, "ours", "theirs", "ours too")
        await asyncio.wait_for(writer.storing.wait_until_empty(), 5)
        await asyncio.wait_for(writer.delivering.wait_until_empty(), 5)
    assert host.ids == ["ours", "ours too"]
    assert writer.elsewhere == ["theirs"]
    assert writer.book.answers.refused == 1


async def test_a_result_that_is_refused_late_was_handed_on_and_is_not_awaited_from_elsewhere() -> None:
    """Delivered while PostgreSQL was away, refused afterwards: one answer reaches the host, the first."""
    host, database = Host(), MemoryDatabase()
    database.fault = OSError("connection refused")
    writer = host.writer(database, lease_seconds=0.0)
    async with working(writer):
        put(writer, "theirs")
        await host.has(1)
        database.elsewhere.add("theirs")
        database.fault = None
        await asyncio.wait_for(writer.storing.wait_until_empty(), 10)
    assert host.ids == ["theirs"]
    assert writer.elsewhere == []
    assert writer.book.answers.refused == 1


async def test_a_result_that_waits_for_a_dead_workers_lease_keeps_nobody_from_the_host() -> None:
    """The contested one and those behind it are handed on in order, within a second."""
    host, database = Host(), MemoryDatabase()
    database.elsewhere.add("contested")
    writer = host.writer(database, lease_seconds=60.0)
    async with working(writer):
        put(writer, "first", "contested", "behind")
        await host.has(3)
        assert host.ids == ["first", "contested", "behind"]
        assert writer.book.answers.unstored == 1
        database.elsewhere.clear()
        await asyncio.wait_for(writer.storing.wait_until_empty(), 10)
    assert set(database.results) == {"first", "contested", "behind"}


@pytest.mark.parametrize("poison", [("s0",), ("s31",), ("s5", "s6"), ("s40",), ("s138",)])
async def test_one_result_that_can_never_be_stored_costs_no_other_its_place(poison: tuple[str, ...]) -> None:
    """PostgreSQL refuses a statement for one row: that row is given up, all others are stored."""
    host, database = Host(), Picky(*poison)
    writer = host.writer(database)
    async with working(writer):
        put(writer, *MANY)
        await asyncio.wait_for(writer.storing.wait_until_empty(), 10)
        await asyncio.wait_for(writer.delivering.wait_until_empty(), 5)
    assert set(database.results) == set(MANY) - set(poison)
    assert host.ids == MANY
    assert writer.storing.lost == len(poison)


@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_what_comes_after_the_writers_end_reaches_host_and_outbox(cancelled_first: bool) -> None:
    """However its tasks ended: what they left, and a straggler, are handed on once and kept on disk."""
    host, database = Host(), MemoryDatabase()
    database.fault = OSError("connection refused")
    writer = host.writer(database)
    if cancelled_first:
        async with working(writer):
            await asyncio.sleep(0)
    put(writer, *MANY[:50])
    writer.storing.close()
    put(writer, "straggler")
    assert host.ids == [*MANY[:50], "straggler"]
    assert set(host.outbox.held) == {*MANY[:50], "straggler"}


async def test_asked_to_end_the_writer_tries_once_more_and_leaves_the_rest_to_the_outbox() -> None:
    """It does not sit out anybody's timeout for a database that is known to be away."""
    host, database = Host(), MemoryDatabase()
    database.fault = OSError("connection refused")
    writer = host.writer(database)
    put(writer, "s1", "s2")
    writer.storing.end()
    async with asyncio.timeout(1):
        await writer.storing.run()
    assert set(host.outbox.held) == {"s1", "s2"}
    database.fault = None
    async with asyncio.timeout(1):
        await writer.storing.run()
    assert set(database.results) == {"s1", "s2"}
    assert host.outbox.held == {}
