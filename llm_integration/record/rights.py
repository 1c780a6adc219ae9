"""What an owner of the database has to run when this program lacks a right, ready to be copied."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from llm_integration.record.session import AnyLink

__all__ = ["advice"]

LOOK = """
SELECT quote_ident(current_user) AS me, quote_ident(COALESCE($1, current_schema(), 'public')) AS here,
       quote_ident(current_database()) AS database
"""


async def advice(link: AnyLink | None, error: BaseException, schema: str | None) -> str:
    """How to get the right that ``error`` misses, to be put behind its words; empty if unknown."""
    if link is None or not isinstance(error, asyncpg.PostgresError):
        return ""
    with contextlib.suppress(Exception):  # then the error has to do without
        row = await link.fetchrow(LOOK, schema, timeout=1)
        if row is not None:
            return _told(str(error), row["me"], row["here"], row["database"])
    return ""


def _told(said: str, me: str, here: str, database: str) -> str:
    if "must be owner" in said:
        return (
            f"; the tables are another role's: start the program once as that role, or give {me} the tables"
        )
    if "for database" in said:
        return f"; let its owner run: CREATE SCHEMA {here} AUTHORIZATION {me}"
    if "for schema" in said or "no schema" in said:
        return (
            f"; let the owner of {database} run: GRANT USAGE, CREATE ON SCHEMA {here} TO {me};"
            " or name a schema of your own in database.schema"
        )
    if "for table" in said or "for view" in said:
        return (
            f"; let their owner run: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {here}"
            f" TO {me}"
        )
    return ""
