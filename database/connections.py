"""A pool of connections on which nothing can hang, and the boundary where foreign exceptions become ours."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import orjson

from database.errors import DatabaseError, DatabaseRefusedError, DatabaseUnavailableError, explain, translate
from database.migrations import migrate
from database.storable import json_text

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Link = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

__all__ = ["Connections"]

logger = logging.getLogger(__name__)

GRACE_SECONDS = 0.25
"""The client waits this much longer than the server's statement_timeout, so that the server speaks first."""
MIGRATE_SECONDS = 60.0
CLOSE_SECONDS = 1.0
KEEP_SECONDS = 1.0
"""A connection stays at hand, outside the pool, no longer than this."""


class Connections:
    """Connections to one database, opened on first use and opened again after an outage.

    Every call ends within ``acquire_timeout`` + ``statement_timeout`` + 0.25 seconds, also when the other
    side has vanished without a word; the first one may take ``connect_timeout`` in place of the former.
    """

    def __init__(
        self,
        dsn: str | None,
        *,
        pool_min: int,
        pool_max: int,
        connect_timeout: float,
        acquire_timeout: float,
        statement_timeout: float,
        **connect_options: Any,
    ) -> None:
        self._dsn = dsn
        self._sizes = max(1, pool_min), max(1, pool_min, pool_max)
        self._connect_timeout = connect_timeout
        self._acquire_timeout = acquire_timeout
        self._statement_timeout = statement_timeout
        self._options = connect_options
        self._secrets = _secrets(dsn, connect_options)
        self._pool: Pool | None = None
        self._opening: asyncio.Task[Pool] | None = None
        self._kept: list[Link] = []
        self._tidying: asyncio.Task[None] | None = None
        self._awaited = 0
        self._closed = False
        self.address = _address(dsn, connect_options)

    @property
    def open(self) -> bool:
        """True after a first successful connect, until ``close``."""
        return self._pool is not None

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
            await self._give_back(pool, self._kept.pop())
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()
        except Exception as error:
            logger.debug("connections cut: %s", self._explain(error))
            pool.terminate()

    async def fetch(self, doing: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of one statement, which is a transaction of its own; every error is a DatabaseError."""
        pool = self._pool or await self._opened_late(doing)
        link = self._kept_link() or await self._acquire(pool, doing)
        try:
            rows = await link.fetch(sql, *arguments, timeout=self._statement_timeout + GRACE_SECONDS)
        except BaseException as error:
            if isinstance(error, (TimeoutError, asyncio.CancelledError)):
                _cut(link)  # whatever is still under way must not hold up the return of the connection
            await self._give_back(pool, link)
            if isinstance(error, Exception):
                raise self._translated(error, doing) from error
            raise
        if self._awaited or pool is not self._pool:
            await self._give_back(pool, link)
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
            async with link.transaction(readonly=True):
                rows = link.cursor(
                    sql, *arguments, prefetch=chunk, timeout=self._statement_timeout + GRACE_SECONDS
                )
                async for row in rows:
                    yield row
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            _cut(link)
            raise self._translated(error, doing) from error
        finally:
            await self._give_back(pool, link)

    async def _acquire(self, pool: Pool, doing: str) -> Link:
        self._awaited += 1
        try:
            return await pool.acquire(timeout=self._acquire_timeout)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, EOFError) as error:
            # Being refused in mid-run (a failover, a changed password) is an outage: it may pass.
            raise DatabaseUnavailableError(f"{doing}: no connection: {self._explain(error)}") from error
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
        while self._kept:
            await self._give_back(pool, self._kept.pop(0))

    async def _give_back(self, pool: Pool, link: Link) -> None:
        with contextlib.suppress(Exception):  # it is closed or cut by then
            await pool.release(link, timeout=CLOSE_SECONDS)

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
        return await asyncio.shield(self._opening)

    def _opening_done(self, task: asyncio.Task[Pool]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # whoever waited for it has it; nobody may have

    async def _open(self) -> Pool:
        pool: Pool | None = None
        try:
            async with asyncio.timeout(self._connect_timeout + GRACE_SECONDS):
                pool = await self._new_pool()
                links = await asyncio.gather(*(pool.acquire() for _ in range(self._sizes[0])))
            async with asyncio.timeout(MIGRATE_SECONDS):
                await migrate(links[0])  # type: ignore[arg-type]  # the proxy has every method of a connection
            for link in links:
                await self._give_back(pool, link)
        except BaseException as error:
            if pool is not None:
                with contextlib.suppress(asyncpg.InterfaceError):  # not even initialised
                    pool.terminate()
            if isinstance(error, Exception):
                raise self._refusal(error) from error
            raise
        if self._closed:
            pool.terminate()
            raise DatabaseUnavailableError(f"{self.address}: the connection was closed")
        self._pool = pool
        return pool

    def _new_pool(self) -> Pool:
        server_settings = {
            "application_name": "tradent",
            "statement_timeout": str(int(self._statement_timeout * 1000)),
            "timezone": "UTC",
            "jit": "off",  # compiling costs more than these statements take
        }
        pool: Pool = asyncpg.create_pool(
            self._dsn,
            min_size=0,  # or the pool itself reconnects in an outage, with a traceback for each failure
            max_size=self._sizes[1],
            timeout=self._connect_timeout,
            command_timeout=self._statement_timeout + GRACE_SECONDS,
            init=_teach_json,
            reset=_leave_as_is,
            **{
                **self._options,
                "server_settings": {**server_settings, **self._options.get("server_settings", {})},
            },
        )
        return pool

    def _refusal(self, error: Exception) -> DatabaseError:
        if isinstance(error, DatabaseError):
            return error
        doing = f"cannot connect to PostgreSQL at {self.address}"
        refused = isinstance(error, (asyncpg.ClientConfigurationError, ValueError, TypeError)) or (
            isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in ("28", "3D", "42")
        )
        if refused:
            return DatabaseRefusedError(f"{doing}: {self._explain(error)}")
        return DatabaseUnavailableError(f"{doing}: {self._explain(error)}")

    def _translated(self, error: BaseException, doing: str) -> DatabaseError:
        return translate(error, doing=doing, secrets=self._secrets)

    def _explain(self, error: BaseException) -> str:
        return explain(error, self._secrets)

    def __repr__(self) -> str:
        return f"Connections({self.address}, {'open' if self.open else 'closed'})"


def _cut(link: Link) -> None:
    """End a connection at once; the pool may have noticed its loss before us and taken it back."""
    with contextlib.suppress(asyncpg.InterfaceError):
        link.terminate()


async def _teach_json(link: asyncpg.Connection[asyncpg.Record]) -> None:
    await link.set_type_codec("jsonb", encoder=json_text, decoder=orjson.loads, schema="pg_catalog")


async def _leave_as_is(_link: asyncpg.Connection[asyncpg.Record]) -> None:
    """Nothing here changes a session's state, so a connection needs no resetting round trip after each use.

    (asyncpg has rolled back an open transaction before it calls this.)
    """


def _secrets(dsn: str | None, options: dict[str, Any]) -> tuple[str, ...]:
    """What must not appear in a message, the longest first: the URL, the password, plain and escaped."""
    found = {dsn or ""}
    if isinstance(options.get("password"), str):
        found.add(options["password"])
    with contextlib.suppress(ValueError):
        parts = urlsplit(dsn or "")
        passwords = [parts.password or "", *parse_qs(parts.query).get("password", [])]
        found.update(passwords, map(unquote, passwords))
    return tuple(sorted(filter(None, found), key=len, reverse=True))


def _address(dsn: str | None, options: dict[str, Any]) -> str:
    """Host, port and database for messages; nothing of the user part."""
    try:
        parts = urlsplit(dsn or "")
        query = parse_qs(parts.query)
        host = options.get("host") or query.get("host", [None])[0] or parts.hostname or "the default host"
        port = options.get("port") or parts.port or query.get("port", [None])[0] or 5432
        database = options.get("database") or unquote(parts.path.lstrip("/")) or "the default database"
    except ValueError:
        return "an unreadable URL"
    where = f"{host}" if str(host).startswith("/") else f"{host}:{port}"
    return f"{where}/{database}" if not str(host).startswith("/") else f"{where} ({database})"
