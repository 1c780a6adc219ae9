"""Missing rights are one line with what to run, a schema can be named, ``check`` finds what a start finds."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from database.db_manager import DatabaseManager
from llm_integration.record.config import DatabaseConfig
from llm_integration.record.errors import DatabaseError, DatabaseRefusedError
from llm_integration.record.migrations import NEWEST
from llm_integration.record.rehearsal import rehearse
from tests.conftest import PostgresForTests
from tests.integration.database_helpers import LEASE, answer, plain, signal


@pytest.fixture
def empty_url(postgres: PostgresForTests) -> Iterator[str]:
    """A database without tables."""
    url = postgres.create(empty=True)
    yield url
    postgres.drop(url)


@pytest.fixture
async def limited(empty_url: str) -> AsyncIterator[str]:
    """A role that may log in and nothing else, on a server that keeps ``public`` closed, as of version 15."""
    name = f"limited_{uuid.uuid4().hex[:8]}"
    async with plain(empty_url) as admin:
        await admin.execute(f"CREATE ROLE {name} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield name
    async with plain(empty_url) as admin:
        await admin.execute(
            f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}"
        )


async def refusal(db: DatabaseManager) -> str:
    """Why it cannot connect."""
    with pytest.raises(DatabaseRefusedError) as caught:
        await db.connect()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def advised(message: str) -> str:
    """The statement that a message gives to run."""
    found = re.search(r"run: ([A-Z].*?)(?:;|$)", message)
    assert found is not None, message
    return found[1]


@pytest.mark.parametrize("schema", [None, "desk_7"], ids=["public", "schema of our own"])
async def test_a_missing_right_is_one_line_with_what_to_run(
    empty_url: str, limited: str, schema: str | None
) -> None:
    """What it says is run by the owner, word for word, and then it connects and works."""
    db = DatabaseManager(empty_url, user=limited, schema=schema)
    statement = advised(await refusal(db))
    assert limited in statement
    async with plain(empty_url) as admin:
        await admin.execute(statement)
    async with db:
        await db.record_signal(signal())
        claims = await db.claim_signals([signal()], worker_id="w", lease_seconds=LEASE)
        assert await db.save_outcomes([(answer(), claims["s-1"])]) == {"s-1"}


async def test_a_schema_that_may_not_be_used_is_told_with_its_grant(empty_url: str, limited: str) -> None:
    """It exists and is somebody else's."""
    async with plain(empty_url) as admin:
        await admin.execute("CREATE SCHEMA theirs")
        db = DatabaseManager(empty_url, user=limited, schema="theirs")
        statement = advised(await refusal(db))
        assert statement == f"GRANT USAGE, CREATE ON SCHEMA theirs TO {limited}"
        await admin.execute(statement)
    async with db:
        await db.record_signal(signal())


async def test_tables_of_another_role_are_told_with_their_grant(empty_url: str, limited: str) -> None:
    """They are there, up to date, and may not be read."""
    async with DatabaseManager(empty_url):
        pass
    db = DatabaseManager(empty_url, user=limited)
    statement = advised(await refusal(db))
    assert statement.startswith("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public")
    async with plain(empty_url) as admin:
        await admin.execute(statement)
    async with db:
        await db.record_signal(signal())


async def test_schemas_of_one_database_do_not_meet(empty_url: str) -> None:
    """Each has its own tables and functions; the address tells them apart; a URL may name one, too."""
    first = DatabaseManager(empty_url, schema="desk_1")
    second = DatabaseManager(empty_url + "&schema=desk_2")
    assert first.address != second.address
    async with first, second:
        await first.record_signal(signal())
        with pytest.raises(LookupError):
            await second.get_enhanced_signal_data("s-1")
        await second.record_signal(signal())
    async with plain(empty_url) as admin:
        found = await admin.fetch("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'llm%'")
    assert sorted(row[0] for row in found) == ["desk_1", "desk_2"]


async def test_the_schema_of_the_settings_reaches_the_tables(empty_url: str) -> None:
    """``database.schema`` is what it is called in the file."""
    config = DatabaseConfig.model_validate({"schema": "desk_3"})
    async with DatabaseManager.from_config(config, empty_url) as db:
        await db.record_signal(signal())
    async with plain(empty_url) as admin:
        assert await admin.fetchval("SELECT count(*) FROM desk_3.trading_signals") == 1


STATES = {
    "nothing yet": "SELECT 1",
    "closed": "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "open": "GRANT USAGE, CREATE ON SCHEMA public TO {role}",
    "all tables of another": "{tables}; SELECT 1",
    "may only read": "{tables}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
    "may not store signals": "{tables}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};"
    " REVOKE INSERT ON trading_signals FROM {role}",
    "may not open sessions": "{tables}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};"
    " REVOKE INSERT ON trading_sessions FROM {role}",
    "all tables granted": "{tables}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
    "read-only": "{tables}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};"
    " ALTER ROLE {role} SET default_transaction_read_only = on",
    "newer": "{tables}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};"
    " INSERT INTO public.schema_version VALUES (99)",
    "policy": "{tables}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};"
    " ALTER TABLE trading_sessions ENABLE ROW LEVEL SECURITY",
    "no login": "ALTER ROLE {role} NOLOGIN",
    "no connections": "ALTER ROLE {role} CONNECTION LIMIT 0",
    "another search path": "ALTER ROLE {role} SET search_path = nowhere",
}


async def started(db: DatabaseManager) -> None:
    """What a program does at its start and for its first signal."""
    await db.connect()
    await db.find_unfinished_session(symbol="ES")
    await db.start_session("session-1", symbol="ES")
    await db.record_bars("session-1", "ES", signal().bars)
    await db.record_signal(signal(), worker_id="w")


@pytest.mark.parametrize("state", STATES)
async def test_check_says_ok_exactly_when_a_run_would_start(empty_url: str, limited: str, state: str) -> None:
    """In every state of rights and tables a rehearsal fails as the start fails, and leaves nothing behind."""
    statements = STATES[state]
    if "{tables}" in statements:
        async with DatabaseManager(empty_url):
            pass
    async with plain(empty_url) as admin:
        await admin.execute(statements.replace("{tables}; ", "").format(role=limited))
        before = await admin.fetch("SELECT relname FROM pg_class ORDER BY 1")
        checked = await outcome(rehearse(DatabaseManager(empty_url, user=limited).connections))
        assert await admin.fetch("SELECT relname FROM pg_class ORDER BY 1") == before
    db = DatabaseManager(empty_url, user=limited)
    ran = await outcome(started(db))
    await db.close()
    assert without_ids(checked) == without_ids(ran)


async def outcome(work: object) -> str:
    """How it ended: the error's text, or ok."""
    try:
        await work  # type: ignore[misc]  # a coroutine
    except DatabaseError as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


def without_ids(text: str) -> str:
    return re.sub(r"limited_\w+", "role", text)


async def test_a_rehearsal_tells_what_it_found(db: DatabaseManager, database_url: str) -> None:
    """The tables' version, what waits, and the clock; sequences apart nothing moved."""
    await db.record_signal(signal())
    found = await rehearse(DatabaseManager(database_url).connections)
    assert (found.version, found.waiting) == (NEWEST, 1)
    assert abs((found.now - found.before).total_seconds()) < 5
    async with plain(database_url) as admin:
        counts = [
            await admin.fetchval(f"SELECT count(*) FROM {table}")
            for table in ("trading_sessions", "market_data", "trading_signals", "llm_workers", "llm_ledger")
        ]
    assert counts == [1, 0, 1, 0, 0]
