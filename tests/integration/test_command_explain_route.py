"""``explain-route`` for signals in PostgreSQL."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llm_integration.commands import explain_route
from llm_integration.commands.errors import UsageError
from llm_integration.commands.line import load_command
from llm_integration.record.command_store import CommandDatabase
from llm_integration.record.retry import RetryChoice
from tests.integration.database_helpers import LEASE, answer, bars, failure, signal

ROUTES = [
    {"name": "deep", "when": {"indicator": {"rsi_14": {"min": 55}}, "risk_reward_min": 2}, "model": "a/deep"},
    {"name": "noon", "when": {"time": "12:00-13:00"}, "model": "a/noon", "fallbacks": ["a/b", "c/d"]},
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"llm": {"routes": ROUTES}}))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[CommandDatabase]:
    async with CommandDatabase(database_url) as database:
        yield database


def parsed(url: str, *given: str) -> argparse.Namespace:
    return load_command("explain-route")[1].parse_args(["--database-url", url, *given])


async def told(url: str, capsys: pytest.CaptureFixture[str], *given: str) -> dict[str, Any]:
    assert await explain_route.run(parsed(url, *given, "--json")) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


async def test_a_stored_signal_takes_the_rule_that_its_values_meet(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prices, indicators and its own time count, not the present one; the last is the one stored last."""
    for name, stop in (("far", 1.09), ("near", 1.094)):
        await db.claim_signals([signal(name, stop_loss=stop, entry_price=1.1, target_price=1.11)],
                               worker_id="w", lease_seconds=LEASE)  # fmt: skip
    assert (await told(database_url, capsys, "--signal", "far"))["rule"] == "noon"
    last = await told(database_url, capsys, "--last")
    assert (last["signal"]["signal_id"], last["rule"]) == ("near", "noon")
    assert last["signal"]["risk_reward"] == pytest.approx(5 / 3)
    assert [model["model"] for model in last["models"]] == ["a/noon", "a/b", "c/d"]
    await db.claim_signals([signal("deep", entry_price=2.0, stop_loss=1.0, target_price=4.0)],
                           worker_id="w", lease_seconds=LEASE)  # fmt: skip
    assert (await told(database_url, capsys, "--signal", "deep"))["rule"] == "deep"
    assert await explain_route.run(parsed(database_url, "--signal", "deep")) == 0
    assert "deep: chosen (" in capsys.readouterr().out


async def test_a_retry_that_names_a_model_overrides_the_rule(
    db: CommandDatabase, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """That model alone is asked, without fallbacks, as the worker does it."""
    claims = await db.claim_signals([signal("s")], worker_id="w", lease_seconds=LEASE)
    await db.save_outcomes([(failure("s"), claims["s"])])
    await db.retry(RetryChoice(failed=True), model="x/y")
    report = await told(database_url, capsys, "--signal", "s")
    assert report["model_of_a_retry"] == "x/y"
    assert [(model["model"], model["role"]) for model in report["models"]] == [("x/y", "first")]
    assert await explain_route.run(parsed(database_url, "--signal", "s")) == 0
    assert "a retry asked for the model x/y" in capsys.readouterr().out


async def test_a_signal_that_is_not_there_is_an_error_of_usage(
    db: CommandDatabase, database_url: str
) -> None:
    """With its id, or because there is none at all."""
    with pytest.raises(UsageError, match="no signal 'missing'"):
        await explain_route.run(parsed(database_url, "--signal", "missing"))
    with pytest.raises(UsageError, match="no signal in this database yet"):
        await explain_route.run(parsed(database_url, "--last"))


async def test_signals_are_read_with_their_bars_the_newest_first(db: CommandDatabase) -> None:
    """A signal comes back as it was stored, finished or not."""
    claims = await db.claim_signals([signal("a"), signal("b")], worker_id="w", lease_seconds=LEASE)
    await db.claim_signals([signal("c", bars=bars(50))], worker_id="w", lease_seconds=LEASE)
    await db.save_outcomes([(answer("a"), claims["a"])])
    first, *rest = await db.latest_signals(5)
    assert first.signal == signal("c", bars=bars(50))
    assert sorted(stored.signal.signal_id for stored in rest) == ["a", "b"]
    assert [stored.signal.signal_id for stored in await db.latest_signals(1)] == ["c"]
    finished = await db.stored_signal("a")
    assert finished is not None
    assert (finished.signal, finished.status, finished.model) == (signal("a"), "completed", None)
    assert await db.stored_signal("z\x00") is None
