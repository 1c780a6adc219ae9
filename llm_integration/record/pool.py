"""How a pool is opened: what the URL says, what each session is told, and whether a pooler is in between."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
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

__all__ = ["PoolOpener", "Pooler", "Rehearsal", "give_back", "rehearsed"]

logger = logging.getLogger(__name__)

Pooler = Literal["auto"] | bool

GRACE_SECONDS = 0.25
"""The client waits this much longer than the server's statement_timeout, so that the server speaks first."""
MIGRATE_SECONDS = 60.0
CLOSE_SECONDS = 1.0


class PoolOpener:
    """Opens pools of connections to one database, and says in one line why one cannot be opened.

    It learns: once a pooler of transactions has been met, the sessions of further pools reckon with it.
    """

    def __init__(
        self,
        dsn: str | SecretStr | None,
        *,
        pool_min: int,
        pool_max: int,
        connect_timeout: float,
        statement_timeout: float,
        schema: str | None,
        pooler: Pooler,
        connect_options: dict[str, Any],
    ) -> None:
        dsn = SecretStr(dsn) if isinstance(dsn, str) else dsn
        self._settings, self.problem = _read(dsn)
        told = self._settings or ConnectionSettings()
        least, most = (min(size, told.connection_limit or size) for size in (pool_min, pool_max))
        self.sizes = max(1, least), max(1, least, most)
        self.connect_timeout = told.connect_timeout or connect_timeout
        self.statement_timeout = statement_timeout
        self._schema = schema or told.schema
        self._pooler: Pooler = pooler if pooler != "auto" or told.pooler is None else told.pooler
        more = connect_options.pop("server_settings", {})
        self._setup = connect_options.pop("setup", None)
        self._names = {"application_name": "tradent", **told.server_settings, **more}
        self._secrets = _secrets(told, dsn, connect_options.get("password"))
        if isinstance(connect_options.get("password"), str):  # the driver asks for it, and does not hold it
            connect_options["password"] = SecretStr(connect_options["password"]).get_secret_value
        self.connector = Connector(self._settings, connect_options)
        self.session = self._new_session(pooled=self._pooler is True or (
            self._pooler == "auto" and told.likely_pooler))  # fmt: skip
        self.address = _address(self._settings, self.problem, connect_options, self._schema)

    def _new_session(self, *, pooled: bool) -> Session:
        settings = {
            "statement_timeout": str(int(self.statement_timeout * 1000)),
            "timezone": "UTC",
            "jit": "off",  # compiling costs more than these statements take
        }
        if self._schema is not None:
            settings["search_path"] = quoted(self._schema)
        return Session(settings, self.statement_timeout + GRACE_SECONDS, pooled, self._names)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of parameters of the URL that change nothing."""
        return self._settings.ignored if self._settings else ()

    def finds_pooler(self, error: BaseException) -> bool:
        """True when ``error`` shows for the first time that a pooler of transactions is in between."""
        if (
            self.session.pooled
            or self._pooler != "auto"
            or not (isinstance(error, _PoolerFoundError) or from_pooler(error))
        ):
            return False
        self._reckon_with_pooler(self.explain(error))
        return True

    def _reckon_with_pooler(self, why: str) -> None:
        logger.info("%s: a pooler of transactions is in between (%s)", self.address, why)
        self.session = self._new_session(pooled=True)

    async def open(self, *, rehearse: bool = False) -> Pool:
        """A pool of which the first connections are good and, but to ``rehearse``, the tables are there.

        Raises DatabaseRefusedError when PostgreSQL does not let us in or the URL is unusable, and
        DatabaseUnavailableError when it cannot be reached.
        """
        if self.problem is not None:
            raise DatabaseRefusedError(f"cannot connect to PostgreSQL: the URL {self.problem}")
        try:
            return await self._try_pool(rehearse=rehearse)
        except DatabaseError as error:
            cause = error.__cause__
            if cause is None or not self.finds_pooler(cause):
                raise
        return await self._try_pool(rehearse=rehearse)

    async def _try_pool(self, *, rehearse: bool) -> Pool:
        pool: Pool | None = None
        links: list[Link] = []
        try:
            async with asyncio.timeout(self.connect_timeout + GRACE_SECONDS):
                pool = await self._new_pool()
                links = await asyncio.gather(*(pool.acquire() for _ in range(self.sizes[0])))
                await self._look_behind(links[0])
            if not rehearse:
                async with asyncio.timeout(MIGRATE_SECONDS):
                    await migrate(links[0], self.session, self._schema)
            for link in links:
                await give_back(pool, link)
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
        if self.session.pooled or self._pooler != "auto" or "statement_timeout" in self._names:
            return
        shown = await link.fetchval("SELECT current_setting('statement_timeout')::interval")
        if round(shown.total_seconds() * 1000) != int(self.statement_timeout * 1000):
            raise _PoolerFoundError("it keeps no settings of a session")

    def _new_pool(self) -> Pool:
        pool: Pool = asyncpg.create_pool(
            connect=self.connector.open,  # type: ignore[call-overload]  # it takes every keyword there is
            min_size=0,  # or the pool itself reconnects in an outage, with a traceback for each failure
            max_size=self.sizes[1],
            timeout=self.connect_timeout,
            command_timeout=self.session.bound,
            init=_teach_json,
            setup=self._setup,
            reset=_leave_as_is,
            server_settings=self.session.at_start,
            **({"statement_cache_size": 0} if self.session.pooled else {}),
        )
        return pool

    async def migrated(self, link: Link) -> int:
        """Bring the tables up to date inside a transaction of the caller; the version that was found."""
        try:
            async with asyncio.timeout(MIGRATE_SECONDS):
                return await migrate(link, self.session, self._schema)
        except Exception as error:
            raise await self._refusal(error, [link]) from error

    async def _refusal(self, error: BaseException, links: list[Link]) -> DatabaseError:
        if isinstance(error, DatabaseError):
            return error
        doing = f"cannot connect to PostgreSQL at {self.address}"
        state = error.sqlstate or "" if isinstance(error, asyncpg.PostgresError) else ""
        if state in ("42501", "3F000"):
            said = await advice(links[0] if links else None, error, self._schema)
            return DatabaseRefusedError(f"{doing}: {self.explain(error)}{said}")
        refused = state[:2] in ("28", "3D", "42") or isinstance(
            error, (asyncpg.ClientConfigurationError, ValueError, TypeError)
        )
        kind = DatabaseRefusedError if refused and not from_pooler(error) else DatabaseUnavailableError
        return kind(f"{doing}: {self.explain_login(error)}")

    def translated(self, error: BaseException, doing: str) -> DatabaseError:
        return translate(error, doing=doing, secrets=self._secrets)

    def explain(self, error: BaseException) -> str:
        return explain(error, self._secrets)

    def explain_login(self, error: BaseException) -> str:
        """Before somebody is let in, the name of the user may be a misplaced password."""
        user = self._settings.user if self._settings else None
        return explain(error, (*self._secrets, user) if user else self._secrets)


async def give_back(pool: Pool, link: Link) -> None:
    """Return a connection to its pool, whatever state both are in."""
    with contextlib.suppress(Exception):  # it is closed or cut by then
        await pool.release(link, timeout=CLOSE_SECONDS)


@contextlib.asynccontextmanager
async def rehearsed(
    opener: PoolOpener, acquire: Callable[[Pool, str], Awaitable[Link]]
) -> AsyncGenerator[Rehearsal, None]:
    """A connection of its own in a transaction that is rolled back. Raises what ``open`` raises."""
    pool = await opener.open(rehearse=True)
    try:
        link = await acquire(pool, "looking at the tables")
        undone = link.transaction()
        await undone.start()
        try:
            if opener.session.pooled:
                await link.execute(opener.session.preamble)
            yield Rehearsal(opener, link)
        finally:
            with contextlib.suppress(Exception):  # the end of the connection undoes it too
                await undone.rollback()
    finally:
        pool.terminate()


class Rehearsal:
    """Statements in a transaction that will be rolled back. ``fetch`` is that of Connections."""

    def __init__(self, opener: PoolOpener, link: Link) -> None:
        self._opener = opener
        self._link = link

    async def migrate(self) -> int:
        """Bring the tables up to date; the version that was found, 0 for none."""
        return await self._opener.migrated(self._link)

    async def fetch(self, doing: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of one statement; every error is a DatabaseError."""
        try:
            return await self._link.fetch(sql, *arguments)
        except Exception as error:
            raise self._opener.translated(error, doing) from error


class _PoolerFoundError(Exception):
    """Settings of a session do not last."""


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
