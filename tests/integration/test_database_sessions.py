"""Sessions, bars and exports."""

from __future__ import annotations

import math
from contextlib import aclosing
from datetime import timedelta

import pytest

from database.db_manager import DatabaseManager
from llm_integration.domain import Bar
from llm_integration.record.errors import BadRowError
from tests.integration.database_helpers import LEASE, T0, answer, bars, plain, signal


async def test_a_session_is_stored_ended_and_found_again(db: DatabaseManager) -> None:
    """Only a session that did not run to its end is offered for resuming, the latest first."""
    assert await db.find_unfinished_session() is None
    await db.start_session("one", symbol="ES", mode="demo", source="a.csv", config={"x": [1, math.nan]})
    await db.start_session("two", symbol="ES", source="b.csv")
    await db.start_session("three", symbol="NQ", source="a.csv")
    await db.end_session("three", "completed")
    found = await db.find_unfinished_session()
    assert found is not None
    assert (found["session_id"], found["status"]) == ("two", "running")
    by_source = await db.find_unfinished_session(symbol="ES", source="a.csv", mode="demo")
    assert by_source is not None
    assert (by_source["session_id"], by_source["config"]) == ("one", {"x": [1, None]})
    assert await db.find_unfinished_session(symbol="NQ") is None


@pytest.mark.parametrize("status", ["stopped", "failed"])
async def test_a_session_that_was_cut_short_can_be_continued(db: DatabaseManager, status: str) -> None:
    """Opening it again makes it run again and keeps what was known about it."""
    await db.start_session("one", symbol="ES", source="a.csv")
    await db.end_session("one", status)  # type: ignore[arg-type]  # parametrised text
    found = await db.find_unfinished_session()
    assert found is not None
    assert (found["status"], found["ended_at"] is None) == (status, False)
    await db.start_session("one")
    found = await db.find_unfinished_session()
    assert found is not None
    assert (found["status"], found["ended_at"], found["source"]) == ("running", None, "a.csv")


async def test_a_session_with_unanswered_signals_is_not_completed(db: DatabaseManager) -> None:
    """It says so itself, and is offered for resuming until somebody has answered them."""
    await db.start_session("one", symbol="EURUSD", source="a.csv")
    await db.record_signals([signal("x", session_id="one"), signal("y", session_id="one")])
    assert await db.end_session("one", "completed") == 2
    found = await db.find_unfinished_session(symbol="EURUSD", source=["b.csv", "a.csv"])
    assert found is not None
    assert (found["status"], found["unanswered"], found["feed_ended"]) == ("stopped", 2, True)
    claims = await db.claim_signals(
        [signal("x", session_id="one"), signal("y", session_id="one")], worker_id="w", lease_seconds=LEASE
    )
    await db.save_outcomes([(answer(name), claim) for name, claim in claims.items()])
    assert await db.find_unfinished_session() is None, "no bars to come and nothing to answer"
    assert await db.end_session("one", "completed") == 0
    one = await db.find_session("one")
    assert one is not None
    assert (one["status"], one["unanswered"]) == ("completed", 0)
    assert await db.find_session("none such") is None


async def test_simulated_sessions_are_not_continued_by_real_runs(db: DatabaseManager) -> None:
    """The kinds are told apart by the mode; folders and endpoint are kept, and added to."""
    await db.start_session(
        "demo",
        symbol="ES",
        source="a.csv",
        mode="simulated/demo",
        endpoint="simulated",
        folders={"output": "/a"},
    )
    assert await db.find_unfinished_session(symbol="ES", simulated=False) is None
    await db.start_session("demo", mode="simulated/demo", folders={"outbox": "/b"})
    found = await db.find_unfinished_session(symbol="ES", simulated=True)
    assert found is not None
    assert (found["endpoint"], found["folders"]) == ("simulated", {"output": "/a", "outbox": "/b"})


async def test_a_status_that_does_not_exist_is_refused(db: DatabaseManager) -> None:
    """A typing error is not stored."""
    with pytest.raises(BadRowError):
        await db.end_session("one", "done")  # type: ignore[arg-type]  # the mistake under test


async def test_bars_are_stored_once(db: DatabaseManager, database_url: str) -> None:
    """Repeating a batch, also in part, changes nothing; the last time is known afterwards."""
    assert await db.last_bar_time("one", "ES") is None
    await db.record_bars("one", "ES", bars(5)[:3])
    await db.record_bars("one", "ES", bars(5))
    await db.record_bars("one", "ES", bars(5)[:1])
    await db.record_bars("one", "ES", [])
    assert await db.last_bar_time("one", "ES") == T0
    assert await db.last_bar_time("one", "NQ") is None
    async with plain(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM market_data") == 5
        assert await connection.fetchval("SELECT last_bar_at FROM trading_sessions") == T0


async def test_a_bar_that_is_no_bar_does_not_hold_up_its_neighbours(db: DatabaseManager) -> None:
    """NaN prices are left out."""
    broken = Bar(T0 + timedelta(hours=1), math.nan, 1.0, 1.0, 1.0, 1.0)
    await db.record_bars("one", "ES", [*bars(2), broken])
    assert await db.last_bar_time("one", "ES") == T0


async def test_the_export_gives_every_bar_in_order_with_its_signal(db: DatabaseManager) -> None:
    """Bars with a finished signal carry the analysis, with an open one the signal only."""
    await db.record_bars("session-1", "EURUSD", bars(5))
    await db.record_bars("session-1", "ES", bars(1))
    claims = await db.claim_signals(
        [signal("a"), signal("b", timestamp=T0 - timedelta(hours=2))], worker_id="w", lease_seconds=LEASE
    )
    await db.save_outcomes([(answer("a"), claims["a"])])
    async with aclosing(db.iter_bars("session-1", chunk=2)) as stream:
        rows = [row async for row in stream]
    assert [(symbol, bar) for symbol, bar, _, _ in rows] == [
        *(("EURUSD", bar) for bar in bars(5)[:4]), ("ES", bars(1)[0]), ("EURUSD", bars(5)[4]),
    ]  # fmt: skip
    found = {shown.signal_id: analysis for _, _, shown, analysis in rows if shown}
    assert found["b"] is None
    assert found["a"] is not None
    assert found["a"].rating == 4


async def test_leaving_an_export_early_gives_the_connection_back(db: DatabaseManager) -> None:
    """A consumer that stops in the middle does not use up the pool."""
    await db.record_bars("one", "ES", bars(50))
    for _ in range(10):
        async with aclosing(db.iter_bars("one", chunk=5)) as stream:
            async for _row in stream:
                break
    assert await db.last_bar_time("one", "ES") == T0
