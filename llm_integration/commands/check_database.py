"""``check``: PostgreSQL and its tables, looked at without touching them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg

from database import DatabaseError
from database.errors import explain
from database.migrations import NEWEST
from llm_integration.commands.check_item import Item, failed, fine, warned
from llm_integration.commands.settings import Settings, postgres_url

__all__ = ["MOST_SKEW_SECONDS", "check", "skew"]

MOST_SKEW_SECONDS = 5.0

LOOK = """
SELECT clock_timestamp() AS now, current_setting('server_version') AS server,
       pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS read_only,
       to_regclass('schema_version') IS NOT NULL AS tables
"""
VERSION = "SELECT COALESCE(max(version), 0) FROM schema_version"
WAITING = "SELECT count(*) FROM llm_enhancement_tasks WHERE status IN ('pending', 'processing')"


async def check(settings: Settings) -> list[Item]:
    """Whether PostgreSQL answers, the version of the tables, and the clock."""
    say = failed if settings.database.required else warned
    try:
        async with postgres_url(settings) as url:
            return await _look(url, settings)
    except DatabaseError as error:
        return [say("database", f"{error}; check database.url or --database-url")]


async def _look(url: str, settings: Settings) -> list[Item]:
    say = failed if settings.database.required else warned
    seconds = settings.database.connect_timeout_seconds
    try:
        link = await asyncpg.connect(url, timeout=seconds, command_timeout=seconds)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = explain(error, _secrets(url))
        return [say("database", f"{reason}; start PostgreSQL, or check database.url or --database-url")]
    try:
        before = datetime.now(UTC)
        row = dict(await link.fetchrow(LOOK) or {})
        after = datetime.now(UTC)
        items = [await _tables(link, row), skew("clock of the database", row["now"], before, after)]
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        items = [say("database", explain(error, _secrets(url)))]
    finally:
        with suppress(Exception):  # it is cut then
            await link.close(timeout=1)
    return items


async def _tables(link: asyncpg.Connection[asyncpg.Record], row: dict[str, Any]) -> Item:
    server = f"PostgreSQL {row['server']}"
    if row["read_only"]:
        return failed("database", f"{server} takes no writes at present (a standby?); name the primary")
    version = int(await link.fetchval(VERSION)) if row["tables"] else 0
    if version > NEWEST:
        return failed(
            "database", f"{server}: tables of version {version}, this program knows {NEWEST}; update it"
        )
    if not version:
        return fine("database", f"{server} answers; the tables will be made by the first run")
    if version < NEWEST:
        return warned(
            "database", f"{server}: tables of version {version}; the next run brings them to {NEWEST}"
        )
    waiting = int(await link.fetchval(WAITING))
    return fine("database", f"{server}, tables of version {version}, {waiting} signals unanswered")


def skew(name: str, there: datetime, before: datetime, after: datetime) -> Item:
    """Another clock, read between ``before`` and ``after`` of this one."""
    off = max((there - after).total_seconds(), (before - there).total_seconds(), 0.0)
    if off > MOST_SKEW_SECONDS:
        which = "ahead of" if there > after else "behind"
        return warned(name, f"{off:.0f} s {which} this machine's; set both by NTP")
    return fine(name, f"within {max(off, 1.0):.0f} s of this machine's")


def _secrets(url: str) -> list[str]:
    rest = url.partition("://")[2].rpartition("@")[0]
    return [part for part in (url, rest, rest.partition(":")[2]) if part]
