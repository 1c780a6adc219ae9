"""``health`` and ``costs`` over what PostgreSQL has stored."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llm_integration.commands import costs, health
from llm_integration.commands.errors import UsageError
from llm_integration.commands.line import load_command
from llm_integration.domain import LLMAnalysis
from llm_integration.record.command_reports import SpendingRow
from llm_integration.record.command_store import CommandDatabase
from llm_integration.record.retry import RetryChoice
from tests.integration.database_helpers import LEASE, T0, answer, failure, signal

TYPICAL = (0.05, 0.2, 0.4, 0.3, 0.05)
MOSTLY_THREE = (0.03, 0.04, 0.86, 0.04, 0.03)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[CommandDatabase]:
    async with CommandDatabase(database_url) as database:
        yield database


def parsed(name: str, url: str, *given: str) -> argparse.Namespace:
    return load_command(name)[1].parse_args(["--database-url", url, *given])


async def store(db: CommandDatabase, analyses: list[LLMAnalysis], **changes: Any) -> None:
    for start in range(0, len(analyses), 32):
        part = analyses[start : start + 32]
        signals = [signal(a.signal_id, bars=(), **changes) for a in part]
        claims = await db.claim_signals(signals, worker_id="w", lease_seconds=LEASE)
        await db.save_outcomes([(a, claims[a.signal_id]) for a in part])


def some(
    count: int, shares: tuple[float, ...], prompt: str, *, start: int = 0, model: str = "a/b-1"
) -> list[LLMAnalysis]:
    """Rated answers, a minute apart; their ids do not sort like their times."""
    found = random.Random(start).choices((1, 2, 3, 4, 5), shares, k=count)
    return [
        answer(
            f"{(start + n) * 7919 % 100_003}", rating=rating, prompt_version=prompt, prompt_name="default",
            model_served=model, processed_at=T0 + timedelta(minutes=start + n),
        )
        for n, rating in enumerate(found)
    ]  # fmt: skip


async def test_a_prompt_that_ruins_the_ratings_shows(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stored answers are replayed in their order; status 1 while the alarm stands for what is in use."""
    await store(db, some(400, TYPICAL, "1"))
    assert await health.run(parsed("health", database_url, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    await store(db, some(150, MOSTLY_THREE, "2", start=400))
    assert await health.run(parsed("health", database_url, "--json")) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["window"]) == (False, 200)
    first, second = report["versions"]
    assert (first["prompt"], first["total"], first["alarms"]) == ("default 1", 400, [])
    assert (second["prompt"], second["total"], second["alarms"]) == ("default 2", 150, ["takeover"])
    assert second["top_rating"] == 3
    assert sum(second["counts"]) == 150
    (change,) = report["changes"]
    assert change["message"].startswith("8")
    assert await health.run(parsed("health", database_url)) == 1
    shown = capsys.readouterr().out
    assert "default 2: 8" in shown
    assert "takeover" in shown


async def test_one_model_or_prompt_can_be_shown_alone(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The history is the same with and without the filter; an unknown name is an error of usage."""
    await store(db, some(60, TYPICAL, "1") + some(60, TYPICAL, "2", start=60, model="c/d"))
    for filters in (["--model", "c/d"], ["--prompt-version", "2"], ["--prompt-version", "default 2"]):
        assert await health.run(parsed("health", database_url, "--json", *filters)) == 0
        (version,) = json.loads(capsys.readouterr().out)["versions"]
        assert (version["model"], version["prompt"], version["inherited"]) == ("c/d", "default 2", True)
    with pytest.raises(UsageError, match="no answer"):
        await health.run(parsed("health", database_url, "--model", "x/y"))


async def test_an_alarm_of_a_version_long_out_of_use_is_no_failure(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown, but the exit status speaks of the present."""
    await store(db, some(150, (0, 0, 1, 0, 0), "1"))
    assert await health.run(parsed("health", database_url, "--json")) == 1
    later = some(60, TYPICAL, "2", start=20_000, model="c/d")
    await store(db, later)
    capsys.readouterr()
    assert await health.run(parsed("health", database_url, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(v["alarms"], v["in_use"]) for v in report["versions"]] == [(["takeover"], False), ([], True)]


async def test_nothing_stored_is_said(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty database is neither healthy nor ill, and cost nothing that is known."""
    assert await health.run(parsed("health", database_url)) == 0
    assert await costs.run(parsed("costs", database_url)) == 0
    shown = capsys.readouterr().out
    assert "there is no answer yet" in shown
    assert "there is no real answer yet" in shown
    assert await costs.run(parsed("costs", database_url, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["total"]["spent_usd"], report["total"]["signals"], report["by_day"]) == (None, 0, [])


async def mixed(db: CommandDatabase) -> None:
    """Two rated, one unrated of unknown cost, a failure that cost, one that did not, and a simulated one."""
    await store(db, [answer("r-1", cost_usd=Decimal("0.001")), answer("r-2", cost_usd=Decimal("0.002"))])
    await store(
        db,
        [
            answer("u", rating=None, cost_usd=None, prompt_tokens=None, processed_at=T0 + timedelta(days=1)),
            failure("f-1", cost_usd=Decimal("0.0004")),
            failure("f-2"),
        ],
        symbol="ES",
    )
    await db.start_session("demo", mode="simulated/demo")
    await store(db, [answer("sim", cost_usd=Decimal(9))], session_id="demo")


async def test_costs_add_up_what_is_known_and_count_what_is_not(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By day, model, symbol and rating the same money; an unknown cost is in no sum and makes it a bound."""
    await mixed(db)
    assert await costs.run(parsed("costs", database_url, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    total = report["total"]
    assert (total["signals"], total["answered"], total["rated"]) == (5, 3, 2)
    assert (Decimal(total["spent_usd"]), total["cost_unknown"]) == (Decimal("0.0034"), 1)
    assert (total["usd_per_rated"], total["usd_per_rated_at_least"]) == (None, "0.0017")
    assert (total["prompt_tokens"], total["tokens_unknown"]) == (1_800, 1)
    for name in ("day", "model", "symbol", "rating"):
        groups = report[f"by_{name}"]
        known = sum(Decimal(group["spent_usd"] or 0) for group in groups)
        assert (known, sum(group["signals"] for group in groups)) == (Decimal("0.0034"), 5)
    symbols = {group["name"]: group for group in report["by_symbol"]}
    assert (symbols["EURUSD"]["usd_per_rated"], symbols["ES"]["usd_per_rated"]) == ("0.0015", None)
    assert {group["name"] for group in report["by_rating"]} == {"4", "unrated", "failed"}
    assert report["left_out"] == 1


async def test_real_and_simulated_money_is_never_added(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Simulated answers are shown when asked for, and then alone."""
    await mixed(db)
    assert await costs.run(parsed("costs", database_url, "--simulated", "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["total"]["signals"], report["total"]["spent_usd"], report["left_out"]) == (1, "9", 5)
    assert await costs.run(parsed("costs", database_url)) == 0
    shown = capsys.readouterr().out
    assert "real: >= 0.0034 USD for 2 rated signals, and 1 answers of unknown cost" in shown
    assert "1 simulated signals are left out" in shown


async def test_what_was_spent_before_a_retry_stays_spent(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Known costs of the first attempt stay in the sum, unknown ones stay counted."""
    await mixed(db)
    await db.retry(RetryChoice(failed=True, unrated=True))
    assert await costs.run(parsed("costs", database_url, "--json", "--session", "session-1")) == 0
    total = json.loads(capsys.readouterr().out)["total"]
    assert (Decimal(total["spent_usd"]), total["cost_unknown"]) == (Decimal("0.0034"), 1)
    claimed = await db.claim_waiting(worker_id="w2", limit=9, lease_seconds=LEASE)
    await db.save_outcomes(
        [(answer(found.signal_id, cost_usd=Decimal("0.01")), claim) for claim, found in claimed]
    )
    assert await costs.run(parsed("costs", database_url, "--json")) == 0
    total = json.loads(capsys.readouterr().out)["total"]
    assert (Decimal(total["spent_usd"]), total["cost_unknown"]) == (Decimal("0.0334"), 1)


def test_the_cost_of_a_rating_is_none_rather_than_wrong() -> None:
    """No rated signal, or no known cost: no number."""
    row = SpendingRow("total", None, 3, 3, 0, Decimal(1), 0, 1, 1, 0)
    assert costs.per_rated(row) is None
    assert costs.per_rated(SpendingRow("total", None, 3, 3, 2, None, 3, 1, 1, 0)) is None
    assert costs.per_rated(SpendingRow("total", None, 3, 3, 2, Decimal(1), 0, 1, 1, 0)) == Decimal("0.5")
