"""How foreign exceptions become errors of ours, and what their messages hold."""

from __future__ import annotations

import ssl
from typing import Any

import asyncpg
import pytest

from database.db_manager import DatabaseManager
from llm_integration.record.connections import Connections
from llm_integration.record.errors import (
    BadRowError,
    DatabaseError,
    DatabaseFaultError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
    ends_connection,
    from_pooler,
    translate,
)

PASSWORD = "MARKER-p@ss"
ESCAPED = "MARKER-p%40ss"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionResetError("reset"), DatabaseUnavailableError),
        (TimeoutError(), DatabaseUnavailableError),
        (asyncpg.InterfaceError("connection is closed"), DatabaseUnavailableError),
        (asyncpg.ConnectionDoesNotExistError("gone"), DatabaseUnavailableError),
        (asyncpg.AdminShutdownError("stopping"), DatabaseUnavailableError),
        (asyncpg.CannotConnectNowError("starting"), DatabaseUnavailableError),
        (asyncpg.ReadOnlySQLTransactionError("standby"), DatabaseUnavailableError),
        (asyncpg.DiskFullError("full"), DatabaseUnavailableError),
        (asyncpg.TooManyConnectionsError("many"), DatabaseUnavailableError),
        (asyncpg.DeadlockDetectedError("deadlock"), DatabaseUnavailableError),
        (asyncpg.QueryCanceledError("timeout"), DatabaseUnavailableError),
        (asyncpg.LockNotAvailableError("lock"), DatabaseUnavailableError),
        (asyncpg.CheckViolationError("check"), BadRowError),
        (asyncpg.ForeignKeyViolationError("key"), BadRowError),
        (asyncpg.CharacterNotInRepertoireError("NUL"), BadRowError),
        (asyncpg.ProgramLimitExceededError("index row"), BadRowError),
        (asyncpg.exceptions._base.DataError("cannot encode"), BadRowError),
        (asyncpg.InsufficientPrivilegeError("rights"), DatabaseFaultError),
        (asyncpg.UndefinedTableError("no table"), DatabaseFaultError),
        (asyncpg.InternalServerError("XX000"), DatabaseFaultError),
        (asyncpg.TargetServerAttributeNotMatched("standby"), DatabaseUnavailableError),
        (asyncpg.InFailedSQLTransactionError("aborted"), DatabaseUnavailableError),
        (asyncpg.InvalidSQLStatementNameError("prepared"), DatabaseUnavailableError),
        (asyncpg.DuplicatePreparedStatementError("prepared"), DatabaseUnavailableError),
        (asyncpg.FeatureNotSupportedError("cached plan"), DatabaseFaultError),
        (asyncpg.InvalidSchemaNameError("no schema"), DatabaseFaultError),
        (ssl.SSLError("record"), DatabaseUnavailableError),
        (RuntimeError("loop is closed"), DatabaseFaultError),
        (KeyError("x"), DatabaseFaultError),
    ],
)
def test_foreign_errors_have_one_of_our_kinds(error: Exception, kind: type[DatabaseError]) -> None:
    """Outages are retryable, bad rows are not, and the server's own faults wait for an operator."""
    mine = translate(error, doing="storing")
    assert type(mine) is kind
    assert mine.retryable is (kind is not BadRowError)


EVERY_ERROR = [
    kind
    for kind in vars(asyncpg.exceptions).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
]


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_exception_of_the_driver_is_of_some_kind(kind: type[Exception]) -> None:
    """None is unknown to the boundary; only what is about a row or a moment leaves a connection in use."""
    error = kind("what the server says")
    mine = translate(error, doing="storing")
    assert isinstance(mine, DatabaseError)
    assert "\n" not in str(mine)
    state = getattr(error, "sqlstate", None) or ""
    lives_on = state[:2] in ("21", "22", "23", "40", "54") or state in ("55P03", "57014")
    assert ends_connection(error) is not (lives_on or type(mine) is BadRowError)


@pytest.mark.parametrize(
    ("error", "pooler"),
    [
        (asyncpg.ProtocolViolationError("unsupported startup parameter: statement_timeout"), True),
        (asyncpg.ProtocolViolationError("unsupported startup parameter in options: jit"), True),
        (
            asyncpg.FeatureNotSupportedError("RDS Proxy doesn’t support command-line options"),
            True,
        ),
        (asyncpg.InvalidSQLStatementNameError('prepared statement "__asyncpg_1__" does not exist'), True),
        (asyncpg.DuplicatePreparedStatementError('prepared statement "x" already exists'), True),
        (asyncpg.InternalServerError('prepared statement "S_1" does not exist'), True),
        (asyncpg.ProtocolViolationError("no such database"), False),
        (asyncpg.UndefinedTableError('relation "x" does not exist'), False),
        (OSError("unsupported startup parameter"), False),
    ],
)
def test_poolers_are_told_by_what_they_say(error: Exception, pooler: bool) -> None:
    """pgbouncer, Neon's, Odyssey, RDS Proxy and their like."""
    assert from_pooler(error) is pooler


def test_messages_are_one_printable_line_of_bounded_length() -> None:
    """A server's message can forge no log line."""
    message = str(translate(ValueError("first\x1b[31m line " + "x" * 900 + "\nsecond"), doing="storing"))
    assert message.isprintable()
    assert "second" not in message
    assert len(message) < 320


@pytest.mark.parametrize("secret", [PASSWORD, ESCAPED])
def test_the_password_is_in_no_message_and_no_repr(secret: str) -> None:
    """Neither plain nor escaped, whatever the driver says."""
    url = f"postgresql://user:{ESCAPED}@db.example:5433/trading"
    manager = DatabaseManager(url)
    assert "MARKER" not in repr(manager) + str(vars(manager))
    assert repr(manager) == "DatabaseManager(db.example:5433/trading, closed)"
    error = manager._connections._opener.translated(ValueError(f"bad {secret} in {url}"), "connecting")
    assert "MARKER" not in str(error)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{ESCAPED}@host/db",
        f"postgresql://user:{ESCAPED}@host:notaport/db",
        f"postgresql://user:{ESCAPED}@[::1/db",
    ],
)
async def test_an_unusable_url_is_refused_without_its_password(url: str) -> None:
    """One line that says what is wrong; trying again would not help."""
    with pytest.raises(DatabaseRefusedError) as caught:
        await DatabaseManager(url).connect()
    assert "MARKER" not in str(caught.value)
    assert not caught.value.retryable


def test_the_address_names_host_and_database_only() -> None:
    """Messages say where, for TCP and for sockets, with keywords and without."""

    def address(dsn: str | None, **options: Any) -> str:
        return Connections(
            dsn, pool_min=1, pool_max=1, connect_timeout=1, acquire_timeout=1, statement_timeout=1, **options
        ).address

    assert address("postgresql://u:p@h/d") == "h:5432/d"
    assert address("postgresql://postgres@/d?host=/run/pg&port=5432") == "/run/pg (d)"
    assert address(None, host="h", port=1, database="d", password="p") == "h:1/d"
    assert address(None) == "the default host:5432/the default database"
