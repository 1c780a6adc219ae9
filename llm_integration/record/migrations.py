"""Creates the tables and brings older ones up to date: in order, and once if two processes come at once."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from llm_integration.record.errors import DatabaseRefusedError
from llm_integration.record.session import Session, quoted

if TYPE_CHECKING:
    from llm_integration.record.session import AnyLink

__all__ = ["MIGRATIONS", "NEWEST", "migrate"]

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: ("schema.sql", "llm_schema_updates.sql"),
    2: ("llm_schema_2.sql", "llm_ledger.sql"),
    3: ("llm_usage.sql",),
    4: ("llm_sessions.sql",),
    5: ("llm_outcomes.sql",),
}
"""The files that lead from the version before to each version. A change of the tables gets a new number."""
NEWEST = max(MIGRATIONS)

LOCK = 0x7472_6164_656E_7401
"""Key of the advisory lock that one process at a time migrates under."""

VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS schema_version (
    version    INTEGER PRIMARY KEY,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
"""
ENTER_VERSION = "INSERT INTO schema_version (version) VALUES ($1) ON CONFLICT DO NOTHING"
MISSING = "SELECT count(*) FROM unnest($1::text[]) AS t(name) WHERE to_regclass(t.name) IS NULL"


async def migrate(
    connection: AnyLink,
    session: Session | None = None,
    schema: str | None = None,
    *,
    lock_seconds: float = 30.0,
) -> int:
    """Bring the tables of this connection's schema to NEWEST; the version that was found, 0 for none.

    Nothing is done when they are there. A table that somebody has dropped is created again. ``schema``
    itself is created when there is none of that name. Raises DatabaseRefusedError when the tables are newer
    than this program.
    """
    session = session or Session({}, lock_seconds)
    async with session.transaction(connection):
        found = await _version(connection)
        if found == NEWEST and await _complete(connection):
            return found
        await connection.execute(f"SET LOCAL statement_timeout = {int(lock_seconds * 1000)}")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK, timeout=lock_seconds)
        await _make_schema(connection, schema)
        await connection.execute(VERSION_TABLE)
        done = await _version(connection)
        if not await _complete(connection):
            done = 0  # every statement may be repeated
        for version in range(done + 1, NEWEST + 1):
            for name in MIGRATIONS[version]:
                await connection.execute(read_sql(name), timeout=lock_seconds)
            await connection.execute(ENTER_VERSION, version)
    return found


async def _make_schema(connection: AnyLink, schema: str | None) -> None:
    if (
        schema is not None
        and await connection.fetchval("SELECT to_regnamespace($1)::text", quoted(schema)) is None
    ):
        await connection.execute(f"CREATE SCHEMA {quoted(schema)}")


async def _version(connection: AnyLink) -> int:
    if await connection.fetchval("SELECT to_regclass('schema_version')::text") is None:
        return 0
    version = int(await connection.fetchval("SELECT COALESCE(max(version), 0) FROM schema_version"))
    if version > NEWEST:
        raise DatabaseRefusedError(
            f"the tables are of version {version}, this program knows up to {NEWEST}; update the program"
        )
    return version


async def _complete(connection: AnyLink) -> bool:
    return bool(await connection.fetchval(MISSING, list(_tables())) == 0)


@cache
def _tables() -> tuple[str, ...]:
    """All tables that the files create."""
    files = [name for names in MIGRATIONS.values() for name in names]
    return tuple(
        table for name in files for table in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", read_sql(name))
    )


def read_sql(name: str) -> str:
    """The text of one of the files in ``sql``."""
    return resources.files(__package__).joinpath("sql", name).read_text(encoding="utf-8")
