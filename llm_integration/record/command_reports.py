"""What the commands of a shell read: sessions, the stream of ratings, what was spent."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from llm_integration.record.connections import Connections
from llm_integration.record.rows import Row
from llm_integration.record.storable import clean_key

__all__ = ["CommandReports", "RatingRow", "RequestGroup", "SessionInfo", "SpendingRow"]

SESSIONS = """
SELECT session_id, symbol, mode, status, started_at, feed_ended
FROM trading_sessions ORDER BY started_at, session_id
"""

# In the order in which the answers came, which is the order a worker sees them in.
RATINGS = """
SELECT COALESCE(r.processed_at, r.created_at) AS at, r.rating, r.model_served, r.model_requested,
       r.prompt_name, r.prompt_version
FROM llm_analysis_results r
JOIN llm_enhancement_tasks t ON t.task_id = r.task_id AND t.status = 'completed'
JOIN trading_signals s ON s.signal_id = t.signal_id
WHERE ($1::text IS NULL OR s.session_id = $1)
  AND ($2::timestamptz IS NULL OR COALESCE(r.processed_at, r.created_at) >= $2)
ORDER BY 1, r.result_id
"""

# One row for each value of each grouping; `dimension` says which grouping it is. spent_usd is what all
# attempts at a signal are known to have cost, also those before a retry; cost_unknown counts answers whose
# cost nobody named. A signal that failed before anything was sent cost nothing: spent_usd is NULL then.
SPENDING = """
WITH rows AS (
    SELECT (COALESCE(r.processed_at, t.completed_at, t.updated_at) AT TIME ZONE 'UTC')::date::text AS day,
           COALESCE(r.model_served, r.model_requested, '(no answer)') AS model,
           COALESCE(s.symbol, '(none)') AS symbol,
           CASE WHEN t.status <> 'completed' THEN t.status
                ELSE COALESCE(r.rating::text, 'unrated') END AS rating,
           t.spent_usd, r.result_id, r.rating AS number, r.prompt_tokens, r.completion_tokens,
           (CASE WHEN r.result_id IS NOT NULL AND r.cost_usd IS NULL THEN 1 ELSE 0 END
            + (SELECT count(*) FROM jsonb_array_elements(
                   CASE jsonb_typeof(t.context -> 'earlier') WHEN 'array' THEN t.context -> 'earlier'
                        ELSE '[]' END) AS e(entry)
               WHERE entry ->> 'status' = 'completed' AND NOT entry ? 'cost_usd')) AS unknown
    FROM llm_enhancement_tasks t
    JOIN trading_signals s ON s.signal_id = t.signal_id
    LEFT JOIN trading_sessions x ON x.session_id = s.session_id
    LEFT JOIN llm_analysis_results r ON r.task_id = t.task_id AND t.status = 'completed'
    WHERE (t.status NOT IN ('pending', 'processing') OR t.spent_usd IS NOT NULL OR t.context ? 'earlier')
      AND ($1::text IS NULL OR s.session_id = $1)
      AND ($2::timestamptz IS NULL OR COALESCE(r.processed_at, t.completed_at, t.updated_at) >= $2)
      AND $3::boolean = (COALESCE(x.mode, '') LIKE 'simulated%'
                         OR COALESCE(r.model_served, '') LIKE 'simulated/%')
)
SELECT CASE WHEN GROUPING(day) = 0 THEN 'day' WHEN GROUPING(model) = 0 THEN 'model'
            WHEN GROUPING(symbol) = 0 THEN 'symbol' WHEN GROUPING(rating) = 0 THEN 'rating'
            ELSE 'total' END AS dimension,
       COALESCE(day, model, symbol, rating) AS name,
       count(*) AS signals, count(result_id) AS answered, count(number) AS rated,
       sum(spent_usd) AS spent_usd, COALESCE(sum(unknown), 0)::bigint AS cost_unknown,
       sum(prompt_tokens)::bigint AS prompt_tokens, sum(completion_tokens)::bigint AS completion_tokens,
       count(*) FILTER (WHERE result_id IS NOT NULL
                        AND (prompt_tokens IS NULL OR completion_tokens IS NULL)) AS tokens_unknown
FROM rows GROUP BY GROUPING SETS ((), (day), (model), (symbol), (rating))
ORDER BY 1, 2
"""

# Requests as they were sent, from the ledger: also shadows, repeated and failed ones. A request about several
# symbols is divided among them by their signals. A cost that is not known is counted, never taken for 0. The
# ledger names the model that was asked, and a simulated one by its prefix.
REQUESTS = """
WITH sent AS (
    SELECT l.*, a.all_signals
    FROM llm_ledger l
    LEFT JOIN LATERAL (SELECT sum(n::numeric) AS all_signals
                       FROM jsonb_each_text(l.symbols) AS e(symbol, n)) a ON true
    WHERE l.state <> 'returned' AND ($1::timestamptz IS NULL OR l.created_at >= $1)
      AND $2::boolean = (l.model LIKE 'simulated/%')
),
rows AS (
    SELECT 'total' AS dimension, NULL AS name, 1::numeric AS part, all_signals AS signals, sent.* FROM sent
    UNION ALL
    SELECT 'day', (created_at AT TIME ZONE 'UTC')::date::text, 1, all_signals, sent.* FROM sent
    UNION ALL
    SELECT 'model', model, 1, all_signals, sent.* FROM sent
    UNION ALL
    SELECT 'symbol', s.symbol, COALESCE(s.n / all_signals, 1), s.n, sent.*
    FROM sent LEFT JOIN LATERAL (SELECT symbol, n::numeric
                                 FROM jsonb_each_text(sent.symbols) AS e(symbol, n)) s ON true
)
SELECT dimension, name, count(*) AS requests, COALESCE(sum(signals), 0)::bigint AS signals,
       round(sum(part * billed_usd), 15) AS spent_usd,
       count(*) FILTER (WHERE billed_usd IS NULL AND state <> 'reserved') AS unknown,
       count(*) FILTER (WHERE state = 'reserved') AS in_flight,
       CASE WHEN bool_or(billed_usd IS NULL AND reserved_usd IS NULL) THEN NULL
            ELSE round(COALESCE(sum(part * reserved_usd) FILTER (WHERE billed_usd IS NULL), 0), 15)
            END AS put_aside_usd,
       round(sum(part * prompt_tokens))::bigint AS prompt_tokens,
       round(sum(part * completion_tokens))::bigint AS completion_tokens,
       count(*) FILTER (WHERE billed_tokens IS NULL) AS tokens_unknown
FROM rows GROUP BY dimension, name
ORDER BY dimension, CASE WHEN dimension <> 'day' THEN -sum(part * billed_usd) END NULLS LAST, name
"""


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
