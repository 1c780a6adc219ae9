"""Today's program on what an earlier version left; tests/data/older/README.md says how that was made."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from database import DatabaseManager
from llm_integration.record.migrations import NEWEST
from llm_integration.record.outbox.thread import folder_for
from tests.acceptance.test_commands import simulated, told
from tests.acceptance.test_program import PROGRAM, bars_file, environment, fetch, rows
from tests.conftest import PostgresForTests

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

OLDER = Path(__file__).resolve().parents[1] / "data" / "older"
BARS = 240
FILES = ("llm_signals.csv", "llm_strategy_results.csv")
LEFT_SIGNALS, LEFT_ANSWERS = 2, 3
"""What waits in the outbox: signals that PostgreSQL never saw, and answers of tasks that it has."""

LEFT_JUST_NOW = """
UPDATE public.llm_enhancement_tasks SET created_at = created_at + age FROM (
    SELECT clock_timestamp() - max(created_at) AS age FROM public.llm_enhancement_tasks) AS of_the_newest
"""
"""As when somebody changes the version and goes on: no signal is past its time yet."""
TASKS = """
SELECT s.symbol, t.status, count(*) AS n FROM llm_enhancement_tasks t JOIN trading_signals s USING (signal_id)
GROUP BY 1, 2
"""
RESULTS = """
SELECT r.result_id, r.task_id, r.signal_id, r.rating, r.choppiness, r.analysis, r.parse_method, r.cost_usd,
       r.generation_id, r.prompt_text_id, r.prompt_text, r.system_text_id, r.raw_reply, r.processed_at
FROM llm_analysis_results r ORDER BY 1
"""
PAID = "SELECT * FROM llm_ledger WHERE state = 'billed'"


class Left:
    """A folder and a database as the earlier version left them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.out = folder, url, folder / "out"
        self.outbox = folder_for(folder / "outbox", DatabaseManager(url).address) / "left.outbox"

    async def lay_out(self) -> None:
        """Tables, outbox, files, settings and bars."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute((OLDER / "database_v2.sql").read_text(encoding="utf-8"))
            await connection.execute(LEFT_JUST_NOW)
        finally:
            await connection.close()
        self.outbox.parent.mkdir(parents=True)
        with closing(sqlite3.connect(self.outbox)) as file:
            file.executescript((OLDER / "outbox_v2.sql").read_text(encoding="utf-8"))
        shutil.copy(OLDER / "config.json", self.folder)
        self.out.mkdir()
        for name in FILES:
            shutil.copy(OLDER / name, self.out)
        bars_file(self.folder, BARS)

    def waiting(self, kind: str) -> dict[str, Any]:
        """The entries of a kind in the outbox, by signal id."""
        with closing(sqlite3.connect(self.outbox)) as file:
            found = file.execute("SELECT key, body FROM entries WHERE kind = ?", (kind,)).fetchall()
        return {key: json.loads(body) for key, body in found}

    def resume(self, server: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Today's program on the bars of the session that was killed."""
        return subprocess.run(
            [sys.executable, str(PROGRAM), "--config", "config.json", "--data", "bars.csv", "--resume",
             "--database-url", self.url, "--output", str(self.out), "--no-dashboard"],
            capture_output=True, text=True, timeout=90, env=environment(**server), check=False,
            cwd=self.folder,
        )  # fmt: skip

    async def tasks(self) -> dict[tuple[str, str], int]:
        """How many tasks there are, by symbol and status."""
        return {(row["symbol"], row["status"]): row["n"] for row in await fetch(self.url, TASKS)}


@pytest.fixture
def empty_database(postgres: PostgresForTests) -> Iterator[str]:
    """The URL of a database without any table."""
    url = postgres.create(empty=True)
    yield url
    postgres.drop(url)


@pytest.fixture
async def left(tmp_path: Path, empty_database: str) -> Left:
    found = Left(tmp_path, empty_database)
    await found.lay_out()
    return found


def by_id(found: list[Mapping[str, Any]], name: str) -> dict[Any, Mapping[str, Any]]:
    return {row[name]: row for row in found}


async def test_resume_goes_on_with_a_session_of_the_version_before(left: Left) -> None:
    """Tables migrate, the outbox comes in, open tasks are answered once, and what is there stays."""
    before = await left.tasks()
    assert before["EURUSD", "pending"] == 4  # else this test would show nothing
    assert before["EURUSD", "processing"] == LEFT_ANSWERS
    old_results = by_id(await fetch(left.url, RESULTS), "result_id")
    old_ledger = by_id(await fetch(left.url, PAID), "grant_id")
    (session,) = await fetch(left.url, "SELECT session_id FROM trading_sessions WHERE status = 'running'")
    unseen = left.waiting("signal")
    paid = {key: entry["analysis"]["generation_id"] for key, entry in left.waiting("outcome").items()}
    assert (len(unseen), len(paid)) == (LEFT_SIGNALS, LEFT_ANSWERS)

    with simulated() as server:
        done = left.resume(server)
    assert done.returncode == 0, done.stderr
    assert f"{LEFT_SIGNALS} signal(s), {LEFT_ANSWERS} result(s); 0 result(s) came too late, 0" in done.stderr
    assert f"session {session['session_id']} finished" in done.stdout
    assert not left.outbox.exists()

    versions = await fetch(left.url, "SELECT version FROM schema_version ORDER BY 1")
    assert [row["version"] for row in versions] == list(range(1, NEWEST + 1))
    sessions = await fetch(left.url, "SELECT session_id, status FROM trading_sessions")
    assert {row["status"] for row in sessions} == {"completed"}
    assert len(sessions) == 3

    found = int(re.search(r"signals (\d+),", done.stdout)[1])  # type: ignore[index]
    after = await left.tasks()
    assert after == {
        ("EURUSD", "completed"): found - before["EURUSD", "failed"],
        ("EURUSD", "failed"): before["EURUSD", "failed"],
        ("XAUUSD", "completed"): before["XAUUSD", "completed"],
        ("XAGUSD", "pending"): before["XAGUSD", "pending"],
    }
    results = by_id(await fetch(left.url, RESULTS), "result_id")
    assert {key: results[key] for key in old_results} == old_results
    by_signal = by_id(list(results.values()), "signal_id")
    assert len(by_signal) == len(results)
    assert set(unseen) <= set(by_signal)
    assert {key: by_signal[key]["generation_id"] for key in paid} == paid  # not asked for again
    ledger = by_id(await fetch(left.url, PAID), "grant_id")
    assert {key: ledger[key] for key in old_ledger} == old_ledger

    of_symbol = "SELECT count(*) AS n FROM market_data WHERE symbol = 'EURUSD'"
    assert (await fetch(left.url, of_symbol))[0]["n"] == BARS
    for name, key, expected in (
        ("llm_signals.csv", "signal_id", after["EURUSD", "completed"]),
        ("llm_strategy_results.csv", "timestamp", BARS),
    ):
        was, now = rows(OLDER / name), rows(left.out / name)
        assert now[: len(was)] == was
        ours = [row[key] for row in now if row["symbol"] == "EURUSD"]
        assert len(ours) == len(set(ours)) == expected


async def test_the_commands_read_what_the_version_before_stored(left: Left) -> None:
    """export, costs, health and retry take its rows; work --adopt answers what waits in all sessions."""
    url = ("--database-url", left.url, "--config", str(left.folder / "config.json"))
    migrated = left.folder / "export"
    told(0, "export", "--all", "--output", str(migrated), *url)
    before = await left.tasks()
    answered = before["EURUSD", "completed"] + before["XAUUSD", "completed"]
    assert len(rows(migrated / "llm_signals.csv")) == answered
    costs = told(0, "costs", "--simulated", *url)["total"]
    assert (costs["signals"], costs["rated"]) == (answered, answered - 1)
    (version,) = told(0, "health", *url)["versions"]
    assert (version["rated"], version["unrated"]) == (answered - 1, 1)
    again = told(0, "retry", "--failed", "--dry-run", *url)
    assert len(again["tasks"]) == before["EURUSD", "failed"]
    with simulated() as server:
        worked = told(0, "work", "--until-empty", "--adopt", *url, **server)
    waiting = sum(n for (_, status), n in before.items() if status in ("pending", "processing"))
    assert (worked["rated"], worked["left_alone"]) == (waiting, {})
    (stored,) = await fetch(left.url, "SELECT count(*) AS n FROM llm_analysis_results")
    assert stored["n"] == answered + waiting
