"""What the commands of a shell read: sessions, the stream of ratings, what was spent."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from llm_integration.record.connections import Connections
from llm_integration.record.rows import Row
from llm_integration.record.statements import load
from llm_integration.record.storable import clean_key

__all__ = ["CommandReports", "RatingRow", "RequestGroup", "SessionInfo", "SpendingRow"]

_STATEMENTS = load("commands.sql")
SESSIONS = _STATEMENTS["SESSIONS"]
RATINGS = _STATEMENTS["RATINGS"]
SPENDING = _STATEMENTS["SPENDING"]
REQUESTS = _STATEMENTS["REQUESTS"]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One run of a host. ``status`` is running, stopped, failed or completed."""

    session_id: str
    symbol: str | None
    mode: str
    status: str
    started_at: datetime
    feed_ended: bool = False

    @property
    def resumable(self) -> bool:
        """True when bars may still come."""
        return self.status != "completed" and not self.feed_ended


@dataclass(frozen=True, slots=True)
class RatingRow:
    """One answer; ``rating`` None: it could not be read."""

    at: datetime
    rating: int | None
    model_served: str | None
    model_requested: str | None
    prompt_name: str | None
    prompt_version: str | None


@dataclass(frozen=True, slots=True)
class SpendingRow:
    """What the signals of one day, model, symbol or rating cost, or all of them (``dimension`` total).

    ``spent_usd`` is what is known, None if nothing is; ``cost_unknown`` answers cost what nobody named,
    beyond it. Tokens likewise.
    """

    dimension: str
    name: str | None
    signals: int
    answered: int
    rated: int
    spent_usd: Decimal | None
    cost_unknown: int
    prompt_tokens: int | None
    completion_tokens: int | None
    tokens_unknown: int


@dataclass(frozen=True, slots=True)
class RequestGroup:
    """Requests of the ledger with one thing in common. ``spent_usd`` is what is known, None if nothing is.

    ``unknown`` of them were sent and nobody said what they cost, ``in_flight`` have no end yet. Both together
    may cost ``put_aside_usd`` at most, None when the price of one of them was not known. ``tokens_unknown``
    have no token counts.
    """

    name: str
    requests: int
    signals: int
    spent_usd: Decimal | None
    unknown: int
    in_flight: int
    put_aside_usd: Decimal | None
    prompt_tokens: int | None
    completion_tokens: int | None
    tokens_unknown: int


class CommandReports:
    """Reads over everything that is stored. Not for a trading loop."""

    _connections: Connections

    async def list_sessions(self) -> list[SessionInfo]:
        """Every session, the oldest first."""
        rows = await self._connections.fetch("reading sessions", SESSIONS)
        return [SessionInfo(*row.values()) for row in rows]

    async def iter_ratings(
        self, session_id: str | None = None, since: datetime | None = None, *, chunk: int = 1_000
    ) -> AsyncGenerator[RatingRow, None]:
        """Every answer in the order in which it came; streamed. Close the iterator if you leave it early."""
        rows = self._connections.stream("reading ratings", RATINGS, _key(session_id), since, chunk=chunk)
        async with aclosing(rows) as stream:
            async for row in stream:
                yield RatingRow(*row.values())

    async def signal_spending(
        self, session_id: str | None = None, since: datetime | None = None, *, simulated: bool = False
    ) -> list[SpendingRow]:
        """What signals cost by day (UTC), model, symbol and rating, and in total; simulated or real ones."""
        rows = await self._connections.fetch("adding up costs", SPENDING, _key(session_id), since, simulated)
        return [_spending(row) for row in rows]

    async def request_spending(
        self, since: datetime | None = None, *, simulated: bool = False
    ) -> dict[str, list[RequestGroup]]:
        """What requests cost by the ledger: ``total`` (one or none), ``day`` (UTC), ``model``, ``symbol``."""
        rows = await self._connections.fetch("adding up requests", REQUESTS, since, simulated)
        found: dict[str, list[RequestGroup]] = {"total": [], "day": [], "model": [], "symbol": []}
        for row in rows:
            values = {name: row[name] for name in RequestGroup.__dataclass_fields__}
            found[row["dimension"]].append(RequestGroup(**{**values, "name": row["name"] or ""}))
        return found


def _key(session_id: str | None) -> str | None:
    return None if session_id is None else clean_key(session_id)


def _spending(row: Row) -> SpendingRow:
    return SpendingRow(**{name: row[name] for name in SpendingRow.__dataclass_fields__})
