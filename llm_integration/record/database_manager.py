"""DatabaseManager: everything this program asks of PostgreSQL, through one bounded pool."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from llm_integration.record.config import DatabaseConfig
from llm_integration.record.connections import Connections, Pooler
from llm_integration.record.opinions import OpinionStore
from llm_integration.record.reports import Reports
from llm_integration.record.session_store import SessionStore
from llm_integration.record.task_store import TaskStore
from llm_integration.record.tasks_by_hand import TasksByHand

__all__ = ["DatabaseManager"]


class DatabaseManager(TaskStore, TasksByHand, SessionStore, OpinionStore, Reports):
    """PostgreSQL by asyncpg: signals and tasks, sessions and bars, reports.

    ``dsn`` is a ``postgresql://`` URL; None leaves it to the ``PG*`` variables. ``schema`` holds all tables,
    None for the server's choice; ``pooler`` says whether pgbouncer or its like is in between, "auto" finds
    out. Seconds bound everything:
    ``connect_timeout`` the opening of a connection, ``acquire_timeout`` the wait for a free one,
    ``statement_timeout`` each statement, by the client and by the server. Further keywords go to asyncpg.

    ``connect()`` creates and migrates the tables. A manager that could not connect tries again with the next
    call, so it can be handed out before PostgreSQL is there. Errors are DatabaseError's children.
    """

    def __init__(
        self,
        dsn: str | SecretStr | None = None,
        *,
        pool_min: int = 1,
        pool_max: int = 4,
        connect_timeout: float = 5.0,
        acquire_timeout: float = 2.0,
        statement_timeout: float = 5.0,
        schema: str | None = None,
        pooler: Pooler = "auto",
        **connect_options: Any,
    ) -> None:
        connections = Connections(
            dsn,
            pool_min=pool_min,
            pool_max=pool_max,
            connect_timeout=connect_timeout,
            acquire_timeout=acquire_timeout,
            statement_timeout=statement_timeout,
            schema=schema,
            pooler=pooler,
            **connect_options,
        )
        TaskStore.__init__(self, connections)

    @classmethod
    def from_config(cls, config: DatabaseConfig, dsn: str | SecretStr | None = None) -> Self:
        """A manager with the bounds of ``config``; ``dsn`` stands in for an ``embedded`` URL."""
        return cls(
            dsn or config.url,
            pool_max=config.pool_size,
            connect_timeout=config.connect_timeout_seconds,
            statement_timeout=config.statement_timeout_seconds,
            schema=config.db_schema,
            pooler=config.pooler,
        )

    @property
    def connected(self) -> bool:
        """True after a first successful connect, until ``close``; an outage does not change it."""
        return self._connections.open

    @property
    def connections(self) -> Connections:
        """The pool, for the ledger that shares it."""
        return self._connections

    @property
    def address(self) -> str:
        """Host, port and database, for messages; nothing of user and password."""
        return self._connections.address

    async def connect(self) -> None:
        """Connect, and create or migrate the tables; safe when several processes do it at once.

        Raises DatabaseUnavailableError (try again later) or DatabaseRefusedError (somebody must act).
        """
        await self._connections.connect()

    async def close(self) -> None:
        """Close all connections; returns within about a second whatever state they are in."""
        await self._connections.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"DatabaseManager({self._connections.address}, {'open' if self.connected else 'closed'})"
