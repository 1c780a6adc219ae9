"""The tables: created on connect, once, as documented; and the queries find their indexes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping

import asyncpg
import pytest

from database.db_manager import DatabaseManager
from llm_integration.record import host_queries, migrations, queries
from llm_integration.record.errors import DatabaseRefusedError
from llm_integration.record.outcome_rows import OPINION_COLUMNS, OUTCOME_COLUMNS
from llm_integration.record.rows import SIGNAL_COLUMNS
from tests.conftest import PostgresForTests
from tests.integration.database_helpers import plain

DESCRIPTION = """
SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT viewname || ' ' || definition FROM pg_views WHERE schemaname = 'public'
ORDER BY 1
"""


@pytest.fixture
def empty_url(postgres: PostgresForTests) -> Iterator[str]:
    """A database without any table."""
    url = postgres.create(empty=True)
    yield url
    postgres.drop(url)


async def describe(url: str) -> list[str]:
    """Every column, index and constraint."""
    async with plain(url) as connection:
        return [row[0] for row in await connection.fetch(DESCRIPTION)]


async def test_many_that_connect_at_once_create_the_tables_once(empty_url: str, database_url: str) -> None:
    """Processes that start together neither fail nor differ from one that started alone."""
    managers = [DatabaseManager(empty_url) for _ in range(6)]
    await asyncio.gather(*(manager.connect() for manager in managers))
    await asyncio.gather(*(manager.close() for manager in managers))
    assert await describe(empty_url) == await describe(database_url)
    async with plain(empty_url) as connection:
        applied = await connection.fetch("SELECT version FROM schema_version ORDER BY 1")
    assert [row[0] for row in applied] == list(range(1, migrations.NEWEST + 1))


async def test_tables_of_the_first_version_are_brought_up_to_date(empty_url: str, database_url: str) -> None:
    """They end equal to new ones, with every row they had."""
    async with plain(empty_url) as connection:
        await connection.execute(migrations.VERSION_TABLE)
        for name in migrations.MIGRATIONS[1]:
            await connection.execute(migrations.read_sql(name))
        await connection.execute(
            "INSERT INTO schema_version (version) VALUES (1);"
            "INSERT INTO trading_signals (signal_id, session_id, symbol) VALUES ('old', NULL, 'ES');"
            "INSERT INTO llm_enhancement_tasks (signal_id, status) VALUES ('old', 'completed');"
            "INSERT INTO llm_analysis_results (task_id, signal_id, rating, prompt_text, raw_reply) "
            "SELECT task_id, signal_id, 4, 'asked', 'answered' FROM llm_enhancement_tasks"
        )
    async with DatabaseManager(empty_url) as manager:
        ((_, analysis),) = [pair async for pair in manager.iter_analyses()]
        messages = await manager.get_messages("old")
    assert (analysis.rating, analysis.prompt_text, analysis.batch_size) == (4, "asked", 1)
    assert messages == {"system_text": None, "prompt_text": "asked", "raw_reply": "answered"}
    assert await describe(empty_url) == await describe(database_url)


async def test_the_files_may_be_run_again_by_hand(database_url: str) -> None:
    """An operator who feeds the .sql files to psql does no harm."""
    before = await describe(database_url)
    async with plain(database_url) as connection:
        for names in migrations.MIGRATIONS.values():
            for name in names:
                await connection.execute(migrations.read_sql(name))
    assert await describe(database_url) == before


async def test_the_documented_names_exist(database_url: str) -> None:
    """Users query these tables, columns and indexes."""
    description = "\n".join(await describe(database_url))
    for index in (
        "idx_llm_tasks_status",
        "idx_llm_tasks_signal",
        "idx_llm_results_signal",
        "idx_llm_results_task",
    ):
        assert f" {index} ON " in description
    async with plain(database_url) as connection:
        await connection.fetch(
            "SELECT s.signal_id, r.rating, r.choppiness, r.parse_method, r.cost_usd "
            "FROM trading_signals s LEFT JOIN llm_analysis_results r USING (signal_id)"
        )


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE llm_enhancement_tasks SET status = 'done'",
        "UPDATE llm_analysis_results SET rating = 6",
        "UPDATE llm_analysis_results SET rating = 0",
        "UPDATE llm_analysis_results SET choppiness = 'maybe'",
        "INSERT INTO llm_analysis_results (task_id, signal_id) SELECT task_id, 't' FROM llm_analysis_results",
        "INSERT INTO llm_enhancement_tasks (signal_id) VALUES ('s')",
        "INSERT INTO llm_enhancement_tasks (signal_id) VALUES ('unknown')",
    ],
)
async def test_the_tables_refuse_what_must_not_be(db: DatabaseManager, database_url: str, sql: str) -> None:
    """No fourth status, no rating outside the scale, no second task or result, whoever writes."""
    async with plain(database_url) as connection:
        await connection.execute("INSERT INTO trading_signals (signal_id) VALUES ('s')")
        task = await db.create_llm_enhancement_task("s")
        await db.save_llm_analysis_result(task, "s", {"rating": 3})
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute(sql)


async def test_newer_tables_are_refused_in_one_line(database_url: str) -> None:
    """An old program does not write into tables it does not understand."""
    async with plain(database_url) as connection:
        await connection.execute("INSERT INTO schema_version (version) VALUES (999)")
    with pytest.raises(DatabaseRefusedError, match="999"):
        await DatabaseManager(database_url).connect()


async def test_connecting_to_known_tables_writes_nothing(database_url: str) -> None:
    """A role that may not create tables, or a read-only server, can be connected to."""
    async with DatabaseManager(
        database_url, server_settings={"default_transaction_read_only": "on"}
    ) as manager:
        assert await manager.get_pending_llm_tasks() == []


def _rows(columns: Mapping[str, str]) -> str:
    """Two rows as the one text that a statement takes them by."""
    texts = [name for name, kind in columns.items() if kind == "text"]
    return "'" + json.dumps([dict.fromkeys(texts, key) for key in ("s-5", "s-6")]) + "'"


FILL = """
SET session_replication_role = replica;
INSERT INTO trading_sessions (session_id) SELECT 'session-' || n FROM generate_series(1, 100) n;
INSERT INTO trading_signals (signal_id, session_id, symbol, "timestamp")
SELECT 's-' || n, 'session-' || (1 + n % 100), 'ES', '2024-01-01'::timestamptz + n * interval '1 minute'
FROM generate_series(1, 100000) n;
INSERT INTO llm_enhancement_tasks (signal_id, status)
SELECT 's-' || n, CASE WHEN n % 1000 = 0 THEN 'pending' ELSE 'completed' END
FROM generate_series(1, 100000) n;
INSERT INTO llm_analysis_results (task_id, signal_id, rating)
SELECT task_id, signal_id, 3 FROM llm_enhancement_tasks WHERE status = 'completed';
INSERT INTO market_data (session_id, symbol, "timestamp", open, high, low, close, volume)
SELECT session_id, symbol, "timestamp", 1, 2, 0.5, 1.5, 10 FROM trading_signals;
INSERT INTO llm_texts (text_id, content) SELECT sha256(n::text::bytea), n FROM generate_series(1, 100000) n;
UPDATE llm_analysis_results SET system_text_id = sha256((task_id % 10)::text::bytea), prompt_text_id =
    sha256(task_id::text::bytea);
INSERT INTO llm_opinions (task_id, position, role) SELECT task_id, 0, 'ensemble' FROM llm_analysis_results;
SET session_replication_role = origin;
ANALYZE;
"""


MANY = f"{_rows(SIGNAL_COLUMNS)}, 'w', 30, 'https://a', false"
OUTCOMES = f"{_rows(OUTCOME_COLUMNS)}, '{{w}}', {_rows(queries.TEXT_COLUMNS)}, {_rows(OPINION_COLUMNS)}"
HOT = {
    "claim_signals": (queries.CLAIM_SIGNALS, MANY),
    "claim_stored": (queries.CLAIM_STORED, "'{s-5,s-6}', 'w', 30, 'https://a', false"),
    "record_signals": (queries.RECORD_SIGNALS, MANY),
    "save_outcomes": (queries.SAVE_OUTCOMES, OUTCOMES),
    "save_opinions": (queries.SAVE_OPINIONS, _rows(OPINION_COLUMNS)),
}
EVERYDAY = {
    **HOT,
    "waiting_tasks": (queries.WAITING_TASKS, "'w', true, '{session-5}', 'https://a', 0, 250"),
    "claim_waiting": (
        queries.CLAIM_WAITING,
        "'w', true, '{session-5}', 'https://a', 30, '{5,6}', 10, 'https://a'",
    ),
    "release": (queries.RELEASE, "'{5}', '{00000000-0000-0000-0000-000000000001}'"),
    "retire": (queries.RETIRE_WORKER, "'w'"),
    "pending": (queries.PENDING_TASKS, "10"),
    "create_task": (queries.CREATE_TASK, "'s-5'"),
    "enhanced": (host_queries.SIGNAL_WITH_OUTCOME, "'s-5'"),
    "opinions": (host_queries.OPINIONS, "'{s-5,s-6}'"),
    "messages": (host_queries.MESSAGES, "'s-5'"),
    "finished": (host_queries.FINISHED_OF_THESE, "'{s-5,s-6}'"),
    "left_alone": (queries.LEFT_ALONE, "'w', true, '{session-5}', 'https://a'"),
    "for_elsewhere": (queries.FOR_ELSEWHERE, "'w', true, '{session-5}', 'https://a'"),
    "unfinished": (host_queries.UNFINISHED_SESSION, "'ES', '{a.csv}', NULL, false"),
    "one_session": (host_queries.ONE_SESSION, "'session-5'"),
    "end_session": (host_queries.END_SESSION, "'session-5', 'completed', true"),
    "last_bar": (host_queries.LAST_BAR_TIME, "'session-5', 'ES'"),
}


async def expect_no_walks(
    connection: asyncpg.Connection[asyncpg.Record], mode: str, prepared: Mapping[str, tuple[str, str]]
) -> None:
    """Fail if a plan of one of the statements reads a whole table."""
    await connection.execute(f"SET plan_cache_mode = {mode}")
    for name, (sql, arguments) in prepared.items():
        await connection.execute(f"PREPARE {name} AS {sql}")
        plan = await connection.fetch(f"EXPLAIN EXECUTE {name} ({arguments})")
        await connection.execute(f"DEALLOCATE {name}")
        text = "\n".join(row[0] for row in plan)
        for table in (
            "llm_enhancement_tasks",
            "llm_analysis_results",
            "trading_signals",
            "market_data",
            "llm_opinions",
            "llm_texts",
        ):
            assert f"Seq Scan on {table}" not in text, f"{name}, {mode}:\n{text}"


@pytest.mark.slow
async def test_queries_read_few_rows_of_large_tables(database_url: str) -> None:
    """With 100,000 signals no everyday statement walks through a table; only reports of everything may."""
    async with plain(database_url) as connection:
        await connection.execute(FILL, timeout=100)
        for mode in ("force_custom_plan", "force_generic_plan"):
            await expect_no_walks(connection, mode, EVERYDAY)


async def test_a_plan_made_in_an_empty_database_stays_good(database_url: str) -> None:
    """A connection keeps its plans while the tables grow: what each signal needs reads by index at once."""
    async with plain(database_url) as connection:
        await expect_no_walks(connection, "force_generic_plan", HOT)


async def test_nothing_is_logged_above_debug_on_a_quiet_connect(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Connecting and closing is no news, and never the URL."""
    with caplog.at_level(logging.DEBUG):
        async with DatabaseManager(database_url):
            pass
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert "postgresql://" not in caplog.text
