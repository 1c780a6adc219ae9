"""Every error the database side raises. Foreign exceptions become one of these at one boundary.

    DatabaseError
    ├── DatabaseUnavailableError    no connection, cut, timed out, shut down, read-only, disk full   retryable
    ├── DatabaseFaultError          PostgreSQL refuses for its own state: rights, a missing table    retryable
    ├── DatabaseRefusedError        at connect: wrong password, database, address or version
    ├── EmbeddedServerError         the embedded server cannot be started here
    ├── BadRowError                 this row will never be stored, the next one may
    ├── UnknownSignalError          no signal has this id
    └── UnknownTaskError            no task has this id

``retryable`` says whether the same call may succeed later without anybody changing the rows. Messages
are one line and never hold the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

import asyncpg

__all__ = [
    "BadRowError",
    "DatabaseError",
    "DatabaseFaultError",
    "DatabaseRefusedError",
    "DatabaseUnavailableError",
    "EmbeddedServerError",
    "UnknownSignalError",
    "UnknownTaskError",
    "explain",
    "translate",
]

LONGEST_MESSAGE = 300

AWAY_CLASSES = frozenset({"08", "40", "53", "57", "58"})
"""SQLSTATE classes of a server that is gone, busy, stopping, full or broken underneath, and of deadlocks."""
AWAY_STATES = frozenset({"25006", "25P03", "25P04", "55P03", "55006"})
"""Read-only after a failover, a transaction ended by a timeout, a lock that was not free in time."""
ROW_CLASSES = frozenset({"21", "22", "23", "54"})
"""SQLSTATE classes of data that does not fit: values, constraints, sizes."""


class DatabaseError(Exception):
    """Root of the tree. The message is one line, for the person who reads it."""

    retryable: ClassVar[bool] = False


class DatabaseUnavailableError(DatabaseError):
    """PostgreSQL cannot be reached, does not answer in time, or takes no writes at present."""

    retryable = True


class DatabaseFaultError(DatabaseError):
    """PostgreSQL answers with an error about itself: missing rights or tables, an internal fault.

    An operator can mend it while rows wait, so it counts as retryable.
    """

    retryable = True


class DatabaseRefusedError(DatabaseError):
    """PostgreSQL was found but does not let this program in, or holds a schema it does not know."""


class EmbeddedServerError(DatabaseError):
    """The server from the wheel cannot be started, or another user owns its data."""


class BadRowError(DatabaseError):
    """A value or a constraint makes this row impossible to store."""


class UnknownSignalError(DatabaseError, LookupError):
    """No row in ``trading_signals`` has this ``signal_id``."""


class UnknownTaskError(DatabaseError, LookupError):
    """No row in ``llm_enhancement_tasks`` has this ``task_id``."""


def translate(error: BaseException, *, doing: str, secrets: Iterable[str] = ()) -> DatabaseError:
    """The error of ours for a foreign ``error`` that came while ``doing`` something."""
    if isinstance(error, DatabaseError):
        return error
    return _kind(error)(f"{doing}: {explain(error, secrets)}")


def explain(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """One printable line about ``error``, in which ``secrets`` are blotted out."""
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    for secret in secrets:
        first = first.replace(secret, "***")
    shown = re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]", "?", first).strip()
    return shown if len(shown) <= LONGEST_MESSAGE else shown[: LONGEST_MESSAGE - 1] + "…"


def _kind(error: BaseException) -> type[DatabaseError]:
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return BadRowError  # asyncpg could not encode a value; nothing was sent
    if isinstance(error, asyncpg.PostgresError):
        return _kind_of_state(error.sqlstate or "")
    if isinstance(
        error, (OSError, TimeoutError, EOFError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    ):
        return DatabaseUnavailableError
    if isinstance(error, (ValueError, TypeError, OverflowError)):
        return BadRowError
    return DatabaseFaultError


def _kind_of_state(state: str) -> type[DatabaseError]:
    if state in AWAY_STATES or state[:2] in AWAY_CLASSES:
        return DatabaseUnavailableError
    if state[:2] in ROW_CLASSES:
        return BadRowError
    return DatabaseFaultError
