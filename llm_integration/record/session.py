"""What every session of this program is set to, and how a statement is run under those settings.

A connection of our own takes them once, as it is opened, and keeps its prepared statements. Behind a pooler
that hands its connections on between transactions nothing of a session lasts: there each statement is a
transaction that begins with its settings, and nothing is prepared by name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from llm_integration.record.errors import ends_connection

if TYPE_CHECKING:
    Link = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    AnyLink = Link | asyncpg.Connection[asyncpg.Record]

__all__ = ["STARTUP_NAMES", "Session", "quoted"]

STARTUP_NAMES = ("application_name", "options")
"""Settings that poolers know or that the user asked for: sent at the start, behind a pooler too."""
CURSOR = "tradent_rows"


@dataclass(frozen=True, slots=True)
class Session:
    """The settings of the sessions of one pool. ``bound`` is the client's own for a statement, in seconds."""

    settings: Mapping[str, str]
    bound: float
    pooled: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def at_start(self) -> dict[str, str]:
        """What is sent as a connection is opened."""
        if not self.pooled:
            return {**self.settings, **self.names}
        return {name: value for name, value in self.names.items() if name in STARTUP_NAMES}

    @property
    def preamble(self) -> str:
        """What each transaction begins with."""
        if not self.pooled:
            return ""
        local = {**self.settings, **{k: v for k, v in self.names.items() if k not in STARTUP_NAMES}}
        return "".join(f"SET LOCAL {name} = {_value(name, value)}; " for name, value in local.items())

    async def fetch(self, link: Link, sql: str, arguments: tuple[object, ...]) -> list[asyncpg.Record]:
        """All rows of one statement, which is a transaction."""
        if not self.pooled:
            return await link.fetch(sql, *arguments, timeout=self.bound)
        async with asyncio.timeout(self.bound):
            await link.execute(f"BEGIN; {self.preamble}")
            try:
                rows = await link.fetch(sql, *arguments)
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                # Cut in the middle of a transaction, the pooler gives up the server's session behind it, too.
                if not ends_connection(error):
                    await link.execute("ROLLBACK")
                raise
            await link.execute("COMMIT")
        return rows

    async def stream(
        self, link: Link, sql: str, arguments: tuple[object, ...], chunk: int
    ) -> AsyncGenerator[asyncpg.Record, None]:
        """The rows of one query through a cursor of the server, ``chunk`` rows at a time."""
        async with link.transaction(readonly=True):
            if not self.pooled:
                async for row in link.cursor(sql, *arguments, prefetch=chunk, timeout=self.bound):
                    yield row
                return
            await link.execute(self.preamble, timeout=self.bound)
            # The driver's own cursor needs a statement with a name.
            await link.execute(f"DECLARE {CURSOR} CURSOR FOR {sql}", *arguments, timeout=self.bound)
            while rows := await link.fetch(f"FETCH {chunk} FROM {CURSOR}", timeout=self.bound):
                for row in rows:
                    yield row

    @contextlib.asynccontextmanager
    async def transaction(self, link: AnyLink) -> AsyncGenerator[None, None]:
        """Several statements that hold together."""
        async with link.transaction():
            if self.pooled:
                await link.execute(self.preamble)
            yield


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _value(name: str, value: str) -> str:
    """A value in SET. A list of names stays one."""
    if name == "search_path":
        return ", ".join(quoted(each.strip().strip('"')) for each in value.split(","))
    return "'" + value.replace("'", "''") + "'"
