"""A pool of connections on which nothing can hang, and the boundary where foreign exceptions become ours."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
import orjson
from pydantic import SecretStr

from llm_integration.record.connector import Connector
from llm_integration.record.database_url import ConnectionSettings, DatabaseURLError, read_url
from llm_integration.record.errors import (
    DatabaseError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
    ends_connection,
    explain,
    from_pooler,
    translate,
    without_frames,
)
from llm_integration.record.migrations import migrate
from llm_integration.record.rights import advice
from llm_integration.record.session import Session, quoted
from llm_integration.record.storable import json_text

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Link = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

__all__ = ["Connections", "Pooler"]

logger = logging.getLogger(__name__)

Pooler = Literal["auto"] | bool

GRACE_SECONDS = 0.25
"""The client waits this much longer than the server's statement_timeout, so that the server speaks first."""
MIGRATE_SECONDS = 60.0
CLOSE_SECONDS = 1.0
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
        dsn = SecretStr(dsn) if isinstance(dsn, str) else dsn
        self._settings, self._problem = _read(dsn)
        told = self._settings or ConnectionSettings()
        least, most = (min(size, told.connection_limit or size) for size in (pool_min, pool_max))
        self._sizes = max(1, least), max(1, least, most)
        self._connect_timeout = told.connect_timeout or connect_timeout
        self._acquire_timeout = acquire_timeout
        self._statement_timeout = statement_timeout
        self._schema = schema or told.schema
        self._pooler: Pooler = pooler if pooler != "auto" or told.pooler is None else told.pooler
        more = connect_options.pop("server_settings", {})
        self._setup = connect_options.pop("setup", None)
        self._names = {"application_name": "tradent", **told.server_settings, **more}
        self._secrets = _secrets(told, dsn, connect_options.get("password"))
        if isinstance(connect_options.get("password"), str):  # the driver asks for it, and does not hold it
            connect_options["password"] = SecretStr(connect_options["password"]).get_secret_value
        self._connector = Connector(self._settings, connect_options)
        self._session = self._new_session(pooled=self._pooler is True or (
            self._pooler == "auto" and told.likely_pooler))  # fmt: skip
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
        self.address = _address(self._settings, self._problem, connect_options, self._schema)

    def _new_session(self, *, pooled: bool) -> Session:
        settings = {
            "statement_timeout": str(int(self._statement_timeout * 1000)),
            "timezone": "UTC",
            "jit": "off",  # compiling costs more than these statements take
        }
        if self._schema is not None:
            settings["search_path"] = quoted(self._schema)
        return Session(settings, self._statement_timeout + GRACE_SECONDS, pooled, self._names)

    @property
    def open(self) -> bool:
        """True after a first successful connect, until ``close``."""
        return self._pool is not None

    @property
    def pooled(self) -> bool:
        """True when a pooler between us and the server is reckoned with."""
        return self._session.pooled

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of parameters of the URL that change nothing."""
        return self._settings.ignored if self._settings else ()

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
        generation = self._generation
        link = self._kept_link() or await self._acquire(pool, doing)
        try:
            rows = await self._session.fetch(link, sql, arguments)
        except BaseException as error:
            await self._failed(pool, link, error)
            if isinstance(error, Exception):
                raise self._translated(error, doing) from error
            raise
        if self._awaited or pool is not self._pool or generation != self._generation:
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
            async with contextlib.aclosing(self._session.stream(link, sql, arguments, chunk)) as rows:
                async for row in rows:
                    yield row
        except Exception as error:
            _cut(link)
            await self._failed(pool, link, error)
            raise self._translated(error, doing) from error
        finally:
            await self._give_back(pool, link)

    async def _failed(self, pool: Pool, link: Link, error: BaseException) -> None:
        """A connection lives on after an error about a row only: it may be what the error is about."""
        if not isinstance(error, Exception) or ends_connection(error):
            _cut(link)  # whatever is still under way must not hold up the return of the connection
        await self._give_back(pool, link)
        if isinstance(error, asyncpg.PostgresError) and pool is self._pool and ends_connection(error):
            if self._finds_pooler(error):
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
            await self._give_back(pool, self._kept.pop())

    def _finds_pooler(self, error: BaseException) -> bool:
        """True when ``error`` shows for the first time that a pooler of transactions is in between."""
        if (
            self._session.pooled
            or self._pooler != "auto"
            or not (isinstance(error, _PoolerFoundError) or from_pooler(error))
        ):
            return False
        self._reckon_with_pooler(self._explain(error))
        return True

    def _reckon_with_pooler(self, why: str) -> None:
        logger.info("%s: a pooler of transactions is in between (%s)", self.address, why)
        self._session = self._new_session(pooled=True)

    async def _acquire(self, pool: Pool, doing: str) -> Link:
        self._awaited += 1
        try:
            return await pool.acquire(timeout=self._acquire_timeout)
        except Exception as error:
            # Being refused in mid-run (a failover, a changed password) is an outage: it may pass.
            without_frames(error)
            if self._finds_pooler(error):
                self._replace(pool)
            raise DatabaseUnavailableError(f"{doing}: no connection: {self._explain_login(error)}") from error
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
        if self._problem is not None:
            raise DatabaseRefusedError(f"cannot connect to PostgreSQL: the URL {self._problem}")
        if self.ignored and not self._told_ignored:
            logger.warning("the database URL's %s has no effect here", ", ".join(self.ignored))
            self._told_ignored = True
        pool = await self._open_pool(rehearse=False)
        if self._closed:
            pool.terminate()
            raise DatabaseUnavailableError(f"{self.address}: the connection was closed")
        self._opened_at = asyncio.get_running_loop().time()
        self._pool = pool
        return pool

    async def _open_pool(self, *, rehearse: bool) -> Pool:
        """A pool of which the first connections are good and the tables are there."""
        try:
            return await self._try_pool(rehearse=rehearse)
        except DatabaseError as error:
            cause = error.__cause__
            if cause is None or not self._finds_pooler(cause):
                raise
        return await self._try_pool(rehearse=rehearse)

    async def _try_pool(self, *, rehearse: bool) -> Pool:
        pool: Pool | None = None
        links: list[Link] = []
        try:
            async with asyncio.timeout(self._connect_timeout + GRACE_SECONDS):
                pool = await self._new_pool()
                links = await asyncio.gather(*(pool.acquire() for _ in range(self._sizes[0])))
                await self._look_behind(links[0])
            if not rehearse:
                async with asyncio.timeout(MIGRATE_SECONDS):
                    await migrate(links[0], self._session, self._schema)
            for link in links:
                await self._give_back(pool, link)
        except BaseException as error:
            refusal = await self._refusal(error, links) if isinstance(error, Exception) else None
            if pool is not None:
                with contextlib.suppress(asyncpg.InterfaceError):  # not even initialised
                    pool.terminate()
            if refusal is not None:
                raise refusal from without_frames(error)
            raise
        return pool

    async def _look_behind(self, link: Link) -> None:
        """A pooler that swallows the settings of a session keeps nothing else of it either."""
        if self._session.pooled or self._pooler != "auto" or "statement_timeout" in self._names:
            return
        shown = await link.fetchval("SELECT current_setting('statement_timeout')::interval")
        if round(shown.total_seconds() * 1000) != int(self._statement_timeout * 1000):
            raise _PoolerFoundError("it keeps no settings of a session")

    def _new_pool(self) -> Pool:
        pool: Pool = asyncpg.create_pool(
            connect=self._connector.open,  # type: ignore[call-overload]  # it takes every keyword there is
            min_size=0,  # or the pool itself reconnects in an outage, with a traceback for each failure
            max_size=self._sizes[1],
            timeout=self._connect_timeout,
            command_timeout=self._session.bound,
            init=_teach_json,
            setup=self._setup,
            reset=_leave_as_is,
            server_settings=self._session.at_start,
            **({"statement_cache_size": 0} if self._session.pooled else {}),
        )
        return pool

    @contextlib.asynccontextmanager
    async def rehearsal(self) -> AsyncGenerator[Rehearsal, None]:
        """Connect as ``connect`` does, and bring the tables up to date, in a transaction that is rolled back.

        What is fetched inside leaves no trace. Raises what ``connect`` raises.
        """
        if self._problem is not None:
            raise DatabaseRefusedError(f"cannot connect to PostgreSQL: the URL {self._problem}")
        pool = await self._open_pool(rehearse=True)
        try:
            link = await self._acquire(pool, "looking at the tables")
            undone = link.transaction()
            await undone.start()
            try:
                if self._session.pooled:
                    await link.execute(self._session.preamble)
                yield Rehearsal(self, link)
            finally:
                with contextlib.suppress(Exception):  # the end of the connection undoes it too
                    await undone.rollback()
        finally:
            pool.terminate()

    async def migrated(self, link: Link) -> int:
        """Bring the tables up to date inside a transaction of the caller; the version that was found."""
        try:
            async with asyncio.timeout(MIGRATE_SECONDS):
                return await migrate(link, self._session, self._schema)
        except Exception as error:
            raise await self._refusal(error, [link]) from error

    async def _refusal(self, error: BaseException, links: list[Link]) -> DatabaseError:
        if isinstance(error, DatabaseError):
            return error
        doing = f"cannot connect to PostgreSQL at {self.address}"
        state = error.sqlstate or "" if isinstance(error, asyncpg.PostgresError) else ""
        if state in ("42501", "3F000"):
            said = await advice(links[0] if links else None, error, self._schema)
            return DatabaseRefusedError(f"{doing}: {self._explain(error)}{said}")
        refused = state[:2] in ("28", "3D", "42") or isinstance(
            error, (asyncpg.ClientConfigurationError, ValueError, TypeError)
        )
        kind = DatabaseRefusedError if refused and not from_pooler(error) else DatabaseUnavailableError
        return kind(f"{doing}: {self._explain_login(error)}")

    def _translated(self, error: BaseException, doing: str) -> DatabaseError:
        return translate(error, doing=doing, secrets=self._secrets)

    def _explain(self, error: BaseException) -> str:
        return explain(error, self._secrets)

    def _explain_login(self, error: BaseException) -> str:
        """Before somebody is let in, the name of the user may be a misplaced password."""
        user = self._settings.user if self._settings else None
        return explain(error, (*self._secrets, user) if user else self._secrets)

    def __repr__(self) -> str:
        return f"Connections({self.address}, {'open' if self.open else 'closed'})"


class Rehearsal:
    """Statements in a transaction that will be rolled back. ``fetch`` is that of Connections."""

    def __init__(self, connections: Connections, link: Link) -> None:
        self._connections = connections
        self._link = link

    async def migrate(self) -> int:
        """Bring the tables up to date; the version that was found, 0 for none."""
        return await self._connections.migrated(self._link)

    async def fetch(self, doing: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of one statement; every error is a DatabaseError."""
        try:
            return await self._link.fetch(sql, *arguments)
        except Exception as error:
            raise self._connections._translated(error, doing) from error


class _PoolerFoundError(Exception):
    """Settings of a session do not last."""


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


def _read(dsn: SecretStr | None) -> tuple[ConnectionSettings | None, str | None]:
    """What the URL says, or what is wrong with it, to be said when somebody connects."""
    if dsn is None:
        return None, None
    try:
        return read_url(dsn), None
    except DatabaseURLError as error:
        return None, str(error)


def _secrets(settings: ConnectionSettings, dsn: SecretStr | None, password: object) -> tuple[str, ...]:
    """What must not appear in a message, the longest first."""
    url = dsn.get_secret_value() if dsn else ""
    login = url.partition("://")[2].rpartition("@")[0]
    pieces = {*settings.secrets(), url, login, login.partition(":")[2]}
    if isinstance(password, str):
        pieces.add(password)
    return tuple(sorted((each for each in pieces if len(each) > 3), key=len, reverse=True))


def _address(
    settings: ConnectionSettings | None, problem: str | None, options: dict[str, Any], schema: str | None
) -> str:
    """Host, port and database for messages; nothing of the user part."""
    if problem is not None:
        return "an unreadable URL"
    told = settings or ConnectionSettings()
    host = options.get("host")
    changes: dict[str, Any] = {} if host is None else {"hosts": (str(host),), "ports": ()}
    if options.get("port"):
        changes["ports"] = (int(options["port"]),)
    if options.get("database"):
        changes["database"] = options["database"]
    return replace(told, **changes).address + (f" schema {schema}" if schema else "")
