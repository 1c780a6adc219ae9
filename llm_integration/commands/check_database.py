"""``check``: PostgreSQL and its tables, by everything a run does with them, undone at once."""

from __future__ import annotations

from datetime import datetime

from llm_integration.commands.check_item import Item, failed, fine, warned
from llm_integration.commands.settings import Settings, postgres_url
from llm_integration.record import DatabaseError, DatabaseManager
from llm_integration.record.migrations import NEWEST
from llm_integration.record.rehearsal import Found, rehearse

__all__ = ["MOST_SKEW_SECONDS", "check", "skew"]

MOST_SKEW_SECONDS = 5.0


async def check(settings: Settings) -> list[Item]:
    """Whether a run could start: the connection, the tables, the rights, and the clock."""
    say = failed if settings.database.required else warned
    try:
        async with postgres_url(settings) as url:
            connections = DatabaseManager.from_config(settings.database, url).connections
            found = await rehearse(connections)
    except DatabaseError as error:
        return [say("database", f"{error}; check database.url or --database-url")]
    items = [_tables(found, pooled=connections.pooled)]
    if connections.ignored:
        items.append(warned("database", f"the URL's {', '.join(connections.ignored)} has no effect here"))
    return [*items, skew("clock of the database", found.now, found.before, found.after)]


def _tables(found: Found, *, pooled: bool) -> Item:
    server = f"PostgreSQL {found.server}" + (" behind a pooler of transactions" if pooled else "")
    if not found.version:
        return fine("database", f"{server} answers; the tables will be made by the first run")
    if found.version < NEWEST:
        return warned(
            "database",
            f"{server}: tables of version {found.version}; the next run brings them to {NEWEST}",
        )
    return fine(
        "database", f"{server}, tables of version {found.version}, {found.waiting} signals unanswered"
    )


def skew(name: str, there: datetime, before: datetime, after: datetime) -> Item:
    """Another clock, read between ``before`` and ``after`` of this one."""
    off = max((there - after).total_seconds(), (before - there).total_seconds(), 0.0)
    if off > MOST_SKEW_SECONDS:
        which = "ahead of" if there > after else "behind"
        return warned(name, f"{off:.0f} s {which} this machine's; set both by NTP")
    return fine(name, f"within {max(off, 1.0):.0f} s of this machine's")
