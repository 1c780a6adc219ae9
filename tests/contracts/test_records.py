"""What every record of tasks and results must do: PostgreSQL through DatabaseManager, and memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from database.db_manager import DatabaseManager
from llm_integration.domain import Claim, Opinion, TaskScope, TaskStatus
from llm_integration.ports import Record
from llm_integration.record.memory import MemoryRecord, MemoryTables
from tests.integration.database_helpers import LEASE, answer, failure, signal

Process = Callable[[], Awaitable[Record]]
"""One more process on the same record."""
A, B = "worker-a", "worker-b"
ODD_IDS = ["ES-1", "", "ö\u2028", "nul \0 in it", "\ud800 alone", "x" * 3_000, "'; DROP TABLE t; --"]


@pytest.fixture(params=["postgresql", "memory"])
async def process(request: pytest.FixtureRequest) -> AsyncIterator[Process]:
    """Records of processes that share one store, which is empty."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            tables = MemoryTables()

            async def more() -> Record:
                return MemoryRecord(tables)
        else:
            url = request.getfixturevalue("database_url")

            async def more() -> Record:
                return await stack.enter_async_context(DatabaseManager(url))

        yield more


@pytest.fixture
async def record(process: Process) -> Record:
    """One record."""
    return await process()


async def claimed(record: Record, name: str = "s-1", *, by: str = A, lease: float = LEASE) -> Claim:
    """A claim on a signal that is free."""
    claims = await record.claim_signals([signal(name)], worker_id=by, lease_seconds=lease)
    return claims[name]


async def waiting(record: Record, *, by: str = B, limit: int = 10, lease: float = LEASE) -> list[str]:
    """The ids of what a worker finds waiting, and claims."""
    found = await record.claim_waiting(worker_id=by, limit=limit, lease_seconds=lease)
    return [got.signal_id for _, got in found]


async def status_of(record: Record, name: str = "s-1") -> TaskStatus | None:
    """How a signal ended; None while it has not."""
    found = await record.finished_analyses([name])
    return found[0].status if found else None


async def test_a_signal_that_was_recorded_waits_for_anybody(record: Record) -> None:
    """It comes back with its bars and values, claimed, and then waits no more."""
    assert await record.record_signals([signal("s-1"), signal("s-2")]) == 2
    ((claim, got), second) = await record.claim_waiting(worker_id=B, limit=10, lease_seconds=LEASE)
    assert got == signal("s-1")
    assert (claim.signal_id, claim.attempts, second[1].signal_id) == ("s-1", 1, "s-2")
    assert 0 <= claim.age_seconds < 60
    assert await waiting(record) == []


async def test_what_is_repeated_changes_nothing(record: Record) -> None:
    """The confirmation may have been lost on the way: a signal is stored once, and first values stay."""
    await record.record_signals([signal("s-1")])
    await record.record_signals([signal("s-1", symbol="other")])
    ((_, got),) = await record.claim_waiting(worker_id=B, limit=10, lease_seconds=LEASE)
    assert got.symbol == signal().symbol


async def test_a_reservation_is_its_workers(process: Process) -> None:
    """Nobody takes what a living worker is about to get through memory, not even itself by another way."""
    mine, other = await process(), await process()
    await mine.record_signals([signal("s-1")], worker_id=A)
    assert await waiting(other, by=B) == []
    assert await waiting(mine, by=A) == []
    assert set(await mine.claim_signals([signal("s-1")], worker_id=A, lease_seconds=LEASE)) == {"s-1"}


async def test_of_two_workers_one_gets_the_task(process: Process) -> None:
    """The second is told nothing about it while the first is alive."""
    one, two = await process(), await process()
    assert await claimed(one, by=A)
    assert await two.claim_signals([signal("s-1")], worker_id=B, lease_seconds=LEASE) == {}
    assert await waiting(two) == []


async def test_the_task_of_a_dead_worker_is_free_and_its_answer_too_late(process: Process) -> None:
    """Its lease has run out; the claim of its successor voids its own."""
    dead, alive = await process(), await process()
    old = await claimed(dead, by=A, lease=0.0)
    ((new, _),) = await alive.claim_waiting(worker_id=B, limit=10, lease_seconds=LEASE)
    assert new.attempts == old.attempts + 1
    assert await dead.save_outcomes([(answer("s-1", rating=1), old)]) == set()
    assert await alive.save_outcomes([(answer("s-1", rating=4), new)]) == {"s-1"}
    (ended,) = await dead.finished_analyses(["s-1"])
    assert ended.rating == 4


async def test_a_heartbeat_keeps_what_a_worker_holds(process: Process) -> None:
    """The task's own lease may have run out: the worker's covers all it has."""
    one, two = await process(), await process()
    await one.heartbeat(A, lease_seconds=LEASE)
    claim = await claimed(one, by=A, lease=0.0)
    assert await waiting(two) == []
    await one.heartbeat(A, lease_seconds=0.0)
    assert await waiting(two, lease=0.0) == ["s-1"]
    assert await one.save_outcomes([(answer("s-1"), claim)]) == set()


async def test_a_worker_that_retires_may_still_bring_its_answer(
    process: Process,
) -> None:
    """The claim is good until somebody else is given the task."""
    one, two = await process(), await process()
    await one.heartbeat(A, lease_seconds=LEASE)
    first, second = await claimed(one, "s-1", by=A), await claimed(one, "s-2", by=A)
    await one.retire_worker(A)
    assert await one.save_outcomes([(answer("s-1"), first)]) == {"s-1"}
    assert await waiting(two) == ["s-2"]
    assert await one.save_outcomes([(answer("s-2"), second)]) == set()


async def test_what_is_released_is_anybodys_at_once(process: Process) -> None:
    """And its claim is void; one that is void already, or was never given, is passed over."""
    one, two = await process(), await process()
    claim = await claimed(one, by=A)
    await one.release([replace(claim, claim_id="nonsense"), claim])
    await one.release([claim])
    assert await one.save_outcomes([(answer("s-1"), claim)]) == set()
    assert await waiting(two) == ["s-1"]


async def test_the_same_result_again_is_accepted(record: Record) -> None:
    """Its confirmation was lost: with a claim or without one, it is recognised, and nothing changes."""
    claim = await claimed(record)
    for _ in range(2):
        assert await record.save_outcomes([(answer("s-1", rating=4), claim)]) == {"s-1"}
    assert await record.save_outcomes([(answer("s-1", rating=1), None)]) == set()
    for _ in range(2):
        assert await record.save_outcomes([(answer("s-2", rating=2), None)]) == {"s-2"}
    found = {ended.signal_id: ended.rating for ended in await record.finished_analyses(["s-1", "s-2", "s-3"])}
    assert found == {"s-1": 4, "s-2": 2}


async def test_a_result_without_a_claim_ends_what_nobody_else_holds(process: Process) -> None:
    """The record was away when the work began. Its own workers' tasks may end so, those of others not."""
    one, two = await process(), await process()
    await one.record_signals([signal("mine")], worker_id=A)
    await one.record_signals([signal("free")])
    await claimed(two, "theirs", by=B)
    ended = [(answer(name), None) for name in ("mine", "free", "theirs", "unheard of")]
    assert await one.save_outcomes(ended) == {"mine", "free", "unheard of"}
    assert await status_of(one, "theirs") is None
    assert await waiting(two, by="worker-c") == []


async def test_a_signal_may_come_after_its_result(record: Record) -> None:
    """It was kept elsewhere meanwhile; its task has its end, and nobody is asked about it again."""
    await record.save_outcomes([(answer("s-1"), None)])
    await record.record_signals([signal("s-1")])
    assert await record.claim_signals([signal("s-1")], worker_id=A, lease_seconds=LEASE) == {}
    assert await waiting(record) == []
    assert await status_of(record) is TaskStatus.COMPLETED


async def test_a_failure_has_its_reason_and_what_it_cost(record: Record) -> None:
    """And no rating."""
    claim = await claimed(record)
    await record.save_outcomes([(failure("s-1", error="refused", cost_usd=answer().cost_usd), claim)])
    (ended,) = await record.finished_analyses(["s-1"])
    assert (ended.status, ended.error, ended.cost_usd) == (TaskStatus.FAILED, "refused", answer().cost_usd)
    assert ended.rating is None
    assert ended.processed_at is not None


async def test_an_answer_reads_back_as_it_was_saved(record: Record) -> None:
    """With the number of its task, and without the opinions, which are asked for apart."""
    claim = await claimed(record)
    await record.save_outcomes([(answer("s-1", opinions=(Opinion("ensemble", "a/b", rating=4),)), claim)])
    assert await record.finished_analyses(["s-1"]) == [answer("s-1", task_id=claim.task_id)]


async def test_tasks_of_other_sessions_and_endpoints_are_left_alone(process: Process) -> None:
    """A worker takes what its scope allows; the scope may grow while it works."""
    host, worker = await process(), await process()
    host.work_for(TaskScope(endpoint="https://one"))
    await host.record_signals([signal("here", session_id="mine"), signal("other", session_id="theirs")])
    await host.record_signals([signal("none", session_id=None)])
    host.work_for(TaskScope(endpoint="https://two"))
    await host.record_signals([signal("elsewhere", session_id="mine")])
    sessions: set[str | None] = {"mine"}
    worker.work_for(TaskScope(sessions=sessions, endpoint="https://one"))
    assert await waiting(worker) == ["here"]
    sessions.add(None)
    assert await waiting(worker) == ["none"]
    worker.work_for(TaskScope(sessions=sessions, endpoint="https://one", any_endpoint=True))
    assert await waiting(worker) == ["elsewhere"]
    worker.work_for(TaskScope())
    assert await waiting(worker) == ["other"]


async def test_the_oldest_come_first_and_what_is_known_is_passed_over(record: Record) -> None:
    """A bound is kept however much waits."""
    await record.record_signals([signal(f"s-{at}") for at in range(6)])
    found = await record.claim_waiting(worker_id=B, limit=2, lease_seconds=LEASE, exclude=("s-0", "s-2"))
    assert [got.signal_id for _, got in found] == ["s-1", "s-3"]
    assert await waiting(record, limit=10) == ["s-0", "s-2", "s-4", "s-5"]


async def test_what_shadows_say_needs_a_task(record: Record) -> None:
    """It is stored whenever it comes; about a signal that nobody knows it is refused for good."""
    await record.save_opinions("nobody", [])
    with pytest.raises(LookupError) as refused:
        await record.save_opinions("nobody", [Opinion("shadow", "a/b", rating=1)])
    assert getattr(refused.value, "retryable", True) is False
    await record.record_signals([signal("s-1")])
    await record.save_opinions("s-1", [Opinion("shadow", "a/b", rating=1)])


@pytest.mark.parametrize("name", ODD_IDS, ids=ascii)
async def test_any_text_is_an_id(record: Record, name: str) -> None:
    """What is asked by an id is answered by it, whatever is in it."""
    claim = await claimed(record, name)
    assert claim.signal_id == name
    assert await record.save_outcomes([(answer(name), claim)]) == {name}
    (ended,) = await record.finished_analyses([name])
    assert ended.signal_id == name


async def test_nothing_is_asked_for_nothing(record: Record) -> None:
    """Empty lists are answered, and ids that nobody knows are passed over."""
    assert await record.record_signals([]) == 0
    assert await record.claim_signals([], worker_id=A, lease_seconds=LEASE) == {}
    assert await record.save_outcomes([]) == set()
    assert await record.finished_analyses(["nobody"]) == []
    await record.release([Claim(7, "nobody", "00000000-0000-0000-0000-000000000007")])
    await record.retire_worker("nobody")
