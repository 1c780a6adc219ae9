"""Every error the database side raises. Foreign exceptions become one of these at one boundary.

    DatabaseError
    ├── DatabaseUnavailableError    no connection, cut, timed out, shut down, read-only, disk full   retryable
    ├── DatabaseFaultError          PostgreSQL refuses for its own state: rights, a missing table    retryable
    ├── DatabaseRefusedError        at connect: wrong password, database, address, rights or version
    │   └── DatabaseURLError        the URL cannot be read as it is meant (in ``database_url``)
    ├── EmbeddedServerError         the embedded server cannot be started here
    ├── BadRowError                 this row will never be stored, the next one may
    ├── UnknownSignalError          no signal has this id
    └── UnknownTaskError            no task has this id

``retryable`` says whether the same call may succeed later without anybody changing the rows. Messages
are one line and never hold the password.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from typing import ClassVar

import asyncpg

from llm_integration.one_line import one_line

__all__ = [
    "BadRowError",
    "DatabaseError",
    "DatabaseFaultError",
    "DatabaseRefusedError",
    "DatabaseUnavailableError",
    "EmbeddedServerError",
    "UnknownSignalError",
    "UnknownTaskError",
    "ends_connection",
    "explain",
    "from_pooler",
    "translate",
    "without_frames",
]

LONGEST_MESSAGE = 300

AWAY_CLASSES = frozenset({"08", "40", "53", "57", "58"})
"""SQLSTATE classes of a server that is gone, busy, stopping, full or broken underneath, and of deadlocks."""
AWAY_STATES = frozenset({"25006", "25P02", "25P03", "25P04", "26000", "34000", "42P05", "55006", "55P03"})
"""Read-only after a failover, a transaction that was ended, a lock that was not free in time, and sessions
that a pooler has exchanged for others."""
ROW_CLASSES = frozenset({"21", "22", "23", "54"})
"""SQLSTATE classes of data that does not fit: values, constraints, sizes."""
PASSING_CLASSES = frozenset({"40"})
PASSING_STATES = frozenset({"55P03", "57014"})
"""Deadlocks, locks that were not free and statements that took too long say nothing about the connection."""
POOLER_STATES = frozenset({"26000", "42P05"})
"""A prepared statement that is not there, or is there already: the session behind is another one."""
POOLER_WORDS = re.compile(
    r"unsupported startup parameter|startup parameter.*(?:not supported|unsupported)"
    r"|doesn.t support command-line options|prepared statement .* (?:does not exist|already exists)",
    re.IGNORECASE,
)
MISSING_TABLE = re.compile(r'relation "([\w.$]{1,130})" does not exist')


class DatabaseError(Exception):
    """Root of the tree. The message is one line, for the person who reads it."""

    retryable: ClassVar[bool] = False
    answered: ClassVar[bool] = False
    """True when PostgreSQL is there and works, but not for this."""


class DatabaseUnavailableError(DatabaseError):
    """PostgreSQL cannot be reached, does not answer in time, or takes no writes at present."""

    retryable = True


class DatabaseFaultError(DatabaseError):
    """PostgreSQL answers with an error about itself: missing rights or tables, an internal fault.

    An operator can mend it while rows wait, so it counts as retryable.
    """

    retryable = True
    answered = True


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


def ends_connection(error: BaseException) -> bool:
    """True unless ``error`` is about a row, or about a moment that passes.

    What a session believes about its server (read-only, its rights, its tables, its prepared statements)
    holds for as long as the session lives, even when it is true no more. A new one asks anew.
    """
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        passing = state in PASSING_STATES or state[:2] in PASSING_CLASSES | ROW_CLASSES
        return not passing
    return _kind(error) is not BadRowError


def from_pooler(error: BaseException) -> bool:
    """True for an error that only a pooler causes which hands its connections on between transactions."""
    if not isinstance(error, asyncpg.PostgresError):
        return False
    return error.sqlstate in POOLER_STATES or POOLER_WORDS.search(str(error)) is not None


def without_frames(error: BaseException) -> BaseException:
    """``error`` and all behind it without the frames of the driver, whose variables hold the password."""
    found, seen = [error], set[int]()
    while found:
        link = found.pop()
        if id(link) not in seen:
            seen.add(id(link))
            link.__traceback__ = None
            found += [each for each in (link.__cause__, link.__context__) if each is not None]
    return error


def explain(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """One printable line about ``error``, in which ``secrets`` are blotted out."""
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return _about_tls(error)
    if isinstance(error, asyncpg.PostgresError) and (said := _in_our_words(error)):
        return said
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    for secret in secrets:
        first = first.replace(secret, "***")
    return one_line(first, LONGEST_MESSAGE).strip()


def _about_tls(error: ssl.SSLError) -> str:
    """OpenSSL's words without its files and lines, and what to do about a certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = getattr(error, "verify_message", None) or "it cannot be verified"
        why = one_line(said, 120)
        return (
            f"the server's certificate is not accepted ({why}); name the"
            " certificate of its authority with sslrootcert, or another sslmode"
        )
    reason = (getattr(error, "reason", None) or "it cannot be set up").replace("_", " ").lower()
    return f"no TLS with this server: {reason}"


def _in_our_words(error: asyncpg.PostgresError) -> str | None:
    """Where the server's words would repeat a piece of the URL, or say less than is known."""
    state = error.sqlstate or ""
    if state == "28P01":
        return "the server refuses the user or the password"
    if state[:2] == "28" and "no encryption" in str(error):
        return "the server lets this user in with TLS only; add ?sslmode=require to the URL"
    if state[:2] == "28":
        return "the server does not let this user in: no such role, or pg_hba.conf forbids it"
    if state == "3D000":
        return "there is no such database; create it, or name another one"
    if state == "42P01" and (found := MISSING_TABLE.search(str(error))):
        return (
            f"table {found[1]} is missing: it was dropped or renamed while this program ran;"
            " put it back, or start the program again, which creates it"
        )
    return None


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
