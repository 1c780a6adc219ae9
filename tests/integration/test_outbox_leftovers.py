"""What a dead process left in its outbox reaches a real PostgreSQL: in order, once, fenced."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from database import DatabaseManager
from llm_integration.availability import Availability
from llm_integration.domain import Signal
from llm_integration.record.outbox import Leftovers, Outbox
from llm_integration.record.outbox.file import find_files
from tests.integration.database_helpers import LEASE, answer, failure, lapse, plain, signal

pytestmark = pytest.mark.postgres

TARGET = "the database"


def leftovers(
    folder: Path, db: DatabaseManager, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> Leftovers:
    return Leftovers(folder, db, target=TARGET, worker_id="outbox:1", sleep=sleep)


class Pauses:
    """Takes no time; after the second pause the leases of the dead have run out."""

    def __init__(self, url: str | None = None) -> None:
        self.taken: list[float] = []
        self._url = url

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        if self._url is not None and len(self.taken) == 2:
            await lapse(self._url)


def left_behind(folder: Path, *signals: Signal, worker_id: str = "dead", answered: bool = True) -> Path:
    """The outbox of a process that has died with these signals and their answers waiting."""
    outbox = Outbox(folder, target=TARGET, worker_id=worker_id)
    for one in signals:
        outbox.keep_signal(one)
        if answered:
            outbox.keep_outcome(one, answer(one.signal_id))
    outbox.close(10)
    return outbox.path


async def ratings(url: str) -> list[tuple[str, str, int | None]]:
    async with plain(url) as link:
        rows = await link.fetch(
            "SELECT s.signal_id, t.status, r.rating FROM trading_signals s JOIN llm_enhancement_tasks t"
            " USING (signal_id) LEFT JOIN llm_analysis_results r USING (signal_id) ORDER BY t.task_id"
        )
    return [tuple(row) for row in rows]


async def test_signals_and_results_come_in_in_order_and_the_file_goes(
    db: DatabaseManager, database_url: str, tmp_path: Path
) -> None:
    """Forty signals and their answers, more than one statement takes, stand in PostgreSQL afterwards."""
    names = [f"s-{number:02}" for number in range(40)]
    path = left_behind(tmp_path, *(signal(name) for name in names))
    settled = await leftovers(tmp_path, db).settle()
    assert (settled.signals, settled.outcomes, settled.refused, settled.damaged) == (40, 40, 0, 0)
    assert await ratings(database_url) == [(name, "completed", 4) for name in names]
    assert not path.parent.exists()


async def test_a_second_look_finds_nothing(db: DatabaseManager, tmp_path: Path) -> None:
    """Bringing in is exactly once."""
    left_behind(tmp_path, signal())
    await leftovers(tmp_path, db).settle()
    assert (await leftovers(tmp_path, db).settle()).nothing


async def test_what_arrived_before_the_death_is_not_doubled(
    db: DatabaseManager, database_url: str, tmp_path: Path
) -> None:
    """A result that was stored without its confirmation coming back is recognised by its claim."""
    claims = await db.claim_signals([signal()], worker_id="dead", lease_seconds=LEASE)
    await db.save_outcomes([(answer(), claims["s-1"])])
    outbox = Outbox(tmp_path, target=TARGET, worker_id="dead")
    outbox.keep_signal(signal())
    outbox.keep_outcome(signal(), answer(), claims["s-1"])
    outbox.close(10)
    settled = await leftovers(tmp_path, db).settle()
    assert (settled.outcomes, settled.refused) == (1, 0)
    assert await ratings(database_url) == [("s-1", "completed", 4)]


async def test_a_result_does_not_overwrite_that_of_another_worker(
    db: DatabaseManager, database_url: str, tmp_path: Path
) -> None:
    """The fence holds for outboxes too: the task went to somebody else, whose answer stays."""
    old = (await db.claim_signals([signal()], worker_id="dead", lease_seconds=LEASE))["s-1"]
    await db.retire_worker("dead")
    new = (await db.claim_signals([signal()], worker_id="heir", lease_seconds=LEASE))["s-1"]
    await db.save_outcomes([(answer(rating=2), new)])
    outbox = Outbox(tmp_path, target=TARGET, worker_id="dead")
    outbox.keep_outcome(signal(), answer(rating=5), old)
    outbox.close(10)
    settled = await leftovers(tmp_path, db).settle()
    assert (settled.outcomes, settled.refused) == (0, 1)
    assert await ratings(database_url) == [("s-1", "completed", 2)]


async def test_a_result_waits_for_the_lease_of_one_who_was_killed_while_bringing_it_in(
    db: DatabaseManager, database_url: str, tmp_path: Path
) -> None:
    """The claim of the first one is void with its lease; the paid answer is stored, not asked for again."""
    path = left_behind(tmp_path, signal("s-1"), signal("s-2"))
    await db.claim_signals([signal("s-1")], worker_id="outbox:0, killed", lease_seconds=LEASE)
    pauses = Pauses(database_url)
    settled = await leftovers(tmp_path, db, pauses).settle()
    assert (settled.outcomes, settled.refused) == (2, 0)
    assert len(pauses.taken) == 2
    assert [row[1:] for row in await ratings(database_url)] == [("completed", 4)] * 2
    assert not path.exists()


async def test_a_task_that_a_living_worker_holds_is_left_to_it(
    db: DatabaseManager, database_url: str, tmp_path: Path
) -> None:
    """An answer without a claim does not push a living worker aside."""
    await db.claim_signals([signal()], worker_id="living", lease_seconds=LEASE)
    left_behind(tmp_path, signal(), worker_id="")
    pauses = Pauses()
    settled = await leftovers(tmp_path, db, pauses).settle()
    assert (settled.outcomes, settled.refused) == (0, 1)
    assert sum(pauses.taken) == pytest.approx(30, abs=1.5)  # one and a half leases of twenty seconds
    assert await ratings(database_url) == [("s-1", "processing", None)]


async def test_the_dead_owners_own_task_takes_its_answer_without_waiting_for_the_lease(
    db: DatabaseManager, database_url: str, tmp_path: Path
) -> None:
    """The task was reserved before the outage; its owner is dead, so its paid answer goes in at once."""
    await db.record_signal(signal(), worker_id="dead", lease_seconds=LEASE)
    left_behind(tmp_path, signal())
    settled = await leftovers(tmp_path, db).settle()
    assert (settled.outcomes, settled.refused) == (1, 0)
    assert await ratings(database_url) == [("s-1", "completed", 4)]


async def test_a_signal_of_a_run_without_the_llm_ends_as_expired(
    db: DatabaseManager, database_url: str, tmp_path: Path
) -> None:
    """Nobody pays later for what nobody asked for."""
    outbox = Outbox(tmp_path, target=TARGET)
    outbox.keep_signal(signal(), off_reason="there is no API key")
    outbox.close(10)
    await leftovers(tmp_path, db).settle()
    assert await ratings(database_url) == [("s-1", "expired", None)]


async def test_a_failure_is_brought_in_with_its_reason(
    db: DatabaseManager, database_url: str, tmp_path: Path
) -> None:
    """An outcome without an answer counts as much as one with an answer."""
    outbox = Outbox(tmp_path, target=TARGET)
    outbox.keep_outcome(signal(), failure(error="refused by the filter"))
    outbox.close(10)
    await leftovers(tmp_path, db).settle()
    async with plain(database_url) as link:
        assert await link.fetchval("SELECT error FROM llm_enhancement_tasks") == "refused by the filter"


async def test_while_postgresql_is_away_nothing_is_taken_out(db: DatabaseManager, tmp_path: Path) -> None:
    """The file stays as it is, and its lock is free for a later attempt."""
    path = left_behind(tmp_path, signal())
    await db.close()
    settled = await leftovers(tmp_path, db).settle()
    assert (settled.waiting, settled.signals) == (2, 0)
    await db.connect()
    settled = await leftovers(tmp_path, db).settle()
    assert (settled.signals, settled.outcomes) == (1, 1)
    assert not path.exists()


async def test_an_outage_is_said_once_and_no_look_is_wasted_on_it(
    db: DatabaseManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What others know of PostgreSQL counts: while nobody answers the files are left in peace."""
    left_behind(tmp_path, signal("s-1"))
    now = [0.0]
    availability = Availability(lambda: now[0])
    looks, enough = 0, asyncio.Event()

    async def look(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        now[0] += 2.0
        if looks == 4:
            await db.connect()
        if looks == 7:
            enough.set()
            await asyncio.Event().wait()

    await db.close()
    brought = Leftovers(
        tmp_path, db, target=TARGET, worker_id="outbox:1", sleep=look, availability=availability
    )
    with caplog.at_level(logging.WARNING):
        running = asyncio.create_task(brought.run())
        await asyncio.wait_for(enough.wait(), 30)
        running.cancel()
        await asyncio.wait({running})
    said = [text.partition(" (")[0] for text in caplog.messages if text.startswith("PostgreSQL ")]
    assert said == ["PostgreSQL does not answer", "PostgreSQL answers again"]
    assert brought.total.signals == 1
    assert availability.error is None


async def test_the_outbox_of_a_living_process_is_left_alone(db: DatabaseManager, tmp_path: Path) -> None:
    """Two processes in one folder do not empty each other's outbox."""
    outbox = Outbox(tmp_path, target=TARGET)
    outbox.keep_signal(signal())
    assert await outbox.settled(5)
    assert (await leftovers(tmp_path, db).settle()).nothing
    assert find_files(outbox.folder) == [outbox.path]
    outbox.close()


async def test_a_damaged_file_is_put_aside_and_the_others_come_in(
    db: DatabaseManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One rotten file costs itself only; it is kept for whoever wants to look into it."""
    rotten = left_behind(tmp_path, signal("s-1"))
    sound = left_behind(tmp_path, signal("s-2"))
    with sqlite3.connect(rotten) as link:
        link.execute("UPDATE entries SET body = x'00ff' WHERE kind = 'signal'")
    link.close()
    with caplog.at_level(logging.WARNING):
        settled = await leftovers(tmp_path, db).settle()
    assert (settled.signals, settled.damaged) == (1, 1)
    assert not sound.exists()
    assert "unreadable" in caplog.text


async def test_a_file_that_is_no_database_is_not_met_again(db: DatabaseManager, tmp_path: Path) -> None:
    """A truncated or overwritten file does not stop the others, now or next time."""
    path = left_behind(tmp_path, signal("s-1"))
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5_000)
    left_behind(tmp_path, signal("s-2"))
    settled = await leftovers(tmp_path, db).settle()
    assert (settled.signals, settled.damaged) == (1, 1)
    assert path.with_suffix(".damaged").exists()
    assert (await leftovers(tmp_path, db).settle()).nothing
