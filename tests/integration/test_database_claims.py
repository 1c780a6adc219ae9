"""Claims, leases and the fence, with several workers on one real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from database.db_manager import DatabaseManager
from llm_integration.domain import Claim
from llm_integration.record.task_store import PAGE
from tests.integration.database_helpers import LEASE, age_reservations, answer, failure, lapse, plain, signal


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[DatabaseManager]:
    """A manager of another process."""
    async with DatabaseManager(database_url) as manager:
        yield manager


async def waiting(db: DatabaseManager, worker_id: str, limit: int = 10, **more: list[str]) -> list[Claim]:
    """What ``worker_id`` gets when it looks for work."""
    found = await db.claim_waiting(worker_id=worker_id, limit=limit, lease_seconds=LEASE, **more)
    return [claim for claim, _ in found]


async def claim(db: DatabaseManager, worker_id: str, *ids: str) -> dict[str, Claim]:
    """What ``worker_id`` gets of the signals ``ids``."""
    signals = [signal(name) for name in ids]
    return await db.claim_signals(signals, worker_id=worker_id, lease_seconds=LEASE)


async def test_of_many_workers_one_gets_the_task(db: DatabaseManager, other: DatabaseManager) -> None:
    """Two processes that claim the same signals at the same moment share them without overlap."""
    ids = [f"s-{number}" for number in range(20)]
    results = await asyncio.gather(
        *(
            claim((db, other)[number % 2], f"w-{number}", *ids[:: -1 if number % 3 else 1])
            for number in range(8)
        )
    )
    assert sorted(name for claims in results for name in claims) == sorted(ids)


async def test_of_many_workers_that_look_for_work_each_gets_its_own(
    db: DatabaseManager, other: DatabaseManager
) -> None:
    """Looking at the same time neither blocks nor gives a task twice."""
    await asyncio.gather(*(db.record_signal(signal(f"s-{number}")) for number in range(30)))
    results = await asyncio.gather(*(waiting((db, other)[n % 2], f"w-{n}", 7) for n in range(8)))
    found = [one.signal_id for claims in results for one in claims]
    assert len(found) == len(set(found))
    found += [one.signal_id for one in await waiting(db, "w-last", 30)]
    assert sorted(found) == sorted(f"s-{number}" for number in range(30))


async def test_work_is_given_out_oldest_first_and_within_the_limit(db: DatabaseManager) -> None:
    """FIFO, and no more than asked for; known signals are passed over."""
    for name in ("b", "a", "d", "c"):
        await db.record_signal(signal(name))
    assert [one.signal_id for one in await waiting(db, "w", 2, exclude=["a"])] == ["b", "d"]
    assert await waiting(db, "w", 0) == []
    assert [one.signal_id for one in await waiting(db, "v", 9)] == ["a", "c"]


async def test_work_is_found_behind_a_long_backlog_of_known_signals(
    db: DatabaseManager, database_url: str
) -> None:
    """A look goes through all that the worker has itself, page by page, whatever its ids, to what is free."""
    odd = "x" * 5_000
    own = [signal(odd), *(signal(f"own-{number:04}") for number in range(2 * PAGE + 10))]
    await db.record_signals(own, worker_id="w")
    await db.record_signals([signal("free-1"), signal("free-2")])
    await age_reservations(database_url)
    known = [each.signal_id for each in own]
    assert [one.signal_id for one in await waiting(db, "w", 5, exclude=known)] == ["free-1", "free-2"]
    (lost,) = await waiting(db, "w", 5, exclude=known[:PAGE] + known[PAGE + 1 :])
    assert lost.signal_id == known[PAGE]


async def test_stored_signals_are_claimed_like_others(db: DatabaseManager, other: DatabaseManager) -> None:
    """By their ids alone, each in one of three states; and one that has left the tables comes back."""
    names = ["free", "taken", "done", "lost", "x" * 5_000]
    await db.record_signals([signal(name) for name in names])
    ended = (await claim(other, "v", "done", "taken"))["done"]
    assert await db.save_outcomes([(answer("done"), ended)]) == {"done"}
    await db.connections.fetch("losing a task", "DELETE FROM trading_signals WHERE signal_id = 'lost'")
    claims = await claim(db, "w", *names)
    assert set(claims) == {"free", "lost", "x" * 5_000}
    assert {one.attempts for one in claims.values()} == {1}
    assert await db.save_outcomes([(answer(name), one) for name, one in claims.items()]) == set(claims)
    assert await claim(db, "w", *names) == {}


async def test_a_live_workers_tasks_are_left_alone(db: DatabaseManager, other: DatabaseManager) -> None:
    """Neither the claimed nor the reserved task of a living worker goes to another."""
    await claim(db, "w", "claimed")
    await db.record_signal(signal("reserved"), worker_id="w")
    assert await waiting(other, "v") == []
    assert await claim(other, "v", "claimed", "reserved") == {}


async def test_a_task_whose_leases_ran_out_is_taken_back(
    db: DatabaseManager, other: DatabaseManager, database_url: str
) -> None:
    """A dead worker's claims and reservations go to the next one that looks."""
    await db.heartbeat("w", lease_seconds=LEASE)
    await claim(db, "w", "claimed")
    await db.record_signal(signal("reserved"), worker_id="w")
    await lapse(database_url)
    assert [(one.signal_id, one.attempts) for one in await waiting(other, "v")] == [
        ("claimed", 2),
        ("reserved", 1),
    ]


async def test_one_heartbeat_keeps_everything_a_worker_holds(
    db: DatabaseManager, other: DatabaseManager, database_url: str
) -> None:
    """The tasks' own leases may run out as long as the worker's heart beats."""
    await claim(db, "w", "claimed")
    await db.record_signal(signal("reserved"), worker_id="w")
    await lapse(database_url)
    await db.heartbeat("w", lease_seconds=LEASE)
    assert await waiting(other, "v") == []
    assert await claim(other, "v", "claimed", "reserved") == {}


async def test_a_claim_protects_before_the_first_heartbeat(
    db: DatabaseManager, other: DatabaseManager, database_url: str
) -> None:
    """A worker without a row of its own is covered by the lease on the task."""
    await claim(db, "w", "s-1")
    async with plain(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM llm_workers") == 0
    assert await waiting(other, "v") == []


async def test_a_worker_given_up_for_dead_cannot_overwrite(
    db: DatabaseManager, other: DatabaseManager, database_url: str
) -> None:
    """The late answer of the first worker is refused, before and after the second one's."""
    old = (await claim(db, "w", "s-1"))["s-1"]
    await lapse(database_url)
    (new,) = await waiting(other, "v")
    assert await db.save_outcomes([(answer(rating=1), old)]) == set()
    assert await other.save_outcomes([(answer(rating=5), new)]) == {"s-1"}
    assert await db.save_outcomes([(answer(rating=1), old)]) == set()
    assert await db.save_outcomes([(failure(), old)]) == set()
    assert (await db.get_enhanced_signal_data("s-1"))["rating"] == 5


async def test_a_late_answer_is_good_while_nobody_else_was_given_the_task(
    db: DatabaseManager, database_url: str
) -> None:
    """A paid answer is not thrown away just because its lease ran out or its worker retired."""
    claims = await claim(db, "w", "late", "retired")
    await lapse(database_url)
    assert await db.save_outcomes([(answer("late"), claims["late"])]) == {"late"}
    await db.retire_worker("w")
    assert await db.save_outcomes([(answer("retired"), claims["retired"])]) == {"retired"}


async def test_a_retired_workers_tasks_are_free_at_once(db: DatabaseManager, other: DatabaseManager) -> None:
    """After a clean stop nothing waits for a lease; finished tasks stay finished."""
    await db.heartbeat("w", lease_seconds=LEASE)
    claims = await claim(db, "w", "done", "open")
    await db.record_signal(signal("reserved"), worker_id="w")
    await db.save_outcomes([(answer("done"), claims["done"])])
    await db.retire_worker("w")
    assert (await db.get_enhanced_signal_data("open"))["status"] == "pending"
    assert [one.signal_id for one in await waiting(other, "v")] == ["open", "reserved"]


async def test_a_released_task_is_pending_and_its_claim_void(
    db: DatabaseManager, other: DatabaseManager
) -> None:
    """What a worker hands back is free for anybody; releasing twice or too late does no harm."""
    claims = await claim(db, "w", "a", "b")
    await db.save_outcomes([(answer("b"), claims["b"])])
    await db.release([*claims.values(), Claim(1, "a", "not-a-uuid")])
    assert await db.save_outcomes([(answer("a"), claims["a"])]) == set()
    (taken,) = await waiting(other, "v")
    await db.release(list(claims.values()))
    await db.release([])
    assert await other.save_outcomes([(answer("a"), taken)]) == {"a"}
    assert (await db.get_enhanced_signal_data("b"))["status"] == "completed"


async def test_a_worker_may_claim_again_what_it_holds(db: DatabaseManager) -> None:
    """The newer claim counts; the confirmation of the older one may have been lost."""
    first = (await claim(db, "w", "s-1"))["s-1"]
    second = (await claim(db, "w", "s-1"))["s-1"]
    assert (second.task_id, second.attempts) == (first.task_id, 2)
    assert await db.save_outcomes([(answer(), first)]) == set()
    assert await db.save_outcomes([(answer(), second)]) == {"s-1"}


async def test_a_finished_task_is_not_claimed_again(db: DatabaseManager) -> None:
    """Answers that were paid for are not asked for again."""
    claims = await claim(db, "w", "s-1")
    await db.save_outcomes([(answer(), claims["s-1"])])
    assert set(await claim(db, "w", "s-1", "s-2")) == {"s-2"}
    assert await waiting(db, "v") == []


async def test_a_fresh_reservation_is_left_for_the_hand_over_in_memory(
    db: DatabaseManager, database_url: str
) -> None:
    """The worker takes its own reservation from PostgreSQL only when it did not come through memory."""
    await db.record_signal(signal(), worker_id="w")
    assert await waiting(db, "w") == []
    await age_reservations(database_url)
    assert [one.signal_id for one in await waiting(db, "w")] == ["s-1"]


async def test_a_worker_does_not_take_from_itself_what_it_has_just_claimed(
    db: DatabaseManager, database_url: str
) -> None:
    """Looking for waiting tasks voids no fresh claim of its own: were the reply lost, it would not know."""
    fresh = (await claim(db, "w", "s-1"))["s-1"]
    assert await waiting(db, "w") == []
    assert await db.save_outcomes([(answer(), fresh)]) == {"s-1"}
    await claim(db, "w", "s-2")  # and its reply never came
    await age_reservations(database_url)
    assert [one.signal_id for one in await waiting(db, "w")] == ["s-2"]


async def test_a_signal_repeated_within_a_batch_is_claimed_once(db: DatabaseManager) -> None:
    """The last claim of a repeated id is the valid one."""
    claims = await claim(db, "w", "a", "b", "a")
    assert set(claims) == {"a", "b"}
    assert await db.save_outcomes([(answer("a"), claims["a"])]) == {"a"}


async def test_workers_that_died_long_ago_are_forgotten(db: DatabaseManager, database_url: str) -> None:
    """Kills leave no rows for ever; a worker that comes back late is alive again."""
    await db.heartbeat("dead", lease_seconds=LEASE)
    await db.heartbeat("late", lease_seconds=LEASE)
    async with plain(database_url) as connection:
        await connection.execute("UPDATE llm_workers SET lease_expires_at = now() - interval '2 days'")
        await db.heartbeat("late", lease_seconds=LEASE)
        found = await connection.fetch("SELECT worker_id, lease_expires_at > now() FROM llm_workers")
    assert [tuple(row) for row in found] == [("late", True)]


async def test_leases_go_by_the_clock_of_the_database(db: DatabaseManager, database_url: str) -> None:
    """No time of a client enters a lease."""
    await db.heartbeat("w", lease_seconds=LEASE)
    await claim(db, "w", "s-1")
    async with plain(database_url) as connection:
        left = await connection.fetchrow(
            "SELECT extract(epoch FROM lease_expires_at - clock_timestamp())::float8, (SELECT "
            "extract(epoch FROM lease_expires_at - clock_timestamp())::float8 FROM llm_workers) "
            "FROM llm_enhancement_tasks"
        )
    assert left is not None
    assert all(LEASE - 20 < seconds <= LEASE for seconds in left)
