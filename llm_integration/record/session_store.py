"""Sessions and bars of the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from llm_integration.domain import Bar
from llm_integration.record import host_queries as queries
from llm_integration.record.connections import Connections
from llm_integration.record.rows import bar_columns
from llm_integration.record.storable import clean_key, clean_text

__all__ = ["SessionStatus", "SessionStore"]

SessionStatus = Literal["running", "stopped", "failed", "completed"]
"""``stopped`` by a signal, ``failed`` by an error of the host; only ``completed`` is not to be resumed."""


class SessionStore:
    """What the host stores beside its signals. Every method may be repeated."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def start_session(
        self,
        session_id: str,
        *,
        symbol: str | None = None,
        mode: str = "live",
        source: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
        folders: Mapping[str, str] | None = None,
    ) -> None:
        """Open a session, or open it again to continue it. ``config`` must hold no secrets.

        ``endpoint`` is the address it sends requests to, ``folders`` where it keeps what a run that goes on
        with it has to find: names and absolute paths, added to those that are known.
        """
        await self._connections.fetch(
            "starting a session", queries.START_SESSION,
            clean_key(session_id), clean_text(symbol), clean_text(mode), clean_text(source),
            dict(config or {}), clean_text(endpoint), dict(folders or {}),
        )  # fmt: skip

    async def end_session(
        self, session_id: str, status: SessionStatus, *, feed_ended: bool | None = None
    ) -> int:
        """Note that and how the session ended; how many of its signals are unanswered.

        With unanswered signals it is ``stopped``, never ``completed``. ``feed_ended``: every bar was traded;
        without it that is what ``completed`` says.
        """
        ended = status == "completed" if feed_ended is None else feed_ended
        rows = await self._connections.fetch(
            "ending a session", queries.END_SESSION, clean_key(session_id), status, ended
        )
        return int(rows[0]["unanswered"])

    async def find_unfinished_session(
        self,
        *,
        symbol: str | None = None,
        source: str | Sequence[str] | None = None,
        mode: str | None = None,
        simulated: bool | None = None,
    ) -> dict[str, Any] | None:
        """The latest session that has bars to come or unanswered signals, narrowed by what is given.

        ``source`` may be several spellings of one. ``unanswered`` in the answer counts its signals that wait.
        """
        sources = [source] if isinstance(source, str) else source
        rows = await self._connections.fetch(
            "looking for a session", queries.UNFINISHED_SESSION, clean_text(symbol),
            None if sources is None else [clean_text(name) for name in sources], clean_text(mode), simulated,
        )  # fmt: skip
        return dict(rows[0]) if rows else None

    async def find_session(self, session_id: str) -> dict[str, Any] | None:
        """One session, with the same fields; None if there is none of that id."""
        rows = await self._connections.fetch(
            "looking for a session", queries.ONE_SESSION, clean_key(session_id)
        )
        return dict(rows[0]) if rows else None

    async def last_bar_time(self, session_id: str, symbol: str) -> datetime | None:
        """The time of the last stored bar; None before the first."""
        rows = await self._connections.fetch(
            "reading bars", queries.LAST_BAR_TIME, clean_key(session_id), clean_text(symbol)
        )
        found: datetime | None = rows[0][0]
        return found

    async def record_bars(self, session_id: str, symbol: str, bars: Sequence[Bar]) -> None:
        """Store bars in one statement; those that are stored already stay as they are.

        A session that is not known yet is created. A bar without four finite prices is left out.
        """
        columns = bar_columns(bars)
        if columns[0]:
            await self._connections.fetch(
                "storing bars", queries.RECORD_BARS, clean_key(session_id), clean_text(symbol) or "", *columns
            )
