"""Creates the tables and brings older ones up to date: in order, and once if two processes come at once."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from database.errors import DatabaseRefusedError

if TYPE_CHECKING:
    import asyncpg

__all__ = ["MIGRATIONS", "NEWEST", "migrate"]

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: ("schema.sql", "llm_schema_updates.sql"),
    2: ("llm_schema_2.sql", "llm_ledger.sql"),
    3: ("llm_sessions.sql",),
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


async def migrate(connection: asyncpg.Connection[asyncpg.Record], *, lock_seconds: float = 30.0) -> None:
    """Bring the tables of this connection's schema to NEWEST; nothing is done when they are there.

    Raises DatabaseRefusedError when they are newer than this program.
    """
    if await _version(connection) == NEWEST:
        return
    milliseconds = int(lock_seconds * 1000)
    async with connection.transaction():
        await connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK, timeout=lock_seconds)
        await connection.execute(VERSION_TABLE)
        for version in range(await _version(connection) + 1, NEWEST + 1):
            for name in MIGRATIONS[version]:
                await connection.execute(read_sql(name), timeout=lock_seconds)
            await connection.execute("INSERT INTO schema_version (version) VALUES ($1)", version)


async def _version(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
        return 0
    version = int(await connection.fetchval("SELECT COALESCE(max(version), 0) FROM schema_version"))
    if version > NEWEST:
        raise DatabaseRefusedError(
            f"the tables are of version {version}, this program knows up to {NEWEST}; update the program"
        )
    return version


def read_sql(name: str) -> str:
    """The text of one of the ``.sql`` files beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
