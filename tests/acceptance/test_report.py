"""The report's block of settings, pasted into config.json, as its users run it."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from llm_integration.config import DEFAULT_MODEL
from llm_integration.sidecar import rating
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from main_with_database import TradingSystem, load
from tests.acceptance.test_program import PROGRAM, ROOT, bars_file, environment, fetch, rows
from trading.command_line import build_parser

pytestmark = pytest.mark.postgres

BLOCK: dict[str, Any] = json.loads((ROOT / "tests/data/report_llm_block.json").read_text(encoding="utf-8"))
INDICATORS: list[str] = BLOCK["llm"]["indicators_to_include"]
DEAD = "google/gemini-2.5-flash-preview-05-20"


def pasted(folder: Path, **others: Any) -> Path:
    """A config.json with the block as it stands, in a folder of its own."""
    home = folder / "home"
    home.mkdir()
    (home / "config.json").write_text(json.dumps({**BLOCK, **others}), encoding="utf-8")
    return home


def es_bars(folder: Path, count: int = 900) -> Path:
    """Five-minute bars like those of the E-mini S&P 500: quarter points, volume, an hour without trading."""
    rng, price, moment = random.Random(12), 6_900.0, datetime(2026, 1, 5, 23, 0, tzinfo=UTC)
    lines = ["timestamp,open,high,low,close,volume"]
    for number in range(count):
        opened = price
        price = round((price + 3 * math.sin(number / 40) + rng.gauss(0, 4)) * 4) / 4
        high, low = max(opened, price) + rng.randrange(8) / 4, min(opened, price) - rng.randrange(8) / 4
        lines.append(f"{moment.isoformat()},{opened},{high},{low},{price},{rng.randrange(200, 9_000)}")
        moment += timedelta(minutes=65 if moment.hour == 21 and moment.minute == 55 else 5)
    file = folder / "ES_5m.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


async def run(cwd: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The program from another working folder than its settings lie in."""
    return await asyncio.to_thread(
        subprocess.run, [sys.executable, str(PROGRAM), *arguments, "--no-dashboard"],
        capture_output=True, text=True, timeout=90, env=environment(**variables), check=False, cwd=cwd,
    )  # fmt: skip


def entries(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def indicators_of(prompt: str) -> dict[str, str]:
    """The lines of a prompt's block of indicators."""
    block = prompt.partition("Indicators:\n")[2]
    pairs = (line.partition(": ") for line in block.splitlines())
    return {name: value for name, _, value in pairs if name in INDICATORS}


def missing_indicators(prompts: Iterable[str]) -> list[tuple[str, str]]:
    return [
        (name, prompt[:200])
        for prompt in prompts
        for name in INDICATORS
        if not re.fullmatch(r"-?[0-9][0-9.e+-]*", indicators_of(prompt).get(name, ""))
    ]


async def test_the_block_runs_the_demo(database_url: str, tmp_path: Path) -> None:
    """Its retired model is told and simulated, its folder lies beside the file, all ten are shown."""
    home = pasted(tmp_path)
    done = await run(
        tmp_path, "--demo", "--config", str(home / "config.json"), "--database-url", database_url,
        "--data", str(bars_file(tmp_path, 1_200)), "--speed", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"change llm.model to {DEFAULT_MODEL}, which is served" in done.stderr
    signals = rows(home / "output" / "llm_enhanced" / "llm_signals.csv")
    assert len(signals) > 10
    stored = await fetch(database_url, "SELECT prompt_text, model_requested FROM llm_analysis_results")
    assert {row["model_requested"] for row in stored} == {f"simulated/{DEAD}"}
    assert len(stored) == len(signals)
    assert missing_indicators(row["prompt_text"] for row in stored) == []
    assert entries(tmp_path) == {"bars.csv", "home"}


async def test_a_file_of_an_earlier_version_runs_as_before(database_url: str, tmp_path: Path) -> None:
    """Its indicators, its folder and its intervals."""
    home = pasted(tmp_path)
    older = {
        "csv_output_directory": "llm_results", "batch_export_interval_seconds": 30, "poll_interval": 5.0,
        "cleanup_interval_minutes": 10, "max_retries": 4,
        "indicators_to_include": ["sma_20", "ema_50", "rsi_14", "macd", "macd_signal", "atr_14", "adx_14"],
    }  # fmt: skip
    (home / "config.json").write_text(json.dumps({"llm": {**BLOCK["llm"], **older}}), encoding="utf-8")
    done = await run(
        tmp_path, "--demo", "--config", str(home / "config.json"), "--database-url", database_url,
        "--data", str(bars_file(tmp_path, 600)), "--speed", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stored = await fetch(database_url, "SELECT prompt_text FROM llm_analysis_results")
    assert len(stored) == len(rows(home / "llm_results" / "llm_signals.csv")) > 3
    assert all(re.search(r"\nrsi_14: [0-9.]+\n", row["prompt_text"]) for row in stored)


async def test_the_block_rates_signals_on_es_bars(database_url: str, tmp_path: Path) -> None:
    """With a model that is served in the place of its own: each request shows all ten indicators."""
    home = pasted(tmp_path)
    async with OpenRouterSimulator(seed=1) as simulator:
        done = await run(
            tmp_path, "--data", str(es_bars(tmp_path)), "--symbol", "ES", "--speed", "0",
            "--config", str(home / "config.json"), "--database-url", database_url,
            LLM_MODEL=DEFAULT_MODEL, LLM_REQUESTS_PER_MINUTE="1000",
            OPENROUTER_BASE_URL=simulator.base_url, OPENROUTER_API_KEY=SIMULATED_KEY,
        )  # fmt: skip
        asked = [request.body for request in simulator.requests if request.method == "POST"]
    assert done.returncode == 0, done.stderr
    prompts = [str(body["messages"][-1]["content"]) for body in asked if body is not None]
    assert len(prompts) > 5
    assert missing_indicators(prompts) == []
    signals = rows(home / "output" / "llm_enhanced" / "llm_signals.csv")
    assert len(signals) == len(prompts)
    assert all(row["llm_rating"] in {"1", "2", "3", "4", "5"} for row in signals)


async def test_the_block_with_its_own_model_does_not_wait_in_silence(
    database_url: str, tmp_path: Path
) -> None:
    """What to change is told, not per signal; the signals stay pending for the run with another model."""
    home = pasted(tmp_path)
    async with OpenRouterSimulator(seed=1) as simulator:
        done = await run(
            tmp_path, "--data", str(es_bars(tmp_path)), "--symbol", "ES", "--speed", "0",
            "--config", str(home / "config.json"), "--database-url", database_url,
            LLM_DRAIN_TIMEOUT_SECONDS="1", LLM_REQUESTS_PER_MINUTE="1000", LLM_MAX_CONCURRENCY="1",
            OPENROUTER_BASE_URL=simulator.base_url, OPENROUTER_API_KEY=SIMULATED_KEY,
        )  # fmt: skip
        assert sum(request.method == "POST" for request in simulator.requests) <= 2
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if DEAD in line and "WARNING" in line]
    assert 1 <= len(lines) <= 2, lines  # what the list of models says, and what the first refusal means
    for line in lines:
        assert "llm.model" in line
        assert f"{DEFAULT_MODEL}, which is served" in line
    states = await fetch(database_url, "SELECT DISTINCT status FROM llm_enhancement_tasks")
    assert [row["status"] for row in states] == ["pending"]


async def test_when_the_llm_cannot_be_set_up_trading_goes_on(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every bar and signal is stored, the failure is told once, and nothing is asked."""

    def no_ledger(*_: object, **_words: object) -> None:
        raise OSError("no room for another thread")

    monkeypatch.setattr(rating, "PostgresLedger", no_ledger)
    monkeypatch.setenv("OPENROUTER_API_KEY", SIMULATED_KEY)
    home = pasted(tmp_path)
    settings = load(build_parser().parse_args([
        "--data", str(es_bars(tmp_path)), "--config", str(home / "config.json"),
        "--database-url", database_url, "--no-dashboard",
    ]))  # fmt: skip
    system = TradingSystem(settings)
    try:
        await system.setup_components()
        await system.run()
    finally:
        await system._cleanup()
    told = [record for record in caplog.records if "the LLM cannot be set up" in record.getMessage()]
    assert len(told) == 1
    assert (system.state().llm_on, system.state().llm_note) == (False, "its set-up failed, the log says why")
    (stored,) = await fetch(
        database_url,
        "SELECT (SELECT count(*) FROM market_data) AS bars,"
        " (SELECT count(*) FROM trading_signals) AS signals",
    )
    assert stored["bars"] == 900
    assert stored["signals"] == system.bar_loop.progress.signals > 5


@pytest.mark.parametrize(
    ("content", "variables", "reason"),
    [
        ({"database": {"url": "postgresql://nobody@127.0.0.1:9/none"}}, {}, "database: cannot connect"),
        ({"llm": {"prompt": "absent.md"}}, {}, "absent.md: no such prompt file"),
        ({"llm": {"prompt": "absent"}}, {}, "there is no prompt 'absent'"),
        ({"llm": {"routes": [{"prompt": "gone.md"}]}}, {}, "gone.md: no such prompt file"),
        ({"llm": {"indicators_to_include": ["moon"]}}, {}, "unknown indicator 'moon'"),
        ({}, {"OPENROUTER_API_KEY": "two words"}, "OPENROUTER_API_KEY: the key holds a blank"),
        ({}, {"TRADENT_ENV_FILE": "."}, "it is a folder, not a file"),
    ],
)
async def test_the_reason_of_a_refused_start_stands_first(
    content: dict[str, Any], variables: dict[str, str], reason: str, tmp_path: Path
) -> None:
    """At the usual log level: one line, no word about a session that never was, and nothing made."""
    (tmp_path / "config.json").write_text(json.dumps(content))
    done = await run(tmp_path, "--demo", "--config", "config.json", **variables)
    assert done.returncode == 2
    assert reason in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert entries(tmp_path) <= {"config.json", ".tradent"}


async def test_the_dashboard_says_what_to_change_before_anything_was_asked(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start without a network: the shipped list knows the retired model and a served one."""
    monkeypatch.setenv("OPENROUTER_API_KEY", SIMULATED_KEY)
    home = pasted(tmp_path)
    system = TradingSystem(load(build_parser().parse_args([
        "--data", str(es_bars(tmp_path)), "--config", str(home / "config.json"),
        "--database-url", database_url, "--no-dashboard",
    ])))  # fmt: skip
    try:
        await system.setup_components()
        await asyncio.sleep(0)  # the watch has its first look
        note = system.state().llm_note
    finally:
        await system._cleanup()
    assert f"change llm.model to {DEFAULT_MODEL}, which is served" in note
