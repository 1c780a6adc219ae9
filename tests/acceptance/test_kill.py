"""kill -9 and --resume: the end is that of a run that was never killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_integration.bar_files import read_bars
from llm_integration.commands.worth_source import bar_columns
from llm_integration.worth.outcome import Trade, side_of
from llm_integration.worth.resolver import resolve
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.sessions import microseconds
from tests.acceptance.test_program import PROGRAM, bars_file, environment, fetch, rows, run

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

BARS = 1_800
"""Enough that three runs, in which bars are held back and then written in bursts, do not reach the end."""
SEED = 20261122


def lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


async def test_killed_runs_end_like_one_that_was_never_killed(database_url: str, tmp_path: Path) -> None:
    """After kills at random points every bar, signal, task and result is there once, in tables and files."""
    out, chance = tmp_path / "out", random.Random(SEED)
    arguments = [
        "--demo", "--data", str(bars_file(tmp_path, BARS)), "--database-url", database_url,
        "--output", str(out), "--no-dashboard", "--resume",
    ]  # fmt: skip
    quick = {"LLM_LEASE_SECONDS": "2", "LLM_POLL_INTERVAL": "0.2"}
    for _ in range(3):
        before, target = lines(out / "llm_strategy_results.csv"), chance.randrange(1, 200)
        with subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments, "--speed", "150"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(**quick),
        ) as process:  # fmt: skip
            deadline = time.monotonic() + 20
            while lines(out / "llm_strategy_results.csv") < before + target and time.monotonic() < deadline:
                time.sleep(0.01)
            process.kill()
    assert [row["status"] for row in await fetch(database_url, "SELECT status FROM trading_sessions")] == [
        "running"
    ]
    done = run(*arguments, "--speed", "0", variables=quick)
    assert done.returncode == 0, done.stderr
    bars, signals = rows(out / "llm_strategy_results.csv"), rows(out / "llm_signals.csv")
    times = [row["timestamp"] for row in bars]
    assert len(times) == BARS
    assert times == sorted(set(times))
    assert len({row["signal_id"] for row in signals}) == len(signals)
    assert {row["signal_id"] for row in bars if row["signal_id"]} == {row["signal_id"] for row in signals}
    assert all(None not in row and None not in row.values() for row in [*bars, *signals])  # no torn line
    stored = await fetch(
        database_url,
        """SELECT (SELECT count(*) FROM trading_sessions) AS sessions,
                  (SELECT count(*) FROM market_data) AS bars,
                  (SELECT count(*) FROM trading_signals) AS signals,
                  (SELECT count(*) FROM llm_enhancement_tasks WHERE status = 'completed') AS tasks,
                  (SELECT count(*) FROM llm_analysis_results) AS results""",
    )
    count = len(signals)
    assert dict(stored[0]) == {
        "sessions": 1,
        "bars": BARS,
        "signals": count,
        "tasks": count,
        "results": count,
    }
    await expect_outcomes_of_one_run(database_url, tmp_path, out)


async def expect_outcomes_of_one_run(url: str, folder: Path, out: Path) -> None:
    """File and table have every signal that has ended, once, with the numbers of resolving it afterwards."""
    bars = bar_columns(read_bars(bars_file(folder, BARS)))
    expected = {}
    for row in await fetch(url, "SELECT * FROM trading_signals"):
        trade = Trade(
            row["signal_id"], side_of(row["signal_type"]), microseconds(row["timestamp"]), row["stop_loss"],
            row["target_price"], row["entry_price"],
        )  # fmt: skip
        found = resolve(trade, bars, ResolverRules())
        if found.resolved:
            expected[found.signal_id] = (found.exit.value, found.r_net, found.bars_held)
    kept = rows(out / "llm_outcomes.csv")
    assert len({row["signal_id"] for row in kept}) == len(kept)
    in_file = {row["signal_id"]: (row["exit"], float(row["r_net"]), int(row["bars_held"])) for row in kept}
    stored = await fetch(url, "SELECT * FROM signal_outcomes")
    in_table = {row["signal_id"]: (row["exit"], row["r_net"], row["bars_held"]) for row in stored}
    assert len(expected) > 10
    assert in_file == in_table == expected
