"""PostgreSQL from a wheel, for a machine that has none: a real server on a local socket, never on TCP.

::

    async with EmbeddedPostgres() as server:
        db = DatabaseManager(server.dsn)

The cluster lies in ``.tradent/postgres`` (``server.location`` says where exactly; under root it may be a
folder outside, see ``placement``) and persists between runs. Several processes may use it at once; the
last one stops the server. If it is killed meanwhile, one of them starts it again.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import asyncpg

from llm_integration.record.cluster import Cluster
from llm_integration.record.connector import open_connection
from llm_integration.record.database_url import read_url
from llm_integration.record.errors import EmbeddedServerError, translate
from llm_integration.record.postmaster import ServerBounds
from llm_integration.record.watch import Watch
from llm_integration.threads import in_thread

__all__ = ["EmbeddedPostgres", "default_base"]

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
QUICK = ServerBounds(lock=0.3, fast=0.8, immediate=0.3, killed=0.2)
"""For a server that does not answer, or that nobody waits for any more."""
NOTHING_FROM_OUTSIDE = "sslmode=disable&sslnegotiation=postgres&target_session_attrs=any&gsslib=gssapi"
"""What ``PG*`` variables would say otherwise, about servers that they were meant for."""


def default_base() -> Path:
    """``.tradent`` in the checkout this file is part of; in the working folder when it is installed."""
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()) / ".tradent"


class EmbeddedPostgres:
    """A server in this machine's user space. Start it with ``async with`` or ``start()`` and ``stop()``.

    ``settings`` are options of PostgreSQL, used when this process is the one that starts the server.
    Raises EmbeddedServerError, one line long, when it cannot run here.
    """

    def __init__(
        self,
        base: str | Path | None = None,
        *,
        database: str = "tradent",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._cluster = Cluster(Path(base) if base is not None else default_base(), settings)
        self._watch = Watch(self._cluster.running, self._cluster.revive)
        self._database = _checked(database)

    @property
    def dsn(self) -> str:
        """Where to connect to, for the database named at construction."""
        return self.dsn_of(self._database)

    @property
    def location(self) -> Path:
        """The folder that holds the cluster."""
        return self._cluster.place.folder

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._cluster.place.log

    @property
    def was_shared(self) -> bool:
        """True when another process was using the server as this one came."""
        return self._cluster.was_shared

    def dsn_of(self, database: str) -> str:
        """Where to connect to for another database of the cluster."""
        folder = self._cluster.socket_folder
        if folder is None:
            raise EmbeddedServerError("embedded PostgreSQL is not started")
        host = quote(str(folder), safe="/")
        return f"postgresql://postgres@/{_checked(database)}?host={host}&port=5432&{NOTHING_FROM_OUTSIDE}"

    async def start(self) -> str:
        """Start the server or join it, make sure the database exists, and return its DSN."""
        # When this is cancelled the thread goes on, until stop() or the end of the process cuts it short.
        await in_thread(self._cluster.acquire)
        try:
            await self.create_database(self._database)
            self._watch.start()
        except BaseException:
            await self.stop(QUICK)
            raise
        logger.info("embedded PostgreSQL in %s", self.location)
        return self.dsn

    async def stop(self, bounds: ServerBounds | None = None) -> None:
        """Give the server up; the last process that uses it stops it. Repeating it does nothing.

        Takes no longer than the sum of ``bounds``, whatever state the server is in, and also ends a start
        that is under way.
        """
        self._watch.stop()
        await asyncio.shield(in_thread(self._cluster.release, bounds))

    def abandon(self) -> None:
        """For the last moment of a process that is stuck, from any thread: like ``stop``, without a wait."""
        self._watch.stop()
        self._cluster.abandon()

    async def create_database(self, name: str, *, template: str | None = None) -> str:
        """Make sure that a database of this name exists; its DSN. ``template`` is copied into a new one."""
        source = "" if template is None else f' TEMPLATE "{_checked(template)}"'
        try:
            async with asyncio.timeout(CONNECT_SECONDS * 2):
                postgres = read_url(self.dsn_of("postgres"))
                connection = await open_connection(postgres, timeout=CONNECT_SECONDS)
                try:
                    known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
                    if not known:
                        await connection.execute(f'CREATE DATABASE "{_checked(name)}"{source}')
                except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    pass  # another process was quicker
                finally:
                    connection.terminate()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise translate(error, doing=f"embedded PostgreSQL: creating database {name}") from error
        return self.dsn_of(name)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _checked(name: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise ValueError(f"{name!r} does not do as a database name: a-z, 0-9 and _ only, 63 at most")
    return name
