"""What was spent, on what, and for how many ratings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from llm_integration.record import ledger_queries as queries
from llm_integration.record.connections import Connections
from llm_integration.record.rows import Row

__all__ = ["CostGroup", "CostReport", "CostTotals", "LedgerReports"]

Grouping = Literal["day", "model", "symbol", "rating"]

_QUERIES = {
    "day": queries.SPENDING_BY_DAY,
    "model": queries.SPENDING_BY_MODEL,
    "symbol": queries.SPENDING_BY_SYMBOL,
}


@dataclass(frozen=True, slots=True)
class CostGroup:
    """Requests that have one thing in common. ``spent_usd`` is what is known to have been billed.

    ``unknown`` of them were sent and nobody said what they cost, ``in_flight`` have no end yet;
    ``put_aside_usd`` is what both may cost at most, as far as their price was known. ``tokens_unknown`` have
    no token counts. By rating there is no request but the signals that ended so.
    """

    name: str
    requests: int | None
    signals: int
    spent_usd: Decimal
    unknown: int
    in_flight: int
    put_aside_usd: Decimal
    prompt_tokens: int
    completion_tokens: int
    tokens_unknown: int


@dataclass(frozen=True, slots=True)
class CostTotals:
    """Everything together. ``usd_per_rated`` is all that is known to have been spent, failures and unrated
    answers included, by the signals that got a rating; None when nothing was rated or no cost is known. While
    ``total.unknown`` is not 0 it is a lower bound.
    """

    total: CostGroup
    rated_signals: int
    usd_per_rated: Decimal | None


@dataclass(frozen=True, slots=True)
class CostReport:
    """The totals, and the same money by day, model, symbol and rating."""

    totals: CostTotals
    by_day: list[CostGroup]
    by_model: list[CostGroup]
    by_symbol: list[CostGroup]
    by_rating: list[CostGroup]


class LedgerReports:
    """Sums over the ledger, of requests from ``since`` up to, not including, ``until`` (aware)."""

    _connections: Connections

    async def spending(
        self,
        by: Grouping,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        key_fingerprint: str | None = None,
        timezone: str = "UTC",
    ) -> list[CostGroup]:
        """Spending by day in ``timezone`` (oldest first), by model or symbol (dearest first), or by rating.

        By rating the groups are ``1`` to ``5``, ``unrated``, ``failed`` and ``expired``, over all keys, and
        the time is that of the answer. A request about several symbols is divided by their signals.
        Raises BadRowError for an unknown time zone.
        """
        what = "reading costs"
        if by == "rating":
            rows = await self._connections.fetch(what, queries.SPENDING_BY_RATING, since, until)
        else:
            rows = await self._connections.fetch(what, _QUERIES[by], since, until, key_fingerprint, timezone)
        return [_group(row) for row in rows]

    async def cost_totals(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        key_fingerprint: str | None = None,
    ) -> CostTotals:
        """Everything together, and the cost per rated signal."""
        rows = await self._connections.fetch(
            "reading costs", queries.SPENDING_IN_ALL, since, until, key_fingerprint, "UTC"
        )
        rated = (await self._connections.fetch("counting ratings", queries.RATED, since, until))[0][0]
        total = _group(rows[0]) if rows else _NOTHING
        billed = (total.requests or 0) - total.unknown - total.in_flight
        return CostTotals(total, rated, total.spent_usd / rated if rated and billed else None)

    async def cost_report(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        key_fingerprint: str | None = None,
        timezone: str = "UTC",
    ) -> CostReport:
        """All of it at once."""

        async def by(grouping: Grouping) -> list[CostGroup]:
            return await self.spending(
                grouping, since=since, until=until, key_fingerprint=key_fingerprint, timezone=timezone
            )

        totals = await self.cost_totals(since=since, until=until, key_fingerprint=key_fingerprint)
        return CostReport(totals, await by("day"), await by("model"), await by("symbol"), await by("rating"))


_NOTHING = CostGroup("all", 0, 0, Decimal(0), 0, 0, Decimal(0), 0, 0, 0)


def _group(row: Row) -> CostGroup:
    return CostGroup(
        name=row["name"] or "",
        requests=row.get("requests"),
        signals=row["signals"],
        spent_usd=row["spent_usd"],
        unknown=row["unknown"],
        in_flight=row.get("in_flight") or 0,
        put_aside_usd=row.get("put_aside_usd") or Decimal(0),
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        tokens_unknown=row["tokens_unknown"],
    )
