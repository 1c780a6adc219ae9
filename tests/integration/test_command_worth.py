"""``worth`` over what PostgreSQL has stored: signals with their ends, bars, costs, readings, selections."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llm_integration.bar_files import read_bars
from llm_integration.commands import worth
from llm_integration.commands.errors import UsageError
from llm_integration.commands.line import load_command
from llm_integration.domain import LLMAnalysis, Opinion, Signal, TaskStatus
from llm_integration.record.command_store import CommandDatabase
from llm_integration.record.outcomes import OutcomeStore, record_row
from llm_integration.worth.live import LiveOutcomes
from llm_integration.worth.outcome import Exit, Outcome, OutcomeRecord
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.sections import RatedSignal
from tests.integration.database_helpers import LEASE, answer, failure, plain, signal
from tests.unit.worth_parts import EURUSD, signal_file, signals

Captured = pytest.CaptureFixture[str]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[CommandDatabase]:
    async with CommandDatabase(database_url) as database:
        yield database


def parsed(url: str, *given: str) -> argparse.Namespace:
    return load_command("worth")[1].parse_args(["--database-url", url, *given])


async def told(capsys: Captured, url: str, *given: str) -> dict[str, Any]:
    assert await worth.run(parsed(url, "--json", *given)) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def stored(one: RatedSignal, session: str) -> Signal:
    trade = one.trade
    return signal(
        one.signal_id, timestamp=EPOCH + timedelta(microseconds=trade.at or 0), symbol=one.symbol, bars=(),
        signal_type="BUY" if trade.side > 0 else "SELL", entry_price=trade.entry_price, stop_loss=trade.stop,
        target_price=trade.target, session_id=session,
    )  # fmt: skip


def answered(one: RatedSignal, **changes: Any) -> LLMAnalysis:
    values: dict[str, Any] = {
        "rating": one.rating, "choppiness": one.choppiness, "model_served": one.model,
        "prompt_name": "default", "cost_usd": Decimal("0.001"),
    }  # fmt: skip
    return answer(one.signal_id, **{**values, **changes})


async def store(db: CommandDatabase, pairs: list[tuple[Signal, LLMAnalysis]]) -> None:
    for start in range(0, len(pairs), 32):
        part = pairs[start : start + 32]
        claims = await db.claim_signals([one for one, _ in part], worker_id="w", lease_seconds=LEASE)
        await db.save_outcomes([(end, claims[end.signal_id]) for _, end in part])


async def filled(db: CommandDatabase, session: str = "one", mode: str = "live") -> list[RatedSignal]:
    """A session with the bundled bars and 80 rated signals."""
    given = signals(80)
    await db.start_session(session, symbol="EURUSD", mode=mode)
    table = read_bars(EURUSD)
    for start in range(0, len(table), 2_000):
        await db.record_bars(session, "EURUSD", table[start : start + 2_000])
    await store(db, [(stored(one, session), answered(one)) for one in given])
    return given


async def test_postgresql_and_files_tell_the_same(
    db: CommandDatabase, database_url: str, tmp_path: Path, capsys: Captured
) -> None:
    """The same signals and bars: the same outcomes, tests and verdict; PostgreSQL knows the costs, too."""
    given = await filled(db)
    found = await told(capsys, database_url, "--session", "one")
    path = signal_file(tmp_path, given)
    files = parsed(database_url, "--signals", str(path), "--bars", str(EURUSD), "--json")
    assert await worth.run(files) == 0
    other = json.loads(capsys.readouterr().out)
    for name in ("accounting", "verdict", "rank_ic", "by_rating", "policy", "increment"):
        assert found[name] == other[name], name
    ordered = sorted(found["outcomes"], key=lambda one: str(one["signal_id"]))
    assert ordered == sorted(other["outcomes"], key=lambda one: str(one["signal_id"]))
    assert found["money"]["spent_usd"] == pytest.approx(0.08)
    assert other["money"]["spent_usd"] is None


async def test_what_the_host_reported_stands_over_bars(
    db: CommandDatabase, database_url: str, capsys: Captured
) -> None:
    """Its outcomes in the place of resolved ones, its fills as entries, both counted; all else stays."""
    given = await filled(db)
    before = {one["signal_id"]: one for one in (await told(capsys, database_url))["outcomes"]}
    live, rules = LiveOutcomes(ResolverRules()), ResolverRules()
    named, filled_one = given[0].trade, replace(given[1].trade, fill_price=given[1].trade.entry_price)
    list(live.accept("EURUSD", named))
    host = live.report(named.signal_id, (named.entry_price or 0) + named.side * 0.001, (named.at or 0) + 1)
    fill = OutcomeRecord(
        Outcome(filled_one.signal_id, Exit.OPEN), rules.as_json(), filled_one.fill_price, filled_one.at
    )
    await OutcomeStore(db.connections).save([record_row(host), record_row(fill)])
    report = await told(capsys, database_url)
    after = {one["signal_id"]: one for one in report["outcomes"]}
    assert "what bars tell: 1; signals that enter at the host's fill: 1" in " ".join(report["notes"])
    assert (after[named.signal_id]["source"], after[named.signal_id]["r_gross"]) == (
        "host", host.outcome.r_gross
    )  # fmt: skip
    assert after[filled_one.signal_id]["entry_price"] == filled_one.fill_price
    changed = {name for name, one in after.items() if one != before[name]}
    assert changed == {named.signal_id, filled_one.signal_id}


async def test_looks_of_all_who_use_a_database_count_together(
    db: CommandDatabase, database_url: str, capsys: Captured, tmp_path: Path
) -> None:
    """Each question once, whoever asks, without a word; a file of earlier looks counts beside them."""
    await filled(db)
    first = (await told(capsys, database_url))["rank_ic"]
    assert first["looks"] == 1
    assert (await told(capsys, database_url))["rank_ic"] == first
    assert (await told(capsys, database_url, "--horizon-bars", "30"))["rank_ic"]["looks"] == 2
    again = (await told(capsys, database_url))["rank_ic"]
    assert (again["looks"], again["p"]) == (2, first["p"])
    ledger = ("--ledger", str(tmp_path / "looks.jsonl"))
    assert (await told(capsys, database_url, "--horizon-bars", "20", *ledger))["rank_ic"]["looks"] == 3
    async with plain(database_url) as link:
        kept = await link.fetch("SELECT p, resolved, level, judged_at, simulated FROM worth_looks")
        await link.execute("DELETE FROM worth_looks WHERE look ->> 'horizon' = '20'")
    assert len(kept) == 3
    assert all(row["resolved"] > 0 and row["judged_at"] == row["resolved"] for row in kept)
    assert not any(row["simulated"] for row in kept)
    assert (await told(capsys, database_url, *ledger))["rank_ic"]["looks"] == 3


async def test_looks_at_the_simulator_cost_real_ratings_nothing(
    db: CommandDatabase, database_url: str, capsys: Captured
) -> None:
    """They are counted among themselves."""
    await filled(db, mode="simulated/demo")
    assert (await told(capsys, database_url))["rank_ic"]["looks"] == 1
    assert (await told(capsys, database_url, "--horizon-bars", "5"))["rank_ic"]["looks"] == 2
    async with plain(database_url) as link:
        await link.execute("UPDATE trading_sessions SET mode = 'live'")
    assert (await told(capsys, database_url))["rank_ic"]["looks"] == 1


async def test_a_database_that_takes_no_looks_is_read_all_the_same(
    db: CommandDatabase, database_url: str, capsys: Captured
) -> None:
    """The report says that it is not corrected, and why."""
    await filled(db)
    async with plain(database_url) as link:
        await link.execute(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not here'; END $$;"
            "CREATE TRIGGER no BEFORE INSERT ON worth_looks FOR EACH ROW EXECUTE FUNCTION no()"
        )
    assert "not corrected for other looks" in " ".join((await told(capsys, database_url))["notes"])


async def test_every_end_of_a_signal_is_counted(
    db: CommandDatabase, database_url: str, capsys: Captured
) -> None:
    """Unrated, failed and expired ones beside the rated; those that wait are named and not counted."""
    await filled(db)
    base = signals(84, seed=4)
    ends = {
        "u": answer("u", rating=None, error="no rating", cost_usd=None),
        "f": failure("f"),
        "e": failure("e", status=TaskStatus.EXPIRED, error="too old"),
    }
    pairs = [
        (stored(replace(one, trade=replace(one.trade, signal_id=name)), "one"), end)
        for one, (name, end) in zip(base, ends.items(), strict=False)
    ]
    await store(db, pairs)
    await db.record_signal(signal("waits", session_id="one"))
    found = await told(capsys, database_url)
    counts = found["accounting"]
    assert [counts[n] for n in ("signals", "rated", "unrated", "failed", "expired")] == [83, 80, 1, 1, 1]
    assert "1 signals wait for an answer and are not counted" in found["notes"]
    assert found["money"]["cost_unknown"] == 1


async def test_selections_choose_signals(db: CommandDatabase, database_url: str, capsys: Captured) -> None:
    """By session, time, symbol, model and prompt; a choice of none is one line."""
    await filled(db)
    for option, value, count in (
        ("--session", "one", 80), ("--symbol", "EURUSD", 80), ("--model", "author/model", 80),
        ("--prompt", "default", 80), ("--prompt", "default 1", 80), ("--prompt", "1", 80),
    ):  # fmt: skip
        assert (await told(capsys, database_url, option, value))["accounting"]["signals"] == count
    later = await told(capsys, database_url, "--since", "2017-06-01")
    assert 0 < later["accounting"]["signals"] < 80
    for option, value in (("--session", "x"), ("--symbol", "ES"), ("--model", "m"), ("--prompt", "other 2"),
                          ("--since", "2018-06-01"), ("--session", "a\x00b")):  # fmt: skip
        with pytest.raises(UsageError, match="no answered signal"):
            await worth.run(parsed(database_url, option, value))


async def test_readings_of_ensembles_and_shadows_are_compared(
    db: CommandDatabase, database_url: str, capsys: Captured
) -> None:
    """A shadow stands beside the delivered rating, models of an ensemble beside each other."""
    await filled(db)
    extra = signals(100, seed=5)[:2]
    shadow = answered(extra[0], rating=4, opinions=(Opinion("shadow", "x/y", rating=5, model_served="x/y"),))
    both = answered(extra[1], opinions=tuple(Opinion("ensemble", name, rating=3) for name in ("a/a", "b/b")))
    await store(db, [(stored(one, "one"), end) for one, end in zip(extra, (shadow, both), strict=True)])
    found = await told(capsys, database_url)
    pairs = {(one["one"], one["other"]): one["same"] for one in found["rater"]["agreements"]}
    assert pairs == {("a/a", "b/b"): 1.0, ("author/model default 1", "x/y"): 0.0}


async def test_simulated_ratings_are_never_mixed_with_real_ones(
    db: CommandDatabase, database_url: str, capsys: Captured
) -> None:
    """Alone they are shown and said to be worthless; beside real ones they are left out unless asked for."""
    await filled(db, "sim", mode="simulated/demo")
    alone = await told(capsys, database_url)
    assert any("say nothing about any model" in note for note in alone["notes"])
    await db.start_session("real", symbol="EURUSD", mode="live")
    others = [
        replace(one, trade=replace(one.trade, signal_id=f"real {one.signal_id}"))
        for one in signals(90, seed=8)[:5]
    ]
    await store(db, [(stored(one, "real"), answered(one)) for one in others])
    real = await told(capsys, database_url)
    assert real["accounting"]["signals"] == 5
    assert any("simulated" in note for note in real["notes"])
    assert (await told(capsys, database_url, "--simulated"))["accounting"]["signals"] == 80


async def test_without_bars_there_is_no_report(
    db: CommandDatabase, database_url: str, capsys: Captured
) -> None:
    """One line that names the way out, which works."""
    given = signals(80)
    await store(db, [(stored(one, "one"), answered(one)) for one in given])
    with pytest.raises(UsageError, match="no bars in this database"):
        await worth.run(parsed(database_url))
    found = await told(capsys, database_url, "--bars", str(EURUSD))
    assert found["accounting"]["resolved"] > 70
