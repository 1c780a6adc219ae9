"""What was spent, on what, and for how many ratings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from database.db_manager import DatabaseManager
from llm_integration.domain import TaskStatus
from llm_integration.record.errors import BadRowError
from llm_integration.record.ledger_reports import CostGroup
from tests.integration.database_helpers import LEASE, answer, failure, plain, signal
from tests.integration.test_ledger import CENT4, ledger
from tests.unit.budget_parts import ZERO, request

CENT = Decimal("0.01")
DAY = datetime(2026, 3, 11, tzinfo=UTC)


async def spend(db: DatabaseManager, *endings: tuple[dict[str, Any], dict[str, Any]], **options: Any) -> None:
    """Requests with their ends."""
    guard = ledger(db, **options)
    for asked, ending in endings:
        grant = await guard.reserve(request(**asked))
        if ending:
            guard.settle(grant, **{"sent": True} | ending)
    await guard.close()


def bill(cost: Decimal = CENT, prompt: int = 900, completion: int = 100) -> dict[str, Any]:
    """A bill with everything."""
    return {"cost_usd": cost, "prompt_tokens": prompt, "completion_tokens": completion}


async def date_back(url: str, day: datetime) -> None:
    """Let everything in the ledger have been asked at that time."""
    async with plain(url) as connection:
        await connection.execute("UPDATE llm_ledger SET created_at = $1", day)


def known(groups: list[CostGroup]) -> dict[str, tuple[int | None, int, Decimal, int]]:
    """Requests, signals, dollars and unknown costs by name."""
    return {group.name: (group.requests, group.signals, group.spent_usd, group.unknown) for group in groups}


async def test_spending_by_model_counts_what_is_unknown(db: DatabaseManager) -> None:
    """What was never sent is left out; an unknown cost is counted, not taken for 0, and shown at its most."""
    await spend(
        db,
        ({"symbols": {"ES": 4}}, bill()),
        ({}, {"cost_usd": None}),
        ({}, {}),
        ({"model": "a/cheap"}, bill()),
        ({"model": "a/cheap"}, {"sent": False}),
    )
    dear, cheap = sorted(await db.spending("model"), key=lambda group: group.name, reverse=True)
    assert dear == CostGroup("a/dear", 3, 6, CENT, 1, 1, 2 * CENT4, 900, 100, 2)
    assert cheap == CostGroup("a/cheap", 1, 1, CENT, 0, 0, ZERO, 900, 100, 0)


async def test_spending_by_day_follows_the_time_zone(db: DatabaseManager, database_url: str) -> None:
    """Two in the morning in London is still yesterday in New York."""
    await spend(db, ({}, bill()))
    await date_back(database_url, DAY + timedelta(hours=2))
    assert known(await db.spending("day")) == {"2026-03-11": (1, 1, CENT, 0)}
    assert known(await db.spending("day", timezone="America/New_York")) == {"2026-03-10": (1, 1, CENT, 0)}
    with pytest.raises(BadRowError):
        await db.spending("day", timezone="New York")


async def test_symbols_divide_what_a_batch_cost(db: DatabaseManager) -> None:
    """By their signals; together they are the whole."""
    await spend(
        db, ({"symbols": {"ES": 3, "NQ": 1}}, bill(4 * CENT)), ({"symbols": {"ES": 1, "CL": 2}}, bill())
    )
    groups = await db.spending("symbol")
    assert known(groups)["NQ"] == (1, 1, CENT, 0)
    assert {group.name: group.prompt_tokens for group in groups} == {"ES": 975, "CL": 600, "NQ": 225}
    assert groups[0].name == "ES"
    assert sum(group.spent_usd for group in groups) == 5 * CENT


async def test_a_period_and_a_key_bound_the_report(db: DatabaseManager, database_url: str) -> None:
    """From the first moment up to, not including, the last."""
    await spend(db, ({}, bill()))
    await date_back(database_url, DAY)
    await spend(db, ({}, bill(2 * CENT)), key_fingerprint="other")
    later = DAY + timedelta(days=1)
    assert (await db.cost_totals(since=DAY, until=later)).total.spent_usd == CENT
    assert (await db.cost_totals(until=DAY)).total.requests == 0
    assert (await db.cost_totals(since=later)).total.spent_usd == 2 * CENT
    assert (await db.cost_totals(key_fingerprint="other")).total.spent_usd == 2 * CENT
    assert known(await db.spending("model", since=DAY, until=later)) == {"a/dear": (1, 1, CENT, 0)}


async def test_spending_by_rating_and_per_rated_signal(db: DatabaseManager) -> None:
    """Failures and unrated answers are paid for as well: all money, by the signals that got a rating."""
    outcomes = [
        answer("five", rating=5, cost_usd=CENT),
        answer("five too", rating=5, cost_usd=None),
        answer("unrated", rating=None, error="prose", cost_usd=CENT),
        failure("failed", cost_usd=CENT),
        failure("expired", status=TaskStatus.EXPIRED),
    ]
    claims = await db.claim_signals(
        [signal(outcome.signal_id) for outcome in outcomes], worker_id="w", lease_seconds=LEASE
    )
    await db.save_outcomes([(outcome, claims[outcome.signal_id]) for outcome in outcomes])
    assert known(await db.spending("rating")) == {
        "5": (None, 2, CENT, 1),
        "expired": (None, 1, ZERO, 0),
        "failed": (None, 1, CENT, 0),
        "unrated": (None, 1, CENT, 0),
    }
    await spend(db, ({}, bill(3 * CENT)), ({}, bill(2 * CENT)))
    totals = await db.cost_totals()
    assert (totals.rated_signals, totals.usd_per_rated) == (2, Decimal("0.025"))


async def test_no_price_per_rating_is_made_up(db: DatabaseManager) -> None:
    """None without a rating, and None while no cost is known."""
    assert (await db.cost_totals()).usd_per_rated is None
    claims = await db.claim_signals([signal()], worker_id="w", lease_seconds=LEASE)
    await db.save_outcomes([(answer(), claims["s-1"])])
    await spend(db, ({}, {"cost_usd": None}))
    totals = await db.cost_totals()
    assert (totals.rated_signals, totals.total.unknown, totals.usd_per_rated) == (1, 1, None)


async def test_the_whole_report_at_once(db: DatabaseManager) -> None:
    """What a command prints."""
    await spend(db, ({}, bill()))
    report = await db.cost_report()
    assert report.totals.total.spent_usd == CENT
    assert [len(part) for part in (report.by_day, report.by_model, report.by_symbol, report.by_rating)] == [
        1,
        1,
        1,
        0,
    ]
