"""What the commands of a shell read: sessions, the stream of ratings, what was spent."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from database.connections import Connections
from database.rows import Row
from database.storable import clean_key

__all__ = ["CommandReports", "RatingRow", "SessionInfo", "SpendingRow"]

SESSIONS = """
SELECT session_id, symbol, mode, status, started_at
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


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One run of a host. ``status`` is running, stopped, failed or completed."""

    session_id: str
    symbol: str | None
    mode: str
    status: str
    started_at: datetime

    @property
    def resumable(self) -> bool:
        """True when it may go on: only a completed session has seen all its bars."""
        return self.status != "completed"


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


def _key(session_id: str | None) -> str | None:
    return None if session_id is None else clean_key(session_id)


def _spending(row: Row) -> SpendingRow:
    return SpendingRow(**{name: row[name] for name in SpendingRow.__dataclass_fields__})
