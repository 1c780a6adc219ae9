"""A pool of connections on which nothing can hang, and the boundary where foreign exceptions become ours."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import asyncpg
from pydantic import SecretStr

from llm_integration.record.errors import (
    DatabaseRefusedError,
    DatabaseUnavailableError,
    ends_connection,
    without_frames,
)
from llm_integration.record.pool import CLOSE_SECONDS, Pooler, PoolOpener, Rehearsal, give_back, rehearsed

if TYPE_CHECKING:
    from llm_integration.record.pool import Link, Pool

__all__ = ["Connections", "Pooler", "Rehearsal"]

logger = logging.getLogger(__name__)

KEEP_SECONDS = 1.0
"""A connection stays at hand, outside the pool, no longer than this."""
MOST_AGE_SECONDS = 1_800.0
"""Then all connections are opened anew: the name of the host may lead to another server by now."""


class Connections:
    """Connections to one database, opened on first use and opened again after an outage.

    Every call ends within ``acquire_timeout`` + ``statement_timeout`` + 0.25 seconds, also when the other
    side has vanished without a word; the first one may take ``connect_timeout`` in place of the former.
    ``schema`` is where all tables are, created if need be; None: where the server puts them. ``pooler`` says
    whether connections lead to a pooler that hands them on between transactions; "auto" finds out.
    """

    def __init__(
        self,
        dsn: str | SecretStr | None,
        *,
        pool_min: int,
        pool_max: int,
        connect_timeout: float,
        acquire_timeout: float,
        statement_timeout: float,
        schema: str | None = None,
        pooler: Pooler = "auto",
        **connect_options: Any,
    ) -> None:
        self._opener = PoolOpener(
            dsn, pool_min=pool_min, pool_max=pool_max, connect_timeout=connect_timeout,
            statement_timeout=statement_timeout, schema=schema, pooler=pooler,
            connect_options=connect_options,
        )  # fmt: skip
        self._acquire_timeout = acquire_timeout
        self._pool: Pool | None = None
        self._opening: asyncio.Task[Pool] | None = None
        self._opened_at = 0.0
        self._generation = 0
        """How often all connections were given up: one that was taken before is not used again."""
        self._kept: list[Link] = []
        self._tidying: asyncio.Task[None] | None = None
        self._awaited = 0
        self._told_ignored = False
        self._closed = False
        self.address = self._opener.address

    @property
    def open(self) -> bool:
        """True after a first successful connect, until ``close``."""
        return self._pool is not None

    @property
    def pooled(self) -> bool:
        """True when a pooler between us and the server is reckoned with."""
        return self._opener.session.pooled

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of parameters of the URL that change nothing."""
        return self._opener.ignored

    async def connect(self) -> None:
        """Open the pool and bring the tables up to date.

        Raises DatabaseRefusedError when PostgreSQL does not let us in or the URL is unusable, and
        DatabaseUnavailableError when it cannot be reached.
        """
        self._closed = False
        await self._opened()

    async def close(self) -> None:
        """Close all connections within a second; what is under way on them is cut off."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening}, timeout=CLOSE_SECONDS)
        pool, self._pool = self._pool, None
        if pool is None:
            return
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait({self._tidying})
        while self._kept:
            await give_back(pool, self._kept.pop())
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()
        except Exception as error:
            logger.debug("connections cut: %s", self._opener.explain(error))
            pool.terminate()

    async def fetch(self, doing: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of one statement, which is a transaction of its own; every error is a DatabaseError."""
        pool = self._pool or await self._opened_late(doing)
        generation = self._generation
        link = self._kept_link() or await self._acquire(pool, doing)
        try:
            rows = await self._opener.session.fetch(link, sql, arguments)
        except BaseException as error:
            await self._failed(pool, link, error)
            if isinstance(error, Exception):
                raise self._opener.translated(error, doing) from error
            raise
        if self._awaited or pool is not self._pool or generation != self._generation:
            await give_back(pool, link)
        else:
            self._keep(pool, link)
        return rows

    async def stream(
        self, doing: str, sql: str, *arguments: object, chunk: int
    ) -> AsyncGenerator[asyncpg.Record, None]:
        """The rows of one query through a cursor of the server, ``chunk`` rows at a time."""
        pool = self._pool or await self._opened_late(doing)
        link = self._kept_link() or await self._acquire(pool, doing)
        try:
            async with contextlib.aclosing(self._opener.session.stream(link, sql, arguments, chunk)) as rows:
                async for row in rows:
                    yield row
        except Exception as error:
            _cut(link)
            await self._failed(pool, link, error)
            raise self._opener.translated(error, doing) from error
        finally:
            await give_back(pool, link)

    async def _failed(self, pool: Pool, link: Link, error: BaseException) -> None:
        """A connection lives on after an error about a row only: it may be what the error is about."""
        if not isinstance(error, Exception) or ends_connection(error):
            _cut(link)  # whatever is still under way must not hold up the return of the connection
        await give_back(pool, link)
        if isinstance(error, asyncpg.PostgresError) and pool is self._pool and ends_connection(error):
            if self._opener.finds_pooler(error):
                self._replace(pool)
            else:
                await self._give_all_up(pool)

    def _replace(self, pool: Pool) -> None:
        """The next call opens a pool of the other kind."""
        if pool is self._pool:
            self._pool = None
        self._kept.clear()
        pool.terminate()

    async def _give_all_up(self, pool: Pool) -> None:
        """The other connections are of the same opinion as the one that failed: new ones are opened."""
        self._generation += 1
        self._opened_at = asyncio.get_running_loop().time()
        await pool.expire_connections()
        while self._kept:
            await give_back(pool, self._kept.pop())

    async def _acquire(self, pool: Pool, doing: str) -> Link:
        self._awaited += 1
        try:
            return await pool.acquire(timeout=self._acquire_timeout)
        except Exception as error:
            # Being refused in mid-run (a failover, a changed password) is an outage: it may pass.
            without_frames(error)
            if self._opener.finds_pooler(error):
                self._replace(pool)
            raise DatabaseUnavailableError(
                f"{doing}: no connection: {self._opener.explain_login(error)}"
            ) from error
        finally:
            self._awaited -= 1

    # The way through the pool costs as much as a statement: three turns of the loop and a task. So a
    # connection that is done is kept for the next call, unless somebody waits at the pool. Within a second it
    # is given back to the pool, which looks after old and idle ones.

    def _kept_link(self) -> Link | None:
        """The connection that was used last, None if there is none that is alive."""
        while self._kept:
            link = self._kept.pop()
            try:
                if not link.is_closed():
                    return link
            except asyncpg.InterfaceError:
                continue  # the pool has noticed its loss, and has taken it back
            _cut(link)  # lost a moment ago: the pool is told
        return None

    def _keep(self, pool: Pool, link: Link) -> None:
        self._kept.append(link)
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.create_task(self._tidy(pool), name="database idle connections")

    async def _tidy(self, pool: Pool) -> None:
        await asyncio.sleep(KEEP_SECONDS)
        if asyncio.get_running_loop().time() - self._opened_at > MOST_AGE_SECONDS:
            await self._give_all_up(pool)
        while self._kept:
            await give_back(pool, self._kept.pop(0))

    async def _opened_late(self, doing: str) -> Pool:
        """Like ``_opened``, for a call in mid-run: rows wait, whatever keeps the door shut."""
        try:
            return await self._opened()
        except DatabaseRefusedError as error:
            raise DatabaseUnavailableError(f"{doing}: {error}") from error

    async def _opened(self) -> Pool:
        """The pool; callers that come while it is being opened share the attempt."""
        if self._closed:
            raise DatabaseUnavailableError(f"{self.address}: the connection was closed")
        if self._pool is not None:
            return self._pool
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="database connect")
            self._opening.add_done_callback(self._opening_done)
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if not opening.cancelled() or self._asked_to_end():
                raise
            raise DatabaseUnavailableError(f"{self.address}: the connection was closed") from None

    @staticmethod
    def _asked_to_end() -> bool:
        """Whether it is the caller that is cancelled, and not what it waits for."""
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0

    def _opening_done(self, task: asyncio.Task[Pool]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # whoever waited for it has it; nobody may have

    async def _open(self) -> Pool:
        if self.ignored and not self._told_ignored:
            logger.warning("the database URL's %s has no effect here", ", ".join(self.ignored))
            self._told_ignored = True
        pool = await self._opener.open()
        if self._closed:
            pool.terminate()
            raise DatabaseUnavailableError(f"{self.address}: the connection was closed")
        self._opened_at = asyncio.get_running_loop().time()
        self._pool = pool
        return pool

    def rehearsal(self) -> contextlib.AbstractAsyncContextManager[Rehearsal]:
        """Connect as ``connect`` does, and bring the tables up to date, in a transaction that is rolled back.

        What is fetched inside leaves no trace. Raises what ``connect`` raises.
        """
        return rehearsed(self._opener, self._acquire)

    def __repr__(self) -> str:
        return f"Connections({self.address}, {'open' if self.open else 'closed'})"


def _cut(link: Link) -> None:
    """End a connection at once; the pool may have noticed its loss before us and taken it back."""
    with contextlib.suppress(asyncpg.InterfaceError):
        link.terminate()
