"""Opens one connection after another to the place a URL names, with TLS as it asks, and shows no password."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import asyncpg

from llm_integration.record.database_url import ConnectionSettings
from llm_integration.record.errors import without_frames
from llm_integration.record.tls import Tls, tls_attempts
from llm_integration.threads import in_thread

if TYPE_CHECKING:
    AnyConnection = asyncpg.Connection[asyncpg.Record]

__all__ = ["Connector", "open_connection"]


class Connector:
    """Where to connect to and how. ``settings`` None: the ``PG*`` variables say it, and ``more``.

    ``more`` are keywords of ``asyncpg.connect`` that go over what the URL says.
    """

    def __init__(self, settings: ConnectionSettings | None, more: Mapping[str, Any]) -> None:
        self._settings = settings
        self._more = dict(more)
        self._attempts: tuple[Tls, ...] | None = None

    async def open(self, _dsn: str | None = None, **arguments: Any) -> AnyConnection:
        """A new connection, as a pool asks for one.

        Raises what asyncpg raises, without the frames that hold the password.
        """
        try:
            return await self._first_accepted(arguments)
        except BaseException as error:
            raise without_frames(error) from None

    async def _first_accepted(self, arguments: dict[str, Any]) -> AnyConnection:
        if self._settings is None:
            return await asyncpg.connect(**{**arguments, **self._more})
        given = {**arguments, **self._settings.arguments(), **self._more}
        if "ssl" in given:
            return await asyncpg.connect(**given)
        if self._attempts is None:
            self._attempts = await in_thread(tls_attempts, self._settings)
        first, *second = self._attempts
        try:
            return await asyncpg.connect(**{**given, "ssl": first})
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not second or not _about_tls(error):
                raise
        link: AnyConnection = await asyncpg.connect(**{**given, "ssl": second[0]})
        self._attempts = (second[0], first)  # the next one begins with what the server takes
        return link

    def __repr__(self) -> str:
        return f"Connector({self._settings.address if self._settings else 'PG*'})"


def _about_tls(error: Exception) -> bool:
    """Whether the server may take the connection with TLS instead of without, or the other way round."""
    if isinstance(error, asyncpg.PostgresError):
        # pg_hba.conf says hostssl or hostnossl; poolers and providers have words of their own
        return error.sqlstate == "28000" or re.search(r"\b(ssl|tls|encrypt)", str(error), re.I) is not None
    if isinstance(error, ssl.SSLError):
        return True
    return type(error) is ConnectionError  # "rejected SSL upgrade"


async def open_connection(settings: ConnectionSettings, *, timeout: float) -> AnyConnection:
    """One connection, for a single errand; opened within ``timeout`` seconds."""
    return await Connector(settings, {}).open(timeout=timeout)
