"""The ledger in PostgreSQL: one truth for all processes on a key, whatever becomes of them."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database.db_manager import DatabaseManager
from llm_integration.budget import Budget, BudgetExceededError, Grant, SpendRequest
from llm_integration.record import ledger_queries
from llm_integration.record.ledger import PostgresLedger
from llm_integration.record.ledger_queue import Change
from tests.integration.database_helpers import plain
from tests.unit.budget_parts import BILLS, BUDGETS, REQUESTS, ZERO, Oracle, Prices, check, request

KEY = "key-1"
CENT4 = Decimal("0.04")


def ledger(db: DatabaseManager, *budgets: Budget, **options: Any) -> PostgresLedger:
    """A ledger of one process on the common key."""
    values = {"key_fingerprint": KEY, "worker_id": "w"} | options
    return PostgresLedger(db.connections, budgets, Prices(), **values)


@asynccontextmanager
async def running(guard: PostgresLedger) -> AsyncIterator[PostgresLedger]:
    """The ledger with its task, closed at the end."""
    task = asyncio.create_task(guard.run())
    try:
        yield guard
    finally:
        await guard.close()
        await asyncio.wait_for(task, 10)


async def rows(url: str) -> list[dict[str, Any]]:
    """The ledger, oldest first."""
    async with plain(url) as connection:
        return [dict(row) for row in await connection.fetch("SELECT * FROM llm_ledger ORDER BY created_at")]


async def sums(db: DatabaseManager, *budgets: Budget) -> tuple[Decimal, Decimal, int, int]:
    """What a process that starts now finds for the first budget."""
    guard = ledger(db, *budgets, worker_id="looks")
    await guard._learn()
    state = guard.state()[0]
    return state.spent_usd, state.reserved_usd, state.spent_tokens, state.reserved_tokens


async def refused(guard: PostgresLedger, asked: SpendRequest) -> BudgetExceededError | None:
    """The refusal, or None when it was granted."""
    try:
        await guard.reserve(asked)
    except BudgetExceededError as error:
        return error
    return None


DAILY = Budget(per="day", usd=1, name="daily")


async def test_a_request_is_put_aside_sent_and_billed(db: DatabaseManager, database_url: str) -> None:
    """One row tells the whole story, and a new process finds the sums."""
    guard = ledger(db, DAILY)
    grant = await guard.reserve(request(symbols={"ES": 2, "NQ": 1}))
    assert (grant.model, grant.reserved_usd) == ("a/dear", CENT4)
    assert await sums(db, DAILY) == (ZERO, CENT4, 0, 2_000)
    guard.settle(grant, sent=True, cost_usd=Decimal("0.0123"), prompt_tokens=900, completion_tokens=50)
    assert await guard.close() == 0
    assert await sums(db, DAILY) == (Decimal("0.0123"), ZERO, 950, 0)
    (row,) = await rows(database_url)
    assert row["settled_at"] >= row["created_at"]
    assert json.loads(row["symbols"]) == {"ES": 2, "NQ": 1}
    expected = {
        "grant_id": uuid.UUID(grant.grant_id), "key_fingerprint": KEY, "model": "a/dear", "state": "billed",
        "reserved_usd": CENT4, "reserved_tokens": 2_000, "billed_usd": Decimal("0.0123"),
        "billed_tokens": 950, "prompt_tokens": 900, "completion_tokens": 50, "worker_id": "w",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("ending", "state", "expected"),
    [
        ({"sent": False}, "returned", (ZERO, ZERO, 0, 0)),
        ({"sent": True}, "unknown", (ZERO, CENT4, 0, 2_000)),
        (
            {"sent": True, "prompt_tokens": 7, "completion_tokens": 2},
            "unknown",
            (ZERO, CENT4, 9, 0),
        ),
        ({"sent": True, "cost_usd": ZERO}, "billed", (ZERO, ZERO, 0, 2_000)),
        ({"sent": True, "cost_usd": Decimal("nan")}, "unknown", (ZERO, CENT4, 0, 2_000)),
    ],
)
async def test_every_way_a_request_may_end(
    db: DatabaseManager, database_url: str, ending: dict[str, Any], state: str, expected: tuple[Any, ...]
) -> None:
    """Never sent gives it back; a cost that nobody said keeps its reservation and is not 0."""
    guard = ledger(db, DAILY)
    guard.settle(await guard.reserve(request()), **ending)
    await guard.close()
    assert (await rows(database_url))[0]["state"] == state
    assert await sums(db, DAILY) == expected


async def test_two_processes_share_one_budget_and_other_keys_have_their_own(
    db: DatabaseManager, database_url: str
) -> None:
    """What one has put aside the other cannot spend."""
    budget = Budget(per="day", usd=Decimal("0.05"))
    async with DatabaseManager(database_url) as other:
        assert await refused(ledger(db, budget), request()) is None
        assert await refused(ledger(other, budget, worker_id="v"), request()) is not None
        assert await refused(ledger(other, budget, key_fingerprint="key-2"), request()) is None


async def test_a_budget_that_is_new_counts_what_was_spent_before_it(db: DatabaseManager) -> None:
    """Also by processes that had other budgets, or none."""
    free = ledger(db)
    grant = await free.reserve(request(symbols={"ES": 1, "NQ": 3}))
    free.settle(grant, sent=True, cost_usd=CENT4, prompt_tokens=10, completion_tokens=10)
    await free.close()
    await ledger(db, DAILY).reserve(request(symbols={"NQ": 1}))
    assert await sums(db, Budget(per="month", usd=9, symbol="nq")) == (Decimal("0.03"), CENT4, 15, 2_000)


async def test_who_has_no_such_budget_still_counts_in_it(db: DatabaseManager) -> None:
    """Sums are kept by everybody: budget and spending may belong to different processes."""
    futures = Budget(per="day", usd=Decimal("0.05"), symbol="ES*")
    guarded, other = ledger(db, futures), ledger(db, DAILY, worker_id="v")
    await guarded.reserve(request("a/cheap"))
    await other.reserve(request())
    assert await sums(db, futures) == (ZERO, Decimal("0.044"), 0, 4_000)
    assert await refused(guarded, request()) is not None
    assert await refused(guarded, request(symbols={"NQ": 1})) is None


async def test_a_downgrade_is_granted_and_stored_with_the_cheaper_model(
    db: DatabaseManager, database_url: str
) -> None:
    """PostgreSQL checks the cheaper model's cost against every budget it counts in."""
    dear = Budget(
        per="day", usd=Decimal("0.05"), model="*/dear", on_exceeded="downgrade", downgrade_to="a/cheap"
    )
    guard = ledger(db, dear, Budget(per="day", usd=Decimal("0.047")))
    assert [(await guard.reserve(request())).model for _ in range(2)] == ["a/dear", "a/cheap"]
    error = await refused(guard, request())
    assert error is not None
    assert "0.047 USD" in str(error)
    assert [row["model"] for row in await rows(database_url)] == ["a/dear", "a/cheap"]


async def test_asking_for_money_is_one_round_trip(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first time, also while a budget sends everything to the cheaper model."""
    dear = Budget(
        per="day", usd=Decimal("0.05"), model="*/dear", on_exceeded="downgrade", downgrade_to="a/cheap"
    )
    guard = ledger(db, dear, DAILY)
    for _ in range(2):
        await guard.reserve(request())
    asked: list[str] = []
    fetch = db.connections.fetch

    async def counted(doing: str, sql: str, *arguments: Any) -> list[Any]:
        asked.append(sql)
        return await fetch(doing, sql, *arguments)

    monkeypatch.setattr(db.connections, "fetch", counted)
    for _ in range(3):
        assert (await guard.reserve(request())).model == "a/cheap"
    assert asked == [ledger_queries.RESERVE] * 3


async def test_a_refusal_is_looked_up_and_not_remembered(db: DatabaseManager, database_url: str) -> None:
    """Another process gave something back; who was refused a moment ago finds it."""
    budget = Budget(per="day", usd=Decimal("0.05"))
    guard, other = ledger(db, budget), ledger(db, budget, worker_id="v")
    grant = await other.reserve(request())
    error = await refused(guard, request())
    assert error is not None
    assert error.retry_after == 15.0
    other.settle(grant, sent=False)
    await other.close()
    assert await refused(guard, request()) is None


@pytest.mark.parametrize(
    "budget",
    [
        Budget(per="day", usd=Decimal("0.05")),
        Budget(per="day", tokens=3_000),
        Budget(per="day", usd=Decimal("0.05"), symbol="E?"),
        Budget(per="day", tokens=3_000, model="a/DE*"),
    ],
    ids=lambda budget: budget.label,
)
async def test_postgresql_knows_better_than_a_process_that_was_away(
    db: DatabaseManager, budget: Budget
) -> None:
    """Who believes that nothing is spent is refused by the sums themselves."""
    guard, other = ledger(db, budget), ledger(db, budget, worker_id="v")
    await guard.reserve(request("a/free", 0, 1))
    await other.reserve(request())
    error = await refused(guard, request())
    assert error is not None
    assert "has no room" in str(error)


@pytest.mark.parametrize(
    ("budget", "asked"),
    [
        (Budget(per="day", usd=Decimal("0.04"), symbol="ES"), {"symbols": {"NQ": 1}}),
        (Budget(per="day", usd=Decimal("0.04"), model="*/dear"), {"model": "a/cheap"}),
    ],
)
async def test_a_budget_that_is_passed_holds_up_nothing_that_does_not_count_in_it(
    db: DatabaseManager, budget: Budget, asked: dict[str, Any]
) -> None:
    """Other symbols and models go on, even when the provider billed more than there was."""
    guard = ledger(db, budget)
    grant = await guard.reserve(request())
    guard.settle(grant, sent=True, cost_usd=Decimal("0.05"), prompt_tokens=1, completion_tokens=1)
    await guard._queue.flush()
    assert await refused(guard, request()) is not None
    assert await refused(guard, request(**asked)) is None


async def test_a_bill_belongs_to_the_day_on_which_it_was_asked_for(
    db: DatabaseManager, database_url: str
) -> None:
    """Yesterday's request is settled in yesterday's sums, and today begins with nothing."""
    guard = ledger(db, DAILY)
    late = await guard.reserve(request())
    async with plain(database_url) as connection:
        await connection.execute("UPDATE llm_ledger SET created_at = created_at - interval '1 day'")
        await connection.execute(
            "UPDATE llm_budget_totals SET window_start = window_start - interval '1 day', "
            "window_end = window_end - interval '1 day'"
        )
    await guard.reserve(request("a/cheap"))
    guard.settle(late, sent=True, cost_usd=Decimal("0.01"), prompt_tokens=1, completion_tokens=1)
    await guard.close()
    async with plain(database_url) as connection:
        found = await connection.fetch(
            "SELECT spent_usd, reserved_usd FROM llm_budget_totals ORDER BY window_start"
        )
    assert [tuple(row) for row in found] == [(Decimal("0.01"), ZERO), (ZERO, Decimal("0.004"))]


async def test_a_window_that_is_over_is_not_shown(db: DatabaseManager) -> None:
    """After midnight nothing is spent yet, also when nobody has asked since."""
    guard = ledger(db, DAILY)
    await guard.reserve(request())
    assert guard.state()[0].reserved_usd == CENT4
    guard._known = (datetime.now(UTC) + timedelta(days=1), guard._clock())
    assert guard.state()[0].reserved_usd == ZERO


async def test_windows_are_those_of_the_database_s_clock(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose idea of the time is a day off is put right and loses nothing."""
    budget = Budget(per="day", usd=Decimal("0.05"))
    guard = ledger(db, budget)
    await guard.reserve(request("a/cheap"))
    for days in (-1, 1, 40):
        guard._known = (datetime.now(UTC) + timedelta(days=days), guard._clock())
        await guard.reserve(request("a/free"))
        assert guard.state()[0].reserved_usd == Decimal("0.004")
    assert await refused(guard, request()) is None
    assert await refused(guard, request()) is not None


OWN_CLOCK = """
CREATE SCHEMA own_clock;
CREATE TABLE own_clock.ahead (span INTERVAL NOT NULL);
INSERT INTO own_clock.ahead VALUES ('0');
CREATE FUNCTION own_clock.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp() + span FROM own_clock.ahead';
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = own_clock, public, pg_catalog', current_database());
END $$;
"""


@pytest.mark.parametrize("span", ["10 years", "-10 years", "1 day", "-1 day", "40 days"])
async def test_a_wrong_moment_of_the_servers_clock_closes_nothing(
    db: DatabaseManager, database_url: str, span: str
) -> None:
    """A server that was once years ahead is put right: then there is the room that there was before."""
    async with plain(database_url) as connection:
        await connection.execute(OWN_CLOCK)
        async with DatabaseManager(database_url) as other:
            budget = Budget(per="day", usd=Decimal("0.05"))
            guard = ledger(other, budget)
            await guard.reserve(request("a/cheap"))
            await connection.execute("UPDATE own_clock.ahead SET span = $1::text::interval", span)
            assert (await guard._learn()).year != datetime.now(UTC).year or "day" in span
            await connection.execute("UPDATE own_clock.ahead SET span = '0'")
            assert await refused(guard, request()) is None
            assert guard.state()[0].reserved_usd == Decimal("0.044")
            assert await refused(guard, request()) is not None


# Concurrency, crashes, unknown costs


STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(REQUESTS, st.tuples(st.integers(0, 30), BILLS))), max_size=40
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, crash=st.integers(0, 40))
def test_sums_are_exact_over_processes_and_crashes(
    database_url: str, steps: list[tuple[int, Any]], crash: int
) -> None:
    """Two processes, one of them dropped without a word on the way and started again: the sums are those of
    an accountant who goes through everything that happened, and no budget is ever passed.
    """
    asyncio.run(_exact(database_url, uuid.uuid4().hex, steps, crash))


async def _exact(url: str, key: str, steps: list[tuple[int, Any]], crash: int) -> None:
    async with DatabaseManager(url) as db:
        books = [(ledger(db, *BUDGETS, key_fingerprint=key), Oracle()) for _ in range(2)]
        whole = Oracle()
        for number, (who, step) in enumerate(steps):
            if number == crash:  # what it had in hand stays reserved for ever
                whole.entries += books[1][1].entries
                books[1] = ledger(db, *BUDGETS, key_fingerprint=key, worker_id="started again"), Oracle()
            await _step(*books[who], step)
        for _, oracle in books:
            whole.entries += oracle.entries
        made = {row["grant_id"]: row["created_at"] for row in await rows(url)}
        for entry in whole.entries:
            entry.made = made[uuid.UUID(entry.grant.grant_id)]
        looks = ledger(db, *BUDGETS, key_fingerprint=key, worker_id="looks")
        now = await looks._learn()
        check(looks.state(), whole, now)


async def _step(guard: PostgresLedger, oracle: Oracle, step: Any) -> None:
    if isinstance(step, SpendRequest):
        try:
            oracle.granted(step, await guard.reserve(step), datetime.now(UTC))
        except BudgetExceededError:
            return
    elif oracle.open:
        number, bill = step
        oracle.settle(guard, oracle.open[number % len(oracle.open)], bill)
        await guard._queue.flush()


TIGHT = (
    Budget(per="month", usd=Decimal("0.5"), tokens=60_000),
    Budget(per="month", usd=Decimal("0.2"), symbol="NQ"),
)


async def test_no_budget_is_passed_by_many_at_once(db: DatabaseManager, database_url: str) -> None:
    """Four ledgers over two pools, eight tasks each, all kinds of endings: looked at by an outsider all the
    while, the sums never pass the budget, and at the end they are those of the rows.
    """
    async with DatabaseManager(database_url) as other:
        guards = [ledger(home, *TIGHT, worker_id=f"w{n}") for n, home in enumerate((db, other) * 2)]
        done = asyncio.Event()
        watcher = asyncio.create_task(_watch(database_url, done))
        counts = await asyncio.gather(
            *(_spend(guard, random.Random(8 * n + k)) for n, guard in enumerate(guards) for k in range(8))
        )
        await asyncio.gather(*(guard.close() for guard in guards))
        done.set()
        highest = await watcher
    granted, denied = map(sum, zip(*counts, strict=True))
    assert granted > 20
    assert denied > 20
    assert Decimal("0.4") < highest <= Decimal("0.5")
    await _agree(database_url)


async def _spend(guard: PostgresLedger, chance: random.Random) -> tuple[int, int]:
    granted = denied = 0
    for _ in range(12):
        symbols = chance.choice([{"ES": 1}, {"ES": 2, "NQ": 1}, {"nq": 1}])
        try:
            grant = await guard.reserve(request(chance.choice(["a/dear", "a/cheap"]), symbols=symbols))
        except BudgetExceededError:
            denied += 1
            continue
        granted += 1
        await asyncio.sleep(0)
        _end(guard, grant, chance)
        if chance.random() < 0.3:
            await guard._queue.flush()
    return granted, denied


def _end(guard: PostgresLedger, grant: Grant, chance: random.Random) -> None:
    ending = chance.choice(["returned", "billed", "billed", "unknown", "crashed"])
    cost = grant.reserved_usd and grant.reserved_usd / 3
    if ending != "crashed":
        guard.settle(
            grant,
            sent=ending != "returned",
            cost_usd=cost if ending == "billed" else None,
            prompt_tokens=300,
            completion_tokens=100,
        )


async def _watch(url: str, done: asyncio.Event) -> Decimal:
    """The highest sum that was ever to be seen."""
    highest = ZERO
    async with plain(url) as connection:
        while not done.is_set():
            for row in await connection.fetch("SELECT * FROM llm_budget_totals"):
                total = row["spent_usd"] + row["reserved_usd"]
                assert total <= (Decimal("0.2") if row["symbol_like"] else Decimal("0.5"))
                assert row["spent_tokens"] + row["reserved_tokens"] <= 60_000
                highest = max(highest, total)
    return highest


async def _agree(url: str) -> None:
    """Running totals are what stands in the ledger."""
    read = "SELECT scope, spent_usd, reserved_usd, spent_tokens, reserved_tokens FROM llm_budget_totals"
    async with plain(url) as connection:
        running = sorted(map(tuple, await connection.fetch(read)))
        wanted = await connection.fetchval(
            "SELECT jsonb_agg(jsonb_build_object('scope', scope, 'start', window_start, 'end', window_end, "
            "'model_like', model_like, 'symbol_like', symbol_like)) FROM llm_budget_totals"
        )
        await connection.execute("DELETE FROM llm_budget_totals")
        await connection.execute("SELECT llm_budget_open($1, $2)", KEY, wanted)
        assert sorted(map(tuple, await connection.fetch(read))) == running


async def test_what_a_dead_process_had_put_aside_stays_and_becomes_unknown(
    db: DatabaseManager, database_url: str
) -> None:
    """It may have been billed: given back it would be spent twice. A living worker's is still on its way."""
    for worker in ("dead", "alive"):
        await ledger(db, DAILY, worker_id=worker).reserve(request())
    async with plain(database_url) as connection:
        await connection.execute("UPDATE llm_ledger SET created_at = created_at - interval '16 minutes'")
    await ledger(db, DAILY, worker_id="young and dead").reserve(request())
    await db.heartbeat("alive", lease_seconds=30)
    guard = ledger(db, DAILY, worker_id="next")
    await guard._refresh(sums=True)
    states = {row["worker_id"]: row["state"] for row in await rows(database_url)}
    assert states == {"dead": "unknown", "alive": "reserved", "young and dead": "reserved"}
    assert guard.state()[0].reserved_usd == 3 * CENT4


async def test_a_bill_that_was_noted_but_not_written_keeps_the_reservation(db: DatabaseManager) -> None:
    """The process dies between settling and writing."""
    guard = ledger(db, DAILY)
    guard.settle(await guard.reserve(request()), sent=True, cost_usd=Decimal("0.01"))
    assert await sums(db, DAILY) == (ZERO, CENT4, 0, 2_000)


async def test_a_bill_above_the_reservation_is_counted_and_stops(
    db: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    """The truth goes into the books, also when it passes the budget."""
    budget = Budget(per="day", usd=Decimal("0.05"))
    guard = ledger(db, budget)
    grant = await guard.reserve(request())
    guard.settle(grant, sent=True, cost_usd=Decimal("0.07"), prompt_tokens=1, completion_tokens=1)
    assert "more than the 0.04 USD it could cost" in caplog.text
    await guard.close()
    assert await sums(db, budget) == (Decimal("0.07"), ZERO, 2, 0)
    assert await refused(ledger(db, budget), request("a/free")) is not None


@pytest.mark.parametrize(
    ("states", "end", "expected"),
    [
        (["reserved", "unknown", "unknown"], "unknown", (ZERO, CENT4, 0, 2_000)),
        (["unknown", "reserved"], "unknown", (ZERO, CENT4, 0, 2_000)),
        (["unknown", "billed", "billed", "unknown", "reserved"], "billed", (Decimal("0.01"), ZERO, 20, 0)),
        (["returned", "returned", "billed", "unknown"], "returned", (ZERO, ZERO, 0, 0)),
    ],
)
async def test_writing_again_changes_nothing(
    db: DatabaseManager, database_url: str, states: list[str], end: str, expected: tuple[Any, ...]
) -> None:
    """A confirmation was lost and notes come again, in any order: what is known stays known."""
    guard = ledger(db, DAILY)
    grant = await guard.reserve(request())
    change = guard._queue.opened(grant.grant_id)
    assert change is not None
    for state in states:
        billed = (Decimal("0.01"), 20, 10, 10) if state == "billed" else ()
        guard._queue.put(change.ended(state, *billed))
        await guard._queue.flush()
    assert await sums(db, DAILY) == expected
    assert [row["state"] for row in await rows(database_url)] == [end]


async def test_a_reservation_that_was_given_up_comes_too_late(db: DatabaseManager, database_url: str) -> None:
    """Cancelled on the way: the way back may be shorter, and then nothing is put aside for good."""
    guard = ledger(db, DAILY)
    lost = Grant(str(uuid.uuid4()), "a/dear", CENT4)
    change = _change(lost)
    guard._queue.put(change.ended("returned"))
    await guard._queue.flush()
    now = await guard._learn()
    values = (KEY, uuid.UUID(lost.grant_id), "a/dear", {"ES": 1}, CENT4, 2_000, "w", guard._wanted(now))
    (row,) = await db.connections.fetch("reserving", ledger_queries.RESERVE, *values)
    assert row["outcome"] == "gone"
    assert await sums(db, DAILY) == (ZERO, ZERO, 0, 0)
    assert [row["state"] for row in await rows(database_url)] == ["returned"]


def _change(grant: Grant) -> Change:
    return Change.of(grant, request(), 2_000, 0.0)
