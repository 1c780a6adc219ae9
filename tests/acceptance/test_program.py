"""The program as a process: what a newcomer sees, what is stored, how it stops, what it says of bad input."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from database import DatabaseManager, Outbox
from tests.integration.database_helpers import answer
from tests.integration.database_helpers import signal as leftover

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "main_with_database.py"
SAMPLE = ROOT / "data" / "EURUSD_1h.csv"

pytestmark = pytest.mark.postgres


def environment(**values: str) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("LLM_", "OPENROUTER", "DATABASE"))
    }
    return {**kept, "TRADENT_ENV_FILE": "", "PYTHONWARNINGS": "error::ResourceWarning", **values}


def run(*arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        capture_output=True, text=True, timeout=90, env=environment(**(variables or {})), check=False,
    )  # fmt: skip


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


async def fetch(url: str, query: str) -> list[Mapping[str, Any]]:
    connection = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def bars_file(folder: Path, count: int) -> Path:
    """The first ``count`` bars of the sample."""
    lines = SAMPLE.read_text().splitlines(keepends=True)
    file = folder / "bars.csv"
    file.write_text("".join(lines[: count + 1]))
    return file


@pytest.mark.slow
async def test_the_demo_stores_the_same_in_files_and_tables(database_url: str, tmp_path: Path) -> None:
    """Every bar is written once, and files, summary and tables agree signal for signal."""
    done = run(
        "--demo", "--speed", "0", "--database-url", database_url, "--output", str(tmp_path), "--no-dashboard"
    )
    assert done.returncode == 0, done.stderr
    stored = await fetch(
        database_url,
        """SELECT s.signal_id, r.rating, r.choppiness, r.parse_method, r.cost_usd,
                  r.model_requested, r.model_served, r.provider
           FROM trading_signals s LEFT JOIN llm_analysis_results r USING (signal_id)""",
    )
    assert 50 <= len(stored) <= 200
    in_file = {row["signal_id"]: row for row in rows(tmp_path / "llm_signals.csv")}
    assert {row["signal_id"] for row in stored} == set(in_file)
    for row in stored:
        assert in_file[row["signal_id"]]["llm_rating"] == (
            "" if row["rating"] is None else str(row["rating"])
        )
        assert in_file[row["signal_id"]]["llm_choppiness"] == (row["choppiness"] or "")
        assert row["cost_usd"] > 0
        assert all(
            str(row[name]).startswith("simulated/")
            for name in ("model_requested", "model_served", "provider")
        )
    bars = rows(tmp_path / "llm_strategy_results.csv")
    assert [row["timestamp"] for row in bars] == sorted({row["timestamp"] for row in bars})
    assert len(bars) == 6225
    on_bars = {row["signal_id"]: row["llm_rating"] for row in bars if row["signal_id"]}
    assert on_bars == {key: row["llm_rating"] for key, row in in_file.items()}
    assert (await fetch(database_url, "SELECT count(*) AS bars FROM market_data"))[0]["bars"] == 6225
    summary = json.loads((tmp_path / "llm_processing_summary.json").read_text())
    assert str(len(in_file)) in json.dumps(summary)
    assert f"signals {len(in_file)}" in done.stdout
    judged, page = done.stdout.splitlines()[-2:]
    assert judged.startswith("worth (of a simulated model): ")
    assert f"{len(in_file)} resolved signals" in judged
    assert page == f"report: {tmp_path / 'worth.html'}"
    assert judged.partition(": ")[2][:40] in (tmp_path / "worth.html").read_text(encoding="utf-8")


async def test_a_stopped_session_is_resumed_without_doubles(database_url: str, tmp_path: Path) -> None:
    """SIGTERM ends the run in order with status 0; --resume brings files and tables to the full run's end."""
    bars = bars_file(tmp_path, 1500)
    out = tmp_path / "out"
    arguments = [
        "--demo",
        "--data",
        str(bars),
        "--database-url",
        database_url,
        "--output",
        str(out),
        "--no-dashboard",
    ]
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments, "--speed", "400"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not (out / "llm_signals.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "--resume" in output
    done = run(*arguments, "--speed", "0", "--resume")
    assert done.returncode == 0, done.stderr
    times = [row["timestamp"] for row in rows(out / "llm_strategy_results.csv")]
    assert len(times) == 1500
    assert times == sorted(set(times))
    counts = await fetch(
        database_url,
        """SELECT (SELECT count(*) FROM trading_sessions) AS sessions,
                  (SELECT count(*) FROM market_data) AS bars,
                  (SELECT count(*) FROM trading_signals) AS signals,
                  (SELECT count(*) FROM llm_analysis_results) AS results""",
    )
    assert (counts[0]["sessions"], counts[0]["bars"]) == (1, 1500)
    assert counts[0]["signals"] == counts[0]["results"] == len(rows(out / "llm_signals.csv"))


def test_without_a_key_trading_runs_and_the_llm_is_off(database_url: str, tmp_path: Path) -> None:
    """No key: loud, nothing simulated, bars and signals stored, no rating."""
    bars = bars_file(tmp_path, 800)
    done = run(
        "--data", str(bars), "--symbol", "ES", "--database-url", database_url,
        "--output", str(tmp_path / "out"), "--no-dashboard",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "LLM off" in done.stderr
    assert "OPENROUTER_API_KEY" in done.stderr
    assert len(rows(tmp_path / "out" / "llm_strategy_results.csv")) == 800
    assert not rows(tmp_path / "out" / "llm_signals.csv")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"llm": {"modle": "x"}}', "did you mean 'model'"),
        ('{"llm": {"requests_per_minute": -1}}', "requests_per_minute"),
        ('{"llm": {"enabled": "perhaps"}}', "enabled"),
        ('{"llm": {"batch_size": 500}}', "batch_size"),
        ('{"lllm": {}}', "did you mean 'llm'"),
        ('{"llm": {"indicators_to_include": ["rsi_14", "moonphase"]}}', "moonphase"),
        ("{not json", "not valid JSON"),
        ('{"trading": {"fast_period": 0}}', "fast_period"),
    ],
)
def test_a_bad_configuration_is_one_line_and_status_2(content: str, expected: str, tmp_path: Path) -> None:
    """The line names the file, the key and what is allowed; there is no traceback."""
    file = tmp_path / "config.json"
    file.write_text(content)
    done = run("--demo", "--config", str(file))
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_other_bad_input_is_one_line_and_status_2(tmp_path: Path) -> None:
    """Missing files, unreachable databases and broken bars are told in one line."""
    broken = tmp_path / "bars.csv"
    broken.write_text("timestamp,open,high,low,close,volume\n2020-01-01T00:00:00Z,1,2,3,1,5\n")
    cases = [
        (["--demo", "--config", str(tmp_path / "none.json")], "no such file"),
        (["--data", str(tmp_path / "none.csv")], "no such file"),
        (["--data", str(broken)], r"bars\.csv.*2"),
        (["--demo", "--database-url", "postgresql://nobody@127.0.0.1:9/none"], "database"),
        ([], "--data"),
    ]
    for arguments, expected in cases:
        done = run(*arguments, "--no-dashboard", "--log-level", "ERROR")
        assert done.returncode == 2, (arguments, done.stderr)
        assert re.search(expected, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


async def test_a_resumed_run_does_not_start_without_the_answers_of_the_last_one(
    database_url: str, tmp_path: Path
) -> None:
    """Paid answers wait in an outbox and PostgreSQL takes no writes: one line, status 2, nothing asked."""
    outbox = Outbox(tmp_path / "outbox", target=DatabaseManager(database_url).address)
    outbox.keep_outcome(leftover("s-1"), answer("s-1"))
    outbox.close(10)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"database": {"outbox_directory": str(tmp_path / "outbox")}}))
    async with DatabaseManager(database_url):  # the tables are there
        name = (await fetch(database_url, "SELECT current_database() AS name"))[0]["name"]
        await fetch(database_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    done = run(
        "--demo", "--resume", "--config", str(config), "--database-url", database_url, "--no-dashboard"
    )
    assert done.returncode == 2
    assert "--resume needs what earlier runs left" in done.stderr.splitlines()[-1]
    assert outbox.path.exists()
