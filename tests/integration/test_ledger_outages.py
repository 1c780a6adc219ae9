"""The ledger while PostgreSQL is away: budgets are never guessed, notes wait, and nothing hangs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from database.db_manager import DatabaseManager
from llm_integration.availability import MEANWHILE, Availability
from llm_integration.budget import BudgetExceededError
from llm_integration.record.errors import DatabaseUnavailableError
from llm_integration.record.ledger import AWAY_SECONDS, PostgresLedger
from tests.integration.database_helpers import plain
from tests.integration.test_database_outages import Proxy, impatient
from tests.integration.test_ledger import CENT4, DAILY, KEY, ledger, refused, rows, running, sums
from tests.unit.budget_parts import ZERO, request

CENT = Decimal("0.01")


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """A proxy before a fresh database."""
    server = Proxy(database_url)
    yield server
    await server.stop()


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was announced, and forget it."""
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    caplog.clear()
    return found


async def until(url: str, count: int) -> list[dict[str, Any]]:
    """The rows of the ledger as soon as there are ``count`` that have an end."""
    async with asyncio.timeout(20):
        while True:
            found = [row for row in await rows(url) if row["settled_at"] is not None]
            if len(found) >= count:
                return found


async def test_budgets_that_cannot_be_asked_let_nothing_through(proxy: Proxy) -> None:
    """The bound comes first: the signal waits, knows for how long, and is not kept hanging."""
    clock = Clock()
    async with impatient(await proxy.start(), acquire_timeout=1.5, statement_timeout=1.5) as db:
        guard = ledger(db, DAILY, clock=clock)
        await guard.reserve(request())
        proxy.swallow()
        started = time.monotonic()
        error = await refused(guard, request())
        assert time.monotonic() - started < 8
        assert error is not None
        assert error.retry_after == AWAY_SECONDS
        assert "budgets cannot be checked, so nothing is sent" in str(error)
        proxy.pass_on()
        assert "a moment ago" in str(await refused(guard, request()))
        clock.now += AWAY_SECONDS
        assert await refused(guard, request()) is None


async def test_without_budgets_nobody_waits_for_postgresql(proxy: Proxy, database_url: str) -> None:
    """The entries are written when it is back, with the time at which the requests were made."""
    clock = Clock()
    async with impatient(await proxy.start(), acquire_timeout=1.5, statement_timeout=1.5) as db:
        proxy.swallow()
        guard = ledger(db, clock=clock)
        started = time.perf_counter()
        for _ in range(100):
            grant = await guard.reserve(request())
            guard.settle(grant, sent=True, cost_usd=CENT, prompt_tokens=1, completion_tokens=1)
        assert time.perf_counter() - started < 1
        assert guard.statistics()["waiting"] == 100
        clock.now += 7_200
        proxy.pass_on()
        assert await guard.close() == 0
    async with plain(database_url) as connection:
        assert await connection.fetchval("SELECT sum(billed_usd) FROM llm_ledger WHERE state = 'billed'") == 1
        age = await connection.fetchval("SELECT extract(epoch FROM now() - min(created_at)) FROM llm_ledger")
        assert 7_199 < age < 7_300


async def test_a_request_on_its_way_is_in_the_ledger_without_budgets_too(
    db: DatabaseManager, database_url: str
) -> None:
    """Should this process die, another one's budget knows of it."""
    async with running(ledger(db)) as guard:
        grant = await guard.reserve(request())
        async with asyncio.timeout(10):
            while not await rows(database_url):
                pass
        assert await sums(db, DAILY) == (ZERO, CENT4, 0, 2_000)
        guard.settle(grant, sent=True, cost_usd=CENT, prompt_tokens=1, completion_tokens=1)
        await until(database_url, 1)
    assert await sums(db, DAILY) == (CENT, ZERO, 2, 0)


async def test_notes_wait_for_postgresql_and_are_then_written(
    proxy: Proxy, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage is announced once when it begins and once when it is over."""
    async with (
        impatient(await proxy.start(), acquire_timeout=1.5, statement_timeout=1.5) as db,
        running(ledger(db, DAILY)) as guard,
    ):
        grants = [await guard.reserve(request()) for _ in range(3)]
        proxy.swallow()
        for grant in grants:
            guard.settle(grant, sent=True, cost_usd=CENT, prompt_tokens=1, completion_tokens=1)
        await guard._queue.flush()
        await guard._queue.flush()
        (said,) = warnings(caplog)
        assert said.startswith("PostgreSQL does not answer (writing the ledger: ")
        assert said.endswith(MEANWHILE["ledger"])
        assert guard.statistics()["waiting"] == 3
        proxy.pass_on()
        found = await until(database_url, 3)
        assert {row["state"] for row in found} == {"billed"}
    assert "PostgreSQL answers again" in warnings(caplog)


async def test_a_full_queue_drops_the_note_counts_it_and_keeps_the_reservation(
    db: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once; the sums stay on the safe side."""
    guard = ledger(db, DAILY, queue_size=2)
    for _ in range(5):
        guard.settle(
            await guard.reserve(request()), sent=True, cost_usd=CENT, prompt_tokens=1, completion_tokens=1
        )
    assert guard.statistics() == {"waiting": 2, "dropped": 3, "overbilled": 0, "crashes": 0}
    (said,) = warnings(caplog)
    assert "takes no more notes" in said
    await guard.close()
    assert await sums(db, DAILY) == (2 * CENT, 3 * CENT4, 4, 6_000)


LOCK = "SELECT pg_advisory_lock(hashtextextended('llm_ledger ' || $1, 0))"
WAITING = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def test_a_cancelled_request_gives_its_money_back(db: DatabaseManager, database_url: str) -> None:
    """Cancelled while PostgreSQL is at it: nobody knows whether it was made, and it is undone either way."""
    guard = ledger(db, DAILY)
    await guard.reserve(request("a/free"))
    async with plain(database_url) as other, asyncio.timeout(20):
        await other.execute(LOCK, KEY)
        asking = asyncio.create_task(guard.reserve(request()))
        while not await other.fetchval(WAITING):
            pass
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert await guard.close() == 1  # the first one is still on its way
    assert (await sums(db, DAILY))[1] == ZERO
    assert [row["state"] for row in await rows(database_url)] == ["reserved", "returned"]


async def test_what_is_noted_while_notes_are_written_is_written_too(
    db: DatabaseManager, database_url: str
) -> None:
    """The bill comes while the request itself is on its way into the ledger."""
    guard = ledger(db)
    grant = await guard.reserve(request())
    async with plain(database_url) as other, asyncio.timeout(20):
        await other.execute(LOCK, KEY)
        writing = asyncio.create_task(guard._queue.flush())
        while not await other.fetchval(WAITING):
            pass
        guard.settle(grant, sent=True, cost_usd=CENT, prompt_tokens=1, completion_tokens=1)
    assert await writing == 2
    assert [row["state"] for row in await rows(database_url)] == ["billed"]
    assert await sums(db, DAILY) == (CENT, ZERO, 2, 0)


async def test_closing_ends_in_time_and_says_what_is_left(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """A silent server holds nobody up; what could not be settled stays reserved."""
    async with impatient(await proxy.start(), statement_timeout=30) as db:
        guard = ledger(db, DAILY)
        grant = await guard.reserve(request())
        guard.settle(grant, sent=True, cost_usd=CENT)
        await guard.reserve(request())
        task = asyncio.create_task(guard.run())
        proxy.swallow()
        started = time.monotonic()
        assert await guard.close(timeout=0.2) == 2
        assert time.monotonic() - started < 5
        assert "2 requests stay unsettled" in caplog.text
        task.cancel()
        await asyncio.wait({task})
        with pytest.raises(BudgetExceededError, match="closed"):
            await guard.reserve(request())


async def test_one_note_that_cannot_be_stored_holds_up_no_other(
    db: DatabaseManager, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named, counted and left out."""
    guard = ledger(db)
    bad, good = await guard.reserve(request()), await guard.reserve(request())
    change = guard._queue.opened(bad.grant_id)
    assert change is not None
    guard._queue.put(change.ended("no such state"))
    guard.settle(good, sent=True, cost_usd=CENT)
    await guard.close()
    assert [row["state"] for row in await rows(database_url)] == ["billed"]
    assert guard.statistics()["dropped"] == 1
    assert bad.grant_id in caplog.text


async def test_hostile_names_are_stored_and_counted(db: DatabaseManager, database_url: str) -> None:
    """A symbol may hold anything; a pattern's own signs in it mean nothing."""
    guard = ledger(db, DAILY)
    symbols = {"a\0b": 1, "\ud800": 2, "'; DROP TABLE llm_ledger; --": 1, "%": 1, "": 3}
    guard.settle(await guard.reserve(request(symbols=symbols)), sent=True, cost_usd=CENT)
    await guard.close()
    assert len(await rows(database_url)) == 1
    assert (await sums(db, DAILY))[0] == CENT


async def test_a_failure_that_no_budget_explains_is_not_taken_for_room(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the database is a refusal with its reason, never a grant."""

    async def broken(*_: object) -> list[Any]:
        raise DatabaseUnavailableError("no connection")

    guard: PostgresLedger = ledger(db, DAILY)
    monkeypatch.setattr(db.connections, "fetch", broken)
    assert "no connection" in str(await refused(guard, request()))
    assert guard.state() == []


async def test_the_key_itself_is_nowhere_in_the_ledger(db: DatabaseManager, database_url: str) -> None:
    """Only the fingerprint that was given."""
    await ledger(db, DAILY).reserve(request())
    assert {row["key_fingerprint"] for row in await rows(database_url)} == {KEY}


async def test_parts_that_share_what_they_know_announce_an_outage_once(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Budgets that cannot be asked and notes that cannot be written: one message, and one when both work."""
    clock = Clock()
    shared = Availability(clock)
    async with impatient(await proxy.start(), acquire_timeout=1.5, statement_timeout=1.5) as db:
        guard = ledger(db, DAILY, clock=clock, availability=shared)
        grant = await guard.reserve(request())
        proxy.swallow()
        assert await refused(guard, request()) is not None
        guard.settle(grant, sent=True, cost_usd=CENT, prompt_tokens=1, completion_tokens=1)
        await guard._queue.flush()
        assert not shared.worth_asking
        proxy.pass_on()
        clock.now += AWAY_SECONDS
        assert await refused(guard, request()) is None
        assert shared.error_of("ledger") is not None
        await guard._queue.flush()
    assert [text.partition(" (")[0] for text in warnings(caplog)] == [
        "PostgreSQL does not answer",
        "PostgreSQL answers again",
    ]
    assert shared.error is None
