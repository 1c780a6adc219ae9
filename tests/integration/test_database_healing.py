"""What a session believes about its server outlives its cause: it heals, and nobody cuts connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from database.db_manager import DatabaseManager
from llm_integration.record.errors import DatabaseError, DatabaseUnavailableError
from llm_integration.record.ledger import PostgresLedger
from llm_integration.record.outbox import Leftovers
from tests.chaos.llm_parts import wait_until
from tests.integration.database_helpers import LEASE, plain, signal
from tests.integration.pgbouncer import pgbouncer
from tests.integration.test_database_outages import Proxy
from tests.unit.budget_parts import Prices, request

READ_ONLY = "ALTER DATABASE {} SET default_transaction_read_only = on"
READ_WRITE = "ALTER DATABASE {} RESET default_transaction_read_only"
ELSEWHERE = "ALTER DATABASE {} SET search_path = nowhere"
HOME = "ALTER DATABASE {} RESET search_path"


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """A proxy before a fresh database."""
    server = Proxy(database_url)
    yield server
    await server.stop()


async def alter(url: str, sql: str) -> None:
    """Change what sessions of this database begin with, and nothing else."""
    async with plain(url) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(sql.format(name))


async def end_sessions(url: str) -> None:
    """As a failover does to those who were connected."""
    async with plain(url) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )


async def soon(call: Callable[[], Awaitable[object]], seconds: float = 5.0) -> None:
    """Try as a worker does, until it works."""
    async with asyncio.timeout(seconds):
        while await failure(call) is not None:  # noqa: ASYNC110  the world has no event
            await asyncio.sleep(0.05)


async def failure(call: Callable[[], Awaitable[object]]) -> DatabaseError | None:
    """The retryable error that ``call`` ends with."""
    try:
        await call()
    except DatabaseError as error:
        return error if error.retryable else pytest.fail(f"not retryable: {error}")
    return None


async def six_signals(db: DatabaseManager) -> None:
    """Several calls at once, on all connections there are."""
    calls = (db.record_signal(signal(f"s-{number}")) for number in range(6))
    results = await asyncio.gather(*calls, return_exceptions=True)
    for found in results:
        if isinstance(found, BaseException):
            raise found


@pytest.mark.parametrize(
    ("break_it", "mend_it"), [(READ_ONLY, READ_WRITE), (ELSEWHERE, HOME)], ids=["read-only", "search path"]
)
@pytest.mark.parametrize("words", ["", "&target_session_attrs=read-write"], ids=["any", "read-write"])
async def test_sessions_that_began_in_a_bad_moment_are_not_kept(
    database_url: str, break_it: str, mend_it: str, words: str
) -> None:
    """The cause is mended and nothing else happens: all calls at once work within seconds."""
    async with DatabaseManager(database_url + words, pool_max=3) as db:
        await alter(database_url, break_it)
        await end_sessions(database_url)
        for _ in range(4):  # by then every connection is of that time
            assert await failure(lambda: six_signals(db)) is not None
        await alter(database_url, mend_it)
        await soon(lambda: six_signals(db))


async def test_sessions_behind_a_pooler_are_given_up_too(database_url: str) -> None:
    """It is the pooler's connection to the server that believes the server to be read-only."""
    with pgbouncer(database_url) as pooler:
        async with DatabaseManager(pooler.url(database_url), pool_max=3) as db:
            await alter(database_url, READ_ONLY)
            await end_sessions(database_url)
            for _ in range(4):
                assert await failure(lambda: six_signals(db)) is not None
            await alter(database_url, READ_WRITE)
            await soon(lambda: six_signals(db))


async def test_a_column_of_another_type_heals(db: DatabaseManager, database_url: str) -> None:
    """A statement that was prepared for the old type does not fail for ever."""
    await db.record_signal(signal())
    await db.get_enhanced_signal_data("s-1")
    async with plain(database_url) as connection:
        await connection.execute("ALTER TABLE trading_signals ALTER strategy TYPE varchar(50)")
        await connection.execute("ALTER TABLE trading_signals ADD surplus integer")
    await soon(lambda: db.get_enhanced_signal_data("s-1"))
    await soon(lambda: db.record_signal(signal("s-2")))


async def test_forgotten_statements_heal(db: DatabaseManager) -> None:
    """DISCARD ALL, of a tool or of a pooler, takes the prepared statements away."""
    await db.record_signal(signal())
    await db.connections.fetch("discarding", "DISCARD ALL")
    await soon(lambda: db.record_signal(signal("s-2")))
    assert await db.get_enhanced_signal_data("s-2") is not None


async def test_a_role_that_may_not_log_in_for_a_while_heals(database_url: str) -> None:
    """A refusal in mid-run is an outage, and no more than that."""
    async with plain(database_url) as admin:
        await admin.execute("CREATE ROLE fleeting LOGIN SUPERUSER")
        try:
            async with DatabaseManager(database_url, user="fleeting") as db:
                await admin.execute("ALTER ROLE fleeting NOLOGIN")
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fleeting'"
                )
                assert await failure(lambda: six_signals(db)) is not None
                assert await failure(lambda: six_signals(db)) is not None
                await admin.execute("ALTER ROLE fleeting LOGIN")
                await soon(lambda: six_signals(db))
        finally:
            await admin.execute("DROP OWNED BY fleeting; DROP ROLE fleeting")


async def test_old_connections_are_replaced(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the host may lead to another server by now; no connection is kept for ever."""
    monkeypatch.setattr("llm_integration.record.connections.KEEP_SECONDS", 0.01)
    monkeypatch.setattr("llm_integration.record.connections.MOST_AGE_SECONDS", 0.0)
    async with DatabaseManager(database_url) as db:
        seen = set()
        for _ in range(3):
            seen.add((await db.connections.fetch("asking", "SELECT pg_backend_pid() AS pid"))[0]["pid"])
            assert db.connections._tidying is not None
            await db.connections._tidying
        assert len(seen) == 3


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.TargetServerAttributeNotMatched("no such server"), ssl.SSLError("bad record"),
        ssl.SSLCertVerificationError("self-signed"), OSError("no route"), RuntimeError("closed transport"),
        UnicodeError("label too long"), KeyError("x"), MemoryError(), asyncpg.InternalClientError("state"),
        asyncpg.ProtocolViolationError("what"), asyncpg.InterfaceError("closed"), EOFError(), ValueError("p"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
async def test_nothing_passes_the_boundary(db: DatabaseManager, error: Exception) -> None:
    """Whatever comes while a connection is opened is an outage: rows wait, and it passes."""

    async def fails(*_: object, **__: object) -> Any:
        raise error

    pool: Any = db.connections._pool
    opens, pool._connect = pool._connect, fails
    await db.connections._give_all_up(pool)
    with pytest.raises(DatabaseUnavailableError):
        await db.record_signal(signal())
    pool._connect = opens
    assert await db.record_signal(signal()) > 0


async def test_the_ledger_goes_on_after_a_server_of_the_wrong_kind(database_url: str) -> None:
    """A primary that is asked for and not there for a while ends neither the ledger's task nor its notes."""
    async with DatabaseManager(database_url + "&target_session_attrs=read-write") as db:
        guard = PostgresLedger(db.connections, (), Prices(), key_fingerprint="k", worker_id="w")
        task = asyncio.create_task(guard.run())
        await alter(database_url, READ_ONLY)
        await end_sessions(database_url)
        grant = await guard.reserve(request())
        guard.settle(grant, sent=True, cost_usd=Decimal(1), prompt_tokens=1, completion_tokens=1)
        await wait_until(lambda: guard._availability.error_of("ledger"))
        assert not task.done()
        await alter(database_url, READ_WRITE)
        await wait_until(lambda: not guard.statistics()["waiting"], 10)
        await guard.close()
        await task


async def test_a_missing_table_is_called_so_and_a_start_creates_it(database_url: str) -> None:
    """It is no silence of the server; the message says what to do, and that helps."""
    async with DatabaseManager(database_url) as db, plain(database_url) as connection:
        await connection.execute("DROP TABLE llm_workers")
        error = await failure(lambda: db.heartbeat("w", lease_seconds=LEASE))
        assert error is not None
        assert error.answered
        assert "table llm_workers is missing" in str(error)
        assert "start the program again" in str(error)
    async with DatabaseManager(database_url) as db:
        await db.heartbeat("w", lease_seconds=LEASE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PGHOST", "elsewhere.invalid"), ("PGPORT", "1"), ("PGDATABASE", "elsewhere"), ("PGUSER", "nobody"),
        ("PGSSLMODE", "verify-full"), ("PGTARGETSESSIONATTRS", "standby"), ("PGSERVICE", "none"),
        ("PGSSLROOTCERT", "/no/such/file"), ("PGSSLCERT", "/no/such/file"), ("PGSSLKEY", "/no/such/file"),
        ("PGSSLNEGOTIATION", "direct"), ("PGOPTIONS", "-c default_transaction_read_only=on"),
        ("PGKRBSRVNAME", "x"), ("PGGSSLIB", "x"), ("PGPASSFILE", "/no/such/file"), ("PGPASSWORD", "wrong"),
        ("PGSSLMINPROTOCOLVERSION", "SSLv1"), ("PGAPPNAME", "x"), ("PGCONNECT_TIMEOUT", "0"),
    ],
)  # fmt: skip
async def test_no_variable_of_the_environment_disturbs_a_url(
    proxy: Proxy, database_url: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither over a socket, as to the embedded server, nor over TCP with the TLS that is preferred."""
    through = (await proxy.start()).replace("sslmode=disable", "sslmode=prefer")
    monkeypatch.setenv(name, value)
    for url in (database_url, through):
        async with DatabaseManager(url) as db:
            assert await db.record_signal(signal()) > 0


async def test_a_crash_does_not_end_the_ledger(
    db: DatabaseManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where no supervisor stands behind it, as in an embedding host: logged, counted, and gone on."""
    monkeypatch.setattr("llm_integration.record.ledger.AWAY_SECONDS", 0.01)
    guard = PostgresLedger(db.connections, (), Prices(), key_fingerprint="k", worker_id="w")
    writes, crashed = guard._queue._write, False

    async def crashes_once(batch: Any) -> None:
        nonlocal crashed
        if not crashed:
            crashed = True
            raise ZeroDivisionError("the cause")
        await writes(batch)

    monkeypatch.setattr(guard._queue, "_write", crashes_once)
    task = asyncio.create_task(guard.run())
    grant = await guard.reserve(request())
    guard.settle(grant, sent=True, cost_usd=Decimal(1), prompt_tokens=1, completion_tokens=1)
    await wait_until(lambda: not guard.statistics()["waiting"])
    assert guard.statistics()["crashes"] == 1
    assert "the cause" in caplog.text
    await guard.close()
    await task


async def test_a_crash_does_not_end_the_look_for_leftovers(
    db: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look is taken; what an earlier run left lies on disk until then."""
    looks: list[float] = []

    async def sleep(seconds: float) -> None:
        looks.append(seconds)
        await asyncio.sleep(0)

    def broken(_folder: Path) -> list[Path]:
        raise ZeroDivisionError

    monkeypatch.setattr("llm_integration.record.outbox.leftovers.find_files", broken)
    leftovers = Leftovers(tmp_path, db, worker_id="outbox:1", sleep=sleep)
    task = asyncio.create_task(leftovers.run())
    await wait_until(lambda: len(looks) >= 3)
    assert leftovers.crashes >= 3
    task.cancel()
    await asyncio.wait({task})
