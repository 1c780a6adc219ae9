"""The commands as processes, one after the other, as a trader would use them after a bad day."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_commands_export import command
from tests.acceptance.test_program import ROOT, bars_file, environment, fetch, rows, run

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@contextmanager
def simulated(*arguments: str) -> Iterator[dict[str, str]]:
    """``simulate`` on a free port; the variables that lead to it, from what it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_integration", "simulate", "--port", "0", *arguments],
        stdout=subprocess.PIPE, text=True, env=environment(), cwd=ROOT,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        try:
            yield dict(line.split()[1].split("=", 1) for line in lines[1:])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
    assert process.returncode == 0


def told(status: int, *arguments: str, **variables: str) -> dict[str, Any]:
    """The JSON of a command that ends with ``status``."""
    done = command(*arguments, "--json", **variables)
    assert done.returncode == status, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


async def answered(url: str) -> int:
    counts = await fetch(url, "SELECT count(*) AS n FROM llm_analysis_results WHERE rating IS NOT NULL")
    return int(counts[0]["n"])


async def test_a_bad_day_and_the_morning_after(database_url: str, tmp_path: Path) -> None:
    """check, a run that gets unreadable replies, costs, health, retry, work, export: all agree."""
    url, out = ("--database-url", database_url), str(tmp_path / "out")
    quick = {"LLM_REQUESTS_PER_MINUTE": "6000"}
    with simulated("--fault", "rating_seven=0.6") as server:
        checked = told(0, "check", *url, **server)
        assert {item["status"] for item in checked["items"]} <= {"ok", "warn"}
        day = ["--data", str(bars_file(tmp_path, 700)), *url, "--output", out, "--no-dashboard"]
        done = run(*day, variables={**server, **quick})
        assert done.returncode == 0, done.stderr
    signals = rows(tmp_path / "out" / "llm_signals.csv")
    unrated = [row["signal_id"] for row in signals if not row["llm_rating"]]
    assert 0 < len(unrated) < len(signals)
    spent = told(0, "costs", "--simulated", *url)["total"]
    assert (spent["signals"], spent["rated"]) == (len(signals), len(signals) - len(unrated))
    (version,) = told(0, "health", *url)["versions"]
    assert (version["rated"], version["unrated"]) == (spent["rated"], len(unrated))
    again = told(0, "retry", "--unrated", *url)
    assert sorted(task["signal_id"] for task in again["tasks"]) == sorted(unrated)
    with simulated() as server:
        worked = told(0, "work", "--until-empty", "--adopt", *url, **server, **quick)
        assert (worked["rated"], worked["left_alone"]) == (len(unrated), {})
    assert await answered(database_url) == len(signals)
    told(0, "export", "--all", "--output", out, *url)
    stored = await fetch(database_url, "SELECT signal_id, rating FROM llm_analysis_results")
    exported = {row["signal_id"]: row["llm_rating"] for row in rows(tmp_path / "out" / "llm_signals.csv")}
    assert exported == {row["signal_id"]: str(row["rating"]) for row in stored}
    after = told(0, "costs", "--simulated", *url)["total"]
    assert (after["rated"], after["signals"]) == (len(signals), len(signals))
    assert float(after["spent_usd"]) > float(spent["spent_usd"])
