"""Behind a real pgbouncer in transaction mode, found out or named, nothing is different.

The suites of tasks, claims, results, sessions and the ledger run once more, with their managers behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from database.db_manager import DatabaseManager
from llm_integration.budget import Budget
from llm_integration.record.database_url import read_url
from llm_integration.record.errors import BadRowError, DatabaseError, DatabaseUnavailableError
from llm_integration.record.ledger import PostgresLedger
from llm_integration.record.rehearsal import rehearse
from llm_integration.simulator import OpenRouterSimulator
from tests.chaos.kill_rounds import LATENCY_SECONDS
from tests.chaos.program import Program
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.chaos.truth import compare, end_state, slice_of_bars
from tests.conftest import PostgresForTests
from tests.integration.database_helpers import LEASE, answer, plain, signal
from tests.integration.pgbouncer import PgBouncer, pgbouncer
from tests.integration.test_database_claims import *  # noqa: F403  the same tests, behind a pooler
from tests.integration.test_database_healing import soon
from tests.integration.test_database_json_rows import *  # noqa: F403
from tests.integration.test_database_messages import *  # noqa: F403
from tests.integration.test_database_opinions import *  # noqa: F403
from tests.integration.test_database_results import *  # noqa: F403
from tests.integration.test_database_sessions import *  # noqa: F403
from tests.integration.test_database_signals import *  # noqa: F403
from tests.integration.test_ledger import *  # noqa: F403
from tests.unit.budget_parts import Prices, request

SWALLOWS = "ignore_startup_parameters = statement_timeout,timezone,jit,search_path"


@pytest.fixture(scope="module")
def pooler(postgres: PostgresForTests) -> Iterator[PgBouncer]:
    """One that refuses the settings of a session, as it comes from Debian."""
    url = postgres.create()
    with pgbouncer(url) as server:
        yield server
    postgres.drop(url)


@pytest.fixture
def pooled_url(pooler: PgBouncer, database_url: str) -> str:
    """A fresh database, behind the pooler."""
    return pooler.url(database_url)


@pytest.fixture
async def db(pooled_url: str) -> AsyncIterator[DatabaseManager]:
    """A manager behind the pooler."""
    async with DatabaseManager(pooled_url) as manager:
        assert manager.connections.pooled
        yield manager


@pytest.fixture  # type: ignore[no-redef]  # it stands in for the one of the suites
async def other(
    pooled_url: str,
) -> AsyncIterator[DatabaseManager]:
    """A manager of another process, behind the same pooler."""
    async with DatabaseManager(pooled_url) as manager:
        yield manager


async def one_life(db: DatabaseManager, name: str) -> None:
    """A signal from its bar to its answer."""
    await db.record_signal(signal(name), worker_id=name)
    claims = await db.claim_signals([signal(name)], worker_id=name, lease_seconds=LEASE)
    assert await db.save_outcomes([(answer(name), claims[name])]) == {name}
    await db.retire_worker(name)


async def test_many_clients_share_few_connections_of_the_server(pooled_url: str, database_url: str) -> None:
    """Twelve processes on three connections: every signal is stored and answered once."""
    async with contextlib.AsyncExitStack() as stack:
        managers = [await stack.enter_async_context(DatabaseManager(pooled_url)) for _ in range(12)]
        await asyncio.gather(
            *(one_life(manager, f"s-{n}-{m}") for n, manager in enumerate(managers) for m in range(8))
        )
    async with plain(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM llm_analysis_results") == 96
        left = "SELECT count(*) FROM llm_enhancement_tasks WHERE status <> 'completed'"
        assert await connection.fetchval(left) == 0


async def test_the_tables_are_made_through_it_by_whoever_comes_first(
    pooler: PgBouncer, postgres: PostgresForTests
) -> None:
    """The lock under which one process migrates is one of the transaction."""
    url = postgres.create(empty=True)
    managers = [DatabaseManager(pooler.url(url)) for _ in range(4)]
    try:
        await asyncio.gather(*(manager.connect() for manager in managers))
        await one_life(managers[0], "s")
        async with plain(url) as connection:
            versions = await connection.fetch("SELECT version FROM schema_version ORDER BY version")
        assert [row["version"] for row in versions] == list(range(1, len(versions) + 1))
        assert len(versions) >= 4
    finally:
        await asyncio.gather(*(manager.close() for manager in managers))
        postgres.drop(url)


async def test_statements_are_bounded_by_the_server_too(pooled_url: str, database_url: str) -> None:
    """A lock that is not free ends the statement, and leaves nothing behind in the session."""
    async with (
        DatabaseManager(pooled_url, statement_timeout=0.3) as db,
        plain(database_url) as outsider,
    ):
        await db.record_signal(signal())
        async with outsider.transaction():
            await outsider.execute("LOCK TABLE llm_enhancement_tasks")
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailableError, match="statement timeout"):
                await db.record_signal(signal("other"))
            assert time.monotonic() - started < 1
        assert await db.record_signal(signal("other"))


async def test_a_bad_row_leaves_no_transaction_open(db: DatabaseManager) -> None:
    """The next statement on the same connection works."""
    for _ in range(5):
        with pytest.raises(BadRowError):
            await db.connections.fetch("failing", "SELECT 1 / $1::int", 0)
        rows = await db.connections.fetch("asking", "SELECT $1::int AS one", 1)
        assert rows[0]["one"] == 1


@pytest.mark.parametrize(
    ("more", "settings"),
    [
        ({}, ()),
        ({}, (SWALLOWS,)),
        ({"pooler": True}, (SWALLOWS,)),
        ({"pooler": True}, ()),
    ],
    ids=["refused settings", "swallowed settings", "named, swallows", "named, refuses"],
)
async def test_a_pooler_is_found_out_by_what_it_does(
    database_url: str, more: dict[str, Any], settings: tuple[str, ...]
) -> None:
    """Whether it refuses the settings of a session or swallows them, and when it is named."""
    with pgbouncer(database_url, *settings) as server:
        async with DatabaseManager(server.url(database_url), **more) as db, plain(database_url):
            assert db.connections.pooled
            await one_life(db, "s")
            assert [pair async for pair in db.iter_analyses(chunk=1)]


async def test_a_direct_connection_is_none(database_url: str) -> None:
    """It keeps its prepared statements and its settings."""
    async with DatabaseManager(database_url) as db:
        assert not db.connections.pooled
        await db.record_signal(signal())
        rows = await db.connections.fetch("asking", "SELECT count(*) AS n FROM pg_prepared_statements")
        assert rows[0]["n"] > 0


async def test_a_pooler_that_is_denied_fails_in_one_line(pooled_url: str) -> None:
    """``pooler: false`` is believed; the message says what the server does not take."""
    with pytest.raises(DatabaseUnavailableError, match="statement_timeout"):
        await DatabaseManager(pooled_url, pooler=False).connect()


async def test_what_a_pooler_says_of_a_login_does_not_repeat_it(pooler: PgBouncer) -> None:
    """A password in the place of the user, or of the database, is not echoed."""
    for login, name in (("MARKER", ""), ("u", "/a%20MARKER")):
        with pytest.raises(DatabaseError) as caught:
            await DatabaseManager(f"postgresql://{login}@127.0.0.1:{pooler.port}{name}").connect()
        assert "MARKER" not in str(caught.value)


async def test_a_pooler_that_appears_in_mid_run_is_reckoned_with(
    database_url: str, pooler: PgBouncer
) -> None:
    """A statement that was prepared on another connection of the server changes the way, not the outcome."""
    async with DatabaseManager(database_url) as db:
        await db.record_signal(signal())
        direct = db.connections._opener.connector
        await db.connections.fetch("forgetting", "DEALLOCATE ALL")
        with pytest.raises(DatabaseUnavailableError, match="prepared statement"):
            await db.record_signal(signal("lost"))
        assert db.connections.pooled
        assert db.connections._opener.connector is direct
        assert await db.record_signal(signal("lost"))


async def test_a_pooler_that_takes_the_place_of_the_server_is_reckoned_with(
    database_url: str, pooler: PgBouncer
) -> None:
    """The address stays, what answers there changes; the program need not be started again."""
    async with (
        FaultProxy(postgres_target(database_url)) as proxy,
        DatabaseManager(proxy.postgres_url(database_url)) as db,
    ):
        await db.record_signal(signal())
        proxy._target = ("127.0.0.1", pooler.port)
        proxy.drop_connections()
        await soon(lambda: db.record_signal(signal("later")))
        assert db.connections.pooled


async def test_a_schema_holds_behind_it(pooled_url: str, database_url: str) -> None:
    """The search path is set for each transaction, functions of the ledger included."""
    async with DatabaseManager(pooled_url, schema="desk_7") as db:
        await one_life(db, "s")
        guard = PostgresLedger(
            db.connections,
            [Budget(per="day", usd=1, name="daily")],
            Prices(),
            key_fingerprint="k",
            worker_id="w",
        )
        await guard.reserve(request())
        await guard.close()
        assert [pair async for pair in db.iter_analyses()]
    async with plain(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM desk_7.llm_analysis_results") == 1
        assert await connection.fetchval("SELECT count(*) FROM desk_7.llm_ledger") == 1
        assert await connection.fetchval("SELECT count(*) FROM public.trading_signals") == 0


async def test_check_rehearses_through_it(pooled_url: str, database_url: str) -> None:
    """And leaves nothing."""
    found = await rehearse(DatabaseManager(pooled_url).connections)
    assert found.version > 0
    async with plain(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM trading_sessions") == 0


async def test_no_named_statement_is_left_at_the_server(pooled_url: str, database_url: str) -> None:
    """Streams and statements prepare nothing by name, so nobody else stumbles over it."""
    async with DatabaseManager(pooled_url) as db:
        await one_life(db, "s")
        assert [pair async for pair in db.iter_analyses(chunk=1)]
        for _ in range(6):  # each of the three connections behind it gets its turn
            rows = await db.connections.fetch("asking", "SELECT name FROM pg_prepared_statements")
            assert [row["name"] for row in rows if row["name"]] == []


def test_the_url_of_the_pooler_reads_back(pooled_url: str) -> None:
    """The test's own means are sound: a plain driver fails behind it where ours works."""

    async def plain_driver() -> None:
        told = read_url(pooled_url)
        connection = await asyncpg.connect(
            host="127.0.0.1", port=told.ports[0], user="anybody", database=told.database, ssl=False,
            server_settings={"statement_timeout": "1000"},
        )  # fmt: skip
        await connection.close()

    with pytest.raises(asyncpg.PostgresError, match="startup parameter"):
        asyncio.run(plain_driver())


@pytest.mark.slow
async def test_a_whole_run_goes_through_it(pooled_url: str, database_url: str, tmp_path: Path) -> None:
    """The program with its recorder, worker, ledger and outbox, from the first bar to the last answer."""
    async with OpenRouterSimulator(latency_seconds=LATENCY_SECONDS) as simulator:
        program = Program(
            tmp_path, pooled_url, simulator.base_url, slice_of_bars(tmp_path, 0, 300), speed=0, resume=False
        )
        await program.start()
        try:
            await program.finish()
        finally:
            await program.close()
    state = await end_state(database_url, program.out)
    assert compare(program, state, None).problems == []
    assert set(state.signals)
